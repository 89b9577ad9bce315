//! Root fields and lists: pages, counts, and the statement as a whole.

use sea_orm::Value;
use serde_json::{Map, Value as Json};

use super::cell::Cells;
use super::connection::{ConnectionField, ConnectionShape, EdgeField, PageField, PageShape};
use super::cursor::{self, OrderKey};
use super::node::{Planner, Scope};
use super::order::{order_by, reversed};
use super::shape::{NodeShape, Out, Shaper};
use crate::catalog::{Catalog, Object, Relation, Store, Target, Variant, Via};
use crate::error::{Error, Result};
use crate::infra::db::{Backend, Row, Tx};
use crate::platform::Ctx;
use crate::records::keys;
use crate::records::selection::{Merged, Selection, collect};
use crate::records::sql::{Sql, all_of};

/// A page is at most this long, and this long when nothing is said.
pub const MOST_ROWS: usize = 200;
const USUAL_ROWS: usize = 20;

/// What a root field asks for.
pub enum RootQuery<'a> {
    /// One record by id or key.
    One {
        object: &'a Object,
        variant: Option<&'static Variant>,
        /// Also if it is deleted.
        deleted: bool,
        /// As it would be: its `id` says so.
        preview: bool,
    },
    /// A page of records.
    List { object: &'a Object, variant: Option<&'static Variant> },
    /// Records of any object by id, in the order of the ids.
    Nodes { single: bool },
}

/// A statement and what its rows become.
pub struct Plan {
    pub sql: String,
    pub values: Vec<Value>,
    shape: RootShape,
    backend: Backend,
}

enum RootShape {
    One(NodeShape),
    List(Box<ConnectionShape>),
    Nodes { shape: NodeShape, ids: Vec<String>, single: bool },
}

impl Plan {
    pub fn new(ctx: &Ctx, catalog: &Catalog, backend: Backend, query: &RootQuery<'_>, arguments: &Map<String, Json>, selection: &Selection) -> Result<Self> {
        let mut planner = Planner { ctx, catalog, sql: Sql::new(backend, ctx.workspace), preview: false };
        let merged = Merged { key: "", name: "", arguments, children: vec![selection] };
        let (sql, shape) = match query {
            RootQuery::One { object, variant, deleted, preview } => {
                planner.preview = *preview;
                planner.one(object, *variant, *deleted, &merged)?
            }
            RootQuery::List { object, variant } => planner.root_list(object, *variant, &merged)?,
            RootQuery::Nodes { single } => planner.nodes(*single, &merged)?,
        };
        Ok(Self { sql, values: planner.sql.values, shape, backend })
    }

    /// Runs the statement and returns the answer's JSON.
    pub async fn run(mut self, tx: &Tx) -> Result<String> {
        let values = std::mem::take(&mut self.values);
        let rows = tx.fetch_all(&self.sql, values).await?;
        self.shape(&rows)
    }

    fn shape(&self, rows: &[Row]) -> Result<String> {
        let shaper = Shaper { backend: self.backend };
        let mut out = String::with_capacity(256 + rows.len() * 256);
        match &self.shape {
            RootShape::One(node) => match rows.first() {
                Some(row) => shaper.node(node, row, &mut out)?,
                None => out.push_str("null"),
            },
            RootShape::List(connection) => {
                let total = match (connection.total, rows.first()) {
                    (Some(slot), Some(row)) => row.cell(slot, Store::Int)?.int(),
                    _ => None,
                };
                // A count comes with at least one row, which is no record if its id is null.
                let has_rows = connection.slot.is_some();
                let mut records: Vec<&dyn Cells> = Vec::with_capacity(rows.len());
                for row in rows {
                    if has_rows && (connection.total.is_none() || !row.cell(0, Store::Uuid)?.is_null()) {
                        records.push(row);
                    }
                }
                shaper.connection(connection, records, total, &mut out)?;
            }
            RootShape::Nodes { shape, ids, single } => self.shape_nodes(shaper, shape, ids, *single, rows, &mut out)?,
        }
        Ok(out)
    }

    fn shape_nodes(&self, shaper: Shaper, shape: &NodeShape, ids: &[String], single: bool, rows: &[Row], out: &mut String) -> Result<()> {
        if !single {
            out.push('[');
        }
        for (index, id) in ids.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let mut found = None;
            for row in rows {
                if row.cell(0, Store::Uuid)?.text().as_deref() == Some(id) {
                    found = Some(row);
                }
            }
            match found {
                Some(row) => shaper.node(shape, row, out)?,
                None => out.push_str("null"),
            }
        }
        if !single {
            out.push(']');
        }
        Ok(())
    }
}

/// The ids of the records that match a filter, for bulk writes.
pub async fn filtered_ids(
    ctx: &Ctx,
    catalog: &Catalog,
    tx: &Tx,
    object: &Object,
    variant: Option<&'static Variant>,
    filter: &Json,
    limit: usize,
) -> Result<Vec<uuid::Uuid>> {
    let mut planner = Planner { ctx, catalog, sql: Sql::new(tx.backend(), ctx.workspace), preview: false };
    let alias = planner.sql.alias();
    let mut conditions = vec![format!("{alias}.workspace_id = $1"), format!("{alias}.deleted_at IS NULL")];
    if let (Some(variant), Some(variants)) = (variant, &object.variants) {
        conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
    }
    conditions.push(planner.filter(object, &alias, filter, false)?);
    let sql = format!("SELECT {alias}.id FROM {} {alias} WHERE {} ORDER BY {alias}.id LIMIT {limit}", object.table, all_of(&conditions));
    let rows = tx.fetch_all(&sql, planner.sql.values).await?;
    let ids = rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.into_iter().flatten().collect())
}

/// A page of a list, as its arguments ask for it.
struct Page {
    shape: PageShape,
    /// The order in which rows are read: reversed when reading from the end.
    keys: Vec<OrderKey>,
    position: Option<cursor::Position>,
}

impl Planner<'_> {
    fn one(&mut self, object: &Object, variant: Option<&'static Variant>, deleted: bool, merged: &Merged<'_>) -> Result<(String, RootShape)> {
        let alias = self.sql.alias();
        let mut scope = Scope::new(alias.clone());
        let shape = self.object(&mut scope, &alias, object, variant, &merged.children)?;
        let mut conditions = vec![format!("{alias}.workspace_id = $1")];
        if !deleted {
            conditions.push(format!("{alias}.deleted_at IS NULL"));
        }
        if let (Some(variant), Some(variants)) = (variant, &object.variants) {
            conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
        }
        match (Self::argument(merged, "id"), Self::argument(merged, "key")) {
            (id, Json::Null) if !id.is_null() => conditions.push(format!("{alias}.id = {}", self.bind_id(id).map_err(|e| e.within("id"))?)),
            (Json::Null, key) if !key.is_null() => conditions.push(self.key_condition(object, &alias, key).map_err(|e| e.within("key"))?),
            _ => return Err(Error::bad_request("Give exactly one of `id` and `key`.")),
        }
        let sql = format!("SELECT {} FROM {} {alias}{} WHERE {}", self.columns(&scope), object.table, scope.joins.concat(), all_of(&conditions));
        Ok((sql, RootShape::One(NodeShape::Object(shape))))
    }

    fn key_condition(&mut self, object: &Object, alias: &str, input: &Json) -> Result<String> {
        let key = keys::from_input(object, input)?;
        let (name, value) = (self.sql.bind(key.name), self.sql.bind(key.value));
        Ok(format!(
            "{alias}.id = (SELECT k.record_id FROM record_key k WHERE k.workspace_id = $1 AND k.object = '{}' AND k.key = {name} AND k.value = {value})",
            object.name
        ))
    }

    fn nodes(&mut self, single: bool, merged: &Merged<'_>) -> Result<(String, RootShape)> {
        let given = Self::argument(merged, if single { "id" } else { "ids" });
        let one = std::slice::from_ref(given);
        let given = given.as_array().map_or(one, Vec::as_slice);
        if given.len() > MOST_ROWS {
            return Err(Error::bad_request(format!("At most {MOST_ROWS} ids can be asked for at once.")));
        }
        // What is no UUID is the id of nothing, which is the same answer as for a missing record.
        let ids: Vec<String> = given.iter().map(|id| id.as_str().and_then(|id| uuid::Uuid::parse_str(id).ok()).map_or_else(String::new, |id| id.to_string())).collect();
        let alias = self.sql.alias();
        let mut scope = Scope::new(alias.clone());
        scope.slot(format!("{alias}.id"), Store::Uuid);
        let shape = self.any(&mut scope, &format!("{alias}.id"), &merged.children)?;
        let wanted: Vec<Value> = ids.iter().filter_map(|id| id.parse::<uuid::Uuid>().ok()).map(Value::from).collect();
        let wanted = self.sql.bind_all(wanted);
        let condition = if wanted.is_empty() { "FALSE".to_owned() } else { format!("{alias}.id IN ({wanted})") };
        let sql = format!("SELECT {} FROM record {alias} WHERE {alias}.workspace_id = $1 AND {condition}", self.columns(&scope));
        Ok((sql, RootShape::Nodes { shape, ids, single }))
    }

    fn root_list(&mut self, object: &Object, variant: Option<&'static Variant>, merged: &Merged<'_>) -> Result<(String, RootShape)> {
        let alias = self.sql.alias();
        let mut scope = Scope::new(alias.clone());
        // The first column tells a record from the row that only carries the count.
        scope.slot(format!("{alias}.id"), Store::Uuid);
        let mut conditions = vec![format!("{alias}.workspace_id = $1")];
        conditions.extend(match Self::argument(merged, "deleted").as_str() {
            Some("ONLY") => Some(format!("{alias}.deleted_at IS NOT NULL")),
            Some("INCLUDE") => None,
            _ => Some(format!("{alias}.deleted_at IS NULL")),
        });
        if let (Some(variant), Some(variants)) = (variant, &object.variants) {
            conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
        }
        let filter = self.filter(object, &alias, Self::argument(merged, "filter"), false).map_err(|e| e.within("filter"))?;
        if filter != "TRUE" {
            conditions.push(filter);
        }
        let mut page = self.page(object, &mut scope, merged)?;
        let fields = self.connection_fields(&mut scope, object, variant, None, &mut page, merged)?;
        let count = format!("SELECT count(*) AS total FROM {} {alias} WHERE {}", object.table, all_of(&conditions));
        let mut total = None;
        let limit = page.shape.limit + 1;
        let columns = self.column_list(&scope);
        let sql = match (fields.rows, fields.total) {
            (true, false) => self.rows(object, &scope, &columns.join(", "), &conditions, &page, limit),
            (false, _) => {
                total = fields.total.then_some(0);
                count
            }
            (true, true) => {
                total = Some(columns.len());
                let names: Vec<String> = (0..columns.len()).map(|index| format!("p.c{index}")).collect();
                let numbered: Vec<String> = columns.iter().enumerate().map(|(index, column)| format!("{column} AS c{index}")).collect();
                let rows = self.rows(object, &scope, &numbered.join(", "), &conditions, &page, limit);
                // The page is numbered so that the join cannot lose its order.
                format!("SELECT {}, n.total FROM ({count}) n LEFT JOIN (SELECT q.*, row_number() OVER () AS place FROM ({rows}) q) p ON TRUE ORDER BY p.place", names.join(", "))
            }
        };
        let shape = ConnectionShape { slot: fields.rows.then_some(0), total, page: page.shape, fields: fields.fields };
        Ok((sql, RootShape::List(Box::new(shape))))
    }

    /// The rows of a page. Where the first key can be null, the rows with a value and those without
    /// are read one after the other, each from an index; the second part runs only when the first
    /// did not fill the page.
    fn rows(&mut self, object: &Object, scope: &Scope, columns: &str, conditions: &[String], page: &Page, limit: usize) -> String {
        let (keys, position) = (page.keys.as_slice(), page.position.as_ref());
        let alias = &scope.alias;
        let joins = scope.joins.concat();
        let own = |key: &OrderKey| key.expression.starts_with(&format!("{alias}."));
        let split = keys.first().is_some_and(|key| key.nullable && !key.nulls_first) && keys.iter().all(own);
        if !split {
            let mut conditions = conditions.to_vec();
            if let Some(position) = position {
                conditions.push(self.after(keys, position));
            }
            return format!("SELECT {columns} FROM {} {alias}{joins} WHERE {} ORDER BY {} LIMIT {limit}", object.table, all_of(&conditions), order_by(keys));
        }
        let mut branches = Vec::new();
        let first = &keys[0];
        let in_nulls = position.is_some_and(|position| position[0].is_none());
        // A folded text and the text itself are null together.
        let known: Vec<OrderKey> = keys.iter().map(|key| OrderKey { nullable: key.nullable && !same_field(key, first), ..key.clone() }).collect();
        if !in_nulls {
            let mut conditions = conditions.to_vec();
            conditions.push(format!("{} IS NOT NULL", first.expression));
            if let Some(position) = position {
                conditions.push(self.after(&known, position));
            }
            branches.push(branch(object, alias, &conditions, &known, limit));
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

    /// A to-many relation of a record: a sub-select that gives a JSON array, correlated by the
    /// record's id.
    pub(super) fn nested(&mut self, scope: &mut Scope, parent: &str, owner: &Object, relation: &Relation, merged: &Merged<'_>) -> Result<Out> {
        let target = match &relation.target {
            Target::Object(name) => Some(self.catalog.object(name).clone()),
            Target::Any => None,
        };
        let alias = self.sql.alias();
        let mut inner = Scope::new(alias.clone());
        let (from, link) = self.related_from(relation, target.as_deref(), parent, &alias);
        let mut conditions = vec![link];
        let (page, fields) = if let Some(target) = &target {
            conditions.push(format!("{alias}.deleted_at IS NULL"));
            let filter = self.filter(target, &alias, Self::argument(merged, "filter"), false).map_err(|e| e.within("filter"))?;
            conditions.push(filter);
            let mut page = self.page(target, &mut inner, merged)?;
            let fields = self.connection_fields(&mut inner, target, None, Some((owner, relation)), &mut page, merged)?;
            (page, fields)
        } else {
            self.any_list(&mut inner, owner, relation, merged)?
        };
        let total = fields.total.then(|| scope.slot(format!("(SELECT count(*) FROM {from} WHERE {})", all_of(&conditions)), Store::Int));
        let mut shape = ConnectionShape { slot: None, total, page: page.shape, fields: fields.fields };
        if fields.rows {
            if let Some(position) = &page.position {
                conditions.push(self.after(&page.keys, position));
            }
            shape.page.chunked = inner.chunked();
            let rows = format!(
                "SELECT {} AS j FROM {from}{} WHERE {} ORDER BY {} LIMIT {}",
                inner.row_as_json(&self.sql),
                inner.joins.concat(),
                all_of(&conditions),
                order_by(&page.keys),
                shape.page.limit + 1
            );
            shape.slot = Some(scope.slot(self.sql.json_rows(&rows), Store::Json));
        }
        Ok(Out::Connection(Box::new(shape)))
    }

    /// `tags`: a list that is short by nature and has no pages.
    pub(super) fn plain_list(&mut self, scope: &mut Scope, parent: &str, relation: &Relation, merged: &Merged<'_>) -> Result<Out> {
        let Target::Object(name) = &relation.target else { return Err(Error::fault("a plain list needs one object")) };
        let target = self.catalog.object(name).clone();
        let alias = self.sql.alias();
        let mut inner = Scope::new(alias.clone());
        let (from, link) = self.related_from(relation, Some(&target), parent, &alias);
        let shape = self.object(&mut inner, &alias, &target, None, &merged.children)?;
        let rows = format!(
            "SELECT {} AS j FROM {from}{} WHERE {link} AND {alias}.deleted_at IS NULL ORDER BY {alias}.name_fold, {alias}.id LIMIT {MOST_ROWS}",
            inner.row_as_json(&self.sql),
            inner.joins.concat()
        );
        let slot = scope.slot(self.sql.json_rows(&rows), Store::Json);
        Ok(Out::List { slot, store_chunked: inner.chunked(), node: NodeShape::Object(shape) })
    }

    /// A list of records of any object.
    fn any_list(&mut self, inner: &mut Scope, owner: &Object, relation: &Relation, merged: &Merged<'_>) -> Result<(Page, Fields)> {
        let record = Object::standard::<entity::record::Entity>("records", "Record", "Records", "");
        let mut page = self.page(&record, inner, merged)?;
        let mut fields = Fields::default();
        for part in collect(&merged.children, |_| true) {
            let field = match part.name {
                "nodes" => {
                    let id = format!("{}.id", inner.alias);
                    ConnectionField::Nodes(self.any(inner, &id, &part.children)?)
                }
                "edges" => {
                    let mut edge = Vec::new();
                    for part in collect(&part.children, |_| true) {
                        let out = if part.name == "node" {
                            let id = format!("{}.id", inner.alias);
                            EdgeField::Node(self.any(inner, &id, &part.children)?)
                        } else {
                            self.edge_field(inner, owner, relation, &part, &mut page)
                        };
                        edge.push((part.key.to_owned(), out));
                    }
                    ConnectionField::Edges(edge)
                }
                _ => Self::page_part(inner, "RecordConnection", &part, &mut page),
            };
            fields.push(&part, field);
        }
        Ok((page, fields))
    }

    fn connection_fields(
        &mut self,
        scope: &mut Scope,
        object: &Object,
        variant: Option<&'static Variant>,
        via: Option<(&Object, &Relation)>,
        page: &mut Page,
        merged: &Merged<'_>,
    ) -> Result<Fields> {
        let type_name = variant.map_or(object.type_name.as_str(), |variant| variant.type_name);
        let connection = via.map_or_else(|| format!("{type_name}Connection"), |(owner, relation)| connection_type(owner, relation, type_name));
        let mut fields = Fields::default();
        for part in collect(&merged.children, |_| true) {
            let alias = scope.alias.clone();
            let field = match part.name {
                "nodes" => ConnectionField::Nodes(NodeShape::Object(self.object(scope, &alias, object, variant, &part.children).map_err(|e| e.within(part.key))?)),
                "edges" => {
                    let mut edge = Vec::new();
                    for part in collect(&part.children, |_| true) {
                        let out = match (part.name, via) {
                            ("node", _) => EdgeField::Node(NodeShape::Object(self.object(scope, &alias, object, variant, &part.children)?)),
                            ("cursor", _) => {
                                Self::order_slots(scope, page);
                                EdgeField::Cursor
                            }
                            (_, Some((owner, relation))) => self.edge_field(scope, owner, relation, &part, page),
                            _ => EdgeField::Typename(format!("\"{type_name}Edge\"")),
                        };
                        edge.push((part.key.to_owned(), out));
                    }
                    ConnectionField::Edges(edge)
                }
                _ => Self::page_part(scope, &connection, &part, page),
            };
            fields.push(&part, field);
        }
        Ok(fields)
    }

    fn edge_field(&self, scope: &mut Scope, owner: &Object, relation: &Relation, part: &Merged<'_>, page: &mut Page) -> EdgeField {
        let link = format!("l{}", scope.alias);
        let linked = matches!(relation.via, Via::Link { .. });
        match part.name {
            "cursor" => {
                Self::order_slots(scope, page);
                EdgeField::Cursor
            }
            "linkId" if linked => EdgeField::LinkId { slot: scope.slot(format!("{link}.id"), Store::Uuid) },
            "role" | "title" if linked => EdgeField::LinkText { slot: scope.slot(format!("{link}.{}", part.name), Store::Text) },
            "primary" if linked => EdgeField::Primary { slot: scope.slot(format!("{link}.is_primary"), Store::Bool) },
            _ => {
                let target = match &relation.target {
                    Target::Object(name) => self.catalog.object(name).type_name.clone(),
                    Target::Any => "Record".into(),
                };
                EdgeField::Typename(format!("\"{}\"", connection_type(owner, relation, &target).replace("Connection", "Edge")))
            }
        }
    }

    fn page_part(scope: &mut Scope, connection: &str, part: &Merged<'_>, page: &mut Page) -> ConnectionField {
        match part.name {
            "totalCount" => ConnectionField::TotalCount,
            "pageInfo" => {
                let fields = collect(&part.children, |_| true);
                let fields = fields.into_iter().map(|field| {
                    let out = match field.name {
                        "hasNextPage" => PageField::HasNext,
                        "hasPreviousPage" => PageField::HasPrevious,
                        "startCursor" => PageField::Start,
                        "endCursor" => PageField::End,
                        _ => PageField::Typename,
                    };
                    if matches!(out, PageField::Start | PageField::End) {
                        Self::order_slots(scope, page);
                    }
                    (field.key.to_owned(), out)
                });
                ConnectionField::PageInfo(fields.collect())
            }
            _ => ConnectionField::Typename(format!("\"{connection}\"")),
        }
    }

    /// Gives the keys of the order a place in the row, for cursors.
    fn order_slots(scope: &mut Scope, page: &mut Page) {
        for key in &mut page.shape.order {
            key.slot = scope.slot(key.expression.clone(), key.store);
        }
    }

    fn page(&mut self, object: &Object, scope: &mut Scope, merged: &Merged<'_>) -> Result<Page> {
        let keys = self.order(object, scope, Self::argument(merged, "orderBy")).map_err(|e| e.within("orderBy"))?;
        let (first, last) = (Self::argument(merged, "first"), Self::argument(merged, "last"));
        let (after, before) = (Self::argument(merged, "after"), Self::argument(merged, "before"));
        let backward = !last.is_null();
        // `first` has a default, so it is there even when only `last` was meant.
        let given_first = !first.is_null() && merged.arguments.get("first") != Some(&Json::from(USUAL_ROWS));
        if backward && (given_first || !after.is_null()) || !backward && !before.is_null() {
            return Err(Error::bad_request("Page forward with `first` and `after`, or backward with `last` and `before`; not both."));
        }
        let (name, count, cursor) = if backward { ("last", last, before) } else { ("first", first, after) };
        let limit = match count {
            Json::Null => USUAL_ROWS,
            count => count.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MOST_ROWS).ok_or_else(|| Error::bad_request(format!("`{name}` is a number from 0 to {MOST_ROWS}.")).within(name))?,
        };
        let position = cursor.as_str().map(|text| cursor::read(&keys, text)).transpose().map_err(|e| e.within(if backward { "before" } else { "after" }))?;
        let shape = PageShape { limit, backward, from_cursor: position.is_some(), chunked: false, order: keys.clone() };
        let keys = if backward { reversed(&keys) } else { keys };
        Ok(Page { shape, keys, position })
    }

    fn column_list(&self, scope: &Scope) -> Vec<String> {
        scope.slots.iter().map(|(slot, store)| self.sql.in_row(slot, *store)).collect()
    }

    fn columns(&self, scope: &Scope) -> String {
        if scope.slots.is_empty() { "1".to_owned() } else { self.column_list(scope).join(", ") }
    }
}

#[derive(Default)]
struct Fields {
    fields: Vec<(String, ConnectionField)>,
    rows: bool,
    total: bool,
}

impl Fields {
    fn push(&mut self, part: &Merged<'_>, field: ConnectionField) {
        match field {
            ConnectionField::Nodes(_) | ConnectionField::Edges(_) | ConnectionField::PageInfo(_) => self.rows = true,
            ConnectionField::TotalCount => self.total = true,
            ConnectionField::Typename(_) => {}
        }
        self.fields.push((part.key.to_owned(), field));
    }
}

fn same_field(key: &OrderKey, first: &OrderKey) -> bool {
    key.name.trim_end_matches(".folded") == first.name.trim_end_matches(".folded")
}

fn branch(object: &Object, alias: &str, conditions: &[String], keys: &[OrderKey], limit: usize) -> String {
    format!("SELECT * FROM (SELECT {alias}.* FROM {} {alias} WHERE {} ORDER BY {} LIMIT {limit}) b", object.table, all_of(conditions), order_by(keys))
}

/// The GraphQL type of a list: a list whose links have a role has edges of its own.
pub fn connection_type(owner: &Object, relation: &Relation, target: &str) -> String {
    if relation.has_role { format!("{}{target}Connection", owner.type_name) } else { format!("{target}Connection") }
}
