//! From what a caller sends to the stored form, or to words that say what is wrong with it.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::contact::{domain, email, phone};
use crate::catalog::{Field, Kind};
use crate::infra::decimal::parse_decimal;

/// Why a value is refused: where in it, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid {
    pub path: Vec<String>,
    pub message: String,
}

impl Invalid {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    fn at(step: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: vec![step.into()], message: message.into() }
    }

    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.insert(0, step.into());
        self
    }
}

type Parsed = Result<Json, Invalid>;

/// The longest text, in characters, where a field sets no limit of its own.
const MOST_TEXT: usize = 100_000;
const MOST_JSON: usize = 100_000;
const MOST_ITEMS: usize = 100;
const DEEPEST_JSON: usize = 32;

/// Reads a value that is not null for a field.
pub fn parse(field: &Field, value: &Json) -> Parsed {
    let parsed = by_kind(field, value)?;
    check_range(field, &parsed)?;
    Ok(parsed)
}

fn by_kind(field: &Field, value: &Json) -> Parsed {
    match field.kind {
        Kind::Text | Kind::LongText => free_text(field, text(value)?),
        Kind::Integer | Kind::Rating => integer(value),
        Kind::Decimal | Kind::Percent => decimal(value).map(Json::from),
        Kind::Money => money(value),
        Kind::Boolean => value.as_bool().map(Json::from).ok_or_else(|| Invalid::new("Expected true or false.")),
        Kind::Date => date(text(value)?),
        Kind::DateTime => instant(text(value)?),
        Kind::Enum(of) => {
            let text = text(value)?;
            of.has(text).then(|| json!(text)).ok_or_else(|| Invalid::new(format!("`{text}` is not a value of {}.", of.name)))
        }
        Kind::Select => option(field, text(value)?),
        Kind::MultiSelect => {
            let keys = list(value, |item| option(field, text(item)?))?;
            Ok(unique(keys))
        }
        Kind::Email => email(text(value)?).map(Json::from),
        Kind::Phone => phone(text(value)?, None).map(|(e164, _)| Json::from(e164)),
        Kind::Url => url(text(value)?),
        Kind::Json => bounded_json(value),
        Kind::Currency => currency(text(value)?),
        Kind::TimeZone => {
            let text = text(value)?;
            chrono_tz::Tz::from_str(text)
                .map(|zone| json!(zone.name()))
                .map_err(|_| Invalid::new(format!("`{text}` is not an IANA time zone; `Europe/Berlin` would be one.")))
        }
        Kind::Country => country(text(value)?),
        Kind::Domains => list(value, |item| domain(text(item)?).map(Json::from)).map(unique),
        Kind::Emails => list(value, email_entry).and_then(one_primary),
        Kind::Phones => list(value, phone_entry).and_then(one_primary),
        Kind::Address => address(value),
        Kind::ExternalIds => list(value, external_id),
        Kind::Reference => {
            let text = text(value)?;
            Uuid::parse_str(text).map(|id| json!(id)).map_err(|_| Invalid::new("Expected the id of a record, a UUID."))
        }
    }
}

fn text(value: &Json) -> Result<&str, Invalid> {
    value.as_str().ok_or_else(|| Invalid::new("Expected a text."))
}

fn free_text(field: &Field, text: &str) -> Parsed {
    let trimmed = if field.kind == Kind::LongText { text } else { text.trim() };
    let most = field.settings.max_length.map_or(MOST_TEXT, |n| usize::try_from(n).unwrap_or(MOST_TEXT));
    if trimmed.contains('\0') {
        return Err(Invalid::new("The text contains the character U+0000, which cannot be stored."));
    }
    let length = trimmed.chars().count();
    if length > most {
        return Err(Invalid::new(format!("The text has {length} characters; at most {most} are allowed.")));
    }
    if trimmed.is_empty() && field.required {
        return Err(Invalid::new(format!("{} must not be empty.", field.label)));
    }
    if let Some(pattern) = &field.settings.pattern {
        let whole = regex::Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|_| Invalid::new("The field's pattern is broken; an administrator must mend it."))?;
        if !whole.is_match(trimmed) {
            return Err(Invalid::new(format!("The text does not match the pattern `{pattern}`.")));
        }
    }
    Ok(json!(trimmed))
}

fn integer(value: &Json) -> Parsed {
    let number = value.as_i64().filter(|n| i32::try_from(*n).is_ok());
    number.map(Json::from).ok_or_else(|| Invalid::new("Expected an integer from -2147483648 to 2147483647."))
}

fn decimal(value: &Json) -> Result<i64, Invalid> {
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(number) if number.is_i64() => number.to_string(),
        _ => return Err(Invalid::new("Expected a decimal as a string, for example \"1234.50\".")),
    };
    parse_decimal(&text).ok_or_else(|| {
        Invalid::new(
            "Expected a decimal with at most four places between -922337203685477.5808 and 922337203685477.5807, for example \"1234.50\".",
        )
    })
}

fn money(value: &Json) -> Parsed {
    let object = value.as_object().ok_or_else(|| Invalid::new("Expected an amount and a currency."))?;
    let amount = decimal(object.get("amount").unwrap_or(&Json::Null)).map_err(|e| e.within("amount"))?;
    let code = object
        .get("currency")
        .and_then(Json::as_str)
        .ok_or_else(|| Invalid::at("currency", "Expected a currency code, for example \"EUR\"."))?;
    let currency = currency(code).map_err(|e| e.within("currency"))?;
    Ok(json!({ "amount": amount, "currency": currency }))
}

fn currency(code: &str) -> Parsed {
    let known = iso_currency::Currency::from_code(code);
    known
        .map(|currency| json!(currency.code()))
        .ok_or_else(|| Invalid::new(format!("`{}` is not an ISO 4217 currency code; `EUR` would be one.", clip(code))))
}

fn country(code: &str) -> Parsed {
    if code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) && phonenumber::country::Id::from_str(code).is_ok() {
        return Ok(json!(code));
    }
    Err(Invalid::new("Expected an ISO 3166 country code of two capital letters, for example \"CH\"."))
}

pub fn date(text: &str) -> Parsed {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| text.len() == 10 && (1..=9999).contains(&chrono::Datelike::year(date)));
    date.map(|date| json!(date.to_string())).ok_or_else(|| Invalid::new("Expected a day as YYYY-MM-DD."))
}

fn instant(text: &str) -> Parsed {
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|_| Invalid::new("Expected a time as RFC 3339, for example \"2026-03-01T09:30:00Z\"."))?;
    Ok(json!(at.timestamp_micros()))
}

fn option(field: &Field, key: &str) -> Parsed {
    let known = field.settings.options.iter().find(|option| option.key == key);
    match known {
        Some(option) if !option.archived => Ok(json!(key)),
        Some(_) => Err(Invalid::new(format!("The option `{key}` is archived and cannot be chosen any more."))),
        None => Err(Invalid::new(format!("`{}` is not an option of {}.", clip(key), field.label))),
    }
}

fn url(text: &str) -> Parsed {
    let trimmed = text.trim();
    let with_scheme = if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
    let parsed = url::Url::parse(&with_scheme)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && trimmed.len() <= 2_048);
    parsed.map(|url| json!(url.to_string())).ok_or_else(|| Invalid::new("Expected a web address, for example \"https://example.com\"."))
}

fn bounded_json(value: &Json) -> Parsed {
    if depth(value) > DEEPEST_JSON {
        return Err(Invalid::new(format!("The document is nested more than {DEEPEST_JSON} levels deep.")));
    }
    if value.to_string().len() > MOST_JSON {
        return Err(Invalid::new(format!("The document is larger than {MOST_JSON} bytes.")));
    }
    Ok(value.clone())
}

fn email_entry(value: &Json) -> Parsed {
    let typed = member_text(value, "address")?.ok_or_else(|| Invalid::at("address", "An address is required."))?;
    let normalized = email(typed).map_err(|e| e.within("address"))?;
    let label = member_text(value, "label")?.unwrap_or("WORK");
    Ok(json!({ "address": typed.trim(), "normalized": normalized, "label": label, "primary": value["primary"].as_bool().unwrap_or(false) }))
}

fn phone_entry(value: &Json) -> Parsed {
    let typed = member_text(value, "number")?.ok_or_else(|| Invalid::at("number", "A number is required."))?;
    let (e164, extension) = phone(typed, member_text(value, "region")?).map_err(|e| e.within("number"))?;
    let label = member_text(value, "label")?.unwrap_or("WORK");
    Ok(
        json!({ "number": typed.trim(), "e164": e164, "extension": extension, "label": label, "primary": value["primary"].as_bool().unwrap_or(false) }),
    )
}

fn external_id(value: &Json) -> Parsed {
    let part = |name: &str| match member_text(value, name)? {
        Some(text) if !text.trim().is_empty() && text.len() <= 255 => Ok(text.trim().to_owned()),
        _ => Err(Invalid::at(name, "Expected 1 to 255 characters.")),
    };
    Ok(json!({ "system": part("system")?, "value": part("value")? }))
}

const ADDRESS_PARTS: [&str; 5] = ["street", "line2", "city", "region", "postalCode"];

fn address(value: &Json) -> Parsed {
    let mut out = Map::new();
    for part in ADDRESS_PARTS {
        if let Some(text) = member_text(value, part)? {
            if text.chars().count() > 255 {
                return Err(Invalid::at(part, "At most 255 characters are allowed."));
            }
            out.insert(part.to_owned(), json!(text.trim()));
        }
    }
    if let Some(code) = member_text(value, "country")? {
        out.insert("country".to_owned(), country(code).map_err(|e| e.within("country"))?);
    }
    Ok(Json::Object(out))
}

fn member_text<'a>(value: &'a Json, name: &str) -> Result<Option<&'a str>, Invalid> {
    match value.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Invalid::at(name, "Expected a text.")),
    }
}

fn list(value: &Json, each: impl Fn(&Json) -> Parsed) -> Parsed {
    // GraphQL lets a single item stand for a list of one.
    let single = std::slice::from_ref(value);
    let items = value.as_array().map_or(single, Vec::as_slice);
    if items.len() > MOST_ITEMS {
        return Err(Invalid::new(format!("At most {MOST_ITEMS} items are allowed.")));
    }
    let parsed: Result<Vec<Json>, Invalid> =
        items.iter().enumerate().map(|(index, item)| each(item).map_err(|e| e.within(index.to_string()))).collect();
    parsed.map(Json::Array)
}

fn depth(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn unique(list: Json) -> Json {
    let Json::Array(items) = list else { return list };
    let mut seen = Vec::with_capacity(items.len());
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    Json::Array(seen)
}

/// Of several entries exactly one is primary: the one marked so, else the first.
fn one_primary(list: Json) -> Parsed {
    let Json::Array(mut items) = list else { return Ok(list) };
    let marked: Vec<usize> = items.iter().enumerate().filter(|(_, item)| item["primary"] == true).map(|(index, _)| index).collect();
    match (marked.as_slice(), items.first_mut()) {
        ([], Some(first)) => first["primary"] = json!(true),
        ([_, second, ..], _) => {
            return Err(Invalid::at(second.to_string(), "Only one entry can be the primary one.").within_last("primary"));
        }
        _ => {}
    }
    Ok(Json::Array(items))
}

impl Invalid {
    fn within_last(mut self, step: &str) -> Self {
        self.path.push(step.to_owned());
        self
    }
}

/// Checks `min` and `max` of numbers, amounts and dates.
fn check_range(field: &Field, stored: &Json) -> Result<(), Invalid> {
    let (min, max) = (field.settings.min.as_deref(), field.settings.max.as_deref());
    if min.is_none() && max.is_none() {
        return Ok(());
    }
    let bounds = || format!("{} must be {}.", field.label, words(min, max));
    let outside = match field.kind {
        Kind::Integer | Kind::Rating => number_outside(stored.as_i64(), min.and_then(|m| m.parse().ok()), max.and_then(|m| m.parse().ok())),
        Kind::Decimal | Kind::Percent => number_outside(stored.as_i64(), min.and_then(parse_decimal), max.and_then(parse_decimal)),
        Kind::Money => number_outside(stored["amount"].as_i64(), min.and_then(parse_decimal), max.and_then(parse_decimal)),
        Kind::Date => stored.as_str().is_some_and(|day| min.is_some_and(|m| day < m) || max.is_some_and(|m| day > m)),
        _ => false,
    };
    if outside { Err(Invalid::new(bounds())) } else { Ok(()) }
}

fn number_outside(value: Option<i64>, min: Option<i64>, max: Option<i64>) -> bool {
    value.is_some_and(|value| min.is_some_and(|m| value < m) || max.is_some_and(|m| value > m))
}

fn words(min: Option<&str>, max: Option<&str>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    }
}

/// As much of a caller's text as a message should repeat.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Kind) -> Field {
        Field::column("value", kind, "Value", "A value.")
    }

    fn parsed(kind: Kind, value: Json) -> Parsed {
        parse(&field(kind), &value)
    }

    #[test]
    fn contact_data_is_normalised_and_kept_as_typed() {
        let emails = parsed(Kind::Emails, json!([{ "address": " Ada@Müller.example " }])).unwrap();
        assert_eq!(emails[0]["address"], "Ada@Müller.example");
        assert_eq!(emails[0]["normalized"], "ada@xn--mller-kva.example");
        assert_eq!(emails[0]["primary"], true);
        let phones = parsed(Kind::Phones, json!([{ "number": "044 668 18 00", "region": "CH" }])).unwrap();
        assert_eq!(phones[0]["e164"], "+41446681800");
        assert_eq!(phones[0]["number"], "044 668 18 00");
        assert_eq!(parsed(Kind::Domains, json!(["https://www.Example.com/about", "example.com"])).unwrap(), json!(["example.com"]));
    }

    #[test]
    fn two_primary_entries_are_refused_with_a_path() {
        let both = json!([{ "address": "a@b.example", "primary": true }, { "address": "c@d.example", "primary": true }]);
        assert_eq!(parsed(Kind::Emails, both).unwrap_err().path, ["1", "primary"]);
    }

    #[test]
    fn money_beyond_the_range_is_refused() {
        assert!(parsed(Kind::Money, json!({ "amount": "922337203685477.5808", "currency": "EUR" })).is_err());
        assert_eq!(parsed(Kind::Money, json!({ "amount": "1.5", "currency": "EUX" })).unwrap_err().path, ["currency"]);
        assert_eq!(parsed(Kind::Money, json!({ "amount": "1.5", "currency": "EUR" })).unwrap()["amount"], 15_000);
    }
}
