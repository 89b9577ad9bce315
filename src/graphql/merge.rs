//! Root fields that are asked for twice become one.
//!
//! Clients that compose documents of fragments ask for the same root field in several places, and
//! GraphQL merges them (section "Field Selection Merging"). async-graphql executes each by itself and
//! keeps the first one's answer, so the merging is done before.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use crate::error::{Error, Result};

/// Merges equal root fields of every operation.
pub fn merge_roots(document: &mut ExecutableDocument) -> Result<()> {
    let mut inlined = HashSet::new();
    let operations: Vec<&mut Positioned<OperationDefinition>> = match &mut document.operations {
        DocumentOperations::Single(only) => vec![only],
        DocumentOperations::Multiple(all) => all.values_mut().collect(),
    };
    let mut spread = HashSet::new();
    for operation in operations {
        let root = match operation.node.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        let set = &mut operation.node.selection_set.node;
        let mut flat = Vec::new();
        flatten(std::mem::take(&mut set.items), &document.fragments, root, &mut inlined, &mut flat);
        merge(set, flat)?;
        spreads(set, &mut spread);
    }
    for fragment in document.fragments.values() {
        spreads(&fragment.node.selection_set.node, &mut spread);
    }
    // A fragment that stood at the root alone is used up; left there, validation would call it unused.
    document.fragments.retain(|name, _| !inlined.contains(name) || spread.contains(name));
    Ok(())
}

/// The fragments that a selection spreads.
fn spreads(set: &SelectionSet, found: &mut HashSet<Name>) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => spreads(&field.node.selection_set.node, found),
            Selection::InlineFragment(fragment) => spreads(&fragment.node.selection_set.node, found),
            Selection::FragmentSpread(spread) => drop(found.insert(spread.node.fragment_name.node.clone())),
        }
    }
}

fn merge(set: &mut SelectionSet, flat: Vec<Positioned<Selection>>) -> Result<()> {
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
    root: &str,
    inlined: &mut HashSet<Name>,
    flat: &mut Vec<Positioned<Selection>>,
) {
    for item in items {
        match &item.node {
            Selection::InlineFragment(fragment)
                if fragment.node.directives.is_empty()
                    && fragment.node.type_condition.as_ref().is_none_or(|on| on.node.on.node == root) =>
            {
                flatten(fragment.node.selection_set.node.items.clone(), fragments, root, inlined, flat);
            }
            Selection::FragmentSpread(spread) if spread.node.directives.is_empty() => {
                let name = &spread.node.fragment_name.node;
                // The check before has refused fragments that contain themselves.
                match fragments.get(name).filter(|fragment| fragment.node.type_condition.node.on.node == root) {
                    Some(fragment) => {
                        inlined.insert(name.clone());
                        flatten(fragment.node.selection_set.node.items.clone(), fragments, root, inlined, flat);
                    }
                    None => flat.push(item),
                }
            }
            _ => flat.push(item),
        }
    }
}
