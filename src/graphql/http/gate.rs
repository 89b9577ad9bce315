//! Before a document is looked at: which credential a request brings, whether it may be used from
//! there and so often, and whether it may send this document.

use async_graphql::{Request, Value};
use axum::http::{HeaderMap, header};
use serde_json::json;

use super::Server;
use super::incoming::DOCUMENT;
use crate::error::{Code, Error, Result};
use crate::features::identity::{Bound, Caller, hash_of};
use crate::graphql::cookies;
use crate::infra::db::Mode;
use crate::platform::Origin;
use crate::platform::audit::{self, Action, Event};

/// The header with what a solved challenge gave the page.
const CHALLENGE: &str = "x-kith-challenge";

/// How often a minute a credential's use in the wrong place stands in the audit.
const AUDITED: u32 = 6;

/// Why somebody is not let in.
pub enum Turned {
    /// The credential is good, but not for this.
    Away(Error),
    /// Too often; again in so many seconds.
    TooOften(u64),
}

impl From<Error> for Turned {
    fn from(error: Error) -> Self {
        Self::Away(error)
    }
}

/// The credential of a request: a bearer's, or a cookie's.
pub enum Credential<'a> {
    None,
    Bearer(&'a str),
    Cookie(&'a str),
}

pub fn credential(headers: &HeaderMap) -> Result<Credential<'_>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(cookies::access(headers).map_or(Credential::None, Credential::Cookie));
    };
    let bearer = value.to_str().ok().and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, credential) = bearer.ok_or_else(|| Error::unauthenticated("Send the credential as `Authorization: Bearer <token>`."))?;
    Ok(Credential::Bearer(credential.trim()))
}

/// Refuses a credential that sends its application's documents and nothing else.
pub fn not_documents_only(caller: &Caller) -> Result<()> {
    match &caller.bound {
        Some(bound) if bound.restrictions.documents_only => {
            Err(Error::forbidden("This credential sends the documents of its application only."))
        }
        _ => Ok(()),
    }
}

/// Whether another page cannot have forged this request.
pub fn is_unforged(headers: &HeaderMap) -> bool {
    headers.contains_key(cookies::CSRF)
}

/// Whether a bound credential may be used from there, and again already.
pub async fn admit(server: &Server, headers: &HeaderMap, from: &Origin, caller: &Caller) -> Result<(), Turned> {
    let Some(bound) = &caller.bound else { return Ok(()) };
    let page = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if let Err(error) = bound.restrictions.admit(page, from.address.as_deref()) {
        note(server, caller, from, page).await;
        return Err(error.into());
    }
    if let Some(per_minute) = bound.restrictions.per_minute {
        let credential = caller.token.or(caller.actor.id).unwrap_or_default();
        let by = format!("{credential} {}", from.address.as_deref().unwrap_or_default());
        server.app.buckets.take("key", &by, per_minute, server.app.clock.now()).map_err(Turned::TooOften)?;
    }
    if bound.restrictions.challenge {
        challenge(server, headers, from).await?;
    }
    Ok(())
}

/// Asks whoever judges challenges.
async fn challenge(server: &Server, headers: &HeaderMap, from: &Origin) -> Result<()> {
    let settings = &server.app.config.challenge;
    if settings.verify_url.is_empty() {
        return Err(Error::fault("a key wants a challenge, and challenge.verify_url is not set"));
    }
    let failed = || Error::forbidden(format!("The challenge was not passed: send what it gave the page as `{CHALLENGE}`."));
    let response = headers.get(CHALLENGE).and_then(|value| value.to_str().ok()).ok_or_else(failed)?;
    let tokens = server.app.renewable.tokens.get();
    let form = [("secret", tokens.challenge.as_str()), ("response", response), ("remoteip", from.address.as_deref().unwrap_or_default())];
    let unreachable = |e: reqwest::Error| Error::fault(format!("the challenge could not be verified: {}", e.without_url()));
    let answer = server.app.web.client()?.post(&settings.verify_url).form(&form).send().await.map_err(unreachable)?;
    let verdict: serde_json::Value = answer.json().await.map_err(unreachable)?;
    if verdict["success"] == true { Ok(()) } else { Err(failed()) }
}

/// A credential that is used in the wrong place may have been stolen: it stands in the audit, now and then.
async fn note(server: &Server, caller: &Caller, from: &Origin, page: Option<&str>) {
    let (app, key) = (&server.app, caller.actor.id);
    if app.buckets.take("misplaced", &key.unwrap_or_default().to_string(), AUDITED, app.clock.now()).is_err() {
        return;
    }
    let mut event = Event::sign_in(caller.workspace, None, Action::Refused, from, app.clock.now());
    (event.actor, event.subject, event.detail) = (caller.actor, key, json!({ "message": "wrong place", "origin": page }));
    let written = async {
        let tx = app.db.begin(&crate::infra::db::Scope::workspace(caller.workspace), Mode::Write).await?;
        audit::append(&tx, &event).await?;
        tx.commit().await?;
        Ok::<(), Error>(())
    };
    if let Err(error) = written.await {
        tracing::error!("a refusal could not be written to the audit: {error:?}");
    }
}

/// Puts the document that a hash means into the request, and refuses one that the credential may not send. Tells whether
/// its application registered it.
pub async fn document(server: &Server, caller: Option<&Caller>, request: &mut Request) -> Result<bool> {
    let named = named(request)?;
    let bound = caller.and_then(|caller| caller.bound.as_deref());
    let mut registered = false;
    match named {
        Some(named) if request.query.is_empty() => {
            let known = match (caller, bound.and_then(|bound| bound.application)) {
                (Some(caller), Some(application)) => server.app.identity.document(caller.workspace, application, &named.hash).await?,
                _ => None,
            };
            request.query = known.ok_or_else(|| named.unknown())?.to_string();
            registered = true;
        }
        Some(named) if named.hash != hash_of(&request.query) => return Err(Error::bad_request("The hash is not the document's.")),
        _ => {}
    }
    match (bound, caller) {
        (Some(bound), Some(caller)) if bound.restrictions.documents_only => {
            only_registered(server, caller, bound, &request.query).await?;
            Ok(true)
        }
        _ => Ok(registered),
    }
}

async fn only_registered(server: &Server, caller: &Caller, bound: &Bound, document: &str) -> Result<()> {
    let hash = hash_of(document);
    let known = match bound.application.filter(|_| bound.restrictions.allows_document(&hash)) {
        Some(application) => server.app.identity.document(caller.workspace, application, &hash).await?,
        None => None,
    };
    if known.is_some() {
        return Ok(());
    }
    Err(Error::refuse(Code::Forbidden, "This credential sends the documents of its application only, exactly as they were registered."))
}

/// The hash that a request gives in the place of, or beside, its document.
struct Named {
    hash: String,
    /// As Apollo's clients do it, who send the text when they are told that it is not known.
    persisted: bool,
}

impl Named {
    fn unknown(&self) -> Error {
        Error::bad_request(if self.persisted {
            // The words that clients of this extension look for.
            "PersistedQueryNotFound"
        } else {
            "The credential's application has registered no document with this `documentId`."
        })
    }
}

fn named(request: &Request) -> Result<Option<Named>> {
    if let Some(Value::String(id)) = request.extensions.get(DOCUMENT) {
        let hash = id.strip_prefix("sha256:").filter(|hash| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let hash = hash.ok_or_else(|| Error::bad_request("A `documentId` is `sha256:` and the document's hash in hexadecimal."))?;
        return Ok(Some(Named { hash: hash.to_ascii_lowercase(), persisted: false }));
    }
    let persisted = match request.extensions.get("persistedQuery") {
        Some(Value::Object(members)) => members.get("sha256Hash"),
        _ => None,
    };
    Ok(match persisted {
        Some(Value::String(hash)) => Some(Named { hash: hash.to_ascii_lowercase(), persisted: true }),
        _ => None,
    })
}
