//! Live lists: whoever subscribes is told what happens to the records of their lists as soon as it is committed.
//!
//! A commit wakes the *room* of its workspace ([`room`]), on this node directly and on the others by the bus. The room reads the log
//! once for everybody in it. Who sees the same sits in one *circle* ([`circle`]): there each list that somebody follows is
//! asked about once for a batch of changes, and each selection is read once, however many listen. Between circles nothing
//! is shared, so nobody is told what another may see.
//!
//! What moves records without touching them is looked at too: shares and roles when they change, "today" every two
//! seconds, related records with every change of theirs.

mod circle;
pub mod follow;
mod room;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use entity::Micros;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::infra::db::Db;
use crate::infra::signals::{Signals, Topic};
use crate::platform::Ctx;
use crate::records::feed::{Line, Reach, Scope};
use crate::records::selection::Selection;

pub use circle::account;
pub use follow::{Follow, Next};

use room::{Command, Room};

/// What somebody follows, and what they want to be shown of it.
pub struct Wanted {
    pub scopes: Vec<Scope>,
    pub selection: Selection,
    /// The type of an event.
    pub type_name: String,
    /// The member of an event that is the record.
    pub record: String,
    /// Tells selections apart: those with the same key are the same.
    pub key: String,
}

/// Who follows, as of now.
#[derive(Clone)]
pub struct Viewer {
    pub ctx: Ctx,
    pub catalog: Arc<Catalog>,
}

/// Looks again who somebody is, and what they may see.
pub type Renew = Arc<dyn Fn() -> BoxFuture<'static, Result<Viewer>> + Send + Sync>;

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub enum Told {
    Event(Line<Arc<str>>),
    /// It cannot go on.
    Failed(Error),
}

/// Events that wait for a subscriber who is slow; whoever is slower is let go.
const WAITING: usize = 256;

/// Somebody's place in a room.
pub struct Seat {
    told: mpsc::Receiver<Told>,
    /// The last entry of the log before the first that will be told.
    pub from: i64,
    too_slow: Arc<AtomicBool>,
}

impl Seat {
    /// What is told next; none when there is nothing more.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// Whether the end came because too much was waiting.
    pub fn was_too_slow(&self) -> bool {
        self.too_slow.load(Ordering::Relaxed)
    }
}

/// The rooms of this node.
#[derive(Clone)]
pub struct Live(Arc<Rooms>);

struct Rooms {
    db: Db,
    /// How many days back somebody is told what they missed; 0: however far.
    feed_days: u32,
    rooms: Mutex<HashMap<Uuid, mpsc::UnboundedSender<Command>>>,
}

impl Live {
    /// Opens the house: from now on what is committed is heard.
    pub fn open(db: Db, signals: &Signals, feed_days: u32) -> Self {
        let rooms = Arc::new(Rooms { db, feed_days, rooms: Mutex::default() });
        let (house, mut heard) = (Arc::downgrade(&rooms), signals.listen());
        tokio::spawn(async move {
            while let Some(signal) = heard.next().await {
                let Some(rooms) = house.upgrade() else { return };
                let everywhere = signal.topic == Topic::Everything;
                let open = rooms.rooms.lock().unwrap_or_else(PoisonError::into_inner);
                for (_, room) in open.iter().filter(|(of, _)| everywhere || **of == signal.of) {
                    // A room that just closed needs no word.
                    let _ = room.send(Command::Look(signal.topic));
                }
            }
        });
        Self(rooms)
    }

    /// How far back somebody who comes now is told what they missed.
    pub fn reach(&self, now: Micros) -> Reach {
        let since = match self.0.feed_days {
            0 => i64::MIN,
            days => now.0 - i64::from(days) * 86_400_000_000,
        };
        Reach { most: follow::MOST_MISSED, since: Micros(since) }
    }

    /// Takes a seat in the room of the viewer's workspace.
    pub async fn join(&self, viewer: Viewer, wanted: Arc<Wanted>, renew: Renew) -> Result<Seat> {
        // A room that closes as somebody comes is opened again.
        for _ in 0..3 {
            let (sender, told) = mpsc::channel(WAITING);
            let (reply, answer) = oneshot::channel();
            let too_slow = Arc::new(AtomicBool::new(false));
            let joining = room::Joining {
                viewer: viewer.clone(),
                wanted: wanted.clone(),
                renew: renew.clone(),
                sender,
                too_slow: too_slow.clone(),
                reply,
            };
            if self.room(viewer.ctx.workspace).send(Command::Join(Box::new(joining))).is_ok()
                && let Ok(from) = answer.await
            {
                return Ok(Seat { told, from: from?, too_slow });
            }
        }
        Err(Error::fault("a room of live lists closes again and again"))
    }

    fn room(&self, workspace: Uuid) -> mpsc::UnboundedSender<Command> {
        let mut rooms = self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = rooms.get(&workspace).filter(|open| !open.is_closed()) {
            return open.clone();
        }
        let (sender, commands) = mpsc::unbounded_channel();
        tokio::spawn(Room::new(self.0.db.clone(), workspace).run(commands));
        rooms.retain(|_, open| !open.is_closed());
        rooms.insert(workspace, sender.clone());
        sender
    }
}
