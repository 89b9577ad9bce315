//! Whether whoever holds a connection open may go on holding it.

use std::time::Duration;

use axum::http::HeaderMap;
use entity::Micros;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Server;
use super::gate::{self, Credential};
use crate::error::{Error, Result};
use crate::platform::Origin;

/// How often a credential is looked at again without a word.
const REVIEW: Duration = Duration::from_secs(5);

/// How a connection's credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Good until then; for ever, where there is none.
    Good(Option<Micros>),
    /// It ended by itself: a fresh one lets in again.
    Expired,
    /// It was taken away.
    Revoked,
}

/// Returns when the server goes down.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Who holds a connection open.
pub struct Holder {
    pub server: Server,
    pub headers: HeaderMap,
    pub origin: Origin,
}

impl Holder {
    /// How the credential stands now, which was good `until` then when it was last looked at.
    pub async fn standing(&self, until: Option<Micros>) -> Standing {
        let is_over = |at: Micros| at <= self.server.app.clock.now();
        match self.expires().await {
            Ok(Some(at)) if is_over(at) => Standing::Expired,
            // A cookie that names nobody any more.
            Ok(None) if until.is_some() => Standing::Revoked,
            Ok(at) => Standing::Good(at),
            // A database that is away ends nobody's session.
            Err(Error::Fault(_)) => Standing::Good(until),
            Err(Error::Refused(_)) if until.is_some_and(is_over) => Standing::Expired,
            Err(Error::Refused(_)) => Standing::Revoked,
        }
    }

    /// When the credential ends, if it is good; none for strangers.
    pub async fn expires(&self) -> Result<Option<Micros>> {
        let identity = &self.server.app.identity;
        match gate::credential(&self.headers)? {
            Credential::None => Ok(None),
            Credential::Bearer(token) => identity.expires(token, &self.origin).await.map(Some),
            Credential::Cookie(token) => match identity.expires(token, &self.origin).await {
                Err(Error::Refused(_)) => Ok(None),
                found => found.map(Some),
            },
        }
    }

    /// How long until the credential should be looked at again.
    pub fn until_review(&self, until: Option<Micros>) -> Duration {
        let left = until.map_or(i64::MAX, |at| at.0.saturating_sub(self.server.app.clock.now().0)).max(0);
        Duration::from_micros(left.unsigned_abs()).min(REVIEW)
    }

    /// Returns when the connection may not go on: the credential is not good any more, or the server goes down.
    pub async fn ends(self) {
        let (mut stopping, mut revoked) = (self.server.app.stopping.subscribe(), self.server.app.identity.revocations());
        let Ok(mut until) = self.expires().await else { return };
        loop {
            tokio::select! {
                () = stopped(&mut stopping) => return,
                Ok(()) = revoked.changed() => {}
                () = sleep(self.until_review(until)) => {}
            }
            match self.standing(until).await {
                Standing::Good(at) => until = at,
                Standing::Expired | Standing::Revoked => return,
            }
        }
    }
}
