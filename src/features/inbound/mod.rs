//! Inbound hooks: addresses to which other systems post JSON, of which records are made.
//!
//! A hook is a saved mutation: a map ([`map`]) says what of the body becomes which part of the input of `create…` or
//! `upsert…`. It is run like any other request, with the access of whoever made the hook: with its validation, rules,
//! budgets, idempotency and history. Whoever posts proves that they may, by a token or by a signature ([`service`]).

mod map;
mod service;

use crate::infra::clock::Clock;
use crate::infra::db::Db;
use crate::infra::vault::Vault;

pub use map::{check, fill};
pub use service::{Change, Made, Proof, Verification, reseal};

#[derive(Clone)]
pub struct InboundHooks {
    pub db: Db,
    pub clock: Clock,
    pub vault: Vault,
}
