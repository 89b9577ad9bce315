//! The functions of formulas.

use super::check::{Checker, alike, mismatch, to_decimal, to_text};
use super::parse::{Node, Wrong};
use super::{Expr, Op, Ty, Typed};

/// Each function as it is written, and what it gives: the manual, and what an unknown name is answered with.
pub const FUNCTIONS: [(&str, &str); 30] = [
    ("if(condition, then, else)", "One of two values; a condition that is null counts as false."),
    ("coalesce(a, b, …)", "The first value that is not null."),
    ("isNull(value)", "Whether there is no value."),
    ("min(a, b, …)", "The smallest of the values that are not null."),
    ("max(a, b, …)", "The greatest of the values that are not null."),
    ("abs(number)", "Without its sign."),
    ("round(number, places)", "Rounded to 0 to 4 places, half to even; without `places` to a whole number."),
    ("floor(number)", "The next whole number below."),
    ("ceil(number)", "The next whole number above."),
    ("text(value)", "The value as text."),
    ("concat(a, b, …)", "Texts joined, as `&` does; what is null is left out."),
    ("upper(text)", "In capital letters."),
    ("lower(text)", "In small letters."),
    ("trim(text)", "Without spaces around it."),
    ("length(text)", "How many characters it has."),
    ("left(text, count)", "Its first characters."),
    ("right(text, count)", "Its last characters."),
    ("contains(text, part)", "Whether the part is in it, case and accents aside."),
    ("startsWith(text, part)", "Whether it begins so."),
    ("endsWith(text, part)", "Whether it ends so."),
    ("today()", "The present day in the workspace's time zone."),
    ("now()", "The present time."),
    ("day(time)", "The day of a time in the workspace's time zone."),
    ("addDays(day, count)", "So many days later."),
    ("addMonths(day, count)", "So many months later; the last day of a month that is too short."),
    ("daysBetween(from, to)", "Days from the one to the other; of times, whole spans of 24 hours."),
    ("year(day)", "Its year."),
    ("month(day)", "Its month, 1 to 12."),
    ("dayOfMonth(day)", "Its day, 1 to 31."),
    ("weekday(day)", "Its day of the week, 1 for Monday to 7 for Sunday."),
];

pub(super) fn call(checker: &mut Checker<'_>, at: usize, name: &str, nodes: &[Node]) -> Result<Typed, Wrong> {
    let known = FUNCTIONS.iter().map(|(form, _)| *form).find(|form| form.split('(').next() == Some(name));
    let form = known.ok_or_else(|| unknown(at, name))?;
    let arguments = Arguments { at, form, count: nodes.len() };
    if name == "if" {
        arguments.are(3, 3)?;
        let condition = checker.boolean(&nodes[0])?;
        let (then, otherwise) = (checker.node(&nodes[1])?, checker.node(&nodes[2])?);
        let (then, otherwise) = alike(nodes[2].at, then, otherwise)?;
        let ty = if then.ty == Ty::Null { otherwise.ty } else { then.ty };
        return Ok(Typed::call(ty, Op::If, vec![condition, then, otherwise]));
    }
    let values = nodes.iter().map(|node| checker.node(node)).collect::<Result<Vec<_>, _>>()?;
    let takes_null = matches!(name, "coalesce" | "min" | "max" | "isNull" | "concat" | "text");
    if let Some(index) = values.iter().position(|value| value.ty == Ty::Null).filter(|_| !takes_null) {
        return Err(Wrong::new(nodes[index].at, format!("`{form}` makes nothing of null.")));
    }
    let wants = |index: usize, fits: &dyn Fn(Ty) -> bool, wanted: &str| match values.get(index) {
        Some(value) if fits(value.ty) || value.ty == Ty::Null => Ok(()),
        Some(value) => Err(mismatch(nodes[index].at, wanted, value)),
        None => Ok(()),
    };
    let (text, number, whole, day) = (|ty| ty == Ty::Text, Ty::is_number, |ty| ty == Ty::Whole, |ty| ty == Ty::Date);
    let simple = |ty: Ty, op: Op, values: Vec<Typed>| Ok(Typed::call(ty, op, values));
    match name {
        "coalesce" | "min" | "max" => {
            arguments.are(2, 20)?;
            several(at, name, values)
        }
        "isNull" => {
            arguments.are(1, 1)?;
            simple(Ty::Boolean, Op::IsNull, values)
        }
        "abs" | "floor" | "ceil" => {
            arguments.are(1, 1)?;
            wants(0, &number, "a number")?;
            whole_of(name, values)
        }
        "round" => {
            arguments.are(1, 2)?;
            wants(0, &|ty| number(ty) || ty == Ty::Money, "a number or an amount of money")?;
            rounded(&nodes[nodes.len() - 1], values)
        }
        "text" => {
            arguments.are(1, 1)?;
            Ok(to_text(values.into_iter().next().unwrap_or(Typed::new(Ty::Null, Expr::Null))))
        }
        "concat" => {
            arguments.are(1, 20)?;
            simple(Ty::Text, Op::Concat, values.into_iter().map(to_text).collect())
        }
        "upper" | "lower" | "trim" | "length" => {
            arguments.are(1, 1)?;
            wants(0, &text, "a text")?;
            let (ty, op) = match name {
                "upper" => (Ty::Text, Op::Upper),
                "lower" => (Ty::Text, Op::Lower),
                "trim" => (Ty::Text, Op::Trim),
                _ => (Ty::Whole, Op::Length),
            };
            simple(ty, op, values)
        }
        "left" | "right" => {
            arguments.are(2, 2)?;
            wants(0, &text, "a text")?;
            wants(1, &whole, "a whole number")?;
            simple(Ty::Text, if name == "left" { Op::Left } else { Op::Right }, values)
        }
        "contains" | "startsWith" | "endsWith" => {
            arguments.are(2, 2)?;
            wants(0, &text, "a text")?;
            wants(1, &text, "a text")?;
            let op = match name {
                "contains" => Op::Contains,
                "startsWith" => Op::StartsWith,
                _ => Op::EndsWith,
            };
            simple(Ty::Boolean, op, values)
        }
        "today" | "now" => {
            arguments.are(0, 0)?;
            let (ty, op) = if name == "today" { (Ty::Date, Op::Today) } else { (Ty::DateTime, Op::Now) };
            simple(ty, op, values)
        }
        "day" => {
            arguments.are(1, 1)?;
            wants(0, &|ty| ty == Ty::DateTime, "a time")?;
            simple(Ty::Date, Op::DayOf, values)
        }
        "addDays" | "addMonths" => {
            arguments.are(2, 2)?;
            wants(0, &day, "a day")?;
            wants(1, &whole, "a whole number")?;
            simple(Ty::Date, if name == "addDays" { Op::AddDays } else { Op::AddMonths }, values)
        }
        "daysBetween" => {
            arguments.are(2, 2)?;
            wants(0, &|ty| matches!(ty, Ty::Date | Ty::DateTime), "a day or a time")?;
            let first = values[0].ty;
            wants(1, &|ty| ty == first, first.name())?;
            simple(Ty::Whole, Op::DaysBetween, values)
        }
        _ => {
            arguments.are(1, 1)?;
            wants(0, &day, "a day")?;
            let op = match name {
                "year" => Op::Year,
                "month" => Op::Month,
                "dayOfMonth" => Op::DayOfMonth,
                _ => Op::Weekday,
            };
            simple(Ty::Whole, op, values)
        }
    }
}

struct Arguments {
    at: usize,
    form: &'static str,
    count: usize,
}

impl Arguments {
    fn are(&self, fewest: usize, most: usize) -> Result<(), Wrong> {
        if (fewest..=most).contains(&self.count) {
            return Ok(());
        }
        Err(Wrong::new(self.at, format!("Write `{}`: {} arguments were given.", self.form, self.count)))
    }
}

fn unknown(at: usize, name: &str) -> Wrong {
    let near = FUNCTIONS.iter().map(|(form, _)| *form).find(|form| form.to_lowercase().starts_with(&format!("{}(", name.to_lowercase())));
    let hint = match near {
        Some(form) => format!("Write `{form}`."),
        None => {
            let names: Vec<&str> = FUNCTIONS.iter().filter_map(|(form, _)| form.split('(').next()).collect();
            format!("There are: {}.", names.join(", "))
        }
    };
    Wrong::new(at, format!("There is no function `{name}`. {hint}"))
}

fn several(at: usize, name: &str, values: Vec<Typed>) -> Result<Typed, Wrong> {
    let (op, orders) = match name {
        "coalesce" => (Op::Coalesce, false),
        "min" => (Op::Least, true),
        _ => (Op::Greatest, true),
    };
    let first = values.iter().find(|value| value.ty != Ty::Null).cloned();
    let Some(mut like) = first else { return Err(Wrong::new(at, "None of these has a value.")) };
    if values.iter().any(|value| value.ty == Ty::Decimal) {
        like = to_decimal(like);
    }
    if orders && matches!(like.ty, Ty::Boolean | Ty::Text) {
        return Err(mismatch(at, "numbers, amounts, days or times", &like));
    }
    let mut same = Vec::with_capacity(values.len());
    // What is always null is never the one.
    for value in values.into_iter().filter(|value| value.ty != Ty::Null) {
        let value = if like.ty == Ty::Decimal { to_decimal(value) } else { value };
        if value.ty != like.ty {
            return Err(mismatch(at, like.ty.name(), &value));
        }
        same.push(value);
    }
    if same.len() == 1 {
        return Ok(same.remove(0));
    }
    if orders && like.ty == Ty::Money && same.len() > 4 {
        return Err(Wrong::new(at, "At most four amounts are compared at once."));
    }
    Ok(Typed::call(like.ty, op, same))
}

fn whole_of(name: &str, mut values: Vec<Typed>) -> Result<Typed, Wrong> {
    let value = values.remove(0);
    let op = match name {
        "abs" => return Ok(Typed::call(value.ty, Op::Abs, vec![value])),
        _ if value.ty == Ty::Whole => return Ok(value),
        "floor" => Op::Floor,
        _ => Op::Ceil,
    };
    Ok(Typed::call(Ty::Whole, op, vec![value]))
}

fn rounded(last: &Node, mut values: Vec<Typed>) -> Result<Typed, Wrong> {
    let places = match values.get(1).map(|value| &value.expr) {
        None => 0,
        Some(Expr::Number(places @ 0..=4)) if values[1].ty == Ty::Whole => *places,
        Some(_) => return Err(Wrong::new(last.at, "Places are a number from 0 to 4.")),
    };
    let value = values.remove(0);
    if value.ty == Ty::Whole {
        return Ok(value);
    }
    let unit = 10_i64.pow(u32::try_from(4 - places).unwrap_or(4));
    let ty = value.ty;
    let whole = Typed::call(ty, Op::MulDiv, vec![value, Typed::whole(1), Typed::whole(unit)]);
    if places == 0 && ty == Ty::Decimal {
        return Ok(Typed { ty: Ty::Whole, ..whole });
    }
    Ok(Typed::call(ty, Op::MulDiv, vec![whole, Typed::whole(unit), Typed::whole(1)]))
}
