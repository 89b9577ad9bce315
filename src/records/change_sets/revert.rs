//! Undoing a change set.
//!
//! An operation is undone where nothing later stands on it: a field still has the value that the set gave it, a record
//! that the set made was not touched since, one that it deleted is still deleted. What is overtaken stays and is
//! told. Each step is a write of the caller's own, with their rights and the objects' rules.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{Operation, Set};
use crate::catalog::{Field, Kind, Object, Via};
use crate::error::Result;
use crate::infra::db::Backend;
use crate::records::value;
use crate::records::write::merge::MergeOfSet;
use crate::records::write::{ErrorPolicy, Outcome, Rejected, Unit, state};

/// Why an operation was not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Something later stands on it.
    Overtaken,
    /// It cannot be undone by anybody.
    NotRevertible,
    /// The caller may not, or a rule does not allow it.
    Refused,
}

#[derive(Debug)]
pub struct Skipped {
    pub operation: Operation,
    pub reason: Reason,
    pub message: String,
    /// The fields that it is about, if not the whole.
    pub fields: Vec<String>,
}

/// What became of the operations of a set.
#[derive(Debug, Default)]
pub struct Reverted {
    pub done: Vec<Operation>,
    pub skipped: Vec<Skipped>,
}

/// What becomes of one operation.
enum Step {
    /// It was undone, perhaps without these fields.
    Done(Vec<String>),
    /// There was nothing left to do.
    Nothing,
    Skip(Reason, String, Vec<String>),
}

/// Undoes what can be undone of a set.
pub async fn revert(unit: &mut Unit<'_>, set: &Set) -> Result<Reverted> {
    unit.set.reverts = Some(set.id);
    let made: HashSet<Uuid> =
        set.operations.iter().filter(|operation| operation.kind == "CREATED").map(|operation| operation.record).collect();
    let last = set.operations.iter().map(|operation| operation.seq).max().unwrap_or_default();
    let mut reverted = Reverted::default();
    let merges = unit.merges_of(set.id).await?;
    for merge in &merges {
        undo_merge(unit, set, merge, &mut reverted).await?;
    }
    let is_of_merge = |operation: &&Operation| merges.iter().any(|merge| merge.operations.contains(&operation.seq));
    for operation in set.operations.iter().rev().filter(|operation| !is_of_merge(operation)) {
        // A record that the set made goes as a whole.
        if operation.kind != "CREATED" && made.contains(&operation.record) {
            continue;
        }
        let Some(object) = unit.catalog.find(&operation.object).cloned() else { continue };
        unit.settle_sight().await?;
        let mark = unit.savepoint(ErrorPolicy::SkipFailed).await?;
        let tried = undo(unit, &object, operation, set.id, last).await;
        let (step, outcome) = match tried {
            Ok(step) => (Some(step), Ok(())),
            Err(rejected) => (None, Err(rejected)),
        };
        let settled =
            unit.settle(outcome.map(|()| crate::records::write::Written { id: operation.record }), mark, ErrorPolicy::SkipFailed).await?;
        match (step, settled) {
            (Some(Step::Done(overtaken)), _) => {
                reverted.done.push(operation.clone());
                if !overtaken.is_empty() {
                    let message = "These fields were changed since, so they stay as they are.".to_owned();
                    reverted.skipped.push(Skipped { operation: operation.clone(), reason: Reason::Overtaken, message, fields: overtaken });
                }
            }
            (Some(Step::Nothing), _) => reverted.done.push(operation.clone()),
            (Some(Step::Skip(reason, message, fields)), _) => {
                reverted.skipped.push(Skipped { operation: operation.clone(), reason, message, fields });
            }
            (None, settled) => {
                let message = refusal(settled);
                reverted.skipped.push(Skipped { operation: operation.clone(), reason: Reason::Refused, message, fields: Vec::new() });
            }
        }
    }
    Ok(reverted)
}

/// Undoes a merge of the set as a whole.
async fn undo_merge(unit: &mut Unit<'_>, set: &Set, merge: &MergeOfSet, reverted: &mut Reverted) -> Result<()> {
    let Some(object) = unit.catalog.find(&merge.object).cloned() else { return Ok(()) };
    let seen: Vec<&Operation> = set.operations.iter().filter(|operation| merge.operations.contains(&operation.seq)).collect();
    let Some(first) = seen.first() else { return Ok(()) };
    unit.settle_sight().await?;
    let mark = unit.savepoint(ErrorPolicy::SkipFailed).await?;
    let (undone, outcome) = match unit.unmerge(&object, merge.id).await {
        Ok(undone) => (Some(undone), Ok(crate::records::write::Written { id: first.record })),
        Err(rejected) => (None, Err(rejected)),
    };
    let settled = unit.settle(outcome, mark, ErrorPolicy::SkipFailed).await?;
    let Some(undone) = undone else {
        let skipped = |operation: &&Operation| Skipped {
            operation: (*operation).clone(),
            reason: Reason::Refused,
            message: String::new(),
            fields: Vec::new(),
        };
        let message = refusal(settled);
        reverted.skipped.extend(seen.iter().map(skipped).map(|skipped| Skipped { message: message.clone(), ..skipped }));
        return Ok(());
    };
    for conflict in undone.conflicts {
        if let Some(operation) = seen.iter().find(|operation| operation.record == conflict.record) {
            let (operation, reason) = ((*operation).clone(), Reason::Overtaken);
            reverted.skipped.push(Skipped { operation, reason, message: conflict.message, fields: conflict.fields });
        }
    }
    reverted.done.extend(seen.into_iter().rev().cloned());
    Ok(())
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Err(Rejected::User { errors, .. }) => errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

async fn undo(unit: &mut Unit<'_>, object: &Arc<Object>, operation: &Operation, set: Uuid, last: i64) -> Result<Step, Rejected> {
    let id = operation.record;
    let current = state::load(unit.tx, unit.ctx, object, &[id], false).await?.into_iter().next();
    let Some(current) = current else {
        return Ok(Step::Skip(Reason::NotRevertible, "The record was removed for good.".into(), Vec::new()));
    };
    let overtaken = |message: &str| Ok(Step::Skip(Reason::Overtaken, message.to_owned(), Vec::new()));
    match operation.kind.as_str() {
        "CREATED" => match (current.deleted, is_later(unit, id, set, last).await?) {
            (true, _) => Ok(Step::Nothing),
            (false, true) => overtaken("The record was changed since, so it stays."),
            (false, false) => unit.delete(object, None, id).await.map(|_| Step::Done(Vec::new())),
        },
        "DELETED" => match (current.deleted, is_later(unit, id, set, last).await?) {
            (true, _) => unit.restore(object, None, id).await.map(|_| Step::Done(Vec::new())),
            // It came back with the record that it was deleted with.
            (false, false) => Ok(Step::Nothing),
            (false, true) => overtaken("The record was brought back since."),
        },
        "RESTORED" if current.deleted => Ok(Step::Nothing),
        "RESTORED" => unit.delete(object, None, id).await.map(|_| Step::Done(Vec::new())),
        _ if current.deleted => overtaken("The record was deleted since."),
        "UPDATED" => {
            let (input, stays) = former(object, operation, &current.state);
            if input.is_empty() {
                let reason = if stays.is_empty() { Reason::NotRevertible } else { Reason::Overtaken };
                let message =
                    if stays.is_empty() { "What it changed follows from other fields." } else { "What it changed was changed since." };
                return Ok(Step::Skip(reason, message.into(), stays));
            }
            unit.update(object, None, id, &input, None).await.map(|_| Step::Done(stays))
        }
        "LINKED" | "UNLINKED" => match link(object, operation) {
            Some(input) => unit.update(object, None, id, &input, None).await.map(|_| Step::Done(Vec::new())),
            None => Ok(Step::Skip(Reason::NotRevertible, "The relation is not there any more.".into(), Vec::new())),
        },
        _ => Ok(Step::Skip(Reason::NotRevertible, "The record was removed for good.".into(), Vec::new())),
    }
}

/// Whether something else happened to a record after a set.
async fn is_later(unit: &Unit<'_>, id: Uuid, set: Uuid, last: i64) -> Result<bool> {
    let other = if unit.tx.backend() == Backend::Postgres { "IS DISTINCT FROM" } else { "IS NOT" };
    let sql =
        format!("SELECT seq FROM change_log WHERE workspace_id = $1 AND record_id = $2 AND seq > $3 AND change_set_id {other} $4 LIMIT 1");
    Ok(unit.tx.fetch_optional(&sql, vec![unit.ctx.workspace.into(), id.into(), last.into(), set.into()]).await?.is_some())
}

/// The input that gives fields the values that they had, and those that were changed since.
fn former(object: &Object, operation: &Operation, current: &Map<String, Json>) -> (Map<String, Json>, Vec<String>) {
    let (mut input, mut custom, mut stays) = (Map::new(), Map::new(), Vec::new());
    for (name, after) in &operation.after {
        let before = operation.before.get(name).unwrap_or(&Json::Null);
        let plain = name.strip_prefix("custom.");
        let field = plain.map_or_else(|| object.fields.get(name), |name| object.custom.get(name));
        let in_document = field.is_some_and(Field::is_custom);
        let now = match (in_document, plain.unwrap_or(name)) {
            (true, name) => current.get("custom").and_then(|custom| custom.get(name)),
            (false, name) => current.get(name),
        };
        if now.unwrap_or(&Json::Null) != after {
            stays.push(name.clone());
            continue;
        }
        let given = match (field, object.relations.get(name).map(|relation| &relation.via)) {
            // What is kept by the server follows from the rest; what is sealed cannot be given back.
            (Some(field), _) if field.read_only || field.archived => continue,
            (Some(field), _) if field.settings.encrypted => {
                stays.push(name.clone());
                continue;
            }
            (Some(field), _) => as_input(field, before),
            (None, Some(Via::Column(_))) => before.as_str().map_or(Json::Null, |id| json!({ "id": id })),
            _ => continue,
        };
        match plain {
            Some(name) => drop(custom.insert(name.to_owned(), given)),
            None => drop(input.insert(name.clone(), given)),
        }
    }
    if !custom.is_empty() {
        input.insert("custom".into(), custom.into());
    }
    (input, stays)
}

/// A stored value as an input gives it.
fn as_input(field: &Field, stored: &Json) -> Json {
    let pick = |members: &[&str]| {
        let item =
            |item: &Json| Json::Object(members.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect());
        stored.as_array().map_or(Json::Null, |items| items.iter().map(item).collect())
    };
    match field.kind {
        _ if stored.is_null() => Json::Null,
        Kind::Emails => pick(&["address", "label", "primary"]),
        Kind::Phones => {
            let mut phones = pick(&["e164", "label", "primary"]);
            for phone in phones.as_array_mut().into_iter().flatten() {
                phone["number"] = phone["e164"].take();
                phone.as_object_mut().map(|phone| phone.remove("e164"));
            }
            phones
        }
        kind => {
            let mut text = String::new();
            value::write_stored(stored, kind, &mut text);
            serde_json::from_str(&text).unwrap_or(Json::Null)
        }
    }
}

/// The input that cuts a link that was made, makes one that was cut, or says of it what was said before.
fn link(object: &Object, operation: &Operation) -> Option<Map<String, Json>> {
    let (name, link) = operation.after.iter().next().or_else(|| operation.before.iter().next())?;
    let relation = object.relations.get(name)?;
    let former = operation.before.get(name);
    let edit = match (operation.kind.as_str(), former) {
        _ if relation.is_one() => former.map_or(Json::Null, |link| json!({ "id": link["id"] })),
        ("LINKED", Some(former)) if relation.has_role => {
            let primary = former["primary"] == true;
            json!({ "update": [{ "id": former["id"], "role": former["role"], "title": former["title"], "primary": primary }] })
        }
        ("LINKED", Some(_)) => return None,
        ("LINKED", None) => json!({ "disconnect": [link["id"]] }),
        _ if relation.has_role => json!({ "connect": [link] }),
        _ => json!({ "connect": [{ "id": link["id"] }] }),
    };
    let mut input = Map::new();
    if relation.added {
        input.insert("custom".into(), json!({ &relation.name: edit }));
    } else {
        input.insert(name.clone(), edit);
    }
    Some(input)
}
