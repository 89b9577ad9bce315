//! Server-sent events, as graphql-sse's distinct connections have them: one request, one stream of `next`, then `complete`.

use std::convert::Infallible;
use std::time::Duration;

use async_graphql::Request;
use axum::http::HeaderValue;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};

use super::body;
use super::negotiate::Media;
use super::reply::{Fate, Reply};
use super::respond::respond;
use super::run::{Asking, Outcome};
use super::standing::Holder;
use crate::graphql::live::CURSOR;

/// The place of the last event that a reader got, who was cut off.
const LAST_EVENT_ID: &str = "last-event-id";
/// How often a silent stream says that it is alive: proxies cut what is silent for half a minute.
const HEARTBEAT: Duration = Duration::from_secs(12);

/// Answers a request as a stream. Whoever is turned away is told by the status, as everywhere.
pub async fn answer(mut asking: Asking<'_>, request: Request) -> Response {
    asking.resume = asking.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty()).map(str::to_owned);
    let holder = Holder { server: asking.server.clone(), headers: asking.headers.clone(), origin: asking.origin.clone() };
    match asking.run(request).await {
        Outcome::Reply(reply) if matches!(reply.fate, Fate::Refused(_)) => respond(&reply, Media::Json),
        Outcome::Reply(reply) => streamed(stream::iter([next(&reply), complete()])),
        Outcome::Live(mut live) => {
            let events = std::mem::replace(&mut live.events, stream::empty().boxed());
            let events = events.map(move |answer| {
                let cursor = answer.http_headers.get(CURSOR).and_then(|cursor| cursor.to_str().ok()).map(str::to_owned);
                let event = next(&live.reply(answer));
                cursor.map_or(event.clone(), |cursor| event.id(cursor))
            });
            // A stream that is cut goes on elsewhere, so it does not say that it is complete.
            streamed(events.chain(stream::iter([complete()])).take_until(Box::pin(holder.ends())))
        }
    }
}

fn streamed(events: impl futures_util::Stream<Item = Event> + Send + 'static) -> Response {
    let mut response = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // nginx would keep events back until its buffer is full.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn next(reply: &Reply) -> Event {
    let mut data = String::new();
    body::write(reply, &mut data);
    Event::default().event("next").data(data)
}

fn complete() -> Event {
    Event::default().event("complete").data("")
}
