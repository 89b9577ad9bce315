//! What of a body becomes which part of an input.
//!
//! A map is the input as JSON, in which `{ "$from": "/contact/email" }` stands for what stands there in the body (a JSON
//! Pointer, RFC 6901), and `{ "$from": "…", "$else": "…" }` for something else where nothing does.

use serde_json::{Map, Value};

const FROM: &str = "$from";
const ELSE: &str = "$else";
/// The longest map, in bytes, and the deepest.
const LONGEST: usize = 32_768;
const DEEPEST: usize = 10;

/// What is wrong with a map, in words for whoever wrote it.
pub fn check(map: &Value) -> Result<(), String> {
    if !map.is_object() || map.get(FROM).is_some() {
        return Err("A map is an object: the input, with { \"$from\": \"/pointer\" } where the body's values go.".to_owned());
    }
    if map.to_string().len() > LONGEST {
        return Err(format!("A map has at most {LONGEST} bytes."));
    }
    check_part(map, 0)
}

fn check_part(part: &Value, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("A map is at most {DEEPEST} deep."));
    }
    match part {
        Value::Array(items) => items.iter().try_for_each(|item| check_part(item, depth + 1)),
        Value::Object(members) => {
            if let Some(wrong) = members.keys().find(|name| name.starts_with('$') && *name != FROM && *name != ELSE) {
                return Err(format!("There is no `{wrong}`; there are `{FROM}` and `{ELSE}`."));
            }
            match members.get(FROM) {
                None if members.contains_key(ELSE) => Err(format!("`{ELSE}` stands beside `{FROM}`.")),
                None => members.values().try_for_each(|member| check_part(member, depth + 1)),
                Some(Value::String(pointer)) if pointer.is_empty() || pointer.starts_with('/') => {
                    if members.len() > 1 + usize::from(members.contains_key(ELSE)) {
                        return Err(format!("Beside `{FROM}` there is only `{ELSE}`."));
                    }
                    Ok(())
                }
                Some(other) => Err(format!("{other} is no JSON Pointer: `/contact/email`, for example.")),
            }
        }
        _ => Ok(()),
    }
}

/// The input that a body gives. What the body does not have is left out; of an object or an item within the input that lacks
/// a part, the whole is: an address without its street is none.
pub fn fill(map: &Value, body: &Value) -> Map<String, Value> {
    let members = map.as_object().into_iter().flatten();
    members.filter_map(|(name, part)| Some((name.clone(), fill_part(part, body)?))).collect()
}

fn fill_part(part: &Value, body: &Value) -> Option<Value> {
    match part {
        Value::Array(items) => Some(items.iter().filter_map(|item| fill_part(item, body)).collect()),
        Value::Object(members) => match members.get(FROM).and_then(Value::as_str) {
            Some(pointer) => body.pointer(pointer).or_else(|| members.get(ELSE)).cloned(),
            None => members
                .iter()
                .map(|(name, part)| Some((name.clone(), fill_part(part, body)?)))
                .collect::<Option<Map<_, _>>>()
                .map(Value::Object),
        },
        plain => Some(plain.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_body_has_is_put_in_its_place() {
        let map = json!({
            "name": { "$from": "/form/0/value" }, "source": "web", "amount": { "amount": { "$from": "/sum" }, "currency": "EUR" },
            "emails": [{ "address": { "$from": "/email" } }], "description": { "$from": "/text", "$else": "none" }, "note": { "$from": "/null" }
        });
        assert_eq!(check(&map), Ok(()));
        let body = json!({ "form": [{ "value": "Ada" }], "sum": "12.50", "email": "ada@x.example", "null": null });
        let filled = json!({
            "name": "Ada", "source": "web", "amount": { "amount": "12.50", "currency": "EUR" }, "emails": [{ "address": "ada@x.example" }],
            "description": "none", "note": null
        });
        assert_eq!(Value::Object(fill(&map, &body)), filled);
        assert_eq!(Value::Object(fill(&map, &json!([]))), json!({ "source": "web", "emails": [], "description": "none" }));
    }

    #[test]
    fn a_map_that_cannot_be_meant_is_refused() {
        for wrong in [
            json!([]),
            json!({ "$from": "" }),
            json!({ "a": { "$from": "b" } }),
            json!({ "a": { "$else": 1 } }),
            json!({ "a": { "$form": "/b" } }),
            json!({ "a": { "$from": "/b", "c": 1 } }),
        ] {
            assert!(check(&wrong).is_err(), "{wrong}");
        }
    }
}
