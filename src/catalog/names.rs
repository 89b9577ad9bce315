//! Names that the schema has, so that an object of a workspace's own is not called so.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::{Catalog, Object};
use crate::infra::text::pascal_case;

/// The schema of a brand-new workspace; a test keeps it so.
const SCHEMA: &str = include_str!("../../schema.graphql");

/// What later versions will want to call types and root fields of their own.
const KEPT_FREE: [&str; 50] = [
    "aggregate",
    "attachment",
    "audience",
    "automation",
    "board",
    "calendar",
    "campaign",
    "change",
    "changeSet",
    "comment",
    "consent",
    "dashboard",
    "duplicate",
    "email",
    "event",
    "export",
    "file",
    "forecast",
    "form",
    "goal",
    "group",
    "id",
    "import",
    "job",
    "list",
    "mailbox",
    "merge",
    "message",
    "multiSelect",
    "mutation",
    "notification",
    "presence",
    "query",
    "rate",
    "relation",
    "report",
    "score",
    "sealed",
    "segment",
    "select",
    "selectOption",
    "sequence",
    "subscription",
    "template",
    "thread",
    "timeline",
    "token",
    "view",
    "webhook",
    "workflow",
];

/// What is generated for an object begins with its type's name and ends so.
const SUFFIXES: [&str; 39] = [
    "",
    "Aggregate",
    "Change",
    "ChildUpdate",
    "ChildrenInput",
    "Conflict",
    "Connect",
    "Connection",
    "CountDistinct",
    "Create",
    "Custom",
    "CustomGroupBy",
    "CustomGroupKey",
    "Duplicate",
    "Duplicates",
    "Edge",
    "Extremes",
    "Filter",
    "Group",
    "GroupBy",
    "GroupConnection",
    "GroupEdge",
    "GroupKey",
    "GroupOrder",
    "Having",
    "Key",
    "LinkCreate",
    "LinkUpdate",
    "LinksInput",
    "ListFilter",
    "MergePayload",
    "Numbers",
    "NumbersFilter",
    "NumbersOrder",
    "Order",
    "Payload",
    "Ref",
    "UnmergePayload",
    "Update",
];

/// The types that an object's names give.
pub fn types_of(one: &str, many: &str) -> BTreeSet<String> {
    let (one, many) = (pascal_case(one), pascal_case(many));
    let types = SUFFIXES.iter().map(|suffix| format!("{one}{suffix}"));
    types.chain([format!("{many}Payload"), many]).collect()
}

/// The types of a list whose links have a role.
fn edge_types(owner: &Object, target: &Object) -> [String; 2] {
    ["Connection", "Edge"].map(|suffix| format!("{}{}{suffix}", owner.type_name, target.type_name))
}

/// Types that a schema has without saying so, or only where a workspace has fields of its own.
const UNSAID: [&str; 9] = ["Boolean", "Float", "ID", "Int", "String", "PresenceFilter", "SealedFilter", "SelectFilter", "SelectOption"];

/// Types and root fields of the standard schema.
static TAKEN: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let mut names = BTreeSet::from(UNSAID);
    let mut root = false;
    for line in SCHEMA.lines() {
        let mut words = line.split([' ', '(', ':', '{', '@']);
        match words.next() {
            Some(kind @ ("type" | "input" | "enum" | "interface" | "union" | "scalar")) => {
                let name = words.next().unwrap_or_default();
                names.insert(name);
                root = kind == "type" && matches!(name, "Query" | "Mutation" | "Subscription");
            }
            // A member stands one tab in, its description in quotes.
            Some(member) if root => {
                let name = member.strip_prefix('\t').filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
                names.extend(name);
            }
            _ => {}
        }
    }
    names
});

impl Catalog {
    /// A name of the schema that an object called so would have too, or that is kept free.
    pub fn collision(&self, one: &str, many: &str) -> Option<String> {
        let types = types_of(one, many);
        if let Some(kept) = KEPT_FREE.iter().find(|kept| **kept == one || **kept == many) {
            return Some((*kept).to_owned());
        }
        let roots = [one, many].map(str::to_owned);
        if let Some(taken) = roots.iter().chain(&types).find(|name| TAKEN.contains(name.as_str())) {
            return Some(taken.clone());
        }
        let own = self.objects().filter(|object| object.own.is_some());
        let own =
            own.flat_map(|object| types_of(&object.one, &object.plural).into_iter().chain([object.one.clone(), object.plural.clone()]));
        let relations = self.objects().flat_map(|object| object.relations.values().map(move |relation| (object, relation)));
        let edges = relations.filter(|(_, relation)| relation.has_role && relation.own.is_some()).filter_map(|(object, relation)| {
            let target = self.find(relation.leads_to()?)?;
            Some(edge_types(object, target))
        });
        own.chain(edges.flatten()).find(|name| types.contains(name) || roots.contains(name))
    }

    /// A type of one of the workspace's own objects that a relation with roles between two objects would have too.
    pub fn edge_collision(&self, from: &Object, to: &Object) -> Option<String> {
        let edges = edge_types(from, to).into_iter().chain(edge_types(to, from)).collect::<Vec<_>>();
        let own = self.objects().filter(|object| object.own.is_some());
        own.flat_map(|object| types_of(&object.one, &object.plural)).find(|name| edges.contains(name))
    }

    /// This catalog without the objects that a workspace's own ones are called like, and without what
    /// leads to them: what a workspace named stays what its programs know it as.
    pub(super) fn without_namesakes(&self, own: &[Object]) -> Self {
        let is_namesake = |object: &Object| {
            let names = [&object.one, &object.plural, &object.type_name];
            own.iter().any(|other| [&other.one, &other.plural, &other.type_name].iter().any(|name| names.contains(name)))
        };
        let left_out: BTreeSet<&str> = self.objects().filter(|object| is_namesake(object)).map(|object| object.name.as_str()).collect();
        if left_out.is_empty() {
            return Self { version: self.version, objects: self.objects.clone() };
        }
        self.map(|object| {
            if left_out.contains(object.name.as_str()) {
                return None;
            }
            let mut object = object.clone();
            object.relations.retain(|_, relation| relation.leads_to().is_none_or(|target| !left_out.contains(target)));
            Some(object)
        })
    }
}
