//! Who may see and do what: roles, teams, shares, invitations.
//!
//! Roles are rows that a workspace edits; every workspace begins with seven. Whoever calls gets the
//! sum of their roles as a `Policy`, compiled here from the rows and carried by the `Ctx`; what it
//! means for a record is decided in `records::access` and, once more, by PostgreSQL's policies.

mod builtin;
mod holder;
mod load;
mod members;
mod model;
mod review;
mod roles;
mod shares;
mod teams;

use std::sync::Arc;

use crate::features::data_model::DataModel;
use crate::features::identity::{Guard, Hasher};
use crate::infra::clock::Clock;
use crate::infra::db::Db;
use crate::infra::mail::Mailer;
use crate::records::write::RuleBook;

pub use builtin::seed;
pub use holder::holder;
pub use load::{Holding, policy};
pub use members::{Accepted, Invited};
pub use model::{FieldSpec, ObjectSpec, Permissions, Scope};
pub use review::Holder;
pub use roles::{RoleInput, audit, give_to_key, require};
pub use shares::NewShare;
pub use teams::{TeamInput, TeamMember};

/// The service behind roles, teams, shares and invitations.
pub struct AccessControl {
    pub db: Db,
    pub clock: Clock,
    pub hasher: Hasher,
    pub guard: Guard,
    pub rules: Arc<RuleBook>,
    pub data_model: DataModel,
    pub mailer: Mailer,
    /// The page of the front end that an invitation leads to, with `{token}` in it.
    pub invitation_url: String,
}
