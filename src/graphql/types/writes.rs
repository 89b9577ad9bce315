//! The inputs and payloads of writes.

use async_graphql::registry::MetaInputValue;

use super::meta::{Types, input, input_with_default, plain};
use super::records::{Names, has_custom, target_type};
use crate::catalog::{Catalog, Field, Object, Relation, Via};
use crate::infra::text::pascal_case;
use crate::records::keys::key_argument;

/// What is wrong with an input.
pub fn errors(types: &mut Types<'_>) {
    types.object(
        "UserError",
        "Something about an input that its sender can mend.",
        [
            plain("code", "UserErrorCode!", "For programs."),
            plain("message", "String!", "For developers, in English."),
            plain("path", "[String!]!", "Where in the input; empty for the input as a whole."),
            plain("records", "[ID!]!", "The records that it is about: with DUPLICATE, those that look the same."),
        ],
    );
}

/// What other objects' inputs say about records of this one.
pub fn references(types: &mut Types<'_>, object: &Object) {
    key_and_reference(types, object);
    links(types, object);
    children(types, object);
}

fn key_and_reference(types: &mut Types<'_>, object: &Object) {
    let name = &object.type_name;
    let key = format!("{name}Key");
    let mut keys = vec![input("externalId", "ExternalIdInput", "Its id in another system.")];
    for field in object.fields.values().filter(|field| field.unique && !field.archived) {
        let ty = if field.is_custom() { field.kind.input_type() } else { "String" };
        keys.push(input(key_argument(field), ty, &field.help));
    }
    let unique: Vec<&Field> = object.custom.values().filter(|field| field.unique && !field.archived).collect();
    if !unique.is_empty() {
        let custom = format!("{name}CustomKey");
        types.one_of(
            &custom,
            "A unique custom field.",
            unique.iter().map(|field| input(&field.name, field.kind.input_type(), &field.help)),
        );
        keys.push(input("custom", &custom, "A unique custom field."));
    }
    types.one_of(&key, "A value by which a record is found without its id.", keys);
    let mut reference = vec![input("id", "ID", "By its id."), input("key", &key, "By a unique value.")];
    if !object.is_interface() {
        reference.push(input("create", &format!("{name}Create"), "A new one, created in the same transaction."));
    }
    types.one_of(&format!("{name}Ref"), "A record to point at: one that is there, or a new one.", reference);
}

/// Inputs for to-many links to this object.
fn links(types: &mut Types<'_>, object: &Object) {
    let name = &object.type_name;
    let role = || {
        vec![
            input("role", "String", "The role of the one for the other."),
            input("title", "String", "The title that goes with the role."),
            input("primary", "Boolean", "Whether it is the primary one; another one then is not any more."),
        ]
    };
    let mut connect =
        vec![input("id", "ID", "By its id; or give `key`."), input("key", &format!("{name}Key"), "By a unique value; or give `id`.")];
    connect.extend(role());
    types.input(&format!("{name}Connect"), "A record to link, one that is there.", connect);
    let mut list = vec![
        input(
            "connect",
            &format!("[{name}Connect!]"),
            "Link these; where the link is there already, what is given of role, title and primary replaces what it had.",
        ),
        input("update", &format!("[{name}LinkUpdate!]"), "Change these links, and the records themselves."),
        input("disconnect", "[ID!]", "Unlink these records."),
        input("delete", "[ID!]", "Delete these linked records."),
    ];
    let mut update = vec![input("id", "ID!", "The linked record.")];
    update.extend(role());
    if !object.is_interface() {
        let mut create = vec![input("record", &format!("{name}Create!"), "The new record.")];
        create.extend(role());
        types.input(&format!("{name}LinkCreate"), "A new record to create and link.", create);
        list.push(input("create", &format!("[{name}LinkCreate!]"), "Create these and link them."));
        update.push(input("record", &format!("{name}Update"), "Changes to the linked record itself."));
    }
    let help = "A link that is there: what is given of role, title and primary replaces what it had, null clears.";
    types.input(&format!("{name}LinkUpdate"), help, update);
    types.input(&format!("{name}LinksInput"), "Changes to a list of links.", list);
}

/// Inputs for to-many relations that the other object keeps: its records are children of this one's.
fn children(types: &mut Types<'_>, object: &Object) {
    let name = &object.type_name;
    let mut list = vec![
        input("connect", &format!("[{name}Ref!]"), "Let these belong here; one that belongs to one record alone is moved."),
        input("disconnect", "[ID!]", "Let these belong here no more; refused where they must belong to something."),
        input("delete", "[ID!]", "Delete these."),
    ];
    if !object.is_interface() {
        let update = [input("id", "ID!", "One that belongs here."), input("input", &format!("{name}Update!"), "Its changes.")];
        types.input(&format!("{name}ChildUpdate"), "Changes to a record of the list.", update);
        list.push(input("create", &format!("[{name}Create!]"), "Create these here; leave out the relation that leads back."));
        list.push(input("update", &format!("[{name}ChildUpdate!]"), "Change these."));
    }
    types.input(
        &format!("{name}ChildrenInput"),
        "Changes to a list of records that belong to this one, or are linked to it without more.",
        list,
    );
}

/// How a relation is written.
pub fn relation_input(catalog: &Catalog, relation: &Relation) -> String {
    let target = target_type(catalog, relation);
    match &relation.via {
        _ if relation.is_one() => format!("{target}Ref"),
        Via::Children(_) => format!("{target}ChildrenInput"),
        // Without a role there is nothing to say of a link beside the record.
        Via::Link { .. } if relation.is_bare() => format!("{target}ChildrenInput"),
        Via::Column(_) | Via::Link { .. } => format!("{target}LinksInput"),
    }
}

pub fn writes(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    let mut create = vec![input("id", "ID", "An id of the client's own making, a UUID. The same id again is the same record.")];
    let mut update = Vec::new();
    for field in object.fields_of(names.variant).filter(|field| !field.read_only && !field.archived) {
        let ty = field.kind.input_type();
        let required = if field.required && field.settings.default.is_none() { format!("{ty}!") } else { ty.to_owned() };
        create.push(input(&field.name, &required, &field.help));
        update.push(input(&field.name, ty, &field.help));
    }
    for relation in object.relations_of(false).filter(|relation| !relation.read_only) {
        let ty = relation_input(catalog, relation);
        create.push(input(&relation.name, &ty, &relation.help));
        update.push(input(&relation.name, &ty, &relation.help));
    }
    if has_custom(object, false) {
        let ty = format!("{}CustomInput", object.type_name);
        for list in [&mut create, &mut update] {
            list.push(input("custom", &ty, "Values of the fields that this workspace added."));
        }
    }
    for list in [&mut create, &mut update] {
        list.push(input("customFields", "[CustomFieldInput!]", "Values of custom fields, untyped."));
    }
    let label = names.one;
    types.input(&format!("{}Create", names.type_name), &format!("A new {label}."), create);
    types.input(
        &format!("{}Update", names.type_name),
        &format!("Changes to a {label}. Absent fields are left alone, null clears."),
        update,
    );
    let (one, many) = (format!("{}Payload", names.type_name), format!("{}Payload", pascal_case(names.many)));
    let conflict = format!("{}Conflict", names.type_name);
    types.object(
        &conflict,
        "What somebody else changed meanwhile.",
        [
            plain("current", names.type_name, "The record as it is now."),
            plain("fields", "[String!]!", "The fields that were changed since."),
            plain("baseVersion", "Int!", "The version that the caller had."),
        ],
    );
    types.object(
        &one,
        "What came of a write: the record, or why it was not written.",
        [
            plain(label, names.type_name, "The record after the write; null if it was not done, or removed the record."),
            plain("deletedId", "ID", "The id of the record that was deleted or purged."),
            plain("conflict", &conflict, "What somebody else changed meanwhile, with the error CONFLICT."),
            plain(
                "changeSetId",
                "ID",
                "What the write is called as a whole, for `changeSet` and `revertChangeSet`; null if nothing was written.",
            ),
            plain("warnings", "[UserError!]!", "What may be wrong, although the write was done."),
            plain("userErrors", "[UserError!]!", "Why the write was not done; empty if it was."),
        ],
    );
    types.object(
        &many,
        "What came of a bulk write.",
        [
            plain("results", &format!("[{one}!]!"), "One for each item, in order; a write by filter has one for each record that matched."),
            plain(
                "changeSetId",
                "ID",
                "What the call is called as a whole, for `changeSet` and `revertChangeSet`; null if nothing was written.",
            ),
            plain("committed", "Boolean!", "Whether anything was written."),
            plain("userErrors", "[UserError!]!", "Why the call as a whole was not carried out; empty if it was."),
        ],
    );
}

/// The arguments of a mutation that all writes share.
pub fn validate_only() -> MetaInputValue {
    input_with_default(
        "validateOnly",
        "Boolean!",
        "false",
        "Run everything, rules and uniqueness included, and write nothing; the payload has the record as it would be.",
    )
}
