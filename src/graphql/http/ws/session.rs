//! One connection: from its init to its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use entity::Micros;
use futures_util::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value as Json};
use tokio::time::{Instant, sleep_until, timeout};

use super::PROTOCOL;
use super::message::{self, Close, Said};
use crate::error::Error;
use crate::graphql::cookies;
use crate::graphql::errors::server_error;
use crate::graphql::http::Server;
use crate::graphql::http::identify::identify;
use crate::graphql::http::reply::{Fate, Reply};
use crate::graphql::http::run::{Asking, Live, Outcome, Over};
use crate::graphql::http::standing::{Holder, Standing, stopped};
use crate::graphql::live::TOO_SLOW;
use crate::graphql::repeat;
use crate::platform::Origin;

/// How often a silent connection is asked whether it lives; whoever does not answer until the next time is gone.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a message may take to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an operation gives.
enum Given {
    Message(Message),
    /// Its last message: the name is free again.
    Last(String, Message),
    Close(Close),
    /// The credential is not good any more.
    TurnedAway,
}

/// Whether a connection was let in; until when, if its credential ends.
#[derive(Clone, Copy)]
enum Admission {
    Outside,
    Inside(Option<Micros>),
}

impl Admission {
    const fn is_inside(self) -> bool {
        matches!(self, Self::Inside(_))
    }

    const fn until(self) -> Option<Micros> {
        match self {
            Self::Outside => None,
            Self::Inside(until) => until,
        }
    }
}

struct Session {
    caller: Arc<Holder>,
    admission: Admission,
    running: HashMap<String, AbortHandle>,
    operations: SelectAll<BoxStream<'static, Given>>,
}

pub async fn run(server: Server, headers: HeaderMap, origin: Origin, mut socket: WebSocket) {
    if socket.protocol().is_none_or(|protocol| protocol != PROTOCOL) {
        end(&mut socket, Close::new(4406, "Subprotocol not acceptable")).await;
        return;
    }
    let patience = Duration::from_secs(server.app.config.limits.socket_init_seconds);
    let caller = Arc::new(Holder { server, headers, origin });
    let session = Session { caller, admission: Admission::Outside, running: HashMap::new(), operations: SelectAll::new() };
    let close = session.serve(&mut socket, Instant::now() + patience).await;
    if let Some(close) = close {
        end(&mut socket, close).await;
    }
}

/// Says why and closes.
async fn end(socket: &mut WebSocket, close: Close) {
    let polite = async {
        socket.send(close.frame()).await?;
        // The other end answers with a close of its own.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), axum::Error>(())
    };
    let _ = timeout(Duration::from_secs(2), polite).await;
}

impl Session {
    /// Serves a connection until it ends: with the reason, if the reason is ours.
    async fn serve(mut self, socket: &mut WebSocket, init_by: Instant) -> Option<Close> {
        let mut stopping = self.caller.server.app.stopping.subscribe();
        let mut revoked = self.caller.server.app.identity.revocations();
        let (mut review, mut heartbeat, mut alive) = (Instant::now(), Instant::now() + HEARTBEAT, true);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Some(Close::new(1001, "The server is going down: connect again")),
                () = sleep_until(init_by), if !self.admission.is_inside() => return Some(Close::new(4408, "Connection initialisation timeout")),
                Ok(()) = revoked.changed(), if self.admission.is_inside() => {
                    if let Some(close) = Box::pin(self.review()).await {
                        return Some(close);
                    }
                }
                () = sleep_until(review), if self.admission.is_inside() => {
                    if let Some(close) = Box::pin(self.review()).await {
                        return Some(close);
                    }
                    review = Instant::now() + self.caller.until_review(self.admission.until());
                }
                () = sleep_until(heartbeat) => {
                    if !std::mem::take(&mut alive) {
                        return Some(Close::new(1001, "No answer to a ping"));
                    }
                    heartbeat = Instant::now() + HEARTBEAT;
                    send(socket, Message::Ping(Vec::new().into())).await?;
                }
                received = socket.recv() => {
                    alive = true;
                    match received {
                        None | Some(Ok(Message::Close(_))) => return None,
                        Some(Err(error)) => return too_big(error).then(|| Close::new(1009, "The message is too large")),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Binary(_))) => return Some(Close::new(4400, "Invalid message: messages are text")),
                        // What is rarely done must not make every connection's task larger: ten thousand of them wait.
                        Some(Ok(Message::Text(text))) => match Box::pin(self.hear(&text)).await {
                            Ok(Some(answer)) => send(socket, answer).await?,
                            Ok(None) => {}
                            Err(close) => return Some(close),
                        },
                    }
                }
                Some(given) = self.operations.next(), if !self.operations.is_empty() => match given {
                    Given::Message(message) => match send(socket, message).await {
                        Some(()) => {}
                        None => return Some(Close::new(1013, "Messages are read too slowly")),
                    },
                    Given::Last(id, message) => {
                        self.running.remove(&id);
                        send(socket, message).await?;
                    }
                    Given::Close(close) => return Some(close),
                    Given::TurnedAway => return Some(Box::pin(self.review()).await.unwrap_or_else(expired)),
                },
            }
        }
    }

    /// Takes a message: what is answered at once, or why the connection ends.
    async fn hear(&mut self, text: &str) -> Result<Option<Message>, Close> {
        match message::read(text)? {
            Said::Init(_) if self.admission.is_inside() => Err(Close::new(4429, "Too many initialisation requests")),
            Said::Init(payload) => {
                self.admission = Admission::Inside(self.let_in(&payload).await?);
                Ok(Some(message::ack()))
            }
            Said::Ping(payload) => Ok(Some(message::pong(payload.as_ref()))),
            Said::Pong => Ok(None),
            Said::Complete { id } => {
                if let Some(running) = self.running.remove(&id) {
                    running.abort();
                }
                Ok(None)
            }
            Said::Subscribe { .. } | Said::Unfit { .. } if !self.admission.is_inside() => Err(Close::new(4401, "Unauthorized")),
            Said::Subscribe { id, .. } | Said::Unfit { id, .. } if self.running.contains_key(&id) => {
                Err(Close::new(4409, format!("Subscriber for {id} already exists")))
            }
            Said::Unfit { id, why } => Ok(Some(refuse(&id, &why))),
            Said::Subscribe { id, .. } if self.running.len() >= self.caller.server.app.config.limits.socket_operations => {
                let most = self.caller.server.app.config.limits.socket_operations;
                let why = Error::bad_request(format!("At most {most} operations run over one connection at a time."));
                Ok(Some(refuse(&id, &why)))
            }
            Said::Subscribe { id, request } => {
                let caller = self.caller.clone();
                let name = id.clone();
                let given = stream::once(Box::pin(operate(caller, name, *request))).flatten();
                let (given, abort) = abortable(given);
                self.running.insert(id, abort);
                self.operations.push(given.boxed());
                Ok(None)
            }
        }
    }

    /// Looks who opens the connection; until when they may.
    async fn let_in(&mut self, payload: &Map<String, Json>) -> Result<Option<Micros>, Close> {
        let refuse = |why: String| Close::new(4403, why);
        let mut headers = self.caller.headers.clone();
        // Once for each request, and by this payload alone.
        headers.remove(repeat::HEADER);
        if let Some(credential) = credential(payload) {
            let value = HeaderValue::from_str(&credential).map_err(|_| refuse("Forbidden: the credential is none".to_owned()))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        // The page's origin was looked at: no other page can have made the browser connect.
        headers.insert(cookies::CSRF, HeaderValue::from_static("1"));
        let Holder { server, origin, .. } = &*self.caller;
        identify(server, &headers, origin, None, true).await.map_err(|_| refuse("Forbidden".to_owned()))?;
        self.caller = Arc::new(Holder { server: server.clone(), headers, origin: origin.clone() });
        self.caller.expires().await.map_err(|_| refuse("Forbidden".to_owned()))
    }

    /// Looks again whether the credential is good.
    async fn review(&mut self) -> Option<Close> {
        let until = self.admission.until();
        match self.caller.standing(until).await {
            Standing::Good(until) => {
                self.admission = Admission::Inside(until);
                None
            }
            Standing::Expired => Some(expired()),
            Standing::Revoked => Some(Close::new(4401, "Unauthorized: the credential is not good any more")),
        }
    }
}

fn expired() -> Close {
    Close::new(4403, "Forbidden: the credential has expired, connect again with a fresh one")
}

/// The credential of an init: `{ "authorization": "Bearer …" }`, as a header is written, also within `headers`; or
/// `{ "token": "…" }`.
fn credential(payload: &Map<String, Json>) -> Option<String> {
    let named = |members: &Map<String, Json>| {
        let found = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        found.and_then(|(_, value)| value.as_str()).map(str::to_owned)
    };
    let token =
        || ["token", "accessToken", "apiKey"].iter().find_map(|name| payload.get(*name)?.as_str()).map(|token| format!("Bearer {token}"));
    named(payload).or_else(|| named(payload.get("headers")?.as_object()?)).or_else(token)
}

/// Runs an operation.
async fn operate(caller: Arc<Holder>, id: String, request: async_graphql::Request) -> BoxStream<'static, Given> {
    let asking = Asking {
        server: &caller.server,
        headers: &caller.headers,
        origin: caller.origin.clone(),
        id: None,
        over: Over::Stream,
        reads_only: false,
        resume: None,
    };
    match asking.run(request).await {
        Outcome::Reply(reply) if reply.fate == Fate::Refused(StatusCode::UNAUTHORIZED) => stream::iter([Given::TurnedAway]).boxed(),
        Outcome::Reply(reply) if !reply.is_executed() => {
            let message = message::error(&id, &reply);
            stream::iter([Given::Last(id, message)]).boxed()
        }
        Outcome::Reply(reply) => {
            let (answer, last) = (message::next(&id, &reply), message::complete(&id));
            stream::iter([Given::Message(answer), Given::Last(id, last)]).boxed()
        }
        Outcome::Live(live) => follow(id, live),
    }
}

/// The events of a subscription, then its end. One that cannot go on ends with an error.
fn follow(id: String, mut live: Live) -> BoxStream<'static, Given> {
    let events = std::mem::replace(&mut live.events, stream::empty().boxed());
    let last = Given::Last(id.clone(), message::complete(&id));
    let ended = stream::once(async move { last });
    let given = events.map(move |answer| {
        if answer.http_headers.contains_key(TOO_SLOW) {
            return Given::Close(Close::new(1013, "Messages are read too slowly"));
        }
        let reply = live.reply(answer);
        if reply.is_executed() { Given::Message(message::next(&id, &reply)) } else { Given::Last(id.clone(), message::error(&id, &reply)) }
    });
    // Nothing follows what was the last.
    given
        .chain(ended)
        .scan(false, |over, given| {
            let was_over = std::mem::replace(over, matches!(given, Given::Last(..) | Given::Close(_) | Given::TurnedAway));
            std::future::ready((!was_over).then_some(given))
        })
        .boxed()
}

fn refuse(id: &str, why: &Error) -> Message {
    message::error(id, &Reply::unfit(server_error(why)))
}

/// Sends a message; none if it is not taken.
async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    timeout(PATIENCE, socket.send(message)).await.ok()?.ok()
}

/// Whether reading failed because a message was too large.
fn too_big(error: axum::Error) -> bool {
    matches!(error.into_inner().downcast_ref(), Some(tungstenite::Error::Capacity(_)))
}
