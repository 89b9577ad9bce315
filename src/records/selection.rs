//! What a caller asked for, free of GraphQL's syntax: fragments are resolved, arguments are values.

use serde_json::{Map, Value};

/// A set of fields. Fields of fragments carry the types they were asked on.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub struct Item {
    /// The name in the answer.
    pub key: String,
    pub name: String,
    pub arguments: Map<String, Value>,
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
            None => merged.push(Merged {
                key: &item.key,
                name: &item.name,
                arguments: &item.arguments,
                children: vec![&item.children],
            }),
        }
    }
    merged
}

impl Selection {
    /// A field without arguments, for selections made in code.
    pub fn with(mut self, name: &str, children: Self) -> Self {
        self.items.push(Item { key: name.to_owned(), name: name.to_owned(), arguments: Map::new(), on: Vec::new(), children });
        self
    }
}
