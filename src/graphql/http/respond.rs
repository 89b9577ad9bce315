//! From a reply to HTTP: status, headers, body (GraphQL over HTTP, section "Response").

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::body;
use super::negotiate::{GRAPHQL_RESPONSE, Media};
use super::reply::{Fate, Reply};
use crate::error::Error;
use crate::graphql::errors::status_of;
use crate::graphql::repeat;

/// What an answer depends on.
const VARY: &str = "accept, authorization, cookie, origin";

/// A refusal, in the form that everybody reads.
pub fn refusal(status: StatusCode, error: &Error) -> Response {
    respond(&Reply::refused(status, error), Media::Json)
}

pub fn respond(reply: &Reply, media: Media) -> Response {
    let mut text = String::with_capacity(1_024);
    body::write(reply, &mut text);
    let kind = match media {
        Media::GraphqlResponse => HeaderValue::from_static(GRAPHQL_RESPONSE),
        _ => HeaderValue::from_static("application/json; charset=utf-8"),
    };
    let mut response = (status(reply, media), [(header::CONTENT_TYPE, kind)], text).into_response();
    let headers = response.headers_mut();
    headers.extend(reply.answer.http_headers.clone());
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
    if let Some(hash) = reply.schema.as_ref().and_then(|schema| HeaderValue::from_str(schema.hash()).ok()) {
        headers.insert("kith-schema", hash);
    }
    if reply.replayed {
        headers.insert(repeat::REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The same of a query over GET, which a cache may keep for its caller as long as it asks whether it is still so.
pub fn respond_to_get(reply: &Reply, media: Media, headers: &HeaderMap) -> Response {
    let mut response = respond(reply, media);
    if !reply.is_executed() || !reply.answer.errors.is_empty() {
        return response;
    }
    // What the answer cost is another each time; what it says is what counts.
    let mut data = String::new();
    body::write_data(reply, &mut data);
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(data)[..16]));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*") {
        response = StatusCode::NOT_MODIFIED.into_response();
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static(VARY));
    response
}

/// The answers of a batch, in its order. Each tells its own errors; the status is the transport's.
pub fn respond_to_batch(replies: &[Reply]) -> Response {
    let mut text = String::from("[");
    for (index, reply) in replies.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        body::write(reply, &mut text);
    }
    text.push(']');
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
}

/// The status of a reply. In `application/json` whatever GraphQL has an answer to is 200: proxies and old clients take
/// other bodies for their own.
fn status(reply: &Reply, media: Media) -> StatusCode {
    match (reply.fate, media) {
        (Fate::Executed, _) | (Fate::Unfit, Media::Json | Media::EventStream) => StatusCode::OK,
        (Fate::Refused(status), _) => status,
        (Fate::Unfit, Media::GraphqlResponse) => status_of(reply.code().unwrap_or_default()),
    }
}
