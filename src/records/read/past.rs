//! Records as they stood at an instant: `deals(asOf: "2026-01-01T00:00:00Z")`.
//!
//! A statement about the past reads the same records from other tables: in the place of `deal` stands a sub-select
//! with the columns of `deal`, each with the value that it had then. That is the value before the first change of
//! the field since, as the change log tells it; without such a change it is today's. So filters, orders, pages,
//! sums and formulas are planned as ever and speak of that time.
//!
//! Who sees what is judged by the records as they are: the caller's condition stands inside, on today's row.
//!
//! The log is asked in two ways. A column that is shown is looked up for the records of the page, one by one. A
//! column that decides which records these are (a filter's, an order's, a sum's) is needed of all records, so the
//! log since then is read once and joined.

mod moment;
mod then;

use entity::Micros;

use super::cursor::{OrderKey, Place};
use super::node::{Planner, Scope};
use super::order::order_by;
use super::page::Page;
use super::shape::Out;
use crate::catalog::{Field, Object, Store, Via};
use crate::records::sql::{all_of, quoted};
use crate::records::write::past::kind_of_reference;
use crate::records::write::state::{Part, columns};

pub use moment::{Moment, check_age, hash_joins, moment};

use moment::rfc3339;
use then::{Then, deleted_at};

/// The instant that a statement speaks of.
#[derive(Clone, Debug)]
pub struct AsOf {
    pub moment: Moment,
    /// What is put behind ids, so that caches keep the record apart from today's.
    pub suffix: String,
    /// Where the instant stands among the statement's values.
    mark: String,
    /// Likewise an instant well before it: what was written before that was not changed since, whatever clocks
    /// and slow transactions did.
    settled: String,
    /// Where the place in the log stands, if that is what is asked for.
    place: Option<String>,
}

impl AsOf {
    /// Whether an entry of the log was written later.
    fn later(&self, log: &str) -> String {
        match &self.place {
            Some(place) => format!("{log}.seq > {place}"),
            None => format!("{log}.at > {}", self.mark),
        }
    }

    /// Whether an entry of the log was written by then.
    fn by_then(&self, log: &str) -> String {
        match &self.place {
            Some(place) => format!("{log}.seq <= {place}"),
            None => format!("{log}.at <= {}", self.mark),
        }
    }
}

/// A transaction's time is taken at its beginning: what is later in the log may have been begun earlier.
const SKEW: i64 = 10 * 60 * 1_000_000;

impl Planner<'_> {
    /// Has the statement speak of an instant.
    pub(in crate::records) fn speak_of(&mut self, moment: Moment) {
        let (mark, settled) = (self.sql.bind(moment.at.0), self.sql.bind(moment.at.0 - SKEW));
        let suffix = format!("@{}", rfc3339(moment.at));
        let place = moment.place.map(|place| self.sql.bind(place));
        self.as_of = Some(AsOf { moment, suffix, mark, settled, place });
    }

    /// An id that tells of which time the record is.
    pub(super) fn id_then(&self, scope: &mut Scope, alias: &str, of: &str) -> Out {
        let suffix = self.as_of.as_ref().map_or("", |as_of| as_of.suffix.as_str());
        Out::DerivedId { slot: scope.slot(format!("{alias}.id"), Store::Uuid), suffix: format!("{of}{suffix}") }
    }

    /// Whether an index may answer: indexes know today's values only.
    pub(super) fn is_indexed(&self, field: &Field) -> bool {
        field.indexed && self.as_of.is_none()
    }

    /// The instant that formulas and relative dates take for now.
    pub(super) fn now(&self) -> Micros {
        self.as_of.as_ref().map_or_else(|| self.ctx.now(), |as_of| as_of.moment.clock.unwrap_or(as_of.moment.at))
    }

    /// The records of an object as the table `alias`, of whichever is looked for by the statement around.
    pub(in crate::records) fn table(&mut self, object: &Object, alias: &str) -> String {
        match self.as_of.clone() {
            None => format!("{} {alias}", object.rows()),
            Some(as_of) => self.table_then(&as_of, object, alias, &Look::AtSome(None)),
        }
    }

    /// The same where all records are looked at; `used` are the parts of the statement that decide which these are
    /// and what is made of them. Other columns are not there.
    pub(super) fn table_of_all(&mut self, object: &Object, alias: &str, used: &[&str]) -> String {
        match self.as_of.clone() {
            None => format!("{} {alias}", object.rows()),
            Some(as_of) => self.table_then(&as_of, object, alias, &Look::AtAll(used)),
        }
    }

    /// The same as a table to join, of the one record whose id an expression tells.
    pub(super) fn table_of_one(&mut self, object: &Object, alias: &str, id: &str) -> String {
        match self.as_of.clone() {
            None => format!("{} {alias}", object.rows()),
            Some(as_of) => self.table_then(&as_of, object, alias, &Look::AtSome(Some(id))),
        }
    }

    fn table_then(&mut self, as_of: &AsOf, object: &Object, alias: &str, look: &Look<'_>) -> String {
        let base = self.sql.alias();
        let told = |name: &str| match look {
            Look::AtAll(used) => used.iter().any(|part| mentions(part, &format!("{alias}.{name}"))),
            Look::AtSome(_) => true,
        };
        let mut then = Then {
            planner: self,
            as_of,
            object,
            base: &base,
            of_all: matches!(look, Look::AtAll(_)),
            found: Vec::new(),
            joins: String::new(),
        };
        if !then.of_all && then.postgres() {
            then.join_document();
        }
        let mut listed: Vec<String> = ["workspace_id", "id", "created_at", "created_by_kind", "created_by", "source"]
            .into_iter()
            .chain(object.own.is_some().then_some("object"))
            .map(|column| format!("{base}.{column}"))
            .collect();
        let of_object = columns(object);
        for column in of_object.iter().filter(|column| told(&quoted(&column.name))) {
            let name = quoted(&column.name);
            let whole = of_object.iter().find(|whole| whole.key == column.key && whole.part == Part::Whole);
            let source = whole.filter(|_| column.part == Part::Folded).unwrap_or(column);
            let value = then.value(source);
            listed.push(match column.part {
                Part::Folded => format!("kith_fold({value}) AS {name}"),
                _ => format!("{value} AS {name}"),
            });
        }
        listed.extend(then.stamps(&told));
        let joins = then.joins;
        let mut conditions = vec![format!("{base}.workspace_id = $1"), format!("{base}.created_at <= {}", as_of.mark)];
        conditions.extend(self.reached_today(object, &base));
        // PostgreSQL looks up the one record and reckons its columns once; SQLite looks through the sub-select.
        let (lateral, fence) = match look {
            Look::AtSome(Some(id)) if self.sql.is_postgres() => {
                conditions.push(format!("{base}.id = {id}"));
                ("LATERAL ", " OFFSET 0")
            }
            _ => ("", ""),
        };
        format!("{lateral}(SELECT {} FROM {} {base}{joins} WHERE {}{fence}) {alias}", listed.join(", "), object.rows(), all_of(&conditions))
    }

    /// Records of any object as the table `alias`.
    pub(super) fn any_table(&mut self, alias: &str) -> String {
        let Some(as_of) = self.as_of.clone() else { return format!("record {alias}") };
        let base = self.sql.alias();
        let deleted = deleted_at(&base, &as_of);
        format!(
            "(SELECT {base}.workspace_id, {base}.id, {base}.object, {base}.owner_id, {base}.territory_id, {base}.created_at, {deleted} AS deleted_at \
             FROM record {base} WHERE {base}.workspace_id = $1 AND {base}.created_at <= {}) {alias}",
            as_of.mark
        )
    }

    /// The links of a record as the table `link`; `id` is an expression of the statement around.
    pub(super) fn links(&self, kind: &str, mine: &str, id: &str, link: &str) -> String {
        let Some(as_of) = &self.as_of else { return format!("record_link {link}") };
        let at = &as_of.mark;
        let which = format!("x.workspace_id = $1 AND x.kind = '{kind}' AND x.{mine} = {id}");
        format!(
            "(SELECT x.workspace_id, x.id, x.kind, x.from_id, x.to_id, x.role, x.title, x.is_primary FROM record_link x \
             WHERE {which} AND coalesce(x.since, x.created_at) <= {at} \
             UNION ALL SELECT x.workspace_id, x.link_id, x.kind, x.from_id, x.to_id, x.role, x.title, x.is_primary FROM past_link x \
             WHERE {which} AND x.since <= {at} AND x.ended_at > {at}) {link}"
        )
    }

    /// A condition, which an index serves, on the records that may have belonged to another one then: those that
    /// do now, and those that did until later.
    pub(super) fn once_belonged(&self, target: &Object, column: &str, other: &str, id: &str) -> Option<String> {
        let as_of = self.as_of.as_ref()?;
        let is_it = |via: &Via| matches!(via, Via::Column(of) if of == column);
        let relation = target.relations.values().find(|relation| is_it(&relation.via))?;
        Some(format!(
            "{other}.id IN (SELECT y.id FROM {} y WHERE y.workspace_id = $1 AND y.{column} = {id} UNION ALL SELECT y.from_id FROM past_link y \
             WHERE y.workspace_id = $1 AND y.kind = '{}' AND y.to_id = {id} AND y.ended_at > {})",
            target.rows(),
            kind_of_reference(target, relation),
            as_of.mark
        ))
    }

    /// Whether a record had an external id.
    pub(super) fn external_then(&mut self, object: &Object, alias: &str, system: &str, value: Option<&str>) -> String {
        let ids = self.sql.field(alias, &object.fields["externalIds"]);
        let mut conditions = vec![format!("{} = {}", self.sql.json_key("e.value", "system"), self.sql.bind(system))];
        conditions.extend(value.map(|value| format!("{} = {}", self.sql.json_key("e.value", "value"), self.sql.bind(value))));
        format!("EXISTS (SELECT 1 FROM {} WHERE {})", self.sql.json_each(&ids), all_of(&conditions))
    }

    /// The entries of the log that were written by then.
    pub(super) fn known_then(&self, change: &str) -> String {
        self.as_of.as_ref().map(|as_of| format!(" AND {}", as_of.by_then(change))).unwrap_or_default()
    }

    /// The joins of a statement that looks at all records.
    pub(super) fn joins_of_all(&mut self, scope: &Scope, used: &[&str]) -> String {
        if self.as_of.is_none() {
            return scope.joins.concat();
        }
        let mut joins = String::new();
        for (object, column, alias) in &scope.then {
            let others: Vec<&str> = scope.then.iter().map(|(_, column, _)| column.as_str()).collect();
            let used = [used, &others].concat();
            let table = self.table_of_all(object, alias, &used);
            joins.push_str(&format!(
                " LEFT JOIN {table} ON {alias}.workspace_id = $1 AND {alias}.id = {column} AND {alias}.deleted_at IS NULL"
            ));
        }
        joins
    }

    /// The rows of a page: first which records these are, then what is shown of them. `from` are the tables of a list
    /// inside a record; without, all records of the object are looked at.
    #[expect(clippy::too_many_arguments, reason = "a page's parts, and where they come from")]
    pub(super) fn rows_then(
        &mut self,
        object: &Object,
        scope: &Scope,
        columns: &str,
        conditions: &[String],
        page: &Page,
        limit: usize,
        from: Option<&str>,
    ) -> String {
        let (alias, joins) = (&scope.alias, scope.joins.concat());
        let mut conditions = conditions.to_vec();
        if let Some(position) = &page.position {
            conditions.push(self.after(&page.keys, position));
        }
        let (condition, order) = (all_of(&conditions), order_by(&page.keys));
        let places: String = page.keys.iter().enumerate().map(|(index, key)| format!(", {} AS o{index}", key.expression)).collect();
        let sorted_by_others = page.keys.iter().any(|key| key.place == Place::Joined);
        let needed = match (sorted_by_others, from) {
            (false, _) => String::new(),
            (true, Some(_)) => joins.clone(),
            (true, None) => self.joins_of_all(scope, &[&condition, &order]),
        };
        let chosen = match from {
            Some(from) => from.to_owned(),
            None => self.table_of_all(object, alias, &[&condition, &order, &needed]),
        };
        let chosen = format!("SELECT {alias}.id AS id{places} FROM {chosen}{needed} WHERE {condition} ORDER BY {order} LIMIT {limit}");
        let place = format!("p{alias}");
        let keys: Vec<OrderKey> =
            page.keys.iter().enumerate().map(|(index, key)| OrderKey { expression: format!("{place}.o{index}"), ..key.clone() }).collect();
        let shown = self.table_of_one(object, alias, &format!("{place}.id"));
        format!(
            "SELECT {columns} FROM ({chosen}) {place} JOIN {shown} ON {alias}.workspace_id = $1 AND {alias}.id = {place}.id{joins} ORDER BY {} LIMIT {limit}",
            order_by(&keys)
        )
    }
}

/// Of which records a table is wanted.
enum Look<'a> {
    /// Of all, with the columns that these parts of the statement use.
    AtAll(&'a [&'a str]),
    /// Of some that others find, or of the one with this id.
    AtSome(Option<&'a str>),
}

/// Whether a column stands in a part of a statement.
fn mentions(part: &str, column: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    part.match_indices(column).any(|(at, _)| {
        let (before, after) = (&part[..at], &part[at + column.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })
}
