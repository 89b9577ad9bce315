//! Records in groups: `dealGroups(by: [{ stage: VALUE }])`.
//!
//! Inside, one select groups the records that the caller reaches and reckons what is asked of each group.
//! Around it, the groups are sorted, paged by their cursors, and given their keys' records and their own first
//! records. A hop of a key (`company: { industry: VALUE }`) is a join with the caller's row condition, so a
//! hidden company counts as none.

mod key;
mod order;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use self::key::GroupKey;
use super::cell::{Cell, Cells};
use super::connection::{ConnectionField, ConnectionShape, EdgeField, PageShape};
use super::cursor::{self, OrderKey};
use super::lists::{ListOf, page_fields};
use super::node::{Planner, Scope};
use super::order::order_by;
use super::page::MOST_ROWS;
use super::shape::{NodeShape, ObjectShape, Out, VariantShape, object};
use crate::catalog::{Object, Store, Variant};
use crate::error::{Error, Result};
use crate::records::selection::{Merged, collect};
use crate::records::sql::all_of;
pub use key::{is_dated, is_groupable, is_sorter};

/// Groups on a page, when nothing is said.
const USUAL_GROUPS: usize = 100;
/// The most keys that groups are made by.
const MOST_KEYS: usize = 5;

/// The groups under construction: what the inner select has, by alias `g` outside.
pub(super) struct Groups<'m> {
    object: &'m Object,
    variant: Option<&'static Variant>,
    filter: &'m Json,
    /// As the caller gave them.
    by: Vec<&'m Json>,
    keys: Vec<GroupKey>,
    /// What is reckoned of each group, as one JSON array.
    aggregates: super::aggregate::Columns,
    /// What groups are sorted by, beside their keys.
    orders: Vec<String>,
}

impl Planner<'_> {
    pub(super) fn groups(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        merged: &Merged<'_>,
    ) -> Result<(String, ConnectionShape)> {
        let alias = self.sql.alias();
        let mut inner = Scope::new(alias.clone());
        let by: Vec<&Json> = match Self::argument(merged, "by") {
            Json::Array(elements) => elements.iter().collect(),
            one => vec![one],
        };
        if by.is_empty() || by.len() > MOST_KEYS {
            return Err(Error::bad_request(format!("Groups are made by 1 to {MOST_KEYS} keys.")).within("by"));
        }
        let mut keys = Vec::new();
        for (index, element) in by.iter().enumerate() {
            let key = self.group_key(object, &mut inner, &alias, element).map_err(|e| e.within(index.to_string()).within("by"))?;
            keys.push(key);
        }
        inner.check_joins()?;
        let filter = Self::argument(merged, "filter");
        let mut groups = Groups { object, variant, filter, by, keys, aggregates: Default::default(), orders: Vec::new() };
        let conditions = self.grouped_records(&groups, &alias)?;
        let mut outer = Scope::new("g".into());
        // The first column tells a group from the row that only carries the count.
        outer.slot("g.w".into(), Store::Uuid);
        let mut order =
            self.group_order(&mut groups, &mut outer, &alias, Self::argument(merged, "orderBy")).map_err(|e| e.within("orderBy"))?;
        for key in &mut order {
            key.slot = outer.slot(key.expression.clone(), key.store);
        }
        let having = self.having(object, &alias, Self::argument(merged, "having")).map_err(|e| e.within("having"))?;
        let fields = self.group_fields(&mut groups, &mut outer, &alias, merged)?;
        outer.check_joins()?;
        let page = group_page(order, merged)?;
        let grouped = self.grouped(&groups, &inner, &conditions, &having, merged)?;
        let place = match &page.1 {
            Some(position) => format!(" WHERE {}", self.after(&page.0.order, position)),
            None => String::new(),
        };
        let columns: Vec<String> =
            outer.slots.iter().enumerate().map(|(index, (slot, store))| format!("{} AS c{index}", self.sql.in_row(slot, *store))).collect();
        let rows = format!(
            "SELECT {} FROM g{}{place} ORDER BY {} LIMIT {}",
            columns.join(", "),
            outer.joins.concat(),
            order_by(&page.0.order),
            page.0.limit + 1
        );
        let mut shape = ConnectionShape { slot: Some(0), total: None, counted: None, aggregate: None, page: page.0, fields };
        if !shape.fields.iter().any(|(_, field)| matches!(field, ConnectionField::TotalCount)) {
            return Ok((format!("WITH {grouped} {rows}"), shape));
        }
        shape.total = Some(columns.len());
        let names: Vec<String> = (0..columns.len()).map(|index| format!("p.c{index}")).collect();
        let sql = format!(
            "WITH {grouped} SELECT {}, n.total FROM (SELECT count(*) AS total FROM g) n \
             LEFT JOIN (SELECT q.*, row_number() OVER () AS place FROM ({rows}) q) p ON TRUE ORDER BY p.place",
            names.join(", ")
        );
        Ok((sql, shape))
    }

    /// The conditions on the records that are grouped.
    fn grouped_records(&mut self, groups: &Groups<'_>, alias: &str) -> Result<Vec<String>> {
        let mut conditions = vec![format!("{alias}.workspace_id = $1"), format!("{alias}.deleted_at IS NULL")];
        if let (Some(variant), Some(variants)) = (groups.variant, &groups.object.variants) {
            conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
        }
        conditions.extend(self.reached(groups.object, alias));
        let filter = self.filter(groups.object, alias, groups.filter, false).map_err(|e| e.within("filter"))?;
        if filter != "TRUE" {
            conditions.push(filter);
        }
        Ok(conditions)
    }

    /// The common table `g` of all groups.
    fn grouped(&mut self, groups: &Groups<'_>, inner: &Scope, conditions: &[String], having: &str, merged: &Merged<'_>) -> Result<String> {
        let mut columns: Vec<String> =
            groups.keys.iter().enumerate().map(|(index, key)| format!("{} AS k{index}", key.expression)).collect();
        let ordinals: Vec<String> = (1..=columns.len()).map(|ordinal| ordinal.to_string()).collect();
        columns.push("count(*) AS n".into());
        if !groups.aggregates.list().is_empty() {
            columns.push(format!("{} AS agg", self.sql.json_array(groups.aggregates.list())));
        }
        columns.extend(groups.orders.iter().enumerate().map(|(index, order)| format!("{order} AS o{index}")));
        let (columns_of_all, condition) = (columns.join(", "), all_of(conditions));
        let joins = self.joins_of_all(inner, &[&columns_of_all, &condition, having]);
        let table = self.table_of_all(groups.object, &inner.alias, &[&columns_of_all, &joins, &condition, having]);
        let select = format!("SELECT {columns_of_all} FROM {table}{joins} WHERE {condition} GROUP BY {}{having}", ordinals.join(", "));
        if Self::argument(merged, "includeEmpty").as_bool() != Some(true) || !having.is_empty() {
            return Ok(format!("g AS (SELECT $1 AS w, x.* FROM ({select}) x)"));
        }
        let [key] = groups.keys.as_slice() else {
            return Err(Error::bad_request("Empty groups can be shown of one key only.").within("includeEmpty"));
        };
        let values = self.values_of(key)?;
        let nothing: Vec<String> =
            columns[2..].iter().map(|column| if column.starts_with("count(*)") { "0".into() } else { "NULL".into() }).collect();
        let nothing: String = std::iter::once("0".to_owned()).chain(nothing).map(|value| format!(", {value}")).collect();
        Ok(format!(
            "g0 AS ({select}), g AS (SELECT $1 AS w, x.* FROM g0 x UNION ALL SELECT $1, d.k{nothing} FROM ({values}) d \
             WHERE NOT EXISTS (SELECT 1 FROM g0 y WHERE y.k0 = d.k))"
        ))
    }

    fn group_fields(
        &mut self,
        groups: &mut Groups<'_>,
        outer: &mut Scope,
        alias: &str,
        merged: &Merged<'_>,
    ) -> Result<Vec<(String, ConnectionField)>> {
        let name = groups.variant.map_or(groups.object.type_name.as_str(), |variant| variant.type_name).to_owned();
        let mut fields = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let field = match part.name {
                "nodes" => ConnectionField::Nodes(self.group(groups, outer, alias, &name, &part)?),
                "edges" => {
                    let mut edge = Vec::new();
                    for part in collect(&part.children, |_| true) {
                        let out = match part.name {
                            "node" => EdgeField::Node(self.group(groups, outer, alias, &name, &part)?),
                            "cursor" => EdgeField::Cursor,
                            _ => EdgeField::Typename(format!("\"{name}GroupEdge\"")),
                        };
                        edge.push((part.key.to_owned(), out));
                    }
                    ConnectionField::Edges(edge)
                }
                "pageInfo" => ConnectionField::PageInfo(page_fields(&part)),
                "totalCount" => ConnectionField::TotalCount,
                _ => ConnectionField::Typename(format!("\"{name}GroupConnection\"")),
            };
            fields.push((part.key.to_owned(), field));
        }
        Ok(fields)
    }

    /// One group: its key, what it is as a whole, its first records.
    fn group(&mut self, groups: &mut Groups<'_>, outer: &mut Scope, alias: &str, name: &str, merged: &Merged<'_>) -> Result<NodeShape> {
        let many = groups.variant.map_or(groups.object.plural.as_str(), |variant| variant.plural).to_owned();
        let mut fields = Vec::new();
        for part in collect(&merged.children, |on| on == "Node" || on.ends_with("Group")) {
            let out = match part.name {
                "id" => self.group_id(groups, outer),
                "key" => self.group_key_out(groups, outer, name, &part).map_err(|e| e.within(part.key))?,
                "count" => Out::Scalar { slot: outer.slot("g.n".into(), Store::Int), kind: crate::catalog::Kind::Integer },
                "__typename" => Out::Literal(format!("\"{name}Group\"")),
                list if list == many => self.group_records(groups, outer, &part).map_err(|e| e.within(part.key))?,
                _ => {
                    let shape = self.over_named(groups.object, alias, &part, &mut groups.aggregates)?;
                    // Where all of it is hidden nothing is reckoned, and the column is there all the same.
                    groups.aggregates.count();
                    Out::Aggregate { slot: outer.slot("g.agg".into(), Store::Json), shape }
                }
            };
            fields.push((part.key.to_owned(), out));
        }
        Ok(NodeShape::Object(ObjectShape { present: None, discriminator: None, variants: vec![VariantShape { when: None, fields }] }))
    }

    /// Tells groups of different lists apart, so that caches do.
    fn group_id(&self, groups: &Groups<'_>, outer: &mut Scope) -> Out {
        let what = serde_json::json!([groups.object.name, groups.by, groups.filter]).to_string();
        let keys = groups.keys.iter().enumerate().map(|(index, key)| (outer.slot(format!("g.k{index}"), key.store), key.store)).collect();
        Out::GroupId { what, keys }
    }

    /// The first records of each group: a list like any other, of the records with the group's key.
    fn group_records(&mut self, groups: &Groups<'_>, outer: &mut Scope, merged: &Merged<'_>) -> Result<Out> {
        let (object, variant) = (groups.object, groups.variant);
        let alias = self.sql.alias();
        let mut inner = Scope::new(alias.clone());
        let mut conditions = self.grouped_records(groups, &alias)?;
        for (index, element) in groups.by.iter().enumerate() {
            let key = self.group_key(object, &mut inner, &alias, element)?;
            let value = format!("g.k{index}");
            conditions.push(match &key.column {
                // Never null, so an index finds it.
                Some(column) => format!("{alias}.{column} = {value}"),
                None => format!("({0} = {value} OR {0} IS NULL AND {value} IS NULL)", key.expression),
            });
        }
        // A key that is a column of its own needs no join, whatever its record is shown by.
        let joined = groups.keys.iter().any(|key| key.column.is_none());
        let joins = if joined { inner.joins.concat() } else { String::new() };
        if !joined {
            inner = Scope::new(alias.clone());
        }
        let mut page = self.page(object, &mut inner, merged)?;
        let fields = self.connection_fields(&mut inner, object, variant, None, &mut page, merged)?;
        let from = self.table(object, &alias);
        let list = ListOf { from, joins, conditions, alone: (!joined).then_some(object), totals: None };
        Ok(Out::Connection(Box::new(self.list_of(outer, &inner, page, fields, list))))
    }
}

/// The page that the arguments ask for, and where it begins.
fn group_page(order: Vec<OrderKey>, merged: &Merged<'_>) -> Result<(PageShape, Option<cursor::Position>)> {
    let limit = match Planner::argument(merged, "first") {
        Json::Null => USUAL_GROUPS,
        given => given
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n <= MOST_ROWS)
            .ok_or_else(|| Error::bad_request(format!("`first` is a number from 0 to {MOST_ROWS}.")).within("first"))?,
    };
    let after = Planner::argument(merged, "after").as_str();
    let position = after.map(|text| cursor::read(&order, text)).transpose().map_err(|e| e.within("after"))?;
    Ok((PageShape { limit, backward: false, from_cursor: position.is_some(), chunked: false, order }, position))
}

/// The first and the last day of a span.
pub(super) fn write_span(first: &Cell<'_>, unit: &str, parts: &[(String, String)], out: &mut String) -> Result<()> {
    let Some(from) = first.text().and_then(|day| day.parse::<chrono::NaiveDate>().ok()) else {
        out.push_str("null");
        return Ok(());
    };
    let to = last_day(from, unit).unwrap_or(from);
    object(out, parts, |part, out| {
        match part.as_str() {
            "from" => out.push_str(&format!("\"{from}\"")),
            "to" => out.push_str(&format!("\"{to}\"")),
            _ => out.push_str("\"DateRange\""),
        }
        Ok(())
    })
}

fn last_day(from: chrono::NaiveDate, unit: &str) -> Option<chrono::NaiveDate> {
    use chrono::{Days, Months};
    let next = match unit {
        "WEEK" => from.checked_add_days(Days::new(7)),
        "MONTH" => from.checked_add_months(Months::new(1)),
        "QUARTER" => from.checked_add_months(Months::new(3)),
        "YEAR" => from.checked_add_months(Months::new(12)),
        _ => return Some(from),
    };
    next?.pred_opt()
}

pub(super) fn write_id(what: &str, keys: &[(usize, Store)], row: &dyn Cells, out: &mut String) -> Result<()> {
    let mut text = String::from(what);
    for (slot, store) in keys {
        text.push(',');
        row.cell(*slot, *store)?.write(&mut text);
    }
    let digest = Sha256::digest(text);
    out.push_str(&format!("\"group:{}\"", URL_SAFE_NO_PAD.encode(&digest[..15])));
    Ok(())
}
