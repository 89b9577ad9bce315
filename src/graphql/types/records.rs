//! The types of one object: the record, its lists, its inputs, its payloads.

use async_graphql::registry::{Deprecation, MetaField, MetaInputValue};

use super::common::list_filter;
use super::meta::{Types, field, input, plain};
use super::writes::{references, relation_input, writes};
use super::{aggregates, groups, live, merges};
use crate::catalog::{Catalog, Field, Kind, Object, Relation, Target, Variant};
use crate::records::read::connection_type;

/// The API's names of an object or of one of its types.
pub struct Names<'a> {
    pub one: &'a str,
    pub many: &'a str,
    pub type_name: &'a str,
    pub help: &'a str,
    pub variant: Option<&'static Variant>,
}

/// An object's own names, and those of its types where it has several.
pub fn names(object: &Object) -> Vec<Names<'_>> {
    let own = Names { one: &object.one, many: &object.plural, type_name: &object.type_name, help: &object.help, variant: None };
    let types = object.variants.iter().flat_map(|variants| variants.types);
    let types = types.map(|variant| Names {
        one: variant.name,
        many: variant.plural,
        type_name: variant.type_name,
        help: variant.help,
        variant: Some(variant),
    });
    std::iter::once(own).chain(types).collect()
}

/// The GraphQL types that implement an object's type: itself, or its variants.
pub fn concrete_types(object: &Object) -> Vec<String> {
    match &object.variants {
        None => vec![object.type_name.clone()],
        Some(variants) => variants.types.iter().map(|variant| variant.type_name.to_owned()).collect(),
    }
}

pub fn add(types: &mut Types<'_>, catalog: &Catalog, object: &Object) {
    custom(types, catalog, object);
    references(types, object);
    for names in names(object) {
        record(types, catalog, object, &names);
        lists(types, catalog, object, &names);
        aggregates::add(types, object, &names);
        groups::add(types, catalog, object, &names);
        filter(types, catalog, object, &names);
        order(types, catalog, object, &names);
        live::events(types, names.one, names.type_name);
        if !(object.is_interface() && names.variant.is_none()) {
            writes(types, catalog, object, &names);
            if object.mergeable {
                merges::payloads(types, &names);
                merges::duplicates(types, &names);
            }
        }
    }
}

pub fn list_arguments(type_name: &str) -> Vec<MetaInputValue> {
    vec![
        input("filter", &format!("{type_name}Filter"), "Only records that match."),
        input(
            "search",
            "String",
            "Only records that have these words, or words that begin so: in the title, in searchable fields, in addresses and numbers. If nothing is said of the order, the best match comes first. Of more than 10,000 matches, those whose titles match are taken first. Deleted records are not found.",
        ),
        input("orderBy", &format!("[{type_name}Order!]"), "What to sort by, one field an element; ties are broken by the id."),
        input("first", "Int", "Records on the page, from the beginning: 20 if not given, at most 200."),
        input("after", "Cursor", "Begin after this place."),
        input("last", "Int", "Records on the page, from the end; at most 200."),
        input("before", "Cursor", "End before this place."),
    ]
}

/// Arguments of a list of records of any object.
fn any_list_arguments() -> Vec<MetaInputValue> {
    list_arguments("AnyRecord").into_iter().filter(|argument| !matches!(argument.name.as_str(), "filter" | "orderBy" | "search")).collect()
}

/// What every record has.
pub fn common_fields() -> Vec<MetaField> {
    vec![
        plain("id", "ID!", "The record's id, a UUID; of a preview, the id with `@preview`; of another time, with `@` and the instant."),
        plain("recordId", "ID!", "Always the plain UUID."),
        plain("object", "ObjectName!", "Which object it is of."),
        plain("title", "String!", "What to call it in a list of mixed records."),
        plain("version", "Int!", "Counts the writes of its stored fields, from 1; send it back as `expectedVersion`."),
        plain("createdAt", "DateTime!", "When it was created."),
        plain("updatedAt", "DateTime!", "When a stored field was last written."),
        plain("deletedAt", "DateTime", "When it was deleted; null while it is not."),
        plain("createdBy", "Actor!", "Who created it."),
        plain("updatedBy", "Actor!", "Who last wrote it."),
        plain("owner", "Member", "The member who is responsible for it."),
        plain("customFields", "JSON!", "The custom fields, untyped, by API name; typed they are under `custom`."),
        plain("viewerAccess", "RecordAccess!", "What the caller may do with it."),
        field(
            "history",
            "FieldChangeConnection!",
            "Which fields were changed, from what to what, by whom and when; the newest change first. Fields that the caller does not see whole are not in it; a link is told of the record from which it was made. In the payload of a write, the write itself is not in it yet.",
            [
                input("first", "Int", "Changes on the page: 20 if not given, at most 200."),
                input("after", "Cursor", "Begin after this place."),
                input("fields", "[String!]", "Only changes of these fields; own ones are named `custom.<name>`."),
            ],
        ),
    ]
}

fn meta_field(of: &Field) -> MetaField {
    let mut meta = plain(&of.name, &of.output_type(), &of.help);
    if of.archived {
        meta.deprecation = Deprecation::Deprecated { reason: Some("The field is archived; it will be null.".into()) };
    }
    meta
}

fn record(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    let mut list = common_fields();
    list.push(plain("custom", &format!("{}Custom!", object.type_name), "The fields that this workspace added."));
    list.extend(object.fields_of(names.variant).map(meta_field));
    if object.relations.contains_key("tags") {
        list.push(plain("tags", "[Tag!]!", "Labels on it, by name."));
    }
    for relation in object.relations_of(false).filter(|relation| relation.name != "tags") {
        list.push(relation_field(catalog, object, relation));
    }
    if object.is_interface() && names.variant.is_none() {
        types.interface(names.type_name, names.help, list, &concrete_types(object));
        for interface in ["AnyRecord", "Node"] {
            types.registry.add_implements(names.type_name, interface);
        }
    } else {
        types.object(names.type_name, names.help, list);
    }
}

fn relation_field(catalog: &Catalog, object: &Object, relation: &Relation) -> MetaField {
    let target = target_type(catalog, relation);
    match &relation.target {
        _ if relation.is_one() => plain(&relation.name, &target, &relation.help),
        Target::Any => field(&relation.name, "AnyRecordConnection!", &relation.help, any_list_arguments()),
        _ => field(&relation.name, &format!("{}!", connection_type(object, relation, &target)), &relation.help, list_arguments(&target)),
    }
}

pub fn target_type(catalog: &Catalog, relation: &Relation) -> String {
    match &relation.target {
        Target::Object(name) => catalog.object(name).type_name.clone(),
        Target::Any => "AnyRecord".into(),
    }
}

fn lists(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    connection(types, names.type_name, names.type_name, Vec::new());
    if names.variant.is_some() {
        return;
    }
    for relation in object.relations.values().filter(|relation| relation.has_role) {
        let target = target_type(catalog, relation);
        connection(types, connection_type(object, relation, &target).trim_end_matches("Connection"), &target, link_fields());
    }
}

/// What an edge says of the link.
fn link_fields() -> Vec<MetaField> {
    vec![
        plain("linkId", "ID!", "The link's own id."),
        plain("role", "String", "The role of the one for the other."),
        plain("title", "String", "The title that goes with the role, for example a job title."),
        plain("primary", "Boolean!", "Whether it is the primary one."),
    ]
}

pub fn connection(types: &mut Types<'_>, name: &str, node: &str, edge_fields: Vec<MetaField>) {
    let aggregate = (node != "AnyRecord").then(|| {
        let help = "What all records that match are together; reckoned only when asked for.";
        plain("aggregate", &format!("{node}Aggregate"), help)
    });
    let mut edge = vec![plain("node", &format!("{node}!"), "The record."), plain("cursor", "Cursor!", "Its place in the list.")];
    edge.extend(edge_fields);
    types.object(&format!("{name}Edge"), "A record in a list, and its place there.", edge);
    types.object(
        &format!("{name}Connection"),
        "A page of a list.",
        [
            plain("edges", &format!("[{name}Edge!]!"), "The records with their places."),
            plain("nodes", &format!("[{node}!]!"), "The records."),
            plain("pageInfo", "PageInfo!", "Whether there is more, and where."),
            plain("totalCount", "Int", "How many records match in all; counted only when asked for."),
        ]
        .into_iter()
        .chain(aggregate),
    );
}

fn custom(types: &mut Types<'_>, catalog: &Catalog, object: &Object) {
    let name = format!("{}Custom", object.type_name);
    let mut list = vec![plain("id", "ID!", "The record's id with `:custom`, so that caches keep the fields apart.")];
    list.extend(object.custom.values().map(meta_field));
    list.extend(object.relations_of(true).map(|relation| relation_field(catalog, object, relation)));
    types.object(&name, "The fields that this workspace added.", list);
    if !has_custom(object, false) {
        return;
    }
    let live: Vec<&Field> = object.custom.values().filter(|field| !field.archived).collect();
    let inputs = live.iter().filter(|field| !field.read_only).map(|field| input(&field.name, field.kind.input_type(), &field.help));
    let relations = object.relations_of(true).map(|relation| input(&relation.name, &relation_input(catalog, relation), &relation.help));
    types.input(
        &format!("{name}Input"),
        "Values of the fields that this workspace added. Absent fields are left alone, null clears.",
        inputs.chain(relations),
    );
    let filters = live.iter().map(|field| input(&field.name, &field.filter_type(), &field.help));
    let relations = object.relations_of(true).map(|relation| input(&relation.name, &relation_filter(catalog, relation), &relation.help));
    types.input(&format!("{name}Filter"), "Conditions on the fields that this workspace added.", filters.chain(relations));
    if has_custom(object, true) {
        let fields = live.iter().filter(|field| field.sortable()).map(|field| input(&field.name, "SortDirection", &field.help));
        let relations = object.relations_of(true).filter(|relation| relation.is_one());
        let relations =
            relations.map(|relation| input(&relation.name, &format!("{}Order", target_type(catalog, relation)), &relation.help));
        types.one_of(&format!("{name}Order"), "A custom field to sort by.", fields.chain(relations));
    }
}

/// The filter on what a relation leads to.
fn relation_filter(catalog: &Catalog, relation: &Relation) -> String {
    format!("{}{}", target_type(catalog, relation), if relation.is_one() { "Filter" } else { "ListFilter" })
}

pub fn has_custom(object: &Object, sortable: bool) -> bool {
    object.custom.values().any(|field| !field.archived && (!sortable || field.sortable()))
        || object.relations_of(true).any(|relation| !sortable || relation.is_one())
}

fn filter(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    let name = format!("{}Filter", names.type_name);
    let list = format!("[{name}!]");
    let mut inputs = vec![
        input("and", &list, "All of these hold; an empty list holds."),
        input("or", &list, "At least one of these holds; an empty list does not."),
        input("not", &name, "This does not hold: the exact complement."),
        input("id", "IDFilter", "Conditions on the id."),
        input("isNull", "Boolean", "In the place of a to-one relation: there is no such record (true), or there is one (false)."),
    ];
    for field in object.fields_of(names.variant).filter(|field| !field.archived) {
        inputs.push(input(&field.name, &field.filter_type(), &field.help));
    }
    for relation in object.relations_of(false) {
        inputs.push(input(&relation.name, &relation_filter(catalog, relation), &relation.help));
    }
    if has_custom(object, false) {
        inputs.push(input("custom", &format!("{}CustomFilter", object.type_name), "Conditions on the fields that this workspace added."));
    }
    inputs.push(input("customFields", "[CustomFieldFilter!]", "Conditions on custom fields, untyped; all must hold."));
    types.input(&name, "Conditions on a record; all that are given must hold. An empty filter matches every record.", inputs);
    list_filter(types, names.type_name);
}

fn order(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    let mut inputs = vec![input("id", "SortDirection", "By the id: the order of creation, unless clients made ids of their own.")];
    for field in object.fields_of(names.variant).filter(|field| field.sortable() && !field.archived) {
        inputs.push(input(&field.name, "SortDirection", &field.help));
    }
    for relation in object.relations_of(false).filter(|relation| relation.is_one()) {
        if let Target::Object(_) = relation.target {
            inputs.push(input(&relation.name, &format!("{}Order", target_type(catalog, relation)), &relation.help));
        }
    }
    if has_custom(object, true) {
        inputs.push(input("custom", &format!("{}CustomOrder", object.type_name), "By a field that this workspace added."));
    }
    types.one_of(&format!("{}Order", names.type_name), "One field to sort by.", inputs);
}

/// The kinds of enum that an object's fields use.
pub fn enums(object: &Object) -> impl Iterator<Item = &'static crate::catalog::EnumType> + '_ {
    object.fields.values().filter_map(|field| match field.kind {
        Kind::Enum(of) => Some(of),
        _ => None,
    })
}
