//! What search knows of a record.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::words::{Mark, Tag, Words};
use crate::catalog::{Field, Kind, Object};

/// A row of `search_entry`.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub title: String,
    pub words: String,
}

impl Entry {
    /// Made of a record's stored values, by API name.
    pub fn of(workspace: Uuid, object: &Object, state: &Map<String, Json>) -> Self {
        let title = value(object, state, &object.title).as_str().unwrap_or_default().to_owned();
        Self { title, words: words(workspace, object, state, &|_| true).join() }
    }

    /// The words of the fields that show.
    pub fn shown(workspace: Uuid, object: &Object, state: &Map<String, Json>, shows: &dyn Fn(&Field) -> bool) -> Words {
        words(workspace, object, state, shows)
    }
}

fn words(workspace: Uuid, object: &Object, state: &Map<String, Json>, shows: &dyn Fn(&Field) -> bool) -> Words {
    let tag = Tag::of(workspace);
    let mut words = Words::new(tag.clone());
    words.add(tag.object(&object.name));
    for (mark, name) in [(Mark::Owner, "owner"), (Mark::Territory, "territory")] {
        if let Some(id) = state.get(name).and_then(Json::as_str).and_then(|id| id.parse().ok()) {
            words.add(tag.holder(mark, id));
        }
    }
    for field in searched(object).filter(|field| shows(field)) {
        let value = value(object, state, &field.access_name());
        if field.name == object.title {
            words.title(value.as_str().unwrap_or_default());
        } else {
            add(&mut words, field, value);
        }
    }
    words
}

/// The stored value of a field, as permissions name it.
fn value<'s>(object: &Object, state: &'s Map<String, Json>, name: &str) -> &'s Json {
    let custom = || state.get("custom").and_then(Json::as_object);
    let found = match name.strip_prefix("custom.") {
        Some(name) => custom().and_then(|custom| custom.get(name)),
        None if object.own_field(name).is_some() => custom().and_then(|custom| custom.get(name)),
        None => state.get(name),
    };
    found.unwrap_or(&Json::Null)
}

/// The fields that a record is found by. The title always is one.
pub fn searched(object: &Object) -> impl Iterator<Item = &Field> {
    object.all_fields().filter(|field| (field.searchable || field.name == object.title) && !field.archived && !field.settings.encrypted)
}

fn add(words: &mut Words, field: &Field, value: &Json) {
    for text in texts(field, value) {
        match field.kind {
            Kind::Email | Kind::Emails => words.email(text),
            Kind::Phone | Kind::Phones => words.phone(text),
            _ => words.text(text),
        }
    }
}

/// The texts of a value, as search reads them.
pub fn texts<'a>(field: &'a Field, value: &'a Json) -> Vec<&'a str> {
    let items = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let label = |key: &str| field.settings.options.iter().find(|option| option.key == key).map(|option| option.label.as_str());
    items
        .iter()
        .flat_map(|item| match field.kind {
            Kind::Emails => vec![item["address"].as_str()],
            Kind::Phones => vec![item["e164"].as_str()],
            Kind::Address => ["street", "line2", "city", "region", "postalCode"].map(|part| item[part].as_str()).to_vec(),
            Kind::ExternalIds => vec![item["value"].as_str()],
            Kind::Select | Kind::MultiSelect => vec![item.as_str().and_then(label)],
            _ => vec![item.as_str()],
        })
        .flatten()
        .collect()
}
