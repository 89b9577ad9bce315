//! Formulas and roll-ups as SQL.
//!
//! Numbers are integers all the way, whole or in units of 1/10,000. Sums, products and quotients go through
//! functions that both databases have (`kith_plus`, `kith_minus`, `kith_muldiv`): exact, and null where the result does not
//! fit or the divisor is zero. A roll-up and a step to another record are sub-selects with the caller's row
//! condition, so a hidden record counts for nothing.

use std::sync::Arc;

use super::node::{Planner, Scope};
use super::shape::{MoneyPart, Out};
use crate::catalog::formula::{Computed, Expr, How, Op, RollUpFunction, Ty, Typed};
use crate::catalog::{Field, Kind, Relation, Source, Store};
use crate::error::Result;
use crate::records::sql::{Sql, all_of};

/// A value, and of an amount its currency. What is made of it names it once.
#[derive(Clone)]
struct Made {
    value: String,
    currency: Option<String>,
}

impl From<String> for Made {
    fn from(value: String) -> Self {
        Self { value, currency: None }
    }
}

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

impl Planner<'_> {
    /// The value of a field in the table `alias`; of money, its amount; of what is sealed, the sealed text.
    pub fn value(&mut self, alias: &str, field: &Field) -> Result<String> {
        match &field.source {
            Source::Computed { computed, .. } => Ok(self.computed(alias, field, &computed.clone())?.value),
            _ => Ok(self.sql.field(alias, field)),
        }
    }

    /// The currency of a field of money.
    pub fn currency(&mut self, alias: &str, field: &Field) -> Result<String> {
        Ok(match &field.source {
            Source::Column(column) => format!("{alias}.{column}_currency"),
            Source::Custom { .. } => self.sql.custom_currency(alias, &field.name),
            Source::Computed { computed, .. } => {
                let made = self.computed(alias, field, &computed.clone())?;
                made.currency.unwrap_or_else(|| "NULL".into())
            }
        })
    }

    /// A computed value as generic clients get it, under `customFields`.
    pub(super) fn untyped(&mut self, scope: &mut Scope, alias: &str, field: &Field) -> Result<Out> {
        let slot = scope.slot(self.value(alias, field)?, field.kind.store());
        Ok(match field.kind {
            Kind::Money => Out::Money {
                amount: slot,
                currency: scope.slot(self.currency(alias, field)?, Store::Text),
                parts: vec![("amount".into(), MoneyPart::Amount), ("currency".into(), MoneyPart::Currency)],
            },
            Kind::Select => Out::Scalar { slot, kind: Kind::Text },
            kind => Out::Scalar { slot, kind },
        })
    }

    fn computed(&mut self, alias: &str, field: &Field, computed: &Arc<Computed>) -> Result<Made> {
        let made = match &computed.how {
            How::Formula(typed) => self.typed(alias, typed)?,
            How::RollUp { relation, target, function, field, filter } => {
                self.rolled_up(alias, relation, target.as_deref(), *function, field.as_deref(), filter.as_ref())?
            }
            How::Unresolved => "NULL".to_owned().into(),
        };
        // The API's whole numbers have 32 bits.
        if field.kind == Kind::Integer {
            return Ok(format!(
                "(SELECT CASE WHEN w.n BETWEEN -2147483648 AND 2147483647 THEN w.n END FROM {} w)",
                named(self.sql.is_postgres(), &[(&made.value, "n")])
            )
            .into());
        }
        Ok(made)
    }

    fn typed(&mut self, alias: &str, typed: &Typed) -> Result<Made> {
        let postgres = self.sql.is_postgres();
        Ok(match &typed.expr {
            Expr::Null => "NULL".to_owned().into(),
            Expr::Number(number) => (if postgres { format!("{number}::bigint") } else { number.to_string() }).into(),
            Expr::Text(text) => self.text(text).into(),
            Expr::Boolean(yes) => (if *yes { "TRUE" } else { "FALSE" }).to_owned().into(),
            Expr::Field(field) => {
                let value = self.value(alias, field)?;
                let currency = if typed.ty == Ty::Money { Some(self.currency(alias, field)?) } else { None };
                let value = if typed.ty == Ty::Text && postgres { format!("(({value}) COLLATE \"C\")") } else { value };
                Made { value, currency }
            }
            Expr::Currency(field) => {
                let currency = self.currency(alias, field)?;
                (if postgres { format!("(({currency}) COLLATE \"C\")") } else { currency }).into()
            }
            Expr::Hop { relation, target, inner } => self.hop(alias, relation, target, inner)?,
            Expr::Call(op, arguments) => {
                let made = arguments.iter().map(|argument| self.typed(alias, argument)).collect::<Result<Vec<_>>>()?;
                self.call(typed.ty, *op, arguments, &made)?
            }
        })
    }

    /// A text as a constant of SQL: quotes doubled, and neither database knows another escape.
    fn text(&self, text: &str) -> String {
        let quoted = format!("'{}'", text.replace('\0', "").replace('\'', "''"));
        if self.sql.is_postgres() { format!("({quoted}::text COLLATE \"C\")") } else { quoted }
    }

    fn hop(&mut self, alias: &str, relation: &Relation, target: &str, inner: &Typed) -> Result<Made> {
        let target = self.catalog.object(target).clone();
        let mut one = |part: &dyn Fn(&mut Self, &str) -> Result<String>| -> Result<String> {
            let other = self.sql.alias();
            let (from, link) = self.related_from(relation, Some(&target), alias, &other);
            let value = part(self, &other)?;
            Ok(format!("(SELECT {value} FROM {from} WHERE {link} AND {other}.deleted_at IS NULL LIMIT 1)"))
        };
        let value = one(&|planner, other| Ok(planner.typed(other, inner)?.value))?;
        let currency = match inner.ty {
            Ty::Money => Some(one(&|planner, other| Ok(planner.typed(other, inner)?.currency.unwrap_or_default()))?),
            _ => None,
        };
        Ok(Made { value, currency })
    }

    fn rolled_up(
        &mut self,
        alias: &str,
        relation: &Relation,
        target: Option<&str>,
        function: RollUpFunction,
        field: Option<&Field>,
        filter: Option<&serde_json::Value>,
    ) -> Result<Made> {
        let target = target.map(|target| self.catalog.object(target).clone());
        let other = self.sql.alias();
        let (from, link) = self.related_from(relation, target.as_deref(), alias, &other);
        let mut conditions = vec![link, format!("{other}.deleted_at IS NULL")];
        if let (Some(filter), Some(target)) = (filter, &target) {
            conditions.push(self.filter(target, &other, filter, false)?);
        }
        let conditions = all_of(&conditions);
        let Some(field) = field else { return Ok(format!("(SELECT count(*) FROM {from} WHERE {conditions})").into()) };
        let value = self.value(&other, field)?;
        let currency = if field.kind == Kind::Money { Some(self.currency(&other, field)?) } else { None };
        if function == RollUpFunction::Latest {
            let latest = |what: &str| {
                format!("(SELECT {what} FROM {from} WHERE {conditions} ORDER BY {other}.created_at DESC, {other}.id DESC LIMIT 1)")
            };
            return Ok(Made { value: latest(&value), currency: currency.map(|currency| latest(&currency)) });
        }
        let sum = if self.sql.is_postgres() { format!("sum({value})") } else { format!("kith_sum({value})") };
        let times = if Ty::of(field.kind) == Some(Ty::Whole) { 10_000 } else { 1 };
        let whole = match function {
            RollUpFunction::Sum => format!("kith_muldiv({sum}, {times}, 1)"),
            RollUpFunction::Avg => format!("kith_muldiv({sum}, {times}, count({value}))"),
            RollUpFunction::Min => format!("min({value})"),
            _ => format!("max({value})"),
        };
        let Some(currency) = currency else { return Ok(format!("(SELECT {whole} FROM {from} WHERE {conditions})").into()) };
        // Amounts of several currencies are not one amount.
        let same =
            |what: &str| format!("(SELECT CASE WHEN min({currency}) = max({currency}) THEN {what} END FROM {from} WHERE {conditions})");
        Ok(Made { value: same(&whole), currency: Some(same(&format!("min({currency})"))) })
    }

    fn call(&mut self, ty: Ty, op: Op, arguments: &[Typed], made: &[Made]) -> Result<Made> {
        let values: Vec<&str> = made.iter().map(|made| made.value.as_str()).collect();
        if ty == Ty::Money || op != Op::ToText && made.iter().any(|made| made.currency.is_some()) {
            return Ok(money(self.sql.is_postgres(), op, made, &values));
        }
        let [a, b, c] = [0, 1, 2].map(|index| values.get(index).copied().unwrap_or("NULL"));
        let postgres = self.sql.is_postgres();
        let simple = match op {
            Op::Add => format!("kith_plus({a}, {b})"),
            Op::Subtract => format!("kith_minus({a}, {b})"),
            Op::MulDiv => format!("kith_muldiv({a}, {b}, {c})"),
            Op::Modulo => format!("({a} % nullif({b}, 0))"),
            Op::Compare(sign) => comparison(sign, arguments, a, b),
            Op::And => format!("({a} AND {b})"),
            Op::Or => format!("({a} OR {b})"),
            Op::Not => format!("(NOT {a})"),
            Op::If => format!("(CASE WHEN {a} THEN {b} ELSE {c} END)"),
            Op::Coalesce => format!("coalesce({})", values.join(", ")),
            Op::Least | Op::Greatest => self.extreme(op, &values),
            Op::IsNull => format!("({a} IS NULL)"),
            Op::Abs => format!("abs({a})"),
            Op::Floor => format!("kith_floor({a})"),
            Op::Ceil => format!("kith_minus(0, kith_floor(kith_minus(0, {a})))"),
            Op::ToText => return Ok(self.to_text(arguments, made).into()),
            Op::Today | Op::Now | Op::DayOf | Op::AddDays | Op::AddMonths | Op::DaysBetween => self.calendar(op, arguments, a, b),
            Op::Year | Op::Month | Op::DayOfMonth | Op::Weekday => part_of_day(postgres, op, a),
            _ => text(postgres, op, &values),
        };
        Ok(simple.into())
    }

    /// The smallest or greatest of what is not null.
    fn extreme(&self, op: Op, values: &[&str]) -> String {
        if self.sql.is_postgres() {
            return format!("{}({})", if op == Op::Least { "least" } else { "greatest" }, values.join(", "));
        }
        let rows: Vec<String> = values.iter().map(|value| format!("SELECT {value} AS v")).collect();
        format!("(SELECT {}(v) FROM ({}))", if op == Op::Least { "min" } else { "max" }, rows.join(" UNION ALL "))
    }

    fn to_text(&self, arguments: &[Typed], made: &[Made]) -> String {
        let (Some(argument), Some(Made { value, currency })) = (arguments.first(), made.first()) else { return "NULL".into() };
        let decimal =
            if self.sql.is_postgres() { format!("trim_scale(({value})::numeric / 10000)::text") } else { format!("kith_decimal({value})") };
        let written = match argument.ty {
            Ty::Decimal => decimal,
            Ty::Money => format!("({decimal} || ' ' || {})", currency.as_deref().unwrap_or("NULL")),
            Ty::Boolean => format!("(CASE {value} WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END)"),
            Ty::DateTime if self.sql.is_postgres() => format!(
                "to_char((timestamptz 'epoch' + {value} * interval '1 microsecond') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
            ),
            Ty::DateTime => format!("strftime('%Y-%m-%dT%H:%M:%SZ', {value} / 1000000, 'unixepoch')"),
            _ if self.sql.is_postgres() => format!("({value})::text"),
            _ => format!("CAST({value} AS TEXT)"),
        };
        if self.sql.is_postgres() { format!("({written} COLLATE \"C\")") } else { written }
    }

    fn calendar(&mut self, op: Op, arguments: &[Typed], a: &str, b: &str) -> String {
        let postgres = self.sql.is_postgres();
        match op {
            // With its type: the same text with a value of another type would be another statement.
            Op::Now if postgres => format!("{}::bigint", self.sql.bind(self.now().0)),
            Op::Now => self.sql.bind(self.now().0),
            Op::Today => {
                let today = super::dates::local(self.now(), self.ctx.time_zone).date_naive();
                let today = self.sql.bind(today);
                if postgres { format!("{today}::date") } else { today }
            }
            Op::DayOf => {
                let zone = self.sql.bind(self.ctx.time_zone.name().to_owned());
                self.sql.local_day(a, &zone)
            }
            Op::AddDays if postgres => format!("kith_later({a}, {b}, 0)"),
            Op::AddDays => of_our_years(&format!("date({a}, ({b}) || ' days')")),
            Op::AddMonths if postgres => format!("kith_later({a}, 0, {b})"),
            Op::AddMonths => of_our_years(&format!("date({a}, ({b}) || ' months', 'floor')")),
            _ if arguments.first().is_some_and(|first| first.ty == Ty::DateTime) => format!("(({b} - {a}) / {MICROSECONDS_A_DAY})"),
            _ if postgres => format!("({b} - {a})::bigint"),
            _ => format!("CAST(julianday({b}) - julianday({a}) AS INTEGER)"),
        }
    }
}

/// What is done with amounts: only those of one currency go together.
fn money(postgres: bool, op: Op, made: &[Made], values: &[&str]) -> Made {
    let currencies: Vec<&str> = made.iter().filter_map(|made| made.currency.as_deref()).collect();
    let first = currencies.first().copied().unwrap_or("NULL");
    let same: Vec<String> = currencies[1.min(currencies.len())..].iter().map(|other| format!("{first} = {other}")).collect();
    let when_same = |value: String| if same.is_empty() { value } else { format!("(CASE WHEN {} THEN {value} END)", same.join(" AND ")) };
    let [a, b, c] = [0, 1, 2].map(|index| values.get(index).copied().unwrap_or("NULL"));
    let currency_of = |index: usize| made.get(index).and_then(|made| made.currency.as_deref()).unwrap_or("NULL");
    let with = |value: String, currency: String| Made { value, currency: Some(currency) };
    match op {
        Op::IsNull => format!("({a} IS NULL)").into(),
        Op::Compare(sign) => when_same(format!("({a} {sign} {b})")).into(),
        Op::If => with(
            format!("(CASE WHEN {a} THEN {b} ELSE {c} END)"),
            format!("(CASE WHEN {a} THEN {} ELSE {} END)", currency_of(1), currency_of(2)),
        ),
        Op::Coalesce => with(format!("coalesce({})", values.join(", ")), format!("coalesce({})", currencies.join(", "))),
        Op::Add => with(when_same(format!("kith_plus({a}, {b})")), first.to_owned()),
        Op::Subtract => with(when_same(format!("kith_minus({a}, {b})")), first.to_owned()),
        // Of two amounts one is the divisor, and what comes out is a number.
        Op::MulDiv if currencies.len() == 2 => when_same(format!("kith_muldiv({a}, {b}, {c})")).into(),
        Op::MulDiv => with(format!("kith_muldiv({a}, {b}, {c})"), first.to_owned()),
        Op::Abs => with(format!("abs({a})"), first.to_owned()),
        Op::Least | Op::Greatest => {
            // Both databases give the extreme of what is there; amounts that are missing have no currency either.
            let sign = if op == Op::Least { "<=" } else { ">=" };
            let (mut value, mut currency) = (a.to_owned(), currency_of(0).to_owned());
            for (index, other) in values.iter().enumerate().skip(1) {
                let of = currency_of(index);
                let smaller = format!("CASE WHEN m.a {sign} m.b THEN m.a ELSE m.b END");
                let either = format!("CASE WHEN m.a IS NULL THEN m.b WHEN m.b IS NULL THEN m.a WHEN m.x = m.y THEN {smaller} END");
                value =
                    format!("(SELECT {either} FROM {} m)", named(postgres, &[(&value, "a"), (other, "b"), (&currency, "x"), (of, "y")]));
                currency = format!("coalesce({currency}, {of})");
            }
            with(value, currency)
        }
        _ => with("NULL".into(), "NULL".into()),
    }
}

/// Texts are compared without case and accents, as filters compare them; keys of a list as they are.
fn comparison(sign: &str, arguments: &[Typed], a: &str, b: &str) -> String {
    let is_key = |typed: &Typed| matches!(&typed.expr, Expr::Field(field) if matches!(field.kind, Kind::Select | Kind::Enum(_)));
    if arguments.iter().any(|argument| argument.ty == Ty::Text) && !arguments.iter().any(is_key) {
        return format!("({} {sign} {})", Sql::fold(a), Sql::fold(b));
    }
    format!("({a} {sign} {b})")
}

/// Values with names, as a table of one row: written twice at every level, a formula would grow beyond bounds.
/// PostgreSQL would write them out again itself if it might.
fn named(postgres: bool, values: &[(&str, &str)]) -> String {
    let columns: Vec<String> = values.iter().map(|(value, name)| format!("{value} AS {name}")).collect();
    format!("(SELECT {}{})", columns.join(", "), if postgres { " OFFSET 0" } else { "" })
}

/// A day that the API can write: of the years 1 to 9999.
fn of_our_years(day: &str) -> String {
    format!("(SELECT CASE WHEN d.d >= '0001-01-01' THEN d.d END FROM (SELECT {day} AS d) d)")
}

fn part_of_day(postgres: bool, op: Op, day: &str) -> String {
    let (field, format) = match op {
        Op::Year => ("year", "%Y"),
        Op::Month => ("month", "%m"),
        Op::DayOfMonth => ("day", "%d"),
        _ => ("isodow", "%w"),
    };
    if postgres {
        return format!("extract({field} FROM {day})::bigint");
    }
    let number = format!("CAST(strftime('{format}', {day}) AS INTEGER)");
    if op == Op::Weekday { format!("(({number} + 6) % 7 + 1)") } else { number }
}

fn text(postgres: bool, op: Op, values: &[&str]) -> String {
    let [a, b] = [0, 1].map(|index| values.get(index).copied().unwrap_or("NULL"));
    let [x, y] = [a, b].map(Sql::fold);
    match op {
        Op::Concat => {
            let parts: Vec<String> = values.iter().map(|value| format!("coalesce({value}, '')")).collect();
            format!("({})", parts.join(" || "))
        }
        Op::Upper if postgres => format!("(upper({a} COLLATE \"und-x-icu\") COLLATE \"C\")"),
        Op::Lower if postgres => format!("(lower({a} COLLATE \"und-x-icu\") COLLATE \"C\")"),
        Op::Upper => format!("kith_upper({a})"),
        Op::Lower => format!("kith_lower({a})"),
        Op::Trim => format!("trim({a})"),
        Op::Length if postgres => format!("char_length({a})::bigint"),
        Op::Length => format!("length({a})"),
        Op::Left | Op::Right if postgres => format!(
            "(SELECT {}(r.t, least(greatest(r.n, 0), 100000)::int) FROM {} r WHERE r.n IS NOT NULL)",
            if op == Op::Left { "left" } else { "right" },
            named(postgres, &[(a, "t"), (b, "n")])
        ),
        Op::Left => format!("substr({a}, 1, max({b}, 0))"),
        Op::Right => format!(
            "(SELECT CASE WHEN r.n <= 0 THEN '' WHEN r.n >= length(r.t) THEN r.t ELSE substr(r.t, -r.n) END FROM {} r)",
            named(postgres, &[(a, "t"), (b, "n")])
        ),
        Op::Contains if postgres => format!("(strpos({x}, {y}) > 0)"),
        Op::Contains => format!("(instr({x}, {y}) > 0)"),
        Op::StartsWith if postgres => format!("starts_with({x}, {y})"),
        Op::StartsWith => format!("(SELECT substr(r.t, 1, length(r.p)) = r.p FROM {} r)", named(postgres, &[(&x, "t"), (&y, "p")])),
        Op::EndsWith if postgres => {
            format!("(SELECT right(r.t, char_length(r.p)) = r.p FROM {} r)", named(postgres, &[(&x, "t"), (&y, "p")]))
        }
        Op::EndsWith => {
            format!("(SELECT r.p = '' OR substr(r.t, -length(r.p)) = r.p FROM {} r)", named(postgres, &[(&x, "t"), (&y, "p")]))
        }
        _ => "NULL".into(),
    }
}
