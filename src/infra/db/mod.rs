//! The database: pools, and transactions that know for whom they run.
//!
//! There is no way to a row but a [`Tx`], and no `Tx` without a [`Scope`]: on PostgreSQL the scope
//! becomes settings of the transaction, which the row-level policies read. Begin and settings
//! share one round trip. SeaORM's entities and hand-made SQL run in the same transaction, because
//! a `Tx` is also a SeaORM connection.

mod deadline;
mod lease;
mod pool;
mod positional;
mod replica;
mod row;
mod sqlite_functions;
mod statistics;
mod tx;

pub use pool::{Db, DbSettings, Unfit};
pub use replica::{Replica, Standing};
pub use row::Row;
pub use sea_orm::Value;
pub use statistics::Statistics;
pub use tx::{Mode, Rows, Scope, Tx, Within};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Whether trying the whole transaction again may help: a deadlock (SQLSTATE 40P01), a serialization
/// failure (40001), or a uniqueness rule that somebody else's commit broke in between.
pub fn wants_retry(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    error.is_unique_violation() || error.code().is_some_and(|code| code == "40001" || code == "40P01")
}

/// Whether the database has no room to write.
pub fn is_full(error: &sqlx::Error) -> bool {
    // 53100: disk_full; 13: SQLITE_FULL.
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "53100" || code == "13")
}

/// Whether the database gave up because the statement's time was over.
pub fn is_timeout(error: &sqlx::Error) -> bool {
    // 57014: query_canceled; 9: SQLITE_INTERRUPT.
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "57014" || code == "9")
}

/// Whether the database cannot be reached, or takes nobody on.
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // 08: connection exceptions; 57P01 to 57P03: it shuts down or starts; 53300: it has no connection left.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P0") || code == "53300")
        }
        _ => false,
    }
}
