//! Opaque cursors: the values of the order's keys at a row, so that a page starts where another
//! ended, whatever was inserted in between.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::Value;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cell::Cells;
use crate::catalog::Store;
use crate::error::{Error, Result};

/// A key of an order, with the slot where a row has its value.
#[derive(Clone, Debug)]
pub struct OrderKey {
    pub slot: usize,
    pub store: Store,
    pub expression: String,
    pub descending: bool,
    pub nulls_first: bool,
    pub nullable: bool,
    /// What the key is in the API, so that a cursor of another order is told apart.
    pub name: String,
    /// Where its value stands.
    pub place: Place,
}

/// Where the value of an order's key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a column of the list's own table.
    Column,
    /// In its document of custom fields.
    Document,
    /// There too, and in this column of `field_index` for this field.
    Index { field: Uuid, column: &'static str },
    /// In a table that is joined.
    Joined,
}

/// A value of a cursor; none is null.
pub type Position = Vec<Option<Value>>;

/// Writes the cursor of a row as a JSON string.
pub fn write(keys: &[OrderKey], row: &dyn Cells, out: &mut String) -> Result<()> {
    let mut values = String::from("[");
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            values.push(',');
        }
        row.cell(key.slot, key.store)?.write(&mut values);
    }
    values.push(']');
    let mut bytes = check(keys, &values).to_vec();
    bytes.extend_from_slice(values.as_bytes());
    out.push('"');
    URL_SAFE_NO_PAD.encode_string(bytes, out);
    out.push('"');
    Ok(())
}

/// Reads a cursor back; it must come from a list with the same order.
pub fn read(keys: &[OrderKey], cursor: &str) -> Result<Position> {
    let refuse =
        || Error::bad_request("The cursor is not one that this list gave, or the list's order has changed. Start again without it.");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refuse())?;
    let (sum, values) = bytes.split_at_checked(CHECK).ok_or_else(refuse)?;
    let values = std::str::from_utf8(values).map_err(|_| refuse())?;
    if sum != check(keys, values) {
        return Err(refuse());
    }
    let values: Vec<Json> = serde_json::from_str(values).map_err(|_| refuse())?;
    if values.len() != keys.len() {
        return Err(refuse());
    }
    keys.iter().zip(values).map(|(key, value)| position(key.store, &value).ok_or_else(refuse)).collect()
}

const CHECK: usize = 6;

/// Ties a cursor to its order. It keeps honest clients from mixing lists up; it is no secret,
/// since a cursor says nothing that its reader may not see.
fn check(keys: &[OrderKey], values: &str) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    for key in keys {
        hash.update(key.name.as_bytes());
        hash.update([u8::from(key.descending), u8::from(key.nulls_first)]);
    }
    hash.update(values.as_bytes());
    let digest = hash.finalize();
    let mut out = [0; CHECK];
    out.copy_from_slice(&digest[..CHECK]);
    out
}

#[expect(clippy::option_option, reason = "the outer says whether the value is one of a cursor, the inner whether it is null")]
fn position(store: Store, value: &Json) -> Option<Option<Value>> {
    if value.is_null() {
        return Some(None);
    }
    Some(Some(match store {
        Store::Int => value.as_i64()?.into(),
        Store::Bool => value.as_bool()?.into(),
        Store::Uuid => value.as_str()?.parse::<Uuid>().ok()?.into(),
        Store::Date => value.as_str()?.parse::<chrono::NaiveDate>().ok()?.into(),
        Store::Text => value.as_str()?.to_owned().into(),
        Store::Json => return None,
    }))
}
