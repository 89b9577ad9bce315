//! How long a statement may run on SQLite, which has no such setting of its own.
//!
//! PostgreSQL is told once per connection (`statement_timeout`). SQLite asks a handler every so many
//! steps of its machine whether to go on: the handler looks at the statement's deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Database, Pool, Postgres, Sqlite};

/// Steps between two looks at the clock: well under a millisecond of work.
const STEPS: i32 = 20_000;

/// When the statement that runs now must be done.
#[derive(Clone)]
pub(super) struct Deadline {
    origin: Instant,
    timeout: Duration,
    /// Milliseconds after the origin.
    until: Arc<AtomicU64>,
}

impl Deadline {
    pub fn new(timeout: Duration) -> Self {
        Self { origin: Instant::now(), timeout, until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// A statement begins.
    pub fn start(&self) {
        let until = u64::try_from((self.origin.elapsed() + self.timeout).as_millis()).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::Relaxed);
    }

    /// Nobody waits for the statement any more.
    pub fn cancel(&self) {
        self.until.store(0, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.origin.elapsed().as_millis() > u128::from(self.until.load(Ordering::Relaxed))
    }
}

/// A database whose fresh connections may have to be watched.
pub(super) trait Watched: Database {
    /// Has a fresh connection watched; gives what names it to the database.
    fn watch(connection: &mut Self::Connection, deadline: &Deadline) -> impl Future<Output = Result<i32, sqlx::Error>> + Send;

    /// Ends the statement of a connection that was given up, which the database would not notice before it has an answer.
    fn cancel(pool: Pool<Self>, name: i32) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

impl Watched for Postgres {
    async fn watch(connection: &mut Self::Connection, _: &Deadline) -> Result<i32, sqlx::Error> {
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
    }

    async fn cancel(pool: Pool<Self>, name: i32) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT pg_cancel_backend($1)").bind(name).execute(&pool).await.map(drop)
    }
}

impl Watched for Sqlite {
    async fn watch(connection: &mut Self::Connection, deadline: &Deadline) -> Result<i32, sqlx::Error> {
        let deadline = deadline.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !deadline.is_over());
        Ok(0)
    }

    /// The progress handler has ended it.
    async fn cancel(_: Pool<Self>, _: i32) -> Result<(), sqlx::Error> {
        Ok(())
    }
}
