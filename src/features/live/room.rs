//! The live lists of one workspace, as long as somebody follows one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use uuid::Uuid;

use super::circle::{Circle, Listener, Look, circle_of};
use super::{Renew, Told, Viewer, Wanted};
use crate::error::{Error, Result};
use crate::infra::db::{Db, Mode, Scope};
use crate::infra::signals::Topic;
use crate::records::feed::{self, Entry};

pub enum Command {
    Look(Topic),
    Join(Box<Joining>),
}

pub struct Joining {
    pub viewer: Viewer,
    pub wanted: Arc<Wanted>,
    pub renew: Renew,
    pub sender: mpsc::Sender<Told>,
    pub too_slow: Arc<AtomicBool>,
    /// Where the last entry is told before the first of which they will be told.
    pub reply: oneshot::Sender<Result<i64>>,
}

/// How often it is looked whether time moved something, and whether words of other nodes were missed.
const PULSE: Duration = Duration::from_secs(2);
/// How often everybody's right to be here is looked at without a word.
const REVIEW: u32 = 15;
/// Entries of the log read in one go.
const BATCH: usize = 1_000;
/// Words and newcomers that are taken before it is looked again.
const PATIENCE: u32 = 100;
/// How often a newcomer is let wait for a quiet moment.
const TRIES: u32 = 5;
/// Circles that are looked at side by side.
const SIDE_BY_SIDE: usize = 4;
/// Records that one room remembers at most.
const MOST_REMEMBERED: usize = 2_000_000;

pub struct Room {
    db: Db,
    workspace: Uuid,
    position: Option<i64>,
    circles: HashMap<String, Circle>,
}

impl Room {
    pub fn new(db: Db, workspace: Uuid) -> Self {
        Self { db, workspace, position: None, circles: HashMap::new() }
    }

    pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut pulse = interval_at(Instant::now() + PULSE, PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut beats, mut due, mut closing, mut waiting) = (0_u32, Due::default(), false, 0_u32);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    // A room that closes lets nobody in: they open another one.
                    Some(Command::Join(joining)) if !closing => self.join(*joining).await,
                    Some(Command::Join(_)) => {}
                    Some(Command::Look(topic)) => due.add(topic),
                    None => return,
                },
                _ = pulse.tick() => {
                    beats += 1;
                    self.circles.values_mut().for_each(Circle::tidy);
                    self.circles.retain(|_, circle| !circle.is_empty());
                    if self.circles.is_empty() && commands.is_empty() {
                        commands.close();
                        closing = true;
                    }
                    due.time = true;
                    // What is remembered of rights for a moment may have been older than the word of their change.
                    due.again = due.again.saturating_sub(1);
                    due.review |= due.again > 0 || beats % REVIEW == 0;
                }
            }
            // What came meanwhile is looked at together, unless too much comes.
            waiting += 1;
            if commands.is_empty() || waiting > PATIENCE {
                waiting = 0;
                let now = Due { again: due.again, ..Due::default() };
                if let Err(error) = self.look(std::mem::replace(&mut due, now)).await {
                    tracing::warn!("the live lists of workspace {} wait: {error}", self.workspace);
                    (due.access, due.time, due.review) = (true, true, true);
                }
            }
        }
    }

    async fn join(&mut self, joining: Joining) {
        let Joining { viewer, wanted, renew, sender, too_slow, reply } = joining;
        let from = match self.prepare(viewer, &wanted).await {
            Ok((circle, from)) => {
                if let Some(circle) = self.circles.get_mut(&circle) {
                    circle.seat(Listener { sender, renew, wanted, too_slow, from });
                }
                Ok(from)
            }
            Err(error) => Err(error),
        };
        // Whoever asked may be gone.
        let _ = reply.send(from);
    }

    /// Loads what somebody follows: which circle they sit in, and from where they are told.
    async fn prepare(&mut self, viewer: Viewer, wanted: &Wanted) -> Result<(String, i64)> {
        let key = circle_of(&viewer);
        for attempt in 1.. {
            let tx = self.db.begin(&viewer.ctx.scope(), Mode::Read).await?;
            let head = feed::head(&tx, self.workspace).await?;
            let stands = self.circles.get(&key).map_or(head, |circle| circle.position);
            if stands < head && attempt < TRIES {
                // What is told from now on is to follow on what a newcomer can have read.
                tx.commit().await?;
                self.advance(Look::default()).await?;
                continue;
            }
            self.position.get_or_insert(head);
            let circle = self.circles.entry(key.clone()).or_insert_with(|| Circle::new(viewer, head));
            circle.load(&tx, wanted).await?;
            tx.commit().await?;
            let remembered: usize = self.circles.values().map(Circle::remembered).sum();
            if remembered > MOST_REMEMBERED {
                self.circles.values_mut().for_each(Circle::tidy);
                return Err(Error::bad_request("Too many records are followed in this workspace at the moment: narrow the filter."));
            }
            return Ok((key, stands.max(head)));
        }
        Err(Error::fault("nobody tries for ever"))
    }

    /// Looks at everything that there is a word of.
    async fn look(&mut self, due: Due) -> Result<()> {
        self.advance(Look { access: due.access, time: due.time }).await?;
        if due.review { self.review().await } else { Ok(()) }
    }

    /// Brings all circles up to the end of the log.
    async fn advance(&mut self, look: Look) -> Result<()> {
        let Some(position) = self.position.filter(|_| !self.circles.is_empty()) else { return Ok(()) };
        let mut from = self.circles.values().map(|circle| circle.position).min().unwrap_or(position);
        loop {
            let entries = read(&self.db, self.workspace, from).await?;
            let full = entries.len() == BATCH;
            let until = entries.last().map_or(from, |entry| entry.seq);
            let look = if full { Look::default() } else { look };
            let (db, entries) = (&self.db, &entries);
            let advances: Vec<BoxFuture<'_, Result<()>>> =
                self.circles.values_mut().map(|circle| advance(db, circle, entries, until, look).boxed()).collect();
            let done: Vec<Result<()>> = stream::iter(advances).buffer_unordered(SIDE_BY_SIDE).collect().await;
            self.position = Some(until.max(position));
            done.into_iter().collect::<Result<()>>()?;
            if !full {
                return Ok(());
            }
            from = until;
        }
    }

    /// Looks again at everybody who is here: those who see something else by now get another place, and are told the
    /// difference.
    async fn review(&mut self) -> Result<()> {
        let mut leaving = Vec::new();
        for (key, circle) in &mut self.circles {
            for (listener, viewer) in circle.leave(key).await {
                leaving.push((listener, viewer, key.clone()));
            }
        }
        for (listener, viewer, old) in leaving {
            let sender = listener.sender.clone();
            if let Err(error) = self.move_over(listener, viewer, &old).await {
                let _ = sender.try_send(Told::Failed(error));
            }
        }
        self.circles.values_mut().for_each(Circle::tidy);
        self.circles.retain(|_, circle| !circle.is_empty());
        Ok(())
    }

    async fn move_over(&mut self, listener: Listener, viewer: Viewer, old: &str) -> Result<()> {
        let gone = || Error::bad_request("What was followed is not there any more.");
        let circle = self.circles.get(old).ok_or_else(gone)?;
        let (at, version) = (circle.position, circle.viewer.catalog.version);
        let tx = circle.begin(&self.db).await?;
        let had = circle.had(&tx, &listener.wanted).await?;
        tx.commit().await?;
        let schema_changed = version != viewer.catalog.version;
        let wanted = in_catalog(&listener.wanted, &viewer).ok_or_else(gone)?;
        let listener = Listener { wanted: wanted.clone(), ..listener };
        let (key, _) = self.prepare(viewer, &wanted).await?;
        let circle = self.circles.get_mut(&key).ok_or_else(gone)?;
        let tx = circle.begin(&self.db).await?;
        circle.welcome(&tx, &listener, (&had, at), schema_changed).await?;
        tx.commit().await?;
        circle.seat(listener);
        Ok(())
    }
}

/// Brings a circle up to a place in the log.
async fn advance(db: &Db, circle: &mut Circle, entries: &[Arc<Entry>], until: i64, look: Look) -> Result<()> {
    let first = entries.partition_point(|entry| entry.seq <= circle.position);
    let entries = &entries[first..];
    let looks = look.time && circle.depends_on_time() || look.access && circle.depends_on_access();
    if !looks && !circle.concerns(entries) {
        circle.position = circle.position.max(until);
        return Ok(());
    }
    let tx = circle.begin(db).await?;
    // Lists are asked about as of the last entry that is told: what came since the log was read is told as well.
    let head = feed::head(&tx, circle.viewer.ctx.workspace).await?;
    let mut entries = entries.to_vec();
    if head > until {
        entries.extend(read(db, circle.viewer.ctx.workspace, until).await?.into_iter().filter(|entry| entry.seq <= head));
    }
    let until = entries.last().map_or(until, |entry| entry.seq).max(circle.position);
    circle.advance(db, &tx, &entries, until, look).await?;
    tx.commit().await?;
    Ok(())
}

async fn read(db: &Db, workspace: Uuid, after: i64) -> Result<Vec<Arc<Entry>>> {
    let tx = db.begin(&Scope::workspace(workspace), Mode::Read).await?;
    let entries = feed::read(&tx, workspace, after, BATCH).await?;
    tx.commit().await?;
    Ok(entries.into_iter().map(Arc::new).collect())
}

/// The same lists in the catalog as it is now; none if one of them is gone.
fn in_catalog(wanted: &Arc<Wanted>, viewer: &Viewer) -> Option<Arc<Wanted>> {
    let mut scopes = Vec::with_capacity(wanted.scopes.len());
    for scope in &wanted.scopes {
        let object = viewer.catalog.find(&scope.object.name)?.clone();
        scopes.push(feed::Scope { object, ..scope.clone() });
    }
    let Wanted { selection, type_name, record, key, .. } = &**wanted;
    Some(Arc::new(Wanted { scopes, selection: selection.clone(), type_name: type_name.clone(), record: record.clone(), key: key.clone() }))
}

/// What there is to look at.
#[derive(Default)]
struct Due {
    access: bool,
    time: bool,
    review: bool,
    /// So many pulses more everybody is looked at again.
    again: u32,
}

impl Due {
    fn add(&mut self, topic: Topic) {
        match topic {
            Topic::Records => {}
            Topic::Access | Topic::Catalog | Topic::Everything => (self.access, self.review, self.again) = (true, true, 3),
        }
    }
}
