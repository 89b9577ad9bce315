//! Inbound hooks.

use async_graphql::{Context, Enum, ID, InputObject, Json, Object, Result, SimpleObject};
use entity::inbound_hook;
use serde_json::Value;

use super::access::{id, or_refuse};
use super::values::{DateTime, UserErrorView, views};
use super::workspace::split;
use crate::error::{UserError, UserErrorCode};
use crate::features::inbound::{Change, Made, Verification};
use crate::graphql::errors::field_error;
use crate::graphql::inbound as documents;
use crate::graphql::request;

/// How whoever posts to an inbound hook proves that they may.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Verification")]
pub enum InboundHookVerification {
    /// They send the secret: `Authorization: Bearer …`, `x-kith-token: …`, or `?token=…` for systems that can do nothing else.
    Token,
    /// They sign with it, by the Standard Webhooks specification: `webhook-id`, `webhook-timestamp` (at most five minutes ago), `webhook-signature` (`v1`).
    Signature,
}

/// An address to which another system posts JSON, of which records are made, with the access of whoever made it.
pub struct InboundHook {
    row: inbound_hook::Model,
}

/// An address to which another system posts JSON, of which records are made, with the access of whoever made it.
#[Object]
impl InboundHook {
    /// The hook's id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Where to post, below where this server is reached: `/hooks/<id>`.
    async fn path(&self) -> String {
        format!("/hooks/{}", self.row.id)
    }

    /// The type of the records that are made: `Deal`.
    #[graphql(name = "type")]
    async fn type_name(&self) -> &str {
        &self.row.type_name
    }

    /// By what a record is found that is there already, as the type's key; null: each request makes a new record.
    async fn key(&self) -> Option<Json<&Value>> {
        self.row.key_map.as_ref().map(Json)
    }

    /// The input, with `{ "$from": "/pointer" }` where values of the body go.
    async fn input(&self) -> Json<&Value> {
        Json(&self.row.input_map)
    }

    /// How whoever posts proves that they may.
    async fn verification(&self) -> InboundHookVerification {
        Verification::of(&self.row.verification).into()
    }

    /// Whether it takes nothing for now: whoever posts is told to come again (503).
    async fn paused(&self) -> bool {
        self.row.paused
    }

    /// With whose access it writes: the id of the member or API key who made it.
    async fn holder_id(&self) -> ID {
        self.row.holder_id.into()
    }

    /// When something was last posted.
    async fn last_at(&self) -> Option<DateTime> {
        self.row.last_at.map(Into::into)
    }

    /// What came of it: the status that was answered, and the first error's code and path.
    async fn last_outcome(&self) -> Option<&str> {
        self.row.last_outcome.as_deref()
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

/// A new inbound hook.
#[derive(InputObject)]
pub struct CreateInboundHookInput {
    /// What to call it.
    name: String,
    /// The type of the records to make, as in this schema: `Deal`, `Task`, a type of your own.
    #[graphql(name = "type")]
    type_name: String,
    /// By what a record is found that is there already, as the type's key: `{ "externalId": { "system": "shop", "value": { "$from": "/order/id" } } }`. Not given: each request makes a new record.
    key: Option<Json<Value>>,
    /// The input of the type, in which `{ "$from": "/contact/email" }` stands for what stands there in the body (a JSON Pointer, RFC 6901), with `"$else"` for where nothing does.
    input: Json<Value>,
    /// How whoever posts proves that they may.
    #[graphql(default_with = "InboundHookVerification::Token")]
    verification: InboundHookVerification,
}

/// Changes of an inbound hook; what is not given stays.
#[derive(InputObject)]
pub struct UpdateInboundHookInput {
    /// Which one.
    id: ID,
    /// What to call it.
    name: Option<String>,
    /// By what a record is found that is there already; null: each request makes a new record.
    key: async_graphql::MaybeUndefined<Json<Value>>,
    /// The input. Whoever changes this or `key` writes as themselves from then on.
    input: Option<Json<Value>>,
    /// How whoever posts proves that they may.
    verification: Option<InboundHookVerification>,
    /// Whether it takes nothing for now.
    paused: Option<bool>,
}

/// Which inbound hook.
#[derive(InputObject)]
pub struct DeleteInboundHookInput {
    /// Its id.
    id: ID,
}

/// Which inbound hook.
#[derive(InputObject)]
pub struct RotateInboundHookSecretInput {
    /// Its id. The old secret is void at once.
    id: ID,
}

/// What came of changing an inbound hook.
#[derive(SimpleObject, Default)]
pub struct InboundHookPayload {
    /// The hook.
    inbound_hook: Option<InboundHook>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

/// What came of making an inbound hook, or of giving it a new secret.
#[derive(SimpleObject, Default)]
pub struct InboundHookSecretPayload {
    /// The hook.
    inbound_hook: Option<InboundHook>,
    /// What whoever posts must know: `whsec_…`. It is told this once.
    secret: Option<String>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

/// What came of taking an inbound hook away.
#[derive(SimpleObject, Default)]
pub struct DeleteInboundHookPayload {
    /// The hook that is gone.
    deleted_id: Option<ID>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct InboundHookQuery;

#[derive(Default)]
pub struct InboundHookMutation;

#[Object]
impl InboundHookQuery {
    /// The workspace's inbound hooks, by name. Needs INTEGRATIONS.
    async fn inbound_hooks(&self, ctx: &Context<'_>) -> Result<Vec<InboundHook>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let all = request.app.inbound.all(&signed.ctx).await.map_err(|e| field_error(&e))?;
        Ok(all.into_iter().map(|row| InboundHook { row }).collect())
    }

    /// What an inbound hook makes of a body: `query` and `variables` as they would be run, with `validateOnly`. Nothing is done; send it yourself to see what comes of it. Null if there is no such hook, or its type is gone. Needs INTEGRATIONS.
    async fn inbound_hook_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which hook.")] id: ID,
        #[graphql(desc = "What would be posted.")] body: Json<Value>,
    ) -> Result<Option<Json<Value>>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = id.parse() else { return Ok(None) };
        let (found, _) = split(request.app.inbound.find(&signed.ctx, id).await)?;
        let made = found.and_then(|hook| documents::request(&signed.known.catalog, &hook, &body.0, true));
        Ok(made.map(|made| Json(serde_json::json!({ "query": made.query, "variables": made.variables }))))
    }
}

#[Object]
impl InboundHookMutation {
    /// Makes an address to which another system posts JSON, of which records are made or changed. Needs INTEGRATIONS.
    async fn create_inbound_hook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new hook.")] input: CreateInboundHookInput,
    ) -> Result<InboundHookSecretPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let key = input.key.map(|key| key.0);
        if let Some(error) = misfit(ctx, &input.type_name, key.as_ref(), Some(&input.input.0)) {
            return Ok(InboundHookSecretPayload { user_errors: views(vec![error]), ..Default::default() });
        }
        let change = Change {
            name: Some(input.name),
            type_name: Some(input.type_name),
            key_map: key,
            input_map: Some(input.input.0),
            verification: Some(input.verification.into()),
            paused: None,
        };
        made(request.app.inbound.create(&signed.ctx, change).await)
    }

    /// Changes an inbound hook, or stops it and lets it go on. Needs INTEGRATIONS.
    async fn update_inbound_hook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateInboundHookInput,
    ) -> Result<InboundHookPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let id = or_refuse!(InboundHookPayload, id(&input.id, &["id"]));
        let key = match input.key {
            async_graphql::MaybeUndefined::Undefined => None,
            async_graphql::MaybeUndefined::Null => Some(Value::Null),
            async_graphql::MaybeUndefined::Value(key) => Some(key.0),
        };
        let input_map = input.input.map(|input| input.0);
        let (known, errors) = split(request.app.inbound.find(&signed.ctx, id).await)?;
        let Some(known) = known else { return Ok(InboundHookPayload { user_errors: views(errors), ..Default::default() }) };
        if let Some(error) = misfit(ctx, &known.type_name, key.as_ref(), input_map.as_ref()) {
            return Ok(InboundHookPayload { user_errors: views(vec![error]), ..Default::default() });
        }
        let change = Change {
            name: input.name,
            type_name: None,
            key_map: key,
            input_map,
            verification: input.verification.map(Into::into),
            paused: input.paused,
        };
        let (row, errors) = split(request.app.inbound.update(&signed.ctx, id, change).await)?;
        Ok(InboundHookPayload { inbound_hook: row.map(|row| InboundHook { row }), user_errors: views(errors) })
    }

    /// Takes an inbound hook away. Needs INTEGRATIONS.
    async fn delete_inbound_hook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteInboundHookInput,
    ) -> Result<DeleteInboundHookPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let id = or_refuse!(DeleteInboundHookPayload, id(&input.id, &["id"]));
        let (done, errors) = split(request.app.inbound.delete(&signed.ctx, id).await)?;
        Ok(DeleteInboundHookPayload { deleted_id: done.map(|()| input.id), user_errors: views(errors) })
    }

    /// Gives an inbound hook a new secret. Whoever does writes through it as themselves from then on. Needs INTEGRATIONS.
    async fn rotate_inbound_hook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which hook.")] input: RotateInboundHookSecretInput,
    ) -> Result<InboundHookSecretPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let id = or_refuse!(InboundHookSecretPayload, id(&input.id, &["id"]));
        made(request.app.inbound.rotate_secret(&signed.ctx, id).await)
    }
}

fn misfit(ctx: &Context<'_>, type_name: &str, key: Option<&Value>, input: Option<&Value>) -> Option<UserError> {
    let (path, why) = documents::misfit(&ctx.schema_env.registry, type_name, key, input)?;
    Some(UserError::new(UserErrorCode::InvalidValue, &[path], why))
}

fn made(done: std::result::Result<Made, crate::records::write::Rejected>) -> Result<InboundHookSecretPayload> {
    let (made, errors) = split(done)?;
    let (hook, secret) = made.map_or((None, None), |made| (Some(InboundHook { row: made.hook }), Some(made.secret)));
    Ok(InboundHookSecretPayload { inbound_hook: hook, secret, user_errors: views(errors) })
}
