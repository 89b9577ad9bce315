//! Literals against types.

use async_graphql::registry::{MetaInputValue, MetaType, Registry};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::{ConstValue, Value};
use indexmap::IndexMap;

use super::Errors;
use super::types::Ty;

/// Where a variable stands.
#[derive(Clone, Debug)]
pub struct Usage<'a> {
    pub name: &'a Name,
    pub at: Pos,
    /// The type that is wanted there; none inside of scalars that take anything.
    pub wanted: Option<&'a str>,
    /// Whether something stands there if the variable is not given.
    pub has_default: bool,
}

pub struct Values<'a, 'e> {
    pub registry: &'a Registry,
    pub errors: &'e mut Errors,
    pub usages: &'e mut Vec<Usage<'a>>,
}

impl<'a> Values<'a, '_> {
    /// Arguments of a field or a directive.
    pub fn arguments(
        &mut self,
        of: &str,
        at: Pos,
        given: &'a [(Positioned<Name>, Positioned<Value>)],
        known: &'a IndexMap<String, MetaInputValue>,
    ) {
        for (name, value) in given {
            match known.get(name.node.as_str()) {
                Some(argument) => self.literal(&argument.ty, &value.node, value.pos, argument.default_value.is_some()),
                None => {
                    self.errors.add(name.pos, format!("Unknown argument \"{}\" on {of}.", name.node));
                    self.variables(&value.node, value.pos);
                }
            }
        }
        for (name, argument) in known {
            let is_given = given.iter().any(|(given, _)| given.node == name.as_str());
            if !is_given && argument.default_value.is_none() && argument.ty.ends_with('!') {
                self.errors.add(at, format!("The argument \"{name}\" of {of} is missing; its type is \"{}\".", argument.ty));
            }
        }
    }

    /// A literal where a value of a type is wanted.
    pub fn literal(&mut self, wanted: &'a str, value: &'a Value, at: Pos, has_default: bool) {
        if let Value::Variable(name) = value {
            self.usages.push(Usage { name, at, wanted: Some(wanted), has_default });
            return;
        }
        let (ty, is_required) = Ty(wanted).nullable();
        match (value, ty.item()) {
            (Value::Null, _) if is_required => self.errors.add(at, format!("Expected a value of type \"{wanted}\", found null.")),
            (Value::Null, _) => {}
            (Value::List(items), Some(item)) => items.iter().for_each(|value| self.literal(item.0, value, at, false)),
            // One value where a list is wanted is a list of it.
            (_, Some(item)) => self.literal(item.0, value, at, false),
            (_, None) => self.named(ty.0, value, at),
        }
    }

    fn named(&mut self, name: &'a str, value: &'a Value, at: Pos) {
        match (self.registry.types.get(name), value) {
            (Some(MetaType::InputObject { input_fields, oneof, .. }), Value::Object(members)) => {
                self.input(name, input_fields, (*oneof, at), members);
            }
            (Some(MetaType::Enum { enum_values, .. }), Value::Enum(given)) if enum_values.contains_key(given.as_str()) => {}
            (Some(MetaType::Scalar { is_valid, .. }), _) => {
                self.variables(value, at);
                let is_plain = value.clone().into_const();
                let fits = match (name, &is_plain) {
                    // What contains variables is looked at with their values.
                    (_, None) => true,
                    (_, Some(value)) => is_scalar(name, value) && is_valid.as_ref().is_none_or(|is_valid| is_valid(value)),
                };
                if !fits {
                    self.errors.add(at, format!("Expected a value of type \"{name}\"."));
                }
            }
            (Some(_), _) => self.errors.add(at, format!("Expected a value of type \"{name}\".")),
            // What is not known is told where it is named.
            (None, _) => {}
        }
    }

    fn input(
        &mut self,
        name: &str,
        known: &'a IndexMap<String, MetaInputValue>,
        (one_of, at): (bool, Pos),
        members: &'a IndexMap<Name, Value>,
    ) {
        for (member, value) in members {
            match known.get(member.as_str()) {
                Some(field) => {
                    self.literal(&field.ty, value, at, field.default_value.is_some());
                }
                None => {
                    self.errors.add(at, format!("\"{name}\" has no member \"{member}\"."));
                    self.variables(value, at);
                }
            }
        }
        if one_of && (members.len() != 1 || members.values().any(|value| *value == Value::Null)) {
            self.errors.add(at, format!("Exactly one member of \"{name}\" is given, and it is not null."));
        }
        for (member, field) in known {
            if field.ty.ends_with('!') && field.default_value.is_none() && !members.contains_key(member.as_str()) {
                self.errors.add(at, format!("The member \"{member}\" of \"{name}\" is missing; its type is \"{}\".", field.ty));
            }
        }
    }

    /// Variables in a value of which nothing else is known.
    fn variables(&mut self, value: &'a Value, at: Pos) {
        match value {
            Value::Variable(name) => self.usages.push(Usage { name, at, wanted: None, has_default: true }),
            Value::List(items) => items.iter().for_each(|value| self.variables(value, at)),
            Value::Object(members) => members.values().for_each(|value| self.variables(value, at)),
            _ => {}
        }
    }
}

/// Whether a value is of a built-in scalar; of others their own test decides.
pub fn is_scalar(name: &str, value: &ConstValue) -> bool {
    match (name, value) {
        ("Int", ConstValue::Number(number)) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ("Float", ConstValue::Number(_)) | ("String" | "ID", ConstValue::String(_)) | ("Boolean", ConstValue::Boolean(_)) => true,
        ("ID", ConstValue::Number(number)) => number.is_i64() || number.is_u64(),
        ("Int" | "Float" | "String" | "ID" | "Boolean", _) => false,
        _ => true,
    }
}
