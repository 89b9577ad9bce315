//! Fields with one name in the answer (GraphQL, section "Field Selection Merging").
//!
//! Selections that land in the same place of the answer are looked at together, level by level, each fragment once for a
//! place; the check before bounds how many fields that can be.

use std::collections::HashSet;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationType, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::{Name, Positioned};
use indexmap::IndexMap;

use super::Errors;
use super::types::{Ty, field, is_composite, is_object};

/// A field and the type on which it is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    on: &'a str,
    field: &'a Positioned<Field>,
}

type Groups<'a> = IndexMap<&'a str, Vec<Asked<'a>>>;

struct Merging<'a, 'e> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    errors: &'e mut Errors,
}

pub fn check(registry: &Registry, document: &ExecutableDocument, errors: &mut Errors) {
    let mut merging = Merging { registry, document, errors };
    for (_, operation) in document.operations.iter() {
        let root = match operation.node.ty {
            OperationType::Query => Some(registry.query_type.as_str()),
            OperationType::Mutation => registry.mutation_type.as_deref(),
            OperationType::Subscription => registry.subscription_type.as_deref(),
        };
        let set = [(root.unwrap_or_default(), &operation.node.selection_set.node)];
        merging.same(&set);
        merging.shapes(&set);
    }
}

impl<'a> Merging<'a, '_> {
    /// Fields of one object under one name are the same field with the same arguments.
    fn same(&mut self, sets: &[(&'a str, &'a SelectionSet)]) {
        for (key, asked) in self.groups(sets) {
            for together in self.together(&asked) {
                let first = together[0];
                for other in &together[1..] {
                    let (a, b) = (&first.field.node, &other.field.node);
                    if a.name.node != b.name.node {
                        let what = format!(
                            "\"{key}\" names two different fields, \"{}\" and \"{}\": give one of them an alias.",
                            a.name.node, b.name.node
                        );
                        self.errors.add(other.field.pos, what);
                        return;
                    }
                    if !same_arguments(a, b) {
                        let what = format!("\"{key}\" is asked for with different arguments: give one of them an alias.");
                        self.errors.add(other.field.pos, what);
                        return;
                    }
                }
                let below = self.below(&together);
                if !below.is_empty() {
                    self.same(&below);
                }
            }
        }
    }

    /// Whatever comes under one name has one shape.
    fn shapes(&mut self, sets: &[(&'a str, &'a SelectionSet)]) {
        for (key, asked) in self.groups(sets) {
            let types: Vec<&str> = asked.iter().filter_map(|asked| self.type_of(asked)).collect();
            if let Some((first, rest)) = types.split_first() {
                for (ty, other) in rest.iter().zip(&asked[1..]) {
                    if !self.same_shape(Ty(first), Ty(ty)) {
                        let what = format!("\"{key}\" would be of type \"{first}\" and of type \"{ty}\": give one of them an alias.");
                        self.errors.add(other.field.pos, what);
                        return;
                    }
                }
            }
            let below = self.below(&asked);
            if !below.is_empty() {
                self.shapes(&below);
            }
        }
    }

    fn groups(&self, sets: &[(&'a str, &'a SelectionSet)]) -> Groups<'a> {
        let (mut groups, mut seen) = (Groups::new(), HashSet::new());
        for (on, set) in sets {
            self.collect(on, set, &mut groups, &mut seen);
        }
        groups
    }

    fn collect(&self, on: &'a str, set: &'a SelectionSet, groups: &mut Groups<'a>, seen: &mut HashSet<&'a Name>) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    groups.entry(field.node.response_key().node.as_str()).or_default().push(Asked { on, field });
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map_or(on, |condition| condition.node.on.node.as_str());
                    self.collect(on, &fragment.node.selection_set.node, groups, seen);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some((name, fragment)) = self.document.fragments.get_key_value(&spread.node.fragment_name.node)
                        && seen.insert(name)
                    {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.collect(on, &fragment.node.selection_set.node, groups, seen);
                    }
                }
            }
        }
    }

    /// The fields that can be of one and the same object: those on each object type, with those on interfaces.
    fn together(&self, asked: &[Asked<'a>]) -> Vec<Vec<Asked<'a>>> {
        let is_object = |asked: &Asked<'a>| is_object(self.registry, asked.on);
        let objects: HashSet<&str> = asked.iter().filter(|asked| is_object(asked)).map(|asked| asked.on).collect();
        if objects.len() <= 1 {
            return vec![asked.to_vec()];
        }
        objects.into_iter().map(|object| asked.iter().filter(|asked| asked.on == object || !is_object(asked)).copied().collect()).collect()
    }

    /// The selections below fields, with the types that these have.
    fn below(&self, asked: &[Asked<'a>]) -> Vec<(&'a str, &'a SelectionSet)> {
        let below = asked.iter().filter_map(|asked| {
            let set = &asked.field.node.selection_set.node;
            (!set.items.is_empty()).then_some((Ty(self.type_of(asked)?).name(), set))
        });
        below.collect()
    }

    fn type_of(&self, asked: &Asked<'a>) -> Option<&'a str> {
        match asked.field.node.name.node.as_str() {
            "__typename" => Some("String!"),
            name => field(self.registry, asked.on, name).map(|field| field.ty.as_str()),
        }
    }

    fn same_shape(&self, a: Ty<'_>, b: Ty<'_>) -> bool {
        let ((a, a_is_there), (b, b_is_there)) = (a.nullable(), b.nullable());
        if a_is_there != b_is_there {
            return false;
        }
        match (a.item(), b.item()) {
            (Some(a), Some(b)) => self.same_shape(a, b),
            (None, None) => a == b || [a, b].iter().all(|ty| self.registry.types.get(ty.0).is_some_and(is_composite)),
            _ => false,
        }
    }
}

fn same_arguments(a: &Field, b: &Field) -> bool {
    let find = |name: &Name| b.arguments.iter().find(|(other, _)| other.node == *name).map(|(_, value)| &value.node);
    a.arguments.len() == b.arguments.len()
        && a.arguments.iter().all(|(name, value)| find(&name.node).is_some_and(|other| value.node == *other))
}
