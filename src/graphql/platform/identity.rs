//! Who the caller is.

use async_graphql::{Context, Object, Result};

use super::access::{Role, SettingName, held_roles};
use super::credentials::ApiKey;
use super::sign_in::WorkspaceChoice;
use crate::features::identity::Caller;
use crate::graphql::errors::field_error;
use crate::graphql::records::MemberRef;
use crate::graphql::request;
use crate::platform::access::Setting;

#[derive(Default)]
pub struct IdentityQuery;

/// Whoever sent the request.
pub struct Viewer(Caller);

/// Who is calling, and where.
#[Object]
impl Viewer {
    /// The member who signed in; null for an API key.
    async fn member(&self) -> Option<MemberRef> {
        self.0.member.map(MemberRef::new)
    }

    /// The workspace of the credential.
    async fn workspace(&self, ctx: &Context<'_>) -> Result<super::workspace::Workspace> {
        super::workspace::current(request::of(ctx)).await
    }

    /// The API key that was used; null for a member, and for an embed token.
    async fn api_key(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        if self.0.member.is_some() || self.0.token.is_some() {
            return Ok(None);
        }
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let key = request.app.identity.own_key(&signed.ctx).await.map_err(|e| field_error(&e))?;
        key.map(ApiKey::try_from).transpose()
    }

    /// The caller's roles.
    async fn roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        held_roles(ctx).await
    }

    /// The workspaces that the member's user belongs to, this one included; `switchWorkspace` leads to
    /// another. None for an API key.
    async fn workspaces(&self, ctx: &Context<'_>) -> Result<Vec<WorkspaceChoice>> {
        let Some(user) = self.0.user else { return Ok(Vec::new()) };
        let places = request::of(ctx).app.identity.places(user).await.map_err(|e| field_error(&e))?;
        Ok(places.into_iter().map(|(id, name, _)| WorkspaceChoice::new(id, name)).collect())
    }

    /// Whether the member's user has a second factor.
    async fn has_second_factor(&self, ctx: &Context<'_>) -> Result<bool> {
        let Some(user) = self.0.user else { return Ok(false) };
        request::of(ctx).app.identity.has_second_factor(user).await.map_err(|e| field_error(&e))
    }

    /// What the caller's roles allow besides records.
    async fn settings(&self, ctx: &Context<'_>) -> Result<Vec<SettingName>> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        Ok(Setting::EVERY.into_iter().filter(|setting| signed.ctx.access.may(*setting)).map(SettingName::from).collect())
    }
}

#[Object]
impl IdentityQuery {
    /// Who the server takes the caller for.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        Ok(Viewer(signed.caller.clone()))
    }
}
