//! Reading from a replica without missing what one wrote oneself.
//!
//! After a request that writes, the nodes are told in Redis up to which place of the database's log its credential has
//! written. For as long as a replica may be behind, that credential's queries are read from the replica only if it has
//! come so far, and from the database otherwise. Whoever follows a list reads from the database: what they are told is
//! newer than what a replica may have.
//!
//! What is not known is read from the database: Redis does not answer, or it has not been told of all writes for long
//! enough. Of that it keeps a note of its own, which is gone if it forgot something.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::infra::bus::Bus;
use crate::infra::db::{Replica, Scope, Tx};

/// Where a credential has written to: the furthest of what several nodes say.
const NOTE: &str = r"
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
local place = math.max(known, tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', place), 'EX', ARGV[2])
return 1
";

/// The same when somebody reads: 0 if it wrote nothing lately, -1 if that is not known, because Redis has been told of
/// writes for a shorter time than it would have to remember them.
const LOOK: &str = r"
local now = tonumber(redis.call('TIME')[1])
local since = tonumber(redis.call('GET', KEYS[2]))
if not since then
  redis.call('SET', KEYS[2], string.format('%.0f', now))
  return -1
end
if now - since < tonumber(ARGV[1]) then return -1 end
return tonumber(redis.call('GET', KEYS[1]) or '0')
";

/// Since when Redis has been told.
const SINCE: &str = "wrote-since";

/// A place that no replica reaches: for whoever reads from the database.
const NEVER: i64 = 1 << 52;

/// How long the answer to a write may wait until the others know of it.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// Seconds for which it is known what a credential wrote, beyond those that a replica may be behind.
const SPARE: u64 = 10;

#[derive(Clone)]
pub struct ReadReplica {
    pub replica: Arc<Replica>,
    bus: Bus,
    /// For how many seconds it is known what a credential wrote.
    known_for: u64,
    /// Credentials that follow a list, and how many.
    following: Arc<Mutex<HashMap<String, usize>>>,
    /// Until when this node reads from the database, because the others could not be told of a write.
    doubted: Arc<Mutex<Option<Instant>>>,
}

/// Somebody follows a list for as long as this is held.
pub struct Following {
    credential: String,
    all: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.credential) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.credential);
            }
        }
    }
}

impl ReadReplica {
    /// Begins to watch a replica that may be so many seconds behind.
    pub fn new(replica: Replica, bus: Bus, most_behind: u64) -> Self {
        let made =
            Self { replica: Arc::new(replica), bus, known_for: most_behind + SPARE, following: Arc::default(), doubted: Arc::default() };
        tokio::spawn(Replica::watch(Arc::downgrade(&made.replica)));
        tokio::spawn(remember(Arc::downgrade(&made.following), made.bus.clone(), made.known_for));
        made
    }

    /// A snapshot of the replica in which everything is that the credential wrote; none if it has to be the database's.
    pub async fn begin(&self, scope: &Scope, credential: &str) -> Option<Tx> {
        if self.is_in_doubt() {
            return None;
        }
        let keys = [key(credential), SINCE.to_owned()];
        let place = self.bus.run(LOOK, &keys, &[self.known_for.to_string()]).await.filter(|place| *place >= 0)?;
        self.replica.begin(scope, (place > 0).then_some(place)).await
    }

    /// Tells all nodes that a credential has written just now. Whoever waits for it waits no longer than a moment; it goes
    /// on all the same until the others know, or have what was written.
    pub async fn note_write(&self, credential: String) {
        let this = self.clone();
        let noting = tokio::spawn(async move { this.note_until_known(&credential).await });
        if tokio::time::timeout(PATIENCE, noting).await.is_err() {
            tracing::warn!("the other nodes could not be told at once of a write: the writer's next queries there may miss it");
        }
    }

    async fn note_until_known(&self, credential: &str) {
        let begun = Instant::now();
        // What nobody knows is never reached.
        let place = self.replica.place().await.unwrap_or(NEVER);
        loop {
            if note(&self.bus, credential, place, self.known_for).await || self.replica.has(place).await {
                return;
            }
            *self.doubted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + Duration::from_secs(self.known_for));
            if begun.elapsed() > Duration::from_secs(self.known_for) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_in_doubt(&self) -> bool {
        let doubted = *self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        doubted.is_some_and(|until| Instant::now() < until)
    }

    /// A credential begins to follow a list: until it ends, its queries are read from the database.
    pub async fn follow(&self, credential: String) -> Following {
        *self.following.lock().unwrap_or_else(PoisonError::into_inner).entry(credential.clone()).or_default() += 1;
        let following = Following { credential, all: self.following.clone() };
        note(&self.bus, &following.credential, NEVER, self.known_for).await;
        following
    }
}

/// Tells the nodes again and again who follows a list, until nobody needs it any more.
async fn remember(following: Weak<Mutex<HashMap<String, usize>>>, bus: Bus, known_for: u64) {
    // From now on Redis is told of writes.
    bus.run_surely(LOOK, &[key(""), SINCE.to_owned()], &[known_for.to_string()]).await;
    loop {
        tokio::time::sleep(Duration::from_secs(known_for / 3)).await;
        let Some(following) = following.upgrade() else { return };
        let all: Vec<String> = following.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        drop(following);
        for credential in all {
            note(&bus, &credential, NEVER, known_for).await;
        }
    }
}

async fn note(bus: &Bus, credential: &str, place: i64, known_for: u64) -> bool {
    bus.run_surely(NOTE, &[key(credential)], &[place.to_string(), known_for.to_string()]).await.is_some()
}

fn key(credential: &str) -> String {
    format!("wrote:{credential}")
}
