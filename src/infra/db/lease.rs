//! Connections, lent for one transaction each.
//!
//! sqlx's pool opens and bounds the connections. It also asks a connection, each time it is given
//! back, whether it still lives: one more round trip and one more task for every request. So idle
//! connections stay here, and only those whose transaction did not end well go back to sqlx, to be
//! closed. Whoever finds an idle connection dead takes the next one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::deadline::{Deadline, Watched};

/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many dead connections are passed over, one after the other, before it is given up.
const MOST_DEAD: usize = 2_000;

/// Whether a connection was lost, as far as an error tells: the database was restarted, or a proxy in between cut it. Nothing
/// was done on it yet. That none can be opened is another matter, and is told at once.
fn is_lost(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind;
    match error {
        sqlx::Error::Io(error) => {
            matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            )
        }
        // An administrator, or a crash, ended it.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

pub(super) struct Home<DB: Watched> {
    pool: Pool<DB>,
    idle: Mutex<Vec<Held<DB>>>,
    /// How long a statement may run.
    timeout: Duration,
    /// As many as there are connections to lend: whoever has one finds one idle, or may open one.
    permits: Arc<Semaphore>,
}

/// An open connection, and what it takes to end its statement.
struct Held<DB: Watched> {
    connection: PoolConnection<DB>,
    deadline: Deadline,
    /// What names it to the database.
    name: i32,
}

/// A connection in a transaction.
pub(super) struct Lease<DB: Watched> {
    held: Option<Held<DB>>,
    home: Arc<Home<DB>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<DB: Watched> Home<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// Lends so many connections of a pool; what it has beyond is for what is no transaction.
    pub fn new(pool: Pool<DB>, timeout: Duration, size: u32) -> Arc<Self> {
        let size = usize::try_from(size).unwrap_or(1);
        Arc::new(Self { pool, idle: Mutex::default(), timeout, permits: Arc::new(Semaphore::new(size)) })
    }

    pub fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// Begins a transaction with these statements, in one round trip.
    pub async fn begin(self: &Arc<Self>, sql: &str) -> Result<Lease<DB>, sqlx::Error> {
        let waiting = tokio::time::timeout(PATIENCE, self.permits.clone().acquire_owned()).await;
        let mut permit = Some(waiting.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?);
        // sqlx may lend one that died while nobody used it, too: as many as there can be.
        for _ in 0..MOST_DEAD {
            let (held, ours) = match self.take_idle() {
                Some(idle) => (idle, true),
                None => match self.open().await {
                    Ok(held) => (held, false),
                    Err(error) if is_lost(&error) => continue,
                    Err(error) => return Err(error),
                },
            };
            // A lease from the start: whoever is dropped while it begins leaves nothing begun behind.
            let mut lease = Lease { held: Some(held), home: self.clone(), permit: permit.take() };
            match sqlx::raw_sql(AssertSqlSafe(sql)).execute(lease.connection()?).await {
                Ok(_) => return Ok(lease),
                Err(error) => {
                    permit = lease.permit.take();
                    lease.discard();
                    if !ours && !is_lost(&error) {
                        return Err(error);
                    }
                }
            }
        }
        Err(sqlx::Error::PoolTimedOut)
    }

    /// A connection of the pool, watched.
    async fn open(&self) -> Result<Held<DB>, sqlx::Error> {
        let (mut connection, deadline) = (self.pool.acquire().await?, Deadline::new(self.timeout));
        match DB::watch(&mut connection, &deadline).await {
            Ok(name) => Ok(Held { connection, deadline, name }),
            Err(error) => {
                connection.close_on_drop();
                Err(error)
            }
        }
    }

    fn take_idle(&self) -> Option<Held<DB>> {
        if self.pool.is_closed() {
            return None;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub async fn close(&self) {
        // From now on it is closed: what is given back is not kept.
        let closing = self.pool.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for held in idle {
            // What cannot be closed politely is gone already.
            let _ = held.connection.detach().close().await;
        }
        closing.await;
    }
}

impl<DB: Watched> Lease<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// The connection, for one statement: its time begins now.
    pub fn connection(&mut self) -> Result<&mut DB::Connection, sqlx::Error> {
        let held = self.held.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        held.deadline.start();
        Ok(&mut held.connection)
    }

    /// Closes the connection, on which nothing was begun.
    fn discard(mut self) {
        if let Some(mut held) = self.held.take() {
            held.connection.close_on_drop();
        }
    }

    /// Ends the transaction with `COMMIT` or `ROLLBACK` and gives the connection back.
    pub async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(self.connection()?).await?;
        if let Some(held) = self.held.take()
            && !self.home.pool.is_closed()
        {
            self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        }
        Ok(())
    }
}

impl<DB: Watched> Drop for Lease<DB> {
    /// Not ended: nobody knows what the connection is doing. The database rolls back when it closes, and what it still does
    /// for whoever hung up is ended.
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        held.deadline.cancel();
        held.connection.close_on_drop();
        let (pool, name) = (self.home.pool.clone(), held.name);
        drop(held);
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !pool.is_closed()
        {
            runtime.spawn(async move {
                if let Err(error) = DB::cancel(pool, name).await {
                    tracing::debug!("a statement that nobody waits for could not be ended: {error}");
                }
            });
        }
    }
}
