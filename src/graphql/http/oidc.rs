//! `/auth/oidc/{provider}`: a browser on its way to another issuer and back.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::Server;
use super::origin::{self, Peer};
use super::respond::refusal;
use crate::error::Error;
use crate::graphql::cookies;

pub fn routes() -> Router<Server> {
    Router::new().route("/auth/oidc/{provider}", get(depart)).route("/auth/oidc/{provider}/callback", get(come_back))
}

#[derive(Deserialize)]
struct Departing {
    /// The page of the application to come back to.
    redirect: Option<String>,
    /// The SHA-256 of a verifier that only this page knows, in base64url; `completeSignIn` wants the verifier then.
    challenge: Option<String>,
}

async fn depart(State(server): State<Server>, Path(provider): Path<String>, Query(wanted): Query<Departing>) -> Response {
    match server.app.identity.depart(&provider, wanted.redirect.as_deref(), wanted.challenge).await {
        Ok(departure) => to(&departure.to, Some(cookies::departing(&departure.cookie))),
        Err(error) => told(&error),
    }
}

/// What an issuer sends a browser back with.
#[derive(Deserialize)]
struct Returning {
    #[serde(default)]
    state: String,
    code: Option<String>,
}

async fn come_back(
    State(server): State<Server>,
    Path(provider): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    Query(brought): Query<Returning>,
) -> Response {
    let from = origin::of(&server.app.config.server, &headers, peer);
    let cookie = cookies::issuer(&headers).unwrap_or_default();
    match server.app.identity.come_back(&provider, brought.code.as_deref(), &brought.state, cookie, &from).await {
        Ok(returned) => to(&returned.to, None),
        Err(error) => told(&error),
    }
}

fn to(address: &str, cookie: Option<String>) -> Response {
    let Ok(address) = HeaderValue::from_str(address) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = (StatusCode::SEE_OTHER, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response();
    response.headers_mut().insert(header::LOCATION, address);
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn told(error: &Error) -> Response {
    let status = if matches!(error, Error::Refused(_)) { StatusCode::BAD_REQUEST } else { StatusCode::BAD_GATEWAY };
    refusal(status, error)
}
