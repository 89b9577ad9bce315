//! Root fields that are asked for twice become one.
//!
//! Clients that compose documents of fragments ask for the same root field in several places, and
//! GraphQL merges them (section "Field Selection Merging"). async-graphql executes each by itself and
//! keeps the first one's answer, so the merging is done before.

use std::collections::HashMap;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

use crate::error::{Error, Result};

/// Merges equal root fields of every operation.
pub fn merge_roots(document: &mut ExecutableDocument) -> Result<()> {
    let fragments = &document.fragments;
    match &mut document.operations {
        DocumentOperations::Single(only) => merge(&mut only.node.selection_set.node, fragments),
        DocumentOperations::Multiple(all) => {
            all.values_mut().try_for_each(|operation| merge(&mut operation.node.selection_set.node, fragments))
        }
    }
}

fn merge(set: &mut SelectionSet, fragments: &HashMap<Name, Positioned<FragmentDefinition>>) -> Result<()> {
    let mut flat = Vec::new();
    flatten(std::mem::take(&mut set.items), fragments, 0, &mut flat);
    for item in flat {
        let Selection::Field(field) = &item.node else {
            set.items.push(item);
            continue;
        };
        let known = set.items.iter_mut().find_map(|known| match &mut known.node {
            Selection::Field(known) if known.node.response_key().node == field.node.response_key().node => Some(known),
            _ => None,
        });
        let Some(known) = known else {
            set.items.push(item);
            continue;
        };
        let same = known.node.name.node == field.node.name.node && known.node.arguments == field.node.arguments;
        if !same {
            let key = &field.node.response_key().node;
            return Err(Error::bad_request(format!("`{key}` names two different fields; give one of them an alias.")));
        }
        if known.node.directives.is_empty() && field.node.directives.is_empty() {
            known.node.selection_set.node.items.extend(field.node.selection_set.node.items.clone());
        } else {
            // A condition belongs to one of them only: executed as they stand.
            set.items.push(item);
        }
    }
    Ok(())
}

/// Root fields of fragments without conditions stand among the others.
fn flatten(
    items: Vec<Positioned<Selection>>,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    depth: usize,
    flat: &mut Vec<Positioned<Selection>>,
) {
    for item in items {
        match &item.node {
            Selection::InlineFragment(fragment) if fragment.node.directives.is_empty() => {
                flatten(fragment.node.selection_set.node.items.clone(), fragments, depth + 1, flat);
            }
            Selection::FragmentSpread(spread) if spread.node.directives.is_empty() && depth <= fragments.len() => {
                match fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) => flatten(fragment.node.selection_set.node.items.clone(), fragments, depth + 1, flat),
                    None => flat.push(item),
                }
            }
            _ => flat.push(item),
        }
    }
}
