//! What is done beside the requests: webhooks, and jobs.
//!
//! Any number of processes may do it at once. Each takes what is due by a lease, so nothing is done twice in effect and
//! nothing is left when a process dies. `kith serve` does it unless it is told not to, `kith work` does nothing else.

mod expire;
mod jobs;

use std::sync::Arc;

use crate::app::App;

pub use jobs::work_once;

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    let stopping = app.stopping.subscribe();
    let hooks = async {
        if let Some(worker) = app.worker.get() {
            worker.clone().run(stopping.clone()).await;
        }
    };
    futures_util::future::join(hooks, jobs::run(app.clone(), stopping.clone())).await;
}
