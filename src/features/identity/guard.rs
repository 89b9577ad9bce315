//! What keeps passwords from being guessed: whoever fails again and again waits, longer each time.
//!
//! Failures are counted by a digest of address and origin, and, more patiently, by the address alone,
//! whether there is such a user or not: an answer tells nothing about who exists. A wait by origin
//! does not lock out the owner of the address, who comes from elsewhere; the one by address stays
//! short, and is there for guesses that come from everywhere.

use std::sync::Arc;

use entity::Micros;
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::digest;
use crate::error::Result;
use crate::infra::clock::Clock;
use crate::infra::db::{Db, Mode, Scope};
use crate::platform::Origin;

/// A way of counting: failures that are free, and the longest wait in seconds.
struct Count {
    key: String,
    free: i64,
    longest: i64,
}

/// What is counted: guesses of a password or code, or mails to an address, which somebody else may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Guesses,
    Mails,
}

/// Failures are forgotten after a day.
const MEMORY: i64 = 86_400 * 1_000_000;
const SECOND: i64 = 1_000_000;

fn counts(of: Of, email: &str, origin: &Origin) -> [Count; 2] {
    let address = origin.address.as_deref().unwrap_or_default();
    match of {
        Of::Guesses => [
            Count { key: digest(&format!("{email}\n{address}")), free: 5, longest: 900 },
            Count { key: digest(email), free: 50, longest: 30 },
        ],
        Of::Mails => [
            Count { key: digest(&format!("mail\n{email}\n{address}")), free: 5, longest: 3_600 },
            Count { key: digest(&format!("mail\n{email}")), free: 20, longest: 600 },
        ],
    }
}

impl Count {
    /// How long to wait after so many failures: a second, and twice as long each time.
    fn wait(&self, failures: i64) -> i64 {
        match failures - self.free {
            over if over < 0 => 0,
            over => (1_i64 << over.min(20)).min(self.longest) * SECOND,
        }
    }
}

/// Counts failures, and says who has to wait.
#[derive(Clone)]
pub struct Guard {
    db: Db,
    clock: Clock,
    /// Whose turn it is, by name and origin.
    turns: Arc<Cache<String, Arc<Mutex<()>>>>,
}

impl Guard {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, turns: Arc::new(Cache::new(10_000)) }
    }

    /// Waits until nobody else from there guesses at the same: between asking whether somebody must wait and
    /// noting that they failed, a thousand others would be let in.
    pub async fn turn(&self, email: &str, origin: &Origin) -> OwnedMutexGuard<()> {
        let [one, _] = counts(Of::Guesses, email, origin);
        let made = self.turns.get_or_insert_with(&one.key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(turn) = made;
        turn.lock_owned().await
    }

    /// How many seconds this sign-in has to wait; 0: none.
    pub async fn must_wait(&self, email: &str, origin: &Origin) -> Result<i64> {
        self.wait_for(Of::Guesses, email, origin).await
    }

    /// The same of a mail; whoever need not wait is counted.
    pub async fn must_wait_to_mail(&self, email: &str, origin: &Origin) -> Result<i64> {
        let wait = self.wait_for(Of::Mails, email, origin).await?;
        if wait == 0 {
            self.note(Of::Mails, email, origin).await?;
        }
        Ok(wait)
    }

    async fn wait_for(&self, of: Of, email: &str, origin: &Origin) -> Result<i64> {
        let [one, two] = counts(of, email, origin);
        let tx = self.db.begin(&Scope::default(), Mode::Read).await?;
        let sql = "SELECT max(blocked_until) FROM sign_in_attempt WHERE key IN ($1, $2)";
        let row = tx.fetch_optional(sql, vec![one.key.into(), two.key.into()]).await?;
        tx.commit().await?;
        let until = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
        let left = until - self.clock.now().0;
        Ok(if left > 0 { left / SECOND + 1 } else { 0 })
    }

    /// Counts a failure.
    pub async fn note_failure(&self, email: &str, origin: &Origin) -> Result<()> {
        self.note(Of::Guesses, email, origin).await
    }

    async fn note(&self, of: Of, email: &str, origin: &Origin) -> Result<()> {
        let Micros(now) = self.clock.now();
        let tx = self.db.begin(&Scope::default(), Mode::Write).await?;
        for count in counts(of, email, origin) {
            let sql = "INSERT INTO sign_in_attempt (key, failures, blocked_until, updated_at) VALUES ($1, 1, 0, $2) \
                       ON CONFLICT (key) DO UPDATE SET updated_at = $2, \
                       failures = CASE WHEN sign_in_attempt.updated_at < $3 THEN 1 ELSE sign_in_attempt.failures + 1 END \
                       RETURNING failures";
            let row = tx.fetch_optional(sql, vec![count.key.clone().into(), now.into(), (now - MEMORY).into()]).await?;
            let failures = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(1);
            let until = now + count.wait(failures);
            tx.run("UPDATE sign_in_attempt SET blocked_until = $2 WHERE key = $1", vec![count.key.into(), until.into()]).await?;
        }
        // Swept up now and then: what is old does no harm.
        if rand::random::<u8>() < 8 {
            tx.run("DELETE FROM sign_in_attempt WHERE updated_at < $1", vec![(now - MEMORY).into()]).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Somebody who knew the password begins anew.
    pub async fn forget_failures(&self, email: &str, origin: &Origin) -> Result<()> {
        let [one, two] = counts(Of::Guesses, email, origin);
        let tx = self.db.begin(&Scope::default(), Mode::Write).await?;
        tx.run("DELETE FROM sign_in_attempt WHERE key IN ($1, $2)", vec![one.key.into(), two.key.into()]).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let [by_origin, by_address] = counts(Of::Guesses, "a@x.example", &Origin::default());
        let waits: Vec<i64> = [1, 4, 5, 6, 8, 20, 10_000].iter().map(|n| by_origin.wait(*n) / SECOND).collect();
        assert_eq!(waits, [0, 0, 1, 2, 8, 900, 900]);
        assert_eq!((by_address.wait(49), by_address.wait(10_000) / SECOND), (0, 30));
        assert_ne!(by_origin.key, by_address.key);
    }
}
