//! A record's history, from the change log: which field was changed from what to what, by whom, when
//! and why, the newest change first.
//!
//! One row of the log tells of several fields; here each is a change of its own. What the caller does
//! not see whole is not in it, and what a reference led to is told only where every record of that
//! object is in sight.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::cell::{Cell, Cells, JsonRow, write_text};
use super::connection::PageField;
use super::node::{Planner, Scope};
use super::page::{MOST_ROWS, USUAL_ROWS};
use super::shape::{Out, SealedField, Shaper, array, object};
use crate::catalog::{Kind, Object, Store, Target};
use crate::error::{Error, Result};
use crate::platform::access::Sight;
use crate::platform::secrets::SEALED;
use crate::records::selection::{Merged, collect};
use crate::records::value;

#[derive(Debug)]
pub struct HistoryShape {
    /// The slot with the changes.
    slot: usize,
    chunked: bool,
    limit: usize,
    from_cursor: bool,
    /// The slot of the record's id.
    record: usize,
    fields: Vec<(String, HistoryField)>,
    formats: HashMap<String, Format>,
}

#[derive(Debug)]
enum HistoryField {
    Nodes(Vec<(String, ChangeField)>),
    Edges(Vec<(String, EdgeField)>),
    PageInfo(Vec<(String, PageField)>),
    Typename,
}

#[derive(Debug)]
enum EdgeField {
    Node(Vec<(String, ChangeField)>),
    Cursor,
    Typename,
}

#[derive(Debug)]
enum ChangeField {
    Field,
    From,
    To,
    Plain(Out),
}

/// How a field's values are written.
#[derive(Debug)]
enum Format {
    Kind(Kind),
    Sealed(SealedField),
    /// The id of another record.
    Reference,
    /// A link: role, title and the other record.
    Link,
    /// What a reference led to is not told.
    Untold,
}

/// The first slots of a change's row.
const SEQ: usize = 0;
const KEY: usize = 1;
const BEFORE: usize = 2;
const AFTER: usize = 3;

impl Planner<'_> {
    pub(super) fn history(&mut self, scope: &mut Scope, alias: &str, owner: &Object, merged: &Merged<'_>) -> Result<Out> {
        let formats = self.formats(owner);
        let limit = match Self::argument(merged, "first") {
            Json::Null => USUAL_ROWS,
            count => count
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| *n <= MOST_ROWS)
                .ok_or_else(|| Error::bad_request(format!("`first` is a number from 0 to {MOST_ROWS}.")).within("first"))?,
        };
        let change = self.sql.alias();
        let mut inner = Scope::new(change.clone());
        let document = self.sql.changed_fields(&change);
        let (before, after) = self.sql.change_sides(&change);
        let (each, key) = self.sql.each_key(&document);
        inner.slot(format!("{change}.seq"), Store::Int);
        inner.slot(key.clone(), Store::Text);
        inner.slot(self.sql.member_of(&before, &key), Store::Json);
        inner.slot(self.sql.member_of(&after, &key), Store::Json);
        let mut conditions = format!("{change}.workspace_id = $1 AND {change}.record_id = {alias}.id{}", self.known_then(&change));
        let wanted = self.wanted_fields(owner, &formats, merged)?;
        let names = self.sql.bind_all(wanted.into_iter().map(Into::into).collect());
        conditions.push_str(&format!(" AND {key} IN ({names})"));
        let after = Self::argument(merged, "after").as_str().map(position).transpose().map_err(|e| e.within("after"))?;
        if let Some((seq, name)) = &after {
            let (seq, name) = (self.sql.bind(*seq), self.sql.bind(name.clone()));
            conditions.push_str(&format!(" AND ({change}.seq < {seq} OR {change}.seq = {seq} AND {key} > {name})"));
        }
        let fields = self.history_fields(&mut inner, &change, merged)?;
        let rows = format!(
            "SELECT {} AS j FROM change_log {change} CROSS JOIN {each}{} WHERE {conditions} ORDER BY {change}.seq DESC, {key} LIMIT {}",
            inner.row_as_json(&self.sql),
            inner.joins.concat(),
            limit + 1
        );
        let (slot, record) = (scope.slot(self.sql.json_rows(&rows), Store::Json), scope.slot(format!("{alias}.id"), Store::Uuid));
        let chunked = inner.chunked();
        Ok(Out::History(Box::new(HistoryShape { slot, chunked, limit, from_cursor: after.is_some(), record, fields, formats })))
    }

    fn history_fields(&mut self, inner: &mut Scope, change: &str, merged: &Merged<'_>) -> Result<Vec<(String, HistoryField)>> {
        let mut fields = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let out = match part.name {
                "nodes" => HistoryField::Nodes(self.change_fields(inner, change, &part)?),
                "edges" => {
                    let mut edge = Vec::new();
                    for part in collect(&part.children, |_| true) {
                        let out = match part.name {
                            "node" => EdgeField::Node(self.change_fields(inner, change, &part)?),
                            "cursor" => EdgeField::Cursor,
                            _ => EdgeField::Typename,
                        };
                        edge.push((part.key.to_owned(), out));
                    }
                    HistoryField::Edges(edge)
                }
                "pageInfo" => HistoryField::PageInfo(super::lists::page_fields(&part)),
                _ => HistoryField::Typename,
            };
            fields.push((part.key.to_owned(), out));
        }
        Ok(fields)
    }

    fn change_fields(&mut self, inner: &mut Scope, change: &str, merged: &Merged<'_>) -> Result<Vec<(String, ChangeField)>> {
        let mut fields = Vec::new();
        let scalar = |inner: &mut Scope, column: &str, kind: Kind| {
            ChangeField::Plain(Out::Scalar { slot: inner.slot(format!("{change}.{column}"), kind.store()), kind })
        };
        for part in collect(&merged.children, |_| true) {
            let out = match part.name {
                "field" => ChangeField::Field,
                "from" => ChangeField::From,
                "to" => ChangeField::To,
                "kind" => scalar(inner, "kind", Kind::Text),
                "version" => scalar(inner, "version", Kind::Integer),
                "cause" => scalar(inner, "cause", Kind::Text),
                "requestId" => scalar(inner, "request_id", Kind::Text),
                "at" => scalar(inner, "at", Kind::DateTime),
                "actor" => ChangeField::Plain(self.actor(inner, change, "actor", &part)?),
                _ => ChangeField::Plain(Out::Literal("\"FieldChange\"".into())),
            };
            fields.push((part.key.to_owned(), out));
        }
        Ok(fields)
    }

    /// How the fields that the caller sees whole are written.
    fn formats(&self, object: &Object) -> HashMap<String, Format> {
        let access = self.ctx.access.object(&object.name);
        let whole = |name: &str| access.field(name).sight == Sight::Full;
        let mut formats = HashMap::from([("deletedAt".to_owned(), Format::Kind(Kind::DateTime))]);
        for field in object.all_fields().filter(|field| whole(&field.access_name())) {
            let name = field.access_name();
            let format = match field.sealed() {
                Some(id) => Format::Sealed(SealedField { id, name: format!("{}.{name}", object.type_name) }),
                None if field.kind == Kind::Reference => Format::Untold,
                None => Format::Kind(field.kind),
            };
            formats.insert(name, format);
        }
        for relation in object.relations.values().filter(|relation| whole(&relation.access_name())) {
            let seen = match &relation.target {
                Target::Object(target) => self.ctx.access.sees_all(target),
                Target::Any => self.catalog.objects().all(|object| self.ctx.access.sees_all(&object.name)),
            };
            let format = match (seen, relation.to_one()) {
                (false, _) => Format::Untold,
                (true, Some(_)) => Format::Reference,
                (true, None) => Format::Link,
            };
            formats.insert(relation.access_name(), format);
        }
        formats
    }

    fn wanted_fields(&self, object: &Object, formats: &HashMap<String, Format>, merged: &Merged<'_>) -> Result<Vec<String>> {
        let Some(given) = Self::argument(merged, "fields").as_array() else {
            let mut all: Vec<String> = formats.keys().cloned().collect();
            all.sort_unstable();
            return Ok(all);
        };
        let mut wanted = Vec::new();
        for name in given.iter().filter_map(Json::as_str) {
            if !formats.contains_key(name) {
                self.check_sight(object, name).map_err(|e| e.within("fields"))?;
                let message = format!("{} has no field `{name}`; own fields are named `custom.<name>`.", object.type_name);
                return Err(Error::bad_request(message).within("fields"));
            }
            wanted.push(name.to_owned());
        }
        // A list of nothing matches nothing, and stands for no name.
        if wanted.is_empty() {
            wanted.push(String::new());
        }
        Ok(wanted)
    }
}

fn position(cursor: &str) -> Result<(i64, String)> {
    let refuse = || Error::bad_request("The cursor is not one that this list gave. Start again without it.");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refuse())?;
    serde_json::from_slice(&bytes).map_err(|_| refuse())
}

fn write_cursor(row: Option<&JsonRow<'_>>, out: &mut String) -> Result<()> {
    let Some(row) = row else {
        out.push_str("null");
        return Ok(());
    };
    let (seq, key) = (row.cell(SEQ, Store::Int)?.int().unwrap_or(0), row.cell(KEY, Store::Text)?);
    let text = serde_json::to_string(&(seq, key.text().unwrap_or_default()))?;
    write_text(&URL_SAFE_NO_PAD.encode(text), out);
    Ok(())
}

impl Shaper<'_> {
    pub(super) fn history(self, shape: &HistoryShape, parent: &dyn Cells, out: &mut String) -> Result<()> {
        let document = parent.cell(shape.slot, Store::Json)?;
        let raw: Vec<&RawValue> = match &document {
            Cell::Json(document) => serde_json::from_str(document)?,
            _ => Vec::new(),
        };
        let more = raw.len() > shape.limit;
        let rows: Vec<JsonRow<'_>> =
            raw.into_iter().take(shape.limit).map(|row| JsonRow::parse(row, shape.chunked, self.backend)).collect::<Result<_>>()?;
        let record = parent.cell(shape.record, Store::Uuid)?.text().and_then(|id| id.parse().ok());
        object(out, &shape.fields, |field, out| match field {
            HistoryField::Nodes(fields) => array(out, &rows, |row, out| self.change(shape, fields, row, record, out)),
            HistoryField::Edges(edge) => array(out, &rows, |row, out| {
                object(out, edge, |field, out| match field {
                    EdgeField::Node(fields) => self.change(shape, fields, row, record, out),
                    EdgeField::Cursor => write_cursor(Some(row), out),
                    EdgeField::Typename => {
                        out.push_str("\"FieldChangeEdge\"");
                        Ok(())
                    }
                })
            }),
            HistoryField::PageInfo(fields) => object(out, fields, |field, out| {
                match field {
                    PageField::HasNext => out.push_str(if more { "true" } else { "false" }),
                    PageField::HasPrevious => out.push_str(if shape.from_cursor { "true" } else { "false" }),
                    PageField::Start => write_cursor(rows.first(), out)?,
                    PageField::End => write_cursor(rows.last(), out)?,
                    PageField::Typename => out.push_str("\"PageInfo\""),
                }
                Ok(())
            }),
            HistoryField::Typename => {
                out.push_str("\"FieldChangeConnection\"");
                Ok(())
            }
        })
    }

    fn change(
        self,
        shape: &HistoryShape,
        fields: &[(String, ChangeField)],
        row: &JsonRow<'_>,
        record: Option<Uuid>,
        out: &mut String,
    ) -> Result<()> {
        let key = row.cell(KEY, Store::Text)?;
        let key = key.text().unwrap_or_default();
        let format = shape.formats.get(key.as_ref()).unwrap_or(&Format::Untold);
        object(out, fields, |field, out| match field {
            ChangeField::Field => {
                write_text(&key, out);
                Ok(())
            }
            ChangeField::From => self.past(format, &row.cell(BEFORE, Store::Json)?, record, out),
            ChangeField::To => self.past(format, &row.cell(AFTER, Store::Json)?, record, out),
            ChangeField::Plain(plain) => self.field(plain, row, out),
        })
    }

    /// A value as it was, or became.
    fn past(self, format: &Format, cell: &Cell<'_>, record: Option<Uuid>, out: &mut String) -> Result<()> {
        let stored: Json = match cell {
            Cell::Json(document) => serde_json::from_str(document)?,
            _ => Json::Null,
        };
        match (format, &stored) {
            (_, Json::Null) | (Format::Untold, _) => out.push_str("null"),
            (Format::Kind(kind), stored) => value::write_stored(stored, *kind, out),
            (Format::Sealed(field), stored) => match stored[SEALED].as_str() {
                Some(sealed) => write_text(&self.open(field, sealed, record)?, out),
                None => out.push_str("null"),
            },
            (Format::Reference, id) => out.push_str(&format!("{{\"id\":{id}}}")),
            (Format::Link, link) => out.push_str(&link.to_string()),
        }
        Ok(())
    }
}
