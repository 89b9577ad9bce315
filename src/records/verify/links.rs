//! Links as the log makes them. It tells of a link at the record that was written, which may be either end.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::Report;
use crate::catalog::{Catalog, Object, Via};
use crate::error::Result;
use crate::infra::db::{Backend, Tx};
use crate::platform::Ctx;

/// Entries and links that are read together.
const BATCH: i64 = 5_000;

/// Kind, from, to.
type Link = (String, Uuid, Uuid);

pub async fn compare(tx: &Tx, ctx: &Ctx, catalog: &Catalog, report: &mut Report) -> Result<()> {
    let mut then = replayed(tx, ctx, catalog).await?;
    let mut after: Link = (String::new(), Uuid::nil(), Uuid::nil());
    loop {
        let sql = format!(
            "SELECT kind, from_id, to_id FROM record_link WHERE workspace_id = $1 AND (kind, from_id, to_id) > ($2, $3, $4) \
             ORDER BY kind, from_id, to_id LIMIT {BATCH}"
        );
        let values = vec![ctx.workspace.into(), after.0.clone().into(), after.1.into(), after.2.into()];
        let rows = tx.fetch_all(&sql, values).await?;
        for row in &rows {
            after = (row.text(0)?.unwrap_or_default().to_owned(), row.uuid(1)?.unwrap_or_default(), row.uuid(2)?.unwrap_or_default());
            report.links += 1;
            if !then.remove(&after) {
                report.fault(|| format!("the tables have a link `{}` from {} to {}, the log does not", after.0, after.1, after.2));
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    for (kind, from, to) in then {
        report.fault(|| format!("the log has a link `{kind}` from {from} to {to}, the tables do not"));
    }
    Ok(())
}

async fn replayed(tx: &Tx, ctx: &Ctx, catalog: &Catalog) -> Result<BTreeSet<Link>> {
    let mut links = BTreeSet::new();
    let mut after = 0;
    let side = |name: &str| if tx.backend() == Backend::Postgres { format!("\"{name}\"::text") } else { format!("\"{name}\"") };
    let sql = format!(
        "SELECT seq, object, record_id, kind, {}, {} FROM change_log WHERE workspace_id = $1 AND seq > $2 \
         AND kind IN ('LINKED', 'UNLINKED', 'PURGED') ORDER BY seq LIMIT {BATCH}",
        side("before"),
        side("after")
    );
    loop {
        let rows = tx.fetch_all(&sql, vec![ctx.workspace.into(), after.into()]).await?;
        for row in &rows {
            after = row.int(0)?.unwrap_or(0);
            let record = row.uuid(2)?.unwrap_or_default();
            let kind = row.text(3)?.unwrap_or_default();
            if kind == "PURGED" {
                links.retain(|(_, from, to)| *from != record && *to != record);
                continue;
            }
            let Some(object) = catalog.find(row.text(1)?.unwrap_or_default()) else { continue };
            let side: Map<String, Json> =
                row.text(if kind == "LINKED" { 5 } else { 4 })?.map(serde_json::from_str).transpose()?.unwrap_or_default();
            for (relation, link) in &side {
                let Some(link) = of(object, record, relation, link) else { continue };
                if kind == "LINKED" {
                    links.insert(link)
                } else {
                    links.remove(&link)
                };
            }
        }
        if rows.is_empty() {
            return Ok(links);
        }
    }
}

/// The link that an entry tells of.
fn of(object: &Object, record: Uuid, relation: &str, link: &Json) -> Option<Link> {
    let relation = object.relations.values().find(|known| known.access_name() == relation || known.name == relation)?;
    let Via::Link { kind, from } = &relation.via else { return None };
    let other: Uuid = link["id"].as_str()?.parse().ok()?;
    Some(if *from { (kind.to_string(), record, other) } else { (kind.to_string(), other, record) })
}
