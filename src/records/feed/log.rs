//! The change log, entry by entry.

use std::collections::{BTreeMap, HashMap};

use entity::Micros;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::error::Result;
use crate::infra::db::{Row, Tx, Value};

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seq: i64,
    pub object: String,
    pub record: Uuid,
    /// As the log names it: `CREATED`, `LINKED`, …
    pub kind: String,
    /// The fields and relations that it tells of.
    pub fields: Vec<String>,
    pub actor_kind: String,
    pub actor: Option<Uuid>,
    pub at: Micros,
}

impl Entry {
    pub fn begins(&self) -> bool {
        matches!(self.kind.as_str(), "CREATED" | "RESTORED")
    }

    pub fn ends(&self) -> bool {
        matches!(self.kind.as_str(), "DELETED" | "PURGED")
    }

    pub fn is_link(&self) -> bool {
        matches!(self.kind.as_str(), "LINKED" | "UNLINKED")
    }
}

/// The number of the last entry that a snapshot sees.
pub async fn head(tx: &Tx, workspace: Uuid) -> Result<i64> {
    let row = tx.fetch_optional("SELECT seq FROM log_head WHERE workspace_id = $1", vec![workspace.into()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0))
}

/// The number of the first entry that is kept; one more than the last where there is none.
async fn horizon(tx: &Tx, workspace: Uuid) -> Result<i64> {
    let sql = "SELECT seq FROM change_log WHERE workspace_id = $1 ORDER BY seq LIMIT 1";
    let row = tx.fetch_optional(sql, vec![workspace.into()]).await?;
    match row.map(|row| row.int(0)).transpose()?.flatten() {
        Some(first) => Ok(first),
        None => Ok(head(tx, workspace).await? + 1),
    }
}

/// The entries after a place, in order. The transaction must see all of the log: what a caller is told of it is decided
/// afterwards.
pub async fn read(tx: &Tx, workspace: Uuid, after: i64, limit: usize) -> Result<Vec<Entry>> {
    select(tx, &format!("seq > $2 ORDER BY seq LIMIT {limit}"), vec![workspace.into(), after.into()]).await
}

/// Certain entries, in order. Likewise.
pub async fn entries_at(tx: &Tx, workspace: Uuid, seqs: &[i64]) -> Result<Vec<Entry>> {
    let marks: Vec<String> = (2..2 + seqs.len()).map(|n| format!("${n}")).collect();
    let values = std::iter::once(workspace.into()).chain(seqs.iter().map(|seq| (*seq).into())).collect();
    select(tx, &format!("seq IN ({}) ORDER BY seq", marks.join(", ")), values).await
}

/// The rest of what an entry says: values as they are stored, and how it came about.
#[derive(Clone, Debug)]
pub struct Detail {
    pub version: i64,
    pub before: Json,
    pub after: Json,
    pub cause: String,
    pub request: Option<String>,
    pub change_set: Option<Uuid>,
}

/// What entries from one to another say besides, by number. The transaction must see all of the log.
pub async fn details(tx: &Tx, workspace: Uuid, (first, last): (i64, i64)) -> Result<HashMap<i64, Detail>> {
    let sql = format!(
        "SELECT seq, version, {}, {}, cause, request_id, change_set_id FROM change_log \
         WHERE workspace_id = $1 AND seq BETWEEN $2 AND $3",
        as_text(tx, "before"),
        as_text(tx, "after"),
    );
    let rows = tx.fetch_all(&sql, vec![workspace.into(), first.into(), last.into()]).await?;
    let mut details = HashMap::with_capacity(rows.len());
    for row in &rows {
        let side = |text: Option<&str>| text.map_or(Ok(Json::Null), serde_json::from_str);
        let detail = Detail {
            version: row.int(1)?.unwrap_or(0),
            before: side(row.text(2)?)?,
            after: side(row.text(3)?)?,
            cause: row.text(4)?.unwrap_or_default().to_owned(),
            request: row.text(5)?.map(str::to_owned),
            change_set: row.uuid(6)?,
        };
        details.insert(row.int(0)?.unwrap_or(0), detail);
    }
    Ok(details)
}

async fn select(tx: &Tx, condition: &str, values: Vec<Value>) -> Result<Vec<Entry>> {
    let sql = format!(
        "SELECT seq, object, record_id, kind, {}, {}, actor_kind, actor_id, at FROM change_log WHERE workspace_id = $1 AND {condition}",
        as_text(tx, "before"),
        as_text(tx, "after"),
    );
    let rows = tx.fetch_all(&sql, values).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry> {
    let mut fields = names(row.text(4)?);
    for name in names(row.text(5)?) {
        if !fields.contains(&name) {
            fields.push(name);
        }
    }
    Ok(Entry {
        seq: row.int(0)?.unwrap_or(0),
        object: row.text(1)?.unwrap_or_default().to_owned(),
        record: row.uuid(2)?.unwrap_or_default(),
        kind: row.text(3)?.unwrap_or_default().to_owned(),
        fields,
        actor_kind: row.text(6)?.unwrap_or_default().to_owned(),
        actor: row.uuid(7)?,
        at: Micros(row.int(8)?.unwrap_or(0)),
    })
}

fn as_text(tx: &Tx, column: &str) -> String {
    match tx.backend() {
        crate::infra::db::Backend::Postgres => format!("\"{column}\"::text"),
        crate::infra::db::Backend::Sqlite => format!("\"{column}\""),
    }
}

fn names(document: Option<&str>) -> Vec<String> {
    let members: Option<BTreeMap<String, IgnoredAny>> = document.and_then(|text| serde_json::from_str(text).ok());
    members.into_iter().flatten().map(|(name, _)| name).collect()
}

/// How far back somebody is told what happened.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The most entries.
    pub most: i64,
    /// The oldest entry.
    pub since: Micros,
}

/// Whether everything after a place can be told: it is kept, recent enough, and not too much.
pub async fn is_unbroken(tx: &Tx, workspace: Uuid, after: i64, reach: Reach) -> Result<bool> {
    let last = head(tx, workspace).await?;
    if after > last || last - after > reach.most || horizon(tx, workspace).await? > after + 1 {
        return Ok(false);
    }
    let sql = "SELECT at FROM change_log WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT 1";
    let next = tx.fetch_optional(sql, vec![workspace.into(), after.into()]).await?;
    Ok(next.map(|row| row.int(0)).transpose()?.flatten().is_none_or(|at| at >= reach.since.0))
}
