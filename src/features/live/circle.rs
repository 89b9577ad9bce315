//! Those of a room who see the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entity::Micros;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Renew, Told, Viewer, Wanted};
use crate::error::{Error, Result};
use crate::infra::db::{Db, Mode, Tx};
use crate::platform::audit;
use crate::records::feed::{self, Entry, Event, Kind, Line, Members, Remember, Scope, Shown, gap, moved, show};

/// Which circle somebody sits in: everything that what they see depends on.
pub fn circle_of(viewer: &Viewer) -> String {
    let Viewer { ctx, catalog } = viewer;
    let access = ctx.access.policy().map_or_else(String::new, |policy| policy.fingerprint());
    // Who reads an encrypted field stands in the audit, so nobody reads it for another.
    let reader = ctx.secrets.as_ref().and(ctx.actor.id).map(|id| id.to_string()).unwrap_or_default();
    let (zone, currency) = (ctx.time_zone.name(), &ctx.home_currency);
    format!("{access} {} {zone} {currency} {reader}", catalog.version)
}

pub struct Circle {
    pub viewer: Viewer,
    /// The last entry of the log that everybody here was told of.
    pub position: i64,
    lists: HashMap<String, Members>,
    audiences: HashMap<String, Audience>,
}

/// Those who follow the same lists with the same selection.
struct Audience {
    wanted: Arc<Wanted>,
    lists: Vec<String>,
    listeners: Vec<Listener>,
}

pub struct Listener {
    pub sender: mpsc::Sender<Told>,
    pub renew: Renew,
    pub wanted: Arc<Wanted>,
    pub too_slow: Arc<AtomicBool>,
    /// What was told by then is not told again.
    pub from: i64,
}

impl Listener {
    /// Whether whoever listens is there still, after being told.
    fn tell(&self, line: &Line<Arc<str>>) -> bool {
        if line.logged && line.seq <= self.from {
            return !self.sender.is_closed();
        }
        match self.sender.try_send(Told::Event(line.clone())) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.too_slow.store(true, Ordering::Relaxed);
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    fn fail(&self, why: &Error) {
        // Whoever's queue is full is let go all the same.
        let _ = self.sender.try_send(Told::Failed(why.clone()));
    }
}

/// What there is to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Shares or teams may have changed.
    pub access: bool,
    /// Time passed.
    pub time: bool,
}

impl Circle {
    pub fn new(viewer: Viewer, position: i64) -> Self {
        Self { viewer, position, lists: HashMap::new(), audiences: HashMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.audiences.is_empty()
    }

    pub fn remembered(&self) -> usize {
        self.lists.values().map(Members::len).sum()
    }

    pub fn depends_on_time(&self) -> bool {
        self.lists.values().any(|list| list.depends_on_time(&self.viewer.ctx))
    }

    pub fn depends_on_access(&self) -> bool {
        self.lists.values().any(|list| list.depends_on_access(&self.viewer.ctx))
    }

    /// Whether entries of the log can matter to somebody here.
    pub fn concerns(&self, entries: &[Arc<Entry>]) -> bool {
        self.lists.values().any(|list| list.concerns(entries))
    }

    pub async fn begin(&self, db: &Db) -> Result<Tx> {
        Ok(db.begin(&self.viewer.ctx.scope(), Mode::Read).await?)
    }

    /// Loads the lists that somebody follows and that nobody here did so far.
    pub async fn load(&mut self, tx: &Tx, wanted: &Wanted) -> Result<()> {
        for scope in &wanted.scopes {
            let key = scope.key();
            if !self.lists.contains_key(&key) {
                let members = Members::load(&self.viewer.ctx, &self.viewer.catalog, tx, scope.clone()).await?;
                self.lists.insert(key, members);
            }
        }
        Ok(())
    }

    pub fn seat(&mut self, mut listener: Listener) {
        let wanted = listener.wanted.clone();
        let lists: Vec<String> = wanted.scopes.iter().map(Scope::key).collect();
        let audience = Audience { wanted, lists, listeners: Vec::new() };
        let audience = self.audiences.entry(audience.key()).or_insert(audience);
        // Those who want the same keep it once.
        listener.wanted = audience.wanted.clone();
        audience.listeners.push(listener);
    }

    /// What entries of the log, and whatever else happened, did to the lists here; everybody is told. As long as something
    /// fails nothing is told and nothing is remembered: it is tried again, without whom it failed for.
    pub async fn advance(&mut self, db: &Db, tx: &Tx, entries: &[Arc<Entry>], until: i64, look: Look) -> Result<()> {
        let viewer = self.viewer.clone();
        let mut happened: HashMap<String, (Vec<Event>, Remember)> = HashMap::new();
        let keys: Vec<String> = self.lists.keys().cloned().collect();
        for key in keys {
            let Some(list) = self.lists.get(&key) else { continue };
            let anew = look.time && list.depends_on_time(&viewer.ctx) || look.access && list.depends_on_access(&viewer.ctx);
            if !anew && !list.concerns(entries) {
                continue;
            }
            let followed = list.follow((&viewer.ctx, &viewer.catalog, tx), entries, anew, (self.position, until)).await;
            match followed {
                Ok(followed) => drop(happened.insert(key, followed)),
                Err(error) => {
                    self.fail(|audience| audience.lists.contains(&key), &error);
                    return Err(error);
                }
            }
        }
        let happens = happened.values().any(|(events, _)| !events.is_empty());
        let sight = if happens { feed::sight(&viewer.ctx, tx).await? } else { None };
        let mut told: Vec<(String, Vec<Line<Arc<str>>>)> = Vec::new();
        for (key, audience) in &self.audiences {
            let mut events: Vec<Event> = Vec::new();
            for (index, list) in audience.lists.iter().enumerate() {
                let of_list = happened.get(list).map_or(&[][..], |(events, _)| events);
                events.extend(of_list.iter().map(|event| Event { scope: index, ..event.clone() }));
            }
            events.sort_by_key(|event| event.seq);
            match self.show(tx, &audience.wanted, sight.as_deref(), &events).await {
                Ok(lines) => told.push((key.clone(), lines)),
                Err(error) => {
                    let key = key.clone();
                    self.fail(|audience| audience.key() == key, &error);
                    return Err(error);
                }
            }
        }
        account(db, &viewer).await?;
        for (key, lines) in told {
            if let Some(audience) = self.audiences.get_mut(&key) {
                audience.listeners.retain(|listener| lines.iter().all(|line| listener.tell(line)));
            }
        }
        for (key, (_, remember)) in happened {
            if let Some(list) = self.lists.get_mut(&key) {
                list.remember(remember);
            }
        }
        self.position = until;
        Ok(())
    }

    /// Events as somebody wants them, a part at a time.
    async fn show(&self, tx: &Tx, wanted: &Wanted, sight: Option<&str>, events: &[Event]) -> Result<Vec<Line<Arc<str>>>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let Viewer { ctx, catalog } = &self.viewer;
        let lines = show(ctx, catalog, tx, &wanted.shown(sight, ctx.now()), events).await?;
        Ok(lines.into_iter().map(Into::into).collect())
    }

    /// Lets those go for whom it does not work.
    fn fail(&mut self, whom: impl Fn(&Audience) -> bool, error: &Error) {
        self.audiences.retain(|_, audience| {
            let fails = whom(audience);
            if fails {
                audience.listeners.iter().for_each(|listener| listener.fail(error));
            }
            !fails
        });
        self.tidy();
    }

    /// Lets those go who are not there any more, and forgets the lists that nobody follows.
    pub fn tidy(&mut self) {
        for audience in self.audiences.values_mut() {
            audience.listeners.retain(|listener| !listener.sender.is_closed());
        }
        self.audiences.retain(|_, audience| !audience.listeners.is_empty());
        let followed: HashSet<&String> = self.audiences.values().flat_map(|audience| &audience.lists).collect();
        self.lists.retain(|key, _| followed.contains(key));
    }

    /// Takes everybody out who, looked at again, sits in another circle or is not let in any more: with what they were
    /// in the middle of.
    pub async fn leave(&mut self, own: &str) -> Vec<(Listener, Viewer)> {
        let mut leaving = Vec::new();
        for audience in self.audiences.values_mut() {
            for listener in std::mem::take(&mut audience.listeners) {
                match (listener.renew)().await {
                    Ok(viewer) if circle_of(&viewer) == own => audience.listeners.push(listener),
                    Ok(viewer) => leaving.push((listener, viewer)),
                    Err(error @ Error::Refused(_)) => listener.fail(&error),
                    // Whoever could not be looked at stays until they can.
                    Err(Error::Fault(_)) => audience.listeners.push(listener),
                }
            }
        }
        leaving
    }

    /// The records that somebody's list had, who leaves.
    pub async fn had(&self, tx: &Tx, wanted: &Wanted) -> Result<Vec<HashSet<Uuid>>> {
        let mut had = Vec::new();
        for scope in &wanted.scopes {
            if let Some(list) = self.lists.get(&scope.key()) {
                had.push(list.materialised(&self.viewer.ctx, &self.viewer.catalog, tx).await?);
            }
        }
        Ok(had)
    }

    /// Tells somebody who comes from another circle, where they were told all up to a place, what is different here.
    pub async fn welcome(&self, tx: &Tx, listener: &Listener, (had, at): (&[HashSet<Uuid>], i64), schema_changed: bool) -> Result<()> {
        let Viewer { ctx, catalog } = &self.viewer;
        let wanted = &listener.wanted;
        let access = feed::sight(ctx, tx).await?;
        let shown = wanted.shown(access.as_deref(), ctx.now());
        let seq = self.position.max(listener.from);
        if schema_changed {
            listener.tell(&gap(ctx, &shown, Kind::SchemaChanged, at)?.into());
        }
        if at != self.position {
            // What happened in between they were not told, and are not told here.
            listener.tell(&gap(ctx, &shown, Kind::Gap, seq)?.into());
            return Ok(());
        }
        let mut events = Vec::new();
        for (index, (scope, had)) in wanted.scopes.iter().zip(had).enumerate() {
            let Some(list) = self.lists.get(&scope.key()) else { continue };
            let has = list.materialised(ctx, catalog, tx).await?;
            events.extend(moved(had, &has, (seq, seq), |_| true).into_iter().map(|event| Event { scope: index, ..event }));
        }
        for line in self.show(tx, wanted, access.as_deref(), &events).await? {
            listener.tell(&line);
        }
        Ok(())
    }
}

impl Wanted {
    pub fn shown<'a>(&'a self, access: Option<&'a str>, now: Micros) -> Shown<'a> {
        Shown { scopes: &self.scopes, selection: &self.selection, type_name: &self.type_name, record: &self.record, access, now }
    }
}

impl Audience {
    fn key(&self) -> String {
        format!("{} {}", self.lists.join(" "), self.wanted.key)
    }
}

/// Who read encrypted fields stands in the audit.
pub async fn account(db: &Db, viewer: &Viewer) -> Result<()> {
    let opened = viewer.ctx.opened.take();
    if opened.is_empty() {
        return Ok(());
    }
    let tx = db.begin(&viewer.ctx.system_scope(), Mode::Write).await?;
    audit::append(&tx, &audit::Event::of(&viewer.ctx, audit::Action::SensitiveRead, None, serde_json::json!(opened))).await?;
    tx.commit().await?;
    Ok(())
}
