//! Over the document, with the types that its fields have.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet, VariableDefinition,
};
use async_graphql::registry::{__DirectiveLocation as Location, Registry};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::ConstValue;

use super::Errors;
use super::types::{Ty, field, is_composite, is_input, overlap, written};
use super::values::{Usage, Values};

/// What an operation or a fragment says by itself.
#[derive(Default)]
struct Part<'a> {
    usages: Vec<Usage<'a>>,
    spreads: Vec<&'a Name>,
}

struct Walker<'a, 'e> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    errors: &'e mut Errors,
    part: Part<'a>,
}

pub fn walk(registry: &Registry, document: &ExecutableDocument, errors: &mut Errors) {
    let mut walker = Walker { registry, document, errors, part: Part::default() };
    let mut fragments: HashMap<&Name, Part<'_>> = HashMap::new();
    for (name, fragment) in &document.fragments {
        let on = &fragment.node.type_condition.node.on;
        walker.directives(&fragment.node.directives, Location::FRAGMENT_DEFINITION);
        if walker.condition(on) {
            walker.set(on.node.as_str(), &fragment.node.selection_set.node);
        }
        fragments.insert(name, std::mem::take(&mut walker.part));
    }
    let mut used: HashSet<&Name> = HashSet::new();
    for (_, operation) in document.operations.iter() {
        walker.operation(&operation.node, operation.pos);
        let part = std::mem::take(&mut walker.part);
        let reached = reached(&part, &fragments);
        used.extend(&reached);
        let usages = part.usages.iter().chain(reached.iter().filter_map(|name| fragments.get(name)).flat_map(|part| &part.usages));
        walker.variables(&operation.node.variable_definitions, usages);
    }
    for (name, fragment) in &document.fragments {
        if !used.contains(name) {
            walker.errors.add(fragment.pos, format!("The fragment \"{name}\" is never used."));
        }
    }
}

/// The fragments that an operation leads to.
fn reached<'a>(part: &Part<'a>, fragments: &HashMap<&'a Name, Part<'a>>) -> HashSet<&'a Name> {
    let mut reached = HashSet::new();
    let mut ahead = part.spreads.clone();
    while let Some(name) = ahead.pop() {
        if reached.insert(name)
            && let Some(part) = fragments.get(name)
        {
            ahead.extend(&part.spreads);
        }
    }
    reached
}

impl<'a> Walker<'a, '_> {
    fn operation(&mut self, operation: &'a OperationDefinition, at: Pos) {
        let registry = self.registry;
        let (root, location) = match operation.ty {
            OperationType::Query => (Some(registry.query_type.as_str()), Location::QUERY),
            OperationType::Mutation => (registry.mutation_type.as_deref(), Location::MUTATION),
            OperationType::Subscription => (registry.subscription_type.as_deref(), Location::SUBSCRIPTION),
        };
        self.directives(&operation.directives, location);
        match root {
            Some(root) => self.set(root, &operation.selection_set.node),
            None => self.errors.add(at, "The schema has no operations of this kind."),
        }
    }

    fn set(&mut self, ty: &'a str, set: &'a SelectionSet) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    self.directives(&field.node.directives, Location::FIELD);
                    self.field(ty, &field.node, field.pos);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives, Location::FRAGMENT_SPREAD);
                    let name = &spread.node.fragment_name.node;
                    match self.document.fragments.get_key_value(name) {
                        Some((name, fragment)) => {
                            self.part.spreads.push(name);
                            self.meets(ty, fragment.node.type_condition.node.on.node.as_str(), spread.pos);
                        }
                        None => self.errors.add(spread.pos, format!("There is no fragment \"{name}\".")),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives, Location::INLINE_FRAGMENT);
                    let on = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on);
                    let fits = on.is_none_or(|on| self.condition(on) && self.meets(ty, on.node.as_str(), fragment.pos));
                    if fits {
                        self.set(on.map_or(ty, |on| on.node.as_str()), &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn field(&mut self, ty: &'a str, asked: &'a Field, at: Pos) {
        let (name, below) = (asked.name.node.as_str(), &asked.selection_set.node);
        if name == "__typename" {
            if !below.items.is_empty() || !asked.arguments.is_empty() {
                self.errors.add(at, "\"__typename\" has no arguments, and nothing below it.");
            }
            return;
        }
        let Some(known) = field(self.registry, ty, name) else {
            self.errors.add(at, format!("Unknown field \"{name}\" on type \"{ty}\"."));
            return;
        };
        self.values().arguments(&format!("field \"{ty}.{name}\""), at, &asked.arguments, &known.args);
        let of = Ty(&known.ty).name();
        match (self.registry.types.get(of).is_some_and(is_composite), below.items.is_empty()) {
            (true, true) => self.errors.add(at, format!("Select fields of \"{name}\": its type \"{}\" has some.", known.ty)),
            (false, false) => {
                self.errors.add(at, format!("Nothing can be selected of \"{name}\": its type \"{}\" has no fields.", known.ty));
            }
            (true, false) => self.set(of, below),
            (false, true) => {}
        }
    }

    fn values(&mut self) -> Values<'a, '_> {
        Values { registry: self.registry, errors: &mut *self.errors, usages: &mut self.part.usages }
    }

    /// Whether a fragment can be on a type.
    fn condition(&mut self, on: &Positioned<Name>) -> bool {
        let name = &on.node;
        match self.registry.types.get(name.as_str()) {
            Some(ty) if is_composite(ty) => return true,
            Some(_) => self.errors.add(on.pos, format!("No fragment can be on \"{name}\": it has no fields.")),
            None => self.errors.add(on.pos, format!("Unknown type \"{name}\".")),
        }
        false
    }

    /// Whether a fragment on one type can apply inside of another.
    fn meets(&mut self, ty: &str, on: &str, at: Pos) -> bool {
        if !self.registry.types.contains_key(on) || overlap(self.registry, ty, on) {
            return true;
        }
        self.errors.add(at, format!("No \"{ty}\" is a \"{on}\", so this fragment would never apply."));
        false
    }

    fn directives(&mut self, given: &'a [Positioned<Directive>], location: Location) {
        for (index, directive) in given.iter().enumerate() {
            let name = directive.node.name.node.as_str();
            let Some(known) = self.registry.directives.get(name) else {
                self.errors.add(directive.pos, format!("Unknown directive \"@{name}\"."));
                continue;
            };
            if !known.locations.contains(&location) {
                self.errors.add(directive.pos, format!("\"@{name}\" does not belong here."));
            }
            if !known.is_repeatable && given[..index].iter().any(|other| other.node.name.node == name) {
                self.errors.add(directive.pos, format!("\"@{name}\" stands here twice."));
            }
            self.values().arguments(&format!("\"@{name}\""), directive.pos, &directive.node.arguments, &known.args);
        }
    }

    /// The variables of an operation, against how they are used.
    fn variables<'u>(&mut self, defined: &'a [Positioned<VariableDefinition>], usages: impl Iterator<Item = &'u Usage<'a>>)
    where
        'a: 'u,
    {
        let mut unused: HashSet<&Name> = HashSet::new();
        for variable in defined {
            self.variable(&variable.node, variable.pos);
            unused.insert(&variable.node.name.node);
        }
        for usage in usages {
            unused.remove(usage.name);
            let Some(variable) = defined.iter().find(|variable| variable.node.name.node == *usage.name) else {
                self.errors.add(usage.at, format!("The variable \"${}\" is not defined.", usage.name));
                continue;
            };
            let ty = written(&variable.node.var_type.node);
            if !allows(&variable.node, &ty, usage) {
                let wanted = usage.wanted.unwrap_or_default();
                self.errors.add(usage.at, format!("The variable \"${}\" is of type \"{ty}\"; here \"{wanted}\" is expected.", usage.name));
            }
        }
        for variable in defined.iter().filter(|variable| unused.contains(&variable.node.name.node)) {
            self.errors.add(variable.pos, format!("The variable \"${}\" is never used.", variable.node.name.node));
        }
    }

    fn variable(&mut self, variable: &'a VariableDefinition, at: Pos) {
        self.directives(&variable.directives, Location::VARIABLE_DEFINITION);
        let ty = written(&variable.var_type.node);
        match self.registry.types.get_key_value(Ty(&ty).name()) {
            None => self.errors.add(at, format!("Unknown type \"{}\".", Ty(&ty).name())),
            Some((_, known)) if !is_input(known) => self.errors.add(at, format!("\"{ty}\" is no type of variables.")),
            Some(_) => {
                if let Some(default) = &variable.default_value
                    && !self.default_fits(&ty, &default.node)
                {
                    self.errors.add(default.pos, format!("The default is not of type \"{ty}\"."));
                }
            }
        }
    }

    /// A default is a literal: names of enums stand there without quotes.
    fn default_fits(&self, ty: &str, default: &ConstValue) -> bool {
        let literal = default.clone().into_value();
        let (mut errors, mut usages) = (Errors::default(), Vec::new());
        let mut values = Values { registry: self.registry, errors: &mut errors, usages: &mut usages };
        values.literal(ty, &literal, Pos::default(), false);
        errors.0.is_empty()
    }
}

/// Whether a variable may stand where it stands (GraphQL, section "All Variable Usages Are Allowed").
fn allows(variable: &VariableDefinition, ty: &str, usage: &Usage<'_>) -> bool {
    let Some(wanted) = usage.wanted else { return true };
    let (nullable, is_required) = Ty(wanted).nullable();
    if !is_required || ty.ends_with('!') {
        return Ty(ty).fits(Ty(wanted));
    }
    let has_default = variable.default_value.as_ref().is_some_and(|default| default.node != ConstValue::Null);
    (has_default || usage.has_default) && Ty(ty).fits(nullable)
}
