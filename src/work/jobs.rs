//! The kinds of job, and doing them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entity::job;
use futures_util::FutureExt as _;
use serde_json::json;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::expire;
use crate::app::App;
use crate::error::{Error, Result};
use crate::features::webhooks;
use crate::infra::db::{Mode, Scope};
use crate::infra::mail::Letter;
use crate::infra::telemetry::Of;
use crate::infra::traces;
use crate::platform::Cause;
use crate::platform::jobs::{self, Done, INSTALLATION, NewJob};
use crate::records::search::refresh;

/// How often it is looked what is due.
const PULSE: Duration = Duration::from_secs(1);
/// Jobs that are done side by side.
const SIDE_BY_SIDE: usize = 4;
/// How often old things are let go.
const HOUR: i64 = 3_600 * 1_000_000;

/// Does jobs until it is told to stop; what is being done then is done to its end.
pub async fn run(app: Arc<App>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        match work_once(&app).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!("jobs: {error}"),
        }
        tokio::select! {
            _ = stopping.changed() => {}
            () = tokio::time::sleep(PULSE) => {}
        }
    }
}

/// Does the jobs that are due, a few; whether there were any.
pub async fn work_once(app: &Arc<App>) -> Result<bool> {
    schedule(app).await?;
    let taken = jobs::take(&app.db, &app.clock, SIDE_BY_SIDE).await?;
    let any = !taken.is_empty();
    let done = futures_util::future::join_all(taken.into_iter().map(|job| work_on(app, job))).await;
    done.into_iter().collect::<Result<()>>()?;
    Ok(any)
}

/// What is done again and again is a job of its hour: whichever process enqueues it first.
async fn schedule(app: &App) -> Result<()> {
    let hour = app.clock.now().0.div_euclid(HOUR);
    if app.scheduled.load(Ordering::Relaxed) == hour {
        return Ok(());
    }
    let tx = app.db.begin(&Scope::worker(), Mode::Write).await?;
    for kind in [EXPIRE, REPAIR_SEARCH] {
        let new = NewJob { kind, key: Some(hour.to_string()), payload: json!({}), priority: 100, run_at: app.clock.now() };
        jobs::enqueue(&tx, &app.clock, INSTALLATION, new).await?;
    }
    tx.commit().await?;
    app.scheduled.store(hour, Ordering::Relaxed);
    Ok(())
}

/// Lets old things go.
const EXPIRE: &str = "EXPIRE";
/// Makes what search knows anew where it was left out of date: by a process that died, say.
const REPAIR_SEARCH: &str = "REPAIR_SEARCH";

async fn work_on(app: &Arc<App>, job: job::Model) -> Result<()> {
    let span = traces::of_work(&format!("job {}", job.kind));
    let done = match AssertUnwindSafe(perform(app, &job).instrument(span)).catch_unwind().await {
        Ok(Ok(done)) => done,
        Ok(Err(Error::Refused(refused))) => Done::GiveUp(refused.message),
        Ok(Err(error)) => Done::Retry(error.to_string()),
        Err(_) => Done::Retry("It panicked.".to_owned()),
    };
    if let Done::Retry(why) | Done::GiveUp(why) = &done {
        tracing::warn!("job {} ({}) of workspace {}: {why}", job.id, job.kind, job.workspace_id);
    }
    let went = match &done {
        Done::Well => "done",
        Done::Retry(_) => "retried",
        Done::GiveUp(_) => "given_up",
    };
    app.metrics.jobs_done.get_or_create(&Of { of: went.to_owned() }).inc();
    let tx = app.db.begin(&Scope::worker(), Mode::Write).await?;
    jobs::finish(&tx, &app.clock, &job, &done).await?;
    Ok(tx.commit().await?)
}

async fn perform(app: &Arc<App>, job: &job::Model) -> Result<Done> {
    match job.kind.as_str() {
        EXPIRE => expire::run(app).await.map(|()| Done::Well),
        REPAIR_SEARCH => repair_search(app).await.map(|()| Done::Well),
        webhooks::NOTICE => notice(app, job).await,
        other => Ok(Done::GiveUp(format!("Nobody knows what `{other}` is: a newer version enqueued it."))),
    }
}

async fn repair_search(app: &Arc<App>) -> Result<()> {
    for workspace in app.workspaces.all().await? {
        let tx = app.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let due = refresh::is_due(&tx, workspace).await?;
        tx.commit().await?;
        if !due {
            continue;
        }
        let known = app.workspace(workspace).await?;
        let ctx = known.server_ctx(workspace, Cause::SetUp, &app.clock);
        loop {
            let tx = app.db.begin(&ctx.system_scope(), Mode::Write).await?;
            let more = refresh::refresh(&tx, &ctx, &known.catalog).await?;
            tx.commit().await?;
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Tells the owner of a webhook that it was switched off.
async fn notice(app: &Arc<App>, job: &job::Model) -> Result<Done> {
    match app.webhooks.letter(job.workspace_id, &job.payload).await? {
        Some(letter) => send(app, letter).await,
        None => Ok(Done::Well),
    }
}

async fn send(app: &App, letter: Letter) -> Result<Done> {
    Ok(match app.mailer.send(&letter).await {
        Ok(()) => Done::Well,
        Err(why) => Done::Retry(why),
    })
}
