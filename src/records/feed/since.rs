//! For whoever comes back: what happened to lists since a place in the log, and what is in them to begin with.
//!
//! Nothing is remembered of anybody. Whether a record was in a list is asked of the past: the list as it was after the
//! last entry that is known, seen with the access of today.

use std::collections::HashSet;
use std::sync::Arc;

use entity::Micros;
use uuid::Uuid;

use super::members::{Causes, Touched, is_everything, matching, moved, planned};
use super::{Cursor, Entry, Event, Kind, Place, Scope, head, log};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::records::read::past::{Moment, hash_joins};
use crate::records::sql::all_of;

/// A part of a feed, and the place after it.
pub struct Page {
    pub events: Vec<Event>,
    pub next: Cursor,
    /// Whether there is more already.
    pub more: bool,
}

/// What happened to lists after a place, by at most so many entries of the log. The transaction is the caller's.
pub async fn since(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scopes: &[Scope], left_off: &Cursor, most: usize) -> Result<Page> {
    let after = left_off.seq;
    tx.see_all(true).await?;
    let read = log::read(tx, ctx.workspace, after, most).await?;
    let (last, began) = (head(tx, ctx.workspace).await?, at(tx, ctx.workspace, after).await?);
    tx.see_all(false).await?;
    let entries: Vec<Arc<Entry>> = read.into_iter().map(Arc::new).collect();
    let until = entries.last().filter(|_| entries.len() == most).map_or(last, |entry| entry.seq);
    let ended = entries.last().map_or(began, |entry| entry.at);
    // Until the end the list is as it is; before, as it was.
    let then = (until < last).then(|| Moment::after(until, began.max(ended), ctx.now()));
    let today = if left_off.at.0 > 0 { left_off.at } else { began };
    let mut events = Vec::new();
    for (index, scope) in scopes.iter().enumerate() {
        let span = Span { before: Moment::after(after, began, today), then, from: after, until };
        let mut of_scope = span.events(ctx, catalog, tx, scope, &entries).await?;
        of_scope.iter_mut().for_each(|event| event.scope = index);
        events.extend(of_scope);
    }
    events.sort_by_key(|event| event.seq);
    Ok(Page { events, next: Cursor::at(until, ctx.now()), more: until < last })
}

/// What happened to lists by some entries, told entry by entry: a record that was changed several times is told of as
/// often, unless it was in the list neither before them nor after. `after` is the place before the first, and the snapshot
/// is the caller's.
pub async fn each(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scopes: &[Scope], after: i64, entries: &[Arc<Entry>]) -> Result<Vec<Event>> {
    let Some(until) = entries.last().map(|entry| entry.seq) else { return Ok(Vec::new()) };
    tx.see_all(true).await?;
    let (last, began) = (head(tx, ctx.workspace).await?, at(tx, ctx.workspace, after).await?);
    tx.see_all(false).await?;
    let ended = entries.iter().map(|entry| entry.at).max().unwrap_or(began);
    let then = (until < last).then(|| Moment::after(until, began.max(ended), ctx.now()));
    let span = Span { before: Moment::after(after, began, began), then, from: after, until };
    let mut events = Vec::new();
    for (index, scope) in scopes.iter().enumerate() {
        let from = events.len();
        if is_everything(ctx, scope) {
            events.extend(entries.iter().filter(|entry| entry.object == scope.object.name).map(Event::of_entry));
        } else if let Some(judged) = span.judge(ctx, catalog, tx, scope, entries).await? {
            judged.touched.judge_each(entries, |id| judged.was(id), |id| judged.is.contains(id), &mut events);
            judged.moved(&span, &mut events);
        }
        events.iter_mut().skip(from).for_each(|event| event.scope = index);
    }
    events.sort_by_key(|event| event.seq);
    Ok(events)
}

/// An instant by which an entry and all before it were written: whoever comes first in the log may have begun last.
async fn at(tx: &Tx, workspace: Uuid, seq: i64) -> Result<Micros> {
    let sql = "SELECT max(c.at) FROM (SELECT at FROM change_log WHERE workspace_id = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 200) c";
    let row = tx.fetch_optional(sql, vec![workspace.into(), seq.into()]).await?;
    Ok(Micros(row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0)))
}

/// From one place in the log to another.
struct Span {
    before: Moment,
    /// None: to where records are now.
    then: Option<Moment>,
    from: i64,
    until: i64,
}

/// Which records were in a list at the beginning of a span and are at its end.
struct Judged {
    touched: Touched,
    was: HashSet<Uuid>,
    is: HashSet<Uuid>,
    /// Whether all of the list was looked at, and not only what entries are about.
    all: bool,
    saw_all: bool,
}

impl Judged {
    fn was(&self, id: &Uuid) -> bool {
        let gone = self.touched.last.get(id).is_some_and(|entry| entry.kind == "PURGED");
        // What was purged has no past that could be asked for: whoever saw every record saw it.
        self.was.contains(id) || gone && self.saw_all && !self.touched.first[id].begins()
    }

    /// What moved without being touched.
    fn moved(&self, span: &Span, events: &mut Vec<Event>) {
        let places = (span.from, span.until);
        events.extend(moved(&self.was, &self.is, places, |id| self.all && !self.touched.last.contains_key(id)));
    }
}

impl Span {
    async fn events(&self, ctx: &Ctx, catalog: &Catalog, tx: &Tx, scope: &Scope, entries: &[Arc<Entry>]) -> Result<Vec<Event>> {
        if is_everything(ctx, scope) {
            return Ok(Touched::of(scope, entries).of_everything());
        }
        let mut events = Vec::new();
        if let Some(judged) = self.judge(ctx, catalog, tx, scope, entries).await? {
            judged.touched.judge(|id| judged.was(id), |id| judged.is.contains(id), &mut events);
            judged.moved(self, &mut events);
        }
        Ok(events)
    }

    /// None where nothing can have happened to the list.
    async fn judge(&self, ctx: &Ctx, catalog: &Catalog, tx: &Tx, scope: &Scope, entries: &[Arc<Entry>]) -> Result<Option<Judged>> {
        let touched = Touched::of(scope, entries);
        let causes = Causes::of(ctx, catalog, tx.backend(), scope)?;
        let all = causes.time || entries.iter().any(|entry| causes.includes(entry));
        if touched.ids.is_empty() && !all {
            return Ok(None);
        }
        let among = (!all).then_some(touched.ids.as_slice());
        let mut was = self.list(ctx, catalog, tx, scope, Some(self.before), among).await?;
        was.retain(|id| touched.first.get(id).is_none_or(|entry| entry.kind != "CREATED"));
        let is = self.list(ctx, catalog, tx, scope, self.then, among).await?;
        Ok(Some(Judged { touched, was, is, all, saw_all: ctx.access.sees_all(&scope.object.name) }))
    }

    async fn list(
        &self,
        ctx: &Ctx,
        catalog: &Catalog,
        tx: &Tx,
        scope: &Scope,
        moment: Option<Moment>,
        among: Option<&[Uuid]>,
    ) -> Result<HashSet<Uuid>> {
        let hashed = moment.is_some() && among.is_none();
        if hashed {
            hash_joins(tx, true).await?;
        }
        let found = matching(ctx, catalog, tx, scope, moment, among).await?;
        if hashed {
            hash_joins(tx, false).await?;
        }
        Ok(found)
    }
}

/// What is in lists to begin with, by id, from a place on: as they were when the loading began, so that what happened since
/// is told relative to that.
pub async fn first_load(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scopes: &[Scope], begun: &Cursor, most: usize) -> Result<Page> {
    let (seq, Place::Loading { scope: mut index, mut last }) = (begun.seq, begun.place.clone()) else {
        return Ok(Page { events: Vec::new(), next: begun.clone(), more: true });
    };
    tx.see_all(true).await?;
    let (head, written) = (head(tx, ctx.workspace).await?, at(tx, ctx.workspace, seq).await?);
    tx.see_all(false).await?;
    let moment = (head > seq).then(|| Moment::after(seq, written, begun.at));
    let mut events = Vec::new();
    while let Some(scope) = scopes.get(index) {
        let wanted = most - events.len();
        if wanted == 0 {
            return Ok(Page { events, next: Cursor { place: Place::Loading { scope: index, last }, ..begun.clone() }, more: true });
        }
        let ids = page(ctx, catalog, tx, scope, moment, last, (seq, wanted)).await?;
        last = ids.last().copied().or(last);
        let full = ids.len() == wanted;
        let entered = |record| Event {
            kind: Kind::Entered,
            scope: index,
            record,
            seq,
            first: seq,
            entry: None,
            fields: Vec::new(),
            place: Some(record),
        };
        events.extend(ids.into_iter().map(entered));
        if !full {
            (index, last) = (index + 1, None);
        }
    }
    Ok(Page { events, next: Cursor::at(seq, begun.at), more: head > seq })
}

async fn page(
    ctx: &Ctx,
    catalog: &Catalog,
    tx: &Tx,
    scope: &Scope,
    moment: Option<Moment>,
    after: Option<Uuid>,
    (seq, most): (i64, usize),
) -> Result<Vec<Uuid>> {
    let (mut planner, alias, table, mut conditions) = planned(ctx, catalog, tx.backend(), scope, moment)?;
    if let Some(after) = after {
        conditions.push(format!("{alias}.id > {}", planner.sql.bind(after)));
    }
    if moment.is_some() {
        let seq = planner.sql.bind(seq);
        conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM change_log n WHERE n.workspace_id = $1 AND n.record_id = {alias}.id AND n.kind = 'CREATED' AND n.seq > {seq})"
        ));
    }
    let sql = format!("SELECT {alias}.id FROM {table} WHERE {} ORDER BY {alias}.id LIMIT {most}", all_of(&conditions));
    let rows = tx.fetch_all(&sql, planner.sql.values).await?;
    Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Whether a caller who does not see every record can be told what happened after a place: whatever they saw then, they
/// see now or it is told why not. Where records were given to others, or a credential's filter decides, that is not known any more.
pub async fn keeps_sight(ctx: &Ctx, tx: &Tx, scopes: &[Scope], after: i64) -> Result<bool> {
    let bounded: Vec<&Scope> = scopes.iter().filter(|scope| !ctx.access.sees_all(&scope.object.name)).collect();
    if bounded.is_empty() {
        return Ok(true);
    }
    let mut from = after;
    tx.see_all(true).await?;
    let kept = loop {
        let read = log::read(tx, ctx.workspace, from, BATCH).await?;
        let lost = read.iter().any(|entry| bounded.iter().any(|scope| loses_sight(ctx, scope, entry)));
        match read.last() {
            _ if lost => break false,
            Some(last) if read.len() == BATCH => from = last.seq,
            _ => break true,
        }
    };
    tx.see_all(false).await?;
    Ok(kept)
}

const BATCH: usize = 2_000;

/// Whether an entry may have taken a record out of sight.
fn loses_sight(ctx: &Ctx, scope: &Scope, entry: &Entry) -> bool {
    // Notes and activities are seen with what they are linked to.
    if scope.object.follows.is_some() {
        return entry.is_link() || entry.ends() || given_away(entry);
    }
    let filtered = ctx.access.policy().is_some_and(|policy| policy.is_filtered(&scope.object.name));
    entry.object == scope.object.name && entry.kind != "CREATED" && (filtered || entry.is_link() || given_away(entry))
}

fn given_away(entry: &Entry) -> bool {
    entry.kind != "CREATED" && entry.fields.iter().any(|field| matches!(field.as_str(), "owner" | "territory"))
}

/// What a caller's lists depend on besides the log: their rights, and what is shared with them.
pub async fn sight(ctx: &Ctx, tx: &Tx) -> Result<Option<String>> {
    let Some(policy) = ctx.access.policy() else { return Ok(None) };
    let fingerprint = policy.fingerprint();
    if policy.shared.is_empty() || policy.grantees.is_empty() {
        return Ok(Some(fingerprint));
    }
    let marks: Vec<String> = (3..3 + policy.grantees.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT count(*), coalesce(max(created_at), 0) FROM record_grant WHERE workspace_id = $1 AND coalesce(expires_at > $2, TRUE) AND grantee_id IN ({})",
        marks.join(", ")
    );
    let mut values: Vec<sea_orm::Value> = vec![ctx.workspace.into(), ctx.now().0.into()];
    values.extend(policy.grantees.iter().map(|id| sea_orm::Value::from(*id)));
    tx.see_all(true).await?;
    let row = tx.fetch_optional(&sql, values).await?;
    tx.see_all(false).await?;
    let (count, last) = match row {
        Some(row) => (row.int(0)?.unwrap_or(0), row.int(1)?.unwrap_or(0)),
        None => (0, 0),
    };
    Ok(Some(format!("{fingerprint}-{count}-{last:x}")))
}
