//! What a caller reaches, in the index's own words, so that the candidates that a search looks at are theirs.
//!
//! This is for speed, and for counts that mean something: whatever the index gives is looked at once more under the
//! caller's row conditions. What the index cannot know (shares, what a portal user is linked to, what a note is
//! about) is let through here, or asked by id ([`also`]).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::words::{Mark, Tag, Term};
use crate::catalog::{Catalog, Object};
use crate::platform::Ctx;
use crate::platform::access::{Policy, Reach};
use crate::records::access::{self, Verb};
use crate::records::sql::Sql;

/// More owners than this are not listed: their records are told apart afterwards.
const MOST_OWNERS: usize = 64;

/// What the words of records that the caller may reach have in common; none: everything may be reached.
pub fn within(ctx: &Ctx, catalog: &Catalog, tag: &Tag, objects: Option<&[String]>) -> Option<Term> {
    let policy = ctx.access.policy().filter(|policy| !policy.left_to_database);
    let wanted = |object: &&Object| !object.is_archived() && objects.is_none_or(|names| names.contains(&object.name));
    let searched: Vec<&Object> = catalog.objects().map(AsRef::as_ref).filter(wanted).collect();
    let open = |object: &Object| policy.is_none_or(|policy| policy.object(&object.name).read.is_all());
    if objects.is_none() && searched.iter().all(|object| open(object)) {
        return None;
    }
    // Objects with the same holders stand together.
    let mut by_holders: BTreeMap<Vec<String>, Vec<Term>> = BTreeMap::new();
    for object in searched {
        let holders = match policy {
            None => Some(Vec::new()),
            Some(policy) => holders(policy, tag, object),
        };
        if let Some(holders) = holders {
            by_holders.entry(holders).or_default().push(Term::Is(tag.object(&object.name)));
        }
    }
    let ways = by_holders.into_iter().map(|(holders, objects)| {
        let objects = Term::Any(objects);
        if holders.is_empty() {
            return objects;
        }
        Term::All(vec![objects, Term::Any(holders.into_iter().map(Term::Is).collect())])
    });
    let ways: Vec<Term> = ways.collect();
    // A word that no record has.
    Some(if ways.is_empty() { Term::Is(tag.object("")) } else { Term::Any(ways) })
}

/// Words of which a record has one if the caller reaches it; empty: the index cannot tell; none: nothing is reached.
fn holders(policy: &Policy, tag: &Tag, object: &Object) -> Option<Vec<String>> {
    let reach = policy.object(&object.name).read;
    let follows = object.follows.is_some() && reach.by_owner();
    let (team, tree) = (reach.includes(Reach::TEAM), reach.includes(Reach::TEAM_TREE));
    let others: &[Uuid] = if tree {
        &policy.tree
    } else if team {
        &policy.team
    } else {
        &[]
    };
    if reach.is_all() || follows || others.len() > MOST_OWNERS {
        return Some(Vec::new());
    }
    let mut words = Vec::new();
    if reach.by_owner() {
        words.extend(policy.member.iter().chain(others).map(|id| tag.holder(Mark::Owner, *id)));
    }
    if reach.includes(Reach::TERRITORY) {
        words.extend(policy.territories.iter().map(|id| tag.holder(Mark::Territory, *id)));
    }
    (!words.is_empty()).then_some(words)
}

/// Whether the index's words tell exactly what the caller reaches.
pub fn is_known(ctx: &Ctx, catalog: &Catalog, objects: Option<&[String]>) -> bool {
    let Some(policy) = ctx.access.policy() else { return true };
    let searched = |object: &&Object| !object.is_archived() && objects.is_none_or(|names| names.contains(&object.name));
    catalog.objects().map(AsRef::as_ref).filter(searched).all(|object| {
        let reach = policy.object(&object.name).read;
        let by_words =
            object.follows.is_none() && !reach.includes(Reach::LINKED) && policy.tree.len().max(policy.team.len()) <= MOST_OWNERS;
        let listed = policy.shared.contains(&object.name) || object.name == "member";
        // Where the database's policies judge alone, nothing is left out of the index's answer.
        let by_index = !policy.left_to_database && !listed && (reach.is_none() || by_words);
        !policy.is_filtered(&object.name) && (reach.is_all() || by_index)
    })
}

/// A select of ids that may be reached by what the index does not know.
pub fn also(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog) -> Option<String> {
    let policy = ctx.access.policy().filter(|policy| !policy.left_to_database)?;
    let selects: Vec<String> = catalog
        .objects()
        .filter(|object| !object.is_archived() && !policy.object(&object.name).read.is_all())
        .flat_map(|object| access::listed(sql, ctx, object, Verb::Read))
        .collect();
    (!selects.is_empty()).then(|| selects.join(" UNION ALL "))
}
