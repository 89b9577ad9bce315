//! How a reader of the log goes on: batch by batch, each committed with what follows from it.

use std::sync::Arc;

use uuid::Uuid;

use super::{Entry, read};
use crate::error::Result;
use crate::infra::clock::Clock;
use crate::infra::db::{Db, Mode, Scope, Tx};
use crate::platform::readers::{self, Reader};

/// Entries that are read together.
const BATCH: usize = 500;

/// What somebody does with entries of the log, which come after a place, within the transaction that moves the place.
pub trait Handler: Sync {
    fn handle(&self, tx: &Tx, workspace: Uuid, after: i64, entries: &[Arc<Entry>]) -> impl Future<Output = Result<()>> + Send;
}

/// Reads on; whether there may be more. What fails is tried again later, one entry at a time, and set aside in the end.
pub async fn step(db: &Db, clock: &Clock, (reader, workspace): (Reader, Uuid), handler: &impl Handler) -> Result<bool> {
    match batch(db, clock, (reader, workspace), handler, BATCH).await {
        Ok(read) => Ok(read == BATCH),
        Err(_) => loop {
            // Which of them is it?
            match batch(db, clock, (reader, workspace), handler, 1).await {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Stuck { at, why }) => {
                    tracing::warn!("{} cannot go on past entry {at} of workspace {workspace}: {why}", reader.as_str());
                    let tx = db.begin(&Scope::workspace(workspace), Mode::Write).await?;
                    readers::fail(&tx, workspace, reader, (at, &why), clock.now()).await?;
                    tx.commit().await?;
                    return Ok(false);
                }
            }
        },
    }
}

/// Why the entry after a place could not be handled.
struct Stuck {
    at: i64,
    why: String,
}

async fn batch(
    db: &Db,
    clock: &Clock,
    (reader, workspace): (Reader, Uuid),
    handler: &impl Handler,
    most: usize,
) -> std::result::Result<usize, Stuck> {
    let mut at = 0;
    let lost = |error: sqlx::Error| Stuck { at: 0, why: error.to_string() };
    let tx = db.begin(&Scope::workspace(workspace), Mode::Write).await.map_err(lost)?;
    let done = async {
        let Some(place) = readers::lock(&tx, workspace, reader).await? else { return Ok(0) };
        at = place.seq + 1;
        if place.retry_at > clock.now() {
            return Ok(0);
        }
        let entries: Vec<Arc<Entry>> = read(&tx, workspace, place.seq, most).await?.into_iter().map(Arc::new).collect();
        let Some(last) = entries.last() else { return Ok(0) };
        handler.handle(&tx, workspace, place.seq, &entries).await?;
        readers::advance(&tx, workspace, reader, last.seq, clock.now()).await?;
        Ok(entries.len())
    };
    let done: Result<usize> = done.await;
    match done {
        Ok(read) => tx.commit().await.map(|()| read).map_err(|error| Stuck { at, why: error.to_string() }),
        Err(error) => {
            // The lock is given back before the failure is noted.
            let _ = tx.rollback().await;
            Err(Stuck { at, why: error.to_string() })
        }
    }
}
