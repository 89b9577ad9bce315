//! Requests that may be sent again without being done again.
//!
//! Whoever sends a mutation with an idempotency key claims a row for it, on a lease: while the first request runs, a
//! second one with the same key is turned away, and a crash frees the key when the lease ends. Each root field that
//! was done leaves its payload, in the transaction in which it was done; sent again, what is done is answered from there
//! and the rest is run. After a day the key is forgotten.
//!
//! What is no record is answered only after its transaction. There the trace in the audit leaves a mark in its place
//! ([`Underway`]), and the payload follows: if the server dies in between, it is not done a second time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entity::Micros;
use sea_orm::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::infra::db::Tx;

/// Who sent what.
#[derive(Clone, Debug)]
pub struct Slot {
    pub workspace: Uuid,
    /// The member or key.
    pub holder: Uuid,
    pub key: String,
    /// Of document and variables.
    pub fingerprint: String,
}

/// The key and the name of the root field that runs now, if it has transactions of its own.
#[derive(Clone, Debug, Default)]
pub struct Underway(Arc<Mutex<Option<(Slot, String)>>>);

impl Underway {
    pub fn begin(&self, slot: &Slot, field: &str) {
        self.set(Some((slot.clone(), field.to_owned())));
    }

    pub fn end(&self) {
        self.set(None);
    }

    /// Marks it as done, in the transaction that does it.
    pub async fn mark(&self, tx: &Tx, now: Micros) -> Result<()> {
        let underway = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match underway {
            Some((slot, field)) => slot.keep(tx, &field, None, now).await,
            None => Ok(()),
        }
    }

    fn set(&self, now: Option<(Slot, String)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// What came of asking for a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours; what was done already, by the name of the root field in the answer. None: the answer was not kept,
    /// because it told a secret, or because the server died before.
    Ours(HashMap<String, Option<String>>),
    /// A request with this key is running.
    Running,
    /// The key was used for something else.
    Other,
}

const LEASE: i64 = 60 * 1_000_000;
const KEPT: i64 = 24 * 3_600 * 1_000_000;

impl Slot {
    fn key(&self) -> Vec<Value> {
        vec![self.workspace.into(), self.holder.into(), self.key.clone().into()]
    }

    /// Claims the key for a request.
    pub async fn claim(&self, tx: &Tx, now: Micros) -> Result<Claim> {
        let old = now.0.saturating_sub(KEPT);
        tx.run("DELETE FROM idempotency_key WHERE workspace_id = $1 AND created_at < $2", vec![self.workspace.into(), old.into()]).await?;
        let sql = "INSERT INTO idempotency_key (workspace_id, holder_id, key, field, fingerprint, leased_until, created_at) \
                   VALUES ($1, $2, $3, '', $4, $5, $6) ON CONFLICT (workspace_id, holder_id, key, field) DO UPDATE SET leased_until = excluded.leased_until \
                   WHERE idempotency_key.fingerprint = excluded.fingerprint AND idempotency_key.leased_until <= $6";
        let mut values = self.key();
        values.extend([self.fingerprint.clone().into(), now.0.saturating_add(LEASE).into(), now.0.into()]);
        let claimed = tx.run(sql, values).await? > 0;
        let sql = "SELECT field, fingerprint, answer FROM idempotency_key WHERE workspace_id = $1 AND holder_id = $2 AND key = $3";
        let mut done = HashMap::new();
        for row in tx.fetch_all(sql, self.key()).await? {
            let field = row.text(0)?.unwrap_or_default();
            if row.text(1)? != Some(self.fingerprint.as_str()) {
                return Ok(Claim::Other);
            }
            if !field.is_empty() {
                done.insert(field.to_owned(), row.text(2)?.map(str::to_owned));
            }
        }
        Ok(if claimed { Claim::Ours(done) } else { Claim::Running })
    }

    /// Keeps what a root field was answered, in the transaction of what it did; without an answer, that it was done.
    pub async fn keep(&self, tx: &Tx, field: &str, answer: Option<&str>, now: Micros) -> Result<()> {
        let sql = "INSERT INTO idempotency_key (workspace_id, holder_id, key, field, fingerprint, answer, leased_until, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT (workspace_id, holder_id, key, field) \
                   DO UPDATE SET answer = coalesce(idempotency_key.answer, excluded.answer)";
        let mut values = self.key();
        values.extend([field.to_owned().into(), self.fingerprint.clone().into(), answer.map(str::to_owned).into(), now.0.into()]);
        tx.run(sql, values).await?;
        Ok(())
    }

    /// Ends the lease: the request is over. A key under which nothing was done is free for anything.
    pub async fn release(&self, tx: &Tx) -> Result<()> {
        let sql = "DELETE FROM idempotency_key WHERE workspace_id = $1 AND holder_id = $2 AND key = $3 AND field = '' AND NOT EXISTS \
                   (SELECT 1 FROM idempotency_key d WHERE d.workspace_id = $1 AND d.holder_id = $2 AND d.key = $3 AND d.field <> '')";
        tx.run(sql, self.key()).await?;
        let sql = "UPDATE idempotency_key SET leased_until = 0 WHERE workspace_id = $1 AND holder_id = $2 AND key = $3 AND field = ''";
        tx.run(sql, self.key()).await?;
        Ok(())
    }
}
