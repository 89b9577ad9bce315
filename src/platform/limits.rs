//! How often somebody may do something: buckets that fill up again with time.
//!
//! Kept in this process; nodes count for themselves.

use std::sync::{Arc, Mutex, PoisonError};

use entity::Micros;
use quick_cache::sync::Cache;

/// Of what, and by whom.
type Name = (&'static str, String);

/// What is left of an allowance, in millionths of a minute's share of one.
#[derive(Debug)]
struct Bucket {
    left: i64,
    at: Micros,
}

/// One use costs a minute's worth of microseconds.
const USE: i64 = 60_000_000;

pub struct Buckets {
    known: Cache<Name, Arc<Mutex<Bucket>>>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { known: Cache::new(100_000) }
    }
}

impl Buckets {
    /// Takes one use of so many a minute; or the seconds to wait until there is one.
    pub fn take(&self, what: &'static str, by: &str, per_minute: u32, now: Micros) -> Result<(), u64> {
        let rate = i64::from(per_minute.max(1));
        let full = rate * USE;
        let key = (what, by.to_owned());
        let made =
            self.known.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(Bucket { left: full, at: now }))));
        let Ok(bucket) = made;
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = (now.0 - bucket.at.0).max(0);
        bucket.left = bucket.left.saturating_add(passed.saturating_mul(rate)).min(full);
        bucket.at = now;
        if bucket.left >= USE {
            bucket.left -= USE;
            return Ok(());
        }
        let micros = (USE - bucket.left).div_euclid(rate);
        Err(u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_comes_back_with_time() {
        let buckets = Buckets::default();
        let at = |second: i64| Micros(second * 1_000_000);
        for _ in 0..3 {
            assert_eq!(buckets.take("x", "a", 3, at(0)), Ok(()));
        }
        assert_eq!(buckets.take("x", "a", 3, at(0)), Err(20));
        assert_eq!(buckets.take("x", "b", 3, at(0)), Ok(()));
        assert_eq!(buckets.take("x", "a", 3, at(19)), Err(1));
        assert_eq!(buckets.take("x", "a", 3, at(20)), Ok(()));
        assert!(buckets.take("x", "a", 3, at(20)).is_err());
    }
}
