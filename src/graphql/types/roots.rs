//! The root fields of the record API, and what each of them means.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::registry::{__DirectiveLocation, Deprecation, MetaDirective, MetaField, MetaInputValue, Registry};

use super::meta::{Fields, Types, field, fields, input, input_with_default, plain};
use super::records::{Names, common_fields, concrete_types, connection, list_arguments, names};
use super::writes::validate_only;
use super::{common, groups, live, merges, records, search, writes};
use crate::catalog::{Catalog, Object, Variant};
use crate::graphql::view::View;
use crate::infra::text::pascal_case;
use crate::records::read::page::MOST_ROWS;

/// Which object, and which of its types.
#[derive(Clone)]
pub struct Of {
    pub object: Arc<Object>,
    pub variant: Option<&'static Variant>,
    /// The API's name of one: the key of the record in payloads.
    pub one: String,
    pub type_name: String,
}

#[derive(Clone)]
pub enum Query {
    One(Of),
    List(Of),
    Groups(Of),
    Duplicates(Of),
    Node,
    Nodes,
    Search,
    Changes,
    ChangeCursor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Create,
    Update,
    Upsert,
    Delete,
    Restore,
    Purge,
    CreateMany,
    UpdateMany,
    DeleteMany,
    MoveStage,
    Merge,
    Unmerge,
}

#[derive(Clone)]
pub struct Mutation {
    pub verb: Verb,
    pub of: Of,
}

/// What the root fields of one catalog mean.
#[derive(Default)]
pub struct Roots {
    pub queries: HashMap<String, Query>,
    pub mutations: HashMap<String, Mutation>,
    pub subscriptions: live::Subscriptions,
}

/// The generated root fields.
pub struct RootFields {
    pub queries: Fields,
    pub mutations: Fields,
    pub subscriptions: Fields,
}

/// Adds all types of a catalog to a registry.
pub fn add_types(registry: &mut Registry, catalog: &Catalog) {
    let mut types = Types { registry };
    common::add(&mut types);
    groups::common(&mut types);
    merges::common(&mut types);
    writes::errors(&mut types);
    let objects: Vec<(String, &str)> = catalog.objects().map(|object| (object.enum_name(), object.help.as_str())).collect();
    types.enumeration("ObjectName", "An object that records can be of.", objects.iter().map(|(name, help)| (name.as_str(), *help)));
    let all: Vec<String> = catalog.objects().flat_map(|object| concrete_types(object)).collect();
    types.interface("Node", "Anything with an id of its own that `node` finds.", [plain("id", "ID!", "The id, a UUID.")], &all);
    types.interface("AnyRecord", "A record of any object.", common_fields(), &all);
    types.registry.add_implements("AnyRecord", "Node");
    connection(&mut types, "AnyRecord", "AnyRecord", vec![plain("linkId", "ID", "The link's own id.")]);
    search::add(&mut types);
    live::common(&mut types, catalog);
    types.one_of(
        "RowFilterInput",
        "The records of one object that a credential is for.",
        catalog.objects().map(|object| input(&object.plural, &format!("{}Filter", object.type_name), "Only those that match.")),
    );
    let mut seen = Vec::new();
    for object in catalog.objects() {
        for of in records::enums(object) {
            if !seen.contains(&of.name) {
                seen.push(of.name);
                common::enumeration(&mut types, of);
            }
        }
        records::add(&mut types, catalog, object);
    }
}

/// Directives of operations.
pub fn add_directives(registry: &mut Registry) {
    let atomic = MetaDirective {
        name: crate::graphql::atomic::DIRECTIVE.to_owned(),
        description: Some(
            "All root fields of the mutation in one transaction: if one is refused, nothing is written, and the other payloads say ROLLED_BACK. For mutations of records."
                .to_owned(),
        ),
        locations: vec![__DirectiveLocation::MUTATION],
        args: Default::default(),
        is_repeatable: false,
        visible: None,
        composable: None,
    };
    registry.directives.insert(atomic.name.clone(), atomic);
}

/// The generated root fields, and what they mean.
pub fn roots(catalog: &Catalog, view: &View) -> (RootFields, Roots) {
    let mut roots = Roots::default();
    let mut queries = vec![
        field("node", "Node", "A record of any object, by its id; null if there is none.", [input("id", "ID!", "The id.")]),
        field(
            "nodes",
            "[Node]!",
            &format!("Records of any object, by their ids, in that order; null where there is none. At most {MOST_ROWS}."),
            [input("ids", "[ID!]!", "The ids.")],
        ),
    ];
    roots.queries.insert("node".into(), Query::Node);
    roots.queries.insert("nodes".into(), Query::Nodes);
    queries.push(search::root());
    roots.queries.insert("search".into(), Query::Search);
    queries.extend(live::queries());
    roots.queries.insert("changes".into(), Query::Changes);
    roots.queries.insert("changeCursor".into(), Query::ChangeCursor);
    let (subscriptions, followed) = live::subscriptions(catalog);
    roots.subscriptions = followed;
    let mut mutations = Vec::new();
    for object in catalog.objects() {
        for names in names(object) {
            let of =
                Of { object: object.clone(), variant: names.variant, one: names.one.to_owned(), type_name: names.type_name.to_owned() };
            query_fields(&names, &of, &mut queries, &mut roots);
            if !(object.is_interface() && names.variant.is_none()) {
                mutation_fields(&names, &of, view, &mut mutations, &mut roots);
            }
        }
    }
    (RootFields { queries: fields(queries), mutations: fields(mutations), subscriptions }, roots)
}

/// A root field of an object; an archived object's is deprecated.
fn field_of(of: &Of, name: &str, ty: &str, help: &str, arguments: impl IntoIterator<Item = MetaInputValue>) -> MetaField {
    let mut meta = field(name, ty, help, arguments);
    if of.object.is_archived() {
        let reason = format!("{} are archived: there are none until the object is brought back.", of.object.plural_label);
        meta.deprecation = Deprecation::Deprecated { reason: Some(reason) };
    }
    meta
}

/// `asOf`: everything below as it stood then.
pub(super) fn as_of() -> MetaInputValue {
    input(
        "asOf",
        "DateTime",
        "As it stood at an instant, from the history: what was deleted or merged since is there, what was created since is not, and what is below is of the same time. Who sees what is judged by the records of today. Ids are `<id>@<instant>`; `recordId` is plain.",
    )
}

fn query_fields(names: &Names<'_>, of: &Of, queries: &mut Vec<MetaField>, roots: &mut Roots) {
    let key = format!("{}Key", of.object.type_name);
    queries.push(field_of(
        of,
        names.one,
        names.type_name,
        &format!("One record: {} Null if there is none. Give exactly one of `id` and `key`.", names.help),
        [input("id", "ID", "By its id."), input("key", &key, "By a unique value, which the record has today."), as_of()],
    ));
    roots.queries.insert(names.one.to_owned(), Query::One(of.clone()));
    let mut arguments = list_arguments(names.type_name);
    arguments.push(input_with_default("deleted", "DeletedFilter", "EXCLUDE", "Whether deleted records are in the list."));
    arguments.push(as_of());
    let connection = format!("{}Connection", names.type_name);
    queries.push(field_of(of, names.many, &connection, &format!("A page of records: {}", names.help), arguments));
    roots.queries.insert(names.many.to_owned(), Query::List(of.clone()));
    if of.object.mergeable {
        let name = format!("{}Duplicates", names.one);
        let help = format!("Records that may be the same {}, the likeliest first. Give exactly one of `id` and `draft`.", names.one);
        let arguments = [
            input("id", "ID", "A record that is there."),
            input(
                "draft",
                &format!("{}Create", names.type_name),
                "A record that is not: its own fields count, what it is linked to does not.",
            ),
            input_with_default("first", "Int!", "10", "The most of them, up to 50."),
        ];
        queries.push(field_of(of, &name, &format!("{}Duplicates", names.type_name), &help, arguments));
        roots.queries.insert(name, Query::Duplicates(of.clone()));
    }
    let name = format!("{}Groups", names.one);
    let help = format!("Records in groups, each with what its records are together: {}", names.help);
    queries.push(field_of(of, &name, &format!("{}GroupConnection", names.type_name), &help, groups::arguments(names.type_name)));
    roots.queries.insert(name, Query::Groups(of.clone()));
}

fn mutation_fields(names: &Names<'_>, of: &Of, view: &View, mutations: &mut Vec<MetaField>, roots: &mut Roots) {
    let (ty, one) = (names.type_name, names.one);
    let (single, plural) = (pascal_case(one), pascal_case(names.many));
    let (payload, bulk) = (format!("{ty}Payload!"), format!("{plural}Payload!"));
    let (create, changes, filter) = (format!("{ty}Create!"), format!("{ty}Update"), format!("{ty}Filter!"));
    let update = format!("{changes}!");
    let key = format!("{}Key!", of.object.type_name);
    let id = || input("id", "ID!", "The record.");
    let limit = || input("limit", "Int!", "The most records it may touch, up to 1,000; if more match, nothing is changed.");
    let acknowledge =
        || input("acknowledge", "[ID!]", "Records that are known not to be the same, although they look so: they are not warned of.");
    let policy = || input_with_default("onError", "BulkErrorPolicy!", "ROLLBACK", "What happens to the others when an item fails.");
    let mut add = |verb: Verb, name: String, ty: &str, help: String, arguments: Vec<_>| {
        if !view.allows(&of.object.name, verb) {
            return;
        }
        mutations.push(field_of(of, &name, ty, &help, arguments));
        roots.mutations.insert(name, Mutation { verb, of: of.clone() });
    };
    add(
        Verb::Create,
        format!("create{single}"),
        &payload,
        format!("Creates a {one}."),
        vec![input("input", &create, "The new record."), acknowledge(), validate_only()],
    );
    add(
        Verb::Update,
        format!("update{single}"),
        &payload,
        format!("Changes a {one}."),
        vec![
            id(),
            input("input", &update, "What to change."),
            input("expectedVersion", "Int", "The version that the caller knows; if it is another, see `onConflict`."),
            input_with_default("onConflict", "OnConflict!", "REFUSE", "What to do when the version is another."),
            validate_only(),
        ],
    );
    add(
        Verb::Upsert,
        format!("upsert{single}"),
        &payload,
        format!("Changes the {one} that has the key, or creates one with it."),
        vec![
            input("key", &key, "The key to find it by."),
            input("input", &create, "The record as it should be; absent fields are left alone."),
            acknowledge(),
            validate_only(),
        ],
    );
    add(
        Verb::Delete,
        format!("delete{single}"),
        &payload,
        format!("Deletes a {one}: it is hidden everywhere at once, and can be restored."),
        vec![id(), validate_only()],
    );
    add(
        Verb::Restore,
        format!("restore{single}"),
        &payload,
        format!("Brings a deleted {one} back, with its links."),
        vec![id(), validate_only()],
    );
    add(
        Verb::Purge,
        format!("purge{single}"),
        &payload,
        format!("Removes a {one} for good; what points at it is unlinked."),
        vec![id(), validate_only()],
    );
    add(
        Verb::CreateMany,
        format!("create{plural}"),
        &bulk,
        format!("Creates up to 1,000 {} in one transaction.", names.many),
        vec![input("inputs", &format!("[{create}]!"), "The new records."), policy(), acknowledge(), validate_only()],
    );
    add(
        Verb::UpdateMany,
        format!("update{plural}"),
        &bulk,
        format!("Changes all {} that match a filter.", names.many),
        vec![
            input("filter", &filter, "Which records; it must say something."),
            input("input", &update, "What to change in each."),
            limit(),
            policy(),
            validate_only(),
        ],
    );
    add(
        Verb::DeleteMany,
        format!("delete{plural}"),
        &bulk,
        format!("Deletes all {} that match a filter.", names.many),
        vec![input("filter", &filter, "Which records; it must say something."), limit(), policy(), validate_only()],
    );
    if of.object.mergeable {
        let several = names.many;
        add(
            Verb::Merge,
            format!("merge{plural}"),
            &format!("{ty}MergePayload!"),
            format!(
                "Makes one of several {several}: the others' links, references and shares move to the survivor, their ids mean it for ever, and `unmerge{single}` undoes it. Lists are united and empty fields filled, unless something else is said."
            ),
            vec![
                input("into", "ID!", "The survivor; it keeps its id."),
                input("from", "[ID!]!", "The records that become part of it, at most 20."),
                input_with_default(
                    "strategy",
                    "MergeStrategy!",
                    "SURVIVOR",
                    "How values are chosen of fields that have no way of their own.",
                ),
                input("choices", "[MergeChoiceInput!]", "How the values of these fields are chosen."),
                input("input", &changes, "Values that the survivor gets besides."),
                validate_only(),
            ],
        );
        add(
            Verb::Unmerge,
            format!("unmerge{single}"),
            &format!("{ty}UnmergePayload!"),
            format!("Undoes a merge of {several}: all that was not changed since is as it was, and the rest is told."),
            vec![input("mergeId", "ID!", "The merge, from its payload."), validate_only()],
        );
    }
    if one == "stage" {
        add(
            Verb::MoveStage,
            "moveStage".into(),
            &payload,
            "Moves a stage within its pipeline.".into(),
            vec![id(), input("after", "ID", "The stage to stand after; without one, it becomes the first."), validate_only()],
        );
    }
}
