//! Applications: clients that were written for a workspace, and the documents that they send.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use entity::application;
use uuid::Uuid;

use crate::error::UserError;
use crate::graphql::errors::field_error;
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
}

/// Documents of an application.
#[derive(InputObject)]
pub struct RegisterDocumentsInput {
    /// Which application.
    application_id: ID,
    /// The documents, as text, each exactly as it will be sent.
    documents: Vec<String>,
    /// Whether they stand in the place of all it has; otherwise they are added.
    #[graphql(default)]
    replace: bool,
}

/// What came of changing an application.
#[derive(SimpleObject, Default)]
pub struct ApplicationPayload {
    /// The application.
    application: Option<Application>,
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
        let (made, errors) = split(request.app.identity.create_application(&signed.ctx, &input.name).await)?;
        let Some(made) = made else { return Ok(ApplicationPayload { user_errors: views(errors), ..Default::default() }) };
        let documents = input.documents.unwrap_or_default();
        let (_, errors) = split(request.app.identity.register_documents(&signed.ctx, made.id, &documents, false).await)?;
        payload(request, made.id, errors).await
    }

    /// Registers documents of an application. Needs API_KEYS.
    async fn register_documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which documents.")] input: RegisterDocumentsInput,
    ) -> Result<ApplicationPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let application = or_refuse!(ApplicationPayload, id(&input.application_id, &["applicationId"]));
        let done = request.app.identity.register_documents(&signed.ctx, application, &input.documents, input.replace).await;
        let (_, errors) = split(done)?;
        payload(request, application, errors).await
    }
}

async fn all(request: &request::Request) -> Result<Vec<Application>> {
    let signed = request.signed().map_err(|e| field_error(&e))?;
    let found = request.app.identity.applications(&signed.ctx).await.map_err(|e| field_error(&e))?;
    Ok(found.into_iter().map(|(row, documents)| Application { row, documents }).collect())
}

async fn payload(request: &request::Request, id: Uuid, errors: Vec<UserError>) -> Result<ApplicationPayload> {
    let application = all(request).await?.into_iter().find(|application| application.row.id == id);
    Ok(ApplicationPayload { application, user_errors: views(errors) })
}
