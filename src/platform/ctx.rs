//! Who is asking, in which workspace, why and when: the first argument of every operation.

use chrono_tz::Tz;
use entity::Micros;
use uuid::Uuid;

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

/// What the caller may see and do. There is one role so far, the administrator, who may do
/// everything in the workspace; predicates on rows and fields take their place here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Admin,
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
}

impl Ctx {
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    pub fn scope(&self) -> Scope {
        Scope { workspace: Some(self.workspace), user: self.user, sign_in_email: None }
    }
}
