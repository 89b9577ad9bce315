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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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

/// A credential follows a list.
const FOLLOW: &str = "redis.call('SET', KEYS[1], '1', 'EX', ARGV[1]) return 1";

/// The same when somebody reads: 0 if it wrote nothing lately. -1 if it follows a list; also if it is not known what it
/// wrote, because this Redis has been told of writes for a shorter time than it would have to remember them.
const LOOK: &str = r"
local now = tonumber(redis.call('TIME')[1])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '-'
local since = redis.call('GET', KEYS[3])
local began = since and string.match(since, '^' .. run .. ' (%d+)$')
if not began then
  redis.call('SET', KEYS[3], run .. ' ' .. string.format('%.0f', now))
  return -1
end
if now - tonumber(began) < tonumber(ARGV[1]) or redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
return tonumber(redis.call('GET', KEYS[1]) or '0')
";

/// Since when Redis has been told, and which run of it.
const SINCE: &str = "wrote-since";

/// A place that no replica reaches: where it is not known how far somebody wrote.
const NEVER: i64 = 1 << 52;

/// How long it may take to find out how far somebody wrote.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the nodes are told what they could not be told before.
const PULSE: Duration = Duration::from_secs(1);

/// For so many seconds it is known what a credential wrote: longer than any replica that is read from may be behind.
const REMEMBERED: u64 = 660;

/// Seconds that Redis has to have been told of writes, beyond those that a replica may be behind.
const SPARE: u64 = 10;

#[derive(Clone)]
pub struct ReadReplica {
    pub replica: Arc<Replica>,
    bus: Bus,
    /// For how many seconds Redis has to have been told.
    known_for: u64,
    common: Arc<Mutex<Common>>,
}

/// What all requests of this node know of each other.
#[derive(Default)]
struct Common {
    /// Credentials that follow a list, and how many.
    following: HashMap<String, usize>,
    /// Who wrote up to where, as far as the other nodes could not be told.
    untold: HashMap<String, i64>,
    /// Until when this node reads from the database, because of that.
    doubted: Option<Instant>,
}

/// Somebody follows a list for as long as this is held.
pub struct Following {
    credential: String,
    common: Arc<Mutex<Common>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut common = held(&self.common);
        if let Some(count) = common.following.get_mut(&self.credential) {
            *count -= 1;
            if *count == 0 {
                common.following.remove(&self.credential);
            }
        }
    }
}

impl ReadReplica {
    /// Begins to watch a replica that may be so many seconds behind.
    pub fn new(replica: Replica, bus: Bus, most_behind: u64) -> Self {
        let made = Self { replica: Arc::new(replica), bus, known_for: most_behind + SPARE, common: Arc::default() };
        tokio::spawn(Replica::watch(Arc::downgrade(&made.replica)));
        tokio::spawn(keep_telling(Arc::downgrade(&made.common), made.bus.clone(), made.known_for));
        made
    }

    /// A snapshot of the replica in which everything is that the credential wrote; none if it has to be the database's.
    pub async fn begin(&self, scope: &Scope, credential: &str) -> Option<Tx> {
        {
            let common = held(&self.common);
            if common.following.contains_key(credential) || common.doubted.is_some_and(|until| Instant::now() < until) {
                return None;
            }
        }
        let keys = [wrote(credential), follows(credential), SINCE.to_owned()];
        let place = self.bus.run(LOOK, &keys, &[self.known_for.to_string()]).await.filter(|place| *place >= 0)?;
        self.replica.begin(scope, (place > 0).then_some(place)).await
    }

    /// Tells all nodes that a credential has written just now. If Redis does not answer they are told later, and this node
    /// reads from the database meanwhile.
    pub async fn note_write(&self, credential: String) {
        let place = tokio::time::timeout(PATIENCE, self.replica.place()).await.ok().and_then(Result::ok).unwrap_or(NEVER);
        let in_doubt = {
            let mut common = held(&self.common);
            let untold = common.untold.entry(credential.clone()).or_default();
            *untold = place.max(*untold);
            common.doubted.is_some_and(|until| Instant::now() < until)
        };
        // Nobody waits again and again for a Redis that is away.
        if !in_doubt {
            tell(&self.common, &self.bus, &credential, place, self.known_for).await;
        }
    }

    /// A credential begins to follow a list: until it ends, its queries are read from the database.
    pub async fn follow(&self, credential: String) -> Following {
        *held(&self.common).following.entry(credential.clone()).or_default() += 1;
        let following = Following { credential, common: self.common.clone() };
        self.bus.run_surely(FOLLOW, &[follows(&following.credential)], &[self.known_for.to_string()]).await;
        following
    }
}

fn held(common: &Mutex<Common>) -> MutexGuard<'_, Common> {
    common.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the nodes how far a credential wrote; whether they were told.
async fn tell(common: &Mutex<Common>, bus: &Bus, credential: &str, place: i64, known_for: u64) -> bool {
    let told = bus.run_surely(NOTE, &[wrote(credential)], &[place.to_string(), REMEMBERED.to_string()]).await.is_some();
    let mut common = held(common);
    if !told {
        common.doubted = Some(Instant::now() + Duration::from_secs(known_for));
    } else if common.untold.get(credential).is_some_and(|untold| *untold <= place) {
        common.untold.remove(credential);
    }
    told
}

/// Tells the nodes again and again who follows a list, and what they could not be told, until nobody needs it any more.
async fn keep_telling(common: Weak<Mutex<Common>>, bus: Bus, known_for: u64) {
    // From now on Redis is told of writes.
    bus.run_surely(LOOK, &[wrote(""), follows(""), SINCE.to_owned()], &[known_for.to_string()]).await;
    let mut followed = Instant::now();
    loop {
        tokio::time::sleep(PULSE).await;
        let Some(common) = common.upgrade() else { return };
        let untold: Vec<(String, i64)> = held(&common).untold.iter().map(|(credential, place)| (credential.clone(), *place)).collect();
        for (credential, place) in untold {
            if !tell(&common, &bus, &credential, place, known_for).await {
                break;
            }
        }
        if followed.elapsed() > Duration::from_secs(known_for / 3) {
            followed = Instant::now();
            let following: Vec<String> = held(&common).following.keys().cloned().collect();
            for credential in following {
                bus.run_surely(FOLLOW, &[follows(&credential)], &[known_for.to_string()]).await;
            }
        }
    }
}

fn wrote(credential: &str) -> String {
    format!("wrote:{credential}")
}

fn follows(credential: &str) -> String {
    format!("follows:{credential}")
}
