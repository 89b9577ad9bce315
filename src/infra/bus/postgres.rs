//! Words by way of PostgreSQL: NOTIFY, and one connection that listens.

use std::sync::OnceLock;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::{Heard, PAUSE, parse};

/// One database is one installation.
const CHANNEL: &str = "kith";

pub(super) struct Postgres {
    pool: PgPool,
    /// Tells this node's own words from those of others.
    node: Uuid,
    listener: OnceLock<AbortHandle>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
    }
}

impl Postgres {
    pub fn new(pool: PgPool, node: Uuid) -> Self {
        Self { pool, node, listener: OnceLock::new() }
    }

    pub async fn tell(&self, topic: &str, id: Uuid) {
        let word = format!("{} {topic} {id}", self.node);
        let told = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(word).execute(&self.pool).await;
        if let Err(error) = told {
            tracing::warn!("the other nodes were not told of {topic} {id}: {error}");
        }
    }

    /// Hands on what others tell, until `on` says that nobody listens any more.
    pub fn listen(&self, on: impl Fn(Heard) -> bool + Send + Sync + 'static) {
        let (pool, node) = (self.pool.clone(), self.node);
        let task = tokio::spawn(async move {
            loop {
                match attend(&pool, node, &on).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!("lost the word of the other nodes: {error}"),
                }
                tokio::time::sleep(PAUSE).await;
                if pool.is_closed() {
                    return;
                }
            }
        });
        let _ = self.listener.set(task.abort_handle());
    }
}

/// Listens on one connection; ends well only when nobody wants to hear more.
async fn attend(pool: &PgPool, node: Uuid, on: &impl Fn(Heard) -> bool) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // What was told before is not heard any more.
    if !on(Heard::Anything) {
        return Ok(());
    }
    loop {
        // None: the connection was lost and made again, and with it perhaps a word.
        let heard = match listener.try_recv().await? {
            Some(word) => parse(word.payload(), node),
            None => Some(Heard::Anything),
        };
        if heard.is_some_and(|heard| !on(heard)) {
            return Ok(());
        }
    }
}
