//! Lists that are searched: `deals(search: "acme")`.
//!
//! What a search finds must be known before a list can be planned. So a plan is made twice: the first time it says
//! what it wants to be found, the second time it has the ids.

use super::cursor::{OrderKey, Place};
use super::node::{Planner, Scope};
use super::order::key;
use crate::catalog::{Object, Store};
use crate::error::{Error, Result};
use crate::records::search::Found;
use crate::records::selection::Merged;

/// What the lists of a plan search for.
#[derive(Default)]
pub struct Searches<'a> {
    pub found: Option<&'a Found>,
    pub wanted: Vec<(String, String)>,
}

/// The text that a list searches for. A blank one is none: clients begin with an empty field.
fn sought<'m>(merged: &'m Merged<'_>) -> Option<&'m str> {
    Planner::argument(merged, "search").as_str().filter(|text| !text.trim().is_empty())
}

impl Planner<'_> {
    /// The condition that a list's search makes.
    pub(super) fn searched(&mut self, object: &Object, alias: &str, merged: &Merged<'_>) -> Result<Option<String>> {
        let Some(text) = sought(merged) else { return Ok(None) };
        if self.as_of.is_some() {
            let message = "What is searched is as it is now: `search` and `asOf` do not go together. Filter by a field instead.";
            return Err(Error::bad_request(message).within("search"));
        }
        let (ids, _) = self.ids(object, text);
        Ok(Some(if self.sql.is_postgres() {
            format!("{alias}.id = ANY (({ids}::text)::uuid[])")
        } else {
            format!("{alias}.id IN (SELECT unhex(value) FROM json_each({ids}))")
        }))
    }

    /// The best match first, where a list is searched and nothing is said of its order.
    pub(super) fn by_relevance(&mut self, object: &Object, scope: &mut Scope, merged: &Merged<'_>) -> Option<Vec<OrderKey>> {
        let order = Self::argument(merged, "orderBy");
        if !order.is_null() && order != &serde_json::json!([]) {
            return None;
        }
        let text = sought(merged)?;
        let (ids, place) = self.ids(object, text);
        let alias = &scope.alias;
        scope.joins.insert(
            0,
            if self.sql.is_postgres() {
                format!(" JOIN unnest(({ids}::text)::uuid[]) WITH ORDINALITY {place} (id, place) ON {place}.id = {alias}.id")
            } else {
                // Made once, not looked through for every record.
                let listed = format!("WITH m (id, place) AS MATERIALIZED (SELECT unhex(value), key FROM json_each({ids})) SELECT * FROM m");
                format!(" JOIN ({listed}) {place} ON {place}.id = {alias}.id")
            },
        );
        let name = format!("search {text}");
        Some(vec![key(format!("{place}.place"), Store::Int, false, false, false, name, Place::Joined)])
    }

    /// The ids that were found, bound in the form of a list, and a name for their places. None are found yet when
    /// the plan is made for the first time.
    fn ids(&mut self, object: &Object, text: &str) -> (String, String) {
        let found = self.searches.found.and_then(|found| found.of(&object.name, text));
        if found.is_none() && !self.searches.wanted.iter().any(|(of, wanted)| *of == object.name && wanted == text) {
            self.searches.wanted.push((object.name.clone(), text.to_owned()));
        }
        let ids = found.unwrap_or_default().iter().map(|id| id.simple().to_string());
        let list = if self.sql.is_postgres() {
            format!("{{{}}}", ids.collect::<Vec<_>>().join(","))
        } else {
            serde_json::json!(ids.collect::<Vec<_>>()).to_string()
        };
        let place = format!("o{}", self.sql.alias());
        (self.sql.bind(list), place)
    }
}
