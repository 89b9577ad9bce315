//! What one request carries: its caller's context, its catalog, its snapshot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use async_graphql::{Context, Name};
use tokio::sync::Mutex;

use super::atomic::Atomic;
use super::repeat::Repeat;
use crate::app::{App, Known};
use crate::error::{Error, Result};
use crate::features::identity::Caller;
use crate::features::live::Follow;
use crate::infra::db::{Mode, Tx};
use crate::platform::audit::{self, Action, Event};
use crate::platform::{Ctx, Origin};

/// A caller whose credential was good, in a workspace.
pub struct Signed {
    pub caller: Caller,
    pub ctx: Ctx,
    pub known: Arc<Known>,
}

/// What a browser brought besides the document.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// The refresh token in a cookie, where it may be used.
    pub refresh_cookie: Option<String>,
    /// Whether the caller's credential came in a cookie.
    pub by_cookie: bool,
    /// Whether no page of another origin can have made the request.
    pub unforged: bool,
}

/// Who read encrypted fields, and of which records, stands in the audit.
pub async fn audit_opened(app: &App, ctx: &Ctx) -> Result<()> {
    let opened = ctx.opened.take();
    if opened.is_empty() {
        return Ok(());
    }
    let tx = app.db.begin(&ctx.system_scope(), Mode::Write).await?;
    audit::append(&tx, &Event::of(ctx, Action::SensitiveRead, None, serde_json::json!(opened))).await?;
    tx.commit().await?;
    Ok(())
}

pub struct Request {
    pub app: Arc<App>,
    pub origin: Origin,
    pub browser: Browser,
    /// Empty: nobody said who they are (yet).
    signed: OnceLock<Signed>,
    /// Those who signed in by this request, whether or not the rest of the answer is theirs.
    signed_in: std::sync::Mutex<Vec<String>>,
    /// All root fields of a query read this one snapshot, one after the other.
    snapshot: Mutex<Option<Tx>>,
    /// Whether the snapshot may be a replica's.
    may_use_replica: AtomicBool,
    /// Whether it was.
    used_replica: AtomicBool,
    /// What an earlier request with the same idempotency key did.
    pub repeat: Option<Repeat>,
    /// The one transaction of an operation that says `@atomic`.
    pub atomic: Option<Mutex<Atomic>>,
    /// Where a stream goes on that was cut.
    pub resume: Option<String>,
    /// What a subscription begins to follow, and under which name its events come.
    followed: OnceLock<Result<(Name, Follow)>>,
}

impl Request {
    pub fn new(app: Arc<App>, origin: Origin, signed: Option<Signed>) -> Self {
        let signed = signed.map_or_else(OnceLock::new, OnceLock::from);
        Self {
            app,
            origin,
            browser: Browser::default(),
            signed,
            signed_in: std::sync::Mutex::default(),
            snapshot: Mutex::new(None),
            may_use_replica: AtomicBool::new(false),
            used_replica: AtomicBool::new(false),
            repeat: None,
            atomic: None,
            resume: None,
            followed: OnceLock::new(),
        }
    }

    /// Of a mutation: its idempotency key, and whether all of it is one transaction.
    #[must_use]
    pub fn with_writes(self, repeat: Option<Repeat>, atomic: bool) -> Self {
        Self { repeat, atomic: atomic.then(Mutex::default), ..self }
    }

    #[must_use]
    pub fn with_replica(self, may_use_replica: bool) -> Self {
        Self { may_use_replica: AtomicBool::new(may_use_replica), ..self }
    }

    pub fn used_replica(&self) -> bool {
        self.used_replica.load(Ordering::Relaxed)
    }

    pub fn may_use_replica(&self) -> bool {
        self.app.replica.is_some() && self.may_use_replica.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn with_resume(self, resume: Option<String>) -> Self {
        Self { resume, ..self }
    }

    #[must_use]
    pub fn with_browser(self, browser: Browser) -> Self {
        Self { browser, ..self }
    }

    /// Keeps what a subscription follows, or why it cannot, for whoever sends its events.
    pub fn begin_to_follow(&self, begun: Result<(Name, Follow)>) {
        // A document has one subscription, so nothing was begun before.
        drop(self.followed.set(begun));
    }

    pub fn followed(&mut self) -> Option<Result<(Name, Follow)>> {
        self.followed.take()
    }

    pub fn signed(&self) -> Result<&Signed> {
        self.signed.get().ok_or_else(|| Error::unauthenticated("Sign in first, and send `Authorization: Bearer <token>`."))
    }

    pub fn signed_or_none(&self) -> Option<&Signed> {
        self.signed.get()
    }

    /// Whoever just signed in gets the rest of the answer, unless somebody did before: then they come back.
    pub fn adopt(&self, signed: Signed) -> Option<Signed> {
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).push(signed.caller.credential());
        self.signed.set(signed).err()
    }

    /// Everybody for whom this request may have written.
    pub fn writers(&self) -> Vec<String> {
        let mut writers = self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writers.extend(self.signed_or_none().map(|signed| signed.caller.credential()));
        writers.sort();
        writers.dedup();
        writers
    }

    /// The request's snapshot, begun when it is first needed.
    pub async fn snapshot(&self) -> Result<tokio::sync::MappedMutexGuard<'_, Tx>> {
        let signed = self.signed()?;
        let mut slot = self.snapshot.lock().await;
        if slot.is_none() {
            *slot = Some(self.begin(signed).await?);
        }
        tokio::sync::MutexGuard::try_map(slot, Option::as_mut).map_err(|_| Error::fault("the snapshot is gone"))
    }

    async fn begin(&self, signed: &Signed) -> Result<Tx> {
        let scope = signed.ctx.scope();
        if let Some(replica) = self.app.replica.as_ref().filter(|_| self.may_use_replica.load(Ordering::Relaxed)) {
            if let Some(tx) = replica.begin(&scope, &signed.caller.credential()).await {
                self.used_replica.store(true, Ordering::Relaxed);
                return Ok(tx);
            }
            // What follows is read where this is read.
            self.may_use_replica.store(false, Ordering::Relaxed);
        }
        Ok(self.app.db.begin(&scope, Mode::Read).await?)
    }

    /// Turns from the replica to the database, to read everything once more; tells whether it was the replica.
    pub async fn leave_replica(&self) -> bool {
        if !self.used_replica.swap(false, Ordering::Relaxed) {
            return false;
        }
        self.may_use_replica.store(false, Ordering::Relaxed);
        self.abandon().await;
        true
    }

    /// Gives the snapshot up, because a statement failed in it; whoever asks next gets a new one.
    pub async fn abandon(&self) {
        self.snapshot.lock().await.take();
    }

    /// Ends the transaction of an operation that says `@atomic`.
    pub async fn end_atomic(&self, response: &mut async_graphql::Response) -> Result<()> {
        let Some(atomic) = &self.atomic else { return Ok(()) };
        let atomic = std::mem::take(&mut *atomic.lock().await);
        atomic.end(self, response).await
    }

    /// Gives the idempotency key free; tells whether something was answered from an earlier request.
    pub async fn end_repeat(&self) -> bool {
        let Some((repeat, signed)) = self.repeat.as_ref().zip(self.signed_or_none()) else { return false };
        repeat.end(&self.app, signed).await.unwrap_or_else(|error| {
            // Its lease ends by itself.
            tracing::warn!("an idempotency key could not be given free: {error}");
            false
        })
    }

    /// Ends the snapshot and tells how many statements it ran.
    pub async fn finish(&self) -> Result<usize> {
        let Some(tx) = self.snapshot.lock().await.take() else { return Ok(0) };
        let statements = tx.statements();
        match tx.commit().await {
            // It has answered, and there is nothing to be written.
            Err(_) if self.used_replica.load(Ordering::Relaxed) => Ok(statements),
            committed => Ok(committed.map(|()| statements)?),
        }
    }
}

pub fn of<'a>(ctx: &Context<'a>) -> &'a Arc<Request> {
    ctx.data_unchecked::<Arc<Request>>()
}
