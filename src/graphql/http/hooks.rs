//! `POST /hooks/{id}`: what other systems send, for [`crate::features::inbound`].

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use entity::inbound_hook;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::Server;
use super::handlers::request_id;
use super::origin::{self, Peer};
use super::reply::{Fate, Reply};
use super::run::{Asking, Over};
use crate::error::{Code, Error, Result};
use crate::features::inbound::Proof;
use crate::features::webhooks;
use crate::graphql::errors::{describe, status_of};
use crate::graphql::inbound::{idempotent, outcome, request};
use crate::graphql::repeat;
use crate::graphql::request::Signed;
use crate::platform::{ActorKind, Cause, Origin};

pub fn routes() -> Router<Server> {
    Router::new().route("/hooks/{id}", post(receive))
}

/// What may stand in the address, for systems that can send nothing but a body.
#[derive(Deserialize)]
struct Address {
    token: Option<String>,
}

/// How often an address may bring a wrong secret, each minute.
const WRONG_A_MINUTE: u32 = 30;

async fn receive(
    State(server): State<Server>,
    peer: Peer,
    Path(id): Path<String>,
    Query(address): Query<Address>,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Response {
    let from = origin::of(&server.app.config.server, &headers, peer);
    let Ok(body) = body else { return told(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "The body is too large.") };
    let hook = match admit(&server, &headers, &from, (&id, address.token.as_deref()), &body).await {
        Ok(hook) => hook,
        Err(turned_away) => return turned_away,
    };
    let (status, answer, reply) = match take(&server, &headers, from, &hook, &body).await {
        Ok(Taken::Answered(reply)) => (status(&reply), outcome(&reply.answer), Some(reply)),
        Ok(Taken::Refused(status, message)) => (status, error("BAD_REQUEST", &message), None),
        Err(failed) => {
            let gone = matches!(&failed, Error::Refused(refusal) if refusal.code == Code::Unauthenticated);
            let status = if gone { StatusCode::GONE } else { status_of(failed.code()) };
            (status, error(failed.code(), &describe(&failed).0), None)
        }
    };
    if let Err(fault) = server.app.inbound.note(&hook, &summary(status, &answer)).await {
        tracing::warn!("what came of an inbound request could not be noted: {fault}");
    }
    let mut response = (status, axum::Json(answer)).into_response();
    if let Some(seconds) = reply.as_ref().and_then(|reply| reply.retry_after) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if reply.is_some_and(|reply| reply.replayed) {
        response.headers_mut().insert(HeaderName::from_static(repeat::REPLAYED), HeaderValue::from_static("true"));
    }
    response
}

fn error(code: &str, message: &str) -> Json {
    json!({ "errors": [{ "message": message, "code": code }] })
}

fn told(status: StatusCode, code: &str, message: &str) -> Response {
    (status, axum::Json(error(code, message))).into_response()
}

/// The hook, if whoever posts may. A wrong address and a wrong secret are the same to them.
async fn admit(
    server: &Server,
    headers: &HeaderMap,
    from: &Origin,
    (id, token): (&str, Option<&str>),
    body: &[u8],
) -> std::result::Result<inbound_hook::Model, Response> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let signed = text("webhook-id").zip(text("webhook-timestamp")).zip(text("webhook-signature"));
    let proof = Proof {
        token: bearer.or_else(|| text("x-kith-token")).or(token),
        signed: signed.map(|((id, timestamp), signature)| webhooks::Signed { id, timestamp, signature }),
    };
    let app = &server.app;
    let found = match id.parse::<Uuid>() {
        Ok(id) => app.inbound.admit(id, &proof, body).await,
        Err(_) => Ok(None),
    };
    match found {
        Ok(Some(hook)) => Ok(hook),
        Ok(None) => {
            let by = from.address.as_deref().unwrap_or_default();
            if let Err(seconds) = app.buckets.take("inbound hook", by, WRONG_A_MINUTE, app.clock.now()) {
                let mut response = told(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited.as_str(), "Too many wrong attempts.");
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                return Err(response);
            }
            let message = "There is no such hook, or the token or signature is not right.";
            Err(told(StatusCode::UNAUTHORIZED, Code::Unauthenticated.as_str(), message))
        }
        Err(failed) => Err(told(status_of(failed.code()), failed.code(), &describe(&failed).0)),
    }
}

enum Taken {
    Answered(Box<Reply>),
    Refused(StatusCode, String),
}

/// Runs what a body asks for, as whoever made the hook.
async fn take(server: &Server, headers: &HeaderMap, from: Origin, hook: &inbound_hook::Model, body: &[u8]) -> Result<Taken> {
    if hook.paused {
        return Ok(Taken::Refused(StatusCode::SERVICE_UNAVAILABLE, "The hook is paused.".to_owned()));
    }
    let Ok(body) = serde_json::from_slice::<Json>(body) else {
        return Ok(Taken::Refused(StatusCode::BAD_REQUEST, "The body is not JSON.".to_owned()));
    };
    let signed = holder(server, headers, &from, hook).await?;
    let Some(mut request) = request(&signed.known.catalog, hook, &body, false) else {
        return Ok(Taken::Refused(StatusCode::GONE, format!("There is no type `{}` any more.", hook.type_name)));
    };
    // What is sent again by the Standard Webhooks specification has the same id.
    if let Some(key) = headers.get("webhook-id").and_then(|id| id.to_str().ok()).filter(|_| !headers.contains_key(repeat::HEADER)) {
        request = idempotent(request, &format!("{} {key}", hook.id));
    }
    let asking = Asking { server, headers, origin: from, id: request_id(headers), over: Over::Post, reads_only: false, resume: None };
    Ok(Taken::Answered(Box::new(asking.run_for(signed, request).await)))
}

async fn holder(server: &Server, headers: &HeaderMap, from: &Origin, hook: &inbound_hook::Model) -> Result<Signed> {
    let kind = if hook.holder_kind == ActorKind::ApiKey.as_str() { ActorKind::ApiKey } else { ActorKind::Member };
    let caller = server.app.identity.caller_of_holder(hook.workspace_id, kind, hook.holder_id).await?;
    let (mut ctx, known) = server.app.ctx(&caller, Cause::Request, request_id(headers)).await?;
    ctx.origin = from.clone();
    Ok(Signed { caller, ctx, known })
}

fn status(reply: &Reply) -> StatusCode {
    match (reply.fate, reply.code()) {
        (Fate::Refused(status), _) => status,
        (_, Some(code)) => status_of(code),
        (_, None) if outcome(&reply.answer)["userErrors"].as_array().is_some_and(|errors| !errors.is_empty()) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        (_, None) => StatusCode::OK,
    }
}

/// What whoever owns the hook reads of the last request: no values of it.
fn summary(status: StatusCode, answer: &Json) -> String {
    let errors = answer["userErrors"].as_array().or_else(|| answer["errors"].as_array());
    let why = errors.and_then(|errors| errors.first()).map(|error| {
        let path: Vec<&str> = error["path"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        format!(": {} {}", error["code"].as_str().unwrap_or_default(), path.join("."))
    });
    format!("{}{}", status.as_u16(), why.unwrap_or_default().trim_end())
}
