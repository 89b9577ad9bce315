//! Ids of records that became part of others: they resolve to the survivor for ever.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::records::sql::Sql;

/// The most merges that stand behind one another.
const MOST_STEPS: usize = 100;

/// What records became part of, at the end of however many merges. Whether the caller sees it is another question.
pub async fn survivors(tx: &Tx, ctx: &Ctx, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(tx.backend(), ctx.workspace);
    let list = sql.bind_all(ids.iter().map(|id| (*id).into()).collect());
    let select = format!(
        "WITH RECURSIVE m (id, part_of, step) AS (\
         SELECT r.id, r.merged_into, 1 FROM record r WHERE r.workspace_id = $1 AND r.id IN ({list}) AND r.merged_into IS NOT NULL \
         UNION ALL SELECT m.id, r.merged_into, m.step + 1 FROM m JOIN record r ON r.workspace_id = $1 AND r.id = m.part_of \
         WHERE r.merged_into IS NOT NULL AND m.step < {MOST_STEPS}) SELECT id, part_of FROM m ORDER BY step"
    );
    let mut found = HashMap::new();
    for row in tx.fetch_all(&select, sql.values).await? {
        if let (Some(id), Some(into)) = (row.uuid(0)?, row.uuid(1)?) {
            found.insert(id, into);
        }
    }
    Ok(found)
}

/// The arguments of a root field with survivors in the place of records that became part of them; none where there are
/// none.
pub async fn with_survivors(tx: &Tx, ctx: &Ctx, arguments: &Map<String, Json>) -> Result<Option<Map<String, Json>>> {
    let survivors = survivors(tx, ctx, &ids_in(arguments)).await?;
    Ok((!survivors.is_empty()).then(|| resolved(arguments, &survivors)))
}

/// Whether arguments name records.
pub fn name_records(arguments: &Map<String, Json>) -> bool {
    !ids_in(arguments).is_empty()
}

/// The ids in the arguments of a root field that mean records: of the record itself, and of references.
fn ids_in(arguments: &Map<String, Json>) -> Vec<Uuid> {
    let mut ids = Vec::new();
    walk(&mut arguments.clone(), &mut |id| {
        ids.extend(id.as_str().and_then(|id| id.parse::<Uuid>().ok()));
    });
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The arguments with the survivors in the place of what became part of them.
fn resolved(arguments: &Map<String, Json>, survivors: &HashMap<Uuid, Uuid>) -> Map<String, Json> {
    let mut arguments = arguments.clone();
    walk(&mut arguments, &mut |id| {
        if let Some(into) = id.as_str().and_then(|id| id.parse::<Uuid>().ok()).and_then(|id| survivors.get(&id)) {
            *id = Json::from(into.to_string());
        }
    });
    arguments
}

fn walk(arguments: &mut Map<String, Json>, visit: &mut dyn FnMut(&mut Json)) {
    for (name, value) in arguments.iter_mut() {
        match (name.as_str(), value) {
            ("id", id @ Json::String(_)) => visit(id),
            ("ids", Json::Array(ids)) => ids.iter_mut().for_each(&mut *visit),
            (_, value) => below(value, true, visit),
        }
    }
}

/// `is_new`: whether an `id` here is the one that a new record is to have.
fn below(value: &mut Json, is_new: bool, visit: &mut dyn FnMut(&mut Json)) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(|item| below(item, is_new, visit)),
        Json::Object(members) => {
            for (name, value) in members.iter_mut() {
                match (name.as_str(), value) {
                    ("id", id @ Json::String(_)) if !is_new => visit(id),
                    ("disconnect", Json::Array(ids)) => ids.iter_mut().for_each(&mut *visit),
                    (name, value) => below(value, matches!(name, "create" | "record" | "input"), visit),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_of_records_are_found_and_those_of_new_ones_are_not() {
        let id = |n: u128| Uuid::from_u128(n).to_string();
        let arguments = json!({
            "id": id(1),
            "input": { "id": id(2), "name": id(3), "company": { "id": id(4) }, "people": { "connect": [{ "id": id(5) }], "disconnect": [id(6)],
                "create": [{ "record": { "id": id(7), "owner": { "id": id(8) } } }], "update": [{ "id": id(9), "record": { "name": "x" } }] } },
        });
        let found = ids_in(arguments.as_object().unwrap());
        assert_eq!(found, [1, 4, 5, 6, 8, 9].map(Uuid::from_u128));
        let new = resolved(arguments.as_object().unwrap(), &HashMap::from([(Uuid::from_u128(4), Uuid::from_u128(40))]));
        assert_eq!((&new["input"]["company"]["id"], &new["id"]), (&json!(id(40)), &json!(id(1))));
    }
}
