//! A session in an answer, and the rest of that answer as its member.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use super::SessionTransport;
use crate::error::Error;
use crate::features::identity::Tokens;
use crate::graphql::cookies;
use crate::graphql::errors::field_error;
use crate::graphql::platform::values::DateTime;
use crate::graphql::platform::workspace;
use crate::graphql::records::MemberRef;
use crate::graphql::request::{self, Signed};
use crate::platform::Cause;

/// A pair of tokens, and for whom they are.
pub struct Session {
    tokens: Tokens,
    /// They went into cookies: the page's own code does not see them.
    in_cookies: bool,
    /// Set where the request itself goes on as somebody else: it is in another workspace.
    elsewhere: Option<Arc<Signed>>,
}

/// What a sign-in gives: send the access token as `Authorization: Bearer …`, and keep the refresh token.
#[Object]
impl Session {
    /// The session's id.
    async fn id(&self) -> ID {
        self.tokens.session.into()
    }

    /// Good for minutes: see `expiresAt`. Null where it went into a cookie.
    async fn access_token(&self) -> Option<&str> {
        (!self.in_cookies).then_some(self.tokens.access.as_str())
    }

    /// For `refreshSession`, once: it gives a new one. Using an old one ends the session. Null where it
    /// went into a cookie.
    async fn refresh_token(&self) -> Option<&str> {
        (!self.in_cookies).then_some(self.tokens.refresh.as_str())
    }

    /// When the access token stops working.
    async fn expires_at(&self) -> DateTime {
        self.tokens.expires_at.into()
    }

    /// Who signed in.
    async fn member(&self) -> MemberRef {
        MemberRef::within(self.tokens.member, self.elsewhere.clone())
    }

    /// Where.
    async fn workspace(&self, ctx: &Context<'_>) -> Result<workspace::Workspace> {
        let request = request::of(ctx);
        match &self.elsewhere {
            Some(signed) => workspace::of(request, signed).await,
            None => workspace::current(request).await,
        }
    }
}

/// The rest of the answer is given to who just signed in.
pub async fn adopt(ctx: &Context<'_>, tokens: Tokens, transport: SessionTransport) -> Result<Session> {
    let request = request::of(ctx);
    if transport == SessionTransport::Cookie && !request.browser.unforged {
        // Else another page could sign its visitors in as somebody else.
        return Err(field_error(&Error::forbidden("Cookies are given to requests with the header `x-kith-csrf: 1`.")));
    }
    let caller = request.app.identity.authenticate(&tokens.access, &request.origin).await.map_err(|e| field_error(&e))?;
    let (within, known) = request.app.ctx(&caller, Cause::Request, None).await.map_err(|e| field_error(&e))?;
    let signed = Signed { caller, ctx: within, known };
    let elsewhere = request.adopt(signed).map(Arc::new);
    let in_cookies = transport == SessionTransport::Cookie;
    if in_cookies {
        let lifetimes = request.app.identity.lifetimes();
        for cookie in cookies::set(&tokens, lifetimes, request.app.config.auth.cookie_same_site) {
            ctx.append_http_header("set-cookie", cookie);
        }
    }
    Ok(Session { tokens, in_cookies, elsewhere })
}
