//! Whether a workspace's tables are what its change log says: the log is replayed, record by record and field by field.
//!
//! What is compared: the log itself (numbers without gaps), records with their values, versions and deletion ([`Replayed`]),
//! what the table of all records repeats of them, natural keys, what search knows, links ([`mod@links`]), and running totals. For whoever restored
//! a backup, or doubts a disk.

mod links;
mod replay;
mod totals;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use self::replay::Replayed;
use super::search::Entry;
use super::write::draft::object_keys;
use super::write::state::{self, Loaded, State};
use crate::catalog::{Catalog, Object};
use crate::error::Result;
use crate::infra::db::{Backend, Tx, Value};
use crate::platform::Ctx;

/// Records that are compared together.
const BATCH: usize = 500;
/// Faults that are told; the others are counted.
const TOLD: usize = 100;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    pub entries: i64,
    pub records: usize,
    pub links: usize,
    /// How many things are not as the log says.
    pub faults: usize,
    /// The first of them, in words.
    pub told: Vec<String>,
}

impl Report {
    fn fault(&mut self, what: impl FnOnce() -> String) {
        self.faults += 1;
        if self.told.len() < TOLD {
            self.told.push(what());
        }
    }
}

/// Compares everything. The transaction sees all of the workspace, as of one instant.
pub async fn verify(tx: &Tx, ctx: &Ctx, catalog: &Catalog) -> Result<Report> {
    let mut report = Report::default();
    check_numbers(tx, ctx, &mut report).await?;
    for object in catalog.objects() {
        let mut after = Uuid::nil();
        loop {
            let ids = page(tx, ctx, object, after).await?;
            let Some(last) = ids.last() else { break };
            after = *last;
            compare(tx, ctx, object, &ids, &mut report).await?;
        }
    }
    check_spine(tx, ctx, catalog, &mut report).await?;
    check_missing(tx, ctx, &mut report).await?;
    links::compare(tx, ctx, catalog, &mut report).await?;
    totals::compare(tx, ctx, catalog, &mut report).await?;
    Ok(report)
}

/// The log's numbers: 1 to the last, each once (the table sees to that).
async fn check_numbers(tx: &Tx, ctx: &Ctx, report: &mut Report) -> Result<()> {
    let sql = "SELECT (SELECT count(*) FROM change_log WHERE workspace_id = $1), (SELECT coalesce(max(seq), 0) FROM change_log WHERE workspace_id = $1), \
               (SELECT seq FROM log_head WHERE workspace_id = $1)";
    let Some(row) = tx.fetch_optional(sql, vec![ctx.workspace.into()]).await? else { return Ok(()) };
    let (count, last, head) = (row.int(0)?.unwrap_or(0), row.int(1)?.unwrap_or(0), row.int(2)?.unwrap_or(0));
    report.entries = count;
    if count != last || last != head {
        report.fault(|| format!("the log has {count} entries, the last is number {last}, and the next would be {}", head + 1));
    }
    Ok(())
}

/// Records of an object, in the order of ids.
async fn page(tx: &Tx, ctx: &Ctx, object: &Object, after: Uuid) -> Result<Vec<Uuid>> {
    let sql = format!("SELECT t.id FROM {} t WHERE t.workspace_id = $1 AND t.id > $2 ORDER BY t.id LIMIT {BATCH}", object.rows());
    let rows = tx.fetch_all(&sql, vec![ctx.workspace.into(), after.into()]).await?;
    Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Records that the log has and the tables do not.
async fn check_missing(tx: &Tx, ctx: &Ctx, report: &mut Report) -> Result<()> {
    let sql = format!(
        "SELECT c.record_id, c.object FROM change_log c WHERE c.workspace_id = $1 AND c.kind = 'CREATED' \
         AND NOT EXISTS (SELECT 1 FROM record r WHERE r.workspace_id = $1 AND r.id = c.record_id) \
         AND NOT EXISTS (SELECT 1 FROM change_log p WHERE p.workspace_id = $1 AND p.record_id = c.record_id AND p.kind = 'PURGED' AND p.seq > c.seq) \
         LIMIT {TOLD}"
    );
    for row in tx.fetch_all(&sql, vec![ctx.workspace.into()]).await? {
        let (id, object) = (row.uuid(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default());
        report.fault(|| format!("{object} {id}: the log has it, the tables do not"));
    }
    Ok(())
}

async fn compare(tx: &Tx, ctx: &Ctx, object: &Object, ids: &[Uuid], report: &mut Report) -> Result<()> {
    let replayed = replay::records(tx, ctx, ids).await?;
    let loaded = state::load(tx, ctx, object, ids, false).await?;
    let loaded: HashMap<Uuid, Loaded> = loaded.into_iter().map(|loaded| (loaded.id, loaded)).collect();
    let merged = merged(tx, ctx, ids).await?;
    let keys = keys(tx, ctx, ids).await?;
    let entries = entries(tx, ctx, ids).await?;
    for id in ids {
        let here = |what: &str| format!("{} {id}: {what}", object.name);
        // Gone since the page was read: there is no such thing in one snapshot.
        let Some(is) = loaded.get(id) else { continue };
        report.records += 1;
        match replayed.get(id).filter(|then| !then.purged) {
            None => report.fault(|| here("the tables have it, the log does not")),
            Some(then) => {
                for what in differences(object, then, is, merged.get(id)) {
                    report.fault(|| here(&what));
                }
            }
        }
        let wanted: BTreeSet<(String, String)> = match is.deleted {
            true => BTreeSet::new(),
            false => object_keys(object, &is.state).into_iter().map(|key| (key.name, key.value)).collect(),
        };
        if keys.get(id).cloned().unwrap_or_default() != wanted {
            report.fault(|| here("its natural keys are not those of its values"));
        }
        let wanted = (!is.deleted).then(|| Entry::of(ctx.workspace, object, &is.state));
        match (entries.get(id), &wanted) {
            (Some((_, true)), Some(_)) => {}
            (found, wanted) if found.map(|(entry, _)| entry) == wanted.as_ref() => {}
            _ => report.fault(|| here("what search knows of it is not what it holds")),
        }
    }
    Ok(())
}

/// What of a record is not as the log says.
fn differences(object: &Object, then: &Replayed, is: &Loaded, merged_into: Option<&Uuid>) -> Vec<String> {
    let mut found = Vec::new();
    if then.version != is.version {
        found.push(format!("its version is {}, by the log {}", is.version, then.version));
    }
    if then.deleted != is.deleted {
        found.push(format!(
            "it is {}deleted, by the log {}",
            if is.deleted { "" } else { "not " },
            if then.deleted { "it is" } else { "not" }
        ));
    }
    let mut now = logged(object, &is.state);
    if let Some(survivor) = merged_into {
        now.insert("mergedInto".to_owned(), serde_json::json!(survivor));
    }
    for name in now.keys().chain(then.values.keys()).collect::<BTreeSet<_>>() {
        let (now, then) = (now.get(name), then.values.get(name));
        if now != then {
            // Values may be personal: it is not said what they are.
            found.push(format!("`{name}` is not what the log says"));
        }
    }
    found
}

/// A state's members by the names that they have in the log; what is empty is left out.
fn logged(object: &Object, state: &State) -> BTreeMap<String, serde_json::Value> {
    let own = state.get("custom").and_then(serde_json::Value::as_object);
    let own = own.into_iter().flatten().map(|(name, value)| (object.logged_name(name), value));
    let plain = state.iter().filter(|(name, _)| *name != "custom").map(|(name, value)| (name.clone(), value));
    plain.chain(own).filter(|(_, value)| !replay::is_empty(value)).map(|(name, value)| (name, value.clone())).collect()
}

/// What stands of each record in the table of all: its object, and whose it is.
async fn check_spine(tx: &Tx, ctx: &Ctx, catalog: &Catalog, report: &mut Report) -> Result<()> {
    for object in catalog.objects() {
        let same = |name: &str| match object.relations.values().any(|relation| relation.to_one().is_some() && relation.name == name) {
            true => format!(" AND r.{name}_id IS NOT DISTINCT FROM t.{name}_id"),
            false => String::new(),
        };
        let same = format!("{}{}", same("owner"), same("territory"));
        // SQLite knows IS, PostgreSQL does not.
        let same = if tx.backend() == Backend::Sqlite { same.replace("IS NOT DISTINCT FROM", "IS") } else { same };
        let sql = format!(
            "SELECT t.id FROM {} t WHERE t.workspace_id = $1 AND NOT EXISTS (SELECT 1 FROM record r WHERE r.workspace_id = $1 AND r.id = t.id \
             AND r.object = $2{same}) LIMIT {TOLD}",
            object.rows()
        );
        let sql_of_rest = format!(
            "SELECT r.id FROM record r WHERE r.workspace_id = $1 AND r.object = $2 AND NOT EXISTS (SELECT 1 FROM {} t WHERE t.workspace_id = $1 \
             AND t.id = r.id) LIMIT {TOLD}",
            object.rows()
        );
        for sql in [sql, sql_of_rest] {
            for row in tx.fetch_all(&sql, vec![ctx.workspace.into(), object.name.clone().into()]).await? {
                let id = row.uuid(0)?.unwrap_or_default();
                report.fault(|| format!("{} {id}: the table of all records tells something else of it", object.name));
            }
        }
    }
    Ok(())
}

/// Names of parameters for some ids, which follow after others; and all values.
fn with_ids(others: Vec<Value>, ids: &[Uuid]) -> (String, Vec<Value>) {
    let marks: Vec<String> = (others.len() + 1..=others.len() + ids.len()).map(|n| format!("${n}")).collect();
    (marks.join(", "), others.into_iter().chain(ids.iter().map(|id| (*id).into())).collect())
}

/// What merged records became part of.
async fn merged(tx: &Tx, ctx: &Ctx, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>> {
    let (marks, values) = with_ids(vec![ctx.workspace.into()], ids);
    let sql = format!("SELECT id, merged_into FROM record WHERE workspace_id = $1 AND id IN ({marks}) AND merged_into IS NOT NULL");
    let rows = tx.fetch_all(&sql, values).await?;
    let pairs = rows.iter().map(|row| Ok(row.uuid(0)?.zip(row.uuid(1)?)));
    Ok(pairs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

async fn keys(tx: &Tx, ctx: &Ctx, ids: &[Uuid]) -> Result<HashMap<Uuid, BTreeSet<(String, String)>>> {
    let (marks, values) = with_ids(vec![ctx.workspace.into()], ids);
    let sql = format!("SELECT record_id, key, value FROM record_key WHERE workspace_id = $1 AND record_id IN ({marks})");
    let mut found: HashMap<Uuid, BTreeSet<_>> = HashMap::new();
    for row in tx.fetch_all(&sql, values).await? {
        let key = (row.text(1)?.unwrap_or_default().to_owned(), row.text(2)?.unwrap_or_default().to_owned());
        found.entry(row.uuid(0)?.unwrap_or_default()).or_default().insert(key);
    }
    Ok(found)
}

/// What search knows, and whether it is to be made anew.
async fn entries(tx: &Tx, ctx: &Ctx, ids: &[Uuid]) -> Result<HashMap<Uuid, (Entry, bool)>> {
    let (marks, values) = with_ids(vec![ctx.workspace.into()], ids);
    let sql = format!("SELECT record_id, title, words, stale FROM search_entry WHERE workspace_id = $1 AND record_id IN ({marks})");
    let mut found = HashMap::new();
    for row in tx.fetch_all(&sql, values).await? {
        let entry = Entry { title: row.text(1)?.unwrap_or_default().to_owned(), words: row.text(2)?.unwrap_or_default().to_owned() };
        found.insert(row.uuid(0)?.unwrap_or_default(), (entry, row.bool(3)?.unwrap_or(false)));
    }
    Ok(found)
}
