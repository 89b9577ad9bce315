//! What a record looks like: objects, fields, relations.
//!
//! A standard object's definition is read off its entity plus a few lines of meaning (`objects/`).
//! A workspace's own fields are rows of `field_definition`, added to a copy of the standard
//! catalog. Everything else (GraphQL types, filters, orders, inputs, validation, search) is derived
//! from the [`Catalog`]; there is one per workspace and catalog version, and workspaces without
//! fields of their own share one.

mod duplicates;
mod field;
pub mod formula;
mod kind;
mod merge;
mod names;
mod object;
mod totals;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

pub use duplicates::{DuplicateAction, DuplicateRule};
pub use field::{Field, Privacy, SelectOption, Settings, Source};
pub use kind::{EnumType, Kind, Store};
pub use merge::MergeStrategy;
pub use names::types_of;
pub use object::{Object, OnDelete, Own, OwnRelation, Relation, Target, Variant, Variants, Via, enum_name, own_name};
pub use totals::Totals;

/// The objects of a workspace, as of one version of its definitions.
#[derive(Debug)]
pub struct Catalog {
    /// Counts the changes of a workspace's definitions; 0 is a workspace without own fields.
    pub version: i64,
    objects: IndexMap<String, Arc<Object>>,
}

impl Catalog {
    pub fn new(objects: impl IntoIterator<Item = Object>) -> Self {
        let objects = objects.into_iter().map(add_common).map(|object| (object.name.clone(), Arc::new(object))).collect();
        Self { version: 0, objects }
    }

    /// A copy of this catalog with a workspace's own objects and fields.
    #[must_use]
    pub fn with_own(&self, version: i64, own: Vec<Object>, fields: Vec<(String, Field)>, relations: Vec<(String, Relation)>) -> Self {
        let mut objects = self.without_namesakes(&own).objects;
        for object in own.into_iter().map(add_common) {
            objects.insert(object.name.clone(), Arc::new(object));
        }
        for (object, mut field) in fields {
            let Some(object) = objects.get_mut(&object) else { continue };
            let object = Arc::make_mut(object);
            if object.own.is_some() {
                object.fields.insert(field.name.clone(), field);
            } else {
                field.added = true;
                object.custom.insert(field.name.clone(), field);
            }
        }
        for (object, mut relation) in relations {
            if relation.leads_to().is_some_and(|target| !objects.contains_key(target)) {
                continue;
            }
            let Some(object) = objects.get_mut(&object) else { continue };
            let object = Arc::make_mut(object);
            relation.added = object.own.is_none();
            object.relations.insert(relation.access_name(), relation);
        }
        formula::resolve(&mut objects);
        Self { version, objects }
    }

    /// This catalog with a workspace's rules about duplicates, by object.
    #[must_use]
    pub fn with_duplicate_rules(mut self, rules: &HashMap<String, DuplicateRule>) -> Self {
        for (name, rule) in rules {
            if let Some(object) = self.objects.get_mut(name) {
                Arc::make_mut(object).duplicates = *rule;
            }
        }
        self
    }

    /// A copy of this catalog with each object as `change` makes it, without those that it drops.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Object) -> Option<Object>) -> Self {
        let objects = self.objects.values().filter_map(|object| change(object)).map(|object| (object.name.clone(), Arc::new(object)));
        Self { version: self.version, objects: objects.collect() }
    }

    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects by their stored names.
    pub fn by_name(&self) -> &formula::Objects {
        &self.objects
    }

    pub fn find(&self, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(name)
    }

    /// The object that a value of the API's `ObjectName` means.
    pub fn by_enum(&self, name: &str) -> Option<&Arc<Object>> {
        self.objects.values().find(|object| object.enum_name() == name)
    }

    /// An object that a definition names.
    ///
    /// # Panics
    /// When there is none: definitions are checked when the catalog is made.
    pub fn object(&self, name: &str) -> &Arc<Object> {
        self.objects.get(name).unwrap_or_else(|| panic!("the catalog has no object {name}"))
    }
}

/// What every record has.
fn add_common(object: Object) -> Object {
    let object = object
        .field(
            Field::column(
                "version",
                Kind::Integer,
                "Version",
                "Counts the writes of the record's stored fields, from 1; send it back as `expectedVersion`.",
            )
            .read_only(),
        )
        .field(Field::column("created_at", Kind::DateTime, "Created at", "When the record was created.").read_only().indexed())
        .field(Field::column("updated_at", Kind::DateTime, "Updated at", "When a stored field was last written.").read_only().indexed())
        .field(
            Field::column(
                "deleted_at",
                Kind::DateTime,
                "Deleted at",
                "When it was deleted; null while it is not. Deleted records can be restored.",
            )
            .read_only(),
        )
        .field(Field::column("source", Kind::Enum(&SOURCE), "Source", "How the record came to be.").read_only())
        .field(Field::column(
            "external_ids",
            Kind::ExternalIds,
            "External ids",
            "Ids of the same thing in other systems, each unique within its system; `upsert` finds the record by them.",
        ));
    let object = if object.relations.contains_key("owner") {
        object
    } else {
        object.relation(Relation::one("owner", "member", "owner_id", "Owner", "The member who is responsible for the record."))
    };
    if object.name == "tag" {
        return object;
    }
    object.relation(Relation::links("tags", Target::Object("tag".into()), "record_tag", true, "Tags", "Labels on the record."))
}

pub static SOURCE: EnumType = EnumType {
    name: "RecordSource",
    help: "How a record came to be.",
    values: &[
        ("API", "A request with a credential of a program or member."),
        ("UI", "A person at a screen."),
        ("IMPORT", "A bulk import."),
        ("EMAIL", "A message that was read."),
        ("CALENDAR", "A calendar entry."),
        ("FORM", "A form that a visitor filled in."),
        ("WORKFLOW", "An automation."),
        ("MERGE", "A merge of records."),
        ("SYNC", "A synchronisation with another system."),
        ("SYSTEM", "The server itself, demo data included."),
    ],
};
