//! Keeps away from endpoints that do not answer, so that they take nothing from those that do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use entity::Micros;
use uuid::Uuid;

use super::model::SECOND;

/// What is looked at: the last five minutes.
const WINDOW: i64 = 5 * 60 * SECOND;
/// So many failures, and so many of a hundred attempts, open it.
const FAILURES: usize = 100;
const PERCENT: usize = 35;
/// So long it stays open; then one attempt says how it goes on.
const OPEN: i64 = 2 * 60 * SECOND;

/// The breakers of this process, by webhook.
#[derive(Default)]
pub struct Breakers(Mutex<HashMap<Uuid, Breaker>>);

#[derive(Default)]
struct Breaker {
    /// When, and whether it went well.
    attempts: VecDeque<(i64, bool)>,
    open_until: Option<i64>,
}

impl Breakers {
    /// How many attempts may be made at once, of so many; none while it is open.
    pub fn room(&self, webhook: Uuid, now: Micros, most: usize) -> usize {
        let breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get(&webhook).and_then(|breaker| breaker.open_until) {
            Some(until) if until > now.0 => 0,
            Some(_) => 1,
            None => most,
        }
    }

    /// Notes how an attempt went.
    pub fn note(&self, webhook: Uuid, well: bool, now: Micros) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.entry(webhook).or_default();
        if breaker.open_until.is_some() {
            *breaker = Breaker { open_until: (!well).then_some(now.0 + OPEN), ..Breaker::default() };
            return;
        }
        breaker.attempts.push_back((now.0, well));
        while breaker.attempts.front().is_some_and(|(at, _)| *at <= now.0 - WINDOW) {
            breaker.attempts.pop_front();
        }
        let failures = breaker.attempts.iter().filter(|(_, well)| !well).count();
        if failures >= FAILURES && failures * 100 >= breaker.attempts.len() * PERCENT {
            *breaker = Breaker { open_until: Some(now.0 + OPEN), ..Breaker::default() };
        }
    }

    pub fn forget(&self, webhook: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&webhook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_closes_half_and_closes() {
        let (breakers, hook) = (Breakers::default(), Uuid::nil());
        let mut now = Micros(0);
        for n in 0..99 {
            breakers.note(hook, false, now);
            assert_eq!(breakers.room(hook, now, 8), 8, "after {n}");
        }
        breakers.note(hook, false, now);
        assert_eq!(breakers.room(hook, now, 8), 0);
        now.0 += OPEN;
        assert_eq!(breakers.room(hook, now, 8), 1, "one attempt says how it goes on");
        breakers.note(hook, false, now);
        assert_eq!(breakers.room(hook, now, 8), 0);
        now.0 += OPEN;
        breakers.note(hook, true, now);
        assert_eq!(breakers.room(hook, now, 8), 8);
    }

    #[test]
    fn few_failures_among_many_do_not_open_it() {
        let (breakers, hook) = (Breakers::default(), Uuid::nil());
        for n in 0..1_000 {
            breakers.note(hook, n % 3 != 0, Micros(n));
        }
        assert_eq!(breakers.room(hook, Micros(1_000), 8), 8);
        // What was long ago does not count.
        for n in 0..99 {
            breakers.note(hook, false, Micros(2 * WINDOW + n));
        }
        assert_eq!(breakers.room(hook, Micros(2 * WINDOW + 100), 8), 8);
    }
}
