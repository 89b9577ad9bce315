//! A record on its way to being written.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::children::ChildEdit;
use super::links::LinkEdit;
use super::references::Unchecked;
use super::state::State;
use crate::catalog::{Object, Source};
use crate::error::{UserError, UserErrorCode};
use crate::platform::secrets::INDEX;
use crate::records::keys::{self, Key};

pub struct Draft {
    pub object: Arc<Object>,
    pub id: Uuid,
    pub is_new: bool,
    /// The version before this write; 0 for a new record.
    pub version: i64,
    pub before: State,
    pub now: State,
    /// What the caller gave, by API name; custom fields as `custom.<name>`.
    pub given: BTreeSet<String>,
    pub(super) links: Vec<LinkEdit>,
    pub(super) children: Vec<ChildEdit>,
    /// References by id that nobody has looked at yet.
    pub(super) unchecked: Vec<Unchecked>,
    pub errors: Vec<UserError>,
    /// Where in the whole input this draft's part stands.
    pub(super) path: Vec<String>,
}

impl Draft {
    /// A record that is not there yet.
    pub(super) fn new(object: Arc<Object>, id: Uuid, path: Vec<String>) -> Self {
        Self {
            object,
            id,
            is_new: true,
            version: 0,
            before: State::new(),
            now: State::new(),
            given: BTreeSet::new(),
            links: Vec::new(),
            children: Vec::new(),
            unchecked: Vec::new(),
            errors: Vec::new(),
            path,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.now.get(name).and_then(Json::as_str)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.now.get(name).and_then(Json::as_i64)
    }

    pub fn bool(&self, name: &str) -> bool {
        self.now.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    pub fn reference(&self, name: &str) -> Option<Uuid> {
        self.text(name).and_then(|id| id.parse().ok())
    }

    pub fn set(&mut self, name: &str, value: impl Into<Json>) {
        self.now.insert(name.to_owned(), value.into());
    }

    pub fn has(&self, name: &str) -> bool {
        self.now.get(name).is_some_and(|value| !value.is_null())
    }

    pub fn was_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    pub fn changed(&self, name: &str) -> bool {
        self.before.get(name).unwrap_or(&Json::Null) != self.now.get(name).unwrap_or(&Json::Null)
    }

    /// Says what is wrong, and where in the input.
    pub fn refuse(&mut self, code: UserErrorCode, path: &[&str], message: impl Into<String>) {
        let error = UserError::new(code, path, message).within(&self.path);
        self.errors.push(error);
    }

    pub fn custom(&self, state: &State) -> Map<String, Json> {
        state.get("custom").and_then(Json::as_object).cloned().unwrap_or_default()
    }

    /// The changed members as the log keeps them: before and after, custom fields one by one.
    pub fn difference(&self) -> (Map<String, Json>, Map<String, Json>) {
        let (mut before, mut after) = (Map::new(), Map::new());
        let mut note = |name: String, old: &Json, new: &Json| {
            if old != new {
                before.insert(name.clone(), old.clone());
                after.insert(name, new.clone());
            }
        };
        for name in self.now.keys().filter(|name| *name != "custom") {
            note(name.clone(), self.before.get(name).unwrap_or(&Json::Null), &self.now[name]);
        }
        let (old, new) = (self.custom(&self.before), self.custom(&self.now));
        for name in new.keys().chain(old.keys().filter(|name| !new.contains_key(*name))) {
            note(self.object.logged_name(name), old.get(name).unwrap_or(&Json::Null), new.get(name).unwrap_or(&Json::Null));
        }
        (before, after)
    }

    /// The natural keys that a state of this object has.
    pub fn keys(&self, state: &State) -> Vec<Key> {
        object_keys(&self.object, state)
    }

    /// Rows of the index of custom fields: field, text, number.
    pub fn index_rows(&self) -> Vec<(Uuid, Option<String>, Option<i64>)> {
        let custom = self.custom(&self.now);
        let mut rows = Vec::new();
        for field in self.object.kept_in_document().filter(|field| field.indexed) {
            let Source::Custom { id } = field.source else { continue };
            let value = custom.get(&field.name).unwrap_or(&Json::Null);
            let sealed = value[INDEX].as_str().filter(|_| field.settings.encrypted);
            if let Some(index) = sealed {
                rows.push((id, Some(index.to_owned()), None));
                continue;
            }
            let number = value.as_i64().or_else(|| value["amount"].as_i64());
            let text =
                value.as_str().map(|text| if field.kind.folds() { crate::infra::text::fold(text).into_owned() } else { text.to_owned() });
            if number.is_some() || text.is_some() {
                rows.push((id, text, number));
            }
        }
        rows
    }
}

/// The natural keys of a state.
pub fn object_keys(object: &Object, state: &State) -> Vec<Key> {
    let empty = Map::new();
    let custom = state.get("custom").and_then(Json::as_object).unwrap_or(&empty);
    let mut found = keys::of_external_ids(state.get("externalIds").unwrap_or(&Json::Null));
    for field in object.all_fields().filter(|field| field.unique) {
        let value = if field.is_custom() { custom.get(&field.name) } else { state.get(&field.name) };
        found.extend(keys::of_field(field, value.unwrap_or(&Json::Null)));
    }
    // The same value twice is still one key.
    let mut seen: Vec<Key> = Vec::with_capacity(found.len());
    for key in found {
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    seen
}
