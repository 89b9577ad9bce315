//! What events look like: a JSON Schema for each object.

use serde_json::{Map, Value as Json, json};

use super::envelope::{Told, told_as};
use crate::catalog::{Kind, Object, Via, enum_name};
use crate::platform::changelog::ChangeKind;

/// The name of an object's schema.
pub fn id(object: &str) -> String {
    format!("urn:kith:event:{object}:1")
}

/// The schema of events about records of an object.
pub fn schema(object: &Object) -> Json {
    let values = values(object);
    let changes = ChangeKind::EVERY.map(ChangeKind::as_str);
    let text = json!({ "type": "string" });
    let id_or_none = json!({ "type": ["string", "null"], "format": "uuid" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": id(&object.name),
        "title": format!("What happens to a {}", object.label.to_lowercase()),
        "description": format!("A CloudEvent 1.0 for each change of the log. {}", object.help),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "sequence", "partitionkey", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "description": "Workspace and number of the change: the same change always has the same." },
            "source": { "type": "string", "format": "uri-reference", "description": "The workspace." },
            "type": { "enum": changes.map(|change| format!("kith.{}.{}", object.name, change.to_ascii_lowercase())) },
            "subject": { "type": "string", "format": "uuid", "description": "The record." },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "const": id(&object.name) },
            "sequence": { "type": "string", "pattern": "^[0-9]{20}$", "description": "The number of the change in its workspace, without gaps, to sort by as text." },
            "partitionkey": { "type": "string", "format": "uuid", "description": "The record: what has the same key stays in order." },
            "data": {
                "type": "object",
                "required": ["object", "recordId", "version", "kind", "fields", "before", "after", "hidden", "actor", "cause", "requestId", "changeSetId"],
                "additionalProperties": false,
                "properties": {
                    "object": { "const": enum_name(&object.name) },
                    "recordId": { "type": "string", "format": "uuid" },
                    "version": { "type": "integer", "description": "The record's version after it; links do not count." },
                    "kind": { "enum": changes },
                    "fields": { "type": "array", "items": text, "description": "Fields and relations that changed." },
                    "before": { "$ref": "#/$defs/values", "description": "What they held before." },
                    "after": { "$ref": "#/$defs/values", "description": "What they hold now." },
                    "hidden": { "type": "array", "items": text, "description": "Which of them are not told: encrypted ones, and those that are gone." },
                    "actor": {
                        "type": "object",
                        "required": ["kind", "id"],
                        "additionalProperties": false,
                        "properties": { "kind": text, "id": id_or_none }
                    },
                    "cause": text,
                    "requestId": { "type": ["string", "null"] },
                    "changeSetId": id_or_none,
                }
            }
        },
        "$defs": { "values": { "type": "object", "properties": values } }
    })
}

/// The values that an object's records can have.
fn values(object: &Object) -> Map<String, Json> {
    let mut values = Map::new();
    values.insert("deletedAt".into(), told(Kind::DateTime, "When it was deleted."));
    for field in object.all_fields() {
        let name = field.access_name();
        match told_as(object, &name) {
            Told::Whole(kind) => values.insert(name, told(kind, &field.help)),
            Told::Reference => values.insert(name, reference(&field.help)),
            Told::Link | Told::Hidden => None,
        };
    }
    for relation in object.relations.values() {
        let help = &relation.help;
        let of = match &relation.via {
            // The log tells of it at the other end.
            Via::Children(_) => continue,
            _ if relation.to_one().is_some() => reference(help),
            _ => json!({ "type": ["object", "null"], "description": help }),
        };
        values.insert(relation.access_name(), of);
    }
    values
}

fn reference(help: &str) -> Json {
    json!({
        "type": ["object", "null"], "description": help,
        "required": ["id"], "properties": { "id": { "type": "string", "format": "uuid" } }
    })
}

/// How a value of a kind is written.
fn told(kind: Kind, help: &str) -> Json {
    let decimal = json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" });
    let list = |of: &str| json!({ "type": ["array", "null"], "items": { "type": of } });
    let mut schema = match kind {
        Kind::Integer | Kind::Rating => json!({ "type": ["integer", "null"] }),
        Kind::Decimal | Kind::Percent => json!({ "type": ["string", "null"], "pattern": decimal["pattern"] }),
        Kind::Money => json!({
            "type": ["object", "null"], "required": ["amount", "currency"], "additionalProperties": false,
            "properties": { "amount": decimal, "currency": { "type": "string", "pattern": "^[A-Z]{3}$" } }
        }),
        Kind::Boolean => json!({ "type": ["boolean", "null"] }),
        Kind::Date => json!({ "type": ["string", "null"], "format": "date" }),
        Kind::DateTime => json!({ "type": ["string", "null"], "format": "date-time" }),
        Kind::Enum(of) => {
            let names: Vec<Json> = of.values.iter().map(|(name, _)| json!(name)).chain([Json::Null]).collect();
            json!({ "enum": names })
        }
        Kind::MultiSelect | Kind::Domains => list("string"),
        Kind::Emails | Kind::Phones | Kind::ExternalIds => list("object"),
        Kind::Address => json!({ "type": ["object", "null"] }),
        Kind::Json => json!({}),
        Kind::Text
        | Kind::LongText
        | Kind::Select
        | Kind::Email
        | Kind::Phone
        | Kind::Url
        | Kind::Currency
        | Kind::TimeZone
        | Kind::Country
        | Kind::Reference => json!({ "type": ["string", "null"] }),
    };
    schema["description"] = json!(help);
    schema
}
