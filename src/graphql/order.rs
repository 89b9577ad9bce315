//! The order of an answer's members: that of the document (GraphQL, section "Response").
//!
//! async-graphql gives the fields of a static type in the order in which they were done, so a slow root
//! field would come last. Records come as finished JSON, whose order is the planner's.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::indexmap::IndexMap;

/// The members of an object in order, and those of what lies in them.
#[derive(Debug, Default)]
pub struct Order(IndexMap<Name, Self>);

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

impl Order {
    /// What the operation of that name asks for; the only operation, without one.
    pub fn of(document: &ExecutableDocument, operation: Option<&str>) -> Self {
        let mut order = Self::default();
        if let Some(operation) = chosen(document, operation) {
            order.add(&operation.node.selection_set.node, &document.fragments);
        }
        order
    }

    pub fn members(&self) -> impl Iterator<Item = (&Name, &Self)> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, set: &SelectionSet, fragments: &Fragments) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    let below = self.0.entry(field.node.response_key().node.clone()).or_default();
                    below.add(&field.node.selection_set.node, fragments);
                }
                Selection::InlineFragment(fragment) => self.add(&fragment.node.selection_set.node, fragments),
                // The check before has refused fragments that contain themselves, and selections without end.
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        self.add(&fragment.node.selection_set.node, fragments);
                    }
                }
            }
        }
    }
}

/// The operation that runs.
pub fn chosen<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a Positioned<OperationDefinition>> {
    match &document.operations {
        DocumentOperations::Single(only) => Some(only),
        DocumentOperations::Multiple(all) if name.is_none() && all.len() == 1 => all.values().next(),
        DocumentOperations::Multiple(all) => all.iter().find(|(known, _)| name == Some(known.as_str())).map(|(_, found)| found),
    }
}
