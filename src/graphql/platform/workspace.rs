//! The workspace and its settings.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use entity::workspace;

use super::values::{CurrencyCode, TimeZone, UserErrorView, views};
use crate::error::{Error, UserError, UserErrorCode};
use crate::features::data_model::current_version;
use crate::features::workspaces::{Change, NewWorkspace};
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Request, Signed};
use crate::infra::db::Mode;
use crate::records::write::Rejected;

#[derive(Default)]
pub struct WorkspaceQuery;

#[derive(Default)]
pub struct WorkspaceMutation;

/// The tenant: everything a customer keeps belongs to exactly one workspace.
#[derive(SimpleObject)]
pub struct Workspace {
    /// Its id.
    id: ID,
    /// Its name.
    name: String,
    /// Where its days begin: what "today" means in filters.
    time_zone: TimeZone,
    /// The currency in which it reckons.
    home_currency: CurrencyCode,
    /// BCP 47, for example `de-CH`.
    locale: String,
    /// Counts the changes of its objects and fields; the schema changes with it.
    catalog_version: i64,
}

impl From<workspace::Model> for Workspace {
    fn from(row: workspace::Model) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            time_zone: TimeZone(row.time_zone),
            home_currency: CurrencyCode(row.home_currency),
            locale: row.locale,
            catalog_version: row.catalog_version,
        }
    }
}

/// The caller's workspace.
pub async fn current(request: &Request) -> Result<Workspace> {
    let found = async {
        let signed = request.signed()?;
        let tx = request.snapshot().await?;
        let row = current_version(&tx, signed.ctx.workspace).await?;
        row.ok_or_else(|| Error::fault("the caller's workspace is gone"))
    };
    found.await.map(Workspace::from).map_err(|e| field_error(&e))
}

/// The workspace of somebody for whom the request does not go on.
pub async fn of(request: &Request, signed: &Signed) -> Result<Workspace> {
    let found = async {
        let tx = request.app.db.begin(&signed.ctx.scope(), Mode::Read).await?;
        let row = current_version(&tx, signed.ctx.workspace).await?;
        tx.commit().await?;
        row.ok_or_else(|| Error::fault("the caller's workspace is gone"))
    };
    found.await.map(Workspace::from).map_err(|e| field_error(&e))
}

#[Object]
impl WorkspaceQuery {
    /// The caller's workspace.
    async fn workspace(&self, ctx: &Context<'_>) -> Result<Workspace> {
        current(request::of(ctx)).await
    }
}

/// New settings of the workspace; absent ones are left alone.
#[derive(InputObject)]
pub struct UpdateWorkspaceInput {
    /// Its name.
    name: Option<String>,
    /// Where its days begin.
    time_zone: Option<TimeZone>,
    /// The currency in which it reckons.
    home_currency: Option<CurrencyCode>,
    /// BCP 47, for example `de-CH`.
    locale: Option<String>,
}

/// A workspace to be made, with its first administrator.
#[derive(InputObject)]
pub struct CreateWorkspaceInput {
    /// Its name.
    name: String,
    /// Where its days begin; UTC if not given.
    time_zone: Option<TimeZone>,
    /// The currency in which it reckons; EUR if not given.
    home_currency: Option<CurrencyCode>,
    /// BCP 47; `en` if not given.
    locale: Option<String>,
    /// The name of its first administrator.
    admin_name: String,
    /// The address with which they sign in.
    email: String,
    /// Their password: at least 8 characters. If the address is a user's already, that user's password.
    password: String,
}

/// What came of changing the workspace.
#[derive(SimpleObject)]
pub struct UpdateWorkspacePayload {
    /// The workspace as it is now.
    workspace: Option<Workspace>,
    /// Why it was not changed; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// What came of making a workspace.
#[derive(SimpleObject)]
pub struct CreateWorkspacePayload {
    /// The new workspace's id; sign in to it with the administrator's address.
    workspace_id: Option<ID>,
    /// Why it was not made; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[Object]
impl WorkspaceMutation {
    /// Changes the workspace's settings.
    async fn update_workspace(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateWorkspaceInput,
    ) -> Result<UpdateWorkspacePayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let change = Change {
            name: input.name,
            time_zone: input.time_zone.map(|zone| zone.0),
            home_currency: input.home_currency.map(|code| code.0),
            locale: input.locale,
        };
        let (workspace, errors) = split(request.app.workspaces.update(&signed.ctx, change).await)?;
        request.app.forget_workspace(signed.ctx.workspace).await;
        Ok(UpdateWorkspacePayload { workspace: workspace.map(Workspace::from), user_errors: views(errors) })
    }

    /// Makes a workspace with its first administrator and a pipeline to start with. Anybody may ask
    /// this, unless the server's settings close it.
    async fn create_workspace(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new workspace.")] input: CreateWorkspaceInput,
    ) -> Result<CreateWorkspacePayload> {
        let request = request::of(ctx);
        if !request.app.config.auth.open_workspace_creation {
            let error =
                UserError::new(UserErrorCode::RuleRefused, &[], "This server does not make workspaces through the API. Ask its operator.");
            return Ok(CreateWorkspacePayload { workspace_id: None, user_errors: views(vec![error]) });
        }
        let new = NewWorkspace {
            name: input.name,
            time_zone: input.time_zone.map_or_else(|| "UTC".into(), |zone| zone.0),
            home_currency: input.home_currency.map_or_else(|| "EUR".into(), |code| code.0),
            locale: input.locale.unwrap_or_else(|| "en".into()),
            admin_name: input.admin_name,
            admin_email: input.email,
            admin_password: input.password,
        };
        let (made, errors) = split(request.app.workspaces.create(new).await)?;
        Ok(CreateWorkspacePayload { workspace_id: made.map(|made| made.workspace.into()), user_errors: views(errors) })
    }
}

/// Parts what the caller can mend from what failed.
pub fn split<T>(outcome: Result<T, Rejected>) -> Result<(Option<T>, Vec<UserError>)> {
    match outcome {
        Ok(done) => Ok((Some(done), Vec::new())),
        Err(Rejected::User { errors, .. }) => Ok((None, errors)),
        Err(Rejected::Failed(error)) => Err(field_error(&error)),
    }
}
