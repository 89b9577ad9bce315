//! Connections, and what a database must be before Kith serves from it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

use super::lease::Home;
use super::tx::{Mode, Scope, Tx};
use super::{Backend, sqlite_functions};
use crate::infra::signals::Signals;

/// Which database, and how many connections to it.
#[derive(Clone)]
pub struct DbSettings {
    pub url: String,
    pub max_connections: u32,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// Those that run longer stand in the log.
    pub slow: Duration,
}

/// Connections to PostgreSQL besides those that are lent: to hear of other nodes, to tell them, to end statements.
const BESIDE: u32 = 3;

/// Why a database cannot be served from, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

#[derive(Clone)]
pub struct Db {
    pools: Pools,
    statements: Arc<AtomicUsize>,
    slow: Duration,
    /// What names the database, once it was asked.
    system: Arc<OnceLock<String>>,
    /// Where it is told what was committed.
    pub signals: Signals,
}

#[derive(Clone)]
pub(super) enum Pools {
    Postgres(Arc<Home<Postgres>>),
    /// One writer, several readers: SQLite has one writer at a time, and waiting in our queue is
    /// fairer than its busy timeout.
    Sqlite {
        write: Arc<Home<Sqlite>>,
        read: Arc<Home<Sqlite>>,
    },
}

impl Db {
    /// Opens the pools; the first connection is made now, so that a wrong URL is told at once.
    pub async fn connect(settings: &DbSettings) -> Result<Self, sqlx::Error> {
        let pools = if settings.url.starts_with("sqlite:") {
            Self::open_sqlite(settings).await?
        } else {
            let (pool, options) = Self::postgres_pool(settings)?;
            Self::lent(pool.connect_with(options).await?, settings)
        };
        let db = Self::over(pools, settings);
        // What it is called is known by then whatever becomes of its login.
        if let Ok(system) = db.system().await {
            let _ = db.system.set(system);
        }
        Ok(db)
    }

    /// Opens PostgreSQL's pool; it is connected to when it is needed.
    pub(super) fn connect_later(settings: &DbSettings) -> Result<Self, sqlx::Error> {
        let (pool, options) = Self::postgres_pool(settings)?;
        // Whoever can do without it does not wait until it is back.
        let pool = pool.acquire_timeout(Duration::from_millis(500));
        Ok(Self::over(Self::lent(pool.connect_lazy_with(options), settings), settings))
    }

    /// Opens connections by another URL from now on, say one with a new password, if it leads to the same database and as
    /// somebody who may serve from it; those that are open stay.
    pub async fn renew(&self, settings: &DbSettings) -> Result<(), Unfit> {
        let Pools::Postgres(pool) = &self.pools else { return Err(Unfit("it takes a restart".into())) };
        let unfit = |error: sqlx::Error| Unfit(format!("cannot connect: {error}"));
        let (trial, options) = Self::postgres_pool(&DbSettings { max_connections: 1, ..settings.clone() }).map_err(unfit)?;
        let trial = Self::over(Self::lent(trial.connect_lazy_with(options.clone()), settings), settings);
        let tried = async {
            if trial.system().await.map_err(unfit)? != self.system().await.map_err(unfit)? {
                return Err(Unfit("it is another database, which takes a restart".into()));
            }
            trial.check_login().await
        };
        let tried = tokio::time::timeout(Duration::from_secs(5), tried).await;
        trial.close().await;
        tried.map_err(|_| Unfit("it does not answer".into()))??;
        pool.pool().set_connect_options(options);
        Ok(())
    }

    /// What names a database of PostgreSQL, the same in all copies of its cluster.
    pub(super) async fn system(&self) -> Result<String, sqlx::Error> {
        if let Some(known) = self.system.get() {
            return Ok(known.clone());
        }
        let Pools::Postgres(pool) = &self.pools else { return Ok(String::new()) };
        let sql =
            "SELECT system_identifier || ' ' || (SELECT oid FROM pg_database WHERE datname = current_database()) FROM pg_control_system()";
        sqlx::query_scalar(sql).fetch_one(pool.pool()).await
    }

    fn over(pools: Pools, settings: &DbSettings) -> Self {
        Self { pools, statements: Arc::default(), slow: settings.slow, system: Arc::default(), signals: Signals::default() }
    }

    fn lent(pool: PgPool, settings: &DbSettings) -> Pools {
        Pools::Postgres(Home::new(pool, settings.statement_timeout, settings.max_connections))
    }

    fn postgres_pool(settings: &DbSettings) -> Result<(PgPoolOptions, PgConnectOptions), sqlx::Error> {
        let timeout = settings.statement_timeout.as_millis().to_string();
        // Requests are many and small: a parallel plan would cost more than it saves, and the two
        // branches of a page (see records/sql/page.rs) rely on being run one after the other.
        let options = PgConnectOptions::from_str(&settings.url)?.application_name("kith").options([
            ("statement_timeout", timeout.as_str()),
            ("max_parallel_workers_per_gather", "0"),
            ("jit", "off"),
            // What a caller may see is often few rows of many: reading those by their owner and sorting
            // them is cheaper than PostgreSQL's figure for spinning disks makes it look.
            ("random_page_cost", "1.1"),
            ("timezone", "UTC"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections + BESIDE)
            .acquire_timeout(Duration::from_secs(3))
            .test_before_acquire(false);
        Ok((pool, options))
    }

    async fn open_sqlite(settings: &DbSettings) -> Result<Pools, sqlx::Error> {
        let options = SqliteConnectOptions::from_str(&settings.url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256)
            .pragma("cache_size", "-4000")
            .pragma("temp_store", "memory")
            .optimize_on_close(true, None);
        let pool = |max: u32| {
            SqlitePoolOptions::new()
                .max_connections(max)
                .acquire_timeout(Duration::from_secs(30))
                .test_before_acquire(false)
                .after_connect(|connection, _| Box::pin(sqlite_functions::register(connection)))
        };
        let write = pool(1).connect_with(options.clone()).await?;
        // More readers than this only cost memory: each has a cache of its own.
        let readers = settings.max_connections.clamp(2, 8);
        // One beyond is for what is no transaction: whether the database answers must be seen while all others are busy.
        let read = pool(readers + 1).connect_with(options).await?;
        let timeout = settings.statement_timeout;
        Ok(Pools::Sqlite { write: Home::new(write, timeout, 1), read: Home::new(read, timeout, readers) })
    }

    /// The URL of an embedded database in a folder, which is made if it is not there.
    pub fn sqlite_url(folder: &std::path::Path) -> std::io::Result<String> {
        std::fs::create_dir_all(folder)?;
        let file: PathBuf = folder.join("kith.db");
        Ok(format!("sqlite://{}", file.display()))
    }

    pub fn backend(&self) -> Backend {
        match self.pools {
            Pools::Postgres(_) => Backend::Postgres,
            Pools::Sqlite { .. } => Backend::Sqlite,
        }
    }

    /// Starts a transaction for the workspace and user of `scope`.
    pub async fn begin(&self, scope: &Scope, mode: Mode) -> Result<Tx, sqlx::Error> {
        let tx = Tx::begin(&self.pools, (self.statements.clone(), self.signals.clone()), scope, mode).await?;
        Ok(tx.watched(self.slow))
    }

    /// A reading transaction whose snapshot is at least as new as `place`, as the statement `told` tells of its connection
    /// before; none if it is not there yet.
    pub(super) async fn begin_at(&self, scope: &Scope, told: &str, place: Option<i64>) -> Result<Option<Tx>, sqlx::Error> {
        let (Some(place), Pools::Postgres(pool)) = (place, &self.pools) else { return self.begin(scope, Mode::Read).await.map(Some) };
        let begun = Tx::begin_at(pool, (self.statements.clone(), self.signals.clone()), scope, (told, place)).await?;
        Ok(begun.map(|tx| tx.watched(self.slow)))
    }

    /// The number that a statement gives, outside of any transaction.
    pub(super) async fn number(&self, sql: &'static str) -> Result<i64, sqlx::Error> {
        match &self.pools {
            Pools::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool.pool()).await,
            Pools::Sqlite { read, .. } => sqlx::query_scalar(sql).fetch_one(read.pool()).await,
        }
    }

    /// How many statements all transactions ran so far, begins and commits not counted.
    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }

    /// Connections that are open, and how many of them do nothing.
    pub fn connections(&self) -> (u32, usize) {
        match &self.pools {
            Pools::Postgres(pool) => (pool.pool().size(), pool.pool().num_idle()),
            Pools::Sqlite { read, .. } => (read.pool().size(), read.pool().num_idle()),
        }
    }

    /// The pool of connections to PostgreSQL, for what is no transaction.
    pub fn postgres(&self) -> Option<PgPool> {
        match &self.pools {
            Pools::Postgres(pool) => Some(pool.pool().clone()),
            Pools::Sqlite { .. } => None,
        }
    }

    /// One trip to the database and back.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        match &self.pools {
            Pools::Postgres(pool) => sqlx::query("SELECT 1").execute(pool.pool()).await.map(drop),
            Pools::Sqlite { read, .. } => sqlx::query("SELECT 1").execute(read.pool()).await.map(drop),
        }
    }

    /// Writes a consistent copy of an embedded database, while it is used.
    pub async fn copy_to(&self, file: &std::path::Path) -> Result<(), sqlx::Error> {
        let Pools::Sqlite { read, .. } = &self.pools else { return Ok(()) };
        sqlx::query("VACUUM INTO $1").bind(file.display().to_string()).execute(read.pool()).await.map(drop)
    }

    /// Whether an embedded database is whole.
    pub async fn is_sound(&self) -> Result<bool, sqlx::Error> {
        let Pools::Sqlite { read, .. } = &self.pools else { return Ok(true) };
        let (told,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)").fetch_one(read.pool()).await?;
        Ok(told == "ok")
    }

    /// As SeaORM's migrations want it.
    pub fn for_migration(&self) -> sea_orm::DatabaseConnection {
        match &self.pools {
            Pools::Postgres(pool) => sea_orm::SqlxPostgresConnector::from_sqlx_postgres_pool(pool.pool().clone()),
            Pools::Sqlite { write, .. } => sea_orm::SqlxSqliteConnector::from_sqlx_sqlite_pool(write.pool().clone()),
        }
    }

    /// Refuses a login that row-level security would not bind: a superuser, a role with BYPASSRLS,
    /// or an owner of the tables.
    pub async fn check_login(&self) -> Result<(), Unfit> {
        let Pools::Postgres(pool) = &self.pools else { return Ok(()) };
        let sql = "SELECT current_user::text, rolsuper, rolbypassrls, \
                   EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                           WHERE n.nspname = 'public' AND c.relkind = 'r' AND pg_has_role(current_user, c.relowner, 'MEMBER')) \
                   FROM pg_roles WHERE rolname = current_user";
        let (role, superuser, bypass, owner): (String, bool, bool, bool) =
            sqlx::query_as(sql).fetch_one(pool.pool()).await.map_err(|e| Unfit(format!("could not look at the database role: {e}")))?;
        let why = match (superuser, bypass, owner) {
            (true, ..) => "is a superuser",
            (_, true, _) => "has BYPASSRLS",
            (.., true) => "owns Kith's tables",
            _ => return Ok(()),
        };
        Err(Unfit(format!(
            "DATABASE_URL logs in as `{role}`, which {why}: row-level security would not hold for it. \
             Give `serve` a login of its own (say `kith_app`) and keep the owner for `migrate`, as DATABASE_MIGRATE_URL."
        )))
    }

    /// Lets `role` read and write the tables, and only append to the change log. Makes the role
    /// first where it is missing and the owner may do that.
    pub async fn grant_to(&self, role: &str, password: Option<&str>) -> Result<(), sqlx::Error> {
        let Pools::Postgres(pool) = &self.pools else { return Ok(()) };
        let quoted = format!("\"{}\"", role.replace('"', "\"\""));
        let (known,): (bool,) =
            sqlx::query_as("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)").bind(role).fetch_one(pool.pool()).await?;
        let create = password.map_or_else(
            || format!("CREATE ROLE {quoted} LOGIN;"),
            |password| format!("CREATE ROLE {quoted} LOGIN PASSWORD '{}';", password.replace('\'', "''")),
        );
        let grants = format!(
            "{} GRANT USAGE ON SCHEMA public TO {quoted};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted};
             REVOKE UPDATE, DELETE ON change_log, audit_entry FROM {quoted};
             REVOKE INSERT, UPDATE, DELETE ON seaql_migrations FROM {quoted};",
            if known { "" } else { &create }
        );
        sqlx::raw_sql(AssertSqlSafe(grants)).execute(pool.pool()).await.map(drop)
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
        }
    }
}
