//! What a webhook asks for, in GraphQL: a subscription document, its own or the usual one.

use std::fmt::Write as _;
use std::sync::{Arc, Weak};

use async_graphql::Variables;
use async_graphql::parser::types::OperationType;
use async_graphql::registry::{MetaType, Registry};
use entity::webhook;
use quick_cache::sync::Cache;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::document::Document;
use super::live;
use super::request::{self, Signed};
use super::schema::{Schemas, WorkspaceSchema};
use super::types::names;
use super::validate::types::Ty;
use crate::app::App;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::features::live::{Viewer, Wanted};
use crate::features::webhooks::{Open, Opened};
use crate::platform::{ActorKind, Cause, Origin};

/// Documents that are kept as they were understood.
const KEPT: usize = 1_000;

/// A document that was understood: what is wanted, and under which name it is sent.
#[derive(Clone)]
struct Understood {
    wanted: Arc<Wanted>,
    key: String,
    note: Option<String>,
}

/// Opens webhooks, for whoever works.
pub fn opener(app: &Arc<App>, schemas: &Arc<Schemas>) -> Open {
    let (app, schemas, kept): (Weak<App>, _, _) = (Arc::downgrade(app), schemas.clone(), Arc::new(Cache::new(KEPT)));
    Arc::new(move |hook| {
        let (app, schemas, kept) = (app.clone(), schemas.clone(), kept.clone());
        Box::pin(async move {
            let app = app.upgrade().ok_or_else(|| Error::fault("the server is going"))?;
            open(&app, &schemas, &kept, &hook).await
        })
    })
}

/// A document of a webhook by the catalog, as it was understood.
type Kept = Cache<(Uuid, i64, [u8; 32]), Understood>;

async fn open(app: &Arc<App>, schemas: &Schemas, kept: &Kept, hook: &webhook::Model) -> Result<Opened> {
    let kind = if hook.holder_kind == ActorKind::ApiKey.as_str() { ActorKind::ApiKey } else { ActorKind::Member };
    let caller = app.identity.caller_of_holder(hook.workspace_id, kind, hook.holder_id).await?;
    let (ctx, known) = app.ctx(&caller, Cause::Request, None).await?;
    // What somebody may follow depends on their rights as well.
    let rights = ctx.access.policy().map(|policy| policy.fingerprint());
    let content = serde_json::to_vec(&(&hook.document, &hook.variables, &hook.scopes, rights))?;
    let key = (hook.workspace_id, known.catalog.version, Sha256::digest(&content).into());
    let understood = match kept.get(&key) {
        Some(understood) => understood,
        None => {
            let signed = Signed { caller, ctx: ctx.clone(), known: known.clone() };
            let schema = schemas.of(hook.workspace_id, &known.catalog);
            let understood = understand(app, &schema, signed, hook).await?;
            kept.insert(key, understood.clone());
            understood
        }
    };
    let Understood { wanted, key, note } = understood;
    Ok(Opened { viewer: Viewer { ctx, catalog: known.catalog.clone() }, wanted, key, note })
}

/// What a webhook asks for by the schema as it is now: its document, or, where that does not fit any more, the usual one
/// of the same lists.
async fn understand(app: &Arc<App>, schema: &WorkspaceSchema, signed: Signed, hook: &webhook::Model) -> Result<Understood> {
    let usual = |signed: Signed| async {
        let document = usual(schema.registry(), &signed.known.catalog, &hook.scopes);
        run(app, schema, signed, &parse(app, &document)?, &document, &serde_json::json!({ "scopes": hook.scopes })).await
    };
    let Some(document) = &hook.document else { return usual(signed).await };
    let again = Signed { caller: signed.caller.clone(), ctx: signed.ctx.clone(), known: signed.known.clone() };
    match read(app, schema, signed, document, &hook.variables).await {
        Err(Error::Refused(why)) => Ok(Understood { note: Some(why.message), ..usual(again).await? }),
        other => other,
    }
}

/// Reads a subscription document as its subscriber sends it.
async fn read(app: &Arc<App>, schema: &WorkspaceSchema, signed: Signed, document: &str, variables: &Json) -> Result<Understood> {
    let parsed = parse(app, document)?;
    let request = async_graphql::Request::new(document).variables(Variables::from_json(variables.clone()));
    let checked = parsed.check(schema, &request);
    checked.map_err(|errors| told(errors.into_iter().next().map_or_else(String::new, |error| error.message)))?;
    run(app, schema, signed, &parsed, document, variables).await
}

fn told(message: String) -> Error {
    Error::bad_request(message).within("document")
}

fn parse(app: &App, document: &str) -> Result<Document> {
    let parsed = Document::read(document, None, &app.config.limits, true).map_err(|error| told(error.message))?;
    if parsed.kind != OperationType::Subscription {
        return Err(told("What a webhook sends is said by a subscription.".to_owned()));
    }
    Ok(parsed)
}

/// Lets a document say what it wants.
async fn run(
    app: &Arc<App>,
    schema: &WorkspaceSchema,
    signed: Signed,
    parsed: &Document,
    document: &str,
    variables: &Json,
) -> Result<Understood> {
    let request = async_graphql::Request::new(document).variables(Variables::from_json(variables.clone()));
    let mut state = Arc::new(request::Request::new(app.clone(), Origin::default(), Some(signed)));
    let begun = live::begin(schema, parsed.put_into(request), &mut state).await;
    let (key, follow) = begun.map_err(|why| match why {
        live::Unbegun::Refused(error) => error,
        live::Unbegun::Answered(answer) => told(answer.errors.into_iter().next().map_or_else(String::new, |error| error.message)),
    })?;
    Ok(Understood { wanted: follow.wanted().clone(), key: key.to_string(), note: None })
}

/// What is sent where nothing is asked for: everything of a record but its lists.
pub fn usual(registry: &Registry, catalog: &Catalog, scopes: &Json) -> String {
    let lists: Vec<&str> =
        scopes.as_array().into_iter().flatten().filter_map(|scope| Some(scope.as_object()?.keys().next()?.as_str())).collect();
    let mut parts = String::new();
    for object in catalog.objects().filter(|object| !object.is_archived()) {
        let all = names(object);
        let followed = lists.is_empty() || all.iter().any(|names| lists.contains(&names.many));
        for names in all.iter().filter(|names| followed && !(object.is_interface() && names.variant.is_none())) {
            let _ = write!(parts, " ... on {} {{", names.type_name);
            members(registry, names.type_name, &COMMON, &mut parts);
            parts.push_str(" }");
        }
    }
    let scopes = if lists.is_empty() { ("", "") } else { ("($scopes: [SyncScope!])", "(scopes: $scopes)") };
    format!(
        "subscription{} {{ recordChanges{} {{ kind id object changedFields at actor {{ kind actorId member {{ id name }} }} record {{ __typename {}{parts} }} }} }}",
        scopes.0,
        scopes.1,
        COMMON.join(" ")
    )
}

/// What every record has.
const COMMON: [&str; 6] = ["id", "object", "title", "version", "createdAt", "updatedAt"];
/// And what is left out: it says something of whoever looks, or comes typed beside it.
const LEFT_OUT: [&str; 5] = ["recordId", "customFields", "viewerAccess", "history", "deletedAt"];

/// The fields of a type that are no lists of records.
fn members(registry: &Registry, ty: &str, known: &[&str], out: &mut String) {
    let Some(MetaType::Object { fields, .. } | MetaType::Interface { fields, .. }) = registry.types.get(ty) else { return };
    for field in fields.values() {
        let name = field.name.as_str();
        if known.contains(&name) || LEFT_OUT.contains(&name) || field.deprecation.is_deprecated() {
            continue;
        }
        let of = Ty(&field.ty).name();
        match registry.types.get(of) {
            Some(MetaType::Scalar { .. } | MetaType::Enum { .. }) => {
                let _ = write!(out, " {name}");
            }
            Some(MetaType::Object { .. } | MetaType::Interface { .. }) if !of.ends_with("Connection") => {
                let _ = write!(out, " {name} {{");
                if is_record(registry, of) {
                    out.push_str(" id title");
                } else {
                    leaves(registry, of, out);
                }
                out.push_str(" }");
            }
            _ => {}
        }
    }
}

/// The parts of a value: an amount and its currency; the fields that a workspace added.
fn leaves(registry: &Registry, ty: &str, out: &mut String) {
    let before = out.len();
    members(registry, ty, &[], out);
    if out.len() == before {
        out.push_str(" __typename");
    }
}

fn is_record(registry: &Registry, ty: &str) -> bool {
    ty == "AnyRecord"
        || match registry.types.get(ty) {
            Some(MetaType::Object { fields, .. } | MetaType::Interface { fields, .. }) => fields.contains_key("recordId"),
            _ => false,
        }
}
