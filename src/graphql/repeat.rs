//! `Idempotency-Key`: a mutation request that is sent again is not done again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::features::identity::KeyKind;
use crate::graphql::errors::status_of;
use crate::graphql::request::Signed;
use crate::infra::db::{Mode, Tx};
use crate::platform::idempotency::{Claim, Slot};

pub const HEADER: &str = "idempotency-key";
pub const REPLAYED: &str = "idempotent-replayed";
const LONGEST: usize = 255;

/// Payloads that tell a secret, by root field: they are never kept.
pub const SECRETS: [&str; 15] = [
    "acceptInvitation",
    "completeSignIn",
    "confirmTotp",
    "createApiKey",
    "createEmbedToken",
    "createInboundHook",
    "createWebhook",
    "createWorkspace",
    "enrollTotp",
    "inviteMember",
    "refreshSession",
    "rotateInboundHookSecret",
    "rotateWebhookSecret",
    "signIn",
    "switchWorkspace",
];

/// A request that carries a key, which it has claimed.
#[derive(Debug)]
pub struct Repeat {
    slot: Slot,
    /// What an earlier request did, by the name of the root field in the answer.
    done: HashMap<String, Option<String>>,
    replayed: AtomicBool,
}

/// Why a request with a key is not run.
pub struct Refused(pub StatusCode, pub Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(status_of(error.code()), error)
    }
}

impl Repeat {
    /// Claims the key that a request carries, if it carries one.
    pub async fn claim(app: &App, signed: &Signed, headers: &HeaderMap, request: &async_graphql::Request) -> Result<Option<Self>, Refused> {
        let Some(holder) = signed.ctx.actor.id else { return Ok(None) };
        let in_header = headers.get(HEADER).map(|key| key.to_str().unwrap_or_default().to_owned());
        let in_body = request.extensions.get("idempotencyKey").map(|key| match key {
            async_graphql::Value::String(key) => key.clone(),
            _ => String::new(),
        });
        let key = match (in_header, in_body) {
            (None, None) => return Ok(None),
            (Some(header), Some(body)) if header != body => {
                return Err(Error::bad_request("The header `Idempotency-Key` and `extensions.idempotencyKey` differ.").into());
            }
            (header, body) => header.or(body).unwrap_or_default(),
        };
        if key.is_empty() || key.len() > LONGEST || key.chars().any(char::is_control) {
            return Err(Error::bad_request(format!("An idempotency key has 1 to {LONGEST} printable characters.")).into());
        }
        let fingerprint = fingerprint(request).map_err(Error::from)?;
        let slot = Slot { workspace: signed.ctx.workspace, holder: holder_of(signed, holder), key, fingerprint };
        let tx = app.db.begin(&signed.ctx.system_scope(), Mode::Write).await.map_err(Error::from)?;
        let claim = slot.claim(&tx, signed.ctx.now()).await?;
        tx.commit().await.map_err(Error::from)?;
        match claim {
            Claim::Ours(done) => Ok(Some(Self { slot, done, replayed: AtomicBool::new(false) })),
            Claim::Running => {
                let message =
                    "A request with this idempotency key is running, or was cut off less than a minute ago. Wait, then send it again.";
                Err(Refused(StatusCode::CONFLICT, Error::refuse(Code::IdempotencyInProgress, message)))
            }
            Claim::Other => {
                let message = "This idempotency key was used for another document or other variables. A new request needs a new key.";
                Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, Error::refuse(Code::IdempotencyKeyReused, message)))
            }
        }
    }

    /// What an earlier request was answered for a root field; a secret was told once and is not told again.
    pub fn answered(&self, field: &str) -> Result<Option<&str>> {
        let Some(answer) = self.done.get(field) else { return Ok(None) };
        self.replayed.store(true, Ordering::Relaxed);
        match answer {
            Some(answer) => Ok(Some(answer)),
            None => Err(Error::refuse(
                Code::AlreadyIssued,
                "This was done by an earlier request, whose answer was not kept: it told a secret, or the server stopped before. Look at what it did.",
            )),
        }
    }

    /// Keeps the payload of a root field, in the transaction of what it did.
    pub async fn keep(&self, tx: &Tx, signed: &Signed, field: &str, answer: &str) -> Result<()> {
        // A sealed value stands nowhere in the clear.
        let answer = signed.ctx.opened.is_empty().then_some(answer);
        self.slot.keep(tx, field, answer, signed.ctx.now()).await
    }

    /// A root field begins that has transactions of its own: what is audited in them marks it as done.
    pub fn begin_static(&self, signed: &Signed, field: &str) {
        signed.ctx.underway.begin(&self.slot, field);
    }

    /// Keeps the payload of such a field, afterwards.
    pub async fn keep_static(&self, app: &App, signed: &Signed, field: (&str, &str), answer: &str) -> Result<()> {
        let (name, key) = field;
        let tx = app.db.begin(&signed.ctx.system_scope(), Mode::Write).await?;
        self.slot.keep(&tx, key, (!SECRETS.contains(&name)).then_some(answer), signed.ctx.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The request is over: whether something was answered from an earlier one.
    pub async fn end(&self, app: &App, signed: &Signed) -> Result<bool> {
        let tx = app.db.begin(&signed.ctx.system_scope(), Mode::Write).await?;
        self.slot.release(&tx).await?;
        tx.commit().await?;
        Ok(self.replayed.load(Ordering::Relaxed))
    }
}

/// Whose key it is: a member's, an API key's, an embed token's. A publishable key is everybody's, so there it is also of
/// where the request comes from.
fn holder_of(signed: &Signed, holder: Uuid) -> Uuid {
    let caller = &signed.caller;
    match (caller.token, caller.bound.as_deref()) {
        (Some(token), _) => token,
        (None, Some(bound)) if bound.kind == KeyKind::Publishable => {
            let address = signed.ctx.origin.address.as_deref().unwrap_or_default();
            let hash = Sha256::new().chain_update(holder).chain_update(address).finalize();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash[..16]);
            Uuid::from_bytes(bytes)
        }
        _ => holder,
    }
}

fn fingerprint(request: &async_graphql::Request) -> Result<String, serde_json::Error> {
    let mut hash = Sha256::new();
    for part in [request.query.as_str(), request.operation_name.as_deref().unwrap_or_default(), &serde_json::to_string(&request.variables)?]
    {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    Ok(hex::encode(hash.finalize()))
}
