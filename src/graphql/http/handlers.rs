//! `/graphql` over GET and POST.

use async_graphql::{ParseRequestError, Request};
use async_graphql_axum::{GraphQLRequest, rejection::GraphQLRejection};
use axum::body::Bytes;
use axum::extract::FromRequest as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;

use super::incoming::{self, Incoming};
use super::negotiate::{self, Media, Sent};
use super::origin::{self, Peer};
use super::reply::Reply;
use super::respond::{respond, respond_to_batch, respond_to_get};
use super::run::{Asking, Outcome, Over};
use super::{Server, sse, ws};
use crate::error::Error;
use crate::graphql::cookies;

/// As much of a caller's own request id as the log keeps.
const LONGEST_ID: usize = 128;

pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    Some(id.chars().take(LONGEST_ID).collect())
}

/// `GET /graphql?query=…&variables=…`, for queries only.
pub async fn get(
    State(server): State<Server>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if ws::is_asked(&headers) {
        return match upgrade {
            Ok(upgrade) => ws::accept(server, headers, peer, upgrade),
            Err(rejected) => rejected.into_response(),
        };
    }
    let Some(media) = negotiate::wanted(&headers) else { return not_acceptable() };
    match incoming::of_address(query.as_deref().unwrap_or_default()) {
        Ok(request) => answer(&server, &headers, peer, media, request, true).await,
        Err(error) => respond(&Reply::refused(StatusCode::BAD_REQUEST, &error), media),
    }
}

pub async fn post(State(server): State<Server>, peer: Peer, headers: HeaderMap, request: axum::extract::Request) -> Response {
    let Some(media) = negotiate::wanted(&headers) else { return not_acceptable() };
    match negotiate::sent(&headers) {
        Sent::Json => {}
        Sent::Multipart if PREFLIGHT.iter().any(|name| headers.contains_key(*name)) => {
            return match with_files(request).await {
                Ok(request) => answer(&server, &headers, peer, media, request, false).await,
                Err(reply) => respond(&reply, media),
            };
        }
        Sent::Multipart | Sent::Other => {
            let error = Error::bad_request(
                "Send the request as `Content-Type: application/json`, in UTF-8; with files as multipart/form-data and the header `x-kith-csrf: 1`.",
            );
            return respond(&Reply::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error), media);
        }
    }
    // The layer that bounds the body ends it with an error of reading.
    let Ok(body) = Bytes::from_request(request, &()).await else { return respond(&too_large(), media) };
    match incoming::of_body(&body) {
        Ok(Incoming::One(request)) => answer(&server, &headers, peer, media, *request, false).await,
        Ok(Incoming::Batch(requests)) => batch(&server, &headers, peer, media, requests).await,
        Err(error) => respond(&Reply::refused(StatusCode::BAD_REQUEST, &error), media),
    }
}

/// Headers that no page of another origin can send without being let: one of them comes with files.
const PREFLIGHT: [&str; 2] = [cookies::CSRF, "apollo-require-preflight"];
/// The most files of one request.
const MOST_FILES: usize = 10;

/// Reads a request with files (GraphQL multipart request specification). The body is bounded like every other.
async fn with_files(request: axum::extract::Request) -> Result<Request, Box<Reply>> {
    let refuse = |status, message: &str| Box::new(Reply::refused(status, &Error::bad_request(message)));
    let read = GraphQLRequest::<GraphQLRejection>::from_request(request, &()).await.map_err(|rejected| match rejected.0 {
        ParseRequestError::PayloadTooLarge | ParseRequestError::Io(_) => Box::new(too_large()),
        _ => refuse(StatusCode::BAD_REQUEST, "The form is not a GraphQL request with files: `operations`, then `map`, then the files."),
    })?;
    let request = read.into_inner();
    if request.uploads.len() > MOST_FILES {
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, &format!("At most {MOST_FILES} files come with one request.")));
    }
    Ok(request)
}

async fn answer(server: &Server, headers: &HeaderMap, peer: Peer, media: Media, request: Request, reads_only: bool) -> Response {
    let over = match media {
        Media::EventStream => Over::Stream,
        _ if reads_only => Over::Get,
        _ => Over::Post,
    };
    let origin = origin::of(&server.app.config.server, headers, peer);
    let asking = Asking { server, headers, origin, id: request_id(headers), over, reads_only, resume: None };
    if media == Media::EventStream {
        return sse::answer(asking, request).await;
    }
    match asking.run(request).await {
        Outcome::Reply(reply) => {
            let mut response = if reads_only { respond_to_get(&reply, media, headers) } else { respond(&reply, media) };
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
        // What may not carry a stream is refused before there is one.
        Outcome::Live(_) => respond(&Reply::refused(StatusCode::BAD_REQUEST, &Error::bad_request("A stream does not fit here.")), media),
    }
}

/// Several requests in one body, where the settings let them in.
async fn batch(server: &Server, headers: &HeaderMap, peer: Peer, media: Media, requests: Vec<Request>) -> Response {
    let most = server.app.config.limits.batch;
    let refuse = |message: String| respond(&Reply::refused(StatusCode::BAD_REQUEST, &Error::bad_request(message)), media);
    if most == 0 || media == Media::EventStream {
        return refuse("Send one request, not an array of them.".to_owned());
    }
    if requests.is_empty() || requests.len() > most {
        return refuse(format!("Send 1 to {most} requests in an array."));
    }
    let origin = origin::of(&server.app.config.server, headers, peer);
    let runs = requests.into_iter().map(|request| {
        let asking =
            Asking { server, headers, origin: origin.clone(), id: request_id(headers), over: Over::Post, reads_only: false, resume: None };
        asking.run(request)
    });
    let replies = join_all(runs).await.into_iter().filter_map(|outcome| match outcome {
        Outcome::Reply(reply) => Some(*reply),
        Outcome::Live(_) => None,
    });
    respond_to_batch(&replies.collect::<Vec<_>>())
}

fn not_acceptable() -> Response {
    let message =
        "The answer can be application/graphql-response+json, application/json or text/event-stream; `Accept` names none of them.";
    respond(&Reply::refused(StatusCode::NOT_ACCEPTABLE, &Error::bad_request(message)), Media::Json)
}

fn too_large() -> Reply {
    Reply::refused(StatusCode::PAYLOAD_TOO_LARGE, &Error::bad_request("The request is larger than this server accepts."))
}

/// The layer that bounds bodies refuses a long one by its announced length, in plain text.
pub async fn too_large_as_json(response: Response) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if response.status() != StatusCode::PAYLOAD_TOO_LARGE || is_json {
        return response;
    }
    respond(&too_large(), Media::Json)
}
