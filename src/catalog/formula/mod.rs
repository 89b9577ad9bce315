//! Fields that are reckoned when they are read: formulas over a record, and roll-ups over the records that it is
//! linked to.
//!
//! A formula's text is parsed ([`mod@parse`]) and checked against the catalog ([`mod@check`]): what comes out has a type at every
//! node and the fields themselves in its leaves, so reading needs no names. Numbers are whole, or decimals in units
//! of 1/10,000, as they are stored; every operation on them is checked, and gives null where it would divide by zero
//! or leave the range.

mod check;
mod functions;
mod parse;
mod resolve;

use serde::{Deserialize, Serialize};

use super::{Field, Kind, Relation};

pub use functions::FUNCTIONS;
pub use parse::{Wrong, parse};
pub use resolve::{Made, Objects, make, resolve};

/// The type of a value in a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Null,
    Whole,
    Decimal,
    Money,
    Text,
    Boolean,
    Date,
    DateTime,
}

impl Ty {
    /// The type of a field's value; none where formulas cannot use it.
    pub const fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Integer | Kind::Rating => Self::Whole,
            Kind::Decimal | Kind::Percent => Self::Decimal,
            Kind::Money => Self::Money,
            Kind::Boolean => Self::Boolean,
            Kind::Date => Self::Date,
            Kind::DateTime => Self::DateTime,
            Kind::Text
            | Kind::LongText
            | Kind::Enum(_)
            | Kind::Select
            | Kind::Email
            | Kind::Phone
            | Kind::Url
            | Kind::Currency
            | Kind::TimeZone
            | Kind::Country => Self::Text,
            _ => return None,
        })
    }

    /// The kind of a field with such values.
    pub const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Whole => Kind::Integer,
            Self::Decimal => Kind::Decimal,
            Self::Money => Kind::Money,
            Self::Text => Kind::Text,
            Self::Boolean => Kind::Boolean,
            Self::Date => Kind::Date,
            Self::DateTime => Kind::DateTime,
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Whole => "a whole number",
            Self::Decimal => "a number",
            Self::Money => "an amount of money",
            Self::Text => "a text",
            Self::Boolean => "true or false",
            Self::Date => "a day",
            Self::DateTime => "a time",
        }
    }

    pub const fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Decimal)
    }
}

/// What is done with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Subtract,
    /// `a * b / c`, rounded half to even.
    MulDiv,
    Modulo,
    Compare(&'static str),
    And,
    Or,
    Not,
    If,
    Coalesce,
    Least,
    Greatest,
    IsNull,
    Abs,
    /// To so many units: `floor`, `ceil`.
    Floor,
    Ceil,
    Concat,
    ToText,
    Upper,
    Lower,
    Trim,
    Length,
    Left,
    Right,
    Contains,
    StartsWith,
    EndsWith,
    Today,
    Now,
    /// The day of a time, in the workspace's zone.
    DayOf,
    AddDays,
    AddMonths,
    DaysBetween,
    Year,
    Month,
    DayOfMonth,
    Weekday,
}

/// A part of a formula that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub ty: Ty,
    pub expr: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Null,
    /// A whole number, or units of 1/10,000.
    Number(i64),
    Text(String),
    Boolean(bool),
    /// A field of the record.
    Field(Box<Field>),
    /// The currency of an amount.
    Currency(Box<Field>),
    /// Something of the record that a to-one relation leads to.
    Hop {
        relation: Box<Relation>,
        target: String,
        inner: Box<Typed>,
    },
    Call(Op, Vec<Typed>),
}

impl Typed {
    pub const fn new(ty: Ty, expr: Expr) -> Self {
        Self { ty, expr }
    }

    fn is_moving(&self) -> bool {
        match &self.expr {
            Expr::Call(Op::Now, _) => true,
            Expr::Call(_, arguments) => arguments.iter().any(Self::is_moving),
            Expr::Field(field) | Expr::Currency(field) => is_moving(field),
            Expr::Hop { inner, .. } => inner.is_moving(),
            _ => false,
        }
    }

    pub const fn whole(number: i64) -> Self {
        Self::new(Ty::Whole, Expr::Number(number))
    }

    pub const fn call(ty: Ty, op: Op, arguments: Vec<Self>) -> Self {
        Self::new(ty, Expr::Call(op, arguments))
    }
}

/// What a roll-up makes of the values of linked records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RollUpFunction {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// The value of the record that was created last.
    Latest,
}

/// A roll-up as it was defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollUp {
    /// The relation, as permissions name it.
    pub relation: String,
    pub function: RollUpFunction,
    /// The field of the linked records; none for a count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Which of the linked records, in the grammar of queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<serde_json::Value>,
}

/// How the value of a field is reckoned.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    pub how: How,
    /// What it tells of: objects and their fields or relations, as permissions name them.
    pub depends: Vec<(String, String)>,
    /// How much work it is, in parts of formulas.
    pub weight: usize,
}

impl Computed {
    /// Whether it moves with the time of day, so that no page of a list sorted by it would follow another.
    pub fn is_moving(&self) -> bool {
        match &self.how {
            How::Formula(typed) => typed.is_moving(),
            How::RollUp { field, .. } => field.as_ref().is_some_and(|field| is_moving(field)),
            How::Unresolved => false,
        }
    }
}

fn is_moving(field: &Field) -> bool {
    matches!(&field.source, super::Source::Computed { computed, .. } if computed.is_moving())
}

#[derive(Clone, Debug, PartialEq)]
pub enum How {
    Formula(Typed),
    RollUp {
        relation: Box<Relation>,
        target: Option<String>,
        function: RollUpFunction,
        field: Option<Box<Field>>,
        filter: Option<serde_json::Value>,
    },
    /// Not known yet, or not any more.
    Unresolved,
}
