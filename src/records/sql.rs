//! SQL text under construction, and the few places where the two databases differ.

use std::collections::HashMap;
use std::fmt::Write as _;

use sea_orm::Value;
use uuid::Uuid;

use crate::catalog::{Field, Kind, Source, Store};
use crate::infra::db::Backend;
use crate::platform::secrets;

/// Parameters and table names of one statement. Parameter 1 is always the workspace.
pub struct Sql {
    pub backend: Backend,
    pub values: Vec<Value>,
    aliases: usize,
    /// Ids that were bound once and stand in several places.
    ids: HashMap<Uuid, String>,
}

impl Sql {
    pub fn new(backend: Backend, workspace: Uuid) -> Self {
        Self { backend, values: vec![workspace.into()], aliases: 0, ids: HashMap::new() }
    }

    /// Takes a value and returns its place in the text.
    pub fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Takes an id that may stand in many places of the statement, once.
    pub fn bind_once(&mut self, id: Uuid) -> String {
        if let Some(place) = self.ids.get(&id) {
            return place.clone();
        }
        let place = self.bind(id);
        self.ids.insert(id, place.clone());
        place
    }

    /// A name for one more table in this statement.
    pub fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A list of values as one parameter each, for `IN (…)`.
    pub fn bind_all(&mut self, values: Vec<Value>) -> String {
        values.into_iter().map(|value| self.bind(value)).collect::<Vec<_>>().join(", ")
    }

    pub fn is_postgres(&self) -> bool {
        self.backend == Backend::Postgres
    }

    /// A select that runs as it is, before what stands around it: an order outside does not choose its index.
    pub fn fenced(&self, select: &str) -> String {
        format!("{select}{}", if self.is_postgres() { " OFFSET 0" } else { " LIMIT -1" })
    }

    /// The array of some expressions as JSON. PostgreSQL's builder takes 100 arguments, SQLite's
    /// 127: a longer row becomes an array of arrays (see [`CHUNK`]).
    pub fn json_array(&self, items: &[String]) -> String {
        let function = if self.is_postgres() { "json_build_array" } else { "json_array" };
        if items.len() <= CHUNK {
            return format!("{function}({})", items.join(", "));
        }
        let chunks: Vec<String> = items.chunks(CHUNK).map(|chunk| format!("{function}({})", chunk.join(", "))).collect();
        format!("{function}({})", chunks.join(", "))
    }

    /// All rows of `rows`, a select with one JSON column `j`, as one JSON array.
    pub fn json_rows(&self, rows: &str) -> String {
        if self.is_postgres() {
            format!("(SELECT json_agg(r.j) FROM ({rows}) r)")
        } else {
            format!("(SELECT json_group_array(json(r.j)) FROM ({rows}) r)")
        }
    }

    /// An expression as it must stand inside a JSON builder.
    pub fn in_json(&self, expression: &str, store: Store) -> String {
        match (self.is_postgres(), store) {
            (false, Store::Json) => format!("json({expression})"),
            // `hex` of null is the empty text.
            (false, Store::Uuid) => format!("nullif(hex({expression}), '')"),
            _ => expression.to_owned(),
        }
    }

    /// An expression as a column of an answer: JSON travels as text.
    pub fn in_row(&self, expression: &str, store: Store) -> String {
        if self.is_postgres() && store == Store::Json { format!("({expression})::text") } else { expression.to_owned() }
    }

    /// A key of the `custom` document of the table `alias`, with the type of its kind.
    pub fn custom(&self, alias: &str, key: &str, kind: Kind) -> String {
        // Field names are GraphQL names, so they need no quoting.
        if self.is_postgres() {
            match kind.store() {
                Store::Json => format!("{alias}.custom->'{key}'"),
                Store::Text => format!("{alias}.custom->>'{key}'"),
                Store::Int if kind == Kind::Money => format!("({alias}.custom->'{key}'->>'amount')::bigint"),
                Store::Int => format!("({alias}.custom->>'{key}')::bigint"),
                Store::Bool => format!("({alias}.custom->>'{key}')::boolean"),
                Store::Date => format!("({alias}.custom->>'{key}')::date"),
                Store::Uuid => format!("({alias}.custom->>'{key}')::uuid"),
            }
        } else {
            match kind.store() {
                Store::Int if kind == Kind::Money => format!("json_extract({alias}.custom, '$.{key}.amount')"),
                // `->` keeps a text's quotes, which makes it JSON.
                Store::Json => format!("({alias}.custom -> '$.{key}')"),
                Store::Uuid => format!("unhex(replace(json_extract({alias}.custom, '$.{key}'), '-', ''))"),
                _ => format!("json_extract({alias}.custom, '$.{key}')"),
            }
        }
    }

    pub fn custom_currency(&self, alias: &str, key: &str) -> String {
        if self.is_postgres() {
            format!("{alias}.custom->'{key}'->>'currency'")
        } else {
            format!("json_extract({alias}.custom, '$.{key}.currency')")
        }
    }

    /// A member of a sealed value: its text, or its blind index.
    pub fn sealed(&self, alias: &str, key: &str, member: &str) -> String {
        if self.is_postgres() {
            format!("{alias}.custom->'{key}'->>'{member}'")
        } else {
            format!("json_extract({alias}.custom, '$.{key}.{member}')")
        }
    }

    /// The value of a field in the table `alias`; of money, its amount; of what is sealed, the sealed text.
    pub fn field(&self, alias: &str, field: &Field) -> String {
        match &field.source {
            Source::Custom { .. } if field.settings.encrypted => self.sealed(alias, &field.name, secrets::SEALED),
            Source::Column(column) => format!("{alias}.{}", quoted(column)),
            Source::Custom { .. } => self.custom(alias, &field.name, field.kind),
            // Only a planner can reckon it.
            Source::Computed { .. } => "NULL".into(),
        }
    }

    /// The elements of a JSON array column, as a table `e` with the column `value`.
    pub fn json_each(&self, array: &str) -> String {
        if self.is_postgres() { format!("jsonb_array_elements(({array})::jsonb) AS e (value)") } else { format!("json_each({array}) AS e") }
    }

    /// A text key of a JSON object.
    pub fn json_key(&self, object: &str, key: &str) -> String {
        if self.is_postgres() { format!("(({object})::jsonb)->>'{key}'") } else { format!("json_extract({object}, '$.{key}')") }
    }

    /// The fields that an entry of the change log tells of, as the keys of an object.
    pub fn changed_fields(&self, change: &str) -> String {
        let (empty, removal) = (self.empty_object(), self.object_of("deletedAt", "NULL"));
        format!(
            "CASE WHEN {change}.kind IN ('DELETED', 'RESTORED') THEN {removal} \
             WHEN {change}.after = {empty} THEN {change}.\"before\" ELSE {change}.after END"
        )
    }

    /// What they were before an entry of the change log, and after it. A removal and its return write no
    /// fields: they are told as when it was.
    pub fn change_sides(&self, change: &str) -> (String, String) {
        let empty = self.empty_object();
        let removed = format!(
            "(SELECT d.at FROM change_log d WHERE d.workspace_id = $1 AND d.record_id = {change}.record_id AND d.seq < {change}.seq \
             AND d.kind = 'DELETED' ORDER BY d.seq DESC LIMIT 1)"
        );
        let before = self.object_of("deletedAt", &removed);
        let after = self.object_of("deletedAt", &format!("{change}.at"));
        (
            format!("CASE {change}.kind WHEN 'RESTORED' THEN {before} WHEN 'DELETED' THEN {empty} ELSE {change}.\"before\" END"),
            format!("CASE {change}.kind WHEN 'DELETED' THEN {after} WHEN 'RESTORED' THEN {empty} ELSE {change}.after END"),
        )
    }

    fn object_of(&self, key: &str, value: &str) -> String {
        format!("{}('{key}', {value})", if self.is_postgres() { "jsonb_build_object" } else { "json_object" })
    }

    fn empty_object(&self) -> &'static str {
        if self.is_postgres() { "'{}'::jsonb" } else { "'{}'" }
    }

    /// The keys of a JSON object as a table to join, and the expression of a key there.
    pub fn each_key(&self, document: &str) -> (String, String) {
        if self.is_postgres() {
            (format!("LATERAL jsonb_object_keys({document}) AS h (key)"), "(h.key COLLATE \"C\")".into())
        } else {
            (format!("json_each({document}) AS h"), "h.key".into())
        }
    }

    /// The member of a JSON object whose key an expression tells.
    pub fn member_of(&self, document: &str, key: &str) -> String {
        if self.is_postgres() { format!("(({document}) -> {key})") } else { format!("(({document}) -> ('$.\"' || {key} || '\"'))") }
    }

    /// The sum of integers, as text: it may be wider than they are.
    pub fn exact_sum(&self, expression: &str) -> String {
        if self.is_postgres() { format!("sum({expression})::text") } else { format!("kith_sum({expression})") }
    }

    /// A sum that can be compared and sorted by; one beyond a million million is not exact.
    pub fn comparable_sum(&self, expression: &str) -> String {
        if self.is_postgres() {
            format!("least(greatest(sum({expression}), {}), {})::bigint", i64::MIN, i64::MAX)
        } else {
            format!("CAST(max(min(total({expression}), 9.2e18), -9.2e18) AS INTEGER)")
        }
    }

    pub fn comparable_average(&self, expression: &str) -> String {
        let integer = if self.is_postgres() { "BIGINT" } else { "INTEGER" };
        format!("CAST(round(avg({expression})) AS {integer})")
    }

    /// The day of an instant in a time zone.
    pub fn local_day(&self, instant: &str, zone: &str) -> String {
        if self.is_postgres() {
            format!("((timestamptz 'epoch' + {instant} * interval '1 microsecond') AT TIME ZONE {zone})::date")
        } else {
            format!("kith_day({instant}, {zone})")
        }
    }

    /// The first day of the week (ISO 8601), month, quarter or year that a day lies in.
    pub fn first_day(&self, day: &str, unit: &str) -> String {
        if self.is_postgres() {
            return if unit == "DAY" { day.to_owned() } else { format!("date_trunc('{}', ({day})::timestamp)::date", lower(unit)) };
        }
        match unit {
            "WEEK" => format!("date({day}, 'weekday 0', '-6 days')"),
            "MONTH" => format!("date({day}, 'start of month')"),
            "QUARTER" => format!("date({day}, 'start of month', '-' || ((CAST(strftime('%m', {day}) AS INTEGER) - 1) % 3) || ' months')"),
            "YEAR" => format!("date({day}, 'start of year')"),
            _ => day.to_owned(),
        }
    }

    /// The first day of the next such span.
    pub fn next_first_day(&self, first: &str, unit: &str) -> String {
        let (count, step) = match unit {
            "WEEK" => (7, "day"),
            "MONTH" => (1, "month"),
            "QUARTER" => (3, "month"),
            "YEAR" => (1, "year"),
            _ => (1, "day"),
        };
        if self.is_postgres() {
            format!("({first} + interval '{count} {step}')::date")
        } else {
            format!("date({first}, '+{count} {step}')")
        }
    }

    /// `text`, unless it is null, without case and accents.
    pub fn fold(text: &str) -> String {
        format!("kith_fold({text})")
    }
}

/// `MONTH` as PostgreSQL's functions name it; what is no span is a day.
fn lower(unit: &str) -> &'static str {
    match unit {
        "WEEK" => "week",
        "MONTH" => "month",
        "QUARTER" => "quarter",
        "YEAR" => "year",
        _ => "day",
    }
}

/// How many values one JSON array of a row holds at most.
pub const CHUNK: usize = 100;

/// Column names that are words of SQL stand in quotes.
pub fn quoted(column: &str) -> String {
    match column {
        "type" | "text" | "before" | "after" | "position" | "language" => format!("\"{column}\""),
        other => other.to_owned(),
    }
}

/// `a AND b AND c`; with nothing to say, `TRUE`.
pub fn all_of(parts: &[String]) -> String {
    join(parts, " AND ", "TRUE")
}

/// `(a OR b OR c)`; with nothing to choose from, `FALSE`.
pub fn any_of(parts: &[String]) -> String {
    join(parts, " OR ", "FALSE")
}

fn join(parts: &[String], word: &str, empty: &str) -> String {
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        let _ = write!(out, "{}{part}", if index == 0 { "" } else { word });
    }
    match parts.len() {
        0 => empty.to_owned(),
        1 => out,
        _ => format!("({out})"),
    }
}
