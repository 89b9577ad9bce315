//! Signing in and out, API keys, who the caller is.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use entity::api_key;

use super::access::{Role, SettingName, held_roles};
use super::values::{DateTime, UserErrorView, views};
use super::workspace::split;
use crate::error::{UserError, UserErrorCode};
use crate::features::identity::{Caller, SignedIn, Tokens};
use crate::graphql::errors::field_error;
use crate::graphql::records::MemberRef;
use crate::graphql::request;
use crate::platform::Cause;
use crate::platform::access::Setting;

#[derive(Default)]
pub struct IdentityQuery;

#[derive(Default)]
pub struct IdentityMutation;

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

    /// The API key that was used; null for a member.
    async fn api_key(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        if self.0.member.is_some() {
            return Ok(None);
        }
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let key = request.app.identity.own_key(&signed.ctx).await.map_err(|e| field_error(&e))?;
        Ok(key.map(ApiKey::from))
    }

    /// The caller's roles.
    async fn roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        held_roles(ctx).await
    }

    /// What the caller's roles allow besides records.
    async fn settings(&self, ctx: &Context<'_>) -> Result<Vec<SettingName>> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        Ok(Setting::EVERY.into_iter().filter(|setting| signed.ctx.access.may(*setting)).map(SettingName::from).collect())
    }
}

/// A long-lived credential of a program. Its secret is shown once, when it is made.
#[derive(SimpleObject)]
pub struct ApiKey {
    /// The key's id.
    id: ID,
    /// What its maker called it.
    name: String,
    /// The end of the secret, to tell keys apart.
    hint: String,
    /// When it was made.
    created_at: DateTime,
    /// When it stops working; null: never.
    expires_at: Option<DateTime>,
    /// When it was last used, give or take some seconds.
    last_used_at: Option<DateTime>,
    /// When it was revoked; null while it works.
    revoked_at: Option<DateTime>,
}

impl From<api_key::Model> for ApiKey {
    fn from(key: api_key::Model) -> Self {
        Self {
            id: key.id.into(),
            name: key.name,
            hint: key.hint,
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(DateTime::from),
            last_used_at: key.last_used_at.map(DateTime::from),
            revoked_at: key.revoked_at.map(DateTime::from),
        }
    }
}

/// A pair of tokens, and for whom they are.
pub struct Session(Tokens);

/// What a sign-in gives: send the access token as `Authorization: Bearer …`, and keep the refresh token.
#[Object]
impl Session {
    /// The session's id.
    async fn id(&self) -> ID {
        self.0.session.into()
    }

    /// Good for minutes: see `expiresAt`.
    async fn access_token(&self) -> &str {
        &self.0.access
    }

    /// For `refreshSession`, once: it gives a new one. Using an old one ends the session.
    async fn refresh_token(&self) -> &str {
        &self.0.refresh
    }

    /// When the access token stops working.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// Who signed in.
    async fn member(&self) -> MemberRef {
        MemberRef::new(self.0.member)
    }

    /// Where.
    async fn workspace(&self, ctx: &Context<'_>) -> Result<super::workspace::Workspace> {
        super::workspace::current(request::of(ctx)).await
    }
}

/// Where and how to sign in.
#[derive(InputObject)]
pub struct SignInInput {
    /// The user's address.
    email: String,
    /// The user's password.
    password: String,
    /// Which workspace, for users of several; without it they are asked.
    workspace_id: Option<ID>,
}

/// What more is needed to sign in.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum SignInChallengeKind {
    /// Say which workspace: sign in again with one of `workspaces`.
    Workspace,
}

/// A workspace to choose from.
#[derive(SimpleObject)]
pub struct WorkspaceChoice {
    /// Its id, for `SignInInput.workspaceId`.
    id: ID,
    /// Its name.
    name: String,
}

/// Something that is still needed to sign in.
#[derive(SimpleObject)]
pub struct SignInChallenge {
    /// What is needed.
    kind: SignInChallengeKind,
    /// For WORKSPACE: the workspaces to choose from.
    workspaces: Vec<WorkspaceChoice>,
}

/// What came of a sign-in: a session, a challenge, or errors.
#[derive(SimpleObject, Default)]
pub struct SignInPayload {
    /// The session, if it worked.
    session: Option<Session>,
    /// What is still needed, if something is.
    challenge: Option<SignInChallenge>,
    /// Why it did not work; empty if it did.
    user_errors: Vec<UserErrorView>,
}

/// A refresh token.
#[derive(InputObject)]
pub struct RefreshSessionInput {
    /// The session's latest refresh token.
    refresh_token: String,
}

/// What came of a refresh.
#[derive(SimpleObject)]
pub struct RefreshSessionPayload {
    /// The session with new tokens.
    session: Option<Session>,
    /// Why it did not work; empty if it did.
    user_errors: Vec<UserErrorView>,
}

/// What came of a sign-out.
#[derive(SimpleObject)]
pub struct SignOutPayload {
    /// Whether there was a session, which is now over.
    signed_out: bool,
}

/// A new API key.
#[derive(InputObject)]
pub struct CreateApiKeyInput {
    /// What to call it, for example the program that will use it.
    name: String,
    /// When it should stop working; without it, never.
    expires_at: Option<DateTime>,
    /// What the program may see and do; absent: the role `INTEGRATION`.
    roles: Option<Vec<ID>>,
}

/// What came of making an API key.
#[derive(SimpleObject, Default)]
pub struct CreateApiKeyPayload {
    /// The key.
    api_key: Option<ApiKey>,
    /// Its secret, to be sent as `Authorization: Bearer …`. It is shown this once.
    secret: Option<String>,
    /// Why it was not made; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// An API key to revoke.
#[derive(InputObject)]
pub struct RevokeApiKeyInput {
    /// The key's id.
    id: ID,
}

/// What came of revoking an API key.
#[derive(SimpleObject)]
pub struct RevokeApiKeyPayload {
    /// The key, which no longer works.
    api_key: Option<ApiKey>,
    /// Why it was not revoked; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[Object]
impl IdentityQuery {
    /// Who the server takes the caller for.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        Ok(Viewer(signed.caller.clone()))
    }

    /// The workspace's API keys, revoked ones included.
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Vec<ApiKey>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let keys = request.app.identity.api_keys(&signed.ctx).await.map_err(|e| field_error(&e))?;
        Ok(keys.into_iter().map(ApiKey::from).collect())
    }
}

#[Object]
impl IdentityMutation {
    /// Signs a user in to a workspace. Anybody may ask this.
    async fn sign_in(&self, ctx: &Context<'_>, #[graphql(desc = "Who, and where.")] input: SignInInput) -> Result<SignInPayload> {
        let request = request::of(ctx);
        let wanted = match input.workspace_id.map(|id| id.parse()) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_)) => return Ok(SignInPayload { user_errors: vec![wrong_sign_in()], ..Default::default() }),
        };
        let signed_in =
            request.app.identity.sign_in(&input.email, &input.password, wanted, &request.origin).await.map_err(|e| field_error(&e))?;
        Ok(match signed_in {
            SignedIn::Session(tokens) => SignInPayload { session: Some(adopt(request, tokens).await?), ..Default::default() },
            SignedIn::ChooseWorkspace(places) => {
                let workspaces = places.into_iter().map(|(id, name)| WorkspaceChoice { id: id.into(), name }).collect();
                SignInPayload {
                    challenge: Some(SignInChallenge { kind: SignInChallengeKind::Workspace, workspaces }),
                    ..Default::default()
                }
            }
            SignedIn::Wait(seconds) => {
                let message = format!("Too many attempts. Try again in {seconds} seconds.");
                let error = UserError::new(UserErrorCode::Limit, &[], message);
                SignInPayload { user_errors: views(vec![error]), ..Default::default() }
            }
            SignedIn::Refused => SignInPayload { user_errors: vec![wrong_sign_in()], ..Default::default() },
        })
    }

    /// Exchanges a refresh token for a new pair of tokens. Anybody may ask this.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: RefreshSessionInput,
    ) -> Result<RefreshSessionPayload> {
        let request = request::of(ctx);
        match request.app.identity.refresh(&input.refresh_token, &request.origin).await {
            Ok(tokens) => Ok(RefreshSessionPayload { session: Some(adopt(request, tokens).await?), user_errors: Vec::new() }),
            Err(crate::error::Error::Refused(_)) => {
                let error = UserError::new(
                    UserErrorCode::InvalidValue,
                    &["refreshToken"],
                    "The refresh token is not valid (any more). Sign in again.",
                );
                Ok(RefreshSessionPayload { session: None, user_errors: views(vec![error]) })
            }
            Err(fault) => Err(field_error(&fault)),
        }
    }

    /// Ends the caller's session; its tokens stop working.
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<SignOutPayload> {
        let request = request::of(ctx);
        let session = request.signed_or_none().and_then(|signed| Some((signed.caller.workspace, signed.caller.session?)));
        if let Some((workspace, session)) = session {
            request.app.identity.sign_out(workspace, session, &request.origin).await.map_err(|e| field_error(&e))?;
        }
        Ok(SignOutPayload { signed_out: session.is_some() })
    }

    /// Makes an API key for a program.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new key.")] input: CreateApiKeyInput,
    ) -> Result<CreateApiKeyPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let refuse = |path: &str, message: &str| {
            let error = UserError::new(UserErrorCode::InvalidValue, &[path], message);
            CreateApiKeyPayload { user_errors: views(vec![error]), ..Default::default() }
        };
        if input.name.trim().is_empty() || input.name.chars().count() > 255 {
            return Ok(refuse("name", "Expected 1 to 255 characters."));
        }
        let expires_at = match input.expires_at.map(|at| at.micros()) {
            None => None,
            Some(Some(at)) if at > signed.ctx.now() => Some(at),
            Some(_) => return Ok(refuse("expiresAt", "Expected a time in the future, as RFC 3339.")),
        };
        let roles = match input.roles.map(|roles| roles.iter().map(|id| id.parse()).collect::<Result<Vec<_>, _>>()) {
            None => None,
            Some(Ok(roles)) => Some(roles),
            Some(Err(_)) => return Ok(refuse("roles", "An id is a UUID.")),
        };
        let made = request.app.identity.create_api_key(&signed.ctx, &input.name, expires_at, roles).await;
        let (made, errors) = split(made)?;
        Ok(match made {
            Some(made) => CreateApiKeyPayload { api_key: Some(made.key.into()), secret: Some(made.secret), user_errors: Vec::new() },
            None => CreateApiKeyPayload { user_errors: views(errors), ..Default::default() },
        })
    }

    /// Ends an API key at once.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: RevokeApiKeyInput,
    ) -> Result<RevokeApiKeyPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let revoked = match input.id.parse() {
            Ok(id) => request.app.identity.revoke_api_key(&signed.ctx, id).await.map_err(|e| field_error(&e))?,
            Err(_) => None,
        };
        let errors =
            if revoked.is_none() { vec![UserError::new(UserErrorCode::NotFound, &["id"], "There is no such key.")] } else { Vec::new() };
        Ok(RevokeApiKeyPayload { api_key: revoked.map(ApiKey::from), user_errors: views(errors) })
    }
}

fn wrong_sign_in() -> UserErrorView {
    UserError::new(UserErrorCode::InvalidValue, &[], "The address or the password is wrong.").into()
}

/// The rest of the answer is given to who just signed in.
pub async fn adopt(request: &request::Request, tokens: Tokens) -> Result<Session> {
    let caller = request.app.identity.authenticate(&tokens.access).await.map_err(|e| field_error(&e))?;
    let (ctx, known) = request.app.ctx(&caller, Cause::Request, None).await.map_err(|e| field_error(&e))?;
    request.adopt(request::Signed { caller, ctx, known });
    Ok(Session(tokens))
}
