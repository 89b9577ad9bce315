//! Computed fields find what they are reckoned of.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::check::{Checked, HEAVIEST, check};
use super::parse::{Wrong, parse};
use super::{Computed, How, RollUp, RollUpFunction, Ty};
use crate::catalog::{Field, Kind, Object, SelectOption, Settings, Source, Target};

/// Objects by name.
pub type Objects = IndexMap<String, Arc<Object>>;

/// A computed field, and of which kind its value is.
#[derive(Debug)]
pub struct Made {
    pub computed: Computed,
    pub kind: Kind,
    /// Of a value that is chosen.
    pub options: Vec<SelectOption>,
}

impl Made {
    /// Gives it to the field that it is of.
    pub fn settle(self, field: &mut Field) {
        if let Source::Computed { computed, .. } = &mut field.source {
            *computed = Arc::new(self.computed);
        }
        field.kind = self.kind;
        field.settings.options = self.options;
    }
}

/// What a roll-up weighs beside what it rolls up.
const ROLL_UP: usize = 20;
/// What is rolled up is reckoned many times.
const TIMES: usize = 5;

/// Makes the computed field that some settings define, for an object.
pub fn make(settings: &Settings, object: &Object, objects: &Objects) -> Result<Made, Wrong> {
    match (&settings.formula, &settings.roll_up) {
        (Some(text), _) => {
            let find = |name: &str| objects.get(name).cloned();
            let Checked { typed, depends, weight } = check(&parse(text)?, object, &find)?;
            let kind = typed.ty.kind().unwrap_or(Kind::Text);
            Ok(Made { computed: Computed { how: How::Formula(typed), depends, weight }, kind, options: Vec::new() })
        }
        (None, Some(roll_up)) => rolled_up(roll_up, object, objects),
        (None, None) => Err(Wrong::new(1, "A computed field has a formula or a roll-up.")),
    }
}

/// Gives all computed fields what they are reckoned of; what cannot be reckoned any more is as if it were archived.
pub fn resolve(objects: &mut Objects) {
    loop {
        let mut made = Vec::new();
        for (name, field) in unresolved(objects) {
            if let Ok(found) = make(&field.settings, &objects[&name], objects) {
                made.push((name, field, found));
            }
        }
        if made.is_empty() {
            break;
        }
        for (object, field, found) in made {
            change(objects, &object, &field, |field| found.settle(field));
        }
    }
    for (object, field) in unresolved(objects) {
        change(objects, &object, &field, |field| field.archived = true);
    }
}

/// Live fields that are computed of what is not known yet.
fn unresolved(objects: &Objects) -> Vec<(String, Field)> {
    let fields = objects.values().flat_map(|object| object.all_fields().map(move |field| (object, field)));
    let open = fields.filter(|(_, field)| !field.archived && is_open(field));
    open.map(|(object, field)| (object.name.clone(), field.clone())).collect()
}

/// Whether it is not known yet, or not any more, what the field is computed of.
fn is_open(field: &Field) -> bool {
    matches!(&field.source, Source::Computed { computed, .. } if computed.how == How::Unresolved)
}

fn change(objects: &mut Objects, object: &str, field: &Field, change: impl FnOnce(&mut Field)) {
    let Some(object) = objects.get_mut(object) else { return };
    let object = Arc::make_mut(object);
    let fields = if field.added { &mut object.custom } else { &mut object.fields };
    if let Some(field) = fields.get_mut(&field.name) {
        change(field);
    }
}

fn rolled_up(roll_up: &RollUp, object: &Object, objects: &Objects) -> Result<Made, Wrong> {
    use RollUpFunction::{Avg, Count, Latest, Max, Min, Sum};
    let wrong = |message: String| Wrong::new(1, message);
    let relation = object.relations.get(&roll_up.relation);
    let relation = relation.ok_or_else(|| wrong(format!("{} has no relation `{}`.", object.type_name, roll_up.relation)))?;
    if relation.is_one() {
        return Err(wrong(format!("`{}` leads to one record; a formula reaches it.", roll_up.relation)));
    }
    let target = match &relation.target {
        Target::Object(name) => Some(objects.get(name).ok_or_else(|| wrong(format!("`{}` leads nowhere.", roll_up.relation)))?),
        Target::Any => None,
    };
    let mut depends = vec![(object.name.clone(), relation.access_name())];
    let mut weight = ROLL_UP;
    if roll_up.filter.as_ref().is_some_and(|filter| !filter.is_object()) {
        return Err(Wrong::of_filter("A filter is an object: `{ status: { eq: OPEN } }`."));
    }
    if let (Some(filter), Some(target)) = (&roll_up.filter, target) {
        weight += filtered_by(target, filter, objects, &mut depends).map_err(Wrong::of_filter)?;
    } else if roll_up.filter.is_some() {
        return Err(Wrong::of_filter("Records of any object cannot be filtered in a roll-up."));
    }
    let (field, kind, options) = match (roll_up.function, &roll_up.field, target) {
        (Count, None, _) => (None, Kind::Integer, Vec::new()),
        (Count, Some(_), _) => return Err(wrong("A count is of records, it has no field.".into())),
        (_, None, _) | (_, _, None) => return Err(wrong("A field of the linked records is needed.".into())),
        (function, Some(name), Some(target)) => {
            let field = named(target, name).ok_or_else(|| wrong(format!("{} has no field `{name}`.", target.type_name)))?;
            let refuse = |what: &str| wrong(format!("`{name}` cannot be rolled up: {what}."));
            if is_open(field) {
                return Err(refuse("it is computed of what is computed of it"));
            }
            let ty = Ty::of(field.kind).filter(|_| !field.settings.encrypted && !field.archived);
            let ty = ty.ok_or_else(|| refuse("its value has parts, is sealed or archived"))?;
            if let Source::Computed { computed, .. } = &field.source {
                weight += computed.weight * TIMES;
                depends.extend(computed.depends.iter().cloned());
            }
            depends.push((target.name.clone(), field.access_name()));
            let adds_up = ty.is_number() || ty == Ty::Money;
            let kind = match function {
                Sum | Avg if !adds_up => return Err(refuse("only numbers and amounts are added up")),
                Min | Max if !adds_up && !matches!(ty, Ty::Date | Ty::DateTime) => {
                    return Err(refuse("only numbers, amounts, days and times are smaller or greater"));
                }
                Sum | Avg if ty == Ty::Whole => Kind::Decimal,
                Latest if field.kind == Kind::Select => Kind::Select,
                _ => ty.kind().unwrap_or(Kind::Text),
            };
            let options = if kind == Kind::Select { field.settings.options.clone() } else { Vec::new() };
            (Some(Box::new(field.clone())), kind, options)
        }
    };
    if weight > HEAVIEST {
        return Err(wrong(format!("The roll-up is too much work: {weight} parts, computed fields within counted; at most {HEAVIEST}.")));
    }
    let how = How::RollUp {
        relation: Box::new(relation.clone()),
        target: target.map(|target| target.name.clone()),
        function: roll_up.function,
        field,
        filter: roll_up.filter.clone(),
    };
    Ok(Made { computed: Computed { how, depends, weight }, kind, options })
}

fn named<'o>(object: &'o Object, name: &str) -> Option<&'o Field> {
    match name.strip_prefix("custom.") {
        Some(name) => object.custom.get(name),
        None => object.fields.get(name),
    }
}

/// Notes every field and relation that a filter asks of, and what it weighs.
fn filtered_by(object: &Arc<Object>, filter: &Json, objects: &Objects, depends: &mut Vec<(String, String)>) -> Result<usize, String> {
    let mut weight = 0;
    let Some(members) = filter.as_object() else { return Err("A filter is an object: `{ status: { eq: OPEN } }`.".into()) };
    for (name, condition) in members {
        weight += 1;
        let shaped = match name.as_str() {
            "and" | "or" | "customFields" => condition.is_array() || condition.is_object(),
            "isNull" => condition.is_boolean(),
            _ => condition.is_object(),
        };
        if !shaped {
            return Err(format!("`{name}` of the filter has the wrong form."));
        }
        let single = std::slice::from_ref(condition);
        let each = condition.as_array().map_or(single, Vec::as_slice);
        match name.as_str() {
            "and" | "or" | "not" => {
                for filter in each {
                    weight += filtered_by(object, filter, objects, depends)?;
                }
            }
            "custom" => {
                for (name, condition) in condition.as_object().into_iter().flatten() {
                    weight += asked(object, &format!("custom.{name}"), condition, objects, depends)?;
                }
            }
            "customFields" => {
                for one in each {
                    let name = one["field"].as_str().unwrap_or_default();
                    let name = if object.own.is_some() { name.to_owned() } else { format!("custom.{name}") };
                    weight += asked(object, &name, &Json::Null, objects, depends)?;
                }
            }
            "id" | "isNull" => {}
            name => weight += asked(object, name, condition, objects, depends)?,
        }
    }
    Ok(weight)
}

fn asked(
    object: &Arc<Object>,
    name: &str,
    condition: &Json,
    objects: &Objects,
    depends: &mut Vec<(String, String)>,
) -> Result<usize, String> {
    depends.push((object.name.clone(), name.to_owned()));
    if let Some(field) = named(object, name) {
        return match &field.source {
            _ if is_open(field) => Err(format!("`{name}` is computed of what is computed of it.")),
            _ if field.archived => Err(format!("`{name}` is archived.")),
            Source::Computed { computed, .. } => {
                depends.extend(computed.depends.iter().cloned());
                Ok(1 + computed.weight * TIMES)
            }
            _ => Ok(1),
        };
    }
    let relation = object.relations.get(name).ok_or_else(|| format!("{} has no field `{name}` to filter by.", object.type_name))?;
    let Some(target) = relation.leads_to().and_then(|target| objects.get(target)) else { return Ok(1) };
    if relation.is_one() {
        return Ok(5 + filtered_by(target, condition, objects, depends)?);
    }
    let mut weight = 5;
    for (quantifier, filter) in condition.as_object().into_iter().flatten() {
        if !filter.is_object() {
            return Err(format!("`{name}.{quantifier}` of the filter has the wrong form."));
        }
        if matches!(quantifier.as_str(), "some" | "none" | "every") {
            weight += filtered_by(target, filter, objects, depends)?;
        }
    }
    Ok(weight)
}
