//! How a reader of the log goes on: batch by batch, each committed with what follows from it.

use std::sync::Arc;

use uuid::Uuid;

use super::{Entry, read};
use crate::error::Result;
use crate::infra::clock::Clock;
use crate::infra::db::{Db, Mode, Scope, Tx};
use crate::platform::readers::{self, Place, Reader};

/// Entries that are read together.
const BATCH: usize = 500;

/// What somebody does with entries of the log: first looks what follows from them, which may take a while, and then writes
/// that down in the transaction that moves the place.
pub trait Handler: Sync {
    /// What follows from entries.
    type Found: Send;

    /// The place says how often these entries failed before.
    fn look(&self, workspace: Uuid, place: &Place, entries: &[Arc<Entry>]) -> impl Future<Output = Result<Look<Self::Found>>> + Send;

    fn write(&self, tx: &Tx, workspace: Uuid, found: Self::Found) -> impl Future<Output = Result<()>> + Send;
}

/// What came of looking.
pub enum Look<T> {
    Found(T),
    /// Whoever is needed for it is away: it is no fault of the entries, and none of them is ever set aside for it.
    Later(String),
}

/// Reads on; whether there may be more. What fails is tried again later, one entry at a time, and set aside in the end.
pub async fn step(db: &Db, clock: &Clock, (reader, workspace): (Reader, Uuid), handler: &impl Handler) -> Result<bool> {
    match batch(db, clock, (reader, workspace), handler, BATCH).await {
        Ok(read) => Ok(read == BATCH),
        Err(Stuck { later: true, why, .. }) => {
            tracing::warn!("{} waits in workspace {workspace}: {why}", reader.as_str());
            let tx = db.begin(&Scope::workspace(workspace), Mode::Write).await?;
            readers::wait(&tx, workspace, reader, &why, clock.now()).await?;
            tx.commit().await?;
            Ok(false)
        }
        Err(_) => loop {
            // Which of them is it?
            match batch(db, clock, (reader, workspace), handler, 1).await {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Stuck { at, why, .. }) => {
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
    /// Whether it is no fault of the entry.
    later: bool,
}

/// Handles some entries; how many. Others are looked at meanwhile by whoever wants to: the first who writes has moved the
/// place, and the others have nothing to write.
async fn batch(
    db: &Db,
    clock: &Clock,
    (reader, workspace): (Reader, Uuid),
    handler: &impl Handler,
    most: usize,
) -> std::result::Result<usize, Stuck> {
    let mut at = 0;
    let looked = async {
        let tx = db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let Some(place) = readers::place(&tx, workspace, reader).await? else { return Ok(None) };
        if place.retry_at > clock.now() {
            return Ok(None);
        }
        let entries: Vec<Arc<Entry>> = read(&tx, workspace, place.seq, most).await?.into_iter().map(Arc::new).collect();
        tx.commit().await?;
        let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(None) };
        at = place.seq + 1;
        let found = handler.look(workspace, &place, &entries).await?;
        Ok(Some((place, last, entries.len(), found)))
    };
    let looked: Result<_> = looked.await;
    let stuck = |at: i64, why: String| Stuck { at, why, later: false };
    let Some((place, last, count, found)) = looked.map_err(|error| stuck(at, error.to_string()))? else { return Ok(0) };
    let found = match found {
        Look::Found(found) => found,
        Look::Later(why) => return Err(Stuck { at, why, later: true }),
    };
    let tx = db.begin(&Scope::workspace(workspace), Mode::Write).await.map_err(|error| stuck(0, error.to_string()))?;
    let written = async {
        match readers::lock(&tx, workspace, reader).await? {
            Some(now) if now.seq == place.seq => {}
            _ => return Ok(0),
        }
        handler.write(&tx, workspace, found).await?;
        readers::advance(&tx, workspace, reader, last, clock.now()).await?;
        Ok(count)
    };
    let written: Result<usize> = written.await;
    match written {
        Ok(count) => tx.commit().await.map(|()| count).map_err(|error| stuck(at, error.to_string())),
        Err(error) => {
            // The lock is given back before the failure is noted.
            let _ = tx.rollback().await;
            Err(stuck(at, error.to_string()))
        }
    }
}
