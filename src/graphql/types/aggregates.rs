//! What can be asked of all records of a list at once.

use async_graphql::registry::MetaField;

use super::meta::{Types, field, input, plain};
use super::records::Names;
use crate::catalog::{Field, Kind, Object};
use crate::records::read::aggregate::{adds_up, has_extremes, is_countable};

const HELP_IN: &str = "The currency to give it in. Amounts in another one are refused until there are exchange rates.";

/// Adds the types of one object's aggregates.
pub fn add(types: &mut Types<'_>, object: &Object, names: &Names<'_>) {
    let name = names.type_name;
    if names.variant.is_none() {
        parts(types, object);
    }
    types.object(&format!("{name}Aggregate"), "What all records of the list are together, not only those on the page.", members(object));
}

/// What is reckoned of several records.
pub fn members(object: &Object) -> Vec<MetaField> {
    let of = &object.type_name;
    let mut list = vec![plain("count", "Int!", "How many records there are.")];
    let mut add = |name: &str, suffix: &str, wanted: fn(&Field) -> bool, help: &str| {
        if object.all_fields().any(wanted) {
            list.push(plain(name, &format!("{of}{suffix}!"), help));
        }
    };
    add("sum", "Numbers", adds_up, "Sums; null where no record has a value.");
    add("avg", "Numbers", adds_up, "Averages of the records that have a value, rounded half to even to four places.");
    add("min", "Extremes", has_extremes, "The smallest values.");
    add("max", "Extremes", has_extremes, "The greatest values.");
    add("countDistinct", "CountDistinct", is_countable, "How many different values there are.");
    list
}

fn parts(types: &mut Types<'_>, object: &Object) {
    let numbers = |of: &Field| {
        if of.kind == Kind::Money {
            field(&of.name, "Money", &of.help, [input("in", "CurrencyCode", HELP_IN)])
        } else {
            plain(&of.name, "Decimal", &of.help)
        }
    };
    let extremes = |of: &Field| {
        if of.kind == Kind::Money {
            field(&of.name, "Money", &of.help, [input("in", "CurrencyCode", HELP_IN)])
        } else {
            plain(&of.name, of.kind.output_type(), &of.help)
        }
    };
    let count = |of: &Field| plain(&of.name, "Int", &of.help);
    part(types, object, "Numbers", "Sums or averages of an object's fields.", adds_up, &numbers);
    part(types, object, "Extremes", "Smallest or greatest values of an object's fields.", has_extremes, &extremes);
    part(types, object, "CountDistinct", "How many different values an object's fields have.", is_countable, &count);
}

fn part(types: &mut Types<'_>, object: &Object, suffix: &str, help: &str, wanted: fn(&Field) -> bool, meta: &dyn Fn(&Field) -> MetaField) {
    let mut list: Vec<MetaField> = object.fields.values().filter(|field| wanted(field)).map(meta).collect();
    let custom: Vec<MetaField> = object.custom.values().filter(|field| wanted(field)).map(meta).collect();
    if !custom.is_empty() {
        let name = format!("{}Custom{suffix}", object.type_name);
        types.object(&name, "The same of the fields that this workspace added.", custom);
        list.push(plain("custom", &format!("{name}!"), "The fields that this workspace added."));
    }
    if !list.is_empty() {
        types.object(&format!("{}{suffix}", object.type_name), help, list);
    }
}
