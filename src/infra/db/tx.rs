//! A transaction on either database, on behalf of somebody.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryFutureExt as _;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};
use tokio::sync::Mutex;
use tracing::Span;
use uuid::Uuid;

use super::Backend;
use super::lease::{Home, Lease};
use super::pool::Pools;
use super::positional::positional;
use super::row::Row;
use crate::infra::signals::{Signals, Topic};
use crate::infra::traces;

/// For whom a transaction runs: what PostgreSQL's policies let through.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub workspace: Option<Uuid>,
    pub user: Option<Uuid>,
    /// Set while somebody signs in and it is not known yet who it is.
    pub sign_in_email: Option<String>,
    /// The digest of an invitation's token, while somebody accepts it.
    pub invitation: Option<String>,
    /// The digest of a token with which somebody goes on signing in, or of another issuer's subject.
    pub token: Option<String>,
    pub rows: Rows,
    /// The server at work, which looks in every workspace for what is due.
    pub worker: bool,
}

/// Which rows of the workspace a transaction sees.
#[derive(Clone, Debug, Default)]
pub enum Rows {
    /// None: what is not said is not seen.
    #[default]
    None,
    All,
    Within(Arc<Within>),
}

/// What PostgreSQL's row policies are told of a caller who does not see everything.
#[derive(Debug, PartialEq, Eq)]
pub struct Within {
    /// By object, how far reading and writing reach, as JSON.
    pub rights: String,
    pub member: Option<Uuid>,
    pub person: Option<Uuid>,
    pub grantees: Vec<Uuid>,
    pub territories: Vec<Uuid>,
}

impl Scope {
    pub fn workspace(id: Uuid) -> Self {
        Self { workspace: Some(id), rows: Rows::All, ..Self::default() }
    }

    /// For whoever looks for work in every workspace, and sees nothing else of them.
    pub fn worker() -> Self {
        Self { worker: true, ..Self::default() }
    }

    fn settings(&self) -> String {
        let mut sql = String::new();
        let mut set = |name: &str, value: &str| {
            let before = if sql.is_empty() { "; SELECT " } else { ", " };
            // A string constant: quotes doubled, and `standard_conforming_strings` is on.
            let _ = write!(sql, "{before}set_config('{name}', '{}', true)", value.replace('\'', "''").replace('\0', ""));
        };
        if let Some(id) = self.workspace {
            set("kith.workspace", &id.to_string());
        }
        if let Some(id) = self.user {
            set("kith.user", &id.to_string());
        }
        if let Some(email) = &self.sign_in_email {
            set("kith.sign_in_email", email);
        }
        if let Some(digest) = &self.invitation {
            set("kith.invitation", digest);
        }
        if let Some(digest) = &self.token {
            set("kith.token", digest);
        }
        if self.worker {
            set("kith.worker", "on");
        }
        match &self.rows {
            Rows::None => {}
            Rows::All => set("kith.access", "ALL"),
            Rows::Within(within) => {
                set("kith.rights", &within.rights);
                // With a policy on every table of it a statement takes longer to plan than to run, and its plan
                // hardly depends on the values.
                set("plan_cache_mode", "force_generic_plan");
                for (name, id) in [("kith.member", within.member), ("kith.person", within.person)] {
                    if let Some(id) = id {
                        set(name, &id.to_string());
                    }
                }
                for (name, ids) in [("kith.grantees", &within.grantees), ("kith.territories", &within.territories)] {
                    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
                    set(name, &format!("{{{}}}", ids.join(",")));
                }
            }
        }
        sql
    }
}

/// One snapshot for all that is read. It is taken by the first statement after it.
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One snapshot for all that the operation reads.
    Read,
    Write,
}

/// Rolled back when dropped without [`Tx::commit`].
pub struct Tx {
    inner: Mutex<Inner>,
    backend: Backend,
    /// Whether its caller does not see every row.
    is_bounded: bool,
    statements: AtomicUsize,
    /// Of all transactions together.
    total: Arc<AtomicUsize>,
    /// The workspace of which there will be news when this is committed.
    news: OnceLock<Uuid>,
    signals: Signals,
    /// Statements that run longer stand in the log.
    slow: Duration,
}

/// Looks how long a statement runs.
struct Watch<'a> {
    sql: &'a str,
    begun: Instant,
    slow: Duration,
    /// It ends with the statement.
    _span: Span,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        if took > self.slow {
            tracing::warn!(target: "kith::slow", millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "{}", self.sql);
        }
    }
}

enum Inner {
    Postgres(Lease<Postgres>),
    Sqlite(Lease<Sqlite>),
}

impl Tx {
    pub(super) async fn begin(pools: &Pools, counted: (Arc<AtomicUsize>, Signals), scope: &Scope, mode: Mode) -> Result<Self, sqlx::Error> {
        let (inner, backend) = match pools {
            Pools::Postgres(pool) => {
                let begin = match mode {
                    Mode::Read => BEGIN_READING,
                    Mode::Write => "BEGIN",
                };
                let sql = format!("{begin}{}", scope.settings());
                (Inner::Postgres(pool.begin(&sql).await?), Backend::Postgres)
            }
            Pools::Sqlite { write, read } => {
                let tx = match mode {
                    Mode::Read => read.begin("BEGIN DEFERRED").await?,
                    Mode::Write => write.begin("BEGIN IMMEDIATE").await?,
                };
                (Inner::Sqlite(tx), Backend::Sqlite)
            }
        };
        Ok(Self::new(inner, backend, counted, scope))
    }

    /// See [`super::Db::begin_at`]. The statement runs in a transaction of its own: a snapshot that was taken for it could
    /// be older than what it tells.
    pub(super) async fn begin_at(
        pool: &Arc<Home<Postgres>>,
        counted: (Arc<AtomicUsize>, Signals),
        scope: &Scope,
        (told, place): (&str, i64),
    ) -> Result<Option<Self>, sqlx::Error> {
        let mut lease = pool.begin("BEGIN READ ONLY").await?;
        let there: i64 = sqlx::query_scalar(AssertSqlSafe(told)).fetch_one(lease.connection()?).await?;
        if there < place {
            lease.end("COMMIT").await?;
            return Ok(None);
        }
        let sql = format!("COMMIT; {BEGIN_READING}{}", scope.settings());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(lease.connection()?).await?;
        Ok(Some(Self::new(Inner::Postgres(lease), Backend::Postgres, counted, scope)))
    }

    fn new(inner: Inner, backend: Backend, (total, signals): (Arc<AtomicUsize>, Signals), scope: &Scope) -> Self {
        Self {
            inner: Mutex::new(inner),
            backend,
            is_bounded: matches!(scope.rows, Rows::Within(_)),
            statements: AtomicUsize::new(0),
            total,
            news: OnceLock::new(),
            signals,
            slow: Duration::MAX,
        }
    }

    pub(super) fn watched(self, slow: Duration) -> Self {
        Self { slow, ..self }
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// How many statements ran in this transaction so far, begin and commit not counted.
    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }

    pub async fn fetch_all(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let _watch = self.count(sql);
        let (sql, values) = self.as_taken(sql, values);
        match &mut *self.inner.lock().await {
            Inner::Postgres(tx) => {
                let rows = sqlx::query_with(AssertSqlSafe(&*sql), values).fetch_all(tx.connection()?).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
            Inner::Sqlite(tx) => {
                let rows = sqlx::query_with(AssertSqlSafe(&*sql), values).fetch_all(tx.connection()?).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    pub async fn fetch_optional(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    /// From now on the transaction sees every row of its workspace, or again what its caller sees;
    /// for what a rule must know, or do, beyond the caller's own right.
    pub async fn see_all(&self, all: bool) -> Result<(), sqlx::Error> {
        if self.backend == Backend::Postgres && self.is_bounded {
            self.run("SELECT set_config('kith.access', $1, true)", vec![if all { "ALL" } else { "" }.into()]).await?;
        }
        Ok(())
    }

    /// Runs a statement and tells how many rows it touched.
    pub async fn run(&self, sql: &str, values: Vec<Value>) -> Result<u64, sqlx::Error> {
        let _watch = self.count(sql);
        let (sql, values) = self.as_taken(sql, values);
        match &mut *self.inner.lock().await {
            Inner::Postgres(tx) => {
                sqlx::query_with(AssertSqlSafe(&*sql), values).execute(tx.connection()?).map_ok(|done| done.rows_affected()).await
            }
            Inner::Sqlite(tx) => {
                sqlx::query_with(AssertSqlSafe(&*sql), values).execute(tx.connection()?).map_ok(|done| done.rows_affected()).await
            }
        }
    }

    /// Once this is committed there is news of the workspace's records.
    pub fn will_be_news(&self, workspace: Uuid) {
        let _ = self.news.set(workspace);
    }

    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self.inner.into_inner() {
            Inner::Postgres(tx) => tx.end("COMMIT").await?,
            Inner::Sqlite(tx) => tx.end("COMMIT").await?,
        }
        if let Some(workspace) = self.news.get() {
            self.signals.tell(Topic::Records, *workspace, true);
        }
        Ok(())
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self.inner.into_inner() {
            Inner::Postgres(tx) => tx.end("ROLLBACK").await,
            Inner::Sqlite(tx) => tx.end("ROLLBACK").await,
        }
    }

    /// A statement and its values in the form that the database takes quickest.
    fn as_taken<'s>(&self, sql: &'s str, values: Vec<Value>) -> (Cow<'s, str>, SqlxValues) {
        let (sql, values) = match self.backend {
            Backend::Postgres => (Cow::Borrowed(sql), values),
            Backend::Sqlite => positional(sql, values),
        };
        (sql, SqlxValues(Values(values)))
    }

    /// Counts a statement, and watches it while what is returned is held.
    fn count<'s>(&self, sql: &'s str) -> Watch<'s> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(target: "kith::sql", "{sql}");
        let system = if self.backend == Backend::Postgres { "postgresql" } else { "sqlite" };
        Watch { sql, begun: Instant::now(), slow: self.slow, _span: traces::of_statement(system, sql) }
    }
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn parts(statement: Statement) -> (String, SqlxValues) {
    (statement.sql, SqlxValues(statement.values.unwrap_or_else(|| Values(Vec::new()))))
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        match self.backend {
            Backend::Postgres => DbBackend::Postgres,
            Backend::Sqlite => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let text = statement.sql.clone();
        let _watch = self.count(&text);
        let (sql, values) = parts(statement);
        let query = AssertSqlSafe(sql);
        match &mut *self.inner.lock().await {
            Inner::Postgres(tx) => {
                sqlx::query_with(query, values).execute(tx.connection().map_err(query_error)?).await.map(Into::into).map_err(query_error)
            }
            Inner::Sqlite(tx) => {
                sqlx::query_with(query, values).execute(tx.connection().map_err(query_error)?).await.map(Into::into).map_err(query_error)
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let _watch = self.count(sql);
        match &mut *self.inner.lock().await {
            Inner::Postgres(tx) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx.connection().map_err(query_error)?).await.map(Into::into).map_err(query_error)
            }
            Inner::Sqlite(tx) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx.connection().map_err(query_error)?).await.map(Into::into).map_err(query_error)
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (sql, values) = parts(statement);
        let rows = self.fetch_all_with(sql, values).await.map_err(query_error)?;
        Ok(rows
            .into_iter()
            .map(|row| match row {
                Row::Postgres(row) => row.into(),
                Row::Sqlite(row) => row.into(),
            })
            .collect())
    }
}

impl Tx {
    async fn fetch_all_with(&self, sql: String, values: SqlxValues) -> Result<Vec<Row>, sqlx::Error> {
        self.fetch_all(&sql, values.0.0).await
    }
}
