//! Who is asking, in which workspace, why and when: the first argument of every operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono_tz::Tz;
use entity::Micros;
use uuid::Uuid;

use super::access::Access;
use super::idempotency::Underway;
use super::secrets::Secrets;
use crate::infra::clock::Clock;
use crate::infra::db::Scope;

/// What kind of caller acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    Member,
    ApiKey,
    System,
}

impl ActorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "MEMBER",
            Self::ApiKey => "API_KEY",
            Self::System => "SYSTEM",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    /// The member or key; none for the server itself.
    pub id: Option<Uuid>,
}

impl Actor {
    pub const SYSTEM: Self = Self { kind: ActorKind::System, id: None };
}

/// Why a write happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Request,
    Demo,
    SetUp,
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Demo => "DEMO",
            Self::SetUp => "SET_UP",
        }
    }

    /// How records that it creates say they came to be.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Request => "API",
            Self::Demo | Self::SetUp => "SYSTEM",
        }
    }
}

#[derive(Clone)]
pub struct Ctx {
    pub workspace: Uuid,
    /// Where the workspace's days begin.
    pub time_zone: Tz,
    pub home_currency: String,
    pub actor: Actor,
    /// The member behind the caller, if there is one.
    pub member: Option<Uuid>,
    pub user: Option<Uuid>,
    pub access: Access,
    pub cause: Cause,
    pub clock: Clock,
    pub request_id: Option<String>,
    pub origin: Origin,
    /// What was asked for and not shown.
    pub hidden: Hidden,
    /// The keys of the workspace's encrypted fields, if it has some.
    pub secrets: Option<Arc<Secrets>>,
    /// What was opened with them.
    pub opened: Opened,
    /// What could not be told although the rest of the answer could.
    pub problems: Problems,
    /// How many records were told.
    pub tally: Tally,
    /// What is marked as done once it is.
    pub underway: Underway,
}

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// Fields that a request asked for and that its caller may not see (whole), as `Deal.amount`.
#[derive(Clone, Debug, Default)]
pub struct Hidden(Arc<Mutex<BTreeSet<String>>>);

impl Hidden {
    pub fn note(&self, type_name: &str, field: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{type_name}.{field}"));
    }

    pub fn list(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Counts the records of an answer, for what it cost.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<AtomicU64>);

impl Tally {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why members of an answer are null that could have been more: each once.
#[derive(Clone, Debug, Default)]
pub struct Problems(Arc<Mutex<BTreeSet<String>>>);

impl Problems {
    pub fn note(&self, problem: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(problem);
    }

    /// What was noted since somebody last asked.
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sealed values that a request read: the field, as `Person.custom.passport`, and the records. They
/// stand in the audit.
#[derive(Clone, Debug, Default)]
pub struct Opened(Arc<Mutex<BTreeMap<String, BTreeSet<Uuid>>>>);

impl Opened {
    pub fn note(&self, field: &str, record: Option<Uuid>) {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !opened.contains_key(field) {
            opened.insert(field.to_owned(), BTreeSet::new());
        }
        if let (Some(records), Some(record)) = (opened.get_mut(field), record) {
            records.insert(record);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was opened since somebody last asked.
    pub fn take(&self) -> BTreeMap<String, BTreeSet<Uuid>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What of a workspace everything in it depends on.
#[derive(Clone, Debug)]
pub struct House {
    pub workspace: Uuid,
    pub time_zone: Tz,
    pub home_currency: String,
}

impl Ctx {
    /// The server itself, at work in a workspace. It sees everything, and opens nothing that is sealed.
    pub fn server(house: House, cause: Cause, clock: Clock) -> Self {
        let House { workspace, time_zone, home_currency } = house;
        Self {
            workspace,
            time_zone,
            home_currency,
            actor: Actor::SYSTEM,
            member: None,
            user: None,
            access: Access::System,
            cause,
            clock,
            request_id: None,
            origin: Origin::default(),
            hidden: Hidden::default(),
            secrets: None,
            opened: Opened::default(),
            problems: Problems::default(),
            tally: Tally::default(),
            underway: Underway::default(),
        }
    }

    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// For whom a transaction of this caller runs.
    pub fn scope(&self) -> Scope {
        Scope { workspace: Some(self.workspace), user: self.user, rows: self.access.rows(), ..Scope::default() }
    }

    /// For the server's own doing on behalf of this caller, who was found to have the right: every
    /// row of the workspace.
    pub fn system_scope(&self) -> Scope {
        Scope { user: self.user, ..Scope::workspace(self.workspace) }
    }
}
