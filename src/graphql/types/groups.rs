//! The types of records in groups.

use async_graphql::registry::{MetaField, MetaInputValue};

use super::aggregates;
use super::meta::{Types, field, input, input_with_default, plain};
use super::records::{Names, list_arguments, target_type};
use crate::catalog::{Catalog, Field, Object, Relation};
use crate::records::read::aggregate::adds_up;
use crate::records::read::groups::{is_dated, is_groupable, is_sorter};

/// What all groups share.
pub fn common(types: &mut Types<'_>) {
    types.enumeration("GroupMode", "How records are grouped by a value.", [("VALUE", "One group for each value, and one for none.")]);
    types.enumeration(
        "DateBucket",
        "The spans by which records are grouped by a day or time, in the workspace's time zone.",
        [
            ("DAY", "Days."),
            ("WEEK", "Weeks from Monday (ISO 8601)."),
            ("MONTH", "Months."),
            ("QUARTER", "Quarters of the calendar year."),
            ("YEAR", "Calendar years."),
        ],
    );
    types.object("DateRange", "A span of days.", [plain("from", "Date!", "The first day."), plain("to", "Date!", "The last day.")]);
}

/// Adds the types of one object's groups.
pub fn add(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    let name = names.type_name;
    if names.variant.is_none() {
        numbers(types, object);
        custom(types, catalog, object);
    }
    by(types, catalog, object, names);
    let mut having = vec![input("count", "IntFilter", "By how many records a group has.")];
    let mut order = vec![
        input("key", "SortDirection", "By the key, as people would list it: stages by position, days by date."),
        input("count", "SortDirection", "By how many records a group has."),
    ];
    if object.all_fields().any(adds_up) {
        for (over, help) in
            [("sum", "By a sum."), ("avg", "By an average."), ("min", "By the smallest value."), ("max", "By the greatest value.")]
        {
            having.push(input(over, &format!("{}NumbersFilter", object.type_name), help));
            order.push(input(over, &format!("{}NumbersOrder", object.type_name), help));
        }
    }
    types.input(&format!("{name}Having"), "Conditions on groups; all that are given must hold.", having);
    types.one_of(&format!("{name}GroupOrder"), "One thing to sort groups by.", order);
    let group = format!("{name}Group");
    let mut list = vec![
        plain("id", "ID!", "Tells the group from others; `node` does not find it."),
        plain("key", &format!("{name}GroupKey!"), "What its records have in common."),
        plain("count", "Int!", "How many records it has."),
    ];
    list.extend(aggregates::members(object).into_iter().filter(|member| member.name != "count"));
    let arguments = list_arguments(name).into_iter().filter(|argument| argument.name != "filter");
    list.push(field(names.many, &format!("{name}Connection"), "Its records.", arguments));
    types.object(&group, "Records that have something in common.", list);
    types.registry.add_implements(&group, "Node");
    types.object(
        &format!("{group}Edge"),
        "A group in a list, and its place there.",
        [plain("node", &format!("{group}!"), "The group."), plain("cursor", "Cursor!", "Its place in the list.")],
    );
    types.object(
        &format!("{group}Connection"),
        "A page of groups.",
        [
            plain("edges", &format!("[{group}Edge!]!"), "The groups with their places."),
            plain("nodes", &format!("[{group}!]!"), "The groups."),
            plain("pageInfo", "PageInfo!", "Whether there is more, and where."),
            plain("totalCount", "Int", "How many groups there are in all; counted only when asked for."),
        ],
    );
}

/// The arguments of a root field.
pub fn arguments(name: &str) -> Vec<MetaInputValue> {
    vec![
        input("by", &format!("[{name}GroupBy!]!"), "What to group by, one key an element; five at most."),
        input("filter", &format!("{name}Filter"), "Only records that match."),
        input("having", &format!("{name}Having"), "Only groups that match."),
        input("orderBy", &format!("[{name}GroupOrder!]"), "What to sort groups by; by their keys, if not given."),
        input_with_default(
            "includeEmpty",
            "Boolean!",
            "false",
            "Also groups without records: every stage, every value of a list, every span between the first and the last. With one key, and without `having`.",
        ),
        input("first", "Int", "Groups on the page: 100 if not given, at most 200."),
        input("after", "Cursor", "Begin after this place."),
        super::roots::as_of(),
    ]
}

/// How records are grouped by a field.
fn mode(field: &Field) -> &'static str {
    if is_dated(field) { "DateBucket" } else { "GroupMode" }
}

fn relation_by(catalog: &Catalog, relation: &Relation) -> Option<MetaInputValue> {
    let target = catalog.object(relation.leads_to()?);
    let ty = if is_sorter(target) { "GroupMode".to_owned() } else { format!("{}GroupBy", target.type_name) };
    Some(input(&relation.name, &ty, &relation.help))
}

/// What a group's key says of a relation: the record, or something of it.
fn relation_key(catalog: &Catalog, relation: &Relation) -> Vec<MetaField> {
    let Some(target) = relation.leads_to().map(|name| catalog.object(name)) else { return Vec::new() };
    let mut list = vec![plain(&relation.name, &target_type(catalog, relation), &relation.help)];
    if !is_sorter(target) {
        let help = format!("{}: what the groups are made by of it.", relation.label);
        list.push(plain(&format!("{}Key", relation.name), &format!("{}GroupKey", target.type_name), &help));
    }
    list
}

fn field_key(of: &Field) -> MetaField {
    plain(&of.name, if is_dated(of) { "DateRange" } else { of.kind.output_type() }, &of.help)
}

fn by(types: &mut Types<'_>, catalog: &Catalog, object: &Object, names: &Names<'_>) {
    let name = names.type_name;
    let mut inputs = vec![input("id", "GroupMode", "By the record itself: in the place of a relation, by which record it leads to.")];
    let mut keys = vec![plain(
        "grouped",
        "[String!]!",
        "What the groups are made by, for example `stage` or `company.industry`; the other members are null.",
    )];
    for field in object.fields_of(names.variant).filter(|field| is_groupable(field)) {
        inputs.push(input(&field.name, mode(field), &field.help));
        keys.push(field_key(field));
    }
    for relation in object.relations_of(false).filter(|relation| relation.is_one()) {
        inputs.extend(relation_by(catalog, relation));
        keys.extend(relation_key(catalog, relation));
    }
    if has_custom(object) {
        let ty = format!("{}CustomGroup", object.type_name);
        inputs.push(input("custom", &format!("{ty}By"), "By a field that this workspace added."));
        keys.push(plain("custom", &format!("{ty}Key!"), "The fields that this workspace added."));
    }
    types.one_of(&format!("{name}GroupBy"), "One thing to group by.", inputs);
    types.object(&format!("{name}GroupKey"), "What the records of a group have in common.", keys);
}

fn has_custom(object: &Object) -> bool {
    object.custom.values().any(is_groupable) || object.relations_of(true).any(Relation::is_one)
}

fn custom(types: &mut Types<'_>, catalog: &Catalog, object: &Object) {
    if !has_custom(object) {
        return;
    }
    let name = format!("{}CustomGroup", object.type_name);
    let fields = || object.custom.values().filter(|field| is_groupable(field));
    let relations = || object.relations_of(true).filter(|relation| relation.is_one());
    let inputs = fields().map(|field| input(&field.name, mode(field), &field.help));
    let inputs = inputs.chain(relations().filter_map(|relation| relation_by(catalog, relation)));
    types.one_of(&format!("{name}By"), "A field that this workspace added, to group by.", inputs);
    let keys = fields().map(field_key).chain(relations().flat_map(|relation| relation_key(catalog, relation)));
    let grouped = plain("grouped", "[String!]!", "Which of them the groups are made by.");
    types.object(&format!("{name}Key"), "What the records of a group have in common.", std::iter::once(grouped).chain(keys));
}

/// The inputs that name numbers: to compare them, and to sort by them.
fn numbers(types: &mut Types<'_>, object: &Object) {
    let name = &object.type_name;
    let standard: Vec<&Field> = object.fields.values().filter(|field| adds_up(field)).collect();
    let added: Vec<&Field> = object.custom.values().filter(|field| adds_up(field)).collect();
    if standard.is_empty() && added.is_empty() {
        return;
    }
    for (suffix, ty) in [("NumbersFilter", "DecimalFilter"), ("NumbersOrder", "SortDirection")] {
        let mut list: Vec<MetaInputValue> = standard.iter().map(|field| input(&field.name, ty, &field.help)).collect();
        let add = |types: &mut Types<'_>, name: &str, help: &str, list: Vec<MetaInputValue>| {
            if suffix == "NumbersOrder" { types.one_of(name, help, list) } else { types.input(name, help, list) }
        };
        if !added.is_empty() {
            let custom = format!("{name}Custom{suffix}");
            let fields = added.iter().map(|field| input(&field.name, ty, &field.help)).collect();
            add(types, &custom, "The same of the fields that this workspace added.", fields);
            list.push(input("custom", &custom, "Of a field that this workspace added."));
        }
        let help = if suffix == "NumbersOrder" {
            "A number to sort by."
        } else {
            "Conditions on numbers; amounts of several currencies meet none."
        };
        add(types, &format!("{name}{suffix}"), help, list);
    }
}
