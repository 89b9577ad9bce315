//! Readers of the change log and their places in it.
//!
//! Each reader has one place per workspace. Whoever reads looks first what follows, and then locks the place, writes that down
//! if the place is still where it was, moves it, and commits all of that at once: so nothing is read twice in effect, and
//! when a process dies its lock is gone with its connection.

use entity::Micros;
use uuid::Uuid;

use crate::infra::db::{Backend, Tx};

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Decides what is delivered to which endpoint.
    Webhooks,
    /// Publishes the log to a broker.
    Streams,
}

impl Reader {
    pub const EVERY: [Self; 2] = [Self::Webhooks, Self::Streams];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhooks => "WEBHOOKS",
            Self::Streams => "STREAMS",
        }
    }
}

/// Where a reader is.
#[derive(Clone, Debug)]
pub struct Place {
    pub seq: i64,
    /// How often what comes next failed.
    pub failures: i64,
    pub retry_at: Micros,
}

/// So often an entry is tried before it is set aside, and how long is waited in between.
const BACKOFF: [i64; 5] = [1, 5, 30, 120, 300];
/// How long is waited for somebody who is away.
const OUTAGE: i64 = 5_000_000;

impl Place {
    /// Whether what comes next is set aside if it fails once more.
    pub fn is_last_try(&self) -> bool {
        usize::try_from(self.failures).is_ok_and(|failures| failures >= BACKOFF.len())
    }
}

/// The longest text of an error that is kept.
const LONGEST: usize = 500;

/// Workspaces in which there is something to read. The transaction is a worker's.
pub async fn waiting(tx: &Tx, reader: Reader, now: Micros) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = "SELECT r.workspace_id FROM log_reader r JOIN log_head h ON h.workspace_id = r.workspace_id \
               WHERE r.reader = $1 AND h.seq > r.seq AND r.retry_at <= $2 ORDER BY r.updated_at LIMIT 1000";
    let rows = tx.fetch_all(sql, vec![reader.as_str().into(), now.0.into()]).await?;
    Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Gives a reader a place at the end of the log, if it has none.
pub async fn open(tx: &Tx, workspace: Uuid, reader: Reader, now: Micros) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO log_reader (workspace_id, reader, seq, failures, retry_at, updated_at) \
               SELECT h.workspace_id, $2, h.seq, 0, 0, $3 FROM log_head h WHERE h.workspace_id = $1 ON CONFLICT DO NOTHING";
    tx.run(sql, vec![workspace.into(), reader.as_str().into(), now.0.into()]).await.map(drop)
}

/// Workspaces in which a reader has no place. The transaction is a worker's.
pub async fn without(tx: &Tx, reader: Reader) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = "SELECT h.workspace_id FROM log_head h WHERE NOT EXISTS \
               (SELECT 1 FROM log_reader r WHERE r.workspace_id = h.workspace_id AND r.reader = $1) LIMIT 1000";
    let rows = tx.fetch_all(sql, vec![reader.as_str().into()]).await?;
    Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Gives a reader a place at the beginning of the log, if it has none.
pub async fn open_at_beginning(tx: &Tx, workspace: Uuid, reader: Reader, now: Micros) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO log_reader (workspace_id, reader, seq, failures, retry_at, updated_at) VALUES ($1, $2, 0, 0, 0, $3) ON CONFLICT DO NOTHING";
    tx.run(sql, vec![workspace.into(), reader.as_str().into(), now.0.into()]).await.map(drop)
}

/// A reader's place; none if it has none.
pub async fn place(tx: &Tx, workspace: Uuid, reader: Reader) -> Result<Option<Place>, sqlx::Error> {
    select(tx, workspace, reader, "").await
}

/// Locks a reader's place; none if somebody else has it, or there is none.
pub async fn lock(tx: &Tx, workspace: Uuid, reader: Reader) -> Result<Option<Place>, sqlx::Error> {
    // SQLite has one writer, and whoever asks here is it.
    select(tx, workspace, reader, if tx.backend() == Backend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" }).await
}

async fn select(tx: &Tx, workspace: Uuid, reader: Reader, lock: &str) -> Result<Option<Place>, sqlx::Error> {
    let sql = format!("SELECT seq, failures, retry_at FROM log_reader WHERE workspace_id = $1 AND reader = $2{lock}");
    let row = tx.fetch_optional(&sql, vec![workspace.into(), reader.as_str().into()]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Place { seq: row.int(0)?.unwrap_or(0), failures: row.int(1)?.unwrap_or(0), retry_at: Micros(row.int(2)?.unwrap_or(0)) }))
}

/// Moves a place, on or back.
pub async fn advance(tx: &Tx, workspace: Uuid, reader: Reader, seq: i64, now: Micros) -> Result<(), sqlx::Error> {
    let sql = "UPDATE log_reader SET seq = $3, failures = 0, retry_at = 0, last_error = NULL, updated_at = $4 \
               WHERE workspace_id = $1 AND reader = $2";
    tx.run(sql, vec![workspace.into(), reader.as_str().into(), seq.into(), now.0.into()]).await.map(drop)
}

/// Notes that a reader cannot go on for now, through no fault of what it reads.
pub async fn wait(tx: &Tx, workspace: Uuid, reader: Reader, why: &str, now: Micros) -> Result<(), sqlx::Error> {
    let sql = "UPDATE log_reader SET retry_at = $3, last_error = $4, updated_at = $5 WHERE workspace_id = $1 AND reader = $2";
    let why: String = why.chars().take(LONGEST).collect();
    let values = vec![workspace.into(), reader.as_str().into(), (now.0 + OUTAGE).into(), why.into(), now.0.into()];
    tx.run(sql, values).await.map(drop)
}

/// Notes that an entry failed; when it did so often enough it is set aside and the place is moved past it.
pub async fn fail(tx: &Tx, workspace: Uuid, reader: Reader, (seq, why): (i64, &str), now: Micros) -> Result<(), sqlx::Error> {
    let Some(place) = lock(tx, workspace, reader).await? else { return Ok(()) };
    if place.seq >= seq {
        return Ok(());
    }
    let why: String = why.chars().take(LONGEST).collect();
    let of = || vec![workspace.into(), reader.as_str().into()];
    let failures = place.failures + 1;
    let Some(wait) = usize::try_from(place.failures).ok().and_then(|n| BACKOFF.get(n)) else {
        let sql = "INSERT INTO log_failure (workspace_id, reader, seq, error, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let mut values = of();
        values.extend([seq.into(), why.into(), now.0.into()]);
        tx.run(sql, values).await?;
        return advance(tx, workspace, reader, seq, now).await;
    };
    let sql =
        "UPDATE log_reader SET failures = $3, retry_at = $4, last_error = $5, updated_at = $6 WHERE workspace_id = $1 AND reader = $2";
    let mut values = of();
    values.extend([failures.into(), (now.0 + wait * 1_000_000).into(), why.into(), now.0.into()]);
    tx.run(sql, values).await.map(drop)
}
