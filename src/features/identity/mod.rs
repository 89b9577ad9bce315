//! Who is calling: passwords, sessions, access tokens, API keys.
//!
//! A sign-in makes a session with a refresh token, which changes at every use; using an old one ends
//! the session, since it was stolen or copied. Access tokens are short-lived JWTs (EdDSA) that say
//! which member of which workspace calls. API keys are long-lived, shown once and kept as hashes.
//! Every credential names its workspace, so that the database can be asked on that workspace's
//! behalf from the first statement on.

mod api_keys;
mod guard;
mod password;
mod sessions;
mod tokens;

use std::time::Duration;

use entity::Micros;
use quick_cache::sync::Cache;
use serde::Serialize;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::infra::bus::Bus;
use crate::infra::clock::Clock;
use crate::infra::db::Db;
use crate::platform::{Actor, ActorKind};

pub use api_keys::NewApiKey;
pub use guard::Guard;
pub use password::{Hasher, check_strength};
pub use sessions::{SignedIn, Tokens};
pub use tokens::SigningKeys;

/// How long things last.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    pub access_token: Duration,
    pub refresh_token: Duration,
}

/// A caller whose credential was good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    pub workspace: Uuid,
    pub member: Option<Uuid>,
    pub user: Option<Uuid>,
    #[serde(skip)]
    pub actor: Actor,
    pub session: Option<Uuid>,
}

/// A credential that was found good: the session or key behind it, and whom it names.
#[derive(Clone)]
struct Known {
    id: Uuid,
    expires_at: Micros,
    caller: Caller,
}

/// The service behind sign-in and API keys.
pub struct Identity {
    db: Db,
    bus: Bus,
    clock: Clock,
    keys: SigningKeys,
    lifetimes: Lifetimes,
    /// Credentials that were found good, and when; looked at again after [`RECHECK`].
    good: Cache<Uuid, Micros>,
    /// Whom a credential names, by its digest: a signature is checked once, a key looked up once.
    callers: Cache<String, Known>,
    hasher: Hasher,
    guard: Guard,
}

/// How long a revoked credential may still work on a node that did not hear of it.
const RECHECK: Duration = Duration::from_secs(10);

impl Identity {
    pub fn new(db: Db, bus: Bus, clock: Clock, keys: SigningKeys, lifetimes: Lifetimes, hasher: Hasher) -> Self {
        let guard = Guard { db: db.clone(), clock: clock.clone() };
        Self { guard, db, bus, clock, keys, lifetimes, good: Cache::new(10_000), callers: Cache::new(10_000), hasher }
    }

    /// Who the bearer of a credential is.
    pub async fn authenticate(&self, credential: &str) -> Result<Caller> {
        let digest = digest(credential);
        if let Some(known) = self.callers.get(&digest).filter(|known| self.is_fresh(known.id)) {
            if known.expires_at <= self.clock.now() {
                return Err(expired());
            }
            return Ok(known.caller);
        }
        let known = if credential.starts_with(api_keys::PREFIX) {
            self.caller_of_key(credential).await?
        } else {
            self.caller_of_token(credential).await?
        };
        self.good.insert(known.id, self.clock.now());
        self.callers.insert(digest, known.clone());
        Ok(known.caller)
    }

    async fn caller_of_token(&self, token: &str) -> Result<Known> {
        let claims = self.keys.verify(token, self.clock.now())?;
        if !self.is_fresh(claims.session) {
            self.check_session(&claims).await?;
        }
        let caller = Caller {
            workspace: claims.workspace,
            member: Some(claims.member),
            user: Some(claims.user),
            actor: Actor { kind: ActorKind::Member, id: Some(claims.member) },
            session: Some(claims.session),
        };
        Ok(Known { id: claims.session, expires_at: Micros(claims.exp * 1_000_000), caller })
    }

    /// The public keys of access tokens, as a JSON Web Key Set.
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }

    /// A session or key is not good any more, or may not be: it is looked at again.
    pub fn forget(&self, id: Uuid) {
        self.good.remove(&id);
    }

    pub fn forget_all(&self) {
        self.good.clear();
    }

    /// A session or key was ended here: the other nodes are told.
    async fn ended(&self, id: Uuid) {
        self.forget(id);
        self.bus.tell("credential", id).await;
    }

    fn is_fresh(&self, id: Uuid) -> bool {
        let recheck = i64::try_from(RECHECK.as_micros()).unwrap_or(0);
        self.good.get(&id).is_some_and(|at| self.clock.now().0 - at.0 < recheck)
    }
}

fn expired() -> Error {
    Error::unauthenticated("The access token has expired. Use `refreshSession`.")
}

fn refused() -> Error {
    Error::unauthenticated("The credential is not valid (any more). Sign in again.")
}

/// What is kept of a secret.
pub fn digest(secret: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(secret.as_bytes()))
}

/// 256 random bits as text.
pub fn new_secret() -> String {
    use base64::Engine as _;
    let bytes: [u8; 32] = rand::random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Compares two digests in the same time whatever they are.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
