//! Making entries anew whose words are out of date: a field was made searchable or not, an option was renamed, another
//! field became the title, or the words themselves were changed by a new version.

use uuid::Uuid;

use super::entry::Entry;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::{Backend, Tx};
use crate::platform::Ctx;
use crate::records::write::state;

/// Entries that are made anew in one transaction.
const BATCH: usize = 200;

/// Says that what search knows of an object's records is out of date.
pub async fn mark_stale(tx: &Tx, workspace: Uuid, object: &str) -> Result<()> {
    let sql = "UPDATE search_entry SET stale = TRUE WHERE workspace_id = $1 AND object = $2";
    tx.run(sql, vec![workspace.into(), object.into()]).await?;
    Ok(())
}

/// Whether some entries of a workspace are out of date.
pub async fn is_due(tx: &Tx, workspace: Uuid) -> Result<bool> {
    let sql = "SELECT record_id FROM search_entry WHERE workspace_id = $1 AND stale LIMIT 1";
    Ok(tx.fetch_optional(sql, vec![workspace.into()]).await?.is_some())
}

/// Makes some entries anew; tells whether there may be more.
pub async fn refresh(tx: &Tx, ctx: &Ctx, catalog: &Catalog) -> Result<bool> {
    let lock = if tx.backend() == Backend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql =
        format!("SELECT record_id, object FROM search_entry WHERE workspace_id = $1 AND stale ORDER BY record_id LIMIT {BATCH}{lock}");
    let mut due: Vec<(Uuid, String)> = Vec::new();
    for row in tx.fetch_all(&sql, vec![ctx.workspace.into()]).await? {
        due.push((row.uuid(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default().to_owned()));
    }
    let more = due.len() == BATCH;
    while let Some((_, name)) = due.first() {
        let name = name.clone();
        let (these, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, object)| *object == name);
        due = others;
        let ids: Vec<Uuid> = these.into_iter().map(|(id, _)| id).collect();
        let Some(object) = catalog.find(&name) else {
            // Not an object of this version: another one made it.
            for id in ids {
                write(tx, ctx, id, None).await?;
            }
            continue;
        };
        let loaded = state::load(tx, ctx, object, &ids, true).await?;
        for id in ids {
            let state = loaded.iter().find(|loaded| loaded.id == id).map(|loaded| &loaded.state);
            write(tx, ctx, id, state.map(|state| Entry::of(ctx.workspace, object, state))).await?;
        }
    }
    Ok(more)
}

async fn write(tx: &Tx, ctx: &Ctx, id: Uuid, entry: Option<Entry>) -> Result<()> {
    match entry {
        Some(Entry { title, words }) => {
            let sql = "UPDATE search_entry SET title = $3, words = $4, stale = FALSE WHERE workspace_id = $1 AND record_id = $2";
            tx.run(sql, vec![ctx.workspace.into(), id.into(), title.into(), words.into()]).await?;
        }
        None => {
            let sql = "UPDATE search_entry SET stale = FALSE WHERE workspace_id = $1 AND record_id = $2";
            tx.run(sql, vec![ctx.workspace.into(), id.into()]).await?;
        }
    }
    Ok(())
}
