//! What an operation may cost at most, from its document, its variables and the schema, before anything is done.
//!
//! A record costs 1; a list 2 and so many times what is in it as it has records at most; a sum, a count or a group 5; a
//! search 5; a mutation 10, and what it writes. One pass over the selection, each fragment once.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet};
use async_graphql::registry::{MetaField, MetaType, Registry};
use async_graphql::{Name, Variables};
use async_graphql_value::{ConstValue, Value};

use super::validate::types::{Ty, field};

/// What an operation costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// At most.
    pub requested: u64,
    /// If no list had a record in it.
    pub least: u64,
}

const RECORD: u64 = 1;
const LIST: u64 = 2;
const AGGREGATE: u64 = 5;
const SEARCH: u64 = 5;
const WRITE: u64 = 10;
const SUBSCRIPTION: u64 = 10;
const INTROSPECTION: u64 = 10;
/// Records in a list that says nothing.
const USUAL: u64 = 20;
/// Items of a list that is no page: tags, roles.
const FEW: u64 = 10;

impl Cost {
    const fn of(cost: u64) -> Self {
        Self { requested: cost, least: cost }
    }

    const fn and(self, other: Self) -> Self {
        Self { requested: self.requested.saturating_add(other.requested), least: self.least.saturating_add(other.least) }
    }

    /// So many times at most, and perhaps not at all.
    const fn up_to(self, times: u64) -> Self {
        Self { requested: self.requested.saturating_mul(times), least: 0 }
    }
}

/// Prices operations of one document.
struct Pricing<'a> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    operation: &'a OperationDefinition,
    fragments: HashMap<&'a Name, Parts>,
}

/// What a selection costs.
#[derive(Clone, Copy, Default)]
struct Parts {
    /// Of a page: its records, for each of them.
    each: Cost,
    /// Everything else.
    once: Cost,
}

impl Parts {
    const fn all(self) -> Cost {
        self.each.and(self.once)
    }

    const fn and(self, other: Self) -> Self {
        Self { each: self.each.and(other.each), once: self.once.and(other.once) }
    }
}

/// What an operation costs. The document must fit the schema.
pub fn cost(registry: &Registry, document: &ExecutableDocument, operation: &OperationDefinition, variables: &Variables) -> Cost {
    let mut pricing = Pricing { registry, document, variables, operation, fragments: HashMap::new() };
    let (root, each) = match operation.ty {
        OperationType::Query => (registry.query_type.as_str(), 0),
        OperationType::Mutation => (registry.mutation_type.as_deref().unwrap_or_default(), WRITE),
        OperationType::Subscription => (registry.subscription_type.as_deref().unwrap_or_default(), SUBSCRIPTION),
    };
    let cost = pricing.set(root, &operation.selection_set.node, each).all();
    // Nothing is for nothing.
    Cost { requested: cost.requested.max(1), least: cost.least.max(1) }
}

/// The path in the document at which most of an operation's cost lies.
pub fn costliest(registry: &Registry, document: &ExecutableDocument, operation: &OperationDefinition, variables: &Variables) -> String {
    let mut pricing = Pricing { registry, document, variables, operation, fragments: HashMap::new() };
    let root = match operation.ty {
        OperationType::Query => registry.query_type.as_str(),
        OperationType::Mutation => registry.mutation_type.as_deref().unwrap_or_default(),
        OperationType::Subscription => registry.subscription_type.as_deref().unwrap_or_default(),
    };
    let mut path = Vec::new();
    let mut at = Some((root, &operation.selection_set.node));
    while let Some((ty, set)) = at {
        at = pricing.dearest(ty, set).map(|(name, ty, set)| {
            path.push(name);
            (ty, set)
        });
    }
    path.join(".")
}

impl<'a> Pricing<'a> {
    fn set(&mut self, ty: &'a str, set: &'a SelectionSet, write: u64) -> Parts {
        let mut sum = Parts::default();
        for item in &set.items {
            match &item.node {
                Selection::Field(asked) => {
                    let cost = self.field(ty, &asked.node).and(Cost::of(write));
                    if matches!(asked.node.name.node.as_str(), "nodes" | "edges") {
                        sum.each = sum.each.and(cost);
                    } else {
                        sum.once = sum.once.and(cost);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map_or(ty, |condition| condition.node.on.node.as_str());
                    sum = sum.and(self.set(on, &fragment.node.selection_set.node, write));
                }
                Selection::FragmentSpread(spread) => sum = sum.and(self.fragment(&spread.node.fragment_name.node, write)),
            }
        }
        sum
    }

    fn fragment(&mut self, name: &Name, write: u64) -> Parts {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Parts::default() };
        if let Some(known) = self.fragments.get(name) {
            return *known;
        }
        let cost = self.set(fragment.node.type_condition.node.on.node.as_str(), &fragment.node.selection_set.node, write);
        self.fragments.insert(name, cost);
        cost
    }

    fn field(&mut self, ty: &'a str, asked: &'a Field) -> Cost {
        let name = asked.name.node.as_str();
        if name.starts_with("__") {
            return Cost::of(if name == "__typename" { 0 } else { INTROSPECTION });
        }
        let Some(known) = field(self.registry, ty, name) else { return Cost::default() };
        let of = Ty(&known.ty).name();
        let own = match name {
            "aggregate" | "totalCount" => Cost::of(AGGREGATE),
            "search" => Cost::of(SEARCH),
            _ if self.argument(asked, "search").is_some_and(|search| search != ConstValue::Null) => Cost::of(SEARCH),
            _ if of.ends_with("GroupConnection") => Cost::of(AGGREGATE),
            _ => Cost::default(),
        };
        let below = self.set(of, &asked.selection_set.node, 0);
        // How many there are says the list; an edge only holds what costs.
        if ty.ends_with("Connection") && name == "edges" {
            return below.all();
        }
        if ty.ends_with("Connection") && name == "nodes" || ty.ends_with("Edge") && name == "node" {
            return below.all().and(Cost::of(RECORD));
        }
        own.and(self.times(asked, known, of, below))
    }

    /// What a field and what is below it cost, however often that is.
    fn times(&self, asked: &Field, known: &MetaField, of: &str, parts: Parts) -> Cost {
        let items = |name: &str| match self.argument(asked, name) {
            Some(ConstValue::List(items)) => Some(u64::try_from(items.len()).unwrap_or(u64::MAX)),
            _ => None,
        };
        let number = |name: &str| match self.argument(asked, name) {
            Some(ConstValue::Number(number)) => number.as_u64(),
            _ => None,
        };
        if of.ends_with("Connection") {
            let usual = known.args.get("first").and_then(|first| first.default_value.as_ref()?.parse().ok()).unwrap_or(USUAL);
            let size = number("first").or_else(|| number("last")).unwrap_or(usual);
            return parts.each.up_to(size.max(1)).and(parts.once).and(Cost::of(LIST));
        }
        let below = parts.all();
        let listed = Ty(&known.ty).nullable().0.item().is_some();
        if let Some(count) = items("ids") {
            return below.and(Cost::of(RECORD)).up_to(count);
        }
        // What is written is written, whatever is asked for of it.
        if let Some(count) = items("inputs").or_else(|| number("limit").filter(|_| of.ends_with("Payload"))) {
            let written = Cost { requested: count, least: if items("inputs").is_some() { count } else { 0 } };
            return below.up_to(count.max(1)).and(written);
        }
        // Of a bulk write, whose size is known.
        if listed && (of.ends_with("Payload") || of == "UserError") {
            return below;
        }
        if listed && self.is_composite(of) {
            return below.and(Cost::of(RECORD)).up_to(FEW).and(Cost::of(LIST));
        }
        if self.is_record(of) { below.and(Cost::of(RECORD)) } else { below }
    }

    fn is_composite(&self, ty: &str) -> bool {
        matches!(self.registry.types.get(ty), Some(MetaType::Object { .. } | MetaType::Interface { .. }))
    }

    fn is_record(&self, ty: &str) -> bool {
        let of_any = |name: &str| matches!(self.registry.types.get("AnyRecord"), Some(MetaType::Interface { possible_types, .. }) if possible_types.contains(name));
        match self.registry.types.get(ty) {
            Some(MetaType::Interface { possible_types, .. }) => possible_types.iter().any(|ty| of_any(ty)),
            _ => of_any(ty),
        }
    }

    /// The value of an argument, with its variable.
    fn argument(&self, asked: &Field, name: &str) -> Option<ConstValue> {
        let value = &asked.get_argument(name)?.node;
        match value {
            Value::Variable(name) => self.variables.get(name).cloned().or_else(|| {
                let definition = self.operation.variable_definitions.iter().find(|definition| definition.node.name.node == *name)?;
                definition.node.default_value.as_ref().map(|default| default.node.clone())
            }),
            Value::List(items) => Some(ConstValue::List(vec![ConstValue::Null; items.len()])),
            other => other.clone().into_const(),
        }
    }

    /// The field of a selection that costs most, and what is below it.
    fn dearest(&mut self, ty: &'a str, set: &'a SelectionSet) -> Option<(String, &'a str, &'a SelectionSet)> {
        let mut best: Option<(u64, String, &'a str, &'a SelectionSet)> = None;
        let mut ahead = vec![(ty, set)];
        while let Some((ty, set)) = ahead.pop() {
            for item in &set.items {
                match &item.node {
                    Selection::Field(asked) => {
                        let cost = self.field(ty, &asked.node).requested;
                        let Some(known) = field(self.registry, ty, asked.node.name.node.as_str()) else { continue };
                        if cost > best.as_ref().map_or(1, |best| best.0) {
                            let key = asked.node.response_key().node.to_string();
                            best = Some((cost, key, Ty(&known.ty).name(), &asked.node.selection_set.node));
                        }
                    }
                    Selection::InlineFragment(fragment) => {
                        let on = fragment.node.type_condition.as_ref().map_or(ty, |condition| condition.node.on.node.as_str());
                        ahead.push((on, &fragment.node.selection_set.node));
                    }
                    Selection::FragmentSpread(spread) => {
                        if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                            ahead.push((fragment.node.type_condition.node.on.node.as_str(), &fragment.node.selection_set.node));
                        }
                    }
                }
            }
        }
        best.map(|(_, key, ty, set)| (key, ty, set))
    }
}
