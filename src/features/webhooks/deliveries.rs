//! What was sent, is being tried and was given up; and how it is sent again.

use entity::{Micros, webhook_delivery};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::json;
use uuid::Uuid;

use super::Webhooks;
use super::deliver::Worker;
use super::model::State;
use crate::error::{Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Scope, Value};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::feed;
use crate::records::write::Rejected;
use std::sync::Arc;

/// Entries of the log that are read together.
const BATCH: usize = 500;
/// The most entries of the log that one replay looks at.
const MOST: usize = 100_000;

/// Which deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub webhook: Option<Uuid>,
    pub record: Option<Uuid>,
    pub states: Vec<State>,
    pub from: Option<Micros>,
    pub to: Option<Micros>,
}

/// What is sent again.
#[derive(Clone, Debug)]
pub struct Replay {
    pub webhook: Uuid,
    pub from: Micros,
    pub to: Micros,
    /// Also what was delivered.
    pub delivered: bool,
}

impl Webhooks {
    /// Deliveries, the newest first; after one of them by `(created_at, id)`.
    pub async fn deliveries(
        &self,
        ctx: &Ctx,
        filter: &DeliveryFilter,
        after: Option<(Micros, Uuid)>,
        first: usize,
    ) -> Result<Vec<webhook_delivery::Model>> {
        use webhook_delivery::Column;
        access::require(ctx, Setting::Integrations)?;
        let mut found = webhook_delivery::Entity::find().filter(Column::WorkspaceId.eq(ctx.workspace));
        if let Some(webhook) = filter.webhook {
            found = found.filter(Column::WebhookId.eq(webhook));
        }
        if let Some(record) = filter.record {
            found = found.filter(Column::RecordId.eq(record));
        }
        if !filter.states.is_empty() {
            found = found.filter(Column::State.is_in(filter.states.iter().map(|state| state.as_str())));
        }
        if let Some(from) = filter.from {
            found = found.filter(Column::CreatedAt.gte(from));
        }
        if let Some(to) = filter.to {
            found = found.filter(Column::CreatedAt.lt(to));
        }
        if let Some((at, id)) = after {
            let same = Condition::all().add(Column::CreatedAt.eq(at)).add(Column::Id.lt(id));
            found = found.filter(Condition::any().add(Column::CreatedAt.lt(at)).add(same));
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let limit = u64::try_from(first).unwrap_or(u64::MAX);
        let found = found.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(&tx).await?;
        tx.commit().await?;
        Ok(found)
    }
}

impl Worker {
    /// Sends again what happened in a span of time: what failed, what was never sent because the webhook was off, and, if it
    /// is asked for, what was delivered. How much is due now.
    pub async fn replay(&self, ctx: &Ctx, replay: &Replay) -> Result<i64, Rejected> {
        let hook = Arc::new(self.hooks.find(ctx, replay.webhook).await?);
        if replay.to <= replay.from {
            return Err(UserError::new(UserErrorCode::InvalidValue, &["to"], "The span ends before it begins.").into());
        }
        let tx = self.hooks.db.begin(&ctx.system_scope(), Mode::Read).await?;
        // Entries are in the order of commits, which is nearly that of their instants: the span is found by both.
        let bounds = "SELECT min(seq), max(seq) FROM change_log WHERE workspace_id = $1 AND at >= $2 AND at < $3";
        let values: Vec<Value> = vec![ctx.workspace.into(), replay.from.0.into(), replay.to.0.into()];
        let row = tx.fetch_optional(bounds, values).await?;
        tx.commit().await?;
        let bounds = row.map(|row| Ok::<_, crate::error::Error>((row.int(0)?, row.int(1)?))).transpose()?;
        let Some((Some(first), Some(last))) = bounds else { return Ok(0) };
        if last - first >= i64::try_from(MOST).unwrap_or(i64::MAX) {
            let why = format!("More than {MOST} changes happened then: ask for a shorter span.");
            return Err(UserError::new(UserErrorCode::Limit, &["from"], why).into());
        }
        let again: &[State] = if replay.delivered { &[State::Failed, State::Delivered] } else { &[State::Failed] };
        let mut after = first - 1;
        while after < last {
            let tx = self.hooks.db.begin(&ctx.system_scope(), Mode::Read).await?;
            let read = feed::read(&tx, ctx.workspace, after, BATCH).await?;
            tx.commit().await?;
            let entries: Vec<Arc<feed::Entry>> = read.into_iter().filter(|entry| entry.seq <= last).map(Arc::new).collect();
            let Some(end) = entries.last().map(|entry| entry.seq) else { break };
            let found = self.find(hook.clone(), after, &entries).await?;
            // A part at a time: others write as well.
            let tx = self.hooks.db.begin(&Scope::workspace(ctx.workspace), Mode::Write).await?;
            self.write_down(&tx, found, again).await?;
            tx.commit().await?;
            after = end;
        }
        let tx = self.hooks.db.begin(&Scope::workspace(ctx.workspace), Mode::Write).await?;
        let due = "SELECT count(*) FROM webhook_delivery WHERE workspace_id = $1 AND webhook_id = $2 AND done_at IS NULL AND seq BETWEEN $3 AND $4";
        let values: Vec<Value> = vec![ctx.workspace.into(), hook.id.into(), first.into(), last.into()];
        let due = tx.fetch_optional(due, values).await?.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
        access::audit(&tx, ctx, Action::WebhookChanged, hook.id, json!({ "replayed": hook.name, "changes": last - first + 1 })).await?;
        tx.commit().await?;
        self.stir();
        Ok(due)
    }
}
