//! The shape of a connection: edges, nodes, page information, counts.

use serde_json::value::RawValue;

use super::aggregate::{self, AggregateOut};
use super::cell::{Cell, Cells, JsonRow};
use super::cursor::{self, OrderKey};
use super::shape::{NodeShape, Shaper, array, object};
use crate::catalog::Store;
use crate::error::Result;

#[derive(Debug)]
pub struct ConnectionShape {
    /// The slot with the rows of a nested list; a root field has its own rows.
    pub slot: Option<usize>,
    /// The slot of the count, in the parent's row (for a root field: in each of its rows).
    pub total: Option<usize>,
    /// The count's place in the aggregates' row, where it stands there.
    pub counted: Option<usize>,
    /// The slot of the aggregates' row, likewise.
    pub aggregate: Option<usize>,
    pub page: PageShape,
    pub fields: Vec<(String, ConnectionField)>,
}

/// What is known of the page that was asked for.
#[derive(Clone, Debug)]
pub struct PageShape {
    /// Rows on the page; one more is read to know whether there is a next one.
    pub limit: usize,
    /// Read from the end: rows come in reverse.
    pub backward: bool,
    /// Whether a cursor was given, so that something lies on the other side.
    pub from_cursor: bool,
    pub chunked: bool,
    pub order: Vec<OrderKey>,
}

#[derive(Debug)]
pub enum ConnectionField {
    Nodes(NodeShape),
    Edges(Vec<(String, EdgeField)>),
    PageInfo(Vec<(String, PageField)>),
    TotalCount,
    Aggregate(AggregateOut),
    Typename(String),
}

#[derive(Debug)]
pub enum EdgeField {
    Node(NodeShape),
    Cursor,
    LinkId { slot: usize },
    LinkText { slot: usize },
    Primary { slot: usize },
    Typename(String),
}

#[derive(Clone, Copy, Debug)]
pub enum PageField {
    HasNext,
    HasPrevious,
    Start,
    End,
    Typename,
}

/// What is told of a list as a whole.
#[derive(Default)]
pub struct Whole<'a> {
    pub total: Option<i64>,
    pub aggregate: Option<Cell<'a>>,
}

impl Shaper<'_> {
    /// A nested list, whose rows are a JSON array in the parent's row.
    pub(super) fn connection_in(self, shape: &ConnectionShape, parent: &dyn Cells, out: &mut String) -> Result<()> {
        let document = match shape.slot {
            Some(slot) => parent.cell(slot, Store::Json)?,
            None => Cell::Null,
        };
        let raw: Vec<&RawValue> = match &document {
            Cell::Json(document) => serde_json::from_str(document)?,
            _ => Vec::new(),
        };
        let rows: Vec<JsonRow<'_>> =
            raw.into_iter().map(|row| JsonRow::parse(row, shape.page.chunked, self.backend)).collect::<Result<_>>()?;
        let total = match shape.total {
            Some(slot) => parent.cell(slot, Store::Int)?.int(),
            None => None,
        };
        let rows: Vec<&dyn Cells> = rows.iter().map(|row| row as &dyn Cells).collect();
        let aggregate = shape.aggregate.map(|slot| parent.cell(slot, Store::Json)).transpose()?;
        self.connection(shape, rows, Whole { total, aggregate }, out)
    }

    pub fn connection(self, shape: &ConnectionShape, mut rows: Vec<&dyn Cells>, whole: Whole<'_>, out: &mut String) -> Result<()> {
        let aggregates: Vec<serde_json::Value> = match &whole.aggregate {
            Some(Cell::Json(document)) => serde_json::from_str(document)?,
            _ => Vec::new(),
        };
        let total = whole.total.or_else(|| aggregates.get(shape.counted?)?.as_i64());
        let page = &shape.page;
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        if page.backward {
            rows.reverse();
        }
        let cursor = |row: Option<&&dyn Cells>, out: &mut String| -> Result<()> {
            match row {
                Some(row) => cursor::write(&page.order, *row, out),
                None => {
                    out.push_str("null");
                    Ok(())
                }
            }
        };
        object(out, &shape.fields, |field, out| match field {
            ConnectionField::Nodes(node) => array(out, &rows, |row, out| self.node(node, *row, out)),
            ConnectionField::Edges(fields) => array(out, &rows, |row, out| {
                object(out, fields, |field, out| match field {
                    EdgeField::Cursor => cursor(Some(row), out),
                    other => self.edge_field(other, *row, out),
                })
            }),
            ConnectionField::PageInfo(fields) => object(out, fields, |field, out| {
                let (next, previous) = if page.backward { (page.from_cursor, more) } else { (more, page.from_cursor) };
                match field {
                    PageField::HasNext => out.push_str(if next { "true" } else { "false" }),
                    PageField::HasPrevious => out.push_str(if previous { "true" } else { "false" }),
                    PageField::Start => cursor(rows.first(), out)?,
                    PageField::End => cursor(rows.last(), out)?,
                    PageField::Typename => out.push_str("\"PageInfo\""),
                }
                Ok(())
            }),
            ConnectionField::TotalCount => {
                total.map_or(Cell::Null, Cell::Int).write(out);
                Ok(())
            }
            ConnectionField::Aggregate(shape) => {
                aggregate::write(shape, &aggregates, &|problem| self.problems.note(problem), out);
                Ok(())
            }
            ConnectionField::Typename(json) => {
                out.push_str(json);
                Ok(())
            }
        })
    }

    fn edge_field(self, field: &EdgeField, row: &dyn Cells, out: &mut String) -> Result<()> {
        match field {
            EdgeField::Node(node) => self.node(node, row, out)?,
            EdgeField::LinkId { slot } => row.cell(*slot, Store::Uuid)?.write(out),
            EdgeField::LinkText { slot } => row.cell(*slot, Store::Text)?.write(out),
            EdgeField::Primary { slot } => row.cell(*slot, Store::Bool)?.write(out),
            EdgeField::Typename(json) => out.push_str(json),
            EdgeField::Cursor => {}
        }
        Ok(())
    }
}
