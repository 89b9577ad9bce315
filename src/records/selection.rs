//! What a caller asked for, free of GraphQL's syntax: fragments are resolved, arguments are values.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A set of fields. Fields of fragments carry the types they were asked on.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, Default)]
pub struct Item {
    /// The name in the answer.
    pub key: String,
    pub name: String,
    /// Shared by all places into which the field's fragment was spread.
    pub arguments: Arc<Map<String, Value>>,
    /// The types that all must fit for the field to apply.
    pub on: Vec<String>,
    pub children: Selection,
}

/// A field of one concrete type, with all its selections, wherever in the document they stood.
pub struct Merged<'a> {
    pub key: &'a str,
    pub name: &'a str,
    pub arguments: &'a Map<String, Value>,
    pub children: Vec<&'a Selection>,
}

/// The fields that apply to one type, in order, those with the same key merged.
pub fn collect<'a>(selections: &[&'a Selection], fits: impl Fn(&str) -> bool) -> Vec<Merged<'a>> {
    let mut merged: Vec<Merged<'a>> = Vec::new();
    for item in selections.iter().flat_map(|selection| &selection.items) {
        if !item.on.iter().all(|type_name| fits(type_name)) {
            continue;
        }
        match merged.iter_mut().find(|known| known.key == item.key) {
            Some(known) => known.children.push(&item.children),
            None => merged.push(Merged { key: &item.key, name: &item.name, arguments: &item.arguments, children: vec![&item.children] }),
        }
    }
    merged
}

/// Refuses two different fields under one key, which cannot both be answered.
pub fn check_keys(selections: &[&Selection]) -> Result<()> {
    let items: Vec<&Item> = selections.iter().flat_map(|selection| &selection.items).collect();
    for (index, item) in items.iter().enumerate() {
        for other in items[index + 1..].iter().filter(|other| other.key == item.key && may_meet(item, other)) {
            let same = Arc::ptr_eq(&other.arguments, &item.arguments) || other.arguments == item.arguments;
            if other.name != item.name || !same {
                let message =
                    format!("`{}` names two different fields, `{}` and `{}`; give one of them an alias.", item.key, item.name, other.name);
                return Err(Error::bad_request(message));
            }
        }
    }
    for merged in collect(selections, |_| true) {
        check_keys(&merged.children)?;
    }
    Ok(())
}

/// Whether two fields can be asked of the same record.
fn may_meet(a: &Item, b: &Item) -> bool {
    a.on.is_empty() || b.on.is_empty() || a.on == b.on
}

impl Selection {
    /// A field without arguments, for selections made in code.
    pub fn with(mut self, name: &str, children: Self) -> Self {
        self.items.push(Item { key: name.to_owned(), name: name.to_owned(), arguments: Arc::default(), on: Vec::new(), children });
        self
    }
}
