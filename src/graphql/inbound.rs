//! An inbound hook as a mutation: its document, and the variables that a body gives.

use async_graphql::registry::{MetaType, Registry};
use async_graphql::{Name, Variables};
use entity::inbound_hook;
use serde_json::{Value as Json, json};

use super::types::names;
use crate::catalog::Catalog;
use crate::features::inbound::fill;

/// A request that writes what a body says; none if there is no such type any more.
pub fn request(catalog: &Catalog, hook: &inbound_hook::Model, body: &Json, validate_only: bool) -> Option<async_graphql::Request> {
    let one = one(catalog, &hook.type_name)?;
    let ty = &hook.type_name;
    let (key, by, verb) = match hook.key_map {
        Some(_) => (format!("$key: {ty}Key!, "), "key: $key, ", "upsert"),
        None => (String::new(), "", "create"),
    };
    let document = format!(
        "mutation InboundHook({key}$input: {ty}Create!, $validateOnly: Boolean!) {{ done: {verb}{ty}({by}input: $input, validateOnly: $validateOnly) \
         {{ record: {one} {{ id version }} userErrors {{ code message path }} }} }}"
    );
    let mut variables = json!({ "input": fill(&hook.input_map, body), "validateOnly": validate_only });
    if let Some(map) = &hook.key_map {
        variables["key"] = Json::Object(fill(map, body));
    }
    Some(async_graphql::Request::new(document).variables(Variables::from_json(variables)))
}

/// The name of a record in its payload: `deal` of `Deal`.
fn one(catalog: &Catalog, type_name: &str) -> Option<String> {
    let objects = catalog.objects().filter(|object| !object.is_archived());
    objects.flat_map(|object| names(object)).find(|names| names.type_name == type_name).map(|names| names.one.to_owned())
}

/// What does not fit of a hook: its type, or members of its maps that the inputs do not have; by the hook's own argument.
pub fn misfit(registry: &Registry, type_name: &str, key: Option<&Json>, input: Option<&Json>) -> Option<(&'static str, String)> {
    let Some(MetaType::InputObject { input_fields, .. }) = registry.types.get(&format!("{type_name}Create")) else {
        return Some(("type", format!("There is no type `{type_name}` whose records can be created; `Deal` or `Task` is one.")));
    };
    let unknown = |map: Option<&Json>, known: &dyn Fn(&str) -> bool| {
        map.and_then(Json::as_object).into_iter().flatten().map(|(name, _)| name).find(|name| !known(name)).cloned()
    };
    if let Some(name) = unknown(input, &|name| input_fields.contains_key(name)) {
        return Some(("input", format!("`{type_name}Create` has no `{name}`.")));
    }
    let key_fields = match registry.types.get(&format!("{type_name}Key")) {
        Some(MetaType::InputObject { input_fields, .. }) => Some(input_fields),
        _ => None,
    };
    match (key.filter(|key| !key.is_null()), key_fields) {
        (None, _) => None,
        (Some(_), None) => Some(("key", format!("A `{type_name}` has no keys."))),
        (Some(key), Some(known)) => match unknown(Some(key), &|name| known.contains_key(name)) {
            Some(name) => Some(("key", format!("`{type_name}Key` has no `{name}`."))),
            None => None,
        },
    }
}

/// The key by which a repeated request is known, as an extension of the request.
pub fn idempotent(mut request: async_graphql::Request, key: &str) -> async_graphql::Request {
    request.extensions.insert("idempotencyKey".to_owned(), async_graphql::Value::String(key.to_owned()));
    request
}

/// What a request was answered, in the form in which hooks answer: the record, and what was wrong.
pub fn outcome(answer: &async_graphql::Response) -> Json {
    let done = match &answer.data {
        async_graphql::Value::Object(data) => data.get(&Name::new("done")).cloned().and_then(|done| done.into_json().ok()),
        _ => None,
    };
    match done {
        Some(done) if done.is_object() => {
            json!({ "id": done["record"]["id"], "version": done["record"]["version"], "userErrors": done["userErrors"] })
        }
        _ => {
            let errors = answer.errors.iter().map(|error| {
                let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code")).cloned();
                json!({ "message": error.message, "code": code.and_then(|code| code.into_json().ok()) })
            });
            json!({ "errors": errors.collect::<Vec<_>>() })
        }
    }
}
