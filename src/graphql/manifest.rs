//! Documents that an application registers: read from what its build wrote, looked at once, and priced.

use async_graphql::Variables;
use async_graphql::registry::Registry;
use serde_json::Value as Json;

use super::cost::{cost, costliest};
use super::document::Document;
use super::order::chosen;
use super::validate::validate;
use crate::config::Limits;
use crate::error::{UserError, UserErrorCode};
use crate::features::identity::hash_of;

/// Reads the documents of a manifest: `{ "<hash>": "<text>" }`, as Relay, GraphQL Code Generator and gql.tada write them,
/// or Apollo's `{ "format": "apollo-persisted-query-manifest", "operations": [{ "id", "body" }] }`.
///
/// A document is known by the SHA-256 of its text, so one that has another id there is refused: the application would ask
/// for it by that.
pub fn read(manifest: &Json) -> Result<Vec<String>, String> {
    const KINDS: &str = "A manifest is an object of texts by their SHA-256, or one of Apollo's.";
    let members = manifest.as_object().ok_or(KINDS)?;
    let documents: Vec<(&str, &str)> = match members.get("operations") {
        Some(operations) => {
            let operations = operations.as_array().ok_or(KINDS)?.iter();
            operations.map(|operation| Some((operation["id"].as_str()?, operation["body"].as_str()?))).collect::<Option<_>>()
        }
        None => members.iter().map(|(hash, text)| Some((hash.as_str(), text.as_str()?))).collect(),
    }
    .ok_or(KINDS)?;
    for (id, text) in &documents {
        let given = id.strip_prefix("sha256:").unwrap_or(id);
        if !given.eq_ignore_ascii_case(&hash_of(text)) {
            let id: String = id.chars().take(80).collect();
            return Err(format!("`{id}` is not the SHA-256 of its document: have the manifest written with sha256."));
        }
    }
    Ok(documents.into_iter().map(|(_, text)| text.to_owned()).collect())
}

/// What each of an application's documents costs, variables left out. Whatever could never be executed is refused, each
/// with its place.
pub fn price(registry: &Registry, limits: &Limits, documents: &[String]) -> Result<Vec<u64>, Vec<UserError>> {
    let (mut costs, mut wrong) = (Vec::with_capacity(documents.len()), Vec::new());
    for (index, document) in documents.iter().enumerate() {
        match price_one(registry, limits, document) {
            Ok(cost) => costs.push(cost),
            Err(why) if wrong.len() < MOST_TOLD => {
                wrong.push(UserError::new(UserErrorCode::InvalidValue, &["documents", &index.to_string()], why));
            }
            Err(_) => {}
        }
    }
    if wrong.is_empty() { Ok(costs) } else { Err(wrong) }
}

/// So many documents are told that do not fit.
const MOST_TOLD: usize = 20;

/// The dearest operation of a document.
fn price_one(registry: &Registry, limits: &Limits, text: &str) -> Result<u64, String> {
    let first = Document::read(text, None, limits, true);
    let names = match &first {
        // Of several operations each can be asked for by its name.
        Err(_) => names(text, limits)?,
        Ok(_) => Vec::new(),
    };
    let read: Vec<(Option<String>, Document)> = match first {
        Ok(document) => vec![(None, document)],
        Err(why) if names.is_empty() => return Err(why.message),
        Err(_) => names
            .into_iter()
            .map(|name| Document::read(text, Some(&name), limits, true).map(|document| (Some(name), document)).map_err(|why| why.message))
            .collect::<Result<_, _>>()?,
    };
    let mut most = 0;
    for (name, document) in &read {
        if let Some(error) = validate(registry, &document.parsed).into_iter().next() {
            return Err(error.message);
        }
        let Some(operation) = chosen(&document.parsed, name.as_deref()) else { continue };
        let variables = Variables::default();
        let asked = cost(registry, &document.parsed, &operation.node, &variables).requested;
        if asked > limits.cost {
            let at = costliest(registry, &document.parsed, &operation.node, &variables);
            return Err(format!("It costs {asked}, and {} is the most; most of it lies at `{at}`.", limits.cost));
        }
        most = most.max(asked);
    }
    Ok(most)
}

/// The names of a document's operations; empty if it has one without.
fn names(text: &str, limits: &Limits) -> Result<Vec<String>, String> {
    let parsed = super::parse::parse(text, limits.body_bytes).map_err(|error| error.message)?;
    Ok(parsed.operations.iter().filter_map(|(name, _)| name.map(ToString::to_string)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn manifests_of_the_usual_tools_are_read() {
        let (text, hash) = ("query A { me { id } }", hash_of("query A { me { id } }"));
        assert_eq!(read(&json!({ hash.as_str(): text })).unwrap(), [text]);
        let apollo = json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [{ "id": hash, "name": "A", "type": "query", "body": text }] });
        assert_eq!(read(&apollo).unwrap(), [text]);
        assert!(read(&json!({ "abc": text })).unwrap_err().contains("SHA-256"));
        for wrong in [json!([text]), json!({ hash.as_str(): 1 }), json!({ "operations": [{ "id": hash }] }), json!(null)] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
