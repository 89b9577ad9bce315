//! Webhooks: endpoints that are told what happens to records, at least once, in order for each record.
//!
//! A webhook is a subscription that somebody else listens to: a GraphQL subscription document says which records (its
//! filter) and what of them is sent (its selection), as over a WebSocket, seen with the access of whoever made the webhook.
//!
//! Two things happen, each restartable at any point. A reader of the change log ([`fan_out`]) decides which event goes to
//! which webhook and writes a *delivery* for each, in the transaction that moves its place. And whoever works ([`deliver`])
//! takes deliveries that are due, by a lease, reads the record as its subscriber may see it now, signs ([`sign`]) and sends,
//! and writes down what came of it. Of the deliveries of one record to one webhook only the oldest is ever due. A process
//! that dies leaves leases that run out; what it had sent is sent once more, under the same id.

mod breaker;
mod deliver;
mod deliveries;
mod fan_out;
mod model;
mod payload;
mod send;
mod service;
mod setup;
mod sign;

use std::sync::Arc;

use entity::webhook;
use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::features::live::{Viewer, Wanted};
use crate::infra::clock::Clock;
use crate::infra::db::Db;
use crate::infra::outbound::Outbound;
use crate::infra::telemetry::Metrics;
use crate::infra::vault::Vault;

pub use deliver::{NOTICE, Worker};
pub use deliveries::{DeliveryFilter, Replay};
pub use model::{Attempt, Change, KINDS, MOST_TRIES, Signature, State, Status, WebhookInput};
pub use service::{Made, reseal};
pub use setup::Preview;
pub use sign::{Secret, Signed, is_signed};

/// A webhook with its subscriber, as of now.
#[derive(Clone)]
pub struct Opened {
    pub viewer: Viewer,
    pub wanted: Arc<Wanted>,
    /// Under which name the event stands in `data`.
    pub key: String,
    /// Why it is sent the usual payload, and not what it asked for.
    pub note: Option<String>,
}

/// Opens a webhook: who its subscriber is now, and what they asked for by the catalog as it is now. A refusal says why it
/// cannot go on.
pub type Open = Arc<dyn Fn(Arc<webhook::Model>) -> BoxFuture<'static, Result<Opened>> + Send + Sync>;

#[derive(Clone)]
pub struct Webhooks {
    pub db: Db,
    pub clock: Clock,
    pub vault: Vault,
    pub outbound: Outbound,
    pub metrics: Arc<Metrics>,
}
