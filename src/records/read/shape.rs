//! From rows to the answer's JSON, in the order of the query, written straight into one string.

use serde_json::value::RawValue;
use uuid::Uuid;

use super::aggregate::{self, AggregateOut};
use super::cell::{Cell, Cells, JsonRow, write_text};
use super::connection::ConnectionShape;
use super::history::HistoryShape;
use crate::catalog::{Kind, SelectOption, Store};
use crate::error::{Error, Result};
use crate::infra::db::Backend;
use crate::platform::secrets::Secrets;
use crate::platform::{Opened, Problems, Tally};
use crate::records::value;

/// What a record becomes.
#[derive(Debug)]
pub enum NodeShape {
    Object(ObjectShape),
    /// Any record: the slot holds `[object, [row]]`.
    Any {
        slot: usize,
        shapes: Vec<(String, ObjectShape, bool)>,
    },
}

#[derive(Debug)]
pub struct ObjectShape {
    /// The slot that is null when there is no such record.
    pub present: Option<usize>,
    /// For objects of several types: the slot that tells which.
    pub discriminator: Option<usize>,
    pub variants: Vec<VariantShape>,
}

#[derive(Debug)]
pub struct VariantShape {
    /// The discriminator's value; none where there is one type.
    pub when: Option<&'static str>,
    pub fields: Vec<(String, Out)>,
}

#[derive(Clone, Copy, Debug)]
pub enum MoneyPart {
    Amount,
    Currency,
    Typename,
}

/// A member of a stored JSON object, or the name of its type.
#[derive(Debug)]
pub enum Pick {
    Key(&'static str),
    Typename(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub enum OptionPart {
    Key,
    Label,
    Color,
    Archived,
    Typename,
}

/// How one field of the answer is made.
#[derive(Debug)]
pub enum Out {
    /// JSON that is known when the plan is made.
    Literal(String),
    Scalar {
        slot: usize,
        kind: Kind,
    },
    /// Enough of a text to recognise it.
    Masked {
        slot: usize,
        kind: Kind,
    },
    /// A sealed value, opened, or opened and masked; `record` is the slot of the record's id.
    Sealed {
        slot: usize,
        record: usize,
        field: Box<SealedField>,
        mask: Option<Kind>,
    },
    Id {
        slot: usize,
    },
    /// An id made of the record's and a suffix.
    DerivedId {
        slot: usize,
        suffix: String,
    },
    Money {
        amount: usize,
        currency: usize,
        parts: Vec<(String, MoneyPart)>,
    },
    Json {
        slot: usize,
        list: bool,
        picks: Vec<(String, Pick)>,
    },
    Select {
        slot: usize,
        list: bool,
        options: Vec<SelectOption>,
        parts: Vec<(String, OptionPart)>,
    },
    /// The `custom` document, in the API's form.
    CustomFields {
        slot: usize,
        record: usize,
        fields: Vec<(String, Kind, Option<SealedField>)>,
        /// Those that do not stand in it.
        computed: Vec<(String, Out)>,
    },
    /// An object that is always there: `custom`, `createdBy`.
    Inline(Vec<(String, Out)>),
    Node(NodeShape),
    List {
        slot: usize,
        store_chunked: bool,
        node: NodeShape,
    },
    Connection(Box<ConnectionShape>),
    History(Box<HistoryShape>),
    /// What the records of a group are together.
    Aggregate {
        slot: usize,
        shape: AggregateOut,
    },
    /// The days of a span, by its first one: `from`, `to`.
    Span {
        slot: usize,
        unit: String,
        parts: Vec<(String, String)>,
    },
    /// Tells groups apart: by what was asked, and by the values of their keys.
    GroupId {
        what: String,
        keys: Vec<(usize, Store)>,
    },
}

/// Which field a sealed value is of, and what the audit calls it.
#[derive(Debug)]
pub struct SealedField {
    pub id: Uuid,
    pub name: String,
}

/// What shaping needs besides the row.
#[derive(Clone, Copy, Debug)]
pub struct Shaper<'a> {
    pub backend: Backend,
    pub secrets: Option<&'a Secrets>,
    pub opened: &'a Opened,
    pub problems: &'a Problems,
    pub tally: &'a Tally,
}

impl Shaper<'_> {
    pub fn node(self, shape: &NodeShape, row: &dyn Cells, out: &mut String) -> Result<()> {
        match shape {
            NodeShape::Object(object) => self.object(object, row, out),
            NodeShape::Any { slot, shapes } => self.any(*slot, shapes, row, out),
        }
    }

    fn any(self, slot: usize, shapes: &[(String, ObjectShape, bool)], row: &dyn Cells, out: &mut String) -> Result<()> {
        let Cell::Json(document) = row.cell(slot, Store::Json)? else {
            out.push_str("null");
            return Ok(());
        };
        let (name, inner): (String, &RawValue) = serde_json::from_str(&document)?;
        match shapes.iter().find(|(object, ..)| *object == name) {
            Some((_, shape, chunked)) => self.object(shape, &JsonRow::parse(inner, *chunked, self.backend)?, out),
            None => {
                out.push_str("null");
                Ok(())
            }
        }
    }

    pub fn object(self, shape: &ObjectShape, row: &dyn Cells, out: &mut String) -> Result<()> {
        if let Some(slot) = shape.present
            && row.cell(slot, Store::Uuid)?.is_null()
        {
            out.push_str("null");
            return Ok(());
        }
        self.tally.add();
        let variant = match shape.discriminator {
            None => shape.variants.first(),
            Some(slot) => {
                let cell = row.cell(slot, Store::Text)?;
                let value = cell.text();
                shape.variants.iter().find(|variant| variant.when == value.as_deref())
            }
        };
        match variant {
            Some(variant) => self.fields(&variant.fields, row, out),
            None => {
                out.push_str("null");
                Ok(())
            }
        }
    }

    fn fields(self, fields: &[(String, Out)], row: &dyn Cells, out: &mut String) -> Result<()> {
        object(out, fields, |how, out| self.field(how, row, out))
    }

    pub(super) fn field(self, how: &Out, row: &dyn Cells, out: &mut String) -> Result<()> {
        match how {
            Out::Literal(json) => out.push_str(json),
            Out::Id { slot } => row.cell(*slot, Store::Uuid)?.write(out),
            Out::DerivedId { slot, suffix } => {
                let cell = row.cell(*slot, Store::Uuid)?;
                write_text(&format!("{}{suffix}", cell.text().unwrap_or_default()), out);
            }
            Out::Scalar { slot, kind } => value::write(&row.cell(*slot, kind.store())?, *kind, out),
            Out::Masked { slot, kind } => match row.cell(*slot, Store::Text)?.text() {
                Some(text) => write_text(&value::mask(&text, *kind), out),
                None => out.push_str("null"),
            },
            Out::Sealed { slot, record, field, mask } => {
                let (sealed, record) = (row.cell(*slot, Store::Text)?, row.cell(*record, Store::Uuid)?);
                match sealed.text() {
                    Some(sealed) => {
                        let text = self.open(field, &sealed, record.text().and_then(|id| id.parse().ok()))?;
                        write_text(&mask.map_or_else(|| text.clone(), |kind| value::mask(&text, kind)), out);
                    }
                    None => out.push_str("null"),
                }
            }
            Out::Money { amount, currency, parts } => {
                let (amount, currency) = (row.cell(*amount, Store::Int)?, row.cell(*currency, Store::Text)?);
                value::write_money(&amount, &currency, parts, out)?;
            }
            Out::Json { slot, list, picks } => value::write_picks(&row.cell(*slot, Store::Json)?, *list, picks, out)?,
            Out::Select { slot, list, options, parts } => {
                let store = if *list { Store::Json } else { Store::Text };
                value::write_options(&row.cell(*slot, store)?, *list, options, parts, out)?;
            }
            Out::CustomFields { slot, record, fields, computed } => {
                let record = row.cell(*record, Store::Uuid)?.text().and_then(|id| id.parse().ok());
                let open = |field: &SealedField, sealed: &str| self.open(field, sealed, record);
                value::write_custom(&row.cell(*slot, Store::Json)?, fields, &open, out)?;
                if !computed.is_empty() {
                    // One object of both.
                    let mut more = String::new();
                    self.fields(computed, row, &mut more)?;
                    out.pop();
                    out.push_str(if out.ends_with('{') { "" } else { "," });
                    out.push_str(&more[1..]);
                }
            }
            Out::Inline(fields) => self.fields(fields, row, out)?,
            Out::Node(node) => self.node(node, row, out)?,
            Out::List { slot, store_chunked, node } => self.list(*slot, *store_chunked, node, row, out)?,
            Out::Connection(connection) => self.connection_in(connection, row, out)?,
            Out::History(history) => self.history(history, row, out)?,
            Out::Aggregate { slot, shape } => {
                let row: Vec<serde_json::Value> = match row.cell(*slot, Store::Json)? {
                    Cell::Json(document) => serde_json::from_str(&document)?,
                    _ => Vec::new(),
                };
                aggregate::write(shape, &row, &|problem| self.problems.note(problem), out);
            }
            Out::Span { slot, unit, parts } => super::groups::write_span(&row.cell(*slot, Store::Date)?, unit, parts, out)?,
            Out::GroupId { what, keys } => super::groups::write_id(what, keys, row, out)?,
        }
        Ok(())
    }

    /// Opens a sealed value; whoever reads it stands in the audit.
    pub(super) fn open(self, field: &SealedField, sealed: &str, record: Option<Uuid>) -> Result<String> {
        let secrets = self.secrets.ok_or_else(|| Error::fault("a sealed value, and no key to open it"))?;
        self.opened.note(&field.name, record);
        secrets.open(field.id, sealed)
    }

    fn list(self, slot: usize, chunked: bool, node: &NodeShape, row: &dyn Cells, out: &mut String) -> Result<()> {
        let Cell::Json(document) = row.cell(slot, Store::Json)? else {
            out.push_str("[]");
            return Ok(());
        };
        let rows: Vec<&RawValue> = serde_json::from_str(&document)?;
        array(out, &rows, |row, out| self.node(node, &JsonRow::parse(row, chunked, self.backend)?, out))
    }
}

/// Writes a JSON object, member by member.
pub fn object<T>(out: &mut String, members: &[(String, T)], mut each: impl FnMut(&T, &mut String) -> Result<()>) -> Result<()> {
    out.push('{');
    for (index, (key, member)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        // Response keys are GraphQL names: nothing in them needs an escape.
        out.push('"');
        out.push_str(key);
        out.push_str("\":");
        each(member, out)?;
    }
    out.push('}');
    Ok(())
}

/// Writes a JSON array, element by element.
pub fn array<T>(out: &mut String, items: &[T], mut each: impl FnMut(&T, &mut String) -> Result<()>) -> Result<()> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out)?;
    }
    out.push(']');
    Ok(())
}
