//! One entry of the log as a CloudEvent (version 1.0 of its specification, JSON format).

use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::schemas;
use crate::catalog::{Catalog, Kind, Object, enum_name};
use crate::error::Result;
use crate::records::feed::{Detail, Entry};
use crate::records::value::write_stored;

/// What happened to what, in two words: `deal.updated`.
pub fn about(entry: &Entry) -> String {
    format!("{}.{}", entry.object, entry.kind.to_ascii_lowercase())
}

/// The event, as text.
pub fn write(workspace: Uuid, catalog: &Catalog, entry: &Arc<Entry>, detail: &Detail) -> Result<String> {
    let object = catalog.find(&entry.object);
    let mut hidden = Vec::new();
    let mut side = |values: &Json| -> Result<Json> {
        let mut told = Map::new();
        for (name, value) in values.as_object().into_iter().flatten() {
            match object.map(|object| told_as(object, name)) {
                Some(Told::Whole(kind)) => {
                    let mut text = String::new();
                    write_stored(value, kind, &mut text);
                    told.insert(name.clone(), serde_json::from_str(&text)?);
                }
                Some(Told::Reference) => {
                    told.insert(name.clone(), if value.is_null() { Json::Null } else { json!({ "id": value }) });
                }
                Some(Told::Link) => {
                    told.insert(name.clone(), value.clone());
                }
                Some(Told::Hidden) | None => {
                    if !hidden.contains(name) {
                        hidden.push(name.clone());
                    }
                }
            }
        }
        Ok(Json::Object(told))
    };
    let (before, after) = (side(&detail.before)?, side(&detail.after)?);
    let event = json!({
        "specversion": "1.0",
        "id": format!("{workspace}:{}", entry.seq),
        "source": format!("/workspaces/{workspace}"),
        "type": format!("kith.{}", about(entry)),
        "subject": entry.record,
        "time": entry.at.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true),
        "datacontenttype": "application/json",
        "dataschema": schemas::id(&entry.object),
        // Two of the extensions that the specification documents: what orders events of one source, and what keeps those
        // of one record together.
        "sequence": format!("{:020}", entry.seq),
        "partitionkey": entry.record,
        "data": {
            "object": enum_name(&entry.object),
            "recordId": entry.record,
            "version": detail.version,
            "kind": entry.kind,
            "fields": entry.fields,
            "before": before,
            "after": after,
            "hidden": hidden,
            "actor": { "kind": entry.actor_kind, "id": entry.actor },
            "cause": detail.cause,
            "requestId": detail.request,
            "changeSetId": detail.change_set,
        },
    });
    Ok(event.to_string())
}

/// How a field or relation is told.
pub(super) enum Told {
    Whole(Kind),
    /// The id of another record.
    Reference,
    /// A link: the other record, role and title.
    Link,
    /// It is encrypted, or not known any more.
    Hidden,
}

/// How the log's member is told, by the name that it has there.
pub(super) fn told_as(object: &Object, name: &str) -> Told {
    if name == "deletedAt" {
        return Told::Whole(Kind::DateTime);
    }
    if let Some(field) = object.all_fields().find(|field| field.access_name() == name) {
        return match field.kind {
            _ if field.sealed().is_some() => Told::Hidden,
            Kind::Reference => Told::Reference,
            kind => Told::Whole(kind),
        };
    }
    match object.relations.values().find(|relation| relation.access_name() == name) {
        Some(relation) if relation.to_one().is_some() => Told::Reference,
        Some(_) => Told::Link,
        None => Told::Hidden,
    }
}
