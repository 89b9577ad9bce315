//! What the server does by itself: jobs, and readers of the log.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use entity::job;
use uuid::Uuid;

use super::access::{id, or_refuse};
use super::newest;
use super::values::{Cursor, DateTime, PageInfo, UserErrorView, views};
use crate::error::{Error, UserError, UserErrorCode};
use crate::features::access::{audit, require};
use crate::graphql::errors::field_error;
use crate::graphql::request;
use crate::infra::db::Mode;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::platform::jobs;
use crate::platform::readers::{self, Reader};
use crate::platform::work::{self as status, JobFilter, ReaderStatus};

/// Where a job stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits to be done, for the first time or again, or is being done.
    Queued,
    /// It is done.
    Done,
    /// It was given up.
    Failed,
}

impl JobState {
    fn stored(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "QUEUED" => Self::Queued,
            "DONE" => Self::Done,
            _ => Self::Failed,
        }
    }
}

/// Something that the server does later, or did.
#[derive(SimpleObject)]
pub struct Job {
    /// Its id.
    id: ID,
    /// What it does.
    kind: String,
    /// Where it stands.
    state: JobState,
    /// How often it was tried.
    tries: i64,
    /// How it failed last.
    error: Option<String>,
    /// When it is done next; of one that is over, when it was done last.
    run_at: DateTime,
    /// When it was enqueued.
    created_at: DateTime,
    /// When it was over.
    done_at: Option<DateTime>,
}

impl From<job::Model> for Job {
    fn from(row: job::Model) -> Self {
        Self {
            id: row.id.into(),
            state: JobState::of(&row.state),
            kind: row.kind,
            tries: row.tries,
            error: row.error,
            run_at: row.run_at.into(),
            created_at: row.created_at.into(),
            done_at: row.done_at.map(Into::into),
        }
    }
}

/// Which jobs; what is not given does not matter.
#[derive(InputObject, Default)]
pub struct JobFilterInput {
    /// In one of these states.
    states: Option<Vec<JobState>>,
    /// Of one of these kinds.
    kinds: Option<Vec<String>>,
}

/// A page of jobs, the newest first.
#[derive(SimpleObject)]
pub struct JobConnection {
    /// The jobs.
    nodes: Vec<Job>,
    /// Whether there is more, and where.
    page_info: PageInfo,
}

/// An entry of the log that a reader could not make anything of.
#[derive(SimpleObject)]
pub struct LogFailure {
    /// The entry's number.
    seq: i64,
    /// Why.
    error: String,
    /// When it was set aside.
    at: DateTime,
}

/// Whoever reads the change log on, and how far.
#[derive(SimpleObject)]
pub struct LogReader {
    /// Which reader.
    name: LogReaderName,
    /// The last entry that it read.
    position: i64,
    /// The last entry that there is.
    head: i64,
    /// How many entries it is behind.
    lag: i64,
    /// How often the next entry failed; it is set aside after five more attempts.
    failures: i64,
    /// How it failed last.
    last_error: Option<String>,
    /// When it last moved, or failed.
    updated_at: DateTime,
    /// Entries that were set aside, the latest first, up to 50.
    set_aside: Vec<LogFailure>,
}

/// Readers of the change log.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Reader")]
pub enum LogReaderName {
    /// Decides what is delivered to which webhook.
    Webhooks,
    /// Publishes the log to a broker, if the operator set one up.
    Streams,
}

impl LogReader {
    fn of(status: ReaderStatus) -> Option<Self> {
        let ReaderStatus { reader, head, failures } = status;
        let name = Reader::EVERY.into_iter().find(|known| known.as_str() == reader.reader)?;
        let set_aside = failures.into_iter().map(|failure| LogFailure { seq: failure.seq, error: failure.error, at: failure.at.into() });
        Some(Self {
            name: name.into(),
            position: reader.seq,
            head,
            lag: head - reader.seq,
            failures: reader.failures,
            last_error: reader.last_error,
            updated_at: reader.updated_at.into(),
            set_aside: set_aside.collect(),
        })
    }
}

/// A job to do again.
#[derive(InputObject)]
pub struct RetryJobInput {
    /// Which job.
    id: ID,
}

/// What came of it.
#[derive(SimpleObject, Default)]
pub struct RetryJobPayload {
    /// The job, at the head of its queue.
    job: Option<Job>,
    /// Why nothing was done; empty if something was.
    user_errors: Vec<UserErrorView>,
}

/// Where a reader goes on.
#[derive(InputObject)]
pub struct RewindLogReaderInput {
    /// Which reader.
    name: LogReaderName,
    /// After which entry it goes on: 0 is the beginning. What it did already it does not do again, unless that is gone.
    position: i64,
}

/// What came of it.
#[derive(SimpleObject, Default)]
pub struct RewindLogReaderPayload {
    /// The reader.
    reader: Option<LogReader>,
    /// Why nothing was done; empty if something was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct WorkQuery;

#[derive(Default)]
pub struct WorkMutation;

#[Object]
impl WorkQuery {
    /// What the server does and did by itself in this workspace. Needs INTEGRATIONS.
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<JobFilterInput>,
        #[graphql(desc = "Jobs on the page, at most 200.", default = 20)] first: i32,
        #[graphql(desc = "Begin after this place.")] after: Option<Cursor>,
    ) -> Result<JobConnection> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        require(&signed.ctx, Setting::Integrations).map_err(|e| field_error(&e))?;
        let (first, after) = newest::asked(first, after)?;
        let filter = filter.unwrap_or_default();
        let filter = JobFilter {
            states: filter.states.unwrap_or_default().into_iter().map(JobState::stored).collect(),
            kinds: filter.kinds.unwrap_or_default(),
        };
        let found = async {
            let tx = request::of(ctx).app.db.begin(&signed.ctx.system_scope(), Mode::Read).await?;
            let found = status::jobs(&tx, signed.ctx.workspace, &filter, after, first + 1).await?;
            tx.commit().await?;
            Ok::<_, Error>(found)
        };
        let found = found.await.map_err(|e| field_error(&e))?;
        let page_info = newest::page_info(&found, (first, after), |row| (row.created_at, row.id));
        Ok(JobConnection { nodes: found.into_iter().take(first).map(Job::from).collect(), page_info })
    }

    /// Readers of this workspace's change log, and how far they are. Needs INTEGRATIONS.
    async fn log_readers(&self, ctx: &Context<'_>) -> Result<Vec<LogReader>> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        require(&signed.ctx, Setting::Integrations).map_err(|e| field_error(&e))?;
        all(ctx).await.map_err(|e| field_error(&e))
    }
}

#[Object]
impl WorkMutation {
    /// Does a job again that was given up, or at once what waits. Needs INTEGRATIONS.
    async fn retry_job(&self, ctx: &Context<'_>, #[graphql(desc = "Which job.")] input: RetryJobInput) -> Result<RetryJobPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        require(&signed.ctx, Setting::Integrations).map_err(|e| field_error(&e))?;
        let id = or_refuse!(RetryJobPayload, id(&input.id, &["id"]));
        let done = async {
            let tx = request.app.db.begin(&signed.ctx.system_scope(), Mode::Write).await?;
            if !jobs::retry(&tx, &request.app.clock, signed.ctx.workspace, id).await? {
                return Ok::<_, Error>(None);
            }
            audit(&tx, &signed.ctx, Action::JobRetried, id, serde_json::json!({})).await?;
            let found = status::job(&tx, signed.ctx.workspace, id).await?;
            tx.commit().await?;
            Ok(found)
        };
        Ok(match done.await.map_err(|e| field_error(&e))? {
            Some(job) => RetryJobPayload { job: Some(job.into()), user_errors: Vec::new() },
            None => {
                let why = "There is no such job, or it is done, or being done.";
                RetryJobPayload { job: None, user_errors: views(vec![UserError::new(UserErrorCode::NotFound, &["id"], why)]) }
            }
        })
    }

    /// Lets a reader of the change log go on from another place: from the beginning, say, to make up for what was lost. Needs INTEGRATIONS.
    async fn rewind_log_reader(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which reader, and where to.")] input: RewindLogReaderInput,
    ) -> Result<RewindLogReaderPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        require(&signed.ctx, Setting::Integrations).map_err(|e| field_error(&e))?;
        let (reader, workspace): (Reader, Uuid) = (input.name.into(), signed.ctx.workspace);
        let refuse = |path: &str, why: &str| {
            let errors = views(vec![UserError::new(UserErrorCode::InvalidValue, &[path], why)]);
            Ok(RewindLogReaderPayload { reader: None, user_errors: errors })
        };
        let known = all(ctx).await.map_err(|e| field_error(&e))?.into_iter().find(|known| known.name == input.name);
        match known {
            None => return refuse("name", "It does not read yet: nothing was set up for it."),
            Some(known) if !(0..=known.head).contains(&input.position) => return refuse("position", "The log has no such place."),
            Some(_) => {}
        }
        let moved = async {
            let tx = request.app.db.begin(&signed.ctx.system_scope(), Mode::Write).await?;
            readers::advance(&tx, workspace, reader, input.position, signed.ctx.now()).await?;
            let detail = serde_json::json!({ "reader": reader.as_str(), "position": input.position });
            audit(&tx, &signed.ctx, Action::LogReaderMoved, workspace, detail).await?;
            Ok::<_, Error>(tx.commit().await?)
        };
        moved.await.map_err(|e| field_error(&e))?;
        let reader = all(ctx).await.map_err(|e| field_error(&e))?.into_iter().find(|known| known.name == input.name);
        Ok(RewindLogReaderPayload { reader, user_errors: Vec::new() })
    }
}

async fn all(ctx: &Context<'_>) -> crate::error::Result<Vec<LogReader>> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    let tx = request.app.db.begin(&signed.ctx.system_scope(), Mode::Read).await?;
    let found = status::readers(&tx, signed.ctx.workspace).await?;
    tx.commit().await?;
    Ok(found.into_iter().filter_map(LogReader::of).collect())
}
