//! What is done beside the requests: webhooks, and jobs.
//!
//! Any number of processes may do it at once. Each takes what is due by a lease, so nothing is done twice in effect and
//! nothing is left when a process dies. `kith serve` does it unless it is told not to, `kith work` does nothing else.

mod expire;
mod jobs;

use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, broker};
use crate::features::streams::{CatalogOf, Streams};

pub use jobs::work_once;

/// How long to wait before a broker is looked for again.
const PAUSE: Duration = Duration::from_secs(5);

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    let stopping = app.stopping.subscribe();
    let hooks = async {
        if let Some(worker) = app.worker.get() {
            worker.clone().run(stopping.clone()).await;
        }
    };
    let streams = async {
        if let Some(streams) = streams(&app).await {
            streams.run(stopping.clone()).await;
        }
    };
    futures_util::future::join3(hooks, streams, jobs::run(app.clone(), stopping.clone())).await;
}

/// Whoever publishes the log, if the settings want it; waits for the broker.
pub async fn streams(app: &Arc<App>) -> Option<Streams> {
    let mut stopping = app.stopping.subscribe();
    while !*stopping.borrow() {
        match broker(&app.config).await {
            Ok(None) => return None,
            Ok(Some(broker)) => return Some(Streams::new(app.db.clone(), app.clock.clone(), broker, catalog_of(app))),
            Err(why) => tracing::warn!("streams: {why}"),
        }
        tokio::select! {
            _ = stopping.changed() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    None
}

/// The catalogs that whoever publishes needs.
fn catalog_of(app: &Arc<App>) -> CatalogOf {
    let app = app.clone();
    Arc::new(move |workspace| {
        let app = app.clone();
        Box::pin(async move { Ok(app.workspace(workspace).await?.catalog.clone()) })
    })
}
