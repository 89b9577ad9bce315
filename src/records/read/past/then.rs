//! The columns of a record as they were, found in the change log.

use super::super::node::Planner;
use super::AsOf;
use crate::catalog::{Object, Store};
use crate::records::sql::quoted;
use crate::records::write::state::{Column, Part};

/// What is found in the log about the records in the table `base`.
pub(super) struct Then<'a, 'p> {
    pub planner: &'a mut Planner<'p>,
    pub as_of: &'a AsOf,
    pub object: &'a Object,
    pub base: &'a str,
    /// Whether all records are looked at: then the log is read once, else for each record.
    pub of_all: bool,
    /// What is joined already, and its name.
    pub found: Vec<(String, String)>,
    pub joins: String,
}

impl Then<'_, '_> {
    /// A column as it was then.
    pub fn value(&mut self, column: &Column<'_>) -> String {
        let today = format!("{}.{}", self.base, quoted(&column.name));
        let value = if column.key == "custom" { self.document() } else { self.member(column, &today) };
        let unless_settled = if self.of_all || self.postgres() {
            value
        } else {
            format!("CASE WHEN {}.updated_at <= {} THEN {today} ELSE {value} END", self.base, self.as_of.settled)
        };
        if column.store == Store::Text && self.postgres() {
            format!("(({unless_settled}) COLLATE \"C\")")
        } else {
            format!("({unless_settled})")
        }
    }

    pub fn postgres(&self) -> bool {
        self.planner.sql.is_postgres()
    }

    /// The condition on entries of the log about one record, or about all of the object.
    fn since(&self, of_all: bool) -> String {
        let which = if of_all {
            format!("c.object = '{}'", self.object.name)
        } else {
            format!("{0}.updated_at > {1} AND c.record_id = {0}.id", self.base, self.as_of.settled)
        };
        format!("c.workspace_id = $1 AND {which} AND {}", self.as_of.later("c"))
    }

    /// Joins what a select of `record_id` and more finds about all records, and returns its name.
    fn joined(&mut self, select: &str) -> String {
        // An amount and its currency are found together.
        if let Some((_, known)) = self.found.iter().find(|(known, _)| known == select) {
            return known.clone();
        }
        let found = self.planner.sql.alias();
        self.joins.push_str(&format!(" LEFT JOIN ({select}) {found} ON {found}.record_id = {}.id", self.base));
        self.found.push((select.to_owned(), found.clone()));
        found
    }

    /// Joins what a record's members were before their first changes since, as one document `u<base>.v`.
    pub fn join_document(&mut self) {
        let from = "change_log c CROSS JOIN LATERAL jsonb_each(c.\"before\") AS e (key, value)";
        self.joins.push_str(&format!(
            " LEFT JOIN LATERAL (SELECT jsonb_object_agg(e.key, e.value ORDER BY c.seq DESC) AS v FROM {from} WHERE {}) u{} ON TRUE",
            self.since(false),
            self.base
        ));
    }

    /// What a member was before its first change since.
    fn member(&mut self, column: &Column<'_>, today: &str) -> String {
        let postgres = self.postgres();
        let member = if postgres { format!("c.\"before\"->'{}'", column.key) } else { format!("c.\"before\" -> '$.\"{}\"'", column.key) };
        let which = format!("{} AND ({member}) IS NOT NULL", self.since(self.of_all));
        let before = match (self.of_all, postgres) {
            (false, true) => format!("(u{}.v->'{}')", self.base, column.key),
            (false, false) => format!("(SELECT {member} FROM change_log c WHERE {which} ORDER BY c.seq LIMIT 1)"),
            (true, true) => {
                let select = format!(
                    "SELECT DISTINCT ON (c.record_id) c.record_id, {member} AS v FROM change_log c WHERE {which} ORDER BY c.record_id, c.seq"
                );
                format!("{}.v", self.joined(&select))
            }
            // SQLite takes the other columns from the row with the least one.
            (true, false) => {
                let select = format!("SELECT c.record_id, min(c.seq), {member} AS v FROM change_log c WHERE {which} GROUP BY c.record_id");
                format!("{}.v", self.joined(&select))
            }
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
    fn document(&mut self) -> String {
        let base = self.base.to_owned();
        // In the log, fields that a workspace added to a standard object are named `custom.<name>`.
        let (name, ours) = if self.object.own.is_some() { ("e.key", "TRUE") } else { ("substr(e.key, 8)", "e.key LIKE 'custom.%'") };
        if !self.postgres() {
            return format!(
                "(SELECT json_group_object(m.k, json(m.v)) FROM (SELECT k, v, min(s) FROM (\
                 SELECT {name} AS k, c.\"before\" -> e.fullkey AS v, c.seq AS s FROM change_log c, json_each(c.\"before\") e WHERE {} AND {ours} \
                 UNION ALL SELECT e.key, {base}.custom -> e.fullkey, 9223372036854775807 FROM json_each({base}.custom) e) GROUP BY k) m)",
                self.since(false)
            );
        }
        let before = if self.of_all {
            let from =
                format!("change_log c CROSS JOIN LATERAL jsonb_each(c.\"before\") AS e (key, value) WHERE {} AND {ours}", self.since(true));
            let members = format!("jsonb_object_agg({name}, e.value ORDER BY c.seq DESC)");
            format!("{}.v", self.joined(&format!("SELECT c.record_id, {members} AS v FROM {from} GROUP BY c.record_id")))
        } else {
            format!("(SELECT jsonb_object_agg({name}, e.value) FROM jsonb_each(u{base}.v) AS e (key, value) WHERE {ours})")
        };
        format!("({base}.custom || coalesce({before}, '{{}}'::jsonb))")
    }

    /// Version, last writer and deletion, as far as they are told.
    pub fn stamps(&mut self, told: &dyn Fn(&str) -> bool) -> Vec<String> {
        let (base, as_of) = (self.base.to_owned(), self.as_of);
        let by_then = format!("c.workspace_id = $1 AND {} AND c.kind NOT IN ('LINKED', 'UNLINKED')", as_of.by_then("c"));
        let all = [
            ("version", "version", "version"),
            ("at", "updated_at", "created_at"),
            ("actor_kind", "updated_by_kind", "created_by_kind"),
            ("actor_id", "updated_by", "created_by"),
        ];
        let all: Vec<_> = all.into_iter().filter(|(_, today, _)| told(today)).collect();
        let of_all = if self.of_all && !all.is_empty() {
            let columns = "c.record_id, c.version, c.at, c.actor_kind, c.actor_id";
            let last = if self.postgres() {
                format!(
                    "SELECT DISTINCT ON (c.record_id) {columns} FROM change_log c WHERE {by_then} AND c.object = '{}' ORDER BY c.record_id, c.seq DESC",
                    self.object.name
                )
            } else {
                format!(
                    "SELECT {columns}, max(c.seq) FROM change_log c WHERE {by_then} AND c.object = '{}' GROUP BY c.record_id",
                    self.object.name
                )
            };
            Some(self.joined(&last))
        } else {
            None
        };
        let last = |(column, today, first): (&str, &str, &str)| {
            let found = match &of_all {
                Some(found) => format!("{found}.{column}"),
                None => {
                    format!("(SELECT c.{column} FROM change_log c WHERE {by_then} AND c.record_id = {base}.id ORDER BY c.seq DESC LIMIT 1)")
                }
            };
            // The server itself has no id, so that null is an answer there.
            let found = if today == "updated_by" { found } else { format!("coalesce({found}, {base}.{first})") };
            format!("CASE WHEN {base}.updated_at <= {} THEN {base}.{today} ELSE {found} END AS {today}", as_of.settled)
        };
        let mut stamps: Vec<String> = all.into_iter().map(last).collect();
        stamps.push(format!("{} AS deleted_at", deleted_at(&base, as_of)));
        stamps
    }
}

/// When the record in `base` had been deleted. What was never brought back since is deleted as of then if it was
/// deleted by then; few were, so they are listed once.
pub(super) fn deleted_at(base: &str, as_of: &AsOf) -> String {
    let of_it = |log: &str| format!("{log}.workspace_id = $1 AND {log}.record_id = {base}.id");
    let since = match &as_of.place {
        None => format!("{base}.deleted_at > {}", as_of.mark),
        Some(_) => format!("EXISTS (SELECT 1 FROM change_log s WHERE {} AND s.kind = 'DELETED' AND {})", of_it("s"), as_of.later("s")),
    };
    let still = format!("CASE WHEN {since} THEN NULL ELSE {base}.deleted_at END");
    if !as_of.moment.are_restored {
        return still;
    }
    format!(
        "CASE WHEN {base}.id IN (SELECT r.record_id FROM change_log r WHERE r.workspace_id = $1 AND r.kind = 'RESTORED' AND {}) \
         THEN (SELECT CASE c.kind WHEN 'RESTORED' THEN coalesce((SELECT d.at FROM change_log d WHERE {} AND d.seq < c.seq AND d.kind = 'DELETED' \
         ORDER BY d.seq DESC LIMIT 1), c.at) END FROM change_log c WHERE {} AND {} AND c.kind IN ('DELETED', 'RESTORED') ORDER BY c.seq LIMIT 1) \
         ELSE {still} END",
        as_of.later("r"),
        of_it("d"),
        of_it("c"),
        as_of.later("c")
    )
}

/// A member of the log as the value of a column; where there is none, today's.
fn from_jsonb(column: &Column<'_>, before: &str, today: &str) -> String {
    let part = match column.part {
        Part::Amount => "->> 'amount'",
        Part::Currency => "->> 'currency'",
        _ => "#>> '{}'",
    };
    let value = match column.store {
        Store::Json => format!("nullif({before}, 'null'::jsonb)"),
        Store::Text => format!("{before} {part}"),
        Store::Int => format!("({before} {part})::bigint"),
        Store::Bool => format!("({before} {part})::boolean"),
        Store::Date => format!("({before} {part})::date"),
        Store::Uuid => format!("({before} {part})::uuid"),
    };
    // Most were not changed: theirs does not become JSON only to be read from it.
    format!("CASE WHEN {before} IS NULL THEN {today} ELSE {value} END")
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
