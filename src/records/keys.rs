//! Natural keys: the values by which a record is found without knowing its id.
//!
//! Every key is a row of `record_key`: an external id (`external:<system>`), a unique field (under
//! the field's name), a unique custom field (`custom.<name>`). Its primary key is what makes values
//! unique, whoever writes at the same time.

use serde_json::Value as Json;

use super::value;
use crate::catalog::{Field, Kind, Object};
use crate::error::{Error, Result};
use crate::infra::text::fold;
use crate::platform::Ctx;
use crate::platform::secrets::INDEX;

/// A key's name and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub value: String,
    /// The field it comes from.
    pub field: String,
}

impl Key {
    /// The field as permissions name it.
    pub fn access_name(&self) -> String {
        if self.name.starts_with("custom.") { format!("custom.{}", self.field) } else { self.field.clone() }
    }
}

/// The name of a unique field in a key: of a list, its singular.
pub fn key_argument(field: &Field) -> &str {
    if field.kind.is_list() { field.name.strip_suffix('s').unwrap_or(&field.name) } else { &field.name }
}

/// The key that an input like `{ domain: "example.com" }` means.
pub fn from_input(ctx: &Ctx, object: &Object, input: &Json) -> Result<Key> {
    let members: Vec<_> = input.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
    let [(name, value)] = members.as_slice() else {
        return Err(Error::bad_request("A key names exactly one field."));
    };
    if name.as_str() == "externalId" {
        let (Some(system), Some(id)) = (value["system"].as_str(), value["value"].as_str()) else {
            return Err(Error::bad_request("An external id has a system and a value."));
        };
        return Ok(Key { name: format!("external:{}", system.trim()), value: id.trim().to_owned(), field: "externalIds".into() });
    }
    if name.as_str() == "custom" {
        let inner = value.as_object().and_then(|members| members.iter().find(|(_, value)| !value.is_null()));
        let (name, value) = inner.ok_or_else(|| Error::bad_request("A key names exactly one field."))?;
        let field = object.custom.get(name).filter(|field| field.unique);
        let field = field.ok_or_else(|| Error::bad_request(format!("`{name}` is not unique, so it is no key.")))?;
        return single(ctx, field, value);
    }
    let field = object.fields.values().find(|field| field.unique && key_argument(field) == name.as_str());
    single(ctx, field.ok_or_else(|| Error::bad_request(format!("`{name}` is no key of {}.", object.type_name)))?, value)
}

fn single(ctx: &Ctx, field: &Field, value: &Json) -> Result<Key> {
    let stored = if field.kind.is_list() {
        let item = if field.kind == Kind::Emails { serde_json::json!([{ "address": value }]) } else { serde_json::json!([value]) };
        value::parse(field, &item)
    } else {
        value::parse(field, value)
    };
    let stored = value::seal(ctx, field, stored.map_err(|invalid| Error::bad_request(invalid.message))?)?;
    of_field(field, &stored).into_iter().next().ok_or_else(|| Error::bad_request("The key is empty."))
}

/// The keys that a stored value of a unique field gives a record.
pub fn of_field(field: &Field, stored: &Json) -> Vec<Key> {
    let Some(name) = field.key_name() else { return Vec::new() };
    let key = |value: String| Key { name: name.clone(), value, field: field.name.clone() };
    let texts: Vec<String> = match (field.kind, stored) {
        (_, Json::Null) => Vec::new(),
        (_, sealed) if field.settings.encrypted => sealed[INDEX].as_str().map(str::to_owned).into_iter().collect(),
        (Kind::Emails, Json::Array(items)) => items.iter().filter_map(|item| item["normalized"].as_str().map(str::to_owned)).collect(),
        (_, Json::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        (Kind::Text, Json::String(text)) => vec![fold(text).into_owned()],
        (_, Json::String(text)) => vec![text.clone()],
        (_, other) => vec![other.to_string()],
    };
    texts.into_iter().filter(|text| !text.is_empty()).map(key).collect()
}

/// The keys that the external ids give.
pub fn of_external_ids(stored: &Json) -> Vec<Key> {
    let items = stored.as_array().map_or(&[][..], Vec::as_slice);
    let key = |item: &Json| {
        Some(Key {
            name: format!("external:{}", item["system"].as_str()?),
            value: item["value"].as_str()?.to_owned(),
            field: "externalIds".into(),
        })
    };
    items.iter().filter_map(key).collect()
}
