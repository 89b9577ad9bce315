//! For whoever comes back: what happened to lists since a place in the log, and what is in them to begin with.
//!
//! Nothing is remembered of anybody. Whether a record was in a list is asked of the past: the list as it was after the
//! last entry that is known, seen with the access of today.

use std::collections::HashSet;
use std::sync::Arc;

use entity::Micros;
use uuid::Uuid;

use super::members::{Causes, Touched, matching, moved};
use super::{Cursor, Entry, Event, Kind, Place, Scope, head, log};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::records::read::Planner;
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
pub async fn since(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scopes: &[Scope], after: i64, most: usize) -> Result<Page> {
    tx.see_all(true).await?;
    let read = log::read(tx, ctx.workspace, after, most).await?;
    let (last, began) = (head(tx, ctx.workspace).await?, at(tx, ctx.workspace, after).await?);
    tx.see_all(false).await?;
    let entries: Vec<Arc<Entry>> = read.into_iter().map(Arc::new).collect();
    let until = entries.last().filter(|_| entries.len() == most).map_or(last, |entry| entry.seq);
    let ended = entries.last().map_or(began, |entry| entry.at);
    // Until the end the list is as it is; before, as it was.
    let then = (until < last).then(|| Moment::after(until, ended));
    let mut events = Vec::new();
    for (index, scope) in scopes.iter().enumerate() {
        let span = Span { before: Moment::after(after, began), then, until };
        let mut of_scope = span.events(ctx, catalog, tx, scope, &entries).await?;
        of_scope.iter_mut().for_each(|event| event.scope = index);
        events.extend(of_scope);
    }
    events.sort_by_key(|event| event.seq);
    Ok(Page { events, next: Cursor::at(until), more: until < last })
}

/// When an entry was written, or about when where it is not kept any more.
async fn at(tx: &Tx, workspace: Uuid, seq: i64) -> Result<Micros> {
    let sql = "SELECT at FROM change_log WHERE workspace_id = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1";
    let row = tx.fetch_optional(sql, vec![workspace.into(), seq.into()]).await?;
    Ok(Micros(row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0)))
}

/// From one place in the log to another.
struct Span {
    before: Moment,
    /// None: to where records are now.
    then: Option<Moment>,
    until: i64,
}

impl Span {
    async fn events(&self, ctx: &Ctx, catalog: &Catalog, tx: &Tx, scope: &Scope, entries: &[Arc<Entry>]) -> Result<Vec<Event>> {
        let touched = Touched::of(scope, entries);
        let causes = Causes::of(ctx, catalog, tx.backend(), scope)?;
        let all = causes.time || entries.iter().any(|entry| causes.includes(entry));
        if touched.ids.is_empty() && !all {
            return Ok(Vec::new());
        }
        let among = (!all).then_some(touched.ids.as_slice());
        let mut was = self.list(ctx, catalog, tx, scope, Some(self.before), among).await?;
        was.retain(|id| touched.first.get(id).is_none_or(|entry| entry.kind != "CREATED"));
        let is = self.list(ctx, catalog, tx, scope, self.then, among).await?;
        let mut events = Vec::new();
        let gone = |id: &Uuid| touched.last.get(id).is_some_and(|entry| entry.kind == "PURGED");
        // What was purged has no past that could be asked for: whoever saw every record saw it.
        let saw_all = ctx.access.sees_all(&scope.object.name);
        touched.judge(|id| was.contains(id) || gone(id) && saw_all && !touched.first[id].begins(), |id| is.contains(id), &mut events);
        events.extend(moved(&was, &is, self.until, |id| all && !touched.last.contains_key(id)));
        Ok(events)
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

/// What is in lists to begin with, by id, from a place on.
pub async fn first_load(
    ctx: &Ctx,
    catalog: &Catalog,
    tx: &Tx,
    scopes: &[Scope],
    (seq, mut index, mut last): (i64, usize, Option<Uuid>),
    most: usize,
) -> Result<Page> {
    let mut events = Vec::new();
    while let Some(scope) = scopes.get(index) {
        let wanted = most - events.len();
        if wanted == 0 {
            return Ok(Page { events, next: Cursor { seq, place: Place::Loading { scope: index, last } }, more: true });
        }
        let ids = page(ctx, catalog, tx, scope, last, wanted).await?;
        last = ids.last().copied().or(last);
        let full = ids.len() == wanted;
        let entered =
            |record| Event { kind: Kind::Entered, scope: index, record, seq, entry: None, fields: Vec::new(), place: Some(record) };
        events.extend(ids.into_iter().map(entered));
        if !full {
            (index, last) = (index + 1, None);
        }
    }
    let more = head(tx, ctx.workspace).await? > seq;
    Ok(Page { events, next: Cursor::at(seq), more })
}

async fn page(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scope: &Scope, after: Option<Uuid>, most: usize) -> Result<Vec<Uuid>> {
    let mut planner = Planner::new(ctx, catalog, tx.backend());
    let alias = planner.sql.alias();
    let mut conditions = vec![format!("{alias}.workspace_id = $1"), format!("{alias}.deleted_at IS NULL")];
    if let (Some(variant), Some(variants)) = (scope.variant, &scope.object.variants) {
        conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
    }
    if let Some(after) = after {
        conditions.push(format!("{alias}.id > {}", planner.sql.bind(after)));
    }
    conditions.extend(planner.reached(&scope.object, &alias));
    let filter = planner.filter(&scope.object, &alias, &scope.filter, false)?;
    if filter != "TRUE" {
        conditions.push(filter);
    }
    let sql =
        format!("SELECT {alias}.id FROM {} {alias} WHERE {} ORDER BY {alias}.id LIMIT {most}", scope.object.rows(), all_of(&conditions));
    let rows = tx.fetch_all(&sql, planner.sql.values).await?;
    Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
