//! Signing in with another issuer (OpenID Connect, authorization code with PKCE).
//!
//! The browser leaves with a one-time token as its `state` and that token's digest in a cookie, and
//! comes back with both: nobody else's answer is taken for its own. Whom the issuer names is found by
//! issuer and subject; the first time by the address, if the issuer verified it and the operator
//! trusts that. Nobody becomes a user this way who was not one: members are invited.

use std::collections::BTreeMap;
use std::sync::Arc;

use entity::{Micros, oidc_identity};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope as Wanted, TokenResponse as _,
};
use quick_cache::sync::Cache;
use sea_orm::{EntityTrait, IntoActiveModel};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::one_time::Purpose;
use super::sign_in::{By, Standing};
use super::{Identity, digest, same};
use crate::config::OidcProvider;
use crate::error::{Error, Result};
use crate::infra::db::{Mode, Scope};
use crate::infra::web::Web;
use crate::platform::Origin;
use crate::platform::audit::{self, Action, Event};

/// How long an issuer's own description is believed.
const BELIEVED: i64 = 3_600 * 1_000_000;
/// The longest answer of an issuer, in bytes.
const LONGEST: usize = 1 << 20;

/// The issuers that the settings name.
pub struct Issuers {
    providers: BTreeMap<String, OidcProvider>,
    public_url: String,
    app_urls: Vec<String>,
    web: Web,
    known: Cache<String, (Micros, Arc<CoreProviderMetadata>)>,
}

/// What is remembered while a browser is away.
#[derive(Serialize, Deserialize)]
struct Journey {
    provider: String,
    nonce: String,
    verifier: String,
    to: String,
    /// What the page that began it must prove to know.
    challenge: Option<String>,
}

/// Where a browser goes that came back from an issuer.
pub struct Returned {
    pub to: String,
}

/// Where a browser goes to sign in, and what it must bring back in a cookie.
pub struct Departure {
    pub to: String,
    pub cookie: String,
}

/// Why an issuer could not be asked, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreachable(String);

impl Issuers {
    pub fn new(providers: BTreeMap<String, OidcProvider>, public_url: &str, app_urls: Vec<String>, web: Web) -> Self {
        Self { providers, public_url: public_url.trim_end_matches('/').to_owned(), app_urls, web, known: Cache::new(100) }
    }

    /// Name, label and address to begin at.
    pub fn list(&self) -> Vec<(String, String, String)> {
        let label = |name: &String, label: &String| if label.is_empty() { name.clone() } else { label.clone() };
        let one =
            |(name, of): (&String, &OidcProvider)| (name.clone(), label(name, &of.label), format!("{}/auth/oidc/{name}", self.public_url));
        self.providers.iter().map(one).collect()
    }

    fn get(&self, name: &str) -> Result<&OidcProvider> {
        self.providers.get(name).ok_or_else(|| Error::bad_request("There is no such issuer here."))
    }

    async fn metadata(&self, provider: &OidcProvider, now: Micros) -> Result<Arc<CoreProviderMetadata>> {
        if let Some((_, known)) = self.known.get(&provider.issuer).filter(|(at, _)| now.0 - at.0 < BELIEVED) {
            return Ok(known);
        }
        let issuer = IssuerUrl::new(provider.issuer.clone()).map_err(Error::fault)?;
        let web = self.web.clone();
        let ask = move |request| ask(web.clone(), request);
        let found = CoreProviderMetadata::discover_async(issuer, &ask).await;
        let found = Arc::new(found.map_err(|e| Error::fault(format!("{}: {e}", provider.issuer)))?);
        self.known.insert(provider.issuer.clone(), (now, found.clone()));
        Ok(found)
    }

    fn redirect(&self, name: &str) -> Result<RedirectUrl> {
        RedirectUrl::new(format!("{}/auth/oidc/{name}/callback", self.public_url)).map_err(Error::fault)
    }
}

/// One request to an issuer.
async fn ask(web: Web, request: HttpRequest) -> Result<HttpResponse, Unreachable> {
    let wrong = |e: &dyn std::fmt::Display| Unreachable(e.to_string());
    let client = web.client().map_err(|e| wrong(&e))?;
    let request = reqwest::Request::try_from(request).map_err(|e| wrong(&e))?;
    let mut answer = client.execute(request).await.map_err(|e| wrong(&e))?;
    let mut response = axum::http::Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(answer.headers());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| wrong(&e))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err(wrong(&"the issuer's answer is too long"));
        }
    }
    response.body(body).map_err(|e| wrong(&e))
}

fn client_id(provider: &OidcProvider) -> (ClientId, Option<ClientSecret>) {
    let secret = Some(&provider.client_secret).filter(|secret| !secret.is_empty());
    (ClientId::new(provider.client_id.clone()), secret.map(|secret| ClientSecret::new(secret.clone())))
}

impl Identity {
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Sends a browser to an issuer; afterwards it goes to `to`, one of the application's pages.
    pub async fn depart(&self, name: &str, to: Option<&str>, challenge: Option<String>) -> Result<Departure> {
        let provider = self.issuers.get(name)?;
        if challenge.as_ref().is_some_and(|challenge| challenge.len() != 43) {
            return Err(Error::bad_request("`challenge` is the SHA-256 of a verifier in base64url, 43 characters (RFC 7636, S256)."));
        }
        let pages = &self.issuers.app_urls;
        let to = match to {
            None => pages.first(),
            Some(wanted) => pages.iter().find(|page| *page == wanted),
        };
        let to =
            to.ok_or_else(|| Error::bad_request("`redirect` is none of the pages that this server sends browsers to (auth.app_urls)."))?;
        let metadata = self.issuers.metadata(provider, self.clock.now()).await?;
        let (ours, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = Nonce::new_random();
        let journey = Journey {
            provider: name.to_owned(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            to: to.clone(),
            challenge,
        };
        let state = self.issue_token(Purpose::Issuer, None, serde_json::to_value(&journey)?).await?;
        let (id, secret) = client_id(provider);
        let client = CoreClient::from_provider_metadata((*metadata).clone(), id, secret).set_redirect_uri(self.issuers.redirect(name)?);
        let cookie = digest(&state);
        let mut url = client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, || CsrfToken::new(state), || nonce);
        let usual = ["email".to_owned(), "profile".to_owned()];
        for scope in if provider.scopes.is_empty() { &usual[..] } else { &provider.scopes } {
            url = url.add_scope(Wanted::new(scope.clone()));
        }
        let (to, ..) = url.set_pkce_challenge(ours).url();
        Ok(Departure { to: to.to_string(), cookie })
    }

    /// A browser is back: it goes on to the application's page, with a token for `completeSignIn` or
    /// with the reason why there is none.
    pub async fn come_back(&self, name: &str, code: Option<&str>, state: &str, cookie: &str, origin: &Origin) -> Result<Returned> {
        let lost = || Error::bad_request("This sign-in was not begun in this browser, or too long ago. Begin again.");
        if !same(&digest(state), cookie) {
            return Err(lost());
        }
        let held = self.look_at_token(Purpose::Issuer, state).await?.ok_or_else(lost)?;
        let journey: Journey = serde_json::from_value(held.detail.clone())?;
        if journey.provider != name || !self.spend_token(&held).await? {
            return Err(lost());
        }
        let to = |fragment: &str| Returned { to: format!("{}#{fragment}", journey.to) };
        let Some(code) = code else { return Ok(to("error=access_denied")) };
        let user = match self.subject(&journey, code, origin).await {
            Ok(Some(user)) => user,
            Ok(None) => return Ok(to("error=unknown_user")),
            Err(error) => {
                tracing::warn!("a sign-in with {name} failed: {error}");
                return Ok(to("error=issuer_failed"));
            }
        };
        let standing = Standing { challenge: journey.challenge.clone(), ..Standing::new(By::Issuer, None) };
        let token = self.issue_token(Purpose::SignIn, Some(user), serde_json::to_value(&standing)?).await?;
        Ok(to(&format!("token={token}")))
    }

    /// The user whom the issuer names.
    async fn subject(&self, journey: &Journey, code: &str, origin: &Origin) -> Result<Option<Uuid>> {
        let provider = self.issuers.get(&journey.provider)?;
        let metadata = self.issuers.metadata(provider, self.clock.now()).await?;
        let (id, secret) = client_id(provider);
        let client = CoreClient::from_provider_metadata((*metadata).clone(), id, secret);
        let client = client.set_redirect_uri(self.issuers.redirect(&journey.provider)?);
        let web = self.issuers.web.clone();
        let ask = move |request| ask(web.clone(), request);
        let exchange = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(Error::fault)?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(journey.verifier.clone()));
        let tokens = exchange.request_async(&ask).await.map_err(|e| Error::fault(format!("code exchange: {e}")))?;
        let token = tokens.id_token().ok_or_else(|| Error::fault("the issuer gave no id token"))?;
        let clock = self.clock.clone();
        let verifier = client.id_token_verifier().set_time_fn(move || clock.now().to_utc());
        let claims = token.claims(&verifier, &Nonce::new(journey.nonce.clone())).map_err(|e| Error::fault(format!("id token: {e}")))?;
        let hash = digest(&format!("{}\n{}", provider.issuer, claims.subject().as_str()));
        let tx = self.db.begin(&Scope { token: Some(hash.clone()), ..Scope::default() }, Mode::Read).await?;
        let known = oidc_identity::Entity::find_by_id(hash.clone()).one(&tx).await?;
        tx.commit().await?;
        if let Some(known) = known {
            return Ok(Some(known.user_id));
        }
        let verified = provider.trust_email && claims.email_verified() == Some(true);
        let Some(email) = claims.email().filter(|_| verified) else { return Ok(None) };
        let Some(account) = self.account(&email.as_str().to_lowercase()).await? else { return Ok(None) };
        self.link(account.id, hash, journey, &provider.issuer, origin).await?;
        Ok(Some(account.id))
    }

    async fn link(&self, user: Uuid, hash: String, journey: &Journey, issuer: &str, origin: &Origin) -> Result<()> {
        let row = oidc_identity::Model {
            identity_hash: hash.clone(),
            provider: journey.provider.clone(),
            issuer: issuer.to_owned(),
            user_id: user,
            created_at: self.clock.now(),
        };
        let tx = self.db.begin(&Scope { token: Some(hash), user: Some(user), ..Scope::default() }, Mode::Write).await?;
        oidc_identity::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await?;
        tx.commit().await?;
        for (workspace, _, member) in self.places(user).await? {
            let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
            let mut event = Event::sign_in(workspace, Some(member), Action::IssuerLinked, origin, self.clock.now());
            event.detail = serde_json::json!({ "provider": journey.provider });
            audit::append(&tx, &event).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
