//! The caller's own sessions and password.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use entity::session;

use super::values::{DateTime, UserErrorView, views};
use crate::error::{UserError, UserErrorCode};
use crate::features::identity::check_strength;
use crate::graphql::errors::field_error;
use crate::graphql::request;

/// One sign-in of the caller's that is still good.
pub struct OpenSession {
    row: session::Model,
    current: bool,
}

/// One sign-in of the caller's that is still good.
#[Object]
impl OpenSession {
    /// The session's id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// Whether it is the one that asks.
    async fn current(&self) -> bool {
        self.current
    }

    /// When somebody signed in.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last used to get new tokens.
    async fn refreshed_at(&self) -> DateTime {
        self.row.refreshed_at.into()
    }

    /// When it ends, unless it is used before.
    async fn expires_at(&self) -> DateTime {
        self.row.expires_at.into()
    }

    /// The network address that signed in.
    async fn address(&self) -> Option<&str> {
        self.row.address.as_deref()
    }

    /// The program that signed in, as it called itself.
    async fn user_agent(&self) -> Option<&str> {
        self.row.user_agent.as_deref()
    }
}

/// A session to end.
#[derive(InputObject)]
pub struct RevokeSessionInput {
    /// The session's id, from `sessions`.
    id: ID,
}

/// What came of ending a session.
#[derive(SimpleObject)]
pub struct RevokeSessionPayload {
    /// The id of the session that was ended.
    revoked_id: Option<ID>,
    /// Why none was; empty if one was.
    user_errors: Vec<UserErrorView>,
}

/// A new password.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The present password.
    present: String,
    /// The new one: at least eight characters.
    new: String,
}

/// What came of changing a password.
#[derive(SimpleObject)]
pub struct ChangePasswordPayload {
    /// Whether it was changed. The caller's other sessions in this workspace have ended then.
    changed: bool,
    /// Why it was not changed; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct SessionQuery;

#[derive(Default)]
pub struct SessionMutation;

#[Object]
impl SessionQuery {
    /// The caller's own sessions that are still good, the latest first; none for an API key.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<OpenSession>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let open = request.app.identity.sessions(&signed.ctx).await.map_err(|e| field_error(&e))?;
        Ok(open.into_iter().map(|row| OpenSession { current: Some(row.id) == signed.caller.session, row }).collect())
    }
}

#[Object]
impl SessionMutation {
    /// Ends one of the caller's own sessions; its tokens stop working.
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which session.")] input: RevokeSessionInput,
    ) -> Result<RevokeSessionPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let revoked = match input.id.parse() {
            Ok(id) => request.app.identity.revoke_session(&signed.ctx, id).await.map_err(|e| field_error(&e))?,
            Err(_) => false,
        };
        if revoked {
            return Ok(RevokeSessionPayload { revoked_id: Some(input.id), user_errors: Vec::new() });
        }
        let error = UserError::new(UserErrorCode::NotFound, &["id"], "You have no such session.");
        Ok(RevokeSessionPayload { revoked_id: None, user_errors: views(vec![error]) })
    }

    /// Changes the caller's password, and ends their other sessions in this workspace.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The present password and the new one.")] input: ChangePasswordInput,
    ) -> Result<ChangePasswordPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let refuse = |path: &str, message: &str| {
            let error = UserError::new(UserErrorCode::InvalidValue, &[path], message);
            ChangePasswordPayload { changed: false, user_errors: views(vec![error]) }
        };
        if let Err(message) = check_strength(&input.new) {
            return Ok(refuse("new", &message));
        }
        let changed = request.app.identity.change_password(&signed.ctx, signed.caller.session, &input.present, &input.new).await;
        if changed.map_err(|e| field_error(&e))? {
            return Ok(ChangePasswordPayload { changed: true, user_errors: Vec::new() });
        }
        Ok(refuse("present", "The present password is wrong, or was wrong too often."))
    }
}
