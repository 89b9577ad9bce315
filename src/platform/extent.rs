//! Whether a caller reaches few records of an object, remembered for a while.
//!
//! A page in some order can be read in two ways: walk the order's index until enough records are the caller's,
//! or collect the caller's records and sort them. Which one is cheap depends on how many those are. It is
//! counted now and then, so it is never exact; an answer does not depend on it, its cost does.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use entity::Micros;

/// How long a count is believed.
const BELIEVED: i64 = 5 * 60 * 1_000_000;

#[derive(Debug, Default)]
pub struct Extents(Mutex<HashMap<String, (Micros, bool)>>);

impl Extents {
    /// Whether few records of the object are reached; none where that is not known or was counted long ago.
    pub fn is_few(&self, object: &str, now: Micros) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(object).filter(|(at, _)| now.0 - at.0 < BELIEVED).map(|(_, few)| *few)
    }

    pub fn learn(&self, object: &str, now: Micros, few: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(object.to_owned(), (now, few));
    }
}
