//! What keeps passwords from being guessed: whoever fails again and again waits, longer each time.
//!
//! Failures are counted by a digest of address and origin, and, more patiently, by the address alone,
//! whether there is such a user or not: an answer tells nothing about who exists. A wait by origin
//! does not lock out the owner of the address, who comes from elsewhere; the one by address stays
//! short, and is there for guesses that come from everywhere.

use entity::Micros;

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

/// Failures are forgotten after a day.
const MEMORY: i64 = 86_400 * 1_000_000;
const SECOND: i64 = 1_000_000;

fn counts(email: &str, origin: &Origin) -> [Count; 2] {
    let address = origin.address.as_deref().unwrap_or_default();
    [Count { key: digest(&format!("{email}\n{address}")), free: 5, longest: 900 }, Count { key: digest(email), free: 50, longest: 30 }]
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
    pub db: Db,
    pub clock: Clock,
}

impl Guard {
    /// How many seconds this sign-in has to wait; 0: none.
    pub async fn must_wait(&self, email: &str, origin: &Origin) -> Result<i64> {
        let [one, two] = counts(email, origin);
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
        let Micros(now) = self.clock.now();
        let tx = self.db.begin(&Scope::default(), Mode::Write).await?;
        for count in counts(email, origin) {
            let sql = "INSERT INTO sign_in_attempt (key, failures, blocked_until, updated_at) VALUES ($1, 1, 0, $2) \
                       ON CONFLICT (key) DO UPDATE SET updated_at = $2, \
                       failures = CASE WHEN sign_in_attempt.updated_at < $3 THEN 1 ELSE sign_in_attempt.failures + 1 END \
                       RETURNING failures";
            let row = tx.fetch_optional(sql, vec![count.key.clone().into(), now.into(), (now - MEMORY).into()]).await?;
            let failures = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(1);
            let until = now + count.wait(failures);
            tx.run("UPDATE sign_in_attempt SET blocked_until = $2 WHERE key = $1", vec![count.key.into(), until.into()]).await?;
        }
        tx.run("DELETE FROM sign_in_attempt WHERE updated_at < $1", vec![(now - MEMORY).into()]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Somebody who knew the password begins anew.
    pub async fn forget_failures(&self, email: &str, origin: &Origin) -> Result<()> {
        let [one, two] = counts(email, origin);
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
        let [by_origin, by_address] = counts("a@x.example", &Origin::default());
        let waits: Vec<i64> = [1, 4, 5, 6, 8, 20, 10_000].iter().map(|n| by_origin.wait(*n) / SECOND).collect();
        assert_eq!(waits, [0, 0, 1, 2, 8, 900, 900]);
        assert_eq!((by_address.wait(49), by_address.wait(10_000) / SECOND), (0, 30));
        assert_ne!(by_origin.key, by_address.key);
    }
}
