//! Which records are in a caller's list.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Entry, Event, Kind, Scope};
use crate::catalog::{Catalog, Object};
use crate::error::Result;
use crate::infra::clock::Clock;
use crate::infra::db::{Backend, Tx};
use crate::platform::Ctx;
use crate::records::read::Planner;
use crate::records::read::past::Moment;
use crate::records::sql::all_of;

/// Ids that one statement asks about.
const AT_ONCE: usize = 1_000;

/// A statement about the records of a list, without its end: the planner, the name of the table, table and conditions.
pub(super) fn planned<'a>(
    ctx: &'a Ctx,
    catalog: &'a Catalog,
    backend: Backend,
    scope: &Scope,
    moment: Option<Moment>,
) -> Result<(Planner<'a>, String, String, Vec<String>)> {
    let mut planner = Planner::new(ctx, catalog, backend);
    if let Some(moment) = moment {
        planner.speak_of(moment);
    }
    let alias = planner.sql.alias();
    let mut conditions = vec![format!("{alias}.workspace_id = $1"), format!("{alias}.deleted_at IS NULL")];
    if let (Some(variant), Some(variants)) = (scope.variant, &scope.object.variants) {
        conditions.push(format!("{alias}.{} = '{}'", variants.field, variant.value));
    }
    conditions.extend(planner.reached(&scope.object, &alias));
    let filter = planner.filter(&scope.object, &alias, &scope.filter, false).map_err(|error| error.within("filter"))?;
    if filter != "TRUE" {
        conditions.push(filter);
    }
    let table = planner.table(&scope.object, &alias);
    Ok((planner, alias, table, conditions))
}

/// Statement and values that tell which records are in a list, of all or of some.
fn ids(
    ctx: &Ctx,
    catalog: &Catalog,
    backend: Backend,
    scope: &Scope,
    moment: Option<Moment>,
    among: Option<&[Uuid]>,
) -> Result<(String, Vec<sea_orm::Value>)> {
    let (mut planner, alias, table, mut conditions) = planned(ctx, catalog, backend, scope, moment)?;
    if let Some(among) = among {
        let among = planner.sql.bind_all(among.iter().map(|id| (*id).into()).collect());
        conditions.push(format!("{alias}.id IN ({among})"));
    }
    Ok((format!("SELECT {alias}.id FROM {table} WHERE {}", all_of(&conditions)), planner.sql.values))
}

/// Which records are in a list, of all or of some; now, or as it was.
pub(super) async fn matching(
    ctx: &Ctx,
    catalog: &Catalog,
    tx: &Tx,
    scope: &Scope,
    moment: Option<Moment>,
    among: Option<&[Uuid]>,
) -> Result<HashSet<Uuid>> {
    let mut found = HashSet::new();
    let parts: Vec<Option<&[Uuid]>> = among.map_or_else(|| vec![None], |among| among.chunks(AT_ONCE).map(Some).collect());
    for part in parts {
        let (sql, values) = ids(ctx, catalog, tx.backend(), scope, moment, part)?;
        for row in tx.fetch_all(&sql, values).await? {
            found.extend(row.uuid(0)?);
        }
    }
    Ok(found)
}

/// Whether some record of these is in a list now.
pub async fn is_in(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scope: &Scope, among: &[Uuid]) -> Result<bool> {
    Ok(!matching(ctx, catalog, tx, scope, None, Some(among)).await?.is_empty())
}

/// What else than the records themselves can move one into a list or out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Causes {
    /// Objects whose records the filter looks at.
    pub objects: BTreeSet<String>,
    /// Whether it looks at links.
    pub links: bool,
    /// Whether it says "today" or the like.
    pub time: bool,
}

impl Causes {
    pub fn of(ctx: &Ctx, catalog: &Catalog, backend: Backend, scope: &Scope) -> Result<Self> {
        let (sql, values) = ids(ctx, catalog, backend, scope, None, None)?;
        let word = |name: &str| sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name);
        // A table stands there by its name, the records of an own object as a select.
        let asks = |object: &Object| if object.own.is_some() { sql.contains(&*object.rows()) } else { word(&object.rows()) };
        let objects = catalog.objects().filter(|object| object.name != scope.object.name && asks(object));
        // Planned for another day, the statement has other values if it speaks of the day.
        let another = Ctx { clock: Clock::fixed_at(ctx.now().0 + ANOTHER_DAY), ..ctx.clone() };
        let (_, then) = ids(&another, catalog, backend, scope, None, None)?;
        let own_table_twice = sql.matches(&format!("{} ", scope.object.rows())).count() > 1;
        let mut objects: BTreeSet<String> = objects.map(|object| object.name.clone()).collect();
        if own_table_twice {
            objects.insert(scope.object.name.clone());
        }
        // What follows the records that it is linked to, asks about records of any object, or is left to the database to
        // decide: the statement does not say what moves it.
        let follows = scope.object.follows.is_some() && !ctx.access.sees_all(&scope.object.name);
        if follows || word("record") || ctx.access.policy().is_some_and(|policy| policy.left_to_database) {
            objects.extend(catalog.objects().map(|object| object.name.clone()));
            return Ok(Self { objects, links: true, time: then != values || follows });
        }
        Ok(Self { objects, links: word("record_link"), time: then != values })
    }

    /// Whether an entry may have moved other records than the one it is about.
    pub fn includes(&self, entry: &Entry) -> bool {
        self.objects.contains(&entry.object) || self.links && entry.is_link()
    }
}

/// Well over a year: every period that a filter can name is another then.
const ANOTHER_DAY: i64 = 400 * 86_400 * 1_000_000;

/// Whether every record of the object is in a list that is not deleted: then the log tells all.
pub(super) fn is_everything(ctx: &Ctx, scope: &Scope) -> bool {
    let filter = &scope.filter;
    (filter.is_null() || filter.as_object().is_some_and(serde_json::Map::is_empty))
        && scope.variant.is_none()
        && ctx.access.sees_all(&scope.object.name)
}

/// A list that is followed: which records are in it.
pub struct Members {
    pub scope: Scope,
    causes: Causes,
    /// None where every record is in it that is not deleted: then the log tells all.
    known: Option<HashSet<Uuid>>,
}

impl Members {
    /// Loads a list, as a snapshot has it.
    pub async fn load(ctx: &Ctx, catalog: &Catalog, tx: &Tx, scope: Scope) -> Result<Self> {
        let causes = Causes::of(ctx, catalog, tx.backend(), &scope)?;
        let known = if is_everything(ctx, &scope) { None } else { Some(matching(ctx, catalog, tx, &scope, None, None).await?) };
        Ok(Self { scope, causes, known })
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.known.as_ref().map_or(0, HashSet::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether entries of the log can have moved something.
    pub fn concerns(&self, entries: &[Arc<Entry>]) -> bool {
        entries.iter().any(|entry| entry.object == self.scope.object.name || self.causes.includes(entry))
    }

    /// Whether the passing of time can: what is shared may be shared until some day.
    pub fn depends_on_time(&self, ctx: &Ctx) -> bool {
        self.causes.time || ctx.access.policy().is_some_and(|policy| policy.shared.contains(&self.scope.object.name))
    }

    /// Whether shares and teams can.
    pub fn depends_on_access(&self, ctx: &Ctx) -> bool {
        !ctx.access.sees_all(&self.scope.object.name)
    }

    /// The list with every record named, where the log alone tells what is in it.
    pub async fn materialised(&self, ctx: &Ctx, catalog: &Catalog, tx: &Tx) -> Result<HashSet<Uuid>> {
        match &self.known {
            Some(known) => Ok(known.clone()),
            None => matching(ctx, catalog, tx, &self.scope, None, None).await,
        }
    }

    /// What entries of the log did to the list, and what is to be remembered of it once that is told; `anew`: it is loaded
    /// anew, because something else may have moved records. The snapshot must see the entries, and none after them;
    /// `(from, until)` are the places before and after.
    pub async fn follow(
        &self,
        (ctx, catalog, tx): (&Ctx, &Catalog, &Tx),
        entries: &[Arc<Entry>],
        anew: bool,
        (from, until): (i64, i64),
    ) -> Result<(Vec<Event>, Remember)> {
        let touched = Touched::of(&self.scope, entries);
        let Some(known) = &self.known else { return Ok((touched.of_everything(), Remember::Nothing)) };
        let mut events = Vec::new();
        if anew || entries.iter().any(|entry| self.causes.includes(entry)) {
            let now = matching(ctx, catalog, tx, &self.scope, None, None).await?;
            events.extend(moved(known, &now, (from, until), |id| !touched.last.contains_key(id)));
            touched.judge(|id| known.contains(id), |id| now.contains(id), &mut events);
            return Ok((events, Remember::All(now)));
        }
        if touched.ids.is_empty() {
            return Ok((events, Remember::Nothing));
        }
        let now = matching(ctx, catalog, tx, &self.scope, None, Some(&touched.ids)).await?;
        touched.judge(|id| known.contains(id), |id| now.contains(id), &mut events);
        Ok((events, Remember::Of(touched.ids, now)))
    }

    /// Remembers what was told.
    pub fn remember(&mut self, what: Remember) {
        let Some(known) = &mut self.known else { return };
        match what {
            Remember::Nothing => {}
            Remember::All(now) => *known = now,
            Remember::Of(touched, now) => {
                for id in touched {
                    if now.contains(&id) {
                        known.insert(id);
                    } else {
                        known.remove(&id);
                    }
                }
            }
        }
    }
}

/// What is to be remembered of a list when its events are told.
pub enum Remember {
    Nothing,
    /// Of these records, those that are in it.
    Of(Vec<Uuid>, HashSet<Uuid>),
    All(HashSet<Uuid>),
}

/// Records that something else than a change of theirs moved into a list or out of it, between two places in the log.
pub fn moved(was: &HashSet<Uuid>, is: &HashSet<Uuid>, (from, until): (i64, i64), counts: impl Fn(&Uuid) -> bool) -> Vec<Event> {
    let moved = was.symmetric_difference(is).filter(|id| counts(id));
    let event = |id: &Uuid| Event {
        kind: if is.contains(id) { Kind::Entered } else { Kind::Left },
        scope: 0,
        record: *id,
        seq: until,
        first: from.saturating_add(1).min(until),
        entry: None,
        fields: Vec::new(),
        place: None,
    };
    moved.map(event).collect()
}

/// The records of a scope that entries of the log are about, in the order of their last entries.
pub(super) struct Touched {
    pub ids: Vec<Uuid>,
    pub first: HashMap<Uuid, Arc<Entry>>,
    pub last: HashMap<Uuid, Arc<Entry>>,
    fields: HashMap<Uuid, Vec<String>>,
}

impl Touched {
    pub fn of(scope: &Scope, entries: &[Arc<Entry>]) -> Self {
        let mut touched = Self { ids: Vec::new(), first: HashMap::new(), last: HashMap::new(), fields: HashMap::new() };
        for entry in entries.iter().filter(|entry| entry.object == scope.object.name) {
            touched.first.entry(entry.record).or_insert_with(|| entry.clone());
            touched.last.insert(entry.record, entry.clone());
            let fields = touched.fields.entry(entry.record).or_default();
            for name in &entry.fields {
                if !fields.contains(name) {
                    fields.push(name.clone());
                }
            }
        }
        touched.ids = touched.last.keys().copied().collect();
        touched.ids.sort_by_key(|id| touched.last[id].seq);
        touched
    }

    fn event(&self, id: Uuid, kind: Kind) -> Event {
        let entry = self.last.get(&id).cloned();
        let fields = self.fields.get(&id).cloned().unwrap_or_default();
        let seq = |entry: Option<&Arc<Entry>>| entry.map_or(0, |entry| entry.seq);
        Event { kind, scope: 0, record: id, seq: seq(entry.as_ref()), first: seq(self.first.get(&id)), entry, fields, place: None }
    }

    /// What happened to each, by whether it was in the list and whether it is.
    pub fn judge(&self, was: impl Fn(&Uuid) -> bool, is: impl Fn(&Uuid) -> bool, events: &mut Vec<Event>) {
        for id in &self.ids {
            let kind = match (was(id), is(id)) {
                (false, true) => Kind::Entered,
                (true, true) => Kind::Updated,
                (true, false) => Kind::Left,
                (false, false) => continue,
            };
            events.push(self.event(*id, kind));
        }
    }

    /// What each of the entries did: the first moved the record in, if it was not there before, and the last moved it out.
    pub fn judge_each(&self, entries: &[Arc<Entry>], was: impl Fn(&Uuid) -> bool, is: impl Fn(&Uuid) -> bool, events: &mut Vec<Event>) {
        for entry in entries {
            let id = entry.record;
            let Some((first, last)) = self.first.get(&id).zip(self.last.get(&id)) else { continue };
            let kind = match (was(&id), is(&id)) {
                (false, false) => continue,
                (false, true) if first.seq == entry.seq => Kind::Entered,
                (true, false) if last.seq == entry.seq => Kind::Left,
                _ => Kind::Updated,
            };
            events.push(Event { kind, ..Event::of_entry(entry) });
        }
    }

    /// The same where every record is in the list that is not deleted.
    pub fn of_everything(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.judge(|id| !self.first[id].begins(), |id| !self.last[id].ends(), &mut events);
        events
    }
}
