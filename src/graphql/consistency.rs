//! How new what a query reads must be, where there is a replica to read from.

use async_graphql::Value;
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use axum::http::HeaderMap;

use super::document::Document;
use crate::error::{Error, Result};

/// `strong`: everything that was committed before; `eventual`, which is the default: everything that the same credential
/// wrote before, and of others' writes what the replica has. Also as `extensions.consistency`.
pub const HEADER: &str = "kith-consistency";

/// Root fields whose answers are taken further from where another answer ended, which a replica need not have reached.
const FEED: [&str; 2] = ["changes", "changeCursor"];

/// Whether a request may be answered from a replica, where there is one.
pub fn may_use_replica((document, there_is_one): (&Document, bool), headers: &HeaderMap, request: &async_graphql::Request) -> Result<bool> {
    let strong = asks_for_strong(headers, request)?;
    Ok(there_is_one && !strong && document.kind == OperationType::Query && !selects(&document.parsed, &FEED))
}

fn asks_for_strong(headers: &HeaderMap, request: &async_graphql::Request) -> Result<bool> {
    let in_header = headers.get(HEADER).map(|value| value.to_str().unwrap_or_default());
    let in_body = request.extensions.get("consistency").map(|value| if let Value::String(text) = value { text.as_str() } else { "" });
    let mut strong = false;
    for asked in [in_header, in_body].into_iter().flatten() {
        match asked {
            "strong" => strong = true,
            "eventual" => {}
            _ => return Err(Error::bad_request("`Kith-Consistency` (or `extensions.consistency`) is `strong` or `eventual`.")),
        }
    }
    Ok(strong)
}

/// Whether a field of one of these names is anywhere in a document.
fn selects(document: &ExecutableDocument, names: &[&str]) -> bool {
    fn within(set: &SelectionSet, names: &[&str]) -> bool {
        set.items.iter().any(|item| match &item.node {
            Selection::Field(field) => names.contains(&field.node.name.node.as_str()) || within(&field.node.selection_set.node, names),
            Selection::InlineFragment(fragment) => within(&fragment.node.selection_set.node, names),
            // It is looked at by itself.
            Selection::FragmentSpread(_) => false,
        })
    }
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    operations.chain(fragments).any(|set| within(set, names))
}
