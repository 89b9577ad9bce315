//! Root fields: the statement as a whole, and what its rows become.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::Value;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::cell::Cells;
use super::connection::{ConnectionShape, Whole};
use super::node::{Planner, Scope};
use super::page::MOST_ROWS;
use super::past::Moment;
use super::shape::{NodeShape, Shaper};
use super::totals;
use crate::catalog::{Catalog, Object, Store, Variant};
use crate::error::{Error, Result};
use crate::infra::db::{Backend, Row, Tx};
use crate::platform::secrets::Secrets;
use crate::platform::{Ctx, Opened, Problems, Tally};
use crate::records::keys;
use crate::records::search::{self, Found};
use crate::records::selection::{Merged, Selection};
use crate::records::sql::{Sql, all_of};

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
    /// Records in groups.
    Groups { object: &'a Object, variant: Option<&'static Variant> },
    /// Records of any object by id, in the order of the ids.
    Nodes { single: bool },
    /// Records of one object by id; see [`Plan::run_each`].
    Several { object: &'a Object, variant: Option<&'static Variant>, ids: &'a [Uuid] },
}

/// A statement and what its rows become.
pub struct Plan {
    pub sql: String,
    pub values: Vec<Value>,
    shape: RootShape,
    backend: Backend,
    secrets: Option<Arc<Secrets>>,
    opened: Opened,
    problems: Problems,
    tally: Tally,
    /// What its lists search for, which has to be found before it can run: objects and texts.
    wanted: Vec<(String, String)>,
    moment: Option<Moment>,
}

enum RootShape {
    One(NodeShape),
    List(Box<ConnectionShape>),
    Nodes { shape: NodeShape, ids: Vec<String>, single: bool },
}

impl Plan {
    pub fn new(
        ctx: &Ctx,
        catalog: &Catalog,
        backend: Backend,
        query: &RootQuery<'_>,
        arguments: &Map<String, Json>,
        selection: &Selection,
        moment: Option<Moment>,
    ) -> Result<Self> {
        Self::with(ctx, catalog, backend, query, arguments, selection, (moment, None))
    }

    /// The same plan once what its lists search for is found.
    pub async fn complete(
        self,
        ctx: &Ctx,
        catalog: &Catalog,
        tx: &Tx,
        query: &RootQuery<'_>,
        arguments: &Map<String, Json>,
        selection: &Selection,
    ) -> Result<Self> {
        if self.wanted.is_empty() {
            return Ok(self);
        }
        let found = search::find_for_lists(ctx, catalog, tx, &self.wanted).await?;
        Self::with(ctx, catalog, tx.backend(), query, arguments, selection, (self.moment, Some(&found)))
    }

    fn with(
        ctx: &Ctx,
        catalog: &Catalog,
        backend: Backend,
        query: &RootQuery<'_>,
        arguments: &Map<String, Json>,
        selection: &Selection,
        (moment, found): (Option<Moment>, Option<&Found>),
    ) -> Result<Self> {
        let mut planner = Planner::new(ctx, catalog, backend);
        planner.searches.found = found;
        if let Some(moment) = moment {
            planner.speak_of(moment);
        }
        let merged = Merged { key: "", name: "", arguments, children: vec![selection] };
        let (sql, shape) = match query {
            RootQuery::One { object, variant, deleted, preview } => {
                planner.preview = *preview;
                planner.one(object, *variant, *deleted, &merged)?
            }
            RootQuery::List { object, variant } => planner.root_list(object, *variant, &merged)?,
            RootQuery::Groups { object, variant } => {
                let (sql, shape) = planner.groups(object, *variant, &merged)?;
                (sql, RootShape::List(Box::new(shape)))
            }
            RootQuery::Nodes { single } => planner.nodes(*single, &merged)?,
            RootQuery::Several { object, variant, ids } => planner.several(object, *variant, ids, &merged)?,
        };
        Ok(Self {
            sql,
            values: planner.sql.values,
            shape,
            backend,
            secrets: ctx.secrets.clone(),
            opened: ctx.opened.clone(),
            problems: ctx.problems.clone(),
            tally: ctx.tally.clone(),
            wanted: planner.searches.wanted,
            moment,
        })
    }

    /// Runs the statement and returns the answer's JSON.
    pub async fn run(mut self, tx: &Tx) -> Result<String> {
        let values = std::mem::take(&mut self.values);
        let rows = tx.fetch_all(&self.sql, values).await?;
        self.shape(&rows)
    }

    /// Runs a statement that asks for records by their ids, and returns each one's JSON; those that are not there are not.
    pub async fn run_each(mut self, tx: &Tx) -> Result<HashMap<Uuid, String>> {
        let values = std::mem::take(&mut self.values);
        let rows = tx.fetch_all(&self.sql, values).await?;
        let shaper = self.shaper();
        let RootShape::Nodes { shape, .. } = &self.shape else { return Err(Error::fault("only records by their ids come one by one")) };
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let mut out = String::with_capacity(256);
            shaper.node(shape, row, &mut out)?;
            if let Some(id) = row.uuid(0)? {
                found.insert(id, out);
            }
        }
        Ok(found)
    }

    fn shaper(&self) -> Shaper<'_> {
        Shaper {
            backend: self.backend,
            secrets: self.secrets.as_deref(),
            opened: &self.opened,
            problems: &self.problems,
            tally: &self.tally,
        }
    }

    fn shape(&self, rows: &[Row]) -> Result<String> {
        let shaper = self.shaper();
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
                let aggregate = match (connection.aggregate, rows.first()) {
                    (Some(slot), Some(row)) => Some(row.cell(slot, Store::Json)?),
                    _ => None,
                };
                shaper.connection(connection, records, Whole { total, aggregate }, &mut out)?;
            }
            RootShape::Nodes { shape, ids, single } => self.shape_nodes(shaper, shape, ids, *single, rows, &mut out)?,
        }
        Ok(out)
    }

    fn shape_nodes(
        &self,
        shaper: Shaper<'_>,
        shape: &NodeShape,
        ids: &[String],
        single: bool,
        rows: &[Row],
        out: &mut String,
    ) -> Result<()> {
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
) -> Result<Vec<Uuid>> {
    let mut planner = Planner::new(ctx, catalog, tx.backend());
    let alias = planner.sql.alias();
    let mut conditions = vec![format!("{alias}.workspace_id = $1"), format!("{alias}.deleted_at IS NULL")];
    if let (Some(variant), Some(variants)) = (variant, &object.variants) {
        conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
    }
    conditions.extend(planner.reached(object, &alias));
    conditions.push(planner.filter(object, &alias, filter, false)?);
    let sql = format!("SELECT {alias}.id FROM {} {alias} WHERE {} ORDER BY {alias}.id LIMIT {limit}", object.rows(), all_of(&conditions));
    let rows = tx.fetch_all(&sql, planner.sql.values).await?;
    let ids = rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.into_iter().flatten().collect())
}

impl Planner<'_> {
    fn one(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        deleted: bool,
        merged: &Merged<'_>,
    ) -> Result<(String, RootShape)> {
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
        conditions.extend(self.reached(object, &alias));
        match (Self::argument(merged, "id"), Self::argument(merged, "key")) {
            (id, Json::Null) if !id.is_null() => conditions.push(format!("{alias}.id = {}", self.bind_id(id).map_err(|e| e.within("id"))?)),
            (Json::Null, key) if !key.is_null() => conditions.push(self.key_condition(object, &alias, key).map_err(|e| e.within("key"))?),
            _ => return Err(Error::bad_request("Give exactly one of `id` and `key`.")),
        }
        let table = self.table(object, &alias);
        let sql = format!("SELECT {} FROM {table}{} WHERE {}", self.columns(&scope), scope.joins.concat(), all_of(&conditions));
        Ok((sql, RootShape::One(NodeShape::Object(shape))))
    }

    pub(super) fn key_condition(&mut self, object: &Object, alias: &str, input: &Json) -> Result<String> {
        let key = keys::from_input(self.ctx, object, input)?;
        self.check_sight(object, &key.access_name())?;
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
        let ids: Vec<String> = given
            .iter()
            .map(|id| id.as_str().and_then(|id| Uuid::parse_str(id).ok()).map_or_else(String::new, |id| id.to_string()))
            .collect();
        let alias = self.sql.alias();
        let mut scope = Scope::new(alias.clone());
        scope.slot(format!("{alias}.id"), Store::Uuid);
        let shape = self.any(&mut scope, &format!("{alias}.id"), &merged.children)?;
        let wanted: Vec<Value> = ids.iter().filter_map(|id| id.parse::<Uuid>().ok()).map(Value::from).collect();
        let wanted = self.sql.bind_all(wanted);
        let condition = if wanted.is_empty() { "FALSE".to_owned() } else { format!("{alias}.id IN ({wanted})") };
        let sql = format!("SELECT {} FROM record {alias} WHERE {alias}.workspace_id = $1 AND {condition}", self.columns(&scope));
        Ok((sql, RootShape::Nodes { shape, ids, single }))
    }

    fn several(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        ids: &[Uuid],
        merged: &Merged<'_>,
    ) -> Result<(String, RootShape)> {
        let alias = self.sql.alias();
        let mut scope = Scope::new(alias.clone());
        scope.slot(format!("{alias}.id"), Store::Uuid);
        let shape = NodeShape::Object(self.object(&mut scope, &alias, object, variant, &merged.children)?);
        let wanted = self.sql.bind_all(ids.iter().map(|id| (*id).into()).collect());
        let mut conditions = vec![format!("{alias}.workspace_id = $1 AND {alias}.deleted_at IS NULL AND {alias}.id IN ({wanted})")];
        conditions.extend(self.reached(object, &alias));
        let table = self.table(object, &alias);
        let sql = format!("SELECT {} FROM {table}{} WHERE {}", self.columns(&scope), scope.joins.concat(), all_of(&conditions));
        Ok((sql, RootShape::Nodes { shape, ids: Vec::new(), single: false }))
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
        conditions.extend(self.reached(object, &alias));
        let filter = self.filter(object, &alias, Self::argument(merged, "filter"), false).map_err(|e| e.within("filter"))?;
        let searched = self.searched(object, &alias, merged)?;
        let is_whole = filter == "TRUE" && searched.is_none() && variant.is_none();
        let is_there = !matches!(Self::argument(merged, "deleted").as_str(), Some("ONLY" | "INCLUDE"));
        if filter != "TRUE" {
            conditions.push(filter);
        }
        conditions.extend(searched);
        let mut page = self.page(object, &mut scope, merged)?;
        let fields = self.connection_fields(&mut scope, object, variant, None, &mut page, merged)?;
        let aggregates = fields.aggregates.list();
        let whole = fields.total || !aggregates.is_empty();
        let row = |columns: &[String], sql: &Sql| {
            let json = (!columns.is_empty()).then(|| sql.in_row(&sql.json_array(columns), Store::Json));
            json.map(|json| format!(", {json} AS agg")).unwrap_or_default()
        };
        let totals = if is_whole && is_there { self.totals(object, None) } else { None };
        let count = if let Some((totals, columns)) = totals.zip(fields.aggregates.of_totals()) {
            format!("SELECT {} AS total{} FROM {totals}", totals::COUNT, row(&columns, &self.sql))
        } else {
            let (row, condition) = (row(aggregates, &self.sql), all_of(&conditions));
            let table = if whole { self.table_of_all(object, &alias, &[&row, &condition]) } else { String::new() };
            format!("SELECT count(*) AS total{row} FROM {table} WHERE {condition}")
        };
        let (mut total, mut aggregate) = (None, None);
        let limit = page.shape.limit + 1;
        let columns = self.column_list(&scope);
        let sql = match (fields.rows, whole) {
            (true, false) => self.rows(object, &scope, &columns.join(", "), &conditions, &page, limit),
            (false, _) => {
                total = whole.then_some(0);
                aggregate = (!aggregates.is_empty()).then_some(1);
                count
            }
            (true, true) => {
                total = Some(columns.len());
                aggregate = (!aggregates.is_empty()).then_some(columns.len() + 1);
                let names: Vec<String> = (0..columns.len()).map(|index| format!("p.c{index}")).collect();
                let numbered: Vec<String> = columns.iter().enumerate().map(|(index, column)| format!("{column} AS c{index}")).collect();
                let rows = self.rows(object, &scope, &numbered.join(", "), &conditions, &page, limit);
                // The page is numbered so that the join cannot lose its order.
                format!(
                    "SELECT {}, n.total{} FROM ({count}) n LEFT JOIN (SELECT q.*, row_number() OVER () AS place FROM ({rows}) q) p ON TRUE ORDER BY p.place",
                    names.join(", "),
                    if aggregate.is_some() { ", n.agg" } else { "" }
                )
            }
        };
        let shape =
            ConnectionShape { slot: fields.rows.then_some(0), total, counted: None, aggregate, page: page.shape, fields: fields.fields };
        Ok((sql, RootShape::List(Box::new(shape))))
    }

    fn column_list(&self, scope: &Scope) -> Vec<String> {
        scope.slots.iter().map(|(slot, store)| self.sql.in_row(slot, *store)).collect()
    }

    fn columns(&self, scope: &Scope) -> String {
        if scope.slots.is_empty() { "1".to_owned() } else { self.column_list(scope).join(", ") }
    }
}
