//! What webhooks were sent.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use entity::{Micros, webhook_delivery};
use uuid::Uuid;

use super::super::access::{id, or_refuse};
use super::super::newest;
use super::super::values::{Cursor, DateTime, ObjectName, PageInfo, UserErrorView, views};
use super::super::workspace::split;
use super::{WebhookEventKind, kind_of, worker};
use crate::error::{UserError, UserErrorCode};
use crate::features::webhooks::{Attempt, DeliveryFilter, MOST_TRIES, Preview, Replay, State};
use crate::graphql::errors::field_error;
use crate::graphql::request;

/// What became of a delivery.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "State")]
pub enum WebhookDeliveryState {
    /// It is to be sent, for the first time or again.
    Pending,
    /// The endpoint took it (2xx).
    Delivered,
    /// It was given up. `replayWebhooks` sends it again.
    Failed,
}

/// One attempt at a delivery.
#[derive(SimpleObject)]
pub struct WebhookAttempt {
    /// When.
    at: DateTime,
    /// How long it took, in milliseconds.
    duration_ms: i64,
    /// The status that the endpoint answered with; null if it did not.
    status: Option<i32>,
    /// Why there was no answer.
    error: Option<String>,
    /// The beginning of what the endpoint answered.
    response: Option<String>,
}

impl From<Attempt> for WebhookAttempt {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: Micros(attempt.at).into(),
            duration_ms: i64::try_from(attempt.millis).unwrap_or(i64::MAX),
            status: attempt.status.map(i32::from),
            error: attempt.error,
            response: attempt.response,
        }
    }
}

/// One event for one webhook. What was sent is not kept: `webhookPreview` shows what would be.
pub struct WebhookDelivery {
    row: webhook_delivery::Model,
}

/// One event for one webhook. What was sent is not kept: `webhookPreview` shows what would be.
#[Object]
impl WebhookDelivery {
    /// Its id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// The id that the endpoint is told (`webhook-id`), the same with each attempt: what came twice is known by it.
    async fn message_id(&self) -> String {
        format!("msg_{}", self.row.id.simple())
    }

    /// Which webhook.
    async fn webhook_id(&self) -> ID {
        self.row.webhook_id.into()
    }

    /// Which object the record is of.
    async fn object(&self) -> ObjectName {
        ObjectName::of(&self.row.object)
    }

    /// The record.
    async fn record_id(&self) -> ID {
        self.row.record_id.into()
    }

    /// What happened to it.
    async fn event(&self) -> WebhookEventKind {
        kind_of(self.row.change.as_deref())
    }

    /// Its place in the workspace's change log.
    async fn seq(&self) -> i64 {
        self.row.seq
    }

    /// What became of it.
    async fn state(&self) -> WebhookDeliveryState {
        State::of(&self.row.state).into()
    }

    /// The attempts that are kept, the latest last; at most ten are made, over three days.
    async fn attempts(&self) -> Vec<WebhookAttempt> {
        let attempts: Vec<Attempt> = serde_json::from_value(self.row.attempts.clone()).unwrap_or_default();
        attempts.into_iter().map(Into::into).collect()
    }

    /// How many attempts are left.
    async fn attempts_left(&self) -> i64 {
        if State::of(&self.row.state) == State::Pending { MOST_TRIES - self.row.tries } else { 0 }
    }

    /// When it is tried next, unless an earlier one of the same record is still to be delivered; null when it is over.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        (State::of(&self.row.state) == State::Pending).then(|| self.row.next_at.into())
    }

    /// When it was decided on.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was over.
    async fn done_at(&self) -> Option<DateTime> {
        self.row.done_at.map(Into::into)
    }
}

/// Which deliveries; what is not given does not matter.
#[derive(InputObject, Default)]
pub struct WebhookDeliveryFilter {
    /// Of this webhook.
    webhook_id: Option<ID>,
    /// About this record.
    record_id: Option<ID>,
    /// In one of these states; FAILED are the dead letters.
    states: Option<Vec<WebhookDeliveryState>>,
    /// Decided on at or after this instant.
    from: Option<DateTime>,
    /// Decided on before this instant.
    to: Option<DateTime>,
}

/// A page of deliveries, the newest first.
#[derive(SimpleObject)]
pub struct WebhookDeliveryConnection {
    /// The deliveries.
    nodes: Vec<WebhookDelivery>,
    /// Whether there is more, and where.
    page_info: PageInfo,
}

/// What would be sent.
#[derive(SimpleObject)]
pub struct WebhookPreview {
    /// The body, as it would be sent now.
    body: String,
}

/// What is sent again.
#[derive(InputObject)]
pub struct ReplayWebhooksInput {
    /// To which webhook.
    webhook_id: ID,
    /// What happened at or after this instant.
    from: DateTime,
    /// And before this one; now if not given.
    to: Option<DateTime>,
    /// Whether what was delivered is sent again too; otherwise what failed, and what was never sent because the webhook was off.
    #[graphql(default)]
    delivered: bool,
}

/// What came of a replay.
#[derive(SimpleObject, Default)]
pub struct ReplayWebhooksPayload {
    /// How many deliveries of that time are due now.
    pending: Option<i64>,
    /// Why nothing was done; empty if something was.
    user_errors: Vec<UserErrorView>,
}

/// What to send.
#[derive(InputObject)]
pub struct SendTestWebhookInput {
    /// To which webhook.
    id: ID,
    /// About which record; the one that was changed last if not given.
    record_id: Option<ID>,
}

/// What came of a test.
#[derive(SimpleObject, Default)]
pub struct SendTestWebhookPayload {
    /// What was sent.
    body: Option<String>,
    /// What the endpoint answered.
    attempt: Option<WebhookAttempt>,
    /// Why nothing was sent; empty if something was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct DeliveryQuery;

#[derive(Default)]
pub struct DeliveryMutation;

#[Object]
impl DeliveryQuery {
    /// What webhooks were and are to be sent. Needs INTEGRATIONS.
    async fn webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<WebhookDeliveryFilter>,
        #[graphql(desc = "Deliveries on the page, at most 200.", default = 20)] first: i32,
        #[graphql(desc = "Begin after this place.")] after: Option<Cursor>,
    ) -> Result<WebhookDeliveryConnection> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let (first, after) = newest::asked(first, after)?;
        let filter = filter.unwrap_or_default();
        let uuid = |id: Option<ID>| id.map(|id| id.parse().unwrap_or_else(|_| Uuid::nil()));
        let filter = DeliveryFilter {
            webhook: uuid(filter.webhook_id),
            record: uuid(filter.record_id),
            states: filter.states.unwrap_or_default().into_iter().map(Into::into).collect(),
            from: filter.from.and_then(|at| at.micros()),
            to: filter.to.and_then(|at| at.micros()),
        };
        let found = request.app.webhooks.deliveries(&signed.ctx, &filter, after, first + 1).await.map_err(|e| field_error(&e))?;
        let page_info = newest::page_info(&found, (first, after), |row| (row.created_at, row.id));
        let nodes = found.into_iter().take(first).map(|row| WebhookDelivery { row }).collect();
        Ok(WebhookDeliveryConnection { nodes, page_info })
    }

    /// What a webhook would be sent of a record as it is now; nothing is sent. Null if it is not told of that record. Needs INTEGRATIONS.
    async fn webhook_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook.")] id: ID,
        #[graphql(desc = "The record; the one that was changed last if not given.")] record_id: Option<ID>,
    ) -> Result<Option<WebhookPreview>> {
        let (shown, _) = try_out(ctx, &id, record_id.as_ref(), false).await?;
        Ok(shown.map(|preview| WebhookPreview { body: preview.body }))
    }
}

#[Object]
impl DeliveryMutation {
    /// Sends a webhook what it would be sent of a record, at once and once, under an id that begins with `msg_test_`. Needs INTEGRATIONS.
    async fn send_test_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to send.")] input: SendTestWebhookInput,
    ) -> Result<SendTestWebhookPayload> {
        let (shown, errors) = try_out(ctx, &input.id, input.record_id.as_ref(), true).await?;
        let (body, attempt) = shown.map_or((None, None), |preview| (Some(preview.body), preview.attempt.map(Into::into)));
        Ok(SendTestWebhookPayload { body, attempt, user_errors: views(errors) })
    }

    /// Sends a webhook again what happened in a span of time. Needs INTEGRATIONS.
    async fn replay_webhooks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is sent again.")] input: ReplayWebhooksInput,
    ) -> Result<ReplayWebhooksPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let webhook = or_refuse!(ReplayWebhooksPayload, id(&input.webhook_id, &["webhookId"]));
        let instant = |at: DateTime, path: &str| {
            at.micros().ok_or_else(|| UserError::new(UserErrorCode::InvalidValue, &[path], "An instant looks like 2026-03-11T12:00:00Z."))
        };
        let from = or_refuse!(ReplayWebhooksPayload, instant(input.from, "from"));
        let now = Micros(signed.ctx.now().0 + 1);
        let to = or_refuse!(ReplayWebhooksPayload, input.to.map_or(Ok(now), |to| instant(to, "to")));
        let replay = Replay { webhook, from, to, delivered: input.delivered };
        let (pending, errors) = split(worker(request)?.replay(&signed.ctx, &replay).await)?;
        Ok(ReplayWebhooksPayload { pending, user_errors: views(errors) })
    }
}

/// Shows what would be sent, or sends it.
async fn try_out(ctx: &Context<'_>, hook: &ID, record: Option<&ID>, send: bool) -> Result<(Option<Preview>, Vec<UserError>)> {
    let request = request::of(ctx);
    let signed = request.signed().map_err(|e| field_error(&e))?;
    let record = match record.map(|record| id(record, &["recordId"])).transpose() {
        Ok(record) => record,
        Err(error) => return Ok((None, vec![error])),
    };
    let hook = match id(hook, &["id"]) {
        Ok(hook) => hook,
        Err(error) => return Ok((None, vec![error])),
    };
    let worker = worker(request)?;
    let (hook, errors) = split(request.app.webhooks.find(&signed.ctx, hook).await)?;
    let Some(hook) = hook else { return Ok((None, errors)) };
    split(worker.preview(&signed.ctx, Arc::new(hook), record, send).await)
}
