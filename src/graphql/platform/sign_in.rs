//! Signing in, staying in, getting out.

mod session;

pub use session::Session;
use session::adopt;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use uuid::Uuid;

use super::access::{id, or_refuse};
use super::values::{UserErrorView, views};
use crate::error::{Error, UserError, UserErrorCode};
use crate::features::identity::{self, Answered, SignedIn, check_strength};
use crate::graphql::cookies;
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Request};

#[derive(Default)]
pub struct SignInQuery;

#[derive(Default)]
pub struct SignInMutation;

/// How the tokens come.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionTransport {
    /// In the answer, for the client to keep.
    #[default]
    Token,
    /// In cookies that the page's own code cannot read; a POST needs the header `x-kith-csrf` then.
    Cookie,
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
    /// How the tokens come.
    #[graphql(default)]
    transport: SessionTransport,
}

/// The answer to a challenge, or what a link in a mail or another issuer brought.
#[derive(InputObject)]
pub struct CompleteSignInInput {
    /// The challenge's token.
    token: String,
    /// For TOTP: a code of the user's app, or one of their recovery codes.
    code: Option<String>,
    /// For WORKSPACE: which one.
    workspace_id: Option<ID>,
    /// For a sign-in with another issuer that was begun with a `challenge`: what its hash is of.
    verifier: Option<String>,
    /// How the tokens come.
    #[graphql(default)]
    transport: SessionTransport,
}

/// Which workspace to go to.
#[derive(InputObject)]
pub struct SwitchWorkspaceInput {
    /// One of `viewer { workspaces { id } }`.
    workspace_id: ID,
    /// How the tokens come.
    #[graphql(default)]
    transport: SessionTransport,
}

/// What more is needed to sign in.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum SignInChallengeKind {
    /// A code of the user's second factor.
    Totp,
    /// Which workspace: one of `workspaces`.
    Workspace,
}

/// A workspace to choose from.
#[derive(SimpleObject)]
pub struct WorkspaceChoice {
    /// Its id.
    id: ID,
    /// Its name.
    name: String,
}

impl WorkspaceChoice {
    pub fn new(id: Uuid, name: String) -> Self {
        Self { id: id.into(), name }
    }
}

/// Something that is still needed to sign in: answer with `completeSignIn`.
#[derive(SimpleObject)]
pub struct SignInChallenge {
    /// Goes with the answer; good for a quarter of an hour, and once.
    token: String,
    /// What is needed.
    kind: SignInChallengeKind,
    /// For WORKSPACE: the workspaces to choose from.
    workspaces: Vec<WorkspaceChoice>,
}

/// What came of a sign-in: a session, a challenge, or errors.
#[derive(SimpleObject, Default)]
pub struct SignInPayload {
    /// The session, if it worked.
    pub session: Option<Session>,
    /// What is still needed, if something is.
    pub challenge: Option<SignInChallenge>,
    /// Why it did not work; empty if it did.
    pub user_errors: Vec<UserErrorView>,
}

/// A refresh token.
#[derive(InputObject)]
pub struct RefreshSessionInput {
    /// The session's latest refresh token; absent: the one in the cookie.
    refresh_token: Option<String>,
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

/// Whom to write to.
#[derive(InputObject)]
pub struct RequestMagicLinkInput {
    /// The user's address.
    email: String,
    /// Which workspace the link leads to, for users of several; without it they are asked.
    workspace_id: Option<ID>,
}

/// Whom to write to.
#[derive(InputObject)]
pub struct RequestPasswordResetInput {
    /// The user's address.
    email: String,
}

/// What came of asking for a mail.
#[derive(SimpleObject, Default)]
pub struct MailRequestPayload {
    /// Whether a mail is on its way, if somebody has the address: it is not told whether.
    accepted: bool,
    /// Why none is; empty if one is.
    user_errors: Vec<UserErrorView>,
}

/// A new password in the place of a forgotten one.
#[derive(InputObject)]
pub struct ResetPasswordInput {
    /// What the link in the mail brought.
    token: String,
    /// The new password: at least eight characters, and not a common one.
    password: String,
}

/// What came of setting a new password.
#[derive(SimpleObject)]
pub struct ResetPasswordPayload {
    /// Whether it was set. All the user's sessions have ended then: sign in with it.
    reset: bool,
    /// Why it was not; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// Another issuer with whom users can sign in.
#[derive(SimpleObject)]
pub struct SignInIssuer {
    /// Its name here.
    name: String,
    /// What people read on the button.
    label: String,
    /// Where the browser begins; `?redirect=` names the page of the application that it comes back to.
    url: String,
}

/// How one can sign in to this server.
#[derive(SimpleObject)]
pub struct SignInOptions {
    /// Whether links and password resets are sent by mail.
    mail: bool,
    /// Other issuers.
    issuers: Vec<SignInIssuer>,
}

#[Object]
impl SignInQuery {
    /// How one can sign in here. Anybody may ask this.
    async fn sign_in_options(&self, ctx: &Context<'_>) -> SignInOptions {
        let identity = &request::of(ctx).app.identity;
        let issuers = identity.issuers().list().into_iter().map(|(name, label, url)| SignInIssuer { name, label, url }).collect();
        SignInOptions { mail: identity.sends_mail(), issuers }
    }
}

#[Object]
impl SignInMutation {
    /// Signs a user in to a workspace. Anybody may ask this.
    async fn sign_in(&self, ctx: &Context<'_>, #[graphql(desc = "Who, and where.")] input: SignInInput) -> Result<SignInPayload> {
        let request = request::of(ctx);
        let Ok(wanted) = workspace(input.workspace_id) else { return Ok(refused("The address or the password is wrong.")) };
        let step = request.app.identity.sign_in(&input.email, &input.password, wanted, &request.origin).await;
        settle(ctx, step, input.transport, "The address or the password is wrong.").await
    }

    /// Goes on with a sign-in: answers a challenge, or follows a link from a mail or another issuer.
    /// Anybody may ask this.
    async fn complete_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token, and the answer.")] input: CompleteSignInInput,
    ) -> Result<SignInPayload> {
        let request = request::of(ctx);
        let wrong = "The token or the code is wrong, or not good any more.";
        let Ok(wanted) = workspace(input.workspace_id) else { return Ok(refused(wrong)) };
        let answered = Answered { code: input.code.as_deref(), wanted, verifier: input.verifier.as_deref() };
        let step = request.app.identity.complete_sign_in(&input.token, answered, &request.origin).await;
        settle(ctx, step, input.transport, wrong).await
    }

    /// Opens a session in another workspace of the caller's. The present one stays open; when it ends, so does
    /// the new one.
    async fn switch_workspace(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which workspace.")] input: SwitchWorkspaceInput,
    ) -> Result<SignInPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let wrong = "You are not a member there.";
        let (Some(user), Some(session)) = (signed.caller.user, signed.caller.session) else { return Ok(refused(wrong)) };
        let Ok(Some(wanted)) = workspace(Some(input.workspace_id)) else { return Ok(refused(wrong)) };
        // Who keeps tokens from the page's code does not hand it some here.
        let transport = if request.browser.by_cookie { SessionTransport::Cookie } else { input.transport };
        let from = (signed.caller.workspace, session);
        let step = request.app.identity.switch_workspace(from, user, wanted, &request.origin).await;
        settle(ctx, step, transport, wrong).await
    }

    /// Exchanges a refresh token for a new pair of tokens. Anybody may ask this.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: RefreshSessionInput,
    ) -> Result<RefreshSessionPayload> {
        let request = request::of(ctx);
        let transport = if input.refresh_token.is_some() { SessionTransport::Token } else { SessionTransport::Cookie };
        let token = input.refresh_token.or_else(|| request.browser.refresh_cookie.clone()).unwrap_or_default();
        match request.app.identity.refresh(&token, &request.origin).await {
            Ok(tokens) => Ok(RefreshSessionPayload { session: Some(adopt(ctx, tokens, transport).await?), user_errors: Vec::new() }),
            Err(Error::Refused(_)) => {
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
        // An access cookie may have run out before the session did.
        let session = session.or_else(|| identity::session_of_refresh(request.browser.refresh_cookie.as_deref()?));
        if let Some((workspace, session)) = session {
            request.app.identity.sign_out(workspace, session, &request.origin).await.map_err(|e| field_error(&e))?;
        }
        if request.browser.unforged {
            for cookie in cookies::clear(request.app.config.auth.cookie_same_site) {
                ctx.append_http_header("set-cookie", cookie);
            }
        }
        Ok(SignOutPayload { signed_out: session.is_some() })
    }

    /// Mails a link that signs its reader in, if somebody has the address. Anybody may ask this.
    async fn request_magic_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to write to.")] input: RequestMagicLinkInput,
    ) -> Result<MailRequestPayload> {
        let request = request::of(ctx);
        let wanted = or_refuse!(MailRequestPayload, input.workspace_id.map(|given| id(&given, &["workspaceId"])).transpose());
        or_refuse!(MailRequestPayload, needs_mail(request));
        request.app.identity.send_magic_link(&input.email, wanted, &request.origin).await.map_err(|e| field_error(&e))?;
        Ok(MailRequestPayload { accepted: true, user_errors: Vec::new() })
    }

    /// Mails a link with which a forgotten password can be replaced, if somebody has the address. Anybody
    /// may ask this.
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to write to.")] input: RequestPasswordResetInput,
    ) -> Result<MailRequestPayload> {
        let request = request::of(ctx);
        or_refuse!(MailRequestPayload, needs_mail(request));
        request.app.identity.send_password_reset(&input.email, &request.origin).await.map_err(|e| field_error(&e))?;
        Ok(MailRequestPayload { accepted: true, user_errors: Vec::new() })
    }

    /// Sets a new password with the token of a mail. Anybody may ask this.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token, and a password.")] input: ResetPasswordInput,
    ) -> Result<ResetPasswordPayload> {
        let request = request::of(ctx);
        let refuse = |path: &str, message: &str| {
            let error = UserError::new(UserErrorCode::InvalidValue, &[path], message);
            ResetPasswordPayload { reset: false, user_errors: views(vec![error]) }
        };
        if let Err(message) = check_strength(&input.password) {
            return Ok(refuse("password", &message));
        }
        let done = request.app.identity.reset_password(&input.token, &input.password, &request.origin).await;
        if done.map_err(|e| field_error(&e))? {
            return Ok(ResetPasswordPayload { reset: true, user_errors: Vec::new() });
        }
        Ok(refuse("token", "The token is not good (any more). Ask for a new one."))
    }
}

fn needs_mail(request: &Request) -> Result<(), UserError> {
    if request.app.identity.sends_mail() {
        return Ok(());
    }
    Err(UserError::new(UserErrorCode::FeatureUnavailable, &[], "This server sends no mail. Its operator can set it up (mail.url)."))
}

fn workspace(given: Option<ID>) -> Result<Option<Uuid>, ()> {
    given.map(|id| id.parse().map_err(drop)).transpose()
}

fn refused(message: &str) -> SignInPayload {
    let error = UserError::new(UserErrorCode::InvalidValue, &[], message);
    SignInPayload { user_errors: views(vec![error]), ..Default::default() }
}

/// What came of a step, as its payload.
pub async fn settle(
    ctx: &Context<'_>,
    step: crate::error::Result<SignedIn>,
    transport: SessionTransport,
    wrong: &str,
) -> Result<SignInPayload> {
    let challenge =
        |token, kind, workspaces| SignInPayload { challenge: Some(SignInChallenge { token, kind, workspaces }), ..Default::default() };
    Ok(match step.map_err(|e| field_error(&e))? {
        SignedIn::Session(tokens) => SignInPayload { session: Some(adopt(ctx, tokens, transport).await?), ..Default::default() },
        SignedIn::SecondFactor { token } => challenge(token, SignInChallengeKind::Totp, Vec::new()),
        SignedIn::ChooseWorkspace { token, places } => {
            let workspaces = places.into_iter().map(|(id, name)| WorkspaceChoice::new(id, name)).collect();
            challenge(token, SignInChallengeKind::Workspace, workspaces)
        }
        SignedIn::Wait(seconds) => {
            let error = UserError::new(UserErrorCode::Limit, &[], format!("Too many attempts. Try again in {seconds} seconds."));
            SignInPayload { user_errors: views(vec![error]), ..Default::default() }
        }
        SignedIn::Refused => refused(wrong),
    })
}
