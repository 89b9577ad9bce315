//! Orders: what a list is sorted by, and where a page of it begins.

use std::sync::Arc;

use sea_orm::Value;
use serde_json::Value as Json;

use super::cursor::{OrderKey, Place, Position};
use super::node::{Planner, Scope};
use crate::catalog::{Field, Object, Relation, Source, Store, Target};
use crate::error::{Error, Result};
use crate::platform::access::Sight;
use crate::records::sql::{Sql, all_of, any_of};

/// A direction as the API names it.
fn direction(text: &str) -> (bool, bool) {
    (text.starts_with("DESC"), text.ends_with("NULLS_FIRST"))
}

impl Planner<'_> {
    /// The keys of `orderBy`, ties broken by the id in the direction of the last key.
    pub fn order(&mut self, object: &Object, scope: &mut Scope, order_by: &Json) -> Result<Vec<OrderKey>> {
        let single = std::slice::from_ref(order_by);
        let elements = if order_by.is_null() { &[] } else { order_by.as_array().map_or(single, Vec::as_slice) };
        let mut keys = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let alias = scope.alias.clone();
            self.order_element(object, scope, &alias, element, "", &mut keys).map_err(|e| e.within(index.to_string()))?;
        }
        if elements.is_empty() {
            let alias = scope.alias.clone();
            let access = self.ctx.access.object(&object.name).clone();
            // What the caller may not see does not sort their list, and does not stand in its cursors.
            let default = default_order(object).iter().filter(|(name, _)| access.field(name).sight == Sight::Full);
            for (name, descending) in default {
                self.order_field(object.fields.get(*name), scope, &alias, *descending, false, name, &mut keys)?;
            }
        }
        scope.check_joins()?;
        let mut seen = std::collections::HashSet::new();
        keys.retain(|key| seen.insert(key.name.clone()));
        let descending = keys.last().is_some_and(|key| key.descending);
        let expression = format!("{}.id", scope.alias);
        keys.push(key(expression, Store::Uuid, descending, false, false, "id".into(), Place::Column));
        Ok(keys)
    }

    fn order_element(
        &mut self,
        object: &Object,
        scope: &mut Scope,
        alias: &str,
        element: &Json,
        path: &str,
        keys: &mut Vec<OrderKey>,
    ) -> Result<()> {
        let members =
            element.as_object().map(|members| members.iter().filter(|(_, value)| !value.is_null()).collect::<Vec<_>>()).unwrap_or_default();
        let [(name, value)] = members.as_slice() else {
            return Err(Error::bad_request("An element of an order names exactly one field."));
        };
        let path = format!("{path}.{name}");
        if name.as_str() == "custom" {
            let empty = serde_json::Map::new();
            for (custom, value) in value.as_object().unwrap_or(&empty) {
                if let Some(relation) = object.added_relation(custom) {
                    let joined = self.ordered_by(object, scope, alias, relation)?;
                    return self.order_element(&joined.0, scope, &joined.1, value, &format!("{path}.{custom}"), keys);
                }
                let field = object.custom.get(custom);
                if field.is_none() {
                    return Err(Error::bad_request(format!("{} has no custom field `{custom}`.", object.type_name)));
                }
                if field.is_some_and(|field| !field.sortable()) {
                    return Err(Error::bad_request(format!("{} cannot be ordered by `{custom}`.", object.type_name)));
                }
                self.check_sight(object, &format!("custom.{custom}"))?;
                let (descending, nulls_first) = direction(value.as_str().unwrap_or("ASC"));
                self.order_field(field, scope, alias, descending, nulls_first, &format!("{path}.{custom}"), keys)?;
            }
            return Ok(());
        }
        if let Some(relation) = object.relations.get(name.as_str()).filter(|relation| relation.is_one()) {
            let (target, joined) = self.ordered_by(object, scope, alias, relation)?;
            return self.order_element(&target, scope, &joined, value, &path, keys);
        }
        let (descending, nulls_first) = direction(value.as_str().unwrap_or("ASC"));
        if name.as_str() == "id" {
            let place = if alias == scope.alias { Place::Column } else { Place::Joined };
            keys.push(key(format!("{alias}.id"), Store::Uuid, descending, nulls_first, place == Place::Joined, path, place));
            return Ok(());
        }
        let field = object.fields.get(name.as_str()).filter(|field| field.sortable());
        if field.is_none() {
            return Err(Error::bad_request(format!("{} cannot be ordered by `{name}`.", object.type_name)));
        }
        self.check_sight(object, name)?;
        self.order_field(field, scope, alias, descending, nulls_first, &path, keys)
    }

    /// The record that a to-one relation leads to, joined.
    fn ordered_by(&mut self, object: &Object, scope: &mut Scope, alias: &str, relation: &Relation) -> Result<(Arc<Object>, String)> {
        let Target::Object(target) = &relation.target else {
            return Err(Error::bad_request(format!("{} cannot be ordered by `{}`.", object.type_name, relation.name)));
        };
        let target = self.catalog.object(target).clone();
        self.check_sight(object, &relation.access_name())?;
        let joined = self.join_by(scope, alias, relation, &target);
        Ok((target, joined))
    }

    #[expect(clippy::too_many_arguments, reason = "each is one property of the key that it makes")]
    fn order_field(
        &mut self,
        field: Option<&Field>,
        scope: &Scope,
        alias: &str,
        descending: bool,
        nulls_first: bool,
        name: &str,
        keys: &mut Vec<OrderKey>,
    ) -> Result<()> {
        let Some(field) = field else { return Ok(()) };
        let raw = self.value(alias, field)?;
        let nullable = field.nullable || alias != scope.alias;
        let place = match &field.source {
            _ if alias != scope.alias => Place::Joined,
            Source::Column(_) => Place::Column,
            Source::Custom { id } if self.is_indexed(field) && field.kind.store() != Store::Bool => {
                Place::Index { field: *id, column: if field.kind.store() == Store::Int { "number" } else { "\"text\"" } }
            }
            Source::Custom { .. } | Source::Computed { .. } => Place::Document,
        };
        if field.kind.folds() {
            let folded = field.fold_column.as_ref().map_or_else(|| Sql::fold(&raw), |column| format!("{alias}.{column}"));
            keys.push(key(folded, Store::Text, descending, nulls_first, nullable, format!("{name}.folded"), place.clone()));
        }
        // The index has the folded text.
        let place = if field.kind.folds() && matches!(place, Place::Index { .. }) { Place::Document } else { place };
        let raw = if field.kind.store() == Store::Text && field.is_custom() && self.sql.is_postgres() {
            format!("({raw}) COLLATE \"C\"")
        } else {
            raw
        };
        keys.push(key(raw, field.kind.store(), descending, nulls_first, nullable, name.to_owned(), place));
        Ok(())
    }

    /// The rows after a position. Null stands last (or first) as the key says, and equals itself.
    pub fn after(&mut self, keys: &[OrderKey], position: &Position) -> String {
        if let Some(row) = self.row_comparison(keys, position) {
            return row;
        }
        let mut options = Vec::new();
        let mut equal: Vec<String> = Vec::new();
        for (key, value) in keys.iter().zip(position) {
            let mut parts = equal.clone();
            if let Some(later) = self.strictly_after(key, value.as_ref()) {
                parts.push(later);
                options.push(all_of(&parts));
            }
            equal.push(match value {
                Some(value) => format!("{} = {}", key.expression, self.sql.bind(value.clone())),
                None => format!("{} IS NULL", key.expression),
            });
        }
        any_of(&options)
    }

    /// `(a, b, id) > (x, y, z)`, which an index serves from its start, where all keys go one way
    /// and none can be null.
    fn row_comparison(&mut self, keys: &[OrderKey], position: &Position) -> Option<String> {
        let descending = keys.first()?.descending;
        if keys.iter().any(|key| key.nullable || key.descending != descending) {
            return None;
        }
        let expressions: Vec<&str> = keys.iter().map(|key| key.expression.as_str()).collect();
        let values: Vec<Value> = position.iter().cloned().collect::<Option<_>>()?;
        let values = self.sql.bind_all(values);
        let comparison = if descending { "<" } else { ">" };
        Some(format!("({}) {comparison} ({values})", expressions.join(", ")))
    }

    fn strictly_after(&mut self, key: &OrderKey, value: Option<&Value>) -> Option<String> {
        let expression = &key.expression;
        match value {
            None if key.nulls_first => Some(format!("{expression} IS NOT NULL")),
            None => None,
            Some(value) => {
                let comparison = if key.descending { "<" } else { ">" };
                let later = format!("{expression} {comparison} {}", self.sql.bind(value.clone()));
                Some(if key.nullable && !key.nulls_first { format!("({later} OR {expression} IS NULL)") } else { later })
            }
        }
    }
}

pub(super) fn key(
    expression: String,
    store: Store,
    descending: bool,
    nulls_first: bool,
    nullable: bool,
    name: String,
    place: Place,
) -> OrderKey {
    OrderKey { slot: 0, store, expression, descending, nulls_first, nullable, name, place }
}

/// How a list is sorted when its caller does not say: as people would lay it out.
fn default_order(object: &Object) -> &'static [(&'static str, bool)] {
    match object.name.as_str() {
        "stage" | "pipeline" => &[("position", false)],
        "activity" => &[("occurredAt", true)],
        _ => &[],
    }
}

/// `ORDER BY` of the keys. Nulls are placed only where there can be some, so that a plain index fits.
pub fn order_by(keys: &[OrderKey]) -> String {
    let terms: Vec<String> = keys
        .iter()
        .map(|key| {
            let direction = if key.descending { " DESC" } else { "" };
            let nulls = match (key.nullable, key.nulls_first) {
                (false, _) => "",
                (true, true) => " NULLS FIRST",
                (true, false) => " NULLS LAST",
            };
            format!("{}{direction}{nulls}", key.expression)
        })
        .collect();
    terms.join(", ")
}

/// The same order from its end.
pub fn reversed(keys: &[OrderKey]) -> Vec<OrderKey> {
    let turn = |key: &OrderKey| OrderKey { descending: !key.descending, nulls_first: !key.nulls_first, ..key.clone() };
    keys.iter().map(turn).collect()
}
