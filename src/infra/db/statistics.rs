//! Fresh statistics while a database fills up.
//!
//! PostgreSQL takes statistics of a table when much of it has changed, but looks for such tables once a minute
//! only. Until then it takes a table that just got a thousand rows for an empty one, and plans hops from table to
//! table so badly that they do not end. So whoever writes counts, and has statistics taken when the count has
//! doubled; beyond [`ENOUGH`] rows PostgreSQL's own pace does. SQLite takes none by itself but when a connection is
//! closed, and a server has its connections open for months.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Backend, Db, Mode, Scope};

/// Rows written at which statistics are taken first.
const FIRST: u64 = 128;
/// Rows written after which they are not taken from here any more.
const ENOUGH: u64 = 100_000;

#[derive(Clone, Debug)]
pub struct Statistics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    written: AtomicU64,
    /// How many must have been written for statistics to be taken again.
    due: AtomicU64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self(Arc::new(Counts { written: AtomicU64::new(0), due: AtomicU64::new(FIRST) }))
    }
}

impl Statistics {
    /// Notes rows that were written and committed. What follows runs by itself.
    pub fn count(&self, db: &Db, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let written = self.0.written.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        let due = self.0.due.load(Ordering::Relaxed);
        if written < due || due > ENOUGH {
            return;
        }
        if self.0.due.compare_exchange(due, written.saturating_mul(2), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let db = db.clone();
            tokio::spawn(async move {
                if let Err(error) = take(&db).await {
                    tracing::warn!("statistics could not be taken: {error}");
                }
            });
        }
    }
}

async fn take(db: &Db) -> Result<(), sqlx::Error> {
    let tx = db.begin(&Scope::default(), Mode::Write).await?;
    match db.backend() {
        Backend::Postgres => drop(tx.run("SELECT kith_analyze()", Vec::new()).await?),
        Backend::Sqlite => {
            // A sample of each index. Other connections read the statistics when the schema changes, so it does.
            for sql in
                ["PRAGMA analysis_limit = 400", "ANALYZE", "CREATE TABLE statistics_taken (at INTEGER)", "DROP TABLE statistics_taken"]
            {
                tx.run(sql, Vec::new()).await?;
            }
        }
    }
    tx.commit().await
}
