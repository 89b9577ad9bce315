//! A formula against the catalog: every name is a field, every value has the type that is wanted.

use super::functions::call;
use super::parse::{Node, What, Wrong};
use super::{Expr, How, Op, Ty, Typed};
use crate::catalog::{Field, Object, Relation, Source, Target};
use crate::infra::decimal::{half_even, parse_decimal};

/// The heaviest computed field, in parts of formulas, those within counted.
pub(super) const HEAVIEST: usize = 200;
/// What following a relation weighs.
const HOP: usize = 5;

/// What a formula is checked against.
pub struct Checker<'a> {
    pub object: &'a Object,
    pub find: &'a dyn Fn(&str) -> Option<std::sync::Arc<Object>>,
    pub depends: Vec<(String, String)>,
    pub weight: usize,
}

/// A formula that was checked.
pub struct Checked {
    pub typed: Typed,
    pub depends: Vec<(String, String)>,
    pub weight: usize,
}

/// Checks a formula of an object.
pub fn check(node: &Node, object: &Object, find: &dyn Fn(&str) -> Option<std::sync::Arc<Object>>) -> Result<Checked, Wrong> {
    let mut checker = Checker { object, find, depends: Vec::new(), weight: 0 };
    let typed = checker.node(node)?;
    if typed.ty == Ty::Null {
        return Err(Wrong::new(1, "The formula is always null."));
    }
    if matches!(typed.expr, Expr::Number(_) | Expr::Text(_) | Expr::Boolean(_)) {
        return Err(Wrong::new(1, "The formula is the same for every record."));
    }
    if checker.weight > HEAVIEST {
        return Err(Wrong::new(
            1,
            format!("The formula is too much work: {} parts, computed fields within counted; at most {HEAVIEST}.", checker.weight),
        ));
    }
    Ok(Checked { typed, depends: checker.depends, weight: checker.weight })
}

impl Checker<'_> {
    pub(super) fn node(&mut self, node: &Node) -> Result<Typed, Wrong> {
        self.weight += 1;
        let at = node.at;
        match &node.what {
            What::Null => Ok(Typed::new(Ty::Null, Expr::Null)),
            What::Boolean(yes) => Ok(Typed::new(Ty::Boolean, Expr::Boolean(*yes))),
            What::Text(text) => Ok(Typed::new(Ty::Text, Expr::Text(text.clone()))),
            What::Number(text) => number(at, text),
            What::Path(path) => self.path(at, path),
            What::Unary("-", of) => {
                let of = self.node(of)?;
                arithmetic(at, "-", zero_like(&of), of)
            }
            What::Unary(_, of) => {
                let of = self.boolean(of)?;
                Ok(Typed::call(Ty::Boolean, Op::Not, vec![of]))
            }
            What::Binary(sign @ ("and" | "or"), left, right) => {
                let both = vec![self.boolean(left)?, self.boolean(right)?];
                Ok(Typed::call(Ty::Boolean, if *sign == "and" { Op::And } else { Op::Or }, both))
            }
            What::Binary("&", left, right) => {
                let both = vec![self.node(left)?, self.node(right)?];
                Ok(Typed::call(Ty::Text, Op::Concat, both.into_iter().map(to_text).collect()))
            }
            What::Binary(sign @ ("=" | "<>" | "<" | "<=" | ">" | ">="), left, right) => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                comparison(at, sign, left, right)
            }
            What::Binary(sign, left, right) => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                arithmetic(at, sign, left, right)
            }
            What::Call(name, arguments) => call(self, at, name, arguments),
        }
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Result<Typed, Wrong> {
        let typed = self.node(node)?;
        if matches!(typed.ty, Ty::Boolean | Ty::Null) { Ok(typed) } else { Err(mismatch(node.at, "true or false", &typed)) }
    }

    /// A field, or something of a record that a to-one relation leads to.
    fn path(&mut self, at: usize, path: &[String]) -> Result<Typed, Wrong> {
        let object = self.object;
        let (custom, rest) = match path {
            [first, rest @ ..] if first == "custom" && !rest.is_empty() => (true, rest),
            path => (false, path),
        };
        let Some((name, rest)) = rest.split_first().filter(|_| path.iter().all(|step| !step.is_empty())) else {
            return Err(Wrong::new(at, "Between two dots stands a name."));
        };
        let field = if custom { object.custom.get(name) } else { object.fields.get(name) };
        let relation = if custom { object.added_relation(name) } else { object.relations.get(name) };
        match (field, relation, rest) {
            (Some(field), _, []) => self.field(at, object, field),
            (Some(field), _, [part]) if part == "currency" => self.currency(at, object, field),
            (Some(_), _, _) => Err(Wrong::new(at, format!("`{name}` has no part `{}` that a formula can use.", rest.join(".")))),
            (None, Some(relation), []) if relation.is_one() => {
                Err(Wrong::new(at, format!("`{name}` is a record; name a field of it: `{}.…`.", path.join("."))))
            }
            (None, Some(relation), []) => Err(Wrong::new(at, many(relation))),
            (None, Some(relation), rest) => self.hop(at, object, relation, rest),
            (None, None, _) => Err(self.unknown(at, object, name, custom)),
        }
    }

    fn unknown(&self, at: usize, object: &Object, name: &str, custom: bool) -> Wrong {
        let known = !custom && (object.custom.contains_key(name) || object.added_relation(name).is_some());
        let hint = if known { format!(" Write `custom.{name}`.") } else { String::new() };
        let name = if custom { format!("custom.{name}") } else { name.to_owned() };
        Wrong::new(at, format!("{} has no field `{name}`.{hint}", object.type_name))
    }

    fn field(&mut self, at: usize, object: &Object, field: &Field) -> Result<Typed, Wrong> {
        let refuse = |why: &str| Wrong::new(at, format!("`{}` cannot stand in a formula: {why}.", field.name));
        // What cannot be computed counts as archived, so this comes first.
        if matches!(&field.source, Source::Computed { computed, .. } if computed.how == How::Unresolved) {
            return Err(refuse("it is computed of what is computed of it"));
        }
        if field.archived {
            return Err(refuse("it is archived"));
        }
        if field.settings.encrypted {
            return Err(refuse("it is encrypted"));
        }
        let ty = Ty::of(field.kind).ok_or_else(|| refuse("its value has parts"))?;
        if let Source::Computed { computed, .. } = &field.source {
            self.weight += computed.weight;
            self.depends.extend(computed.depends.iter().cloned());
        }
        self.depends.push((object.name.clone(), field.access_name()));
        Ok(Typed::new(ty, Expr::Field(Box::new(field.clone()))))
    }

    fn currency(&mut self, at: usize, object: &Object, field: &Field) -> Result<Typed, Wrong> {
        let typed = self.field(at, object, field)?;
        if typed.ty != Ty::Money {
            return Err(Wrong::new(at, format!("`{}` is no amount of money, so it has no currency.", field.name)));
        }
        Ok(Typed::new(Ty::Text, Expr::Currency(Box::new(field.clone()))))
    }

    fn hop(&mut self, at: usize, object: &Object, relation: &Relation, rest: &[String]) -> Result<Typed, Wrong> {
        let Target::Object(target) = &relation.target else {
            return Err(Wrong::new(at, format!("`{}` leads to records of any object.", relation.name)));
        };
        if !relation.is_one() {
            return Err(Wrong::new(at, many(relation)));
        }
        let target = (self.find)(target).ok_or_else(|| Wrong::new(at, format!("`{}` leads nowhere.", relation.name)))?;
        self.depends.push((object.name.clone(), relation.access_name()));
        self.weight += HOP;
        let mut there = Checker { object: &target, find: self.find, depends: Vec::new(), weight: 0 };
        let inner = there.path(at, rest)?;
        self.depends.append(&mut there.depends);
        self.weight += there.weight;
        let ty = inner.ty;
        let hop = Expr::Hop { relation: Box::new(relation.clone()), target: target.name.clone(), inner: Box::new(inner) };
        Ok(Typed::new(ty, hop))
    }
}

fn many(relation: &Relation) -> String {
    format!("`{}` leads to many records; a roll-up makes one value of them.", relation.name)
}

fn number(at: usize, text: &str) -> Result<Typed, Wrong> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Typed::whole(whole));
    }
    let units = parse_decimal(text);
    let units =
        units.ok_or_else(|| Wrong::new(at, format!("`{text}` is not a number with at most four places, within ±922337203685477.5807.")))?;
    Ok(Typed::new(Ty::Decimal, Expr::Number(units)))
}

pub(super) fn mismatch(at: usize, wanted: &str, found: &Typed) -> Wrong {
    Wrong::new(at, format!("Expected {wanted}, not {}.", found.ty.name()))
}

fn zero_like(of: &Typed) -> Typed {
    Typed::new(if of.ty == Ty::Whole { Ty::Whole } else { Ty::Decimal }, Expr::Number(0))
}

/// A whole number as a decimal.
pub(super) fn to_decimal(of: Typed) -> Typed {
    match (of.ty, &of.expr) {
        (Ty::Whole, Expr::Number(number)) if number.checked_mul(10_000).is_some() => {
            Typed::new(Ty::Decimal, Expr::Number(number.saturating_mul(10_000)))
        }
        (Ty::Whole, _) => Typed::call(Ty::Decimal, Op::MulDiv, vec![of, Typed::whole(10_000), Typed::whole(1)]),
        _ => of,
    }
}

pub(super) fn to_text(of: Typed) -> Typed {
    if of.ty == Ty::Text { of } else { Typed::call(Ty::Text, Op::ToText, vec![of]) }
}

/// Two values of one type, made so where numbers allow it.
pub(super) fn alike(at: usize, left: Typed, right: Typed) -> Result<(Typed, Typed), Wrong> {
    match (left.ty, right.ty) {
        (a, b) if a == b || a == Ty::Null || b == Ty::Null => Ok((left, right)),
        (a, b) if a.is_number() && b.is_number() => Ok((to_decimal(left), to_decimal(right))),
        _ => Err(mismatch(at, left.ty.name(), &right)),
    }
}

fn comparison(at: usize, sign: &'static str, left: Typed, right: Typed) -> Result<Typed, Wrong> {
    if left.ty == Ty::Null || right.ty == Ty::Null {
        return Err(Wrong::new(at, "Nothing equals null; ask `isNull(…)`."));
    }
    let (left, right) = match (left.ty, right.ty) {
        // An amount may be compared with a number, whatever its currency.
        (Ty::Money, other) if other.is_number() => (left, to_decimal(right)),
        (other, Ty::Money) if other.is_number() => (to_decimal(left), right),
        _ => alike(at, left, right)?,
    };
    if left.ty == Ty::Boolean && !matches!(sign, "=" | "<>") {
        return Err(Wrong::new(at, "True and false are equal or not, none is greater."));
    }
    Ok(Typed::call(Ty::Boolean, Op::Compare(sign), vec![left, right]))
}

fn arithmetic(at: usize, sign: &str, left: Typed, right: Typed) -> Result<Typed, Wrong> {
    if left.ty == Ty::Null || right.ty == Ty::Null {
        return Err(Wrong::new(at, "Nothing can be reckoned with null; `coalesce(…)` gives a value where there is none."));
    }
    if sign == "/" && is_zero(&right) || sign == "%" && is_zero(&right) {
        return Err(Wrong::new(at, "The formula divides by zero."));
    }
    let made = match sign {
        "+" | "-" => added(at, sign, left, right)?,
        "*" => multiplied(at, left, right)?,
        "/" => divided(at, left, right)?,
        _ => {
            if !left.ty.is_number() || !right.ty.is_number() {
                return Err(mismatch(at, "a number", if left.ty.is_number() { &right } else { &left }));
            }
            let (left, right) = alike(at, left, right)?;
            Typed::call(left.ty, Op::Modulo, vec![left, right])
        }
    };
    folded(at, made)
}

fn added(at: usize, sign: &str, left: Typed, right: Typed) -> Result<Typed, Wrong> {
    let op = if sign == "+" { Op::Add } else { Op::Subtract };
    match (left.ty, right.ty) {
        (Ty::Text, _) | (_, Ty::Text) => Err(Wrong::new(at, "Texts are joined with `&`.")),
        (Ty::Date, Ty::Whole) if op == Op::Add => Ok(Typed::call(Ty::Date, Op::AddDays, vec![left, right])),
        (Ty::Date, Ty::Whole) => {
            let days = folded(at, Typed::call(Ty::Whole, Op::Subtract, vec![Typed::whole(0), right]))?;
            Ok(Typed::call(Ty::Date, Op::AddDays, vec![left, days]))
        }
        (Ty::Date, Ty::Date) if op == Op::Subtract => Ok(Typed::call(Ty::Whole, Op::DaysBetween, vec![right, left])),
        // What an amount is taken from to turn its sign.
        (Ty::Decimal, Ty::Money) if op == Op::Subtract && is_zero(&left) => {
            Ok(Typed::call(Ty::Money, Op::MulDiv, vec![right, Typed::whole(-1), Typed::whole(1)]))
        }
        (Ty::Money, Ty::Money) => Ok(Typed::call(Ty::Money, op, vec![left, right])),
        (a, b) if a.is_number() && b.is_number() => {
            let (left, right) = alike(at, left, right)?;
            Ok(Typed::call(left.ty, op, vec![left, right]))
        }
        (Ty::Money, other) | (other, Ty::Money) if other.is_number() => {
            Err(Wrong::new(at, "An amount of money and a plain number cannot be added; a number has no currency."))
        }
        _ => Err(mismatch(at, "numbers, or a day and a number of days", if left.ty.is_number() { &right } else { &left })),
    }
}

fn multiplied(at: usize, left: Typed, right: Typed) -> Result<Typed, Wrong> {
    let (left, right) = if right.ty == Ty::Money { (right, left) } else { (left, right) };
    let scale = |ty: Ty, over: i64| Typed::call(ty, Op::MulDiv, vec![left.clone(), right.clone(), Typed::whole(over)]);
    Ok(match (left.ty, right.ty) {
        (Ty::Whole, Ty::Whole) => scale(Ty::Whole, 1),
        (Ty::Whole, Ty::Decimal) | (Ty::Decimal, Ty::Whole) => scale(Ty::Decimal, 1),
        (Ty::Decimal, Ty::Decimal) => scale(Ty::Decimal, 10_000),
        (Ty::Money, Ty::Whole) => scale(Ty::Money, 1),
        (Ty::Money, Ty::Decimal) => scale(Ty::Money, 10_000),
        (Ty::Money, Ty::Money) => return Err(Wrong::new(at, "Two amounts of money cannot be multiplied.")),
        _ => return Err(mismatch(at, "a number", if left.ty.is_number() || left.ty == Ty::Money { &right } else { &left })),
    })
}

fn divided(at: usize, left: Typed, right: Typed) -> Result<Typed, Wrong> {
    let scale = |ty: Ty, times: i64| Typed::call(ty, Op::MulDiv, vec![left.clone(), Typed::whole(times), right.clone()]);
    Ok(match (left.ty, right.ty) {
        (Ty::Whole, Ty::Whole) | (Ty::Decimal, Ty::Decimal) | (Ty::Money, Ty::Money) => scale(Ty::Decimal, 10_000),
        (Ty::Whole, Ty::Decimal) => scale(Ty::Decimal, 100_000_000),
        (Ty::Decimal, Ty::Whole) => scale(Ty::Decimal, 1),
        (Ty::Money, Ty::Whole) => scale(Ty::Money, 1),
        (Ty::Money, Ty::Decimal) => scale(Ty::Money, 10_000),
        _ => return Err(mismatch(at, "a number", if left.ty.is_number() || left.ty == Ty::Money { &right } else { &left })),
    })
}

fn is_zero(of: &Typed) -> bool {
    of.expr == Expr::Number(0)
}

/// Numbers that are all known are reckoned now, so that what goes wrong is told now.
fn folded(at: usize, made: Typed) -> Result<Typed, Wrong> {
    let Expr::Call(op, arguments) = &made.expr else { return Ok(made) };
    if !made.ty.is_number() {
        return Ok(made);
    }
    let known: Option<Vec<i128>> = arguments
        .iter()
        .map(|argument| match argument.expr {
            Expr::Number(number) => Some(i128::from(number)),
            _ => None,
        })
        .collect();
    let Some(known) = known else { return Ok(made) };
    let number = match (op, known.as_slice()) {
        (Op::Add, [a, b]) => a.checked_add(*b),
        (Op::Subtract, [a, b]) => a.checked_sub(*b),
        (Op::Modulo, [a, b]) => a.checked_rem(*b),
        (Op::MulDiv, [a, b, c]) => a.checked_mul(*b).and_then(|product| half_even(product, *c)),
        _ => return Ok(made),
    };
    let number = number.and_then(|number| i64::try_from(number).ok()).filter(|number| *number != i64::MIN);
    let number = number.ok_or_else(|| Wrong::new(at, "The formula leaves the range of numbers, ±922337203685477.5807."))?;
    Ok(Typed::new(made.ty, Expr::Number(number)))
}
