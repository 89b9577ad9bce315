//! From a reply to HTTP: status, headers, body (GraphQL over HTTP, section "Response").

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::body;
use super::negotiate::{GRAPHQL_RESPONSE, Media};
use super::reply::{Fate, Reply};
use crate::error::Error;
use crate::graphql::repeat;

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
    headers.insert(header::VARY, HeaderValue::from_static("accept, authorization, cookie, origin"));
    if let Some(hash) = reply.schema.as_ref().and_then(|schema| HeaderValue::from_str(&schema.sdl().1).ok()) {
        headers.insert("kith-schema", hash);
    }
    if reply.replayed {
        headers.insert(repeat::REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
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
        (Fate::Unfit, Media::GraphqlResponse) => match reply.code() {
            Some("UNAUTHENTICATED") => StatusCode::UNAUTHORIZED,
            Some("FORBIDDEN") => StatusCode::FORBIDDEN,
            Some("RATE_LIMITED") => StatusCode::TOO_MANY_REQUESTS,
            Some("INTERNAL") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        },
    }
}
