//! To-many relations: lists inside records, and the parts of any connection.

use super::aggregate::Columns;
use super::connection::{ConnectionField, ConnectionShape, EdgeField, PageField};
use super::node::{Planner, Scope};
use super::order::order_by;
use super::page::{MOST_ROWS, Page};
use super::shape::{NodeShape, Out};
use super::totals;
use crate::catalog::{Object, Relation, Store, Target, Variant, Via};
use crate::error::{Error, Result};
use crate::records::selection::{Merged, collect};
use crate::records::sql::all_of;

/// Where the records of a list inside a row come from.
pub(super) struct ListOf<'a> {
    pub from: String,
    /// What the conditions need to be joined, beside what the columns do.
    pub joins: String,
    pub conditions: Vec<String>,
    /// The object whose table alone is read, so that an index can give the page.
    pub alone: Option<&'a Object>,
    /// What tells of all records without looking at them, if something does.
    pub totals: Option<String>,
}

impl Planner<'_> {
    /// A to-many relation of a record: a sub-select that gives a JSON array, correlated by the
    /// record's id.
    pub(super) fn nested(
        &mut self,
        scope: &mut Scope,
        parent: &str,
        owner: &Object,
        relation: &Relation,
        merged: &Merged<'_>,
    ) -> Result<Out> {
        let target = match &relation.target {
            Target::Object(name) => Some(self.catalog.object(name).clone()),
            Target::Any => None,
        };
        let alias = self.sql.alias();
        let mut inner = Scope::new(alias.clone());
        let (from, link) = self.related_from(relation, target.as_deref(), parent, &alias);
        let mut conditions = vec![link, format!("{alias}.deleted_at IS NULL")];
        let mut totals = None;
        let (page, fields) = if let Some(target) = &target {
            let filter = self.filter(target, &alias, Self::argument(merged, "filter"), false).map_err(|e| e.within("filter"))?;
            let searched = self.searched(target, &alias, merged)?;
            if filter == "TRUE" && searched.is_none() {
                totals = self.totals(target, Some((relation, parent)));
            }
            conditions.push(filter);
            conditions.extend(searched);
            let mut page = self.page(target, &mut inner, merged)?;
            let fields = self.connection_fields(&mut inner, target, None, Some((owner, relation)), &mut page, merged)?;
            (page, fields)
        } else {
            self.any_list(&mut inner, owner, relation, merged)?
        };
        // The other object keeps the relation, so its table alone is read.
        let alone = if matches!(relation.via, Via::Children(_)) { target.as_deref() } else { None };
        let list = ListOf { from, joins: String::new(), conditions, alone, totals };
        Ok(Out::Connection(Box::new(self.list_of(scope, &inner, page, fields, list))))
    }

    /// A list inside a row: its page, its count and its aggregates, each a slot of the row.
    pub(super) fn list_of(
        &mut self,
        scope: &mut Scope,
        inner: &Scope,
        page: Page,
        mut fields: Fields,
        list: ListOf<'_>,
    ) -> ConnectionShape {
        let ListOf { from, joins, mut conditions, alone, totals } = list;
        // Count and aggregates look at the same records, once.
        let counted = (fields.total && !fields.aggregates.list().is_empty()).then(|| fields.aggregates.count());
        let kept = totals.zip(fields.aggregates.of_totals());
        let mut whole = |of_records: &str, of_totals: &dyn Fn(&[String]) -> String, store: Store| {
            let select = match &kept {
                Some((totals, columns)) => format!("(SELECT {} FROM {totals})", of_totals(columns)),
                None => format!("(SELECT {of_records} FROM {from}{joins} WHERE {})", all_of(&conditions)),
            };
            scope.slot(select, store)
        };
        let total = (fields.total && counted.is_none()).then(|| whole("count(*)", &|_| totals::COUNT.to_owned(), Store::Int));
        let aggregates = fields.aggregates.list();
        let aggregate =
            (!aggregates.is_empty()).then(|| whole(&self.sql.json_array(aggregates), &|kept| self.sql.json_array(kept), Store::Json));
        let mut shape = ConnectionShape { slot: None, total, counted, aggregate, page: page.shape.clone(), fields: fields.fields };
        if fields.rows {
            shape.page.chunked = inner.chunked();
            let (row, limit) = (format!("{} AS j", inner.row_as_json(&self.sql)), shape.page.limit + 1);
            let rows = match alone {
                Some(object) if self.as_of.is_some() => self.rows_then(object, inner, &row, &conditions, &page, limit, Some(&from)),
                Some(object) => self.rows(object, inner, &row, &conditions, &page, limit),
                None => {
                    if let Some(position) = &page.position {
                        conditions.push(self.after(&page.keys, position));
                    }
                    let order = order_by(&page.keys);
                    format!("SELECT {row} FROM {from}{} WHERE {} ORDER BY {order} LIMIT {limit}", inner.joins.concat(), all_of(&conditions))
                }
            };
            shape.slot = Some(scope.slot(self.sql.json_rows(&rows), Store::Json));
        }
        shape
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
                _ => Self::page_part(inner, "AnyRecordConnection", &part, &mut page),
            };
            fields.push(&part, field);
        }
        Ok((page, fields))
    }

    pub(super) fn connection_fields(
        &mut self,
        scope: &mut Scope,
        object: &Object,
        variant: Option<&'static Variant>,
        via: Option<(&Object, &Relation)>,
        page: &mut Page,
        merged: &Merged<'_>,
    ) -> Result<Fields> {
        let type_name = variant.map_or(object.type_name.as_str(), |variant| variant.type_name);
        let connection =
            via.map_or_else(|| format!("{type_name}Connection"), |(owner, relation)| connection_type(owner, relation, type_name));
        let mut fields = Fields::default();
        for part in collect(&merged.children, |_| true) {
            let alias = scope.alias.clone();
            let field = match part.name {
                "nodes" => ConnectionField::Nodes(NodeShape::Object(
                    self.object(scope, &alias, object, variant, &part.children).map_err(|e| e.within(part.key))?,
                )),
                "edges" => {
                    let mut edge = Vec::new();
                    for part in collect(&part.children, |_| true) {
                        let out = match (part.name, via) {
                            ("node", _) => {
                                EdgeField::Node(NodeShape::Object(self.object(scope, &alias, object, variant, &part.children)?))
                            }
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
                "aggregate" => ConnectionField::Aggregate(
                    self.aggregate(object, &alias, &part, &mut fields.aggregates).map_err(|e| e.within(part.key))?,
                ),
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
                    Target::Any => "AnyRecord".into(),
                };
                EdgeField::Typename(format!("\"{}\"", connection_type(owner, relation, &target).replace("Connection", "Edge")))
            }
        }
    }

    pub(super) fn page_part(scope: &mut Scope, connection: &str, part: &Merged<'_>, page: &mut Page) -> ConnectionField {
        match part.name {
            "totalCount" => ConnectionField::TotalCount,
            "pageInfo" => {
                let fields = page_fields(part);
                if fields.iter().any(|(_, field)| matches!(field, PageField::Start | PageField::End)) {
                    Self::order_slots(scope, page);
                }
                ConnectionField::PageInfo(fields)
            }
            _ => ConnectionField::Typename(format!("\"{connection}\"")),
        }
    }
}

/// What is selected of `pageInfo`.
pub(in crate::records) fn page_fields(part: &Merged<'_>) -> Vec<(String, PageField)> {
    let field = |name: &str| match name {
        "hasNextPage" => PageField::HasNext,
        "hasPreviousPage" => PageField::HasPrevious,
        "startCursor" => PageField::Start,
        "endCursor" => PageField::End,
        _ => PageField::Typename,
    };
    collect(&part.children, |_| true).into_iter().map(|part| (part.key.to_owned(), field(part.name))).collect()
}

#[derive(Default)]
pub(super) struct Fields {
    pub fields: Vec<(String, ConnectionField)>,
    pub rows: bool,
    pub total: bool,
    /// What is asked of all records of the list.
    pub aggregates: Columns,
}

impl Fields {
    fn push(&mut self, part: &Merged<'_>, field: ConnectionField) {
        match field {
            ConnectionField::Nodes(_) | ConnectionField::Edges(_) | ConnectionField::PageInfo(_) => self.rows = true,
            ConnectionField::TotalCount => self.total = true,
            ConnectionField::Aggregate(_) | ConnectionField::Typename(_) => {}
        }
        self.fields.push((part.key.to_owned(), field));
    }
}

/// The GraphQL type of a list: a list whose links have a role has edges of its own.
pub fn connection_type(owner: &Object, relation: &Relation, target: &str) -> String {
    if relation.has_role { format!("{}{target}Connection", owner.type_name) } else { format!("{target}Connection") }
}
