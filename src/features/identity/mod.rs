//! Who is calling: passwords, sessions, access tokens, API keys.
//!
//! People come in by [`sign_in`]: a password, a link or another issuer ([`oidc`]), then a second factor
//! ([`second_factor`]), then a workspace; between the steps stands a token that is good once
//! ([`one_time`]). Programs have keys ([`api_keys`]), pages publishable ones, visitors' browsers embed
//! tokens ([`embed`]); what these may not do although their holder may is said by [`restrictions`].
//!
//! A sign-in makes a session with a refresh token, which changes at every use; using an old one ends
//! the session, since it was stolen or copied. Access tokens are short-lived JWTs (EdDSA) that say
//! which member of which workspace calls. API keys are long-lived, shown once and kept as hashes.
//! Every credential names its workspace, so that the database can be asked on that workspace's
//! behalf from the first statement on.

mod api_keys;
mod applications;
mod embed;
mod guard;
mod holders;
mod oidc;
mod one_time;
mod password;
mod restrictions;
mod second_factor;
mod sessions;
mod sign_in;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use entity::Micros;
use quick_cache::sync::Cache;
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::infra::bus::Bus;
use crate::infra::clock::Clock;
use crate::infra::db::Db;
use crate::infra::mail::Mailer;
use crate::infra::vault::Vault;
use crate::platform::audit::Closing;
use crate::platform::{Actor, ActorKind, Origin};

pub use api_keys::{KeyKind, KeyRequest, NewApiKey};
pub use applications::hash_of;
pub use embed::{NewToken, by_object};
pub use guard::Guard;
pub use oidc::{Departure, Issuers, Returned};
pub use password::{Hasher, check_strength};
pub use restrictions::{Restrictions, ScopeAccess, is_origin};
pub use second_factor::{Enrolment, reseal};
pub use sessions::{Tokens, session_of_refresh};
pub use sign_in::{Answered, SignedIn};
pub use tokens::SigningKeys;

/// How long things last.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    pub access_token: Duration,
    pub refresh_token: Duration,
}

/// A caller whose credential was good.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caller {
    pub workspace: Uuid,
    pub member: Option<Uuid>,
    pub user: Option<Uuid>,
    #[serde(skip)]
    pub actor: Actor,
    pub session: Option<Uuid>,
    /// What the credential takes away from its holder's rights.
    #[serde(skip)]
    pub bound: Option<Arc<Bound>>,
    /// The embed token that was used, if it was one.
    #[serde(skip)]
    pub token: Option<Uuid>,
}

impl Caller {
    /// What names the credential, or whoever holds it, among all of the installation.
    pub fn credential(&self) -> String {
        format!("{}:{}", self.workspace, self.token.or(self.actor.id).unwrap_or_default())
    }
}

/// A credential that is less than its holder.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    pub restrictions: Restrictions,
    /// The application whose documents it sends.
    pub application: Option<Uuid>,
    pub kind: KeyKind,
    /// Tells restrictions apart where what follows from them is remembered.
    pub fingerprint: u128,
}

impl Bound {
    fn new(restrictions: Restrictions, application: Option<Uuid>, kind: KeyKind) -> Result<Arc<Self>> {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(serde_json::to_vec(&restrictions)?);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash[..16]);
        Ok(Arc::new(Self { restrictions, application, kind, fingerprint: u128::from_le_bytes(fingerprint) }))
    }
}

/// A credential that was found good: the session or key behind it, and whom it names.
#[derive(Clone)]
struct Known {
    id: Uuid,
    expires_at: Micros,
    caller: Caller,
}

/// Pages of the front end that mails lead to, with `{token}` in them.
#[derive(Clone, Debug)]
pub struct Links {
    pub magic_link: String,
    pub password_reset: String,
}

/// What the service is made of.
pub struct Parts {
    pub db: Db,
    pub bus: Bus,
    pub clock: Clock,
    pub keys: SigningKeys,
    pub lifetimes: Lifetimes,
    pub hasher: Hasher,
    pub guard: Guard,
    pub vault: Vault,
    pub mailer: Mailer,
    pub links: Links,
    pub issuers: Issuers,
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
    /// Documents of applications, by application and hash.
    documents: Cache<(Uuid, String), (Micros, Arc<str>)>,
    /// Whom a credential names, by its digest: a signature is checked once, a key looked up once.
    callers: Cache<String, Known>,
    hasher: Hasher,
    guard: Guard,
    vault: Vault,
    mailer: Mailer,
    links: Links,
    issuers: Issuers,
    /// Counts how often some credential may have become bad; for those who hold a connection open with one.
    revoked: watch::Sender<u64>,
}

/// How long a revoked credential may still work on a node that did not hear of it.
const RECHECK: Duration = Duration::from_secs(10);

impl Identity {
    pub fn new(parts: Parts) -> Self {
        let Parts { db, bus, clock, keys, lifetimes, hasher, guard, vault, mailer, links, issuers } = parts;
        let (good, callers, documents) = (Cache::new(10_000), Cache::new(10_000), Cache::new(10_000));
        Self {
            db,
            bus,
            clock,
            keys,
            lifetimes,
            good,
            documents,
            callers,
            hasher,
            guard,
            vault,
            mailer,
            links,
            issuers,
            revoked: watch::channel(0).0,
        }
    }

    /// Whether this server sends mail.
    pub fn sends_mail(&self) -> bool {
        self.mailer.is_set_up()
    }

    /// How long an access token and a session last.
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Who the bearer of a credential is.
    pub async fn authenticate(&self, credential: &str, origin: &Origin) -> Result<Caller> {
        let digest = digest(credential);
        if let Some(known) = self.callers.get(&digest).filter(|known| self.is_fresh(known.id)) {
            if known.expires_at <= self.clock.now() {
                return Err(expired());
            }
            return Ok(known.caller);
        }
        let so_far = *self.revoked.borrow();
        let known = if credential.starts_with(embed::PREFIX) {
            self.caller_of_embed_token(credential).await?
        } else if api_keys::is_key(credential) {
            self.caller_of_key(credential, origin).await?
        } else {
            self.caller_of_token(credential).await?
        };
        self.good.insert(known.id, self.clock.now());
        self.callers.insert(digest, known.clone());
        if *self.revoked.borrow() != so_far {
            // What was read may be older than what was said meanwhile: whoever comes next looks again.
            self.good.remove(&known.id);
        }
        Ok(known.caller)
    }

    /// When a credential ends by itself, if it is good.
    pub async fn expires(&self, credential: &str, origin: &Origin) -> Result<Micros> {
        self.authenticate(credential, origin).await?;
        Ok(self.callers.get(&digest(credential)).map_or(self.clock.now(), |known| known.expires_at))
    }

    /// Tells when some credential may have become bad.
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
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
            bound: None,
            token: None,
        };
        Ok(Known { id: claims.session, expires_at: Micros(claims.exp * 1_000_000), caller })
    }

    /// What a closing record of the audit says, if it was signed here.
    pub fn signed_closing(&self, signature: &str) -> Option<Closing> {
        self.keys.closing(signature)
    }

    /// Takes what other keys sign; see [`SigningKeys::accept`].
    pub fn accept_keys(&self, fresh: &SigningKeys) -> bool {
        let stays = self.keys.accept(fresh);
        self.forget_tokens();
        stays
    }

    /// Signs with other keys from now on; what the present ones signed is good if they are among them.
    pub fn renew_keys(&self, fresh: &SigningKeys) {
        self.keys.renew(fresh);
        self.forget_tokens();
    }

    /// What was found good by a key that is gone is looked at again.
    fn forget_tokens(&self) {
        self.callers.clear();
        self.forget_all();
    }

    /// The public keys of access tokens, as a JSON Web Key Set.
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }

    /// A session or key is not good any more, or may not be: it is looked at again.
    pub fn forget(&self, id: Uuid) {
        self.forget_those(|good| {
            good.remove(&id);
        });
    }

    pub fn forget_all(&self) {
        self.documents.clear();
        self.forget_those(Cache::clear);
    }

    /// Said before, so that whoever is just looking a credential up sees it, or what they keep is taken away behind them; and
    /// afterwards, so that whoever holds a connection open looks at what is left.
    fn forget_those(&self, forget: impl FnOnce(&Cache<Uuid, Micros>)) {
        let say = || self.revoked.send_modify(|count| *count += 1);
        say();
        forget(&self.good);
        say();
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
