//! Sums, averages, extremes and counts over all records of a list, not only those on its page.
//!
//! All that a selection asks for is one row of the same statement, as a JSON array. Sums are exact: they
//! come as text, whatever their size, and an average is divided here. An amount is summed in one
//! currency: if the records have several, the sum is null, and the answer says why.

use serde_json::Value as Json;

use super::node::Planner;
use super::shape::MoneyPart;
use super::totals;
use crate::catalog::{Field, Kind, Object, Store};
use crate::error::{Error, Result};
use crate::infra::decimal::half_even;
use crate::platform::access::Sight;
use crate::records::selection::{Merged, collect};
use crate::records::value;

/// What an aggregate becomes.
#[derive(Debug)]
pub enum AggregateOut {
    Null,
    Typename(String),
    /// A whole number as it stands in the row.
    Count(usize),
    /// A sum, or with a count an average.
    Number {
        sum: usize,
        count: Option<usize>,
        scaled: bool,
    },
    /// The smallest or greatest value.
    Extreme {
        slot: usize,
        kind: Kind,
    },
    Money(Box<MoneyOut>),
    Group(Vec<(String, AggregateOut)>),
}

#[derive(Debug)]
pub struct MoneyOut {
    /// A sum as text, or an extreme.
    amount: usize,
    count: Option<usize>,
    /// The first and the last of the amounts' currencies.
    currencies: (usize, usize),
    wanted: Option<String>,
    parts: Vec<(String, MoneyPart)>,
    /// As an error names it.
    name: String,
}

/// The expressions of the row.
#[derive(Default)]
pub struct Columns {
    of_records: Vec<String>,
    /// The same of running totals, where they can tell it.
    of_totals: Vec<Option<String>>,
}

impl Columns {
    /// The count of all records, which a list shows beside its aggregates.
    pub fn count(&mut self) -> usize {
        self.slot("count(*)".into(), Some(totals::COUNT.to_owned()))
    }

    fn slot(&mut self, of_records: String, of_totals: Option<String>) -> usize {
        if let Some(known) = self.of_records.iter().position(|column| *column == of_records) {
            return known;
        }
        self.of_records.push(of_records);
        self.of_totals.push(of_totals);
        self.of_records.len() - 1
    }

    pub fn list(&self) -> &[String] {
        &self.of_records
    }

    /// All of them as running totals tell them; none if they do not.
    pub fn of_totals(&self) -> Option<Vec<String>> {
        self.of_totals.iter().cloned().collect()
    }
}

/// What is done with the values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Sum,
    Avg,
    Min,
    Max,
    Distinct,
}

impl Over {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "countDistinct" => Self::Distinct,
            _ => return None,
        })
    }
}

/// Whether values of a field can be added up.
pub fn adds_up(field: &Field) -> bool {
    !field.archived && matches!(field.kind, Kind::Integer | Kind::Rating | Kind::Decimal | Kind::Percent | Kind::Money)
}

/// Whether one value of a field is the smallest.
pub fn has_extremes(field: &Field) -> bool {
    adds_up(field) || !field.archived && matches!(field.kind, Kind::Date | Kind::DateTime)
}

/// Whether different values of a field can be counted.
pub fn is_countable(field: &Field) -> bool {
    let scalar = !matches!(field.kind.store(), Store::Json) && !matches!(field.kind, Kind::Reference | Kind::LongText);
    !field.archived && !field.settings.encrypted && scalar
}

impl Planner<'_> {
    /// Plans what is selected of an aggregate over the records of `object` in `alias`.
    pub(super) fn aggregate(&mut self, object: &Object, alias: &str, merged: &Merged<'_>, columns: &mut Columns) -> Result<AggregateOut> {
        let type_name = &object.type_name;
        let mut members = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let out = match (part.name, Over::named(part.name)) {
                ("count", _) => AggregateOut::Count(columns.count()),
                (_, Some(over)) => self.over(object, alias, over, &part, columns)?,
                _ => AggregateOut::Typename(format!("{type_name}Aggregate")),
            };
            members.push((part.key.to_owned(), out));
        }
        Ok(AggregateOut::Group(members))
    }

    /// One of `sum`, `avg`, `min`, `max` and `countDistinct`.
    pub(super) fn over_named(&mut self, object: &Object, alias: &str, merged: &Merged<'_>, columns: &mut Columns) -> Result<AggregateOut> {
        match Over::named(merged.name) {
            Some(over) => self.over(object, alias, over, merged, columns),
            None => Err(Error::bad_request(format!("`{}` is not reckoned of a group.", merged.name))),
        }
    }

    fn over(&mut self, object: &Object, alias: &str, over: Over, merged: &Merged<'_>, columns: &mut Columns) -> Result<AggregateOut> {
        let mut members = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let out = match part.name {
                "__typename" => AggregateOut::Typename(self.type_of(object, over, false)),
                "custom" => {
                    let mut custom = Vec::new();
                    for part in collect(&part.children, |_| true) {
                        let out = match object.custom.get(part.name) {
                            Some(field) => self.value_over(object, field, alias, over, &part, columns)?,
                            None => AggregateOut::Typename(self.type_of(object, over, true)),
                        };
                        custom.push((part.key.to_owned(), out));
                    }
                    AggregateOut::Group(custom)
                }
                name => {
                    let field = object.fields.get(name);
                    let field = field.ok_or_else(|| Error::bad_request(format!("{} has no field `{name}`.", object.type_name)))?;
                    self.value_over(object, field, alias, over, &part, columns)?
                }
            };
            members.push((part.key.to_owned(), out));
        }
        Ok(AggregateOut::Group(members))
    }

    fn type_of(&self, object: &Object, over: Over, custom: bool) -> String {
        let custom = if custom { "Custom" } else { "" };
        let of = match over {
            Over::Sum | Over::Avg => "Numbers",
            Over::Min | Over::Max => "Extremes",
            Over::Distinct => "CountDistinct",
        };
        format!("{}{custom}{of}", object.type_name)
    }

    fn value_over(
        &mut self,
        object: &Object,
        field: &Field,
        alias: &str,
        over: Over,
        part: &Merged<'_>,
        columns: &mut Columns,
    ) -> Result<AggregateOut> {
        let name = field.access_name();
        if self.ctx.access.object(&object.name).field(&name).sight != Sight::Full {
            self.ctx.hidden.note(&object.type_name, &name);
            return Ok(AggregateOut::Null);
        }
        let raw = self.value(alias, field)?;
        if over == Over::Distinct {
            return Ok(AggregateOut::Count(columns.slot(format!("count(DISTINCT {raw})"), None)));
        }
        let wanted = Self::argument(part, "in").as_str().map(str::to_owned);
        let currency = if field.kind == Kind::Money { Some(self.currency(alias, field)?) } else { None };
        let is_kept = !field.is_custom() && object.totals.is_some_and(|totals| totals.amount == field.name);
        let kept = |expression: String| is_kept.then_some(expression);
        // In one currency only: the others are left out of the sum, and refused until there are rates.
        let amount = match over {
            Over::Sum | Over::Avg => columns.slot(self.sql.exact_sum(&raw), kept(self.sql.sum_of_totals())),
            Over::Min => columns.slot(self.sql.in_json(&format!("min({raw})"), field.kind.store()), None),
            _ => columns.slot(self.sql.in_json(&format!("max({raw})"), field.kind.store()), None),
        };
        let count = (over == Over::Avg).then(|| columns.slot(format!("count({raw})"), kept(totals::VALUED.to_owned())));
        Ok(match currency {
            Some(currency) => AggregateOut::Money(Box::new(MoneyOut {
                amount,
                count,
                currencies: (
                    columns.slot(format!("min({currency})"), kept(totals::CURRENCIES[0].to_owned())),
                    columns.slot(format!("max({currency})"), kept(totals::CURRENCIES[1].to_owned())),
                ),
                wanted,
                parts: super::parts::money_parts(part),
                name: format!("{}.{name}", object.type_name),
            })),
            None if matches!(over, Over::Sum | Over::Avg) => {
                AggregateOut::Number { sum: amount, count, scaled: matches!(field.kind, Kind::Decimal | Kind::Percent) }
            }
            None => AggregateOut::Extreme { slot: amount, kind: field.kind },
        })
    }
}

/// Writes an aggregate from its row. `refuse` takes what cannot be told, and why.
pub fn write(shape: &AggregateOut, row: &[Json], refuse: &dyn Fn(String), out: &mut String) {
    let at = |slot: usize| row.get(slot).unwrap_or(&Json::Null);
    match shape {
        AggregateOut::Null => out.push_str("null"),
        AggregateOut::Typename(name) => out.push_str(&format!("\"{name}\"")),
        AggregateOut::Count(slot) => out.push_str(&at(*slot).as_i64().unwrap_or(0).to_string()),
        AggregateOut::Number { sum, count, scaled } => match number(at(*sum), count.map(&at)) {
            // A sum of whole numbers has no places, an average has four.
            Some(units) if *scaled || count.is_some() => {
                let units = if *scaled { units } else { units_of_whole(at(*sum), count.map(&at)).unwrap_or(units) };
                out.push_str(&format!("\"{}\"", value::format_wide(units, 0)));
            }
            Some(units) => out.push_str(&format!("\"{units}\"")),
            None => out.push_str("null"),
        },
        AggregateOut::Extreme { slot, kind } => value::write_stored(at(*slot), *kind, out),
        AggregateOut::Money(money) => write_money(money, &at, refuse, out),
        AggregateOut::Group(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ",\"" } else { "\"" });
                out.push_str(key);
                out.push_str("\":");
                write(member, row, refuse, out);
            }
            out.push('}');
        }
    }
}

fn write_money<'r>(money: &MoneyOut, at: &dyn Fn(usize) -> &'r Json, refuse: &dyn Fn(String), out: &mut String) {
    let (Some(units), Some(currency)) = (number(at(money.amount), money.count.map(at)), at(money.currencies.0).as_str()) else {
        out.push_str("null");
        return;
    };
    let several = at(money.currencies.1).as_str() != Some(currency);
    if several || money.wanted.as_deref().is_some_and(|wanted| wanted != currency) {
        let name = &money.name;
        refuse(if several {
            format!(
                "{name}: the amounts have several currencies, and there are no exchange rates to add them up with. Filter by one currency."
            )
        } else {
            format!("{name}: the amounts are in {currency}, and there are no exchange rates to convert them with.")
        });
        out.push_str("null");
        return;
    }
    let places = iso_currency::Currency::from_code(currency).and_then(iso_currency::Currency::exponent).unwrap_or(2);
    out.push('{');
    for (index, (key, part)) in money.parts.iter().enumerate() {
        out.push_str(if index > 0 { ",\"" } else { "\"" });
        out.push_str(key);
        out.push_str("\":");
        match part {
            MoneyPart::Amount => out.push_str(&format!("\"{}\"", value::format_wide(units, usize::from(places)))),
            MoneyPart::Currency => out.push_str(&format!("\"{currency}\"")),
            MoneyPart::Typename => out.push_str("\"Money\""),
        }
    }
    out.push('}');
}

/// A sum, or an average, in the units of the field.
fn number(sum: &Json, count: Option<&Json>) -> Option<i128> {
    let sum = wide(sum)?;
    match count {
        None => Some(sum),
        Some(count) => half_even(sum, i128::from(count.as_i64().filter(|count| *count > 0)?)),
    }
}

/// An average of whole numbers, in units of 1/10,000.
fn units_of_whole(sum: &Json, count: Option<&Json>) -> Option<i128> {
    half_even(wide(sum)?.checked_mul(10_000)?, i128::from(count?.as_i64().filter(|count| *count > 0)?))
}

fn wide(value: &Json) -> Option<i128> {
    match value {
        Json::String(text) => text.parse().ok(),
        other => other.as_i64().map(i128::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_may_be_wider_than_what_is_summed() {
        let wide = json(&["170141183460469231731687303715884105727"]);
        assert_eq!(number(&wide[0], None), Some(i128::MAX));
        assert_eq!(number(&Json::Null, None), None);
        assert_eq!(units_of_whole(&serde_json::json!("10"), Some(&serde_json::json!(4))), Some(25_000));
    }

    fn json(texts: &[&str]) -> Vec<Json> {
        texts.iter().map(|text| Json::String((*text).to_owned())).collect()
    }
}
