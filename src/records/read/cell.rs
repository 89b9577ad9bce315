//! One value of a row, whether the row came from the database or from a JSON array inside one.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::NaiveDate;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::infra::db::{Backend, Row};

pub enum Cell<'a> {
    Null,
    Int(i64),
    Bool(bool),
    Uuid(Uuid),
    Date(NaiveDate),
    Text(Cow<'a, str>),
    /// Text that is JSON already, quotes included.
    Quoted(&'a str),
    /// A JSON document.
    Json(Cow<'a, str>),
}

/// Reads a row by position.
pub trait Cells {
    fn cell(&self, slot: usize, store: Store) -> Result<Cell<'_>>;
}

impl Cells for Row {
    fn cell(&self, slot: usize, store: Store) -> Result<Cell<'_>> {
        let cell = match store {
            Store::Text => self.text(slot)?.map(|text| Cell::Text(text.into())),
            Store::Int => self.int(slot)?.map(Cell::Int),
            Store::Bool => self.bool(slot)?.map(Cell::Bool),
            Store::Date => self.date(slot)?.map(Cell::Date),
            Store::Uuid => self.uuid(slot)?.map(Cell::Uuid),
            Store::Json => self.text(slot)?.map(|text| Cell::Json(text.into())),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }
}

/// A row that stands as an array inside a JSON document.
pub struct JsonRow<'a> {
    values: Vec<&'a RawValue>,
    backend: Backend,
}

impl<'a> JsonRow<'a> {
    pub fn parse(row: &'a RawValue, chunked: bool, backend: Backend) -> Result<Self> {
        let values = if chunked {
            let chunks: Vec<Vec<&RawValue>> = serde_json::from_str(row.get())?;
            chunks.into_iter().flatten().collect()
        } else {
            serde_json::from_str(row.get())?
        };
        Ok(Self { values, backend })
    }
}

impl Cells for JsonRow<'_> {
    fn cell(&self, slot: usize, store: Store) -> Result<Cell<'_>> {
        let raw = self.values.get(slot).ok_or_else(|| Error::fault("a JSON row is shorter than its plan"))?.get();
        if raw == "null" {
            return Ok(Cell::Null);
        }
        Ok(match store {
            Store::Text | Store::Date => Cell::Quoted(raw),
            Store::Int => Cell::Int(raw.parse().map_err(|_| Error::fault("a JSON row has no integer where its plan has one"))?),
            Store::Bool => Cell::Bool(matches!(raw, "true" | "1")),
            Store::Uuid if self.backend == Backend::Postgres => Cell::Quoted(raw),
            Store::Uuid => Cell::Uuid(raw.trim_matches('"').parse().map_err(Error::fault)?),
            Store::Json => Cell::Json(raw.into()),
        })
    }
}

impl Cell<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, unquoted.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Quoted(raw) => serde_json::from_str::<Cow<'_, str>>(raw).ok().map(|text| Cow::Owned(text.into_owned())),
            Self::Uuid(id) => Some(Cow::Owned(id.to_string())),
            Self::Date(date) => Some(Cow::Owned(date.to_string())),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// Writes it as JSON, as it is.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Int(n) => out.push_str(itoa::Buffer::new().format(*n)),
            Self::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            Self::Uuid(id) => {
                out.push('"');
                out.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
                out.push('"');
            }
            Self::Date(date) => {
                let _ = write!(out, "\"{date}\"");
            }
            Self::Text(text) => write_text(text, out),
            Self::Quoted(raw) => out.push_str(raw),
            Self::Json(document) => out.push_str(document),
        }
    }
}

/// Writes a text as a JSON string.
pub fn write_text(text: &str, out: &mut String) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        // Serialising a str cannot fail.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}
