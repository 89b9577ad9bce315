//! What one request carries: its caller's context, its catalog, its snapshot.

use std::sync::{Arc, OnceLock};

use async_graphql::Context;
use tokio::sync::Mutex;

use crate::app::{App, Known};
use crate::error::{Error, Result};
use crate::features::identity::Caller;
use crate::infra::db::{Mode, Tx};
use crate::platform::{Ctx, Origin};

/// A caller whose credential was good, in a workspace.
pub struct Signed {
    pub caller: Caller,
    pub ctx: Ctx,
    pub known: Arc<Known>,
}

pub struct Request {
    pub app: Arc<App>,
    pub origin: Origin,
    /// The refresh token that a browser brought in a cookie, and may use.
    pub refresh_cookie: Option<String>,
    /// Empty: nobody said who they are (yet).
    signed: OnceLock<Signed>,
    /// All root fields of a query read this one snapshot, one after the other.
    snapshot: Mutex<Option<Tx>>,
}

impl Request {
    pub fn new(app: Arc<App>, origin: Origin, signed: Option<Signed>) -> Self {
        let signed = signed.map_or_else(OnceLock::new, OnceLock::from);
        Self { app, origin, refresh_cookie: None, signed, snapshot: Mutex::new(None) }
    }

    #[must_use]
    pub fn with_refresh_cookie(self, refresh_cookie: Option<String>) -> Self {
        Self { refresh_cookie, ..self }
    }

    pub fn signed(&self) -> Result<&Signed> {
        self.signed.get().ok_or_else(|| Error::unauthenticated("Sign in first, and send `Authorization: Bearer <token>`."))
    }

    pub fn signed_or_none(&self) -> Option<&Signed> {
        self.signed.get()
    }

    /// Whoever just signed in gets the rest of the answer, unless somebody did before: then they come back.
    pub fn adopt(&self, signed: Signed) -> Option<Signed> {
        self.signed.set(signed).err()
    }

    /// The request's snapshot, begun when it is first needed.
    pub async fn snapshot(&self) -> Result<tokio::sync::MappedMutexGuard<'_, Tx>> {
        let signed = self.signed()?;
        let mut slot = self.snapshot.lock().await;
        if slot.is_none() {
            *slot = Some(self.app.db.begin(&signed.ctx.scope(), Mode::Read).await?);
        }
        tokio::sync::MutexGuard::try_map(slot, Option::as_mut).map_err(|_| Error::fault("the snapshot is gone"))
    }

    /// Gives the snapshot up, because a statement failed in it; whoever asks next gets a new one.
    pub async fn abandon(&self) {
        self.snapshot.lock().await.take();
    }

    /// Ends the snapshot and tells how many statements it ran.
    pub async fn finish(&self) -> Result<usize> {
        let Some(tx) = self.snapshot.lock().await.take() else { return Ok(0) };
        let statements = tx.statements();
        tx.commit().await?;
        Ok(statements)
    }
}

pub fn of<'a>(ctx: &Context<'a>) -> &'a Arc<Request> {
    ctx.data_unchecked::<Arc<Request>>()
}
