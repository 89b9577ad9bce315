//! The change log: what every write changed, in the order of commits.
//!
//! `seq` is per workspace and gapless. It is taken from the workspace's row of `log_head`, whose
//! lock is held until the commit; [`append`] is therefore the last statement of a transaction. Two
//! writers of one workspace wait for each other only between that statement and the commit, and
//! whoever comes second in the log also came second to be visible: a reader's cursor is one number.

use std::fmt::Write as _;

use entity::Micros;
use sea_orm::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use super::Ctx;
use crate::infra::db::{Backend, Tx};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Created,
    Updated,
    Deleted,
    Restored,
    Purged,
    Linked,
    Unlinked,
}

impl ChangeKind {
    pub const EVERY: [Self; 7] = [Self::Created, Self::Updated, Self::Deleted, Self::Restored, Self::Purged, Self::Linked, Self::Unlinked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
            Self::Restored => "RESTORED",
            Self::Purged => "PURGED",
            Self::Linked => "LINKED",
            Self::Unlinked => "UNLINKED",
        }
    }
}

/// One change, not yet in the log.
#[derive(Clone, Debug)]
pub struct Change {
    pub object: String,
    pub record: Uuid,
    pub kind: ChangeKind,
    pub version: i64,
    /// The changed fields, by API name, in the form they are stored in.
    pub before: Json,
    pub after: Json,
}

/// What is changed together: a request, a bulk call, an operation that is atomic.
#[derive(Clone, Copy, Debug)]
pub struct ChangeSet {
    pub id: Uuid,
    /// When: the instant that the records have of it.
    pub at: Micros,
    /// The set that this one undoes.
    pub reverts: Option<Uuid>,
}

const COLUMNS: usize = 15;
/// Both databases take at least 32,766 parameters.
const MOST_ROWS: usize = 2_000;

/// Writes the changes of a transaction, as its last step before the commit; returns the last
/// sequence number.
pub async fn append(tx: &Tx, ctx: &Ctx, set: ChangeSet, changes: &[Change]) -> Result<i64, sqlx::Error> {
    if !changes.is_empty() {
        tx.will_be_news(ctx.workspace);
    }
    let mut last = 0;
    for chunk in changes.chunks(MOST_ROWS) {
        last = append_chunk(tx, ctx, set, chunk).await?;
    }
    Ok(last)
}

async fn append_chunk(tx: &Tx, ctx: &Ctx, set: ChangeSet, changes: &[Change]) -> Result<i64, sqlx::Error> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let take = "UPDATE log_head SET seq = seq + $1 WHERE workspace_id = $2 RETURNING seq";
    let bind = |value: Value, values: &mut Vec<Value>| {
        values.push(value);
        values.len()
    };
    let mut values: Vec<Value> = vec![count.into(), ctx.workspace.into()];
    let first = match tx.backend() {
        // One statement: the range is taken and the rows are written in a single round trip.
        Backend::Postgres => None,
        Backend::Sqlite => {
            let row = tx.fetch_optional(take, values.clone()).await?.ok_or(sqlx::Error::RowNotFound)?;
            Some(row.int(0)?.unwrap_or(0) - count)
        }
    };
    if first.is_some() {
        values.clear();
    }
    let mut rows = String::new();
    for (index, change) in (1_i64..).zip(changes) {
        let row = row_values(ctx, set, change, first.unwrap_or(0) + index);
        let marks: Vec<String> = row
            .into_iter()
            .zip(CASTS)
            .map(|(value, cast)| {
                let n = bind(value, &mut values);
                if first.is_some() { format!("${n}") } else { format!("${n}::{cast}") }
            })
            .collect();
        let _ = write!(rows, "{}({})", if index == 1 { "" } else { ", " }, marks.join(", "));
    }
    match first {
        Some(first) => {
            tx.run(&format!("INSERT INTO change_log ({NAMES}) VALUES {rows}"), values).await?;
            Ok(first + count)
        }
        None => {
            let sql = format!(
                "WITH head AS ({take}) INSERT INTO change_log ({NAMES}) \
                 SELECT head.seq - $1 + v.s, v.w, v.o, v.r, v.k, v.v, v.b, v.a, v.ak, v.ai, v.c, v.q, v.t, v.cs, v.re \
                 FROM head, (VALUES {rows}) AS v (s, w, o, r, k, v, b, a, ak, ai, c, q, t, cs, re)"
            );
            tx.run(&sql, values).await?;
            Ok(0)
        }
    }
}

const NAMES: &str = "seq, workspace_id, object, record_id, kind, version, \"before\", \"after\", actor_kind, actor_id, cause, request_id, at, change_set_id, reverts";
const CASTS: [&str; COLUMNS] =
    ["bigint", "uuid", "text", "uuid", "text", "bigint", "jsonb", "jsonb", "text", "uuid", "text", "text", "bigint", "uuid", "uuid"];

fn row_values(ctx: &Ctx, set: ChangeSet, change: &Change, seq: i64) -> Vec<Value> {
    vec![
        seq.into(),
        ctx.workspace.into(),
        change.object.clone().into(),
        change.record.into(),
        change.kind.as_str().into(),
        change.version.into(),
        change.before.clone().into(),
        change.after.clone().into(),
        ctx.actor.kind.as_str().into(),
        ctx.actor.id.into(),
        ctx.cause.as_str().into(),
        ctx.request_id.clone().into(),
        set.at.0.into(),
        set.id.into(),
        set.reverts.into(),
    ]
}
