//! Live lists over GraphQL: subscriptions, `changes` and `changeCursor`.
//!
//! An event is finished JSON when it leaves its room ([`crate::features::live`]); async-graphql has validated the
//! selection and carries it on as it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;

use async_graphql::registry::Registry;
use async_graphql::{Context, Name, Response, SubscriptionType, Value};
use async_graphql_value::indexmap::IndexMap;
use axum::http::{HeaderName, HeaderValue};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Map, Value as Json};

use super::errors::server_error;
use super::records::raw;
use super::request::{self, Request, Signed};
use super::root;
use super::schema::WorkspaceSchema;
use super::selection;
use super::types::{self, Followed, Roots, event_type};
use crate::app::App;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::features::live::follow::after;
use crate::features::live::{Follow, Next, Renew, Viewer, Wanted};
use crate::infra::db::{Mode, Tx};
use crate::platform::{Cause, Ctx};
use crate::records::feed::{self, Cursor, Kind, Place, Scope};
use crate::records::selection::{Merged, Selection, collect};

/// In the headers of an event: its cursor, for transports that carry one beside it.
pub const CURSOR: HeaderName = HeaderName::from_static("kith-cursor");
/// In the headers of the last event of a stream that ends because its reader is too slow.
pub const TOO_SLOW: HeaderName = HeaderName::from_static("kith-too-slow");

/// Everything that can be followed. Over WebSocket (graphql-transport-ws) or server-sent events.
pub struct Subscription;

impl SubscriptionType for Subscription {
    fn type_name() -> Cow<'static, str> {
        "Subscription".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_subscription_type::<Self, _>(|_| {
            let help = "Everything that can be followed, over WebSocket (graphql-transport-ws) or server-sent events.";
            types::root("Subscription", help, root::subscriptions(), true)
        })
    }

    fn create_field_stream<'a>(&'a self, ctx: &'a Context<'_>) -> Option<Pin<Box<dyn Stream<Item = Response> + Send + 'a>>> {
        let roots = ctx.data_unchecked::<Arc<Roots>>();
        let followed = roots.subscriptions.get(ctx.item.node.name.node.as_str())?;
        let begun = follow(ctx, followed).map(|follow| (ctx.item.node.response_key().node.clone(), follow));
        request::of(ctx).begin_to_follow(begun);
        // It goes on without async-graphql, which would keep the document and all of the request as long as somebody listens.
        Some(Box::pin(stream::empty()))
    }
}

/// Why a subscription did not begin.
pub enum Unbegun {
    Refused(Error),
    /// async-graphql has an answer of its own: a directive left the field out, an argument was not what it should be.
    Answered(Box<Response>),
}

/// Begins a subscription: under which name its events come, and what they are. async-graphql coerces the arguments and ends;
/// nothing of the document or the request is kept while events are waited for.
pub async fn begin(schema: &WorkspaceSchema, request: async_graphql::Request, state: &mut Arc<Request>) -> Result<(Name, Follow), Unbegun> {
    let answers: Vec<Response> = schema.api.execute_stream(request.data(state.clone())).collect().await;
    match Arc::get_mut(state).and_then(Request::followed) {
        Some(begun) => begun.map_err(Unbegun::Refused),
        None => Err(Unbegun::Answered(Box::new(answers.into_iter().next().unwrap_or_default()))),
    }
}

/// The events of a subscription that was begun.
pub fn events((key, follow): (Name, Follow)) -> BoxStream<'static, Response> {
    Box::pin(stream::unfold(Some(follow), move |follow| {
        let key = key.clone();
        async move {
            let mut follow = follow?;
            let next = follow.next().await?;
            let ends = !matches!(next, Next::Event(_));
            Some((response(&key, next), (!ends).then_some(follow)))
        }
    }))
}

fn response(key: &Name, next: Next) -> Response {
    match next {
        Next::Event(line) => {
            let mut members = IndexMap::with_capacity(1);
            members.insert(key.clone(), raw(line.json.to_string()));
            let mut response = Response::new(Value::Object(members));
            if let Ok(cursor) = HeaderValue::from_str(&line.cursor) {
                response.http_headers.insert(CURSOR, cursor);
            }
            response
        }
        // No place in the answer: it is the request that cannot go on, which the transports tell apart.
        Next::Failed(error) => Response::from_errors(vec![server_error(&error)]),
        Next::TooSlow => {
            let mut response = Response::from_errors(vec![server_error(&Error::bad_request(
                "Events came faster than they were read. Subscribe again with `after`.",
            ))]);
            response.http_headers.insert(TOO_SLOW, HeaderValue::from_static("true"));
            response
        }
    }
}

/// Begins to follow what a root field of the subscription asks for.
fn follow(ctx: &Context<'_>, followed: &Followed) -> Result<Follow> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    let (arguments, selection) = (selection::arguments(ctx), selection::below(ctx)?);
    let given = |name: &str| arguments.get(name).filter(|value| !value.is_null());
    let (scopes, type_name, record) = match followed {
        Followed::Of(of) => {
            let filter = given("filter").cloned().unwrap_or(Json::Null);
            let scope = Scope { object: of.object.clone(), variant: of.variant, filter };
            sees(signed, &scope)?;
            (vec![scope], event_type(&of.type_name), of.one.clone())
        }
        Followed::Any => (scopes(signed, given("scopes"))?, "RecordChange".to_owned(), "record".to_owned()),
    };
    let left_off = request.resume.as_deref().or_else(|| given("after").and_then(Json::as_str)).map(after).transpose()?;
    let key = format!("{type_name} {}", serde_json::to_string(&as_json(&selection))?);
    let wanted = Arc::new(Wanted { scopes, selection, type_name, record, key });
    let viewer = Viewer { ctx: apart(&signed.ctx), catalog: signed.known.catalog.clone() };
    Ok(Follow::new(request.app.db.clone(), request.app.live.clone(), viewer, (wanted, renew(&request.app, signed)), left_off))
}

/// What is noted about one reader's answers is not noted for others.
fn apart(ctx: &Ctx) -> Ctx {
    Ctx { hidden: Default::default(), opened: Default::default(), problems: Default::default(), tally: Default::default(), ..ctx.clone() }
}

/// Looks again who somebody is. The server itself is always itself.
fn renew(app: &Arc<App>, signed: &Signed) -> Renew {
    let (app, caller, origin) = (Arc::downgrade(app), signed.caller.clone(), signed.ctx.origin.clone());
    Arc::new(move || {
        let (app, caller, origin) = (app.clone(), caller.clone(), origin.clone());
        Box::pin(async move {
            let app = app.upgrade().ok_or_else(|| Error::fault("the server is going"))?;
            let (ctx, known) = app.ctx(&caller, Cause::Request, None).await?;
            Ok(Viewer { ctx: Ctx { origin, ..ctx }, catalog: known.catalog.clone() })
        })
    })
}

/// The lists that are named; all that the caller may see, without names.
fn scopes(signed: &Signed, given: Option<&Json>) -> Result<Vec<Scope>> {
    let catalog = &signed.known.catalog;
    let Some(given) = given else {
        let seen = catalog.objects().filter(|object| !object.is_archived() && !signed.ctx.access.object(&object.name).read.is_none());
        return Ok(seen.map(|object| Scope { object: object.clone(), variant: None, filter: Json::Null }).collect());
    };
    let one = std::slice::from_ref(given);
    let given = given.as_array().map_or(one, Vec::as_slice);
    if given.is_empty() || given.len() > MOST_SCOPES {
        return Err(Error::bad_request(format!("Name 1 to {MOST_SCOPES} lists.")).within("scopes"));
    }
    let scopes: Vec<Scope> =
        given.iter().map(|scope| self::scope(catalog, scope)).collect::<Result<_>>().map_err(|error| error.within("scopes"))?;
    scopes.iter().try_for_each(|scope| sees(signed, scope))?;
    Ok(scopes)
}

/// Refuses a list of which the caller sees nothing, whatever is in it.
fn sees(signed: &Signed, scope: &Scope) -> Result<()> {
    if signed.ctx.access.object(&scope.object.name).read.is_none() {
        return Err(Error::forbidden(format!("Your roles do not let you see {}.", scope.object.plural_label.to_lowercase())));
    }
    Ok(())
}

const MOST_SCOPES: usize = 20;

fn scope(catalog: &Catalog, given: &Json) -> Result<Scope> {
    let (name, filter) = given.as_object().and_then(|members| members.iter().next()).ok_or_else(|| Error::bad_request("Name one list."))?;
    for object in catalog.objects() {
        if object.plural == *name {
            return Ok(Scope { object: object.clone(), variant: None, filter: filter.clone() });
        }
        let variants = object.variants.iter().flat_map(|variants| variants.types);
        if let Some(variant) = variants.into_iter().find(|variant| variant.plural == name) {
            return Ok(Scope { object: object.clone(), variant: Some(variant), filter: filter.clone() });
        }
    }
    Err(Error::bad_request(format!("There is no list `{name}`.")))
}

fn as_json(selection: &Selection) -> Json {
    let item =
        |item: &crate::records::selection::Item| serde_json::json!([item.key, item.name, item.arguments, item.on, as_json(&item.children)]);
    Json::Array(selection.items.iter().map(item).collect())
}

/// `changeCursor`.
pub async fn cursor(ctx: &Context<'_>) -> Result<Value> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    let tx = request.snapshot().await?;
    let seq = head(&tx, &signed.ctx).await?;
    let sight = feed::sight(&signed.ctx, &tx).await?;
    Ok(Value::String(Cursor::at(seq, signed.ctx.now()).write(sight.as_deref())))
}

async fn head(tx: &Tx, ctx: &Ctx) -> Result<i64> {
    tx.see_all(true).await?;
    let seq = feed::head(tx, ctx.workspace).await?;
    tx.see_all(false).await?;
    Ok(seq)
}

/// The longest page of changes.
const MOST: usize = 1_000;
/// Entries of the log that are looked at together at least, and how often for one page.
const LEAST_READ: usize = 500;
const MOST_READ: usize = 10;

/// `changes`.
pub async fn changes(ctx: &Context<'_>, arguments: &Map<String, Json>, selection: &Selection) -> Result<Value> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    let scopes = scopes(signed, arguments.get("scopes"))?;
    let first = arguments.get("first").map_or(Some(200), Json::as_u64).and_then(|first| usize::try_from(first).ok());
    let first = first.filter(|first| (1..=MOST).contains(first));
    let first = first.ok_or_else(|| Error::bad_request(format!("`first` is a number from 1 to {MOST}.")).within("first"))?;
    let left_off = arguments.get("after").and_then(Json::as_str).map(after).transpose()?;
    // A snapshot of its own: the tables are read in the order of the log.
    let reading = Reading { request, signed, scopes, first };
    let page = reading.page(left_off).await?;
    reading.write(page, selection).await.map(raw)
}

struct Reading<'a> {
    request: &'a Request,
    signed: &'a Signed,
    scopes: Vec<Scope>,
    first: usize,
}

/// A page of changes, and whether something is missing before it.
struct Changes {
    gap: Option<i64>,
    page: feed::Page,
    /// What the lists depend on besides the log.
    sight: Option<String>,
    tx: Tx,
}

impl Reading<'_> {
    async fn page(&self, left_off: Option<(Cursor, Option<String>)>) -> Result<Changes> {
        let (ctx, catalog) = (&self.signed.ctx, &self.signed.known.catalog);
        let tx = self.request.app.db.begin(&ctx.scope(), Mode::Read).await?;
        let last = head(&tx, ctx).await?;
        let mine = feed::sight(ctx, &tx).await?;
        let (gap, cursor) = match left_off {
            None => (None, None),
            Some((_, access)) if access != mine => (Some(last), None),
            Some((cursor, _)) => {
                tx.see_all(true).await?;
                let reach = self.request.app.live.reach(ctx.now());
                let mut unbroken = feed::is_unbroken(&tx, ctx.workspace, cursor.seq, reach).await?;
                tx.see_all(false).await?;
                unbroken = unbroken && feed::keeps_sight(ctx, &tx, &self.scopes, cursor.seq).await?;
                if unbroken { (None, Some(cursor)) } else { (Some(last), None) }
            }
        };
        let begun = cursor.unwrap_or_else(|| Cursor { seq: last, place: Place::Loading { scope: 0, last: None }, at: ctx.now() });
        let mut page = match begun.place {
            Place::Loading { .. } => feed::first_load(ctx, catalog, &tx, &self.scopes, &begun, self.first).await?,
            Place::Changes => feed::since(ctx, catalog, &tx, &self.scopes, &begun, self.first.max(LEAST_READ)).await?,
        };
        // Much may have happened elsewhere; whoever asks goes on from an empty page as well.
        for _ in 1..MOST_READ {
            if !page.events.is_empty() || !page.more || page.next.place != Place::Changes {
                break;
            }
            page = feed::since(ctx, catalog, &tx, &self.scopes, &page.next, LEAST_READ).await?;
        }
        Ok(Changes { gap, page, sight: mine, tx })
    }

    async fn write(&self, changes: Changes, selection: &Selection) -> Result<String> {
        let Changes { gap, page, sight, tx } = changes;
        let sight = sight.as_deref();
        let mut out = String::from("{");
        for (index, part) in collect(&[selection], |_| true).iter().enumerate() {
            let _ = write!(out, "{}\"{}\":", if index > 0 { "," } else { "" }, part.key);
            match part.name {
                "nodes" => list(self.nodes(&tx, (gap, sight), &page, &part.children).await?.into_iter().map(|(_, json)| json), &mut out),
                "edges" => self.edges(&tx, (gap, sight), &page, part, &mut out).await?,
                "pageInfo" => page_info(&page, sight, part, &mut out),
                _ => out.push_str("\"RecordChangeConnection\""),
            }
        }
        out.push('}');
        tx.commit().await?;
        Ok(out)
    }

    /// The changes with their cursors.
    async fn nodes(
        &self,
        tx: &Tx,
        (gap, sight): (Option<i64>, Option<&str>),
        page: &feed::Page,
        selections: &[&Selection],
    ) -> Result<Vec<(String, String)>> {
        let (ctx, catalog) = (&self.signed.ctx, &self.signed.known.catalog);
        let selection = Selection { items: selections.iter().flat_map(|selection| selection.items.iter().cloned()).collect() };
        let shown = feed::Shown {
            scopes: &self.scopes,
            selection: &selection,
            type_name: "RecordChange",
            record: "record",
            access: sight,
            now: ctx.now(),
        };
        let mut nodes = Vec::with_capacity(page.events.len() + 1);
        if let Some(seq) = gap {
            let cursor = Cursor { seq, place: Place::Loading { scope: 0, last: None }, at: ctx.now() };
            nodes.push((cursor.write(sight), feed::gap(ctx, &shown, Kind::Gap, seq)?.json));
        }
        let lines = feed::show(ctx, catalog, tx, &shown, &page.events).await?;
        nodes.extend(lines.into_iter().map(|line| (line.cursor, line.json)));
        Ok(nodes)
    }

    async fn edges(
        &self,
        tx: &Tx,
        place: (Option<i64>, Option<&str>),
        page: &feed::Page,
        part: &Merged<'_>,
        out: &mut String,
    ) -> Result<()> {
        let fields = collect(&part.children, |_| true);
        let children: Vec<&Selection> =
            fields.iter().filter(|field| field.name == "node").flat_map(|field| field.children.clone()).collect();
        let nodes = self.nodes(tx, place, page, &children).await?;
        let edges = nodes.into_iter().map(|(cursor, json)| {
            let members: Vec<String> = fields
                .iter()
                .map(|field| match field.name {
                    "node" => format!("\"{}\":{json}", field.key),
                    "cursor" => format!("\"{}\":\"{cursor}\"", field.key),
                    _ => format!("\"{}\":\"RecordChangeEdge\"", field.key),
                })
                .collect();
            format!("{{{}}}", members.join(","))
        });
        list(edges, out);
        Ok(())
    }
}

fn page_info(page: &feed::Page, sight: Option<&str>, part: &Merged<'_>, out: &mut String) {
    let end = page.next.write(sight);
    let members: Vec<String> = collect(&part.children, |_| true)
        .iter()
        .map(|field| {
            let value = match field.name {
                "hasNextPage" => page.more.to_string(),
                "hasPreviousPage" => "false".to_owned(),
                "startCursor" | "endCursor" => format!("\"{end}\""),
                _ => "\"PageInfo\"".to_owned(),
            };
            format!("\"{}\":{value}", field.key)
        })
        .collect();
    let _ = write!(out, "{{{}}}", members.join(","));
}

fn list(items: impl Iterator<Item = String>, out: &mut String) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&item);
    }
    out.push(']');
}
