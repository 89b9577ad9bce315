//! One page of a list: where it begins, how long it is, and the select that reads it.

use sea_orm::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use super::connection::PageShape;
use super::cursor::{self, OrderKey, Place};
use super::extent;
use super::node::{Planner, Scope};
use super::order::{order_by, reversed};
use crate::catalog::Object;
use crate::error::{Error, Result};
use crate::records::selection::Merged;
use crate::records::sql::all_of;

/// A page is at most this long, and this long when nothing is said.
pub const MOST_ROWS: usize = 200;
pub(super) const USUAL_ROWS: usize = 20;

/// A page of a list, as its arguments ask for it.
pub(super) struct Page {
    pub shape: PageShape,
    /// The order in which rows are read: reversed when reading from the end.
    pub keys: Vec<OrderKey>,
    pub position: Option<cursor::Position>,
}

impl Planner<'_> {
    /// The rows of a page. Whoever reaches few records has them collected and sorted. Else, where the
    /// first key can be null, the rows with a value and those without are read one after the other,
    /// each from an index; the second part runs only when the first did not fill the page.
    pub(super) fn rows(
        &mut self,
        object: &Object,
        scope: &Scope,
        columns: &str,
        conditions: &[String],
        page: &Page,
        limit: usize,
    ) -> String {
        if self.as_of.is_some() {
            return self.rows_then(object, scope, columns, conditions, page, limit, None);
        }
        let (keys, position) = (page.keys.as_slice(), page.position.as_ref());
        let alias = &scope.alias;
        let joins = scope.joins.concat();
        if extent::is_few(self.ctx, object) {
            let own = self.sql.fenced(&format!("SELECT {alias}.* FROM {} {alias} WHERE {}", object.rows(), all_of(conditions)));
            let place = position.map(|position| format!(" WHERE {}", self.after(keys, position))).unwrap_or_default();
            let order = order_by(keys);
            return if keys.iter().any(|key| key.place == Place::Joined) {
                format!("SELECT {columns} FROM ({own}) {alias}{joins}{place} ORDER BY {order} LIMIT {limit}")
            } else {
                // Joined are only the records of the page.
                let page = format!("SELECT {alias}.* FROM ({own}) {alias}{place} ORDER BY {order} LIMIT {limit}");
                format!("SELECT {columns} FROM ({page}) {alias}{joins} ORDER BY {order} LIMIT {limit}")
            };
        }
        let split =
            keys.first().is_some_and(|key| key.nullable && !key.nulls_first && matches!(key.place, Place::Column | Place::Index { .. }))
                && keys.iter().all(|key| key.place != Place::Joined);
        if !split {
            let mut conditions = conditions.to_vec();
            if let Some(position) = position {
                conditions.push(self.after(keys, position));
            }
            if joins.is_empty() || keys.iter().any(|key| key.place == Place::Joined) {
                return format!(
                    "SELECT {columns} FROM {} {alias}{joins} WHERE {} ORDER BY {} LIMIT {limit}",
                    object.rows(),
                    all_of(&conditions),
                    order_by(keys)
                );
            }
            // Joined are only the records of the page, also where all have to be sorted for it.
            let page = branch(object, alias, &conditions, keys, limit);
            return format!("SELECT {columns} FROM ({page}) {alias}{joins} ORDER BY {} LIMIT {limit}", order_by(keys));
        }
        let mut branches = Vec::new();
        let first = &keys[0];
        let in_nulls = position.is_some_and(|position| position[0].is_none());
        // A folded text and the text itself are null together.
        let known: Vec<OrderKey> =
            keys.iter().map(|key| OrderKey { nullable: key.nullable && !same_field(key, first), ..key.clone() }).collect();
        if !in_nulls {
            branches.push(match &first.place {
                Place::Index { field, column } => self.index_branch(object, alias, conditions, (*field, column), known, position, limit),
                _ => {
                    let mut conditions = conditions.to_vec();
                    conditions.push(format!("{} IS NOT NULL", first.expression));
                    if let Some(position) = position {
                        conditions.push(self.after(&known, position));
                    }
                    branch(object, alias, &conditions, &known, limit)
                }
            });
        }
        let rest: Vec<OrderKey> = keys.iter().filter(|key| !same_field(key, first)).cloned().collect();
        let mut conditions = conditions.to_vec();
        conditions.push(format!("{} IS NULL", first.expression));
        if let (Some(position), true) = (position, in_nulls) {
            let skipped = keys.len() - rest.len();
            conditions.push(self.after(&rest, &position[skipped..].to_vec()));
        }
        branches.push(branch(object, alias, &conditions, &rest, limit));
        let union = branches.join(" UNION ALL ");
        format!("SELECT {columns} FROM (SELECT * FROM ({union}) u LIMIT {limit}) {alias}{joins} ORDER BY {} LIMIT {limit}", order_by(keys))
    }

    /// The rows with a value of an indexed custom field, read in the order of its index.
    #[expect(clippy::too_many_arguments, reason = "a page's parts, which only this branch needs apart")]
    fn index_branch(
        &mut self,
        object: &Object,
        alias: &str,
        conditions: &[String],
        (field, column): (Uuid, &str),
        mut keys: Vec<OrderKey>,
        position: Option<&cursor::Position>,
        limit: usize,
    ) -> String {
        let index = self.sql.alias();
        let field = self.sql.bind(field);
        keys[0].expression = format!("{index}.{column}");
        if let Some(id) = keys.last_mut() {
            id.expression = format!("{index}.record_id");
        }
        let mut conditions = conditions.to_vec();
        conditions.push(format!("{index}.workspace_id = $1 AND {index}.field_id = {field} AND {index}.{column} IS NOT NULL"));
        if let Some(position) = position {
            // Days are text in the index.
            let as_indexed = |value: &Option<Value>| match value {
                Some(Value::ChronoDate(Some(day))) => Some(day.to_string().into()),
                other => other.clone(),
            };
            let position = position.iter().map(as_indexed).collect();
            conditions.push(self.after(&keys, &position));
        }
        format!(
            "SELECT * FROM (SELECT {alias}.* FROM field_index {index} JOIN {} {alias} ON {alias}.workspace_id = $1 AND {alias}.id = {index}.record_id \
             WHERE {} ORDER BY {} LIMIT {limit}) b",
            object.rows(),
            all_of(&conditions),
            order_by(&keys)
        )
    }

    /// Gives the keys of the order a place in the row, for cursors.
    pub(super) fn order_slots(scope: &mut Scope, page: &mut Page) {
        for key in &mut page.shape.order {
            key.slot = scope.slot(key.expression.clone(), key.store);
        }
    }

    pub(super) fn page(&mut self, object: &Object, scope: &mut Scope, merged: &Merged<'_>) -> Result<Page> {
        let keys = match self.by_relevance(object, scope, merged) {
            Some(keys) => keys,
            None => self.order(object, scope, Self::argument(merged, "orderBy")).map_err(|e| e.within("orderBy"))?,
        };
        let (first, last) = (Self::argument(merged, "first"), Self::argument(merged, "last"));
        let (after, before) = (Self::argument(merged, "after"), Self::argument(merged, "before"));
        let backward = !last.is_null();
        if backward && (!first.is_null() || !after.is_null()) || !backward && !before.is_null() {
            return Err(Error::bad_request("Page forward with `first` and `after`, or backward with `last` and `before`; not both."));
        }
        let (name, count, cursor) = if backward { ("last", last, before) } else { ("first", first, after) };
        let limit = match count {
            Json::Null => USUAL_ROWS,
            count => count
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| *n <= MOST_ROWS)
                .ok_or_else(|| Error::bad_request(format!("`{name}` is a number from 0 to {MOST_ROWS}.")).within(name))?,
        };
        let position = cursor
            .as_str()
            .map(|text| cursor::read(&keys, text))
            .transpose()
            .map_err(|e| e.within(if backward { "before" } else { "after" }))?;
        let shape = PageShape { limit, backward, from_cursor: position.is_some(), chunked: false, order: keys.clone() };
        let keys = if backward { reversed(&keys) } else { keys };
        Ok(Page { shape, keys, position })
    }
}

fn same_field(key: &OrderKey, first: &OrderKey) -> bool {
    key.name.trim_end_matches(".folded") == first.name.trim_end_matches(".folded")
}

fn branch(object: &Object, alias: &str, conditions: &[String], keys: &[OrderKey], limit: usize) -> String {
    format!(
        "SELECT * FROM (SELECT {alias}.* FROM {} {alias} WHERE {} ORDER BY {} LIMIT {limit}) b",
        object.rows(),
        all_of(conditions),
        order_by(keys)
    )
}
