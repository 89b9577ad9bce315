//! Old things are let go: in the background, in small parts, as the settings say.

use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::infra::db::{Backend, Mode, Scope};
use crate::platform::jobs::INSTALLATION;

const DAY: i64 = 86_400 * 1_000_000;
/// Rows that one transaction lets go.
const PART: usize = 1_000;
/// Idempotency keys are good for a day.
const KEYS: i64 = DAY;

/// One kind of thing: its table, its key, and what is old (`$2` is the instant before which it is).
struct Old {
    table: &'static str,
    key: &'static str,
    condition: &'static str,
    days: i64,
}

/// Lets go what is old, in all workspaces.
pub async fn run(app: &App) -> Result<()> {
    let days = &app.config.retention;
    let all = [
        Old { table: "webhook_delivery", key: "id", condition: "state <> 'PENDING' AND done_at < $2", days: days.delivery_days.into() },
        Old { table: "job", key: "id", condition: "state <> 'QUEUED' AND done_at < $2", days: days.job_days.into() },
        Old { table: "log_failure", key: "seq", condition: "at < $2", days: days.job_days.into() },
        Old { table: "session", key: "id", condition: "coalesce(revoked_at, expires_at) < $2", days: days.session_days.into() },
        Old { table: "idempotency_key", key: "key", condition: "created_at < $2 AND leased_until < $2", days: KEYS / DAY },
    ];
    let workspaces = std::iter::once(INSTALLATION).chain(app.workspaces.all().await?);
    for workspace in workspaces {
        for old in &all {
            while part(app, workspace, old).await? >= PART {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}

/// Lets some go; how many.
async fn part(app: &App, workspace: Uuid, old: &Old) -> Result<usize> {
    let Old { table, key, condition, days } = old;
    let tx = app.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
    // Whoever is in the middle of something is not waited for.
    let lock = if tx.backend() == Backend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "DELETE FROM {table} WHERE workspace_id = $1 AND {key} IN \
         (SELECT {key} FROM {table} WHERE workspace_id = $1 AND {condition} LIMIT {PART}{lock}) AND {condition}"
    );
    let gone = tx.run(&sql, vec![workspace.into(), (app.clock.now().0 - days * DAY).into()]).await?;
    tx.commit().await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}
