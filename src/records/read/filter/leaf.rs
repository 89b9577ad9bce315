//! The leaves of a filter: operators on one field.

use sea_orm::Value;
use serde_json::{Map, Value as Json};

use super::{folded, null_test, two_valued, unknown_operator};
use crate::catalog::{Field, Kind, Object, Store};
use crate::error::{Error, Result};
use crate::infra::text::fold;
use crate::records::read::dates;
use crate::records::read::node::Planner;
use crate::records::sql::{all_of, any_of};
use crate::records::value::{self, parse_decimal};

impl Planner<'_> {
    pub(super) fn field_filter(&mut self, object: &Object, field: &Field, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        match field.kind {
            _ if field.settings.encrypted => self.sealed_filter(field, alias, condition, negated),
            Kind::Money => self.money_filter(field, alias, condition, negated),
            Kind::ExternalIds => self.external_filter(object, alias, condition),
            Kind::Address => self.address_filter(field, alias, condition, negated),
            kind if kind.is_list() => self.list_field_filter(object, field, alias, condition, negated),
            Kind::Reference => {
                let expression = self.sql.field(alias, field);
                self.id_filter(&expression, condition, negated)
            }
            _ if field.is_custom() && self.is_indexed(field) => self.indexed_filter(field, alias, condition, negated),
            kind => {
                let expression = self.value(alias, field)?;
                let folded = kind.folds().then(|| folded(field, alias, &expression));
                self.comparisons(field, &expression, folded.as_deref(), condition, negated)
            }
        }
    }

    /// A custom field marked `indexed` is compared where its index is; the null test looks at the
    /// document.
    fn indexed_filter(&mut self, field: &Field, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        let empty = Map::new();
        let expression = self.sql.field(alias, field);
        let mut parts = Vec::new();
        for (operator, operand) in condition.as_object().unwrap_or(&empty) {
            let single = Json::Object([(operator.clone(), operand.clone())].into_iter().collect());
            let comparison = matches!(operator.as_str(), "eq" | "in" | "lt" | "lte" | "gt" | "gte" | "between" | "startsWith");
            let relative = field.kind == Kind::DateTime && matches!(operator.as_str(), "within" | "period");
            let served = field.kind.store() != Store::Bool && (comparison || relative);
            if !served || operand.is_null() || operand.as_array().is_some_and(|list| list.contains(&Json::Null)) {
                let folded = field.kind.folds().then(|| folded(field, alias, &expression));
                parts.push(self.comparisons(field, &expression, folded.as_deref(), &single, negated)?);
                continue;
            }
            if field.kind == Kind::Date {
                self.check_days(operand)?;
            }
            let index = self.sql.alias();
            let (column, of) = index_column(field, &index);
            let test = self.comparisons(&of, &column, field.kind.folds().then_some(column.as_str()), &single, false)?;
            parts.push(self.in_index(field, alias, &index, &test));
        }
        Ok(all_of(&parts))
    }

    /// Days are compared as text in the index, so they are checked here.
    fn check_days(&self, operand: &Json) -> Result<()> {
        match operand {
            Json::Array(items) => items.iter().try_for_each(|item| self.check_days(item)),
            Json::Object(members) => members.values().try_for_each(|member| self.check_days(member)),
            Json::Null => Ok(()),
            day => operand_value(Kind::Date, day).map(drop),
        }
    }

    pub(super) fn in_index(&mut self, field: &Field, alias: &str, index: &str, test: &str) -> String {
        let crate::catalog::Source::Custom { id } = &field.source else { return "FALSE".into() };
        let id = self.sql.bind(*id);
        format!(
            "EXISTS (SELECT 1 FROM field_index {index} WHERE {index}.workspace_id = $1 AND {index}.field_id = {id} \
             AND {index}.record_id = {alias}.id AND {test})"
        )
    }

    /// The operators of a field with one value. `folded` is the expression for comparisons without
    /// case and accents, where the kind compares so.
    pub(in crate::records::read) fn comparisons(
        &mut self,
        field: &Field,
        raw: &str,
        folded: Option<&str>,
        condition: &Json,
        negated: bool,
    ) -> Result<String> {
        let operators = condition.as_object().ok_or_else(|| Error::bad_request("A filter is an object of operators."))?;
        let subject = folded.unwrap_or(raw);
        let mut parts = Vec::new();
        for (operator, operand) in operators {
            let part = match operator.as_str() {
                "eq" if operand.is_null() => format!("{raw} IS NULL"),
                "ne" if operand.is_null() => format!("{raw} IS NOT NULL"),
                _ if operand.is_null() => continue,
                "isNull" => null_test(raw, &flag(operand)?),
                "eq" => format!("{subject} = {}", self.operand(field, operand, folded.is_some())?),
                "ne" => format!("({subject} <> {} OR {raw} IS NULL)", self.operand(field, operand, folded.is_some())?),
                "eqExact" => format!("{raw} = {}", self.operand(field, operand, false)?),
                "lt" => format!("{subject} < {}", self.operand(field, operand, folded.is_some())?),
                "lte" => format!("{subject} <= {}", self.operand(field, operand, folded.is_some())?),
                "gt" => format!("{subject} > {}", self.operand(field, operand, folded.is_some())?),
                "gte" => format!("{subject} >= {}", self.operand(field, operand, folded.is_some())?),
                "in" => self.in_list(field, raw, subject, operand, folded.is_some())?,
                "notIn" => format!("NOT (({}) IS TRUE)", self.in_list(field, raw, subject, operand, folded.is_some())?),
                "between" => self.between(field, subject, operand, folded.is_some())?,
                "contains" | "startsWith" | "endsWith" => self.part_of_text(subject, operator, operand)?,
                "within" | "period" => self.relative(field, raw, operator, operand)?,
                other => return Err(unknown_operator(other)),
            };
            parts.push(two_valued(part, negated));
        }
        Ok(all_of(&parts))
    }

    fn in_list(&mut self, field: &Field, raw: &str, subject: &str, list: &Json, fold: bool) -> Result<String> {
        let single = std::slice::from_ref(list);
        let items = list.as_array().map_or(single, Vec::as_slice);
        if items.len() > MOST_VALUES {
            return Err(Error::bad_request(format!("A list of a filter has at most {MOST_VALUES} values.")));
        }
        let mut options = Vec::new();
        if items.contains(&Json::Null) {
            options.push(format!("{raw} IS NULL"));
        }
        let values: Vec<String> =
            items.iter().filter(|item| !item.is_null()).map(|item| self.operand(field, item, fold)).collect::<Result<_>>()?;
        if !values.is_empty() {
            options.push(format!("{subject} IN ({})", values.join(", ")));
        }
        Ok(any_of(&options))
    }

    fn between(&mut self, field: &Field, subject: &str, range: &Json, fold: bool) -> Result<String> {
        if !range.is_object() {
            return Err(Error::bad_request("An interval has `from` and `to`."));
        }
        let mut parts = vec![format!("{subject} IS NOT NULL")];
        for (end, comparison) in [("from", ">="), ("to", "<=")] {
            if let Some(bound) = range.get(end).filter(|bound| !bound.is_null()) {
                parts.push(format!("{subject} {comparison} {}", self.operand(field, bound, fold)?));
            }
        }
        Ok(all_of(&parts))
    }

    fn part_of_text(&mut self, subject: &str, operator: &str, operand: &Json) -> Result<String> {
        let text = operand.as_str().ok_or_else(|| Error::bad_request("Expected a text."))?;
        let needle = fold(text).into_owned();
        if operator == "startsWith" {
            // A range, which an index on the folded text serves, under row-level security too.
            let from = self.sql.bind(needle.clone());
            return Ok(match successor(&needle) {
                Some(end) => {
                    let end = self.sql.bind(end);
                    format!("({subject} >= {from} AND {subject} < {end})")
                }
                None => format!("{subject} >= {from}"),
            });
        }
        if operator == "contains" {
            let needle = self.sql.bind(needle);
            let find = if self.sql.is_postgres() { "strpos" } else { "instr" };
            return Ok(format!("{find}({subject}, {needle}) > 0"));
        }
        let count = i64::try_from(needle.chars().count()).unwrap_or(i64::MAX);
        let needle = self.sql.bind(needle);
        if count == 0 {
            return Ok(format!("{subject} IS NOT NULL"));
        }
        Ok(if self.sql.is_postgres() {
            format!("right({subject}, {count}) = {needle}")
        } else {
            format!("substr({subject}, -{count}) = {needle}")
        })
    }

    fn relative(&mut self, field: &Field, raw: &str, operator: &str, operand: &Json) -> Result<String> {
        let now = self.now();
        let zone = self.ctx.time_zone;
        let today = dates::local(now, zone).date_naive();
        if operator == "within" && operand["unit"] == "HOUR" {
            if field.kind != Kind::DateTime {
                return Err(Error::bad_request("Days have no hours: HOUR goes with times only."));
            }
            let (count, sign) = dates::amount(operand)?;
            let moved = count.checked_mul(3_600_000_000).and_then(|span| now.0.checked_add(sign * span));
            let moved = moved.ok_or_else(|| Error::bad_request("The relative date lies outside the calendar."))?;
            let (from, to) = (self.sql.bind(moved.min(now.0)), self.sql.bind(moved.max(now.0)));
            return Ok(format!("({raw} >= {from} AND {raw} <= {to})"));
        }
        let (from, to) = match operator {
            "period" => dates::period(operand.as_str().unwrap_or_default(), today)?,
            _ => dates::within(operand, today)?,
        };
        let (from, to): (Value, Value) = if field.kind == Kind::DateTime {
            (dates::start_of(from, zone).0.into(), dates::start_of(to, zone).0.into())
        } else {
            (from.into(), to.into())
        };
        let (from, to) = (self.sql.bind(from), self.sql.bind(to));
        Ok(format!("({raw} >= {from} AND {raw} < {to})"))
    }

    fn money_filter(&mut self, field: &Field, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        let amount = self.value(alias, field)?;
        let mut parts = Vec::new();
        if let Some(test) = condition.get("amount").filter(|test| !test.is_null()) {
            let custom_index = (field.is_custom() && self.is_indexed(field)).then(|| self.indexed_filter(field, alias, test, negated));
            parts.push(match custom_index {
                Some(part) => part?,
                None => self.comparisons(field, &amount, None, test, negated)?,
            });
        }
        if let Some(code) = condition.get("currency").and_then(Json::as_str) {
            let currency = self.currency(alias, field)?;
            let code = self.sql.bind(code);
            parts.push(two_valued(format!("{currency} = {code}"), negated));
        }
        if let Some(test) = condition.get("isNull").filter(|test| !test.is_null()) {
            parts.push(null_test(&amount, test));
        }
        Ok(all_of(&parts))
    }

    /// `has`, `hasAny`, `hasAll`, `isEmpty` over a list kept as JSON. Lists whose items are unique
    /// in the workspace have them in `record_key` as well, which is indexed.
    fn list_field_filter(&mut self, object: &Object, field: &Field, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        let empty = Map::new();
        let array = self.sql.field(alias, field);
        let mut parts = Vec::new();
        for (operator, operand) in condition.as_object().unwrap_or(&empty) {
            if operand.is_null() {
                continue;
            }
            let single = std::slice::from_ref(operand);
            let items = operand.as_array().map_or(single, Vec::as_slice);
            let part = match operator.as_str() {
                "has" | "hasAll" => {
                    let all: Vec<String> = items
                        .iter()
                        .map(|item| self.has_any(object, field, alias, &array, std::slice::from_ref(item)))
                        .collect::<Result<_>>()?;
                    all_of(&all)
                }
                "hasAny" => self.has_any(object, field, alias, &array, items)?,
                "isEmpty" => {
                    let literal = if self.sql.is_postgres() { "'[]'::jsonb" } else { "'[]'" };
                    let test = format!("({array} IS NULL OR {array} = {literal})");
                    if operand == &Json::Bool(true) { test } else { format!("NOT {test}") }
                }
                other => return Err(unknown_operator(other)),
            };
            parts.push(two_valued(part, negated));
        }
        Ok(all_of(&parts))
    }

    fn has_any(&mut self, object: &Object, field: &Field, alias: &str, array: &str, items: &[Json]) -> Result<String> {
        if items.is_empty() {
            return Ok("FALSE".into());
        }
        let probes: Vec<Value> = items.iter().map(|item| list_probe(field, item)).collect::<Result<_>>()?;
        let probes = self.sql.bind_all(probes);
        if let Some(key) = field.key_name().filter(|_| self.as_of.is_none()) {
            return Ok(format!(
                "EXISTS (SELECT 1 FROM record_key k WHERE k.workspace_id = $1 AND k.object = '{}' AND k.key = '{key}' \
                 AND k.value IN ({probes}) AND k.record_id = {alias}.id)",
                object.name
            ));
        }
        let value = match (field.kind, self.sql.is_postgres()) {
            (Kind::Emails, _) => self.sql.json_key("e.value", "normalized"),
            (Kind::Phones, _) => self.sql.json_key("e.value", "e164"),
            (_, true) => "e.value #>> '{}'".into(),
            (_, false) => "e.value".into(),
        };
        Ok(format!("EXISTS (SELECT 1 FROM {} WHERE {value} IN ({probes}))", self.sql.json_each(array)))
    }

    fn external_filter(&mut self, object: &Object, alias: &str, condition: &Json) -> Result<String> {
        let system = condition["system"].as_str().ok_or_else(|| Error::bad_request("`system` is required."))?;
        if self.as_of.is_some() {
            return Ok(self.external_then(object, alias, system, condition["value"].as_str()));
        }
        let key = self.sql.bind(format!("external:{system}"));
        let value = match condition["value"].as_str() {
            Some(id) => format!(" AND k.value = {}", self.sql.bind(id)),
            None => String::new(),
        };
        Ok(format!(
            "EXISTS (SELECT 1 FROM record_key k WHERE k.workspace_id = $1 AND k.object = '{}' AND k.key = {key}{value} AND k.record_id = {alias}.id)",
            object.name
        ))
    }

    fn address_filter(&mut self, field: &Field, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        let empty = Map::new();
        let document = self.sql.field(alias, field);
        let text = Field::column("part", Kind::Text, "", "");
        let mut parts = Vec::new();
        for (part, test) in condition.as_object().unwrap_or(&empty) {
            let known = ["street", "line2", "city", "region", "postalCode", "country"].iter().find(|known| *known == part);
            match known {
                _ if test.is_null() => {}
                Some(part) => {
                    let expression = self.sql.json_key(&document, part);
                    let folded = crate::records::sql::Sql::fold(&expression);
                    parts.push(self.comparisons(&text, &expression, Some(&folded), test, negated)?);
                }
                None if part == "isNull" => parts.push(null_test(&document, test)),
                None => return Err(unknown_operator(part)),
            }
        }
        Ok(all_of(&parts))
    }

    fn operand(&mut self, field: &Field, value: &Json, folded: bool) -> Result<String> {
        let value = operand_value(field.kind, value)?;
        let value = match value {
            Value::String(Some(text)) if folded => fold(&text).into_owned().into(),
            other => other,
        };
        Ok(self.sql.bind(value))
    }
}

/// The most values of `in` and its kin.
pub(super) const MOST_VALUES: usize = 1_000;

/// A yes or no, of clients that write their filters untyped.
pub(super) fn flag(operand: &Json) -> Result<Json> {
    if operand.is_boolean() { Ok(operand.clone()) } else { Err(Error::bad_request("Expected true or false.")) }
}

/// What the index of a custom field keeps, and how it compares.
fn index_column(field: &Field, index: &str) -> (String, Field) {
    let mut of = field.clone();
    let column = if field.kind.store() == Store::Int { "number" } else { "\"text\"" };
    match field.kind {
        Kind::Money => of.kind = Kind::Decimal,
        // Kept as ISO text, which compares as days do.
        Kind::Date => of.kind = Kind::Select,
        _ => {}
    }
    (format!("{index}.{column}"), of)
}

/// A caller's value as the database compares it.
fn operand_value(kind: Kind, value: &Json) -> Result<Value> {
    let wrong = |what: &str| Error::bad_request(format!("Expected {what}."));
    Ok(match kind {
        Kind::Integer | Kind::Rating => value.as_i64().ok_or_else(|| wrong("an integer"))?.into(),
        Kind::Decimal | Kind::Percent | Kind::Money => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            parse_decimal(&text)
                .ok_or_else(|| wrong("a decimal with at most four places, as a string, within ±922337203685477.5807"))?
                .into()
        }
        Kind::Boolean => value.as_bool().ok_or_else(|| wrong("true or false"))?.into(),
        Kind::Date => {
            let day = value.as_str().and_then(|text| value::date(text).ok());
            let day = day.as_ref().and_then(Json::as_str).and_then(|text| text.parse::<chrono::NaiveDate>().ok());
            day.ok_or_else(|| wrong("a day as YYYY-MM-DD"))?.into()
        }
        Kind::DateTime => {
            let at = value.as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
            at.ok_or_else(|| wrong("a time as RFC 3339"))?.timestamp_micros().into()
        }
        _ => value.as_str().ok_or_else(|| wrong("a text"))?.to_owned().into(),
    })
}

/// An item of a list as it is stored, so that `has: "Ada@Example.com"` finds what was normalised.
fn list_probe(field: &Field, item: &Json) -> Result<Value> {
    let text = item.as_str().ok_or_else(|| Error::bad_request("Expected a text."))?;
    let mut single = field.clone();
    if field.kind == Kind::Domains {
        let normalised = value::parse(&single, &Json::Array(vec![item.clone()])).ok();
        return Ok(normalised.as_ref().and_then(|list| list[0].as_str()).unwrap_or(text).to_owned().into());
    }
    single.kind = match field.kind {
        Kind::Emails => Kind::Email,
        Kind::Phones => Kind::Phone,
        _ => return Ok(text.to_owned().into()),
    };
    single.settings = Default::default();
    let normalised = value::parse(&single, item).ok();
    Ok(normalised.as_ref().and_then(Json::as_str).unwrap_or(text).to_owned().into())
}

/// The smallest text after all texts that begin with `prefix`.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
