//! Which instants can be asked for, and what is said of those that cannot.

use chrono::SecondsFormat;
use entity::Micros;
use serde_json::{Map, Value as Json};

use super::super::node::Planner;
use crate::catalog::{Catalog, Object};
use crate::error::{Code, Error, Result};
use crate::infra::db::{Backend, Tx};
use crate::platform::Ctx;
use crate::records::sql::all_of;

/// An instant that is asked for, and what has to be known of it before a statement can be planned.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: Micros,
    /// Whether records were brought back since: else whatever was deleted by then is deleted still.
    pub(super) are_restored: bool,
    /// The last entry of the log that had been written, where a place in the log is meant rather than an instant: then
    /// it does not matter which of two writers began first.
    pub(super) place: Option<i64>,
    /// What "today" and "now" mean, if not that instant.
    pub(super) clock: Option<Micros>,
}

impl Moment {
    /// After an entry of the log, which was written at an instant.
    pub const fn after(place: i64, at: Micros, clock: Micros) -> Self {
        Self { at, are_restored: true, place: Some(place), clock: Some(clock) }
    }
}

/// The instant that the arguments of a root field ask for. One of which the log does not tell any more is refused: it
/// begins with the workspace, unless its beginning was removed.
pub async fn moment(tx: &Tx, ctx: &Ctx, arguments: &Map<String, Json>) -> Result<Option<Moment>> {
    let Some(at) = instant(arguments.get("asOf").unwrap_or(&Json::Null), ctx.now())? else { return Ok(None) };
    let sql = "SELECT c.seq, c.at, EXISTS (SELECT 1 FROM change_log r WHERE r.workspace_id = $1 AND r.kind = 'RESTORED' AND r.at > $2) \
               FROM change_log c WHERE c.workspace_id = $1 ORDER BY c.seq LIMIT 1";
    let Some(row) = tx.fetch_optional(sql, vec![ctx.workspace.into(), at.0.into()]).await? else {
        return Ok(Some(Moment { at, are_restored: false, place: None, clock: None }));
    };
    let (first, begins) = (row.int(0)?.unwrap_or_default(), Micros(row.int(1)?.unwrap_or_default()));
    if first > 1 && at < begins {
        let message = format!("The history of that time is not kept any more; it begins at {}.", rfc3339(begins));
        return Err(Error::refuse(Code::HistoryExpired, message).within("asOf"));
    }
    Ok(Some(Moment { at, are_restored: row.bool(2)?.unwrap_or(true), place: None, clock: None }))
}

/// PostgreSQL cannot guess how many records a column of the past leaves, takes them for few, and would compare each
/// with every change. So what can be hashed is hashed, for the statements in between.
pub async fn hash_joins(tx: &Tx, only: bool) -> Result<()> {
    if tx.backend() == Backend::Postgres {
        tx.run(if only { "SET LOCAL enable_nestloop = off" } else { "SET LOCAL enable_nestloop = on" }, Vec::new()).await?;
    }
    Ok(())
}

/// Why a record that the caller sees today is not there as of an instant, if that is because it is younger.
pub async fn check_age(ctx: &Ctx, catalog: &Catalog, tx: &Tx, object: &Object, arguments: &Map<String, Json>, at: Micros) -> Result<()> {
    let mut planner = Planner::new(ctx, catalog, tx.backend());
    let alias = planner.sql.alias();
    let which = match (arguments.get("id"), arguments.get("key")) {
        (Some(id), _) if !id.is_null() => format!("{alias}.id = {}", planner.bind_id(id)?),
        (_, Some(key)) => planner.key_condition(object, &alias, key)?,
        _ => return Ok(()),
    };
    let at = planner.sql.bind(at.0);
    let mut conditions = vec![format!("{alias}.workspace_id = $1"), which, format!("{alias}.created_at > {at}")];
    conditions.extend(planner.reached(object, &alias));
    let sql = format!("SELECT {alias}.created_at FROM {} {alias} WHERE {}", object.rows(), all_of(&conditions));
    let Some(row) = tx.fetch_optional(&sql, planner.sql.values).await? else { return Ok(()) };
    let created = Micros(row.int(0)?.unwrap_or_default());
    let message = format!("The record was not there yet: it was created at {}.", rfc3339(created));
    Err(Error::refuse(Code::NotYetCreated, message).within("asOf"))
}

pub(super) fn rfc3339(at: Micros) -> String {
    at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads `asOf`.
fn instant(given: &Json, now: Micros) -> Result<Option<Micros>> {
    let Some(text) = given.as_str() else { return Ok(None) };
    let at = chrono::DateTime::parse_from_rfc3339(text)
        .map_err(|_| Error::bad_request("`asOf` is an instant, such as `2026-01-31T12:00:00Z`.").within("asOf"))?;
    let at = Micros(at.timestamp_micros());
    if at > now {
        return Err(Error::bad_request("`asOf` lies in the future: only what was can be asked for.").within("asOf"));
    }
    Ok(Some(at))
}
