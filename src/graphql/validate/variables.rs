//! Values of variables against the types that the operation gives them (GraphQL, section "Coercing Variable Values").

use async_graphql::parser::types::OperationDefinition;
use async_graphql::registry::{MetaType, Registry};
use async_graphql::{ServerError, Variables};
use async_graphql_value::ConstValue;

use super::types::{Ty, written};
use super::values::is_scalar;

/// What is wrong with the values that a request gives to an operation's variables.
pub fn check(registry: &Registry, operation: &OperationDefinition, given: &Variables) -> Result<(), ServerError> {
    for definition in &operation.variable_definitions {
        let (name, ty) = (&definition.node.name.node, written(&definition.node.var_type.node));
        let wrong = |what: String| ServerError::new(what, Some(definition.pos));
        match given.get(name) {
            None if definition.node.default_value.is_none() && ty.ends_with('!') => {
                return Err(wrong(format!("The variable \"${name}\" of type \"{ty}\" is not given.")));
            }
            None => {}
            Some(value) => {
                let mut path = Vec::new();
                fits(registry, Ty(&ty), value, &mut path).map_err(|what| {
                    let place: String = path.iter().rev().map(String::as_str).collect();
                    wrong(format!(
                        "The value of the variable \"${name}\"{}{place} does not fit: {what}",
                        if place.is_empty() { "" } else { " at " }
                    ))
                })?;
            }
        }
    }
    Ok(())
}

/// Whether a value fits a type; `path` is where it does not, innermost first.
fn fits(registry: &Registry, wanted: Ty<'_>, value: &ConstValue, path: &mut Vec<String>) -> Result<(), String> {
    let (ty, is_required) = wanted.nullable();
    match (value, ty.item()) {
        (ConstValue::Null, _) if is_required => Err(format!("expected a value of type \"{}\", found null.", wanted.0)),
        (ConstValue::Null, _) => Ok(()),
        (ConstValue::List(items), Some(item)) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| fits(registry, item, value, path).inspect_err(|_| path.push(format!("[{index}]")))),
        (_, Some(item)) => fits(registry, item, value, path),
        (_, None) => named(registry, ty.0, value, path),
    }
}

fn named(registry: &Registry, name: &str, value: &ConstValue, path: &mut Vec<String>) -> Result<(), String> {
    let expected = || Err(format!("expected a value of type \"{name}\"."));
    match (registry.types.get(name), value) {
        (Some(MetaType::Scalar { is_valid, .. }), value) => {
            if is_scalar(name, value) && is_valid.as_ref().is_none_or(|is_valid| is_valid(value)) { Ok(()) } else { expected() }
        }
        (Some(MetaType::Enum { enum_values, .. }), ConstValue::String(given)) if enum_values.contains_key(given) => Ok(()),
        (Some(MetaType::Enum { enum_values, .. }), ConstValue::Enum(given)) if enum_values.contains_key(given.as_str()) => Ok(()),
        (Some(MetaType::InputObject { input_fields, oneof, .. }), ConstValue::Object(members)) => {
            if let Some(unknown) = members.keys().find(|member| !input_fields.contains_key(member.as_str())) {
                return Err(format!("\"{name}\" has no member \"{}\".", unknown.chars().take(60).collect::<String>()));
            }
            if *oneof && (members.len() != 1 || members.values().any(|value| *value == ConstValue::Null)) {
                return Err(format!("exactly one member of \"{name}\" is given, and it is not null."));
            }
            for (member, field) in input_fields {
                match members.get(member.as_str()) {
                    Some(value) => {
                        fits(registry, Ty(&field.ty), value, path).inspect_err(|_| path.push(format!(".{member}")))?;
                    }
                    None if field.ty.ends_with('!') && field.default_value.is_none() => {
                        return Err(format!("the member \"{member}\" of \"{name}\" is missing; its type is \"{}\".", field.ty));
                    }
                    None => {}
                }
            }
            Ok(())
        }
        (None, _) => Ok(()),
        _ => expected(),
    }
}
