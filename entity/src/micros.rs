//! Instants as the database keeps them.

use sea_orm::DeriveValueType;
use sea_orm::prelude::DateTimeUtc;
use serde::{Deserialize, Serialize};

/// An instant: microseconds since 1970-01-01T00:00:00Z, a BIGINT on both databases, so that it
/// compares, sorts and goes through JSON alike on both (see `docs/adr/0001-time-is-microseconds.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl From<DateTimeUtc> for Micros {
    fn from(at: DateTimeUtc) -> Self {
        Self(at.timestamp_micros())
    }
}

impl Micros {
    /// The instant as a calendar time; out of the calendar's range it is the epoch.
    pub fn to_utc(self) -> DateTimeUtc {
        DateTimeUtc::from_timestamp_micros(self.0).unwrap_or_default()
    }
}
