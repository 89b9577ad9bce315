//! From GraphQL's syntax to the door's [`Selection`]: fragments resolved, `@skip` and `@include`
//! decided, arguments turned into values.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::parser::types::{Directive, Field, Selection as Node, SelectionSet};
use async_graphql::{Context, Positioned, Value};
use async_graphql_value::Value as Literal;
use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::records::selection::{Item, Selection, check_keys};

/// More than any document needs: the check before execution bounds it long before.
const DEEPEST: usize = 64;

/// The selection below the field that is being resolved.
pub fn below(ctx: &Context<'_>) -> Result<Selection> {
    of_set(ctx, &ctx.item.node.selection_set.node)
}

pub fn of_set<T>(ctx: &async_graphql::ContextBase<'_, T>, set: &SelectionSet) -> Result<Selection> {
    let mut items = Vec::with_capacity(set.items.len());
    Collecting { ctx, arguments: HashMap::new() }.collect(set, &[], &mut items, 0)?;
    let selection = Selection { items };
    check_keys(&[&selection])?;
    Ok(selection)
}

/// The arguments of the field that is being resolved.
pub fn arguments(ctx: &Context<'_>) -> Map<String, Json> {
    arguments_of(ctx, &ctx.item.node)
}

fn arguments_of<T>(ctx: &async_graphql::ContextBase<'_, T>, field: &Field) -> Map<String, Json> {
    field.arguments.iter().filter_map(|(name, value)| Some((name.node.to_string(), to_json(ctx, &value.node)?))).collect()
}

/// On the way through a document.
struct Collecting<'a, 'c, T> {
    ctx: &'a async_graphql::ContextBase<'c, T>,
    /// Arguments of fields that were met, which fragments bring into many places.
    arguments: HashMap<*const Field, Arc<Map<String, Json>>>,
}

impl<T> Collecting<'_, '_, T> {
    fn collect(&mut self, set: &SelectionSet, on: &[String], items: &mut Vec<Item>, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(Error::bad_request("The document is nested too deeply."));
        }
        // Spread twice in one place, a fragment says nothing new.
        let mut spread = HashSet::new();
        for node in &set.items {
            if is_skipped(self.ctx, node.node.directives()) {
                continue;
            }
            match &node.node {
                Node::Field(field) => {
                    let field = &field.node;
                    let mut children = Vec::new();
                    self.collect(&field.selection_set.node, &[], &mut children, depth + 1)?;
                    items.push(Item {
                        key: field.response_key().node.to_string(),
                        name: field.name.node.to_string(),
                        arguments: self.arguments(field),
                        on: on.to_vec(),
                        children: Selection { items: children },
                    });
                }
                Node::FragmentSpread(found) => {
                    let name = &found.node.fragment_name.node;
                    if let Some(fragment) = self.ctx.query_env.fragments.get(name).filter(|_| spread.insert(name)) {
                        let on = with(on, Some(fragment.node.type_condition.node.on.node.as_str()));
                        self.collect(&fragment.node.selection_set.node, &on, items, depth + 1)?;
                    }
                }
                Node::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    self.collect(&fragment.node.selection_set.node, &with(on, condition), items, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn arguments(&mut self, field: &Field) -> Arc<Map<String, Json>> {
        let key: *const Field = field;
        self.arguments.entry(key).or_insert_with(|| Arc::new(arguments_of(self.ctx, field))).clone()
    }
}

fn with(on: &[String], condition: Option<&str>) -> Vec<String> {
    on.iter().cloned().chain(condition.map(str::to_owned)).collect()
}

fn is_skipped<T>(ctx: &async_graphql::ContextBase<'_, T>, directives: &[Positioned<Directive>]) -> bool {
    directives.iter().any(|directive| {
        let condition =
            directive.node.arguments.iter().find(|(name, _)| name.node == "if").and_then(|(_, value)| to_json(ctx, &value.node));
        match directive.node.name.node.as_str() {
            "skip" => condition == Some(Json::Bool(true)),
            "include" => condition == Some(Json::Bool(false)),
            _ => false,
        }
    })
}

/// A literal with its variables; none where a variable was not given.
fn to_json<T>(ctx: &async_graphql::ContextBase<'_, T>, value: &Literal) -> Option<Json> {
    Some(match value {
        Literal::Variable(name) => return variable(ctx, name),
        Literal::Null => Json::Null,
        Literal::Number(number) => Json::Number(number.clone()),
        Literal::String(text) => Json::String(text.clone()),
        Literal::Boolean(yes) => Json::Bool(*yes),
        Literal::Enum(name) => Json::String(name.to_string()),
        Literal::Binary(_) => return None,
        Literal::List(items) => Json::Array(items.iter().map(|item| to_json(ctx, item).unwrap_or(Json::Null)).collect()),
        Literal::Object(members) => {
            Json::Object(members.iter().filter_map(|(name, value)| Some((name.to_string(), to_json(ctx, value)?))).collect())
        }
    })
}

fn variable<T>(ctx: &async_graphql::ContextBase<'_, T>, name: &str) -> Option<Json> {
    if let Some(given) = ctx.query_env.variables.get(name) {
        return given.clone().into_json().ok();
    }
    let definitions = &ctx.query_env.operation.node.variable_definitions;
    let definition = definitions.iter().find(|definition| definition.node.name.node == name)?;
    let default: Value = definition.node.default_value()?.clone();
    default.into_json().ok()
}
