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

use chrono::SecondsFormat;
use entity::Micros;
use serde_json::{Map, Value as Json};

use super::cursor::{OrderKey, Place};
use super::node::{Planner, Scope};
use super::order::order_by;
use super::page::Page;
use super::shape::Out;
use crate::catalog::{Catalog, Field, Object, Store, Via};
use crate::error::{Code, Error, Result};
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::records::sql::{all_of, quoted};
use crate::records::write::past::kind_of_reference;
use crate::records::write::state::{Column, Part, columns};

/// The instant that a statement speaks of.
#[derive(Clone, Debug)]
pub struct AsOf {
    pub at: Micros,
    /// What is put behind ids, so that caches keep the record apart from today's.
    pub suffix: String,
    /// Where the instant stands among the statement's values.
    mark: String,
    /// Likewise an instant well before it: what was written before that was not changed since, whatever clocks
    /// and slow transactions did.
    settled: String,
}

/// A transaction's time is taken at its beginning: what is later in the log may have been begun earlier.
const SKEW: i64 = 10 * 60 * 1_000_000;

impl Planner<'_> {
    /// Has the statement speak of an instant.
    pub(super) fn speak_of(&mut self, at: Micros) {
        let (mark, settled) = (self.sql.bind(at.0), self.sql.bind(at.0 - SKEW));
        let suffix = format!("@{}", rfc3339(at));
        self.as_of = Some(AsOf { at, suffix, mark, settled });
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

    /// The instant that formulas take for now.
    pub(super) fn now(&self) -> Micros {
        self.as_of.as_ref().map_or_else(|| self.ctx.now(), |as_of| as_of.at)
    }

    /// The records of an object as the table `alias`. `used` are the parts of the statement that decide which
    /// records it is about.
    pub(super) fn table(&mut self, object: &Object, alias: &str, used: &[&str]) -> String {
        let Some(as_of) = self.as_of.clone() else { return format!("{} {alias}", object.rows()) };
        let base = self.sql.alias();
        let mut then = Then { planner: self, as_of: &as_of, object, base: &base, joins: String::new() };
        let mut listed: Vec<String> = ["workspace_id", "id", "created_at", "created_by_kind", "created_by", "source"]
            .into_iter()
            .chain(object.own.is_some().then_some("object"))
            .map(|column| format!("{base}.{column}"))
            .collect();
        let of_object = columns(object);
        for column in &of_object {
            let name = quoted(&column.name);
            let whole = of_object.iter().find(|whole| whole.key == column.key && whole.part == Part::Whole);
            let source = whole.filter(|_| column.part == Part::Folded).unwrap_or(column);
            let told = |name: &str| used.iter().any(|part| mentions(part, &format!("{alias}.{name}")));
            let value = then.value(source, told(&name) || column.part == Part::Folded && told(&quoted(&source.name)));
            listed.push(match column.part {
                Part::Folded => format!("kith_fold({value}) AS {name}"),
                _ => format!("{value} AS {name}"),
            });
        }
        listed.extend(then.stamps());
        let joins = then.joins;
        let mut conditions = vec![format!("{base}.workspace_id = $1"), format!("{base}.created_at <= {}", as_of.mark)];
        conditions.extend(self.reached_today(object, &base));
        format!("(SELECT {} FROM {} {base}{joins} WHERE {}) {alias}", listed.join(", "), object.rows(), all_of(&conditions))
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
        self.as_of.as_ref().map(|as_of| format!(" AND {change}.at <= {}", as_of.mark)).unwrap_or_default()
    }

    /// The rows of a page: first which records these are, then what is shown of them.
    pub(super) fn rows_then(
        &mut self,
        object: &Object,
        scope: &Scope,
        columns: &str,
        conditions: &[String],
        page: &Page,
        limit: usize,
    ) -> String {
        let (alias, joins) = (&scope.alias, scope.joins.concat());
        let mut conditions = conditions.to_vec();
        if let Some(position) = &page.position {
            conditions.push(self.after(&page.keys, position));
        }
        let (condition, order) = (all_of(&conditions), order_by(&page.keys));
        let places: String = page.keys.iter().enumerate().map(|(index, key)| format!(", {} AS o{index}", key.expression)).collect();
        let sorted_by_others = page.keys.iter().any(|key| key.place == Place::Joined);
        let needed = if sorted_by_others { joins.as_str() } else { "" };
        let chosen = self.table(object, alias, &[&condition, &order, needed]);
        let chosen = format!("SELECT {alias}.id AS id{places} FROM {chosen}{needed} WHERE {condition} ORDER BY {order} LIMIT {limit}");
        let place = format!("p{alias}");
        let keys: Vec<OrderKey> = page
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| OrderKey { expression: format!("{place}.o{index}"), ..key.clone() })
            .collect();
        let shown = self.table(object, alias, &[]);
        format!(
            "SELECT {columns} FROM ({chosen}) {place} JOIN {shown} ON {alias}.workspace_id = $1 AND {alias}.id = {place}.id{joins} ORDER BY {} LIMIT {limit}",
            order_by(&keys)
        )
    }
}

/// What is found in the log about the records in the table `base`.
struct Then<'a, 'p> {
    planner: &'a mut Planner<'p>,
    as_of: &'a AsOf,
    object: &'a Object,
    base: &'a str,
    joins: String,
}

impl Then<'_, '_> {
    /// A column as it was then; `of_all` if it is needed of all records.
    fn value(&mut self, column: &Column<'_>, of_all: bool) -> String {
        let today = format!("{}.{}", self.base, quoted(&column.name));
        let value = if column.key == "custom" { self.document(of_all) } else { self.member(column, &today, of_all) };
        let value = if of_all { value } else { format!("CASE WHEN {}.updated_at <= {} THEN {today} ELSE {value} END", self.base, self.as_of.settled) };
        if column.store == Store::Text && self.postgres() { format!("(({value}) COLLATE \"C\")") } else { format!("({value})") }
    }

    fn postgres(&self) -> bool {
        self.planner.sql.is_postgres()
    }

    /// The condition on entries of the log about one record, or about all of the object.
    fn since(&self, of_all: bool) -> String {
        let which = if of_all { format!("c.object = '{}'", self.object.name) } else { format!("c.record_id = {}.id", self.base) };
        format!("c.workspace_id = $1 AND {which} AND c.at > {}", self.as_of.mark)
    }

    /// Joins what a select of `record_id` and `v` finds about all records.
    fn joined(&mut self, select: &str) -> String {
        let found = self.planner.sql.alias();
        self.joins.push_str(&format!(" LEFT JOIN ({select}) {found} ON {found}.record_id = {}.id", self.base));
        format!("{found}.v")
    }

    /// What a member was before its first change since.
    fn member(&mut self, column: &Column<'_>, today: &str, of_all: bool) -> String {
        let postgres = self.postgres();
        let member = if postgres { format!("c.\"before\"->'{}'", column.key) } else { format!("c.\"before\" -> '$.\"{}\"'", column.key) };
        let which = format!("{} AND ({member}) IS NOT NULL", self.since(of_all));
        let before = match (of_all, postgres) {
            (false, _) => format!("(SELECT {member} FROM change_log c WHERE {which} ORDER BY c.seq LIMIT 1)"),
            (true, true) => self.joined(&format!(
                "SELECT DISTINCT ON (c.record_id) c.record_id, {member} AS v FROM change_log c WHERE {which} ORDER BY c.record_id, c.seq"
            )),
            // SQLite takes the other columns from the row with the least one.
            (true, false) => self.joined(&format!("SELECT c.record_id, min(c.seq), {member} AS v FROM change_log c WHERE {which} GROUP BY c.record_id")),
        };
        let was = if postgres { from_jsonb(column, &before, today) } else { from_json(column, &before, today) };
        // A list that was never given is empty.
        let is_list = self.object.fields.get(column.key).is_some_and(|field| field.kind.is_list());
        match (column.store, is_list, postgres) {
            (Store::Json, true, true) => format!("coalesce({was}, '[]'::jsonb)"),
            (Store::Json, true, false) => format!("coalesce({was}, '[]')"),
            _ => was,
        }
    }

    /// The document of custom fields: today's, with what its members were before their first changes since.
    fn document(&mut self, of_all: bool) -> String {
        let base = self.base.to_owned();
        let since = self.since(of_all);
        // In the log, fields that a workspace added to a standard object are named `custom.<name>`.
        let (name, ours) = if self.object.own.is_some() { ("e.key", "") } else { ("substr(e.key, 8)", " AND e.key LIKE 'custom.%'") };
        if !self.postgres() {
            return format!(
                "(SELECT json_group_object(m.k, json(m.v)) FROM (SELECT k, v, min(s) FROM (\
                 SELECT {name} AS k, c.\"before\" -> e.fullkey AS v, c.seq AS s FROM change_log c, json_each(c.\"before\") e WHERE {}{ours} \
                 UNION ALL SELECT e.key, {base}.custom -> e.fullkey, 9223372036854775807 FROM json_each({base}.custom) e) GROUP BY k) m)",
                self.since(false)
            );
        }
        let members = format!("jsonb_object_agg({name}, e.value ORDER BY c.seq DESC)");
        let from = format!("change_log c CROSS JOIN LATERAL jsonb_each(c.\"before\") AS e (key, value) WHERE {since}{ours}");
        let before = if of_all {
            self.joined(&format!("SELECT c.record_id, {members} AS v FROM {from} GROUP BY c.record_id"))
        } else {
            format!("(SELECT {members} FROM {from})")
        };
        format!("{base}.custom || coalesce({before}, '{{}}'::jsonb)")
    }

    /// Version, last writer and deletion.
    fn stamps(&self) -> Vec<String> {
        let (base, as_of) = (self.base, self.as_of);
        let last = |column: &str, today: &str, without: &str| {
            let found = format!(
                "(SELECT c.{column} FROM change_log c WHERE c.workspace_id = $1 AND c.record_id = {base}.id AND c.at <= {} \
                 AND c.kind NOT IN ('LINKED', 'UNLINKED') ORDER BY c.seq DESC LIMIT 1)",
                as_of.mark
            );
            let found = if without.is_empty() { found } else { format!("coalesce({found}, {base}.{without})") };
            format!("CASE WHEN {base}.updated_at <= {} THEN {base}.{today} ELSE {found} END AS {today}", as_of.settled)
        };
        vec![
            last("version", "version", "version"),
            last("at", "updated_at", "created_at"),
            last("actor_kind", "updated_by_kind", "created_by_kind"),
            last("actor_id", "updated_by", ""),
            format!("{} AS deleted_at", deleted_at(base, as_of)),
        ]
    }
}

/// When the record in `base` had been deleted. A record that was never brought back since is deleted as of then if
/// it was deleted by then; few were, so they are listed once.
fn deleted_at(base: &str, as_of: &AsOf) -> String {
    let at = &as_of.mark;
    let of_it = |log: &str| format!("{log}.workspace_id = $1 AND {log}.record_id = {base}.id");
    format!(
        "CASE WHEN {base}.id IN (SELECT r.record_id FROM change_log r WHERE r.workspace_id = $1 AND r.kind = 'RESTORED' AND r.at > {at}) \
         THEN (SELECT CASE c.kind WHEN 'RESTORED' THEN coalesce((SELECT d.at FROM change_log d WHERE {} AND d.seq < c.seq AND d.kind = 'DELETED' \
         ORDER BY d.seq DESC LIMIT 1), c.at) END FROM change_log c WHERE {} AND c.at > {at} AND c.kind IN ('DELETED', 'RESTORED') ORDER BY c.seq LIMIT 1) \
         WHEN {base}.deleted_at > {at} THEN NULL ELSE {base}.deleted_at END",
        of_it("d"),
        of_it("c")
    )
}

/// A member of the log as the value of a column; where there is none, today's.
fn from_jsonb(column: &Column<'_>, before: &str, today: &str) -> String {
    let part = match column.part {
        Part::Amount => "amount",
        Part::Currency => "currency",
        _ => "",
    };
    let (now, text) = if part.is_empty() {
        (format!("to_jsonb({today})"), "#>> '{}'".to_owned())
    } else {
        (format!("jsonb_build_object('{part}', {today})"), format!("->> '{part}'"))
    };
    let found = format!("coalesce({before}, {now})");
    match column.store {
        Store::Json => format!("nullif({found}, 'null'::jsonb)"),
        Store::Text => format!("{found} {text}"),
        Store::Int => format!("({found} {text})::bigint"),
        Store::Bool => format!("({found} {text})::boolean"),
        Store::Date => format!("({found} {text})::date"),
        Store::Uuid => format!("({found} {text})::uuid"),
    }
}

fn from_json(column: &Column<'_>, before: &str, today: &str) -> String {
    let value = match (column.part, column.store) {
        (Part::Amount, _) => format!("{before} ->> '$.amount'"),
        (Part::Currency, _) => format!("{before} ->> '$.currency'"),
        (_, Store::Json) => format!("nullif({before}, 'null')"),
        (_, Store::Uuid) => format!("unhex(replace({before} ->> '$', '-', ''))"),
        _ => format!("{before} ->> '$'"),
    };
    format!("CASE WHEN {before} IS NULL THEN {today} ELSE {value} END")
}

/// Whether a column stands in a part of a statement.
fn mentions(part: &str, column: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    part.match_indices(column).any(|(at, _)| {
        let (before, after) = (&part[..at], &part[at + column.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })
}

/// Refuses an instant of which the log does not tell any more: it begins with the workspace, unless its beginning
/// was removed.
pub async fn check_horizon(tx: &Tx, ctx: &Ctx, at: Micros) -> Result<()> {
    let sql = "SELECT seq, at FROM change_log WHERE workspace_id = $1 ORDER BY seq LIMIT 1";
    let Some(row) = tx.fetch_optional(sql, vec![ctx.workspace.into()]).await? else { return Ok(()) };
    let (first, begins) = (row.int(0)?.unwrap_or_default(), Micros(row.int(1)?.unwrap_or_default()));
    if first > 1 && at < begins {
        let message = format!("The history of that time is not kept any more; it begins at {}.", rfc3339(begins));
        return Err(Error::refuse(Code::HistoryExpired, message).within("asOf"));
    }
    Ok(())
}

/// Why a record that the caller sees today is not there as of an instant, if that is because it is younger.
pub async fn check_age(ctx: &Ctx, catalog: &Catalog, tx: &Tx, object: &Object, arguments: &Map<String, Json>, at: Micros) -> Result<()> {
    let mut planner = Planner::new(ctx, catalog, tx.backend());
    let alias = planner.sql.alias();
    let which = match (arguments.get("id"), arguments.get("key")) {
        (Some(id), _) if !id.is_null() => format!("{alias}.id = {}", planner.bind_id(id)?),
        (_, Some(key)) => planner.key_condition(object, &alias, key)?,
        _ => return Ok(()),
    };
    let at = planner.sql.bind(at.0);
    let mut conditions = vec![format!("{alias}.workspace_id = $1"), which, format!("{alias}.created_at > {at}")];
    conditions.extend(planner.reached(object, &alias));
    let sql = format!("SELECT {alias}.created_at FROM {} {alias} WHERE {}", object.rows(), all_of(&conditions));
    let Some(row) = tx.fetch_optional(&sql, planner.sql.values).await? else { return Ok(()) };
    let created = Micros(row.int(0)?.unwrap_or_default());
    let message = format!("The record was not there yet: it was created at {}.", rfc3339(created));
    Err(Error::refuse(Code::NotYetCreated, message).within("asOf"))
}

fn rfc3339(at: Micros) -> String {
    at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads `asOf`.
pub fn instant(given: &Json, now: Micros) -> Result<Option<Micros>> {
    let Some(text) = given.as_str() else { return Ok(None) };
    let at = chrono::DateTime::parse_from_rfc3339(text)
        .map_err(|_| Error::bad_request("`asOf` is an instant, such as `2026-01-31T12:00:00Z`.").within("asOf"))?;
    let at = Micros(at.timestamp_micros());
    if at > now {
        return Err(Error::bad_request("`asOf` lies in the future: only what was can be asked for.").within("asOf"));
    }
    Ok(Some(at))
}
