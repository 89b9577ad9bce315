//! `companyDuplicates`: records that may be the same as one that is there, or as one that is to be made.

use async_graphql::{Context, Value};
use serde_json::{Map, Value as Json, json};

use super::records::{one, raw, tell_problems};
use super::request::{self, Signed};
use super::types::Of;
use crate::catalog::Field;
use crate::error::{Error, Result};
use crate::infra::db::Tx;
use crate::platform::access::Sight;
use crate::records::duplicates::{self, Candidate};
use crate::records::query;
use crate::records::selection::{Merged, Selection, collect};
use crate::records::write::{Rejected, State, Unit, state};

/// The most records that are told.
const MOST: usize = 50;
const USUAL: usize = 10;

pub async fn answer(ctx: &Context<'_>, of: &Of, arguments: &Map<String, Json>, selection: &Selection) -> Result<Value> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    // Whoever sees none of them does not learn either how many there are like one.
    if signed.ctx.access.object(&of.object.name).read.is_none() {
        return Err(Error::forbidden(format!("Your roles do not let you see {}.", of.object.plural_label.to_lowercase())));
    }
    let first = arguments
        .get("first")
        .map_or(Some(USUAL), |first| first.as_u64().and_then(|first| usize::try_from(first).ok()))
        .unwrap_or(usize::MAX);
    if first > MOST {
        return Err(Error::bad_request(format!("`first` is a number from 0 to {MOST}.")).within("first"));
    }
    let tx = request.snapshot().await?;
    let answered = told(&tx, signed, &request.app.rules, of, (arguments, selection, first)).await;
    tell_problems(ctx, &signed.ctx.problems);
    drop(tx);
    if answered.is_err() {
        request.abandon().await;
    }
    Ok(raw(answered?.to_string()))
}

async fn told(
    tx: &Tx,
    signed: &Signed,
    rules: &crate::records::write::RuleBook,
    of: &Of,
    (arguments, selection, first): (&Map<String, Json>, &Selection, usize),
) -> Result<Json> {
    let catalog = &signed.known.catalog;
    let given = |name: &str| arguments.get(name).filter(|value| !value.is_null());
    let (itself, state) = match (given("id"), given("draft").and_then(Json::as_object)) {
        (Some(id), None) => {
            let ids: Vec<uuid::Uuid> = id.as_str().and_then(|id| id.parse().ok()).into_iter().collect();
            let seen = duplicates::reached(tx, &signed.ctx, catalog, &of.object, &ids).await?;
            let found = if seen.is_empty() { Vec::new() } else { state::load(tx, &signed.ctx, &of.object, &ids, false).await? };
            match found.into_iter().find(|record| !record.deleted) {
                Some(record) => (Some(record.id), record.state),
                None => return Ok(Json::Null),
            }
        }
        (None, Some(draft)) => (None, drafted(&mut Unit::new(&signed.ctx, catalog, tx, rules), of, draft).await?),
        _ => return Err(Error::bad_request("Give exactly one of `id` and `draft`.")),
    };
    // What the caller does not see whole decides nothing: else the answer would tell of it.
    let access = signed.ctx.access.object(&of.object.name).clone();
    let shows = move |field: &Field| access.field(&field.access_name()).sight == Sight::Full;
    let found = duplicates::find(tx, &signed.ctx, catalog, &of.object, (itself, &state), &shows).await?;
    let mut out = Map::new();
    for part in collect(&[selection], |_| true) {
        let value = match part.name {
            "nodes" => {
                let mut nodes = Vec::new();
                for candidate in found.seen.iter().take(first) {
                    nodes.push(node(tx, signed, of, candidate, &part).await?);
                }
                Json::from(nodes)
            }
            "hidden" => json!(if duplicates::may_count_hidden(&signed.ctx, &of.object) { found.hidden.len() } else { 0 }),
            _ => json!(format!("{}Duplicates", of.type_name)),
        };
        out.insert(part.key.to_owned(), value);
    }
    Ok(out.into())
}

async fn node(tx: &Tx, signed: &Signed, of: &Of, candidate: &Candidate, field: &Merged<'_>) -> Result<Json> {
    let mut out = Map::new();
    for part in collect(&field.children, |_| true) {
        let value = match part.name {
            "score" => json!(candidate.score),
            "reasons" => {
                let parts = collect(&part.children, |_| true);
                let reason = |reason: &duplicates::Reason| -> Json {
                    let member = |name: &str| match name {
                        "field" => json!(reason.field),
                        "method" => json!(reason.method.as_str()),
                        _ => json!("DuplicateReason"),
                    };
                    Json::Object(parts.iter().map(|part| (part.key.to_owned(), member(part.name))).collect())
                };
                candidate.reasons.iter().map(reason).collect()
            }
            name if name == of.one => {
                let arguments = Map::from_iter([("id".to_owned(), json!(candidate.id))]);
                let items = part.children.iter().flat_map(|selection| selection.items.clone()).collect();
                let record = query(&signed.ctx, &signed.known.catalog, tx, &one(of, false), &arguments, &Selection { items }).await?;
                serde_json::from_str(&record)?
            }
            _ => json!(format!("{}Duplicate", of.type_name)),
        };
        out.insert(part.key.to_owned(), value);
    }
    Ok(out.into())
}

/// The state of a record as an input would make it.
async fn drafted(unit: &mut Unit<'_>, of: &Of, input: &Map<String, Json>) -> Result<State> {
    match unit.read_draft(&of.object, input).await {
        Ok(state) => Ok(state),
        Err(Rejected::Failed(error)) => Err(error),
        Err(Rejected::User { errors, .. }) => {
            let first = errors.into_iter().next();
            let (message, path) = first.map_or_else(Default::default, |error| (error.message, error.path));
            let refusal = Error::bad_request(message);
            Err(path.into_iter().rev().fold(refusal, Error::within).within("draft"))
        }
    }
}
