//! A queue of work in the database: enqueued in the transaction of what it follows from, done by whoever takes it first.
//!
//! Taking gives a lease, and everything that is written afterwards names it: whoever lost it (because they were stopped for
//! too long, and somebody else took the job) writes nothing any more. A job may therefore be run twice, and does the same as
//! if it had been run once. Time is the caller's, so tests need not wait.

use entity::{Micros, job};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::infra::clock::Clock;
use crate::infra::db::{Backend, Db, Mode, Scope, Tx, Value};

/// The workspace of what the installation as a whole has to do.
pub const INSTALLATION: Uuid = Uuid::nil();

/// Whoever takes a job has so long for it.
const LEASE: i64 = 5 * 60 * 1_000_000;
/// How often a job is tried, and the longest wait in between.
pub const MOST_TRIES: i64 = 8;
const FIRST_WAIT: i64 = 10 * 1_000_000;
const LONGEST_WAIT: i64 = 3_600 * 1_000_000;
/// The longest text of an error that is kept.
const LONGEST: usize = 1_000;

/// Work to be done.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub kind: &'static str,
    /// Enqueued once, ever, in its workspace.
    pub key: Option<String>,
    pub payload: Json,
    /// The smaller the sooner.
    pub priority: i64,
    pub run_at: Micros,
}

/// How a job went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    Well,
    /// It may go better later.
    Retry(String),
    /// It will not.
    GiveUp(String),
}

/// Enqueues work, unless it is there already. On PostgreSQL the transaction is one of the job's workspace, or a worker's.
pub async fn enqueue(tx: &Tx, clock: &Clock, workspace: Uuid, new: NewJob) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO job (workspace_id, id, kind, key, payload, priority, run_at, state, tries, lease_until, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, 'QUEUED', 0, 0, $8) ON CONFLICT DO NOTHING";
    let values: Vec<Value> = vec![
        workspace.into(),
        clock.new_id().into(),
        new.kind.into(),
        new.key.into(),
        new.payload.into(),
        new.priority.into(),
        new.run_at.0.into(),
        clock.now().0.into(),
    ];
    tx.run(sql, values).await.map(drop)
}

/// Takes jobs that are due, the most urgent ones. Taking counts as a try: so a job over which its process dies each time is
/// not taken for ever.
pub async fn take(db: &Db, clock: &Clock, most: usize) -> Result<Vec<job::Model>, crate::error::Error> {
    let (now, lease) = (clock.now(), clock.new_id());
    let tx = db.begin(&Scope::worker(), Mode::Write).await?;
    let died = "UPDATE job SET state = 'FAILED', error = 'Whoever did it died over it.', done_at = $1, lease = NULL \
                WHERE state = 'QUEUED' AND tries >= $2 AND lease_until <= $1";
    tx.run(died, vec![now.0.into(), MOST_TRIES.into()]).await?;
    let lock = if tx.backend() == Backend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "UPDATE job SET lease = $1, lease_until = $2, tries = tries + 1 WHERE (workspace_id, id) IN (SELECT j.workspace_id, j.id FROM job j \
         WHERE j.state = 'QUEUED' AND j.run_at <= $3 AND j.lease_until <= $3 ORDER BY j.priority, j.run_at LIMIT {most}{lock})"
    );
    let values: Vec<Value> = vec![lease.into(), (now.0 + LEASE).into(), now.0.into()];
    let taken = if tx.run(&sql, values).await? > 0 {
        let of = job::Entity::find().filter(job::Column::State.eq("QUEUED")).filter(job::Column::Lease.eq(lease));
        of.order_by_asc(job::Column::Priority).order_by_asc(job::Column::RunAt).all(&tx).await?
    } else {
        Vec::new()
    };
    tx.commit().await?;
    Ok(taken)
}

/// Writes down how a job went. Whoever lost the lease writes nothing.
pub async fn finish(tx: &Tx, clock: &Clock, job: &job::Model, done: &Done) -> Result<(), sqlx::Error> {
    let now = clock.now();
    let tries = job.tries;
    let (state, run_at, error) = match done {
        Done::Well => ("DONE", now.0, None),
        Done::Retry(why) if tries < MOST_TRIES => ("QUEUED", now.0 + wait(tries), Some(why)),
        Done::Retry(why) | Done::GiveUp(why) => ("FAILED", now.0, Some(why)),
    };
    let error = error.map(|why| why.chars().take(LONGEST).collect::<String>());
    let sql = "UPDATE job SET state = $4, run_at = $5, error = $6, done_at = $7, lease = NULL, lease_until = 0 \
               WHERE workspace_id = $1 AND id = $2 AND lease = $3";
    let values: Vec<Value> = vec![
        job.workspace_id.into(),
        job.id.into(),
        job.lease.into(),
        state.into(),
        run_at.into(),
        error.into(),
        (state != "QUEUED").then_some(now.0).into(),
    ];
    tx.run(sql, values).await.map(drop)
}

/// How long is waited after so many tries: twice as long each time, and up to a half longer by chance.
fn wait(tries: i64) -> i64 {
    let doubled = FIRST_WAIT.saturating_mul(1 << (tries - 1).clamp(0, 20)).min(LONGEST_WAIT);
    doubled + i64::from(rand::random::<u32>()) % (doubled / 2)
}

/// Puts a job that was given up, or waits, to the head of its queue; whether there was one.
pub async fn retry(tx: &Tx, clock: &Clock, workspace: Uuid, id: Uuid) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE job SET state = 'QUEUED', run_at = $3, tries = 0, done_at = NULL \
               WHERE workspace_id = $1 AND id = $2 AND state <> 'DONE' AND lease_until <= $3";
    Ok(tx.run(sql, vec![workspace.into(), id.into(), clock.now().0.into()]).await? > 0)
}
