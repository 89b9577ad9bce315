//! What of an event is shown: the members that were selected, with the record as it is now.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::SecondsFormat;
use entity::Micros;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{Cursor, Event, Kind, Place, Scope};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::platform::access::Sight;
use crate::records::read::page::MOST_ROWS;
use crate::records::read::{Plan, RootQuery};
use crate::records::selection::{Item, Merged, Selection, collect};

/// What somebody wants to be shown of events.
pub struct Shown<'a> {
    pub scopes: &'a [Scope],
    pub selection: &'a Selection,
    /// The type of an event: `DealChange`.
    pub type_name: &'a str,
    /// The member that is the record: `deal`; `record` where it can be of any object.
    pub record: &'a str,
    /// What cursors depend on besides the log.
    pub access: Option<&'a str>,
    /// When it is shown: what "today" means to whoever goes on from there.
    pub now: Micros,
}

/// An event on its way.
#[derive(Clone, Debug)]
pub struct Line<Text = String> {
    /// The last entry of the log that it tells of.
    pub seq: i64,
    /// Whether it tells of an entry, and not of what came by itself.
    pub logged: bool,
    /// Where whoever was told of it goes on.
    pub cursor: Text,
    pub json: Text,
}

impl From<Line> for Line<Arc<str>> {
    fn from(line: Line) -> Self {
        Self { seq: line.seq, logged: line.logged, cursor: line.cursor.into(), json: line.json.into() }
    }
}

impl Shown<'_> {
    /// Where whoever was told of an event goes on: before everything that they were not told yet. What lies in between they are
    /// told again.
    fn cursor(&self, event: &Event, untold: Option<i64>) -> String {
        match event.place {
            Some(last) => {
                Cursor { place: Place::Loading { scope: event.scope, last: Some(last) }, ..self.at(event.seq) }.write(self.access)
            }
            None => self.at(untold.map_or(event.seq, |first| event.seq.min(first - 1))).write(self.access),
        }
    }

    /// A place in the log, as of now.
    fn at(&self, seq: i64) -> Cursor {
        Cursor { seq, place: Place::Changes, at: self.now }
    }
}

type Records = HashMap<Uuid, String>;

/// Events as JSON, in their order. Those of records that are not there any more are left out: that they went is told
/// by an event of its own.
pub async fn show(ctx: &Ctx, catalog: &Catalog, tx: &Tx, shown: &Shown<'_>, events: &[Event]) -> Result<Vec<Line>> {
    let fields = collect(&[shown.selection], |_| true);
    let mut records: HashMap<&str, Records> = HashMap::new();
    for field in fields.iter().filter(|field| field.name == shown.record) {
        records.insert(field.key, read(ctx, catalog, tx, shown, field, events).await?);
    }
    let actors = actors(ctx, catalog, tx, &fields, events).await?;
    let mut out = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let there = records.values().all(|found| found.contains_key(&event.record));
        if matches!(event.kind, Kind::Entered | Kind::Updated) && !there {
            continue;
        }
        let mut json = String::with_capacity(256);
        let cursor = shown.cursor(event, events.get(index + 1..).unwrap_or_default().iter().map(|later| later.first).min());
        Told { ctx, shown, event, cursor: &cursor, records: &records, actors: &actors }.write(&fields, &mut json)?;
        out.push(Line { seq: event.seq, logged: event.entry.is_some(), cursor, json });
    }
    Ok(out)
}

/// Each event as JSON, for whoever is told of all of them, some time later. A record that is not seen any more has left.
pub async fn show_each(ctx: &Ctx, catalog: &Catalog, tx: &Tx, shown: &Shown<'_>, events: &[Event]) -> Result<Vec<String>> {
    let fields = collect(&[shown.selection], |_| true);
    let mut records: HashMap<&str, Records> = HashMap::new();
    for field in fields.iter().filter(|field| field.name == shown.record) {
        records.insert(field.key, read(ctx, catalog, tx, shown, field, events).await?);
    }
    // Whether it is seen is asked in any case.
    let seen: HashSet<Uuid> = match records.values().next() {
        Some(found) => found.keys().copied().collect(),
        None => {
            let id = Selection { items: vec![Item { key: "id".into(), name: "id".into(), ..Item::default() }] };
            let alone = Merged { key: "", name: "", arguments: &Map::new(), children: vec![&id] };
            read(ctx, catalog, tx, shown, &alone, events).await?.into_keys().collect()
        }
    };
    let actors = actors(ctx, catalog, tx, &fields, events).await?;
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        let left = Event { kind: Kind::Left, ..event.clone() };
        let event = if seen.contains(&event.record) { event } else { &left };
        let cursor = shown.cursor(event, None);
        let mut json = String::with_capacity(256);
        Told { ctx, shown, event, cursor: &cursor, records: &records, actors: &actors }.write(&fields, &mut json)?;
        out.push(json);
    }
    Ok(out)
}

/// An event that is about no record.
pub fn gap(ctx: &Ctx, shown: &Shown<'_>, kind: Kind, seq: i64) -> Result<Line> {
    let event = Event { kind, scope: 0, record: Uuid::nil(), seq, first: seq, entry: None, fields: Vec::new(), place: None };
    let fields = collect(&[shown.selection], |_| true);
    let mut json = String::new();
    let cursor = shown.cursor(&event, None);
    Told { ctx, shown, event: &event, cursor: &cursor, records: &HashMap::new(), actors: &HashMap::new() }.write(&fields, &mut json)?;
    Ok(Line { seq, logged: false, cursor, json })
}

/// The records that events are about.
async fn read(ctx: &Ctx, catalog: &Catalog, tx: &Tx, shown: &Shown<'_>, field: &Merged<'_>, events: &[Event]) -> Result<Records> {
    let mut records = Records::new();
    for (index, scope) in shown.scopes.iter().enumerate() {
        let mut ids: Vec<Uuid> = Vec::new();
        for event in events.iter().filter(|event| event.scope == index && matches!(event.kind, Kind::Entered | Kind::Updated)) {
            if !ids.contains(&event.record) {
                ids.push(event.record);
            }
        }
        for part in ids.chunks(MOST_ROWS) {
            let query = RootQuery::Several { object: &scope.object, variant: scope.variant, ids: part };
            records.extend(of_ids(ctx, catalog, tx, &query, &field.children).await?);
        }
    }
    Ok(records)
}

async fn of_ids(ctx: &Ctx, catalog: &Catalog, tx: &Tx, query: &RootQuery<'_>, children: &[&Selection]) -> Result<Records> {
    let selection = Selection { items: children.iter().flat_map(|selection| selection.items.iter().cloned()).collect() };
    let arguments = Map::new();
    let plan = Plan::new(ctx, catalog, tx.backend(), query, &arguments, &selection, None)?;
    let plan = plan.complete(ctx, catalog, tx, query, &arguments, &selection).await?;
    plan.run_each(tx).await
}

/// The members who did it, by the key under which they are asked for.
async fn actors(ctx: &Ctx, catalog: &Catalog, tx: &Tx, fields: &[Merged<'_>], events: &[Event]) -> Result<HashMap<String, Records>> {
    let mut found = HashMap::new();
    let members = || events.iter().filter_map(|event| event.entry.as_ref()).filter(|entry| entry.actor_kind == "MEMBER");
    for actor in fields.iter().filter(|field| field.name == "actor") {
        for member in collect(&actor.children, |_| true).iter().filter(|part| part.name == "member") {
            let mut ids: Vec<Uuid> = members().filter_map(|entry| entry.actor).collect();
            ids.sort_unstable();
            ids.dedup();
            let object = catalog.object("member").clone();
            let mut records = Records::new();
            for part in ids.chunks(MOST_ROWS) {
                let query = RootQuery::Several { object: &object, variant: None, ids: part };
                records.extend(of_ids(ctx, catalog, tx, &query, &member.children).await?);
            }
            found.insert(format!("{}.{}", actor.key, member.key), records);
        }
    }
    Ok(found)
}

/// One event on its way out.
struct Told<'a> {
    ctx: &'a Ctx,
    shown: &'a Shown<'a>,
    event: &'a Event,
    cursor: &'a str,
    records: &'a HashMap<&'a str, Records>,
    actors: &'a HashMap<String, Records>,
}

impl Told<'_> {
    fn write(&self, fields: &[Merged<'_>], out: &mut String) -> Result<()> {
        let (event, stays) = (self.event, matches!(self.event.kind, Kind::Entered | Kind::Updated));
        let about = !matches!(event.kind, Kind::Gap | Kind::SchemaChanged);
        // Whoever lost a record is told that, and nothing of how.
        let entry = event.entry.as_ref().filter(|_| stays);
        out.push('{');
        for (index, field) in fields.iter().enumerate() {
            let _ = write!(out, "{}{}:", if index > 0 { "," } else { "" }, text(field.key)?);
            match field.name {
                "__typename" => out.push_str(&text(self.shown.type_name)?),
                "kind" => out.push_str(&text(event.kind.as_str())?),
                "id" if about => out.push_str(&text(&event.record.to_string())?),
                "object" if about => match self.shown.scopes.get(event.scope) {
                    Some(scope) => out.push_str(&text(&scope.object.enum_name())?),
                    None => out.push_str("null"),
                },
                "cursor" => out.push_str(&text(self.cursor)?),
                "at" => {
                    let at = entry.map_or_else(|| self.ctx.now(), |entry| entry.at);
                    out.push_str(&text(&rfc3339(at))?);
                }
                "changedFields" => out.push_str(&serde_json::to_string(&self.changed(stays))?),
                "actor" => match entry {
                    Some(entry) => self.actor(entry, field, out)?,
                    None => out.push_str("null"),
                },
                name if name == self.shown.record => {
                    let found = self.records.get(field.key).and_then(|records| records.get(&event.record)).filter(|_| stays);
                    out.push_str(found.map_or("null", String::as_str));
                }
                "id" | "object" => out.push_str("null"),
                other => return Err(Error::fault(format!("an event has no member `{other}`"))),
            }
        }
        out.push('}');
        Ok(())
    }

    /// The changed fields that the caller sees whole.
    fn changed(&self, stays: bool) -> Vec<&str> {
        if !stays {
            return Vec::new();
        }
        let access = self.ctx.access.object(&self.shown.scopes[self.event.scope].object.name);
        self.event.fields.iter().map(String::as_str).filter(|name| access.field(name).sight == Sight::Full).collect()
    }

    fn actor(&self, entry: &super::Entry, field: &Merged<'_>, out: &mut String) -> Result<()> {
        out.push('{');
        for (index, part) in collect(&field.children, |_| true).iter().enumerate() {
            let _ = write!(out, "{}{}:", if index > 0 { "," } else { "" }, text(part.key)?);
            match part.name {
                "__typename" => out.push_str("\"Actor\""),
                "kind" => out.push_str(&text(&entry.actor_kind)?),
                "actorId" => out.push_str(&serde_json::to_string(&entry.actor.map_or(Json::Null, |id| id.to_string().into()))?),
                _ => {
                    let members = self.actors.get(&format!("{}.{}", field.key, part.key));
                    let found = members.and_then(|members| members.get(&entry.actor?));
                    out.push_str(found.map_or("null", String::as_str));
                }
            }
        }
        out.push('}');
        Ok(())
    }
}

fn text(value: &str) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

fn rfc3339(at: Micros) -> String {
    at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
