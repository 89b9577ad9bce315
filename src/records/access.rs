//! Which rows a caller reaches, as SQL.
//!
//! One place makes the condition, and every way to a record carries it: lists, single records,
//! hops of filters and orders, nested lists, counts, references, writes. On PostgreSQL the row
//! policies say the same once more (migration/src/policies.rs); the two are tested against each
//! other and against a model.
//!
//! The condition is an OR of tests that indexes serve: the owner is among known members, the id is
//! among what was shared, the id is among what a portal user is linked to. What follows its links
//! (notes, activities) is the exception: there the linked record's row is looked at.

mod narrow;

use uuid::Uuid;

pub use narrow::{check_filter, strays};

use crate::catalog::{Catalog, Object, Target, Via};
use crate::platform::Ctx;
use crate::platform::access::{ObjectAccess, Policy, Reach};
use crate::records::sql::{Sql, all_of, any_of};

/// What is to be done with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Read,
    Update,
    Delete,
}

impl Verb {
    fn reach(self, access: &ObjectAccess) -> Reach {
        match self {
            Self::Read => access.read,
            Self::Update => access.update,
            Self::Delete => access.delete,
        }
    }
}

/// More owners than this are looked up in the database instead of being listed.
const MOST_LISTED: usize = 64;

/// The condition under which the caller reaches the record of `object` in `alias`; none where every
/// record is reached.
pub fn reached(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str, verb: Verb) -> Option<String> {
    if object.is_archived() {
        return Some("FALSE".into());
    }
    let by_role = by_role(sql, ctx, catalog, object, alias, verb);
    both(by_role, narrow::by_filter(sql, ctx, catalog, object, alias))
}

/// What the caller's roles reach.
fn by_role(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str, verb: Verb) -> Option<String> {
    let policy = ctx.access.policy().filter(|policy| !policy.left_to_database)?;
    let reach = verb.reach(policy.object(&object.name));
    if reach.is_all() {
        return None;
    }
    let now = ctx.now().0;
    let mut options = ways(sql, policy, object, alias, verb, reach, now);
    options.extend(by_following(sql, ctx, catalog, object, alias, verb, now));
    Some(any_of(&options))
}

fn both(a: Option<String>, b: Option<String>) -> Option<String> {
    let parts: Vec<String> = a.into_iter().chain(b).collect();
    (!parts.is_empty()).then(|| all_of(&parts))
}

/// The same for a record of any object, by its row in the spine.
pub fn reached_any(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, alias: &str) -> Option<String> {
    let policy = ctx.access.policy();
    let open = |object: &Object| {
        let seen = policy.is_none_or(|policy| policy.left_to_database && !policy.has_row_filters() || policy.sees_all(&object.name));
        seen && !object.is_archived()
    };
    if catalog.objects().all(|object| open(object)) {
        return None;
    }
    let (mut options, mut open) = (Vec::new(), Vec::new());
    for object in catalog.objects() {
        if object.is_archived() {
            continue;
        }
        let by_role = by_role(sql, ctx, catalog, object, alias, Verb::Read);
        match both(by_role, narrow::by_filter_on_spine(sql, ctx, catalog, object, alias)) {
            None => open.push(format!("'{}'", object.name)),
            Some(condition) if condition == "FALSE" => {}
            Some(condition) => options.push(format!("({alias}.object = '{}' AND {condition})", object.name)),
        }
    }
    options.extend(open_objects(alias, &open));
    Some(any_of(&options))
}

fn open_objects(alias: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{alias}.object IN ({})", names.join(", ")))
}

/// A way to a record, as it is told to whoever asks why somebody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The right extends to every record.
    All,
    /// The member owns it, or reaches its owner by teams or as a superior.
    Owner,
    /// It lies in a territory of the member's, or below one.
    Territory,
    /// It was shared with the member or a team of theirs.
    Share,
    /// It is linked to the person that the member is, or to that person's companies.
    Linked,
    /// It is linked to a record that the member sees.
    Follows,
}

/// The ways that a caller has to a record, each with its condition: the parts of [`reached`].
pub fn ways_to(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str, verb: Verb) -> Vec<(Way, String)> {
    let mut ways = ways_by_role(sql, ctx, catalog, object, alias, verb);
    if let Some(filter) = narrow::by_filter(sql, ctx, catalog, object, alias) {
        ways.iter_mut().for_each(|(_, condition)| *condition = all_of(&[condition.clone(), filter.clone()]));
    }
    ways
}

fn ways_by_role(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str, verb: Verb) -> Vec<(Way, String)> {
    let Some(policy) = ctx.access.policy() else { return vec![(Way::All, "TRUE".into())] };
    let reach = verb.reach(policy.object(&object.name));
    if reach.is_all() {
        return vec![(Way::All, "TRUE".into())];
    }
    if reach.is_none() {
        return Vec::new();
    }
    let now = ctx.now().0;
    let mut ways = Vec::new();
    ways.extend(by_owner(sql, policy, alias, reach).map(|condition| (Way::Owner, condition)));
    ways.extend(by_territory(sql, policy, object, alias, reach).map(|condition| (Way::Territory, condition)));
    ways.extend(by_grant(sql, policy, object, alias, verb, now).map(|condition| (Way::Share, condition)));
    if reach.includes(Reach::LINKED) {
        ways.push((Way::Linked, any_of(&by_link(sql, policy, object, alias))));
    }
    ways.extend(by_following(sql, ctx, catalog, object, alias, verb, now).map(|condition| (Way::Follows, condition)));
    ways
}

/// What a note or an activity is visible by: a record that it is linked to.
fn by_following(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str, verb: Verb, now: i64) -> Option<String> {
    let policy = ctx.access.policy()?;
    let kind = object.follows.as_ref().filter(|_| verb == Verb::Read && policy.object(&object.name).read.by_owner())?;
    if sql.is_postgres() && !policy.has_row_filters() {
        // As the policies ask it: reading the links themselves, each with its own policy, costs far more.
        return Some(format!(
            "coalesce((SELECT TRUE FROM kith_visible_link v WHERE v.workspace_id = $1 AND v.from_id = {alias}.id AND v.kind = '{kind}' LIMIT 1), FALSE)"
        ));
    }
    let record = sql.alias();
    let link = format!("f{record}");
    let there = spine(sql, ctx, catalog, &record, now);
    Some(format!(
        "EXISTS (SELECT 1 FROM record_link {link} JOIN record {record} ON {record}.workspace_id = $1 AND {record}.id = {link}.to_id \
         WHERE {link}.workspace_id = $1 AND {link}.from_id = {alias}.id AND {link}.kind = '{kind}' AND {record}.deleted_at IS NULL AND {there})"
    ))
}

/// Whether a record is reached by itself, not by what it is linked to.
fn spine(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, alias: &str, now: i64) -> String {
    let Some(policy) = ctx.access.policy() else { return "TRUE".into() };
    let (mut options, mut open) = (Vec::new(), Vec::new());
    for object in catalog.objects().filter(|object| !object.is_archived()) {
        let reach = policy.object(&object.name).read;
        let by_filter = narrow::by_filter_on_spine(sql, ctx, catalog, object, alias);
        if reach.is_all() && by_filter.is_none() {
            open.push(format!("'{}'", object.name));
            continue;
        }
        let ways = if reach.is_all() { vec!["TRUE".to_owned()] } else { ways(sql, policy, object, alias, Verb::Read, reach, now) };
        if !ways.is_empty() {
            let of_object = format!("{alias}.object = '{}'", object.name);
            let parts: Vec<String> = [of_object, any_of(&ways)].into_iter().chain(by_filter).collect();
            options.push(all_of(&parts));
        }
    }
    options.extend(open_objects(alias, &open));
    any_of(&options)
}

/// The ways to a record besides what it follows.
fn ways(sql: &mut Sql, policy: &Policy, object: &Object, alias: &str, verb: Verb, reach: Reach, now: i64) -> Vec<String> {
    let mut options = Vec::new();
    options.extend(by_self(sql, policy, object, alias, verb));
    if reach.is_none() {
        return options;
    }
    options.extend(by_owner(sql, policy, alias, reach));
    options.extend(by_territory(sql, policy, object, alias, reach));
    options.extend(by_grant(sql, policy, object, alias, verb, now));
    if reach.includes(Reach::LINKED) {
        options.extend(by_link(sql, policy, object, alias));
    }
    options
}

/// Everybody sees the member that they are.
fn by_self(sql: &mut Sql, policy: &Policy, object: &Object, alias: &str, verb: Verb) -> Option<String> {
    let me = policy.member.filter(|_| object.name == "member" && verb == Verb::Read)?;
    Some(format!("{alias}.id = {}", sql.bind_once(me)))
}

fn by_owner(sql: &mut Sql, policy: &Policy, alias: &str, reach: Reach) -> Option<String> {
    let me = policy.member.filter(|_| reach.by_owner())?;
    let (others, level) = if reach.includes(Reach::TEAM_TREE) {
        (policy.tree.as_slice(), 2)
    } else if reach.includes(Reach::TEAM) {
        (policy.team.as_slice(), 1)
    } else {
        (&[][..], 0)
    };
    if others.len() >= MOST_LISTED {
        let me = sql.bind_once(me);
        let list = format!(
            "SELECT {me} UNION ALL SELECT mr.owner_id FROM member_reach mr WHERE mr.workspace_id = $1 AND mr.viewer_id = {me} AND mr.level <= {level}"
        );
        return Some(in_select(sql, &format!("{alias}.owner_id"), &list));
    }
    let owners: Vec<Uuid> = std::iter::once(me).chain(others.iter().copied()).collect();
    Some(one_of(sql, &format!("{alias}.owner_id"), owners))
}

/// What lies in the caller's territories. The spine has the column too.
fn by_territory(sql: &mut Sql, policy: &Policy, object: &Object, alias: &str, reach: Reach) -> Option<String> {
    let placed = reach.includes(Reach::TERRITORY) && object.relations.contains_key("territory") && !policy.territories.is_empty();
    placed.then(|| one_of(sql, &format!("{alias}.territory_id"), policy.territories.clone()))
}

/// Whether a column is among some ids, of which there is one at least.
fn one_of(sql: &mut Sql, column: &str, mut ids: Vec<Uuid>) -> String {
    // Lists of few different lengths, so that few different statements are prepared.
    let first = ids[0];
    ids.resize(ids.len().next_power_of_two(), first);
    let list: Vec<String> = ids.into_iter().map(|id| sql.bind_once(id)).collect();
    if list.len() == 1 { format!("{column} = {}", list[0]) } else { format!("{column} IN ({})", list.join(", ")) }
}

fn by_grant(sql: &mut Sql, policy: &Policy, object: &Object, alias: &str, verb: Verb, now: i64) -> Option<String> {
    let list = granted(sql, policy, object, verb, now)?;
    Some(in_select(sql, &format!("{alias}.id"), &list))
}

/// A select of the ids that were shared with the caller.
fn granted(sql: &mut Sql, policy: &Policy, object: &Object, verb: Verb, now: i64) -> Option<String> {
    if !policy.shared.contains(&object.name) {
        return None;
    }
    let grantees: Vec<String> = policy.grantees.iter().map(|grantee| sql.bind_once(*grantee)).collect();
    let now = sql.bind(now);
    Some(format!(
        "SELECT g.record_id FROM record_grant g WHERE g.workspace_id = $1 AND g.grantee_id IN ({}) AND g.object = '{}' \
         AND (g.expires_at IS NULL OR g.expires_at > {now}){}",
        grantees.join(", "),
        object.name,
        if verb == Verb::Read { "" } else { " AND g.may_edit" }
    ))
}

fn by_link(sql: &mut Sql, policy: &Policy, object: &Object, alias: &str) -> Vec<String> {
    let lists = linked(sql, policy, object);
    lists.iter().map(|list| in_select(sql, &format!("{alias}.id"), list)).collect()
}

/// Selects of the ids that are linked to a portal user's own person, or to the companies of that person.
fn linked(sql: &mut Sql, policy: &Policy, object: &Object) -> Vec<String> {
    let Some(person) = policy.person else { return Vec::new() };
    let person = sql.bind_once(person);
    let ends = format!(
        "SELECT {person} UNION ALL SELECT pl.from_id FROM record_link pl \
         WHERE pl.workspace_id = $1 AND pl.kind = 'company_person' AND pl.to_id = {person}"
    );
    if matches!(object.name.as_str(), "person" | "company") {
        return vec![ends];
    }
    let linked = format!(
        "SELECT al.from_id FROM record_link al WHERE al.workspace_id = $1 AND al.to_id IN ({ends}) \
         UNION SELECT al.to_id FROM record_link al WHERE al.workspace_id = $1 AND al.from_id IN ({ends})"
    );
    let mut lists = vec![linked];
    let of_company = |target: &Target| *target == Target::Object("company".into());
    for relation in object.relations.values().filter(|relation| of_company(&relation.target)) {
        if let Via::Column(column) = &relation.via {
            // The spine has no such column; the record's own table is asked by its id.
            lists.push(format!("SELECT cl.id FROM {} cl WHERE cl.workspace_id = $1 AND cl.{column} IN ({ends})", object.rows()));
        }
    }
    lists
}

/// Selects of the ids that the caller reaches one by one: what was shared, what a portal user is linked to, the
/// member that they are.
pub fn listed(sql: &mut Sql, ctx: &Ctx, object: &Object, verb: Verb) -> Vec<String> {
    let Some(policy) = ctx.access.policy() else { return Vec::new() };
    let mut lists = Vec::new();
    if let Some(me) = policy.member.filter(|_| object.name == "member" && verb == Verb::Read) {
        lists.push(format!("SELECT {}", sql.bind_once(me)));
    }
    let reach = verb.reach(policy.object(&object.name));
    if !reach.is_none() {
        lists.extend(granted(sql, policy, object, verb, ctx.now().0));
        if reach.includes(Reach::LINKED) {
            lists.extend(linked(sql, policy, object).into_iter().map(|list| format!("SELECT * FROM ({list}) l")));
        }
    }
    lists
}

/// Whether a value is in a list that does not depend on the row: PostgreSQL makes an array of it
/// once, which an index can serve.
fn in_select(sql: &Sql, value: &str, list: &str) -> String {
    if sql.is_postgres() { format!("{value} = ANY (ARRAY({list}))") } else { format!("{value} IN ({list})") }
}
