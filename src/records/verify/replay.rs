//! Records as the log makes them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::with_ids;
use crate::error::Result;
use crate::infra::db::{Backend, Tx};
use crate::platform::Ctx;

/// A record after its last entry.
#[derive(Debug, Default)]
pub struct Replayed {
    pub version: i64,
    pub deleted: bool,
    pub purged: bool,
    /// By the names of the log; what is empty is left out.
    pub values: BTreeMap<String, Json>,
}

/// Replays all that the log has of some records.
pub async fn records(tx: &Tx, ctx: &Ctx, ids: &[Uuid]) -> Result<HashMap<Uuid, Replayed>> {
    let (marks, values) = with_ids(vec![ctx.workspace.into()], ids);
    let after = if tx.backend() == Backend::Postgres { "\"after\"::text" } else { "\"after\"" };
    let sql =
        format!("SELECT record_id, kind, version, {after} FROM change_log WHERE workspace_id = $1 AND record_id IN ({marks}) ORDER BY seq");
    let mut found: HashMap<Uuid, Replayed> = HashMap::new();
    for row in tx.fetch_all(&sql, values).await? {
        let kind = row.text(1)?.unwrap_or_default();
        let record = found.entry(row.uuid(0)?.unwrap_or_default()).or_default();
        if matches!(kind, "LINKED" | "UNLINKED") {
            // Where a reference leads is a change of its record, told as a link.
            record.version = record.version.max(row.int(2)?.unwrap_or(0));
            continue;
        }
        match kind {
            // An id may come again after what had it is gone.
            "CREATED" => *record = Replayed::default(),
            "DELETED" => record.deleted = true,
            "RESTORED" => {
                record.deleted = false;
                // Whatever is there is no part of another record.
                record.values.remove("mergedInto");
            }
            "PURGED" => record.purged = true,
            _ => {}
        }
        record.version = row.int(2)?.unwrap_or(0);
        let after: Map<String, Json> = row.text(3)?.map(serde_json::from_str).transpose()?.unwrap_or_default();
        for (name, value) in after.into_iter().filter(|(name, _)| name != "deletedAt") {
            if is_empty(&value) {
                record.values.remove(&name);
            } else {
                record.values.insert(name, value);
            }
        }
    }
    Ok(found)
}

/// Lists that are empty and lists that were never given are the same.
pub fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
