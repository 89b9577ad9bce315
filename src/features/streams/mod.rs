//! External streams: the change log, published to a broker, for warehouses and integrations.
//!
//! A reader of the log turns each entry into a CloudEvent ([`envelope`]) and publishes it; the place moves when the broker
//! has it. It begins at the beginning of the log. A broker that is away is waited for, however long; a process that dies
//! in between leaves what the next one publishes once more, which the broker knows again. What an event looks like is told
//! by a JSON Schema for each object ([`schemas`]).
//!
//! Whoever reads a stream sees what every record holds, encrypted fields excepted: it is the operator who sets it up, and
//! who keeps the broker.

mod envelope;
pub mod schemas;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::broker::{Broker, Message};
use crate::infra::clock::Clock;
use crate::infra::db::{Db, Mode, Scope, Tx};
use crate::infra::signals::Topic;
use crate::platform::readers::{self, Place, Reader};
use crate::records::feed::{self, Entry, Handler, Look};

/// How often it is looked whether there is something to read, besides when something happens.
const PULSE: Duration = Duration::from_secs(1);

/// The catalog of a workspace.
pub type CatalogOf = Arc<dyn Fn(Uuid) -> BoxFuture<'static, Result<Arc<Catalog>>> + Send + Sync>;

pub struct Streams {
    db: Db,
    clock: Clock,
    broker: Broker,
    catalog: CatalogOf,
}

impl Streams {
    pub fn new(db: Db, clock: Clock, broker: Broker, catalog: CatalogOf) -> Self {
        Self { db, clock, broker, catalog }
    }

    /// Publishes what is new until it is told to stop.
    pub async fn run(&self, mut stopping: watch::Receiver<bool>) {
        let mut news = self.db.signals.listen();
        while !*stopping.borrow() {
            match self.once().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!("streams: {error}"),
            }
            tokio::select! {
                _ = stopping.changed() => {}
                () = tokio::time::sleep(PULSE) => {}
                () = async { while news.next().await.is_some_and(|signal| signal.topic != Topic::Records) {} } => {}
            }
        }
    }

    /// Publishes some of what is new in each workspace; whether there is more.
    pub async fn once(&self) -> Result<bool> {
        let now = self.clock.now();
        let tx = self.db.begin(&Scope::worker(), Mode::Read).await?;
        let (new, waiting) = (readers::without(&tx, Reader::Streams).await?, readers::waiting(&tx, Reader::Streams, now).await?);
        tx.commit().await?;
        for workspace in &new {
            let tx = self.db.begin(&Scope::workspace(*workspace), Mode::Write).await?;
            readers::open_at_beginning(&tx, *workspace, Reader::Streams, now).await?;
            tx.commit().await?;
        }
        let mut more = !new.is_empty();
        for workspace in waiting {
            more |= feed::step(&self.db, &self.clock, (Reader::Streams, workspace), self).await?;
        }
        Ok(more)
    }
}

impl Handler for Streams {
    type Found = ();

    async fn look(&self, workspace: Uuid, _: &Place, entries: &[Arc<Entry>]) -> Result<Look<()>> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(Look::Found(())) };
        let catalog = (self.catalog)(workspace).await?;
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let details = feed::details(&tx, workspace, (first.seq, last.seq)).await?;
        tx.commit().await?;
        let mut messages = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(detail) = details.get(&entry.seq) else { continue };
            let body = envelope::write(workspace, &catalog, entry, detail)?;
            messages.push(Message { number: entry.seq, about: envelope::about(entry), body });
        }
        Ok(match self.broker.publish(workspace, &messages).await {
            Ok(()) => Look::Found(()),
            Err(why) => Look::Later(format!("The broker did not take it: {why}")),
        })
    }

    async fn write(&self, _: &Tx, _: Uuid, (): ()) -> Result<()> {
        Ok(())
    }
}
