//! What groups are sorted by, and which of them are left out.

use serde_json::{Map, Value as Json};

use super::Groups;
use crate::catalog::{Field, Kind, Object, Store};
use crate::error::{Error, Result};
use crate::records::read::cursor::{OrderKey, Place};
use crate::records::read::node::{Planner, Scope};
use crate::records::sql::all_of;

impl Planner<'_> {
    /// The keys of `orderBy`; the groups' own keys break ties.
    pub(super) fn group_order(
        &mut self,
        groups: &mut Groups<'_>,
        outer: &mut Scope,
        alias: &str,
        order_by: &Json,
    ) -> Result<Vec<OrderKey>> {
        let single = std::slice::from_ref(order_by);
        let elements = if order_by.is_null() { &[] } else { order_by.as_array().map_or(single, Vec::as_slice) };
        let mut order = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let members: Vec<_> = element.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
            let [(name, value)] = members.as_slice() else {
                return Err(Error::bad_request("An element of an order names exactly one thing.").within(index.to_string()));
            };
            match name.as_str() {
                "key" => self.order_by_keys(groups, outer, value, &mut order),
                "count" => order.push(key("g.n".into(), Store::Int, value, "count")),
                over => {
                    let (field, direction) = reckoned(groups.object, value).map_err(|e| e.within(index.to_string()))?;
                    self.check_sight(groups.object, &field.access_name())?;
                    let expression = self.reckon(alias, over, field)?;
                    let place = groups.orders.len();
                    groups.orders.push(expression);
                    order.push(key(format!("g.o{place}"), Store::Int, direction, &format!("{over}.{}", field.access_name())));
                }
            }
        }
        if elements.is_empty() {
            self.order_by_keys(groups, outer, &Json::Null, &mut order);
        }
        for (index, of) in groups.keys.iter().enumerate() {
            order.push(key(format!("g.k{index}"), of.store, &Json::Null, &format!("k{index}")));
        }
        let mut seen = std::collections::HashSet::new();
        order.retain(|key| seen.insert(key.expression.clone()));
        Ok(order)
    }

    fn order_by_keys(&mut self, groups: &Groups<'_>, outer: &mut Scope, direction: &Json, order: &mut Vec<OrderKey>) {
        for (index, of) in groups.keys.iter().enumerate() {
            for (expression, store) in self.key_order(groups, outer, index) {
                order.push(key(expression, store, direction, &of.path.join(".")));
            }
            order.push(key(format!("g.k{index}"), of.store, direction, &format!("k{index}")));
        }
    }

    /// A sum, average or extreme in units of 1/10,000, to be compared: amounts of several currencies have none.
    fn reckon(&mut self, alias: &str, over: &str, field: &Field) -> Result<String> {
        let raw = self.value(alias, field)?;
        let scaled = if matches!(field.kind, Kind::Integer | Kind::Rating) { " * 10000" } else { "" };
        let units = format!("{raw}{scaled}");
        let number = match over {
            "sum" => self.sql.comparable_sum(&units),
            "avg" => self.sql.comparable_average(&units),
            "min" => format!("min({units})"),
            _ => format!("max({units})"),
        };
        if field.kind != Kind::Money {
            return Ok(number);
        }
        let currency = self.currency(alias, field)?;
        Ok(format!("CASE WHEN min({currency}) = max({currency}) THEN {number} END"))
    }

    /// The condition on groups, as it follows `GROUP BY`.
    pub(super) fn having(&mut self, object: &Object, alias: &str, having: &Json) -> Result<String> {
        let empty = Map::new();
        let mut parts = Vec::new();
        for (over, condition) in having.as_object().unwrap_or(&empty).iter().filter(|(_, condition)| !condition.is_null()) {
            if over == "count" {
                let field = Field::column("count", Kind::Integer, "count", "");
                parts.push(self.comparisons(&field, "count(*)", None, condition, false).map_err(|e| e.within("count"))?);
                continue;
            }
            let fields = condition.as_object().unwrap_or(&empty);
            let custom = fields.get("custom").and_then(Json::as_object).unwrap_or(&empty);
            let standard =
                fields.iter().filter(|(name, _)| *name != "custom").map(|(name, condition)| (object.fields.get(name), condition));
            let added = custom.iter().map(|(name, condition)| (object.custom.get(name), condition));
            for (field, condition) in standard.chain(added).filter(|(_, condition)| !condition.is_null()) {
                let field = field.ok_or_else(|| Error::bad_request(format!("{} has no such field.", object.type_name)))?;
                self.check_sight(object, &field.access_name())?;
                let expression = self.reckon(alias, over, field)?;
                let compared = Field::column("value", Kind::Decimal, "value", "");
                parts.push(self.comparisons(&compared, &expression, None, condition, false).map_err(|e| e.within(over.as_str()))?);
            }
        }
        Ok(if parts.is_empty() { String::new() } else { format!(" HAVING {}", all_of(&parts)) })
    }
}

/// The field of `{ amount: DESC }`, or of `{ custom: { arr: DESC } }`, and the direction.
fn reckoned<'o, 'j>(object: &'o Object, value: &'j Json) -> Result<(&'o Field, &'j Json)> {
    let refuse = || Error::bad_request("Name exactly one field.");
    let one = |value: &'j Json| {
        let mut members = value.as_object()?.iter().filter(|(_, value)| !value.is_null());
        let first = members.next()?;
        members.next().is_none().then_some(first)
    };
    let (name, direction) = one(value).ok_or_else(refuse)?;
    if name == "custom" {
        let (name, direction) = one(direction).ok_or_else(refuse)?;
        return object.custom.get(name).map(|field| (field, direction)).ok_or_else(refuse);
    }
    object.fields.get(name).map(|field| (field, direction)).ok_or_else(refuse)
}

fn key(expression: String, store: Store, direction: &Json, name: &str) -> OrderKey {
    let text = direction.as_str().unwrap_or("ASC");
    OrderKey {
        slot: 0,
        store,
        expression,
        descending: text.starts_with("DESC"),
        nulls_first: text.ends_with("NULLS_FIRST"),
        nullable: true,
        name: name.to_owned(),
        place: Place::Joined,
    }
}
