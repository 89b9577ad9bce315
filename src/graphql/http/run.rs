//! One request, over whichever transport it came: from its credential and its document to what it is answered.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response as Answer, ServerError, Value};
use axum::http::{HeaderMap, StatusCode};
use futures_util::FutureExt as _;
use futures_util::stream::BoxStream;
use tracing::Instrument as _;

use super::Server;
use super::charge::charge;
use super::gate::{self, Credential};
use super::identify::{identify, turned_away};
use super::reply::{Reply, code};
use crate::error::{Error, Result};
use crate::graphql::check::{check_stranger, check_value};
use crate::graphql::document::{Document, Introspection};
use crate::graphql::errors::server_error;
use crate::graphql::repeat::{Refused, Repeat};
use crate::graphql::request::{self, Browser, Signed, audit_opened};
use crate::graphql::schema::WorkspaceSchema;
use crate::graphql::view::View;
use crate::graphql::{atomic, consistency, cookies, live};
use crate::infra::db::Mode;
use crate::infra::traces;
use crate::platform::Origin;
use crate::platform::audit::{self, Action, Event};
use crate::platform::replica::{Following, ReadReplica};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// For queries only.
    Get,
    Post,
    /// A connection that can carry a stream: a WebSocket, or server-sent events.
    Stream,
}

/// A request and where it came from.
pub struct Asking<'a> {
    pub server: &'a Server,
    pub headers: &'a HeaderMap,
    pub origin: Origin,
    pub id: Option<String>,
    pub over: Over,
    /// Whether it is a GET, which changes nothing.
    pub reads_only: bool,
    /// Where a stream goes on that was cut.
    pub resume: Option<String>,
}

/// What comes of a request.
pub enum Outcome {
    Reply(Box<Reply>),
    Live(Live),
}

/// A subscription under way.
pub struct Live {
    pub events: BoxStream<'static, Answer>,
    pub document: Arc<Document>,
    /// While it is held, whoever follows reads from the database.
    _following: Option<Following>,
}

impl Live {
    /// An event in the form in which it is sent.
    pub fn reply(&self, answer: Answer) -> Reply {
        Reply::executed(answer, &self.document)
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

impl Asking<'_> {
    pub async fn run(self, request: Request) -> Outcome {
        let (begun, metrics, span) = (Instant::now(), self.server.app.metrics.clone(), traces::of_request(self.headers));
        let outcome = Box::pin(self.run_inside(request)).instrument(span.clone()).await;
        let (operation, code) = match &outcome {
            Outcome::Reply(reply) => (reply.operation(), reply.code()),
            Outcome::Live(_) => ("subscription", None),
        };
        metrics.answered(operation, code, begun.elapsed());
        span.record("graphql.operation.type", operation);
        if let Some(code) = code {
            span.record("error.type", code).record("otel.status_code", "ERROR");
        }
        outcome
    }

    async fn run_inside(self, request: Request) -> Outcome {
        let (signed, schema) = match identify(self.server, self.headers, &self.origin, self.id.clone(), !self.reads_only).await {
            Ok(found) => found,
            Err(turned) => return turned_away(turned).into(),
        };
        self.run_known(signed, &schema, request).await
    }

    /// The same for whoever is known already.
    async fn run_known(self, signed: Option<Signed>, schema: &Arc<WorkspaceSchema>, request: Request) -> Outcome {
        match unwinding(self.run_as(signed, schema, request)).await {
            Ok(Outcome::Reply(reply)) => Outcome::Reply(Box::new(reply.of_schema(schema))),
            Ok(live) => live,
            Err(reply) => reply.of_schema(schema).into(),
        }
    }

    /// Runs a document of the server's own making for somebody: what it is answered.
    pub async fn run_for(self, signed: Signed, request: Request) -> Reply {
        let schema = self.server.schemas.of(signed.ctx.workspace, &signed.known.catalog);
        let span = traces::of_request(self.headers);
        match Box::pin(self.run_known(Some(signed), &schema, request)).instrument(span).await {
            Outcome::Reply(reply) => *reply,
            // No such document is a subscription.
            Outcome::Live(_) => Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, &Error::fault("a stream where none was asked for")),
        }
    }

    async fn run_as(self, signed: Option<Signed>, schema: &Arc<WorkspaceSchema>, mut request: Request) -> Result<Outcome, Box<Reply>> {
        let begun = Instant::now();
        let trusted = gate::document(self.server, signed.as_ref().map(|signed| &signed.caller), &mut request).await.map_err(unfit)?;
        let document = self.document(&request, trusted, signed.is_none())?;
        let shown = shown(self.server, signed.as_ref(), schema, document.introspection).map_err(unfit)?;
        document.check(&shown, &request).map_err(|errors| Box::new(Reply::invalid(errors)))?;
        if document.atomic {
            atomic::check(document.merged(), request.operation_name.as_deref(), &schema.roots).map_err(unfit)?;
        }
        let may_use_replica =
            consistency::may_use_replica((&document, self.server.app.replica.is_some()), self.headers, &request).map_err(unfit)?;
        // It is one of the document's own.
        traces::name_operation(request.operation_name.as_deref());
        let charged = match &signed {
            Some(signed) => charge(self.server, signed, (&document, &shown), &request).await?,
            None => None,
        };
        let repeat = match (&signed, document.kind) {
            (Some(signed), OperationType::Mutation) => self.claim(signed, &request).await?,
            _ => None,
        };
        let operation = request.operation_name.clone();
        let state = Arc::new(self.state(signed, repeat, document.atomic).with_replica(may_use_replica));
        if document.kind == OperationType::Subscription {
            return subscribe(&shown, document.put_into(request), state, document).await;
        }
        let (answer, replayed, statements) = execute(&shown, (request, &document), &state).await;
        let mut reply = Reply::executed(answer, &document);
        reply.replayed = replayed;
        account(&state, &mut reply).await.map_err(unfit)?;
        if let Some((charge, signed)) = charged.zip(state.signed_or_none()) {
            charge.settle(self.server, signed, &mut reply).await;
        }
        tracing::info!(
            request = self.id.as_deref().unwrap_or_default(),
            operation = operation.as_deref().unwrap_or_default(),
            statements,
            errors = reply.answer.errors.len(),
            micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            "graphql"
        );
        Ok(reply.into())
    }

    /// Reads the document and looks whether it may be executed by whoever sends it, the way that it came.
    fn document(&self, request: &Request, trusted: bool, stranger: bool) -> Result<Arc<Document>, Box<Reply>> {
        request.variables.values().try_for_each(check_value).map_err(unfit)?;
        let limits = &self.server.app.config.limits;
        if request.query.len() > limits.document_bytes {
            let message = format!("The document is larger than {} bytes.", limits.document_bytes);
            return Err(Box::new(Reply::refused(StatusCode::PAYLOAD_TOO_LARGE, &Error::bad_request(message))));
        }
        let found = self.server.documents.read(&request.query, request.operation_name.as_deref(), limits, trusted);
        let document = found.map_err(|error| Box::new(Reply::unfit(*error)))?;
        match document.kind {
            OperationType::Subscription if self.over != Over::Stream => {
                let message = "Subscriptions are sent over WebSocket (graphql-transport-ws), or with `Accept: text/event-stream`.";
                return Err(unfit(Error::bad_request(message)));
            }
            OperationType::Mutation if self.reads_only => {
                let error = Error::bad_request("Mutations are sent with POST.");
                return Err(Box::new(Reply::refused(StatusCode::METHOD_NOT_ALLOWED, &error)));
            }
            _ => {}
        }
        if stranger {
            check_stranger(&document.parsed).map_err(unfit)?;
        }
        Ok(document)
    }

    async fn claim(&self, signed: &Signed, request: &Request) -> Result<Option<Repeat>, Box<Reply>> {
        Repeat::claim(&self.server.app, signed, self.headers, request).await.map_err(|Refused(status, error)| {
            let reply = Reply::refused(status, &error);
            Box::new(if status == StatusCode::CONFLICT { reply.retry_after(1) } else { reply })
        })
    }

    fn state(&self, signed: Option<Signed>, repeat: Option<Repeat>, atomic: bool) -> request::Request {
        let unforged = gate::is_unforged(self.headers);
        let refresh_cookie = cookies::refresh(self.headers).filter(|_| self.over == Over::Post && unforged).map(str::to_owned);
        let by_cookie = matches!(gate::credential(self.headers), Ok(Credential::Cookie(_)));
        request::Request::new(self.server.app.clone(), self.origin.clone(), signed)
            .with_resume(self.resume.clone())
            .with_browser(Browser { refresh_cookie, by_cookie, unforged })
            .with_writes(repeat, atomic)
    }
}

/// What panics fails, and nothing else does.
async fn unwinding<T>(running: impl Future<Output = Result<T, Box<Reply>>>) -> Result<T, Box<Reply>> {
    match AssertUnwindSafe(running).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            let fault = Error::fault(format!("a request panicked: {}", what.unwrap_or("for no reason")));
            tracing::error!("{fault:?}");
            Err(Box::new(Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, &fault)))
        }
    }
}

fn unfit(error: Error) -> Box<Reply> {
    Box::new(Reply::unfit(server_error(&error)))
}

/// Runs a query or a mutation: the answer, whether some of it is an earlier request's, and how many statements it took.
async fn execute(
    shown: &WorkspaceSchema,
    (request, document): (Request, &Document),
    state: &Arc<request::Request>,
) -> (Answer, bool, usize) {
    let noted = Noted::of(document.kind, state);
    // Boxed, for what async-graphql makes of a document is large, and deep below it others wait for room on the stack.
    let mut answer = match state.may_use_replica() {
        true => Box::pin(query_of_replica(shown, (request, document), state)).await,
        false => Box::pin(shown.api.execute(document.put_into(request).data(state.clone()))).await,
    };
    if let Err(error) = state.end_atomic(&mut answer).await {
        answer = Answer::from_errors(vec![server_error(&error)]);
    }
    let replayed = state.end_repeat().await;
    let statements = state.finish().await.unwrap_or_else(|error| {
        answer.errors.push(server_error(&error));
        0
    });
    if let Some(noted) = noted {
        noted.at_once().await;
    }
    (answer, replayed, statements)
}

/// Runs a query of which the replica may be asked. What the replica cannot end is read from the database, whole: a replica
/// may break off what stands in the way of what it replays, or go without a word.
async fn query_of_replica(shown: &WorkspaceSchema, (request, document): (Request, &Document), state: &Arc<request::Request>) -> Answer {
    let (operation, variables) = (request.operation_name.clone(), request.variables.clone());
    let patience = state.app.config.query_timeout() + Duration::from_secs(1);
    let mut asked = Box::pin(shown.api.execute(document.put_into(request).data(state.clone())));
    let answer = match tokio::time::timeout(patience, &mut asked).await {
        // It is the database that takes so long.
        Err(_) if !state.used_replica() => Ok(asked.await),
        answer => {
            drop(asked);
            answer
        }
    };
    let broken = |answer: &Answer| answer.errors.iter().any(|error| matches!(code(error), Some("INTERNAL" | "UNAVAILABLE")));
    match answer {
        Ok(answer) if !broken(&answer) || !state.leave_replica().await => answer,
        Err(_) if !state.leave_replica().await => Answer::from_errors(vec![server_error(&Error::timeout())]),
        _ => {
            let mut request = Request::new("").variables(variables);
            request.operation_name = operation;
            Box::pin(shown.api.execute(document.put_into(request).data(state.clone()))).await
        }
    }
}

/// Tells the nodes what a mutation wrote, however it ends: also when nobody waits for it any more.
struct Noted(Option<(ReadReplica, Arc<request::Request>)>);

impl Noted {
    fn of(kind: OperationType, state: &Arc<request::Request>) -> Option<Self> {
        let replica = state.app.replica.as_ref().filter(|_| kind == OperationType::Mutation)?;
        Some(Self(Some((replica.clone(), state.clone()))))
    }

    async fn at_once(mut self) {
        let Some((replica, state)) = self.0.take() else { return };
        // It comes to its end although whoever waits for it may hang up.
        let noting = tokio::spawn(async move {
            for writer in state.writers() {
                replica.note_write(writer).await;
            }
        });
        if noting.await.is_err() {
            tracing::error!("it could not be noted who wrote");
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let (Some((replica, state)), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(Self(Some((replica, state))).at_once());
        }
    }
}

/// Begins a subscription.
async fn subscribe(
    shown: &WorkspaceSchema,
    request: Request,
    mut state: Arc<request::Request>,
    document: Arc<Document>,
) -> Result<Outcome, Box<Reply>> {
    let following = match (&state.app.replica, state.signed_or_none()) {
        (Some(replica), Some(signed)) => Some(replica.follow(signed.caller.credential()).await),
        _ => None,
    };
    match live::begin(shown, request, &mut state).await {
        Ok(begun) => Ok(Outcome::Live(Live { events: live::events(begun), document, _following: following })),
        Err(live::Unbegun::Refused(error)) => Err(unfit(error)),
        Err(live::Unbegun::Answered(answer)) => Ok(Reply::executed(*answer, &document).into()),
    }
}

/// What the audit must know of an answer, and what the answer must say of itself. What was read and cannot be accounted
/// for is not told.
async fn account(state: &request::Request, reply: &mut Reply) -> Result<()> {
    let Some(signed) = state.signed_or_none() else { return Ok(()) };
    audit_refusal(state, signed, &reply.answer).await;
    audit_opened(&state.app, &signed.ctx).await?;
    let hidden = signed.ctx.hidden.list();
    if !hidden.is_empty() {
        reply.answer.extensions.insert("hidden".into(), Value::from(hidden));
    }
    Ok(())
}

/// A refusal of the policy stands in the audit, once for a request.
async fn audit_refusal(state: &request::Request, signed: &Signed, answer: &Answer) {
    let is_refusal = |error: &&ServerError| code(error) == Some("FORBIDDEN");
    let Some(error) = answer.errors.iter().find(is_refusal) else { return };
    let event = Event::of(&signed.ctx, Action::Refused, None, serde_json::json!({ "message": error.message }));
    let written = async {
        let tx = state.app.db.begin(&signed.ctx.system_scope(), Mode::Write).await?;
        audit::append(&tx, &event).await?;
        tx.commit().await?;
        Ok::<(), Error>(())
    };
    if let Err(error) = written.await {
        tracing::error!("a refusal could not be written to the audit: {error:?}");
    }
}

/// The schema that executes a document: the workspace's, or, if the document asks about the schema,
/// what the caller is shown of it.
fn shown(server: &Server, signed: Option<&Signed>, schema: &Arc<WorkspaceSchema>, asks: Introspection) -> Result<Arc<WorkspaceSchema>> {
    let Some(signed) = signed.filter(|_| asks != Introspection::None) else { return Ok(schema.clone()) };
    let view = View::of(&signed.ctx.access);
    let shown = server.schemas.view(signed.ctx.workspace, &signed.known.catalog, &view);
    if asks == Introspection::Mixed && !Arc::ptr_eq(&shown, schema) {
        return Err(Error::bad_request("Ask about the schema in a request of its own."));
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_is_a_fault() {
        let run = unwinding(async { if std::hint::black_box(true) { panic!("secret of the house") } else { Ok(()) } });
        let reply = run.await.unwrap_err();
        assert_eq!(reply.code(), Some("INTERNAL"));
        assert!(!reply.answer.errors[0].message.contains("secret"));
    }
}
