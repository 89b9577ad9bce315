//! Whoever works: reads the log on, and sends what is due.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::{webhook, webhook_delivery};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::Instrument as _;
use uuid::Uuid;

use super::breaker::Breakers;
use super::model::{SECOND, State, Status};
use super::payload::{envelope, event, payloads, subject};
use super::send::{Outcome, attempt};
use super::service::Secrets;
use super::{Open, Opened, Webhooks};
use crate::error::{Error, Result};
use crate::features::live::account;
use crate::infra::db::{Backend, Mode, Scope, Tx, Value};
use crate::infra::signals::Topic;
use crate::infra::traces;
use crate::platform::audit::{self, Action};
use crate::platform::jobs::{self, NewJob};
use crate::platform::readers::{self, Reader};
use crate::records::feed::{self, Entry, Event};

/// Attempts at one endpoint that run side by side.
const SIDE_BY_SIDE: usize = 32;
/// Webhooks to which one process sends at once.
const AT_ONCE: usize = 64;
/// Whoever takes a delivery has so long to send it: longer than any attempt lasts.
const LEASE: i64 = 60 * SECOND;
/// How often it is looked what is due, besides when something happens.
const PULSE: Duration = Duration::from_secs(1);
/// Attempts of a delivery that are kept, the latest ones.
const MOST_KEPT: usize = 20;

/// The job that tells the owner of a webhook that it was switched off.
pub const NOTICE: &str = "WEBHOOK_NOTICE";

pub struct Worker {
    pub(super) hooks: Webhooks,
    pub(super) open: Open,
    breakers: Breakers,
    /// Webhooks to which this process is sending.
    busy: Mutex<HashSet<Uuid>>,
    /// Something was sent or is due.
    stirred: Notify,
}

/// That this process is sending to a webhook; given back however that ends.
struct Turn {
    worker: Arc<Worker>,
    hook: Uuid,
}

impl Turn {
    /// None if somebody has it.
    fn take(worker: &Arc<Worker>, hook: Uuid) -> Option<Self> {
        let free = worker.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(hook);
        free.then(|| Self { worker: worker.clone(), hook })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.worker.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hook);
    }
}

impl Worker {
    pub fn new(hooks: Webhooks, open: Open) -> Arc<Self> {
        Arc::new(Self { hooks, open, breakers: Breakers::default(), busy: Mutex::default(), stirred: Notify::new() })
    }

    /// Works until it is told to stop; what is being sent then is sent to its end.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut news = self.hooks.db.signals.listen();
        let mut sending = tokio::task::JoinSet::new();
        while !*stopping.borrow() {
            let pulse = AssertUnwindSafe(self.clone().pulse(&mut sending, &stopping)).catch_unwind().await;
            match pulse {
                // There is more to read already.
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!("webhooks: {error}"),
                Err(_) => tracing::error!("webhooks: reading the log panicked"),
            }
            tokio::select! {
                _ = stopping.changed() => {}
                () = tokio::time::sleep(PULSE) => {}
                () = self.stirred.notified() => {}
                () = async { while news.next().await.is_some_and(|signal| signal.topic != Topic::Records) {} } => {}
            }
            while sending.try_join_next().is_some() {}
        }
        while sending.join_next().await.is_some() {}
    }

    /// Reads some of what is new, and begins to send what is due to whomever nobody is sending; whether there is more to read.
    async fn pulse(self: Arc<Self>, sending: &mut tokio::task::JoinSet<()>, stopping: &watch::Receiver<bool>) -> Result<bool> {
        let more = self.read().await?;
        for (workspace, hook) in self.due().await? {
            if sending.len() >= AT_ONCE {
                break;
            }
            let Some(turn) = Turn::take(&self, hook) else { continue };
            let (worker, stopping) = (self.clone(), stopping.clone());
            sending.spawn(async move {
                let sent = worker.send(workspace, hook, || *stopping.borrow()).await;
                drop(turn);
                match sent {
                    Ok(0) => {}
                    Ok(_) => worker.stirred.notify_one(),
                    Err(error) => tracing::warn!("webhook {hook}: {error}"),
                }
            });
        }
        Ok(more)
    }

    /// Reads the log and sends until nothing is due, once; for whoever wants to know when it is done.
    pub async fn work(&self) -> Result<()> {
        while self.read().await? {}
        for (workspace, hook) in self.due().await? {
            self.send(workspace, hook, || false).await?;
        }
        Ok(())
    }

    /// Reads the log on by one batch in each workspace; whether there may be more.
    async fn read(&self) -> Result<bool> {
        let (db, clock) = (&self.hooks.db, &self.hooks.clock);
        let tx = db.begin(&Scope::worker(), Mode::Read).await?;
        let waiting = readers::waiting(&tx, Reader::Webhooks, clock.now()).await?;
        tx.commit().await?;
        let mut more = false;
        for workspace in waiting {
            more |= feed::step(db, clock, (Reader::Webhooks, workspace), self).await?;
        }
        Ok(more)
    }

    /// Webhooks for which something can be sent now: what is leased, or waits for an earlier change of its record, cannot.
    async fn due(&self) -> Result<Vec<(Uuid, Uuid)>> {
        let now = self.hooks.clock.now();
        let tx = self.hooks.db.begin(&Scope::worker(), Mode::Read).await?;
        let sql = "SELECT w.workspace_id, w.id FROM webhook w WHERE w.status = 'ACTIVE' AND EXISTS (SELECT 1 FROM webhook_delivery d \
                   WHERE d.workspace_id = w.workspace_id AND d.webhook_id = w.id AND d.done_at IS NULL AND d.next_at <= $1 \
                   AND d.lease_until <= $1 AND NOT EXISTS (SELECT 1 FROM webhook_delivery e WHERE e.workspace_id = d.workspace_id \
                   AND e.webhook_id = d.webhook_id AND e.record_id = d.record_id AND e.state = 'PENDING' AND e.seq < d.seq)) \
                   ORDER BY w.workspace_id, w.id";
        let rows = tx.fetch_all(sql, vec![now.0.into()]).await?;
        tx.commit().await?;
        let mut due = Vec::new();
        for row in &rows {
            let Some((workspace, hook)) = row.uuid(0)?.zip(row.uuid(1)?) else { continue };
            if self.breakers.room(hook, now, 1) > 0 {
                due.push((workspace, hook));
            }
        }
        Ok(due)
    }

    /// Sends what is due to a webhook, some of it side by side, until nothing is or it is to stop; how much.
    async fn send(&self, workspace: Uuid, hook: Uuid, stops: impl Fn() -> bool) -> Result<usize> {
        let mut flights = FuturesUnordered::new();
        let (mut count, mut failed) = (0, None);
        loop {
            let room = self.breakers.room(hook, self.hooks.clock.now(), SIDE_BY_SIDE).saturating_sub(flights.len());
            // Taking one costs as much as taking many, so places are filled when a quarter of them is free.
            let worth_it = flights.is_empty() || room >= SIDE_BY_SIDE / 4;
            if room > 0 && worth_it && failed.is_none() && !stops() {
                match self.begin(workspace, hook, room).await {
                    Ok(begun) => flights.extend(begun),
                    // What is on its way is written down all the same.
                    Err(error) => failed = Some(error),
                }
            }
            let Some(first) = flights.next().await else { return failed.map_or(Ok(count), Err) };
            let mut done = vec![first];
            while let Some(Some(more)) = flights.next().now_or_never() {
                done.push(more);
            }
            // What panicked is due again when its lease ends.
            let done: Vec<Outcome> = done.into_iter().flatten().collect();
            count += done.len();
            self.finish(done).await?;
        }
    }

    /// Takes what is due and begins to send it, each by itself: its answer is heard while others are written down.
    async fn begin(&self, workspace: Uuid, hook: Uuid, most: usize) -> Result<Vec<JoinHandle<Outcome>>> {
        let Some((hook, opened)) = self.ready(workspace, hook).await? else { return Ok(Vec::new()) };
        let secrets = Arc::new(Secrets::open(&self.hooks.vault, &hook)?);
        let taken = self.take(&hook, most).await?;
        let rendered = self.render(&opened, taken).await?.into_iter();
        let attempts = rendered.map(|(delivery, body)| {
            attempt(self.hooks.clone(), hook.clone(), secrets.clone(), delivery, body).instrument(traces::of_work("webhook attempt"))
        });
        Ok(attempts.map(tokio::spawn).collect())
    }

    /// A webhook to which may be sent, and who its subscriber is now.
    async fn ready(&self, workspace: Uuid, hook: Uuid) -> Result<Option<(Arc<webhook::Model>, Opened)>> {
        let Some(hook) = self.active(workspace, hook).await?.map(Arc::new) else { return Ok(None) };
        match (self.open)(hook.clone()).await {
            Ok(opened) => Ok(Some((hook, opened))),
            Err(Error::Refused(refused)) => {
                let tx = self.hooks.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
                self.disable(&tx, &hook, &refused.message).await?;
                tx.commit().await?;
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Looks at once what is due.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    async fn active(&self, workspace: Uuid, hook: Uuid) -> Result<Option<webhook::Model>> {
        let tx = self.hooks.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let found = webhook::Entity::find_by_id((workspace, hook)).one(&tx).await?;
        tx.commit().await?;
        Ok(found.filter(|found| Status::of(&found.status) == Status::Active))
    }

    /// Takes deliveries that are due, the oldest of each record.
    async fn take(&self, hook: &webhook::Model, most: usize) -> Result<Vec<webhook_delivery::Model>> {
        let (now, lease) = (self.hooks.clock.now(), self.hooks.clock.new_id());
        let tx = self.hooks.db.begin(&Scope::workspace(hook.workspace_id), Mode::Write).await?;
        let lock = if tx.backend() == Backend::Postgres {
            // The queue's index has them in this order. Where little is due as a rule PostgreSQL expects little, and would
            // rather sort it: all of it, each time, on the day when there is much.
            tx.run("SELECT set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true)", Vec::new()).await?;
            " FOR UPDATE SKIP LOCKED"
        } else {
            ""
        };
        let sql = format!(
            "SELECT d.id FROM webhook_delivery d WHERE d.workspace_id = $1 AND d.webhook_id = $2 AND d.done_at IS NULL \
             AND d.next_at <= $3 AND d.lease_until <= $3 AND NOT EXISTS (SELECT 1 FROM webhook_delivery e WHERE e.workspace_id = $1 \
             AND e.webhook_id = $2 AND e.record_id = d.record_id AND e.state = 'PENDING' AND e.seq < d.seq) \
             ORDER BY d.next_at, d.seq LIMIT {most}{lock}"
        );
        let found = tx.fetch_all(&sql, vec![hook.workspace_id.into(), hook.id.into(), now.0.into()]).await?;
        let ids: Vec<Uuid> = found.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let taken = if ids.is_empty() {
            Vec::new()
        } else {
            webhook_delivery::Entity::update_many()
                .col_expr(webhook_delivery::Column::Lease, Expr::value(lease))
                .col_expr(webhook_delivery::Column::LeaseUntil, Expr::value(now.0 + LEASE))
                .filter(webhook_delivery::Column::WorkspaceId.eq(hook.workspace_id))
                .filter(webhook_delivery::Column::Id.is_in(ids))
                .exec_with_returning(&tx)
                .await?
        };
        tx.commit().await?;
        Ok(taken)
    }

    /// The payloads of deliveries, as their subscriber may see the records now.
    pub(super) async fn render(
        &self,
        opened: &Opened,
        deliveries: Vec<webhook_delivery::Model>,
    ) -> Result<Vec<(webhook_delivery::Model, String)>> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let ctx = &opened.viewer.ctx;
        let tx = self.hooks.db.begin(&ctx.scope(), Mode::Read).await?;
        tx.see_all(true).await?;
        let seqs: Vec<i64> = deliveries.iter().filter(|delivery| delivery.change.is_some()).map(|delivery| delivery.seq).collect();
        let entries = if seqs.is_empty() { Vec::new() } else { feed::entries_at(&tx, ctx.workspace, &seqs).await? };
        tx.see_all(false).await?;
        let entries: HashMap<i64, Arc<Entry>> = entries.into_iter().map(|entry| (entry.seq, Arc::new(entry))).collect();
        let mut rendered = Vec::with_capacity(deliveries.len());
        let events: Vec<Event> = deliveries.iter().map(|delivery| event(opened, delivery, entries.get(&delivery.seq))).collect();
        let data = payloads(opened, &tx, &events).await?;
        tx.commit().await?;
        account(&self.hooks.db, &opened.viewer).await?;
        for ((delivery, event), data) in deliveries.into_iter().zip(&events).zip(data) {
            let at = event.entry.as_ref().map_or(delivery.created_at, |entry| entry.at);
            let what = delivery.change.as_deref().unwrap_or(&delivery.kind).to_ascii_lowercase();
            let body = envelope(opened, (subject(opened, event.scope), &what), at, &data)?;
            rendered.push((delivery, body));
        }
        Ok(rendered)
    }

    /// Writes down what came of attempts at one webhook.
    async fn finish(&self, outcomes: Vec<Outcome>) -> Result<()> {
        let Some(hook) = outcomes.first().map(|outcome| outcome.hook.clone()) else { return Ok(()) };
        let now = self.hooks.clock.now();
        let mut over = None;
        let tx = self.hooks.db.begin(&Scope::workspace(hook.workspace_id), Mode::Write).await?;
        let (mut rows, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), vec![hook.workspace_id.into(), hook.id.into()]);
        for outcome in outcomes {
            let well = outcome.attempt.status.is_some_and(|status| (200..300).contains(&status));
            // Too much is no failure: it says when it goes on.
            self.breakers.note(hook.id, well || outcome.retry_after.is_some(), now);
            let verdict = outcome.verdict(now);
            let Outcome { delivery, attempt, .. } = outcome;
            let mut attempts: Vec<serde_json::Value> = serde_json::from_value(delivery.attempts)?;
            attempts.push(serde_json::to_value(&attempt)?);
            let attempts = attempts.split_off(attempts.len().saturating_sub(MOST_KEPT));
            let of_row: [(Value, &str); 8] = [
                (delivery.seq.into(), "bigint"),
                (delivery.record_id.into(), "uuid"),
                (verdict.state.as_str().into(), "text"),
                (serde_json::Value::Array(attempts).into(), "jsonb"),
                ((delivery.tries + 1).into(), "bigint"),
                (verdict.next_at.into(), "bigint"),
                ((verdict.state != State::Pending).then_some(now.0).into(), "bigint"),
                (delivery.lease.into(), "uuid"),
            ];
            let mut marks = Vec::with_capacity(of_row.len());
            for (value, kind) in of_row {
                values.push(value);
                marks.push(if tx.backend() == Backend::Postgres {
                    format!("${}::{kind}", values.len())
                } else {
                    format!("${}", values.len())
                });
            }
            rows.push(format!("({})", marks.join(", ")));
            over = over.or(verdict.over);
        }
        let sql = format!(
            "WITH done (seq, record_id, state, attempts, tries, next_at, done_at, lease) AS (VALUES {}) \
             UPDATE webhook_delivery SET state = done.state, attempts = done.attempts, tries = done.tries, next_at = done.next_at, \
             done_at = done.done_at, lease = NULL, lease_until = 0 FROM done WHERE webhook_delivery.workspace_id = $1 \
             AND webhook_delivery.webhook_id = $2 AND webhook_delivery.seq = done.seq AND webhook_delivery.record_id = done.record_id \
             AND webhook_delivery.lease = done.lease",
            rows.join(", ")
        );
        tx.run(&sql, values).await?;
        if let Some(why) = &over {
            self.disable(&tx, &hook, why).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Sends nothing more to a webhook until somebody looks at it, and tells its owner.
    pub(super) async fn disable(&self, tx: &Tx, hook: &webhook::Model, why: &str) -> Result<()> {
        let now = self.hooks.clock.now();
        let sql = "UPDATE webhook SET status = 'DISABLED', reason = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2 AND status = 'ACTIVE'";
        let values: Vec<Value> = vec![hook.workspace_id.into(), hook.id.into(), why.into(), now.0.into()];
        if tx.run(sql, values).await? == 0 {
            return Ok(());
        }
        self.breakers.forget(hook.id);
        let detail = json!({ "disabled": hook.name, "why": why });
        let event = audit::Event::by_server(hook.workspace_id, Action::WebhookChanged, Some(hook.id), detail, now);
        audit::append(tx, &event).await?;
        let payload = json!({ "webhook": hook.id, "why": why });
        let notice = NewJob { kind: NOTICE, key: Some(format!("{} {}", hook.id, now.0)), payload, priority: 10, run_at: now };
        Ok(jobs::enqueue(tx, &self.hooks.clock, hook.workspace_id, notice).await?)
    }
}
