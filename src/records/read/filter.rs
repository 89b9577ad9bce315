//! Filters: a tree of conditions becomes one SQL predicate.
//!
//! A filter is two-valued: a record matches or it does not, null included, and `not` is the exact
//! complement. SQL's third value is harmless where conditions are only joined by AND and OR (null
//! counts as "no" there), so a plain comparison stays plain and an index can serve it. Under a
//! `not` each leaf is written `(…) IS TRUE`. Sub-selects (`EXISTS`) are two-valued by themselves,
//! so inside them the counting starts anew.

use sea_orm::Value;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::node::Planner;
use crate::catalog::{Field, Kind, Object, Relation, Target, Via};
use crate::error::{Error, Result};
use crate::platform::access::Sight;
use crate::records::access;
use crate::records::sql::{Sql, all_of, any_of};

mod leaf;
mod sealed;

/// SQLite takes expressions of a thousand levels; a filter stays well below that on both databases.
const MOST_CONDITIONS: usize = 300;
const DEEPEST: usize = 16;

impl Planner<'_> {
    /// The predicate of a filter over the table `alias`. `negated`: under an odd or even number of
    /// `not`, but in the same row.
    pub fn filter(&mut self, object: &Object, alias: &str, filter: &Json, negated: bool) -> Result<String> {
        let Some(conditions) = filter.as_object() else { return Ok("TRUE".into()) };
        self.filters = (self.filters.0 + conditions.len().max(1), self.filters.1 + 1);
        if self.filters.0 > MOST_CONDITIONS || self.filters.1 > DEEPEST {
            return Err(Error::bad_request(format!("A filter has at most {MOST_CONDITIONS} conditions, {DEEPEST} levels deep.")));
        }
        let mut parts = Vec::new();
        for (name, condition) in conditions {
            if condition.is_null() {
                continue;
            }
            let part = match name.as_str() {
                "and" => all_of(&self.each(object, alias, condition, negated)?),
                "or" => any_of(&self.each(object, alias, condition, negated)?),
                "not" => format!("NOT ({})", self.filter(object, alias, condition, true)?),
                "id" => self.id_filter(&format!("{alias}.id"), condition, negated)?,
                // Asked of a record that is there.
                "isNull" => if condition == &Json::Bool(true) { "FALSE" } else { "TRUE" }.into(),
                "custom" => self.custom_filter(object, alias, condition, negated)?,
                "customFields" => self.untyped_filter(object, alias, condition, negated)?,
                other => self.member_filter(object, alias, other, condition, negated).map_err(|e| e.within(other))?,
            };
            parts.push(part);
        }
        self.filters.1 -= 1;
        Ok(all_of(&parts))
    }

    fn each(&mut self, object: &Object, alias: &str, list: &Json, negated: bool) -> Result<Vec<String>> {
        let single = std::slice::from_ref(list);
        let filters = list.as_array().map_or(single, Vec::as_slice);
        filters.iter().map(|filter| self.filter(object, alias, filter, negated)).collect()
    }

    fn member_filter(&mut self, object: &Object, alias: &str, name: &str, condition: &Json, negated: bool) -> Result<String> {
        self.check_sight(object, name)?;
        if let Some(field) = object.find_field(name) {
            return self.field_filter(object, field, alias, condition, negated);
        }
        let relation = object.relations.get(name);
        let relation = relation.ok_or_else(|| Error::bad_request(format!("{} has no field `{name}` to filter by.", object.type_name)))?;
        self.relation_filter(relation, alias, condition)
    }

    /// A relation under `custom`.
    fn added_filter(&mut self, object: &Object, relation: &Relation, alias: &str, condition: &Json) -> Result<String> {
        self.check_sight(object, &relation.access_name())?;
        self.relation_filter(relation, alias, condition)
    }

    fn custom_filter(&mut self, object: &Object, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        let empty = Map::new();
        let mut parts = Vec::new();
        for (name, condition) in condition.as_object().unwrap_or(&empty) {
            if let Some(relation) = object.added_relation(name) {
                if !condition.is_null() {
                    parts.push(self.added_filter(object, relation, alias, condition).map_err(|e| e.within(name))?);
                }
                continue;
            }
            let field = object.custom.get(name);
            let field = field.ok_or_else(|| Error::bad_request(format!("{} has no custom field `{name}`.", object.type_name)))?;
            self.check_sight(object, &field.access_name())?;
            if !condition.is_null() {
                parts.push(self.field_filter(object, field, alias, condition, negated).map_err(|e| e.within(name))?);
            }
        }
        Ok(all_of(&parts))
    }

    /// `customFields: [{ field: "arr", operator: "gte", value: "10" }]`
    fn untyped_filter(&mut self, object: &Object, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        let single = std::slice::from_ref(condition);
        let mut parts = Vec::new();
        for one in condition.as_array().map_or(single, Vec::as_slice) {
            let name = one["field"].as_str().unwrap_or_default();
            let field = object.custom.get(name).or_else(|| object.own_field(name));
            let field = field.ok_or_else(|| Error::bad_request(format!("{} has no custom field `{name}`.", object.type_name)))?;
            self.check_sight(object, &field.access_name())?;
            let operator = one["operator"].as_str().unwrap_or_default();
            let mut typed = Map::new();
            typed.insert(operator.to_owned(), one["value"].clone());
            let mut typed = Json::Object(typed);
            if field.kind == Kind::Money && !matches!(operator, "isNull" | "currency") {
                typed = serde_json::json!({ "amount": typed });
            }
            parts.push(self.field_filter(object, field, alias, &typed, negated).map_err(|e| e.within(name))?);
        }
        Ok(all_of(&parts))
    }

    fn relation_filter(&mut self, relation: &Relation, alias: &str, condition: &Json) -> Result<String> {
        match (&relation.via, &relation.target) {
            // An empty filter matches every record, also in the place of a relation.
            (Via::Column(_), Target::Object(_)) if is_empty(condition) => Ok("TRUE".into()),
            (Via::Column(column), Target::Object(target)) => {
                let target = self.catalog.object(target).clone();
                let other = self.sql.alias();
                let column = format!("{alias}.{column}");
                let link = format!("{other}.id = {column}");
                let filter = self.filter(&target, &other, condition, false)?;
                let exists = self.exists(&target, &other, &link, &filter);
                Ok(match condition.get("isNull").and_then(Json::as_bool) {
                    // The rest of a filter that asks for nothing there cannot hold.
                    Some(true) => format!("NOT {}", self.exists(&target, &other, &link, "TRUE")),
                    _ => exists,
                })
            }
            (Via::Column(_), Target::Any) => Err(Error::bad_request("This relation cannot be filtered by.")),
            _ if relation.is_one() && is_empty(condition) => Ok("TRUE".into()),
            _ if relation.is_one() => {
                let nothing = condition.get("isNull").and_then(Json::as_bool) == Some(true);
                let linked = self.related(relation, alias, "1", (!nothing).then_some((condition, false)))?;
                Ok(format!("{}EXISTS ({linked})", if nothing { "NOT " } else { "" }))
            }
            _ => self.list_filter(relation, alias, condition),
        }
    }

    fn exists(&mut self, target: &Object, other: &str, link: &str, filter: &str) -> String {
        let reached = self.reached(target, other).map(|reached| format!(" AND {reached}")).unwrap_or_default();
        let table = self.table(target, other);
        format!(
            "EXISTS (SELECT 1 FROM {table} WHERE {other}.workspace_id = $1 AND {link} AND {other}.deleted_at IS NULL{reached} AND {filter})"
        )
    }

    /// `some`, `none`, `every` and `count` over a to-many relation.
    fn list_filter(&mut self, relation: &Relation, alias: &str, condition: &Json) -> Result<String> {
        let empty = Map::new();
        let mut parts = Vec::new();
        for (quantifier, filter) in condition.as_object().unwrap_or(&empty) {
            if filter.is_null() {
                continue;
            }
            let part = match quantifier.as_str() {
                "some" => format!("EXISTS ({})", self.related(relation, alias, "1", Some((filter, false)))?),
                "none" => format!("NOT EXISTS ({})", self.related(relation, alias, "1", Some((filter, false)))?),
                "every" => format!("NOT EXISTS ({})", self.related(relation, alias, "1", Some((filter, true)))?),
                "count" => {
                    let count = format!("({})", self.related(relation, alias, "count(*)", None)?);
                    let field = Field::column("count", Kind::Integer, "count", "");
                    self.comparisons(&field, &count, None, filter, false)?
                }
                other => return Err(Error::bad_request(format!("`{other}` is not a quantifier."))),
            };
            parts.push(part);
        }
        Ok(all_of(&parts))
    }

    /// A select over the records that a to-many relation leads to, those that fit the filter, or,
    /// turned round, those that do not.
    fn related(&mut self, relation: &Relation, alias: &str, what: &str, filter: Option<(&Json, bool)>) -> Result<String> {
        let other = self.sql.alias();
        let target = match &relation.target {
            Target::Object(name) => Some(self.catalog.object(name).clone()),
            Target::Any => None,
        };
        let (from, link) = self.related_from(relation, target.as_deref(), alias, &other);
        let predicate = match (filter, &target) {
            (None, _) => "TRUE".into(),
            (Some((filter, false)), Some(target)) => self.filter(target, &other, filter, false)?,
            (Some((filter, true)), Some(target)) => format!("NOT ({})", self.filter(target, &other, filter, true)?),
            (Some((filter, negated)), None) => {
                let inner = self.record_filter(&other, filter)?;
                if negated { format!("NOT ({inner})") } else { inner }
            }
        };
        Ok(format!("SELECT {what} FROM {from} WHERE {link} AND {other}.deleted_at IS NULL AND {predicate}"))
    }

    /// Tables and condition that lead from the record `alias` to the related `other`.
    pub fn related_from(&mut self, relation: &Relation, target: Option<&Object>, alias: &str, other: &str) -> (String, String) {
        let (from, link) = self.leads_to(relation, target, alias, other);
        let reached = match target {
            // Who may not see the company of a deal does not learn it from the company's deals.
            Some(target) if self.hides(relation, target) => Some("FALSE".into()),
            // What a visible record is linked to by what they follow is visible.
            Some(target)
                if follows(relation, target)
                    && self.ctx.access.object(&target.name).read.by_owner()
                    && self.ctx.access.policy().is_none_or(|policy| !policy.has_row_filters()) =>
            {
                None
            }
            Some(target) => self.reached(target, other),
            None => access::reached_any(&mut self.sql, self.ctx, self.catalog, other),
        };
        let link = reached.map_or(link.clone(), |reached| format!("{link} AND {reached}"));
        (from, link)
    }

    /// Whether the other object's relation that leads back is hidden from the caller.
    pub(super) fn hides(&self, relation: &Relation, target: &Object) -> bool {
        let back = target.relations.values().find(|back| match (&relation.via, &back.via) {
            (Via::Children(column), Via::Column(other)) => column == other,
            (Via::Link { kind, from }, Via::Link { kind: of, from: end }) => kind == of && from != end,
            _ => false,
        });
        back.is_some_and(|back| self.ctx.access.object(&target.name).field(&back.access_name()).sight != Sight::Full)
    }

    fn leads_to(&mut self, relation: &Relation, target: Option<&Object>, alias: &str, other: &str) -> (String, String) {
        let table = match target {
            Some(target) => self.table(target, other),
            None => self.any_table(other),
        };
        match &relation.via {
            Via::Children(column) => {
                let once = target.and_then(|target| self.once_belonged(target, column, other, &format!("{alias}.id")));
                let once = once.map(|once| format!(" AND {once}")).unwrap_or_default();
                (table, format!("{other}.workspace_id = $1{once} AND {other}.{column} = {alias}.id"))
            }
            Via::Column(column) => (table, format!("{other}.workspace_id = $1 AND {other}.id = {alias}.{column}")),
            Via::Link { kind, from } => {
                let link = format!("l{other}");
                let (mine, theirs) = if *from { ("from_id", "to_id") } else { ("to_id", "from_id") };
                let links = self.links(kind, mine, &format!("{alias}.id"), &link);
                (
                    format!("{links} JOIN {table} ON {other}.workspace_id = $1 AND {other}.id = {link}.{theirs}"),
                    format!("{link}.workspace_id = $1 AND {link}.kind = '{kind}' AND {link}.{mine} = {alias}.id"),
                )
            }
        }
    }

    /// Conditions on a record of any object.
    fn record_filter(&mut self, alias: &str, filter: &Json) -> Result<String> {
        let mut parts = Vec::new();
        if let Some(id) = filter.get("id").filter(|id| !id.is_null()) {
            parts.push(self.id_filter(&format!("{alias}.id"), id, false)?);
        }
        if let Some(names) = filter.get("object").filter(|names| !names.is_null()) {
            let single = std::slice::from_ref(names);
            let names = names.as_array().map_or(single, Vec::as_slice);
            let names = names.iter().filter_map(Json::as_str).map(|name| self.object_by_enum(name).into()).collect::<Vec<Value>>();
            let list = self.sql.bind_all(names);
            parts.push(if list.is_empty() { "FALSE".into() } else { format!("{alias}.object IN ({list})") });
        }
        Ok(all_of(&parts))
    }

    pub fn id_filter(&mut self, id: &str, condition: &Json, negated: bool) -> Result<String> {
        let empty = Map::new();
        let mut parts = Vec::new();
        for (operator, value) in condition.as_object().unwrap_or(&empty) {
            if value.is_null() && operator != "eq" && operator != "ne" {
                continue;
            }
            let part = match operator.as_str() {
                "eq" if value.is_null() => format!("{id} IS NULL"),
                "ne" if value.is_null() => format!("{id} IS NOT NULL"),
                "eq" => format!("{id} = {}", self.bind_id(value)?),
                "ne" => format!("({id} <> {} OR {id} IS NULL)", self.bind_id(value)?),
                "isNull" => null_test(id, value),
                "in" | "notIn" => {
                    let single = std::slice::from_ref(value);
                    let ids: Vec<String> =
                        value.as_array().map_or(single, Vec::as_slice).iter().map(|id| self.bind_id(id)).collect::<Result<_>>()?;
                    match (operator == "in", ids.is_empty()) {
                        (true, true) => "FALSE".into(),
                        (true, false) => format!("{id} IN ({})", ids.join(", ")),
                        (false, true) => "TRUE".into(),
                        (false, false) => format!("({id} NOT IN ({}) OR {id} IS NULL)", ids.join(", ")),
                    }
                }
                other => return Err(unknown_operator(other)),
            };
            parts.push(part);
        }
        Ok(two_valued(all_of(&parts), negated))
    }

    pub fn bind_id(&mut self, value: &Json) -> Result<String> {
        let id = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
        let id = id.ok_or_else(|| Error::bad_request("An id is a UUID."))?;
        Ok(self.sql.bind(id))
    }
}

/// Whether a relation leads from a record to what follows it: from a deal to its notes.
fn follows(relation: &Relation, target: &Object) -> bool {
    matches!(&relation.via, Via::Link { kind, from: false } if target.follows.as_ref() == Some(kind))
}

fn is_empty(filter: &Json) -> bool {
    filter.as_object().is_none_or(|conditions| conditions.values().all(Json::is_null))
}

/// `… IS TRUE` under a `not`, where null must count as "no".
fn two_valued(predicate: String, negated: bool) -> String {
    if negated { format!("({predicate}) IS TRUE") } else { predicate }
}

fn null_test(expression: &str, value: &Json) -> String {
    if value == &Json::Bool(true) { format!("{expression} IS NULL") } else { format!("{expression} IS NOT NULL") }
}

fn unknown_operator(name: &str) -> Error {
    Error::bad_request(format!("`{name}` is not an operator of this field."))
}

/// The folded text of an expression.
fn folded(field: &Field, alias: &str, expression: &str) -> String {
    field.fold_column.as_ref().map_or_else(|| Sql::fold(expression), |column| format!("{alias}.{column}"))
}
