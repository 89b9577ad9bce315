//! Webhooks.

mod deliveries;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Json, MergedObject, Object, Result, SimpleObject};
use entity::webhook;
use serde_json::Value;

use super::access::{id, or_refuse};
use super::values::{DateTime, SyncScope, UserErrorView, views};
use super::workspace::split;
use crate::error::{Error, UserError, UserErrorCode};
use crate::features::webhooks::{Change, KINDS, Made, Signature, Status, WebhookInput, Worker};
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Request};
use crate::graphql::webhooks as documents;

pub use deliveries::DeliveryQuery;

/// Whether a webhook is sent anything.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum WebhookStatus {
    /// It is.
    Active,
    /// Its owner stopped it.
    Paused,
    /// The server stopped it: `disabledReason` says why. Make it ACTIVE again, and ask for what was missed with `replayWebhooks`.
    Disabled,
}

/// How payloads are signed, by the Standard Webhooks specification.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Signature")]
pub enum WebhookSignature {
    /// `v1`: HMAC-SHA256 with a secret that both ends know.
    Hmac,
    /// `v1a`: Ed25519; the endpoint knows the public key only, and cannot sign itself.
    #[graphql(name = "ED25519")]
    Ed25519,
}

/// What happened to a record.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum WebhookEventKind {
    /// It was created.
    Created,
    /// Fields of it were changed.
    Updated,
    /// It was deleted, and can be restored.
    Deleted,
    /// It was restored.
    Restored,
    /// It was removed for good.
    Purged,
    /// It was linked to another record, or something was said of the link.
    Linked,
    /// A link was cut.
    Unlinked,
    /// Nothing touched it, but another record's change moved it into the list or out of it.
    Moved,
}

impl WebhookEventKind {
    const EVERY: [Self; 8] =
        [Self::Created, Self::Updated, Self::Deleted, Self::Restored, Self::Purged, Self::Linked, Self::Unlinked, Self::Moved];

    fn name(self) -> &'static str {
        let index = Self::EVERY.iter().position(|kind| *kind == self).unwrap_or(0);
        KINDS[index].as_str()
    }

    fn of(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|kind| kind.name() == name)
    }
}

/// An endpoint that is told what happens to records: at least once, and in order for each record. Payloads are JSON: `{ type: "deal.updated", timestamp, data }`, signed by the Standard Webhooks specification.
pub struct Webhook {
    row: webhook::Model,
}

/// An endpoint that is told what happens to records: at least once, and in order for each record. Payloads are JSON: `{ type: "deal.updated", timestamp, data }`, signed by the Standard Webhooks specification.
#[Object]
impl Webhook {
    /// The webhook's id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Where payloads are sent.
    async fn url(&self) -> &str {
        &self.row.url
    }

    /// Whether it is sent anything.
    async fn status(&self) -> WebhookStatus {
        Status::of(&self.row.status).into()
    }

    /// Why the server stopped it; null unless it did.
    async fn disabled_reason(&self) -> Option<&str> {
        self.row.reason.as_deref()
    }

    /// How payloads are signed.
    async fn signature(&self) -> WebhookSignature {
        Signature::of(&self.row.signature).into()
    }

    /// The lists that it is told of, with their filters, each as `{ <list>: <filter> }`; empty: all that its maker sees.
    async fn scopes(&self) -> Json<&Value> {
        Json(&self.row.scopes)
    }

    /// The subscription that says what is sent; null: everything of a record but its lists.
    async fn document(&self) -> Option<&str> {
        self.row.document.as_deref()
    }

    /// The document's variables.
    async fn variables(&self) -> Json<&Value> {
        Json(&self.row.variables)
    }

    /// The subscription that is used: its own, or the usual one of its lists. Subscribed to over a WebSocket it tells what `data` is.
    async fn effective_document(&self, ctx: &Context<'_>) -> Result<String> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        let usual = || documents::usual(&ctx.schema_env.registry, &signed.known.catalog, &self.row.scopes);
        Ok(self.row.document.clone().unwrap_or_else(usual))
    }

    /// What it is told of; empty: of everything.
    async fn kinds(&self) -> Vec<WebhookEventKind> {
        let kinds = self.row.kinds.as_array().into_iter().flatten();
        kinds.filter_map(|kind| WebhookEventKind::of(kind.as_str()?)).collect()
    }

    /// With whose access it sees: the id of the member or API key who made it.
    async fn holder_id(&self) -> ID {
        self.row.holder_id.into()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }
}

/// A new webhook. It sees what its maker sees, as of each delivery.
#[derive(InputObject)]
pub struct CreateWebhookInput {
    /// What to call it.
    name: String,
    /// Where to send: https:// or http://; networks that are private must be allowed by the server's settings.
    url: String,
    /// The lists that it is told of, with filters: `[{ deals: { status: { eq: WON } } }]`. Not given: all records that its maker sees. Not together with `document`, whose arguments say it.
    scopes: Option<Vec<SyncScope>>,
    /// A subscription, as it would be sent over a WebSocket: which records (its `filter`), and what of them. `data` is what it answers.
    document: Option<String>,
    /// The document's variables.
    variables: Option<Json<Value>>,
    /// What to tell; not given: everything.
    kinds: Option<Vec<WebhookEventKind>>,
    /// How to sign: HMAC if not given.
    signature: Option<WebhookSignature>,
}

/// Changes of a webhook; what is not given stays.
#[derive(InputObject)]
pub struct UpdateWebhookInput {
    /// Which one.
    id: ID,
    /// What to call it.
    name: Option<String>,
    /// Where to send.
    url: Option<String>,
    /// The lists that it is told of; the document goes.
    scopes: Option<Vec<SyncScope>>,
    /// The subscription that says what is sent.
    document: Option<String>,
    /// The document's variables.
    variables: Option<Json<Value>>,
    /// What to tell; an empty list: everything.
    kinds: Option<Vec<WebhookEventKind>>,
    /// ACTIVE or PAUSED. What happened meanwhile is sent when somebody asks for it (`replayWebhooks`).
    status: Option<WebhookStatus>,
}

/// Which webhook.
#[derive(InputObject)]
pub struct DeleteWebhookInput {
    /// Its id.
    id: ID,
}

/// A new secret for a webhook.
#[derive(InputObject)]
pub struct RotateWebhookSecretInput {
    /// Which webhook.
    id: ID,
    /// For how many hours the old one signs beside the new one, up to 720.
    #[graphql(default = 24)]
    grace_hours: i64,
}

/// What came of changing a webhook.
#[derive(SimpleObject, Default)]
pub struct WebhookPayload {
    /// The webhook.
    webhook: Option<Webhook>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

/// What came of making a webhook, or of giving it a new secret.
#[derive(SimpleObject, Default)]
pub struct WebhookSecretPayload {
    /// The webhook.
    webhook: Option<Webhook>,
    /// What its endpoint needs to verify signatures: `whsec_…`, or the public key `whpk_…`. It is told this once.
    secret: Option<String>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

/// What came of taking a webhook away.
#[derive(SimpleObject, Default)]
pub struct DeleteWebhookPayload {
    /// The webhook that is gone, with its deliveries.
    deleted_id: Option<ID>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct OwnWebhookQuery;

#[derive(Default)]
pub struct OwnWebhookMutation;

#[derive(MergedObject, Default)]
pub struct PlatformWebhookQueryParts(OwnWebhookQuery, DeliveryQuery);

#[derive(MergedObject, Default)]
pub struct PlatformWebhookMutationParts(OwnWebhookMutation, deliveries::DeliveryMutation);

pub use PlatformWebhookMutationParts as WebhookMutation;
pub use PlatformWebhookQueryParts as WebhookQuery;

#[Object]
impl OwnWebhookQuery {
    /// The workspace's webhooks, by name. Needs INTEGRATIONS.
    async fn webhooks(&self, ctx: &Context<'_>) -> Result<Vec<Webhook>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let all = request.app.webhooks.all(&signed.ctx).await.map_err(|e| field_error(&e))?;
        Ok(all.into_iter().map(|row| Webhook { row }).collect())
    }

    /// A webhook. Needs INTEGRATIONS.
    async fn webhook(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Option<Webhook>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = id.parse() else { return Ok(None) };
        let (found, _) = split(request.app.webhooks.find(&signed.ctx, id).await)?;
        Ok(found.map(|row| Webhook { row }))
    }
}

#[Object]
impl OwnWebhookMutation {
    /// Makes a webhook; it is told what happens from now on. Needs INTEGRATIONS.
    async fn create_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new webhook.")] input: CreateWebhookInput,
    ) -> Result<WebhookSecretPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let mut wanted = content(input.scopes, input.document, input.variables);
        wanted.name = Some(input.name);
        wanted.url = Some(input.url);
        wanted.signature = input.signature.map(Into::into);
        wanted.kinds = input.kinds.map(names);
        made(worker(request)?.create(&signed.ctx, wanted).await)
    }

    /// Changes a webhook, or stops it and lets it go on. Needs INTEGRATIONS.
    async fn update_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateWebhookInput,
    ) -> Result<WebhookPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let id = or_refuse!(WebhookPayload, id(&input.id, &["id"]));
        if input.status == Some(WebhookStatus::Disabled) {
            let error = UserError::new(UserErrorCode::InvalidValue, &["status"], "Only the server disables; PAUSED stops it.");
            return Ok(WebhookPayload { user_errors: views(vec![error]), ..Default::default() });
        }
        let mut wanted = content(input.scopes, input.document, input.variables);
        wanted.name = input.name;
        wanted.url = input.url;
        wanted.kinds = input.kinds.map(names);
        wanted.status = input.status.map(Into::into);
        let (row, errors) = split(worker(request)?.update(&signed.ctx, id, wanted).await)?;
        Ok(WebhookPayload { webhook: row.map(|row| Webhook { row }), user_errors: views(errors) })
    }

    /// Takes a webhook away, with its deliveries. Needs INTEGRATIONS.
    async fn delete_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteWebhookInput,
    ) -> Result<DeleteWebhookPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let id = or_refuse!(DeleteWebhookPayload, id(&input.id, &["id"]));
        let (done, errors) = split(request.app.webhooks.delete(&signed.ctx, id).await)?;
        Ok(DeleteWebhookPayload { deleted_id: done.map(|()| input.id), user_errors: views(errors) })
    }

    /// Gives a webhook a new secret; for a while the old one signs beside it, so that the endpoint can change over. Needs INTEGRATIONS.
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook, and for how long.")] input: RotateWebhookSecretInput,
    ) -> Result<WebhookSecretPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let id = or_refuse!(WebhookSecretPayload, id(&input.id, &["id"]));
        made(request.app.webhooks.rotate_secret(&signed.ctx, id, input.grace_hours).await)
    }
}

fn names(kinds: Vec<WebhookEventKind>) -> Vec<String> {
    kinds.into_iter().map(|kind| kind.name().to_owned()).collect()
}

fn made(done: std::result::Result<Made, crate::records::write::Rejected>) -> Result<WebhookSecretPayload> {
    let (made, errors) = split(done)?;
    let (webhook, secret) = made.map_or((None, None), |made| (Some(Webhook { row: made.webhook }), Some(made.secret)));
    Ok(WebhookSecretPayload { webhook, secret, user_errors: views(errors) })
}

/// Whoever works on webhooks.
fn worker(request: &Request) -> Result<Arc<Worker>> {
    request.app.worker.get().cloned().ok_or_else(|| field_error(&Error::fault("nobody works on webhooks")))
}

/// What a webhook is to be told of, and how.
fn content(scopes: Option<Vec<SyncScope>>, document: Option<String>, variables: Option<Json<Value>>) -> WebhookInput {
    let scopes = scopes.map(|scopes| {
        scopes.into_iter().map(|scope| Value::Object([(scope.list, scope.filter)].into_iter().collect())).collect::<Vec<Value>>()
    });
    WebhookInput { document, variables: variables.map(|variables| variables.0), scopes, ..Default::default() }
}

/// What happened, as it is told.
fn kind_of(change: Option<&str>) -> WebhookEventKind {
    WebhookEventKind::of(change.unwrap_or_else(|| Change::Moved.as_str())).unwrap_or(WebhookEventKind::Updated)
}
