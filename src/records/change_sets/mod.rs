//! Change sets: what one request, bulk call or atomic operation changed, and undoing it.
//!
//! Every row of the change log says of which set it is. A set is read back from there, as far as its reader may see
//! the records; [`mod@revert`] undoes its operations, latest first, through the same door as any other write.

mod revert;

use entity::Micros;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::{Backend, Row, Tx};
use crate::platform::Ctx;
use crate::platform::access::Sight;
use crate::records::access;
use crate::records::sql::Sql;

pub use revert::{Reason, Reverted, Skipped, revert};

/// The most operations of a set that are read.
pub const MOST_OPERATIONS: usize = 5_000;

/// One change of one record.
#[derive(Clone, Debug)]
pub struct Operation {
    pub seq: i64,
    pub object: String,
    pub record: Uuid,
    pub kind: String,
    pub version: i64,
    pub before: Map<String, Json>,
    pub after: Map<String, Json>,
}

/// What was changed together.
#[derive(Clone, Debug)]
pub struct Set {
    pub id: Uuid,
    pub at: Micros,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub cause: String,
    /// The set that it undid.
    pub reverts: Option<Uuid>,
    /// Sets that undid something of it.
    pub reverted_by: Vec<Uuid>,
    pub operations: Vec<Operation>,
    /// Whether there are more operations than are read.
    pub is_cut: bool,
}

impl Operation {
    /// The fields and relations that it changed, as far as the caller sees them whole.
    pub fn fields(&self, ctx: &Ctx) -> Vec<String> {
        let access = ctx.access.object(&self.object);
        let mut names: Vec<String> = self.before.keys().chain(self.after.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names.retain(|name| access.field(name).sight == Sight::Full);
        names
    }
}

/// Reads a set as its reader may see it; none if nothing of it shows.
pub async fn load(tx: &Tx, ctx: &Ctx, catalog: &Catalog, id: Uuid) -> Result<Option<Set>> {
    let mut sql = Sql::new(tx.backend(), ctx.workspace);
    let set = sql.bind(id);
    let reached = access::reached_any(&mut sql, ctx, catalog, "r").unwrap_or_else(|| "TRUE".into());
    // A record that was purged is told of to whoever sees every record of its object.
    let open: Vec<String> =
        catalog.objects().filter(|object| ctx.access.sees_all(&object.name)).map(|object| object.name.clone()).collect();
    let open = sql.bind_all(open.into_iter().map(Into::into).collect());
    let gone = if open.is_empty() { "FALSE".to_owned() } else { format!("r.id IS NULL AND c.object IN ({open})") };
    let text = if sql.is_postgres() { "::text" } else { "" };
    let select = format!(
        "SELECT c.seq, c.object, c.record_id, c.kind, c.version, c.\"before\"{text}, c.after{text}, c.at, c.actor_kind, c.actor_id, c.cause, c.reverts \
         FROM change_log c LEFT JOIN record r ON r.workspace_id = $1 AND r.id = c.record_id \
         WHERE c.workspace_id = $1 AND c.change_set_id = {set} AND (r.id IS NOT NULL AND {reached} OR {gone}) ORDER BY c.seq LIMIT {}",
        MOST_OPERATIONS + 1
    );
    let rows = tx.fetch_all(&select, sql.values).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut found = Set {
        id,
        at: Micros(first.int(7)?.unwrap_or_default()),
        actor_kind: first.text(8)?.unwrap_or_default().to_owned(),
        actor_id: first.uuid(9)?,
        cause: first.text(10)?.unwrap_or_default().to_owned(),
        reverts: first.uuid(11)?,
        reverted_by: Vec::new(),
        operations: Vec::new(),
        is_cut: rows.len() > MOST_OPERATIONS,
    };
    found.operations = rows.iter().take(MOST_OPERATIONS).map(operation).collect::<Result<_>>()?;
    let undone = "SELECT DISTINCT change_set_id FROM change_log WHERE workspace_id = $1 AND reverts = $2 ORDER BY change_set_id";
    for row in tx.fetch_all(undone, vec![ctx.workspace.into(), id.into()]).await? {
        found.reverted_by.extend(row.uuid(0)?);
    }
    Ok(Some(found))
}

/// The operations of a set, whoever may see them: for what the server does with them.
pub async fn operations(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<Vec<Operation>> {
    let text = if tx.backend() == Backend::Postgres { "::text" } else { "" };
    let select = format!(
        "SELECT seq, object, record_id, kind, version, \"before\"{text}, after{text} FROM change_log \
         WHERE workspace_id = $1 AND change_set_id = $2 ORDER BY seq"
    );
    tx.fetch_all(&select, vec![ctx.workspace.into(), id.into()]).await?.iter().map(operation).collect()
}

fn operation(row: &Row) -> Result<Operation> {
    let text = |index| row.text(index).map(|text| text.unwrap_or_default().to_owned());
    Ok(Operation {
        seq: row.int(0)?.unwrap_or_default(),
        object: text(1)?,
        record: row.uuid(2)?.unwrap_or_default(),
        kind: text(3)?,
        version: row.int(4)?.unwrap_or_default(),
        before: serde_json::from_str(&text(5)?)?,
        after: serde_json::from_str(&text(6)?)?,
    })
}
