//! What is to be done in a workspace, and what could not be: for its administrators.

use entity::{Micros, job, log_failure, log_reader};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::error::Result;
use crate::infra::db::{Tx, Value};
use crate::infra::telemetry::Looked;

/// A reader of the log, and where the log ends.
#[derive(Clone, Debug)]
pub struct ReaderStatus {
    pub reader: log_reader::Model,
    pub head: i64,
    /// What it set aside, the latest first; a few.
    pub failures: Vec<log_failure::Model>,
}

/// So many failures are shown of a reader.
const SHOWN: u64 = 50;

/// The readers of a workspace's log.
pub async fn readers(tx: &Tx, workspace: Uuid) -> Result<Vec<ReaderStatus>> {
    let head = tx.fetch_optional("SELECT seq FROM log_head WHERE workspace_id = $1", vec![workspace.into()]).await?;
    let head = head.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
    let found = log_reader::Entity::find().filter(log_reader::Column::WorkspaceId.eq(workspace));
    let mut all = Vec::new();
    for reader in found.order_by_asc(log_reader::Column::Reader).all(tx).await? {
        let failures = log_failure::Entity::find()
            .filter(log_failure::Column::WorkspaceId.eq(workspace))
            .filter(log_failure::Column::Reader.eq(reader.reader.clone()));
        let failures = failures.order_by_desc(log_failure::Column::Seq).limit(SHOWN).all(tx).await?;
        all.push(ReaderStatus { reader, head, failures });
    }
    Ok(all)
}

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    pub states: Vec<&'static str>,
    pub kinds: Vec<String>,
}

/// Jobs of a workspace, the newest first, after one of them.
pub async fn jobs(tx: &Tx, workspace: Uuid, filter: &JobFilter, after: Option<(Micros, Uuid)>, first: usize) -> Result<Vec<job::Model>> {
    use job::Column;
    let mut found = job::Entity::find().filter(Column::WorkspaceId.eq(workspace));
    if !filter.states.is_empty() {
        found = found.filter(Column::State.is_in(filter.states.iter().copied()));
    }
    if !filter.kinds.is_empty() {
        found = found.filter(Column::Kind.is_in(filter.kinds.iter().map(String::as_str)));
    }
    if let Some((at, id)) = after {
        let same = Condition::all().add(Column::CreatedAt.eq(at)).add(Column::Id.lt(id));
        found = found.filter(Condition::any().add(Column::CreatedAt.lt(at)).add(same));
    }
    let limit = u64::try_from(first).unwrap_or(u64::MAX);
    Ok(found.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(tx).await?)
}

/// A job of a workspace.
pub async fn job(tx: &Tx, workspace: Uuid, id: Uuid) -> Result<Option<job::Model>> {
    Ok(job::Entity::find_by_id((workspace, id)).one(tx).await?)
}

/// What there is to do in all workspaces. The transaction is a worker's.
pub async fn look(tx: &Tx, now: Micros) -> Result<Looked> {
    let pairs = async |sql: &str, values: Vec<Value>| -> Result<Vec<(String, i64)>> {
        let rows = tx.fetch_all(sql, values).await?;
        rows.iter().map(|row| Ok((row.text(0)?.unwrap_or_default().to_owned(), row.int(1)?.unwrap_or(0)))).collect()
    };
    let lag = "SELECT r.reader, CAST(sum(h.seq - r.seq) AS BIGINT) FROM log_reader r JOIN log_head h ON h.workspace_id = r.workspace_id GROUP BY r.reader";
    let lag = pairs(lag, Vec::new()).await?;
    let jobs = pairs("SELECT state, count(*) FROM job GROUP BY state", Vec::new()).await?;
    // Nobody waits for what goes to a webhook that is off.
    let due = "SELECT count(*), min(d.next_at) FROM webhook_delivery d JOIN webhook w ON w.workspace_id = d.workspace_id AND w.id = d.webhook_id \
               WHERE w.status = 'ACTIVE' AND d.done_at IS NULL AND d.next_at <= $1";
    let due = tx.fetch_optional(due, vec![now.0.into()]).await?;
    let deliveries = match due {
        Some(row) => {
            let oldest = row.int(1)?.map_or(0, |oldest| (now.0 - oldest) / 1_000_000);
            (row.int(0)?.unwrap_or(0), oldest)
        }
        None => (0, 0),
    };
    Ok(Looked { lag, jobs, deliveries, ..Looked::default() })
}
