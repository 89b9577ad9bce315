//! Applications: clients that were written for a workspace, and the documents that they send.

use async_graphql::{Context, ID, InputObject, Json, Object, Result, SimpleObject};
use entity::application;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{UserError, UserErrorCode};
use crate::graphql::errors::field_error;
use crate::graphql::manifest;
use crate::graphql::platform::access::{id, or_refuse};
use crate::graphql::platform::values::{DateTime, UserErrorView, views};
use crate::graphql::platform::workspace::split;
use crate::graphql::request;

/// A client that was written for this workspace, and the documents that it sends.
pub struct Application {
    row: application::Model,
    documents: Vec<String>,
}

/// A client that was written for this workspace, and the documents that it sends.
#[Object]
impl Application {
    /// The application's id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// What it is called; unique in the workspace.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// The hashes of its documents: SHA-256 of their text, in hexadecimal digits.
    async fn documents(&self) -> &[String] {
        &self.documents
    }
}

/// A new application.
#[derive(InputObject)]
pub struct CreateApplicationInput {
    /// What to call it.
    name: String,
    /// Documents that it sends, as text.
    documents: Option<Vec<String>>,
    /// Instead of them, the manifest that the application's build wrote.
    manifest: Option<Json<Value>>,
}

/// Documents of an application.
#[derive(InputObject)]
pub struct RegisterDocumentsInput {
    /// Which application.
    application_id: ID,
    /// The documents, as text, each exactly as it will be sent.
    documents: Option<Vec<String>>,
    /// Instead of them, the manifest that the application's build wrote: an object of texts by their SHA-256 (Relay, GraphQL Code Generator with `hashAlgorithm: "sha256"`), or Apollo's persisted query manifest.
    manifest: Option<Json<Value>>,
    /// Whether they stand in the place of all it has; otherwise they are added.
    #[graphql(default)]
    replace: bool,
}

/// A document that was registered.
#[derive(SimpleObject)]
pub struct RegisteredDocument {
    /// SHA-256 of its text, in hexadecimal digits: ask for it with `documentId: "sha256:…"`.
    hash: String,
    /// What it costs each time, variables that ask for more left out.
    cost: i64,
}

/// What came of changing an application.
#[derive(SimpleObject, Default)]
pub struct ApplicationPayload {
    /// The application.
    application: Option<Application>,
    /// The documents that were registered, in the order given.
    registered: Vec<RegisteredDocument>,
    /// Why nothing was changed; empty if something was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct ApplicationQuery;

#[derive(Default)]
pub struct ApplicationMutation;

#[Object]
impl ApplicationQuery {
    /// The workspace's applications, by name. Needs API_KEYS.
    async fn applications(&self, ctx: &Context<'_>) -> Result<Vec<Application>> {
        all(request::of(ctx)).await
    }
}

#[Object]
impl ApplicationMutation {
    /// Makes an application: a client whose credentials can be bound to its documents. Needs API_KEYS.
    async fn create_application(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new application.")] input: CreateApplicationInput,
    ) -> Result<ApplicationPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let (documents, costs) = match documents(ctx, request, input.documents, input.manifest, false) {
            Ok(looked_at) => looked_at,
            Err(errors) => return Ok(ApplicationPayload { user_errors: views(errors), ..Default::default() }),
        };
        let (made, errors) = split(request.app.identity.create_application(&signed.ctx, &input.name).await)?;
        let Some(made) = made else { return Ok(ApplicationPayload { user_errors: views(errors), ..Default::default() }) };
        let done = request.app.identity.register_documents(&signed.ctx, made.id, &documents, false).await;
        payload(request, made.id, split(done)?, &costs).await
    }

    /// Registers documents of an application. Each is looked at and priced now: what does not fit the schema, or costs more than an operation may, is refused. Needs API_KEYS.
    async fn register_documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which documents.")] input: RegisterDocumentsInput,
    ) -> Result<ApplicationPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let application = or_refuse!(ApplicationPayload, id(&input.application_id, &["applicationId"]));
        let (documents, costs) = match documents(ctx, request, input.documents, input.manifest, true) {
            Ok(looked_at) => looked_at,
            Err(errors) => return Ok(ApplicationPayload { user_errors: views(errors), ..Default::default() }),
        };
        let done = request.app.identity.register_documents(&signed.ctx, application, &documents, input.replace).await;
        payload(request, application, split(done)?, &costs).await
    }
}

/// The documents that are given, one way or the other, and what they cost.
fn documents(
    ctx: &Context<'_>,
    request: &request::Request,
    texts: Option<Vec<String>>,
    manifest: Option<Json<Value>>,
    required: bool,
) -> std::result::Result<(Vec<String>, Vec<u64>), Vec<UserError>> {
    let wrong = |member: &str, message: String| vec![UserError::new(UserErrorCode::InvalidValue, &[member], message)];
    let (member, documents) = match (texts, manifest) {
        (Some(_), Some(_)) => return Err(wrong("manifest", "Give the documents or their manifest.".to_owned())),
        (Some(texts), None) => ("documents", texts),
        (None, Some(found)) => ("manifest", manifest::read(&found.0).map_err(|why| wrong("manifest", why))?),
        (None, None) if required => return Err(wrong("documents", "Give the documents or their manifest.".to_owned())),
        (None, None) => ("documents", Vec::new()),
    };
    let costs = manifest::price(&ctx.schema_env.registry, &request.app.config.limits, &documents).map_err(|mut errors| {
        errors.iter_mut().for_each(|error| error.path[0] = member.to_owned());
        errors
    })?;
    Ok((documents, costs))
}

async fn all(request: &request::Request) -> Result<Vec<Application>> {
    let signed = request.signed().map_err(|e| field_error(&e))?;
    let found = request.app.identity.applications(&signed.ctx).await.map_err(|e| field_error(&e))?;
    Ok(found.into_iter().map(|(row, documents)| Application { row, documents }).collect())
}

async fn payload(
    request: &request::Request,
    id: Uuid,
    (hashes, errors): (Option<Vec<String>>, Vec<UserError>),
    costs: &[u64],
) -> Result<ApplicationPayload> {
    let application = all(request).await?.into_iter().find(|application| application.row.id == id);
    let registered = hashes.unwrap_or_default().into_iter().zip(costs);
    let registered = registered.map(|(hash, cost)| RegisteredDocument { hash, cost: i64::try_from(*cost).unwrap_or(i64::MAX) });
    Ok(ApplicationPayload { application, registered: registered.collect(), user_errors: views(errors) })
}
