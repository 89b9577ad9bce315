//! From the stored form to the answer's JSON.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use entity::Micros;
use serde_json::Value as Json;

use crate::catalog::{Kind, SelectOption};
use crate::error::Result;
use crate::infra::decimal::format_decimal;
use crate::platform::secrets::SEALED;
use crate::records::read::cell::{Cell, write_text};
use crate::records::read::shape::{MoneyPart, OptionPart, Pick, SealedField, array, object};

/// Writes a value of a kind that has no parts.
pub fn write(cell: &Cell<'_>, kind: Kind, out: &mut String) {
    match (kind, cell) {
        (Kind::DateTime, Cell::Int(micros)) => write_instant(*micros, out),
        (Kind::Decimal | Kind::Percent, Cell::Int(units)) => {
            out.push('"');
            format_decimal(*units, 0, out);
            out.push('"');
        }
        (kind, Cell::Null) if kind.is_list() => out.push_str("[]"),
        _ => cell.write(out),
    }
}

fn write_instant(micros: i64, out: &mut String) {
    let _ = write!(out, "\"{}\"", Micros(micros).to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true));
}

/// Writes an amount with at least the decimals that its currency has.
fn write_amount(units: i64, currency: &str, out: &mut String) {
    let places = iso_currency::Currency::from_code(currency).and_then(iso_currency::Currency::exponent).unwrap_or(2);
    out.push('"');
    format_decimal(units, usize::from(places), out);
    out.push('"');
}

pub fn write_money(amount: &Cell<'_>, currency: &Cell<'_>, parts: &[(String, MoneyPart)], out: &mut String) -> Result<()> {
    let (Some(units), Some(code)) = (amount.int(), currency.text()) else {
        out.push_str("null");
        return Ok(());
    };
    object(out, parts, |part, out| {
        match part {
            MoneyPart::Amount => write_amount(units, &code, out),
            MoneyPart::Currency => write_text(&code, out),
            MoneyPart::Typename => out.push_str("\"Money\""),
        }
        Ok(())
    })
}

/// Writes chosen members of a stored object, or of each object of a stored list.
pub fn write_picks(cell: &Cell<'_>, list: bool, picks: &[(String, Pick)], out: &mut String) -> Result<()> {
    let Cell::Json(document) = cell else {
        out.push_str(if list { "[]" } else { "null" });
        return Ok(());
    };
    let value: Json = serde_json::from_str(document)?;
    let one = |value: &Json, out: &mut String| {
        object(out, picks, |pick, out| {
            match pick {
                Pick::Typename(name) => write_text(name, out),
                Pick::Key(key) => out.push_str(&value.get(*key).unwrap_or(&Json::Null).to_string()),
            }
            Ok(())
        })
    };
    match &value {
        Json::Array(items) => array(out, items, one),
        other => one(other, out),
    }
}

/// Writes a select's option, or a multi-select's options.
pub fn write_options(
    cell: &Cell<'_>,
    list: bool,
    options: &[SelectOption],
    parts: &[(String, OptionPart)],
    out: &mut String,
) -> Result<()> {
    let one = |key: &str, out: &mut String| {
        let option = options.iter().find(|option| option.key == key);
        object(out, parts, |part, out| {
            match part {
                OptionPart::Key => write_text(key, out),
                OptionPart::Label => write_text(option.map_or(key, |option| &option.label), out),
                OptionPart::Color => match option.and_then(|option| option.color.as_deref()) {
                    Some(color) => write_text(color, out),
                    None => out.push_str("null"),
                },
                OptionPart::Archived => out.push_str(if option.is_none_or(|option| option.archived) { "true" } else { "false" }),
                OptionPart::Typename => out.push_str("\"SelectOption\""),
            }
            Ok(())
        })
    };
    match cell {
        Cell::Json(document) => {
            let keys: Vec<String> = serde_json::from_str(document)?;
            array(out, &keys, |key, out| one(key, out))
        }
        cell => match cell.text() {
            Some(key) => one(&key, out),
            None => {
                out.push_str(if list { "[]" } else { "null" });
                Ok(())
            }
        },
    }
}

/// Writes the `custom` document with every value as the API writes it.
pub fn write_custom(
    cell: &Cell<'_>,
    fields: &[(String, Kind, Option<SealedField>)],
    open: &dyn Fn(&SealedField, &str) -> Result<String>,
    out: &mut String,
) -> Result<()> {
    let stored: Json = match cell {
        Cell::Json(document) => serde_json::from_str(document)?,
        _ => Json::Null,
    };
    let members: Vec<(String, _)> = fields
        .iter()
        .map(|(name, kind, sealed)| (name.clone(), (stored.get(name).unwrap_or(&Json::Null), *kind, sealed.as_ref())))
        .collect();
    object(out, &members, |(value, kind, sealed), out| {
        match (sealed, value[SEALED].as_str()) {
            (Some(field), Some(text)) => write_text(&open(field, text)?, out),
            (Some(_), None) => out.push_str("null"),
            (None, _) => write_stored(value, *kind, out),
        }
        Ok(())
    })
}

/// Writes a stored value as the API writes it.
pub fn write_stored(value: &Json, kind: Kind, out: &mut String) {
    match (kind, value) {
        (Kind::Money, Json::Object(money)) => {
            let currency = money.get("currency").and_then(Json::as_str).unwrap_or_default();
            out.push_str("{\"amount\":");
            write_amount(money.get("amount").and_then(Json::as_i64).unwrap_or(0), currency, out);
            out.push_str(",\"currency\":");
            write_text(currency, out);
            out.push('}');
        }
        (Kind::DateTime | Kind::Decimal | Kind::Percent, Json::Number(number)) => {
            write(&Cell::Int(number.as_i64().unwrap_or(0)), kind, out);
        }
        (kind, Json::Null) if kind.is_list() => out.push_str("[]"),
        (_, other) => out.push_str(&other.to_string()),
    }
}
