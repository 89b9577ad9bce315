//! Subscriptions, and the same feed as a query.

use std::collections::HashMap;

use async_graphql::registry::MetaField;

use super::meta::{Fields, Types, field, fields, input, input_with_default, plain};
use super::records::names;
use super::roots::Of;
use crate::catalog::Catalog;

/// What a root field of the subscription follows.
#[derive(Clone)]
pub enum Followed {
    /// Records of one object.
    Of(Of),
    /// Records of any.
    Any,
}

pub type Subscriptions = HashMap<String, Followed>;

const AFTER: &str =
    "Tell first what happened since this cursor: of an event, of `changes` or of `changeCursor`. Without one, what happens from now on.";

/// The type of the events of one type of record.
pub fn event_type(type_name: &str) -> String {
    format!("{type_name}Change")
}

/// What everything needs that tells of changes.
pub fn common(types: &mut Types<'_>, catalog: &Catalog) {
    types.enumeration(
        "ChangeKind",
        "What happened to a list, as its filter and the caller's access draw it.",
        [
            ("ENTERED", "The record is in the list now and was not: it was created or restored, it began to match, or the caller may see it now. Put it into the list."),
            ("UPDATED", "The record is in the list and was changed. Put it in the place of what is known of it."),
            ("LEFT", "The record is not in the list any more: it was deleted, ceased to match, or the caller may not see it any more. Take it out. It comes with `id` and `cursor` only."),
            ("GAP", "Changes are missing, because more happened than is kept or told, or because what the caller may see became another since the cursor: read the list anew. What follows is complete."),
            ("SCHEMA_CHANGED", "Fields or objects of the workspace were changed: generated code and cached schemas may be out of date. Events go on."),
        ],
    );
    let mut members = vec![plain("object", "ObjectName", "Which object the record is of; null with GAP and SCHEMA_CHANGED.")];
    members.extend(event_fields("record", "AnyRecord"));
    types.object("RecordChange", "What happened to a record of a list.", members);
    types.object(
        "RecordChangeConnection",
        "A page of changes, the oldest first.",
        [
            plain("edges", "[RecordChangeEdge!]!", "The changes with their places."),
            plain("nodes", "[RecordChange!]!", "The changes."),
            plain(
                "pageInfo",
                "PageInfo!",
                "Whether there is more already, and where. Keep `endCursor`, also of an empty page: the next time goes on from there.",
            ),
        ],
    );
    types.object(
        "RecordChangeEdge",
        "A change, and its place in the feed.",
        [plain("node", "RecordChange!", "The change."), plain("cursor", "Cursor!", "Its place.")],
    );
    types.one_of(
        "SyncScope",
        "A list to follow: the records of one object that match a filter; `{ deals: {} }` for all that the caller may see.",
        catalog
            .objects()
            .flat_map(|object| names(object))
            .map(|names| input(names.many, &format!("{}Filter", names.type_name), &format!("{} Only those that match.", names.help))),
    );
}

/// The events of one type of record.
pub fn events(types: &mut Types<'_>, one: &str, type_name: &str) {
    types.object(&event_type(type_name), "What happened to a record of a list.", event_fields(one, type_name));
}

fn event_fields(record: &str, type_name: &str) -> Vec<MetaField> {
    vec![
        plain("kind", "ChangeKind!", "What happened."),
        plain("id", "ID", "The record; null with GAP and SCHEMA_CHANGED."),
        plain(
            record,
            type_name,
            "The record as it is now, with ENTERED and UPDATED; it may have changed again since, which the next event tells.",
        ),
        plain(
            "changedFields",
            "[String!]!",
            "Fields and relations that were changed, as far as the caller may see them; own ones of standard objects are named `custom.<name>`. Empty where something else moved the record: a related record, a share, the time of day.",
        ),
        plain("actor", "Actor", "Who changed it; null where something else moved the record."),
        plain("at", "DateTime!", "When."),
        plain("cursor", "Cursor!", "The place of this event. Keep the last one: `after` goes on from there."),
    ]
}

/// The root fields of the subscription.
pub fn subscriptions(catalog: &Catalog) -> (Fields, Subscriptions) {
    let (mut list, mut meanings) = (Vec::new(), Subscriptions::new());
    for object in catalog.objects() {
        for names in names(object) {
            let of =
                Of { object: object.clone(), variant: names.variant, one: names.one.to_owned(), type_name: names.type_name.to_owned() };
            let name = format!("{}Changes", names.one);
            let filter =
                input("filter", &format!("{}Filter", names.type_name), "Only the records that match; what happens is told relative to it.");
            let help = format!(
                "What happens to a list, as soon as it is committed: {} A list stays right by applying the events in their order.",
                names.help
            );
            let ty = format!("{}!", event_type(names.type_name));
            list.push(field(&name, &ty, &help, [filter, input("after", "Cursor", AFTER)]));
            meanings.insert(name, Followed::Of(of));
        }
    }
    list.push(field(
        "recordChanges",
        "RecordChange!",
        "What happens to several lists of any objects, in one order.",
        [input("scopes", "[SyncScope!]", "The lists; all records that the caller may see if not given."), input("after", "Cursor", AFTER)],
    ));
    meanings.insert("recordChanges".to_owned(), Followed::Any);
    (fields(list), meanings)
}

pub fn queries() -> [MetaField; 2] {
    [
        field(
            "changes",
            "RecordChangeConnection",
            "What happened to lists, for apps that work offline and for integrations. Without `after` it first gives every record of the lists once, page by page, as ENTERED; then what changed, from the moment at which that began. Ask again with the last `endCursor`; on GAP forget what is known: the lists follow from their beginning.",
            [
                input("scopes", "[SyncScope!]!", "The lists, up to 20; the same ones with every page."),
                input("after", "Cursor", "Go on from here."),
                input_with_default("first", "Int", "200", "Changes on the page, from 1 to 1,000, about."),
            ],
        ),
        field(
            "changeCursor",
            "Cursor!",
            "Where the feed of changes stands, as of the same snapshot as the rest of the query: ask for it beside a list, and subscribe with it as `after`. Nothing is missed in between.",
            [],
        ),
    ]
}
