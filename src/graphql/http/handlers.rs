//! The handlers: who is calling, which schema, then the document.

use std::sync::Arc;
use std::time::Instant;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType, VariableDefinition};
use async_graphql::{Name, ParseRequestError, PathSegment, Positioned, Response as Answer, ServerError, Value};
use async_graphql_axum::{GraphQLRequest, rejection::GraphQLRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Server;
use super::body::{respond, respond_in_order};
use super::gate::{self, Credential, Turned};
use super::origin::{self, Peer};
use crate::error::{Code, Error, Result};
use crate::features::access::require;
use crate::graphql::atomic;
use crate::graphql::check::{Introspection, check, check_text, check_value, introspection};
use crate::graphql::cookies;
use crate::graphql::errors::server_error;
use crate::graphql::merge::merge_roots;
use crate::graphql::order::{self, Order};
use crate::graphql::repeat::{self, Refused, Repeat};
use crate::graphql::request::{Browser, Request, Signed, audit_opened};
use crate::graphql::schema::WorkspaceSchema;
use crate::graphql::view::View;
use crate::infra::db::Mode;
use crate::platform::access::Setting;
use crate::platform::audit::{self, Action, Event};
use crate::platform::{Cause, Origin};

pub async fn post(
    State(server): State<Server>,
    peer: Peer,
    headers: HeaderMap,
    request: Result<GraphQLRequest, GraphQLRejection>,
) -> Response {
    // A form of another page cannot say that it is JSON without being let.
    if !is_json(&headers) {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Error::bad_request("Send the request as application/json."));
    }
    match request {
        Ok(request) => answer(&server, &headers, peer, request.into_inner(), false).await,
        Err(rejected) => {
            let status = match &rejected.0 {
                // The layer that bounds the body ends it with an error of reading.
                ParseRequestError::PayloadTooLarge | ParseRequestError::Io(_) => StatusCode::PAYLOAD_TOO_LARGE,
                _ => rejected.into_response().status(),
            };
            let message = match status {
                StatusCode::PAYLOAD_TOO_LARGE => TOO_LARGE,
                StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send the request as application/json.",
                _ => "The request is not a GraphQL request as JSON: `{ \"query\": …, \"variables\": … }`.",
            };
            refusal(status, &Error::bad_request(message))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

/// The layer that bounds bodies refuses a long one by its announced length, in plain text.
pub async fn too_large_as_json(response: Response) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if response.status() != StatusCode::PAYLOAD_TOO_LARGE || is_json {
        return response;
    }
    refusal(StatusCode::PAYLOAD_TOO_LARGE, &Error::bad_request(TOO_LARGE))
}

const TOO_LARGE: &str = "The request is larger than this server accepts.";

/// `GET /graphql?query=…&variables=…`, for queries only.
pub async fn get(State(server): State<Server>, peer: Peer, headers: HeaderMap, Query(parameters): Query<GetParameters>) -> Response {
    let Some(query) = parameters.query else {
        return refusal(StatusCode::BAD_REQUEST, &Error::bad_request("The parameter `query` is missing. Open `/` for the explorer."));
    };
    let mut request = async_graphql::Request::new(query);
    if let Some(variables) = parameters.variables {
        match serde_json::from_str(&variables) {
            Ok(variables) => request = request.variables(async_graphql::Variables::from_json(variables)),
            Err(_) => return refusal(StatusCode::BAD_REQUEST, &Error::bad_request("The parameter `variables` is not JSON.")),
        }
    }
    if let Some(name) = parameters.operation_name {
        request = request.operation_name(name);
    }
    answer(&server, &headers, peer, request, true).await
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetParameters {
    query: Option<String>,
    variables: Option<String>,
    operation_name: Option<String>,
}

/// As much of a caller's own request id as the log keeps.
const LONGEST_ID: usize = 128;

async fn answer(server: &Server, headers: &HeaderMap, peer: Peer, mut request: async_graphql::Request, get: bool) -> Response {
    let begun = Instant::now();
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(|id| id.chars().take(LONGEST_ID).collect::<String>());
    let origin = origin::of(&server.app.config.server, headers, peer);
    let (signed, schema) = match identify(server, headers, &origin, id.clone(), !get).await {
        Ok(found) => found,
        Err(turned) => return turned_away(turned),
    };
    let operation = request.operation_name.clone();
    if let Err(error) = gate::document(server, signed.as_ref().map(|signed| &signed.caller), &mut request).await {
        return with_schema(respond(&Answer::from_errors(vec![server_error(&error)])), &schema);
    }
    let (shown, order, writes) = match prepare(server, &mut request, get, signed.is_none()) {
        Ok(Prepared { introspection, order, writes }) => match shown(server, signed.as_ref(), &schema, introspection) {
            Ok(shown) => (shown, order, writes),
            Err(error) => return with_schema(respond(&Answer::from_errors(vec![server_error(&error)])), &schema),
        },
        Err(Unfit::Method) => {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &Error::bad_request("Mutations are sent with POST."));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        Err(Unfit::Document(error)) => {
            let mut answer = Answer::from_errors(vec![*error]);
            name_codes(&mut answer);
            return with_schema(respond(&answer), &schema);
        }
    };
    let mut repeat = None;
    if writes != Writes::None {
        if let Err(error) = check_atomic(&mut request, &schema, writes) {
            return with_schema(respond(&Answer::from_errors(vec![server_error(&error)])), &schema);
        }
        if let Some(signed) = &signed {
            match Repeat::claim(&server.app, signed, headers, &request).await {
                Ok(claimed) => repeat = claimed,
                Err(Refused(status, error)) => {
                    let mut response = refusal(status, &error);
                    if status == StatusCode::CONFLICT {
                        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                    }
                    return with_schema(response, &schema);
                }
            }
        }
    }
    let refresh = cookies::refresh(headers).filter(|_| !get && gate::is_unforged(headers)).map(str::to_owned);
    let by_cookie = matches!(gate::credential(headers), Ok(Credential::Cookie(_)));
    let browser = Browser { refresh_cookie: refresh, by_cookie, unforged: gate::is_unforged(headers) };
    let state = Request::new(server.app.clone(), origin, signed).with_browser(browser).with_writes(repeat, writes == Writes::Atomic);
    let state = Arc::new(state);
    let mut response = shown.api.execute(request.data(state.clone())).await;
    if let Err(error) = state.end_atomic(&mut response).await {
        response = Answer::from_errors(vec![server_error(&error)]);
    }
    let replayed = state.end_repeat().await;
    let statements = match state.finish().await {
        Ok(statements) => statements,
        Err(error) => {
            response.errors.push(server_error(&error));
            0
        }
    };
    null_without_a_root(&mut response, &order);
    name_codes(&mut response);
    audit_refusals(&state, &response).await;
    if let Some(Err(error)) = match state.signed_or_none() {
        Some(signed) => Some(audit_opened(&state.app, &signed.ctx).await),
        None => None,
    } {
        // What was read cannot be accounted for, so it is not told.
        return with_schema(respond(&Answer::from_errors(vec![server_error(&error)])), &schema);
    }
    let hidden = state.signed_or_none().map(|signed| signed.ctx.hidden.list()).unwrap_or_default();
    if !hidden.is_empty() {
        response.extensions.insert("hidden".into(), Value::from(hidden));
    }
    tracing::info!(
        request = id.as_deref().unwrap_or_default(),
        operation = operation.as_deref().unwrap_or_default(),
        statements,
        errors = response.errors.len(),
        micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        "graphql"
    );
    let mut response = with_schema(respond_in_order(&response, &order), &schema);
    if replayed {
        response.headers_mut().insert(repeat::REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A root field that cannot be null and failed makes the whole of `data` null (GraphQL, section "Handling Execution Errors");
/// async-graphql 7.2 leaves the field out instead.
fn null_without_a_root(response: &mut Answer, order: &Order) {
    let Value::Object(members) = &response.data else { return };
    let failed = |name: &Name| {
        response.errors.iter().any(|error| matches!(error.path.first(), Some(PathSegment::Field(field)) if *field == name.as_str()))
    };
    if order.members().any(|(name, _)| !members.contains_key(name) && failed(name)) {
        response.data = Value::Null;
    }
}

/// An operation that says `@atomic` has only root fields that go into one transaction.
fn check_atomic(request: &mut async_graphql::Request, schema: &WorkspaceSchema, writes: Writes) -> Result<()> {
    let operation = request.operation_name.clone();
    match request.parsed_query() {
        Ok(document) if writes == Writes::Atomic => atomic::check(document, operation.as_deref(), &schema.roots),
        _ => Ok(()),
    }
}

/// A refusal of the policy stands in the audit, once for a request.
async fn audit_refusals(state: &Request, response: &Answer) {
    let is_refusal = |error: &&ServerError| {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        matches!(code, Some(Value::String(code)) if code == "FORBIDDEN")
    };
    let (Some(signed), Some(error)) = (state.signed_or_none(), response.errors.iter().find(is_refusal)) else { return };
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

/// Why a document is not executed.
enum Unfit {
    /// A mutation over GET.
    Method,
    Document(Box<ServerError>),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self::Document(Box::new(server_error(&error)))
    }
}

/// What a document turned out to be.
struct Prepared {
    introspection: Introspection,
    order: Order,
    writes: Writes,
}

/// How an operation writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    None,
    OneByOne,
    Atomic,
}

/// Looks at a document before it is executed, and puts right what async-graphql gets wrong.
fn prepare(server: &Server, request: &mut async_graphql::Request, get: bool, anonymous: bool) -> Result<Prepared, Unfit> {
    check_text(&request.query)?;
    request.variables.values().try_for_each(check_value)?;
    let operation = request.operation_name.clone();
    let mut document = match request.parsed_query() {
        Ok(document) => document.clone(),
        Err(error) => return Err(Unfit::Document(Box::new(error))),
    };
    if get && is_write(&document, operation.as_deref()) {
        return Err(Unfit::Method);
    }
    check(&document, &server.app.config.limits, anonymous)?;
    for (name, value) in default_values(&document, operation.as_deref()) {
        request.variables.entry(name).or_insert(value);
    }
    merge_roots(&mut document)?;
    let introspection = introspection(&document);
    let order = Order::of(&document, operation.as_deref());
    let writes = match order::chosen(&document, operation.as_deref()).map(|found| found.node.ty) {
        Some(OperationType::Mutation) if atomic::is_asked(&document, operation.as_deref()) => Writes::Atomic,
        Some(OperationType::Mutation) => Writes::OneByOne,
        _ => Writes::None,
    };
    request.set_parsed_query(document);
    Ok(Prepared { introspection, order, writes })
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

/// Errors of validation come without a code; they are the request's own fault.
fn name_codes(response: &mut Answer) {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", "BAD_REQUEST");
        }
    }
}

/// The defaults of an operation's variables. async-graphql 7.2 forgets them in `@skip` and
/// `@include`, so they are given like values of the caller.
fn default_values(document: &ExecutableDocument, operation: Option<&str>) -> Vec<(Name, Value)> {
    let definitions = order::chosen(document, operation).into_iter().flat_map(|operation| &operation.node.variable_definitions);
    let default = |definition: &Positioned<VariableDefinition>| {
        Some((definition.node.name.node.clone(), definition.node.default_value.clone()?.node))
    };
    definitions.filter_map(default).collect()
}

fn is_write(document: &ExecutableDocument, operation: Option<&str>) -> bool {
    let is_write = |kind: OperationType| kind != OperationType::Query;
    match &document.operations {
        DocumentOperations::Single(only) => is_write(only.node.ty),
        DocumentOperations::Multiple(all) => {
            all.iter().any(|(name, found)| operation.is_none_or(|wanted| wanted == name.as_str()) && is_write(found.node.ty))
        }
    }
}

/// Who is calling, and the schema of their workspace; strangers get the standard one.
pub async fn identify(
    server: &Server,
    headers: &HeaderMap,
    origin: &Origin,
    request_id: Option<String>,
    writes: bool,
) -> Result<(Option<Signed>, Arc<WorkspaceSchema>), Turned> {
    let nobody = || Ok((None, server.schemas.standard().clone()));
    let caller = match gate::credential(headers)? {
        Credential::None => return nobody(),
        Credential::Bearer(token) => server.app.identity.authenticate(token, origin).await?,
        Credential::Cookie(_) if writes && !gate::is_unforged(headers) => {
            return Err(Error::forbidden("A POST that is signed in by cookies needs the header `x-kith-csrf: 1`.").into());
        }
        // A browser sends its cookie along whether it is good or not; to refresh it, it must be let in.
        Credential::Cookie(token) => match server.app.identity.authenticate(token, origin).await {
            Ok(caller) => caller,
            Err(Error::Refused(_)) => return nobody(),
            Err(fault) => return Err(fault.into()),
        },
    };
    gate::admit(server, headers, origin, &caller).await?;
    let (mut ctx, known) = server.app.ctx(&caller, Cause::Request, request_id).await?;
    ctx.origin = origin.clone();
    let schema = server.schemas.of(caller.workspace, &known.catalog);
    Ok((Some(Signed { caller, ctx, known }), schema))
}

pub fn turned_away(turned: Turned) -> Response {
    match turned {
        Turned::TooOften(seconds) => {
            let error = Error::refuse(Code::RateLimited, format!("Too many requests. Try again in {seconds} seconds."));
            let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, &error);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Turned::Away(error) => {
            let status = match &error {
                Error::Refused(refusal) if refusal.code == Code::Unauthenticated => StatusCode::UNAUTHORIZED,
                Error::Refused(_) => StatusCode::FORBIDDEN,
                Error::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            refusal(status, &error)
        }
    }
}

/// A refusal before there is anything to execute.
pub fn refusal(status: StatusCode, error: &Error) -> Response {
    let answer = Answer::from_errors(vec![server_error(error) as ServerError]);
    let mut response = respond(&answer);
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn with_schema(mut response: Response, schema: &WorkspaceSchema) -> Response {
    if let Ok(hash) = HeaderValue::from_str(&schema.sdl().1) {
        response.headers_mut().insert("kith-schema", hash);
    }
    response
}

#[derive(serde::Deserialize)]
pub struct SdlParameters {
    /// `workspace` for the whole of it.
    view: Option<String>,
}

/// What the caller is shown of the schema, or with the setting SCHEMA the whole of it; strangers see that
/// of a brand-new workspace.
pub async fn sdl(State(server): State<Server>, peer: Peer, headers: HeaderMap, Query(wanted): Query<SdlParameters>) -> Response {
    let from = origin::of(&server.app.config.server, &headers, peer);
    let (signed, whole) = match identify(&server, &headers, &from, None, false).await {
        Ok(found) => found,
        Err(turned) => return turned_away(turned),
    };
    if let Some(Err(error)) = signed.as_ref().map(|signed| gate::not_documents_only(&signed.caller)) {
        return refusal(StatusCode::FORBIDDEN, &error);
    }
    let schema = match (&signed, wanted.view.as_deref()) {
        (Some(signed), Some("workspace")) => match require(&signed.ctx, Setting::Schema) {
            Ok(()) => whole,
            Err(error) => return refusal(StatusCode::FORBIDDEN, &error),
        },
        (Some(signed), _) => server.schemas.view(signed.ctx.workspace, &signed.known.catalog, &View::of(&signed.ctx.access)),
        (None, _) => whole,
    };
    let (sdl, hash) = schema.sdl();
    let tag = format!("\"{hash}\"");
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "application/graphql; charset=utf-8".to_owned()),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    (headers, sdl.clone()).into_response()
}
