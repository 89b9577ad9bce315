//! What a webhook is, and what becomes of a delivery.

use entity::Micros;
use serde::{Deserialize, Serialize};

use crate::platform::changelog::ChangeKind;

/// A second, in microseconds.
pub const SECOND: i64 = 1_000_000;

/// When a delivery is tried again, in seconds after it failed: so many attempts there are, about 75 hours in all.
const SCHEDULE: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The first attempt, and one for each wait.
pub const MOST_TRIES: i64 = 10;

/// How long is waited after so many attempts, in microseconds; none after the last. A tenth is added by chance, so that
/// what failed together does not come back together.
pub fn wait(tries: i64, chance: u32) -> Option<i64> {
    let seconds = SCHEDULE.get(usize::try_from(tries - 1).ok()?)?;
    Some(seconds * SECOND + seconds * SECOND / 10 * i64::from(chance % 1_000) / 1_000)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Active,
    /// By its owner.
    Paused,
    /// By us, for a reason.
    Disabled,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Disabled => "DISABLED",
        }
    }

    pub fn of(text: &str) -> Self {
        match text {
            "ACTIVE" => Self::Active,
            "PAUSED" => Self::Paused,
            _ => Self::Disabled,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Delivered,
    /// It was tried for the last time.
    Failed,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
        }
    }

    pub fn of(text: &str) -> Self {
        match text {
            "PENDING" => Self::Pending,
            "DELIVERED" => Self::Delivered,
            _ => Self::Failed,
        }
    }
}

/// How payloads are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// `v1`: HMAC-SHA256 with a secret that both know.
    Hmac,
    /// `v1a`: Ed25519; the endpoint knows the public key.
    Ed25519,
}

impl Signature {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "HMAC",
            Self::Ed25519 => "ED25519",
        }
    }

    pub fn of(text: &str) -> Self {
        if text == "ED25519" { Self::Ed25519 } else { Self::Hmac }
    }
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Logged(ChangeKind),
    /// Nothing touched it: another record moved it into the list or out of it.
    Moved,
}

impl Change {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logged(kind) => kind.as_str(),
            Self::Moved => "MOVED",
        }
    }
}

/// One attempt at a delivery.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Attempt {
    pub at: i64,
    pub millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of what the endpoint answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

/// Kinds of change, as they are named where some are chosen.
pub const KINDS: [Change; 8] = [
    Change::Logged(ChangeKind::Created),
    Change::Logged(ChangeKind::Updated),
    Change::Logged(ChangeKind::Deleted),
    Change::Logged(ChangeKind::Restored),
    Change::Logged(ChangeKind::Purged),
    Change::Logged(ChangeKind::Linked),
    Change::Logged(ChangeKind::Unlinked),
    Change::Moved,
];

/// A webhook as its owner wants it; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookInput {
    pub name: Option<String>,
    pub url: Option<String>,
    pub signature: Option<Signature>,
    /// A subscription document, which says which lists, and what of their records.
    pub document: Option<String>,
    pub variables: Option<serde_json::Value>,
    /// The lists that it is told of, each as `{ <list>: <filter> }`; the usual payload is sent.
    pub scopes: Option<Vec<serde_json::Value>>,
    pub kinds: Option<Vec<String>>,
    pub status: Option<Status>,
}

/// The time in the form that signatures and payloads use.
pub fn seconds(at: Micros) -> i64 {
    at.0.div_euclid(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_has_ten_attempts_in_three_days() {
        let waits: Vec<i64> = (1..).map_while(|tries| wait(tries, 0)).collect();
        assert_eq!(waits.len() + 1, usize::try_from(MOST_TRIES).unwrap());
        assert_eq!(waits.iter().sum::<i64>() / SECOND / 3_600, 75);
        assert_eq!(wait(MOST_TRIES, 0), None);
        for (tries, chance) in [(1, 999), (9, 999), (2, 12_345)] {
            let (least, most) = (wait(tries, 0).unwrap(), wait(tries, chance).unwrap());
            assert!(most > least && most <= least + least / 10);
        }
    }
}
