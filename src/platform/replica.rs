//! Reading from a replica without missing what one wrote oneself.
//!
//! After a request that writes, the nodes are told in Redis up to which place of the database's log its credential has
//! written. For as long as a replica may be behind, that credential's queries are read from the replica only if it has
//! come so far, and from the database otherwise. What is not known, because Redis does not answer, is read from the
//! database.

use std::sync::{Arc, Mutex, PoisonError};
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

const LOOK: &str = "return tonumber(redis.call('GET', KEYS[1]) or '0')";

/// How long the answer to a write may wait for the replica, if the others cannot be told of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds for which it is known what a credential wrote, beyond those that a replica may be behind.
const SPARE: u64 = 30;

#[derive(Clone)]
pub struct ReadReplica {
    pub replica: Arc<Replica>,
    bus: Bus,
    /// For how many seconds it is known what a credential wrote.
    known_for: u64,
    /// When Redis may have forgotten what it was told.
    doubted: Arc<Mutex<Option<Instant>>>,
}

impl ReadReplica {
    /// Begins to watch a replica that may be so many seconds behind.
    pub fn new(replica: Replica, bus: Bus, most_behind: u64) -> Self {
        let replica = Arc::new(replica);
        tokio::spawn(Replica::watch(Arc::downgrade(&replica)));
        Self { replica, bus, known_for: most_behind + SPARE, doubted: Arc::default() }
    }

    /// A snapshot of the replica in which everything is that the credential wrote; none if it has to be the database's.
    pub async fn begin(&self, scope: &Scope, credential: &str) -> Option<Tx> {
        if self.is_in_doubt() {
            return None;
        }
        let place = self.bus.run(LOOK, &[key(credential)], &[]).await?;
        self.replica.begin(scope, (place > 0).then_some(place)).await
    }

    /// Redis was away: what it was told before it may not know any more.
    pub fn doubt(&self) {
        *self.doubted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_in_doubt(&self) -> bool {
        let doubted = *self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        doubted.is_some_and(|since| since.elapsed() < Duration::from_secs(self.known_for))
    }

    /// Tells all nodes that a credential has written just now.
    pub async fn note_write(&self, credential: &str) {
        let Ok(place) = self.replica.place().await else {
            return tracing::warn!("it is not known up to where a credential wrote: its next queries may miss it");
        };
        let told = self.bus.run(NOTE, &[key(credential)], &[place.to_string(), self.known_for.to_string()]).await;
        if told.is_none() && !self.replica.wait_for(place, PATIENCE).await {
            tracing::warn!("neither Redis nor the replica took note of a write: the writer's next queries may miss it");
        }
    }
}

fn key(credential: &str) -> String {
    format!("wrote:{credential}")
}
