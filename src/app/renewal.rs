//! Secrets that rotate while the server runs.
//!
//! What came from a file or a setting is read again now and then, and on SIGHUP. What is another one is tried first
//! and then used from now on; what was begun with the old one is not broken off. What cannot be used is told in the log and
//! the old one stays: also where a secret is empty that was not, because its file is just being written.
//!
//! Nodes read at different times. So a key is known for a while before anything is signed or sealed with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::App;
use super::opening::db_settings;
use crate::config::Config;
use crate::features::identity::SigningKeys;
use crate::infra::current::Current;
use crate::infra::mail::Mailer;
use crate::infra::vault::Vault;

/// How long a key is known before it is used: by then every node has read it.
const GRACE: u64 = 60_000;

/// What others bring or are shown, word for word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub metrics: String,
    pub challenge: String,
}

/// What is in use, as far as it may change.
pub struct Renewable {
    pub tokens: Current<Tokens>,
    /// The settings that are in use.
    used: Mutex<Config>,
    /// Count what is to be signed and sealed with later, of which only the latest is.
    signing: AtomicU64,
    sealing: AtomicU64,
    /// Milliseconds that a key is known before it is used.
    pub grace: AtomicU64,
}

impl Renewable {
    pub fn new(config: &Config) -> Self {
        let tokens = Tokens { metrics: config.telemetry.metrics_token.clone(), challenge: config.challenge.secret.clone() };
        Self {
            tokens: Current::new(tokens),
            used: Mutex::new(config.clone()),
            signing: AtomicU64::new(0),
            sealing: AtomicU64::new(0),
            grace: AtomicU64::new(GRACE),
        }
    }
}

/// A setting, and whether it could be taken over.
type Renewed = (&'static str, Result<(), String>);

impl App {
    /// Takes over what rotates of settings that were read again: which settings are used from now on, and which could not be.
    pub async fn renew(self: &Arc<Self>, fresh: &Config) -> Vec<Renewed> {
        let mut used = self.renewable.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut done = Vec::new();
        if let Some(changed) = changed(&used.database.url, &fresh.database.url) {
            let renewed = match changed {
                Ok(url) => self.db.renew(&db_settings(fresh, url)).await.map_err(|e| e.to_string()),
                Err(why) => Err(why),
            };
            done.push(taken("database.url", renewed, &mut used.database.url, &fresh.database.url));
        }
        if let Some((changed, of)) = changed(&used.database.read_url, &fresh.database.read_url).zip(self.replica.as_ref()) {
            let renewed = match changed {
                Ok(url) => of.replica.renew(&db_settings(fresh, url)).await.map_err(|e| e.to_string()),
                Err(why) => Err(why),
            };
            done.push(taken("database.read_url", renewed, &mut used.database.read_url, &fresh.database.read_url));
        }
        if let Some(changed) = changed(&used.redis.url, &fresh.redis.url) {
            let renewed = match changed {
                Ok(url) => self.bus.renew(&url).await.map_err(|e| e.to_string()),
                Err(why) => Err(why),
            };
            done.push(taken("redis.url", renewed, &mut used.redis.url, &fresh.redis.url));
        }
        if let Some(changed) = changed(&used.mail.url, &fresh.mail.url) {
            let renewed = changed.and_then(|url| Mailer::new(&url, &fresh.mail.from)).map(|mailer| self.mailer.renew(&mailer));
            done.push(taken("mail.url", renewed, &mut used.mail.url, &fresh.mail.url));
        }
        done.extend(self.renew_signing(&used, fresh));
        if used.encryption != fresh.encryption {
            let renewed = match changed(&used.encryption.key, &fresh.encryption.key) {
                Some(Err(why)) => Err(why),
                _ if fresh.encryption.key.is_empty() => Err("the key of a data folder takes a restart".into()),
                _ => Vault::from_base64(&fresh.encryption.key, &fresh.encryption.previous_keys).map(|vault| self.seal_later(vault)),
            };
            done.push(taken("encryption.key", renewed, &mut used.encryption, &fresh.encryption));
        }
        let mut tokens = Tokens::clone(&self.renewable.tokens.get());
        let found = [
            ("telemetry.metrics_token", &mut tokens.metrics, &fresh.telemetry.metrics_token),
            ("challenge.secret", &mut tokens.challenge, &fresh.challenge.secret),
        ];
        for (name, token, fresh) in found {
            if let Some(changed) = changed(token, fresh) {
                done.push(taken(name, changed.map(drop), token, fresh));
            }
        }
        self.renewable.tokens.set(Arc::new(tokens));
        *self.renewable.used.lock().unwrap_or_else(PoisonError::into_inner) = used;
        done
    }

    /// Keys that sign, of the settings or of the data folder, where a command changes them.
    fn renew_signing(self: &Arc<Self>, used: &Config, fresh: &Config) -> Option<Renewed> {
        let read = match (used.auth.jwt_private_key.is_empty(), fresh.auth.jwt_private_key.as_str()) {
            (true, "") => SigningKeys::reread(&fresh.server.data_dir)?,
            (_, "") => Err("it is empty now".into()),
            (_, key) => SigningKeys::from_pems(key, &fresh.auth.jwt_previous_keys),
        };
        let renewed = match read {
            Ok(keys) if keys.jwks() == self.identity.jwks() => return None,
            Ok(keys) if self.identity.accept_keys(&keys) => {
                self.later(|of| &of.signing, move |app| app.identity.renew_keys(&keys));
                Ok(())
            }
            // What the present key signed is not to be good any more.
            Ok(keys) => {
                self.identity.renew_keys(&keys);
                Ok(())
            }
            Err(why) => Err(why),
        };
        Some(("auth.jwt_private_key", renewed))
    }

    fn seal_later(self: &Arc<Self>, vault: Vault) {
        self.vault.accept(&vault);
        self.later(|of| &of.sealing, move |app| app.vault.renew(&vault));
    }

    /// Does something when every node knows of it, unless something else of its kind is to be done by then.
    fn later(self: &Arc<Self>, turn: fn(&Renewable) -> &AtomicU64, what: impl FnOnce(&Self) + Send + 'static) {
        let ours = turn(&self.renewable).fetch_add(1, Ordering::Relaxed) + 1;
        let (app, grace) = (Arc::downgrade(self), Duration::from_millis(self.renewable.grace.load(Ordering::Relaxed)));
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            if let Some(app) = app.upgrade().filter(|app| turn(&app.renewable).load(Ordering::Relaxed) == ours) {
                what(&app);
            }
        });
    }
}

/// What a setting is now, if it is another one; none of them may become empty.
fn changed(used: &str, fresh: &str) -> Option<Result<String, String>> {
    match (used == fresh, fresh.is_empty()) {
        (true, _) => None,
        (false, true) => Some(Err("it is empty now".into())),
        (false, false) => Some(Ok(fresh.to_owned())),
    }
}

fn taken<T: Clone>(name: &'static str, renewed: Result<(), String>, used: &mut T, fresh: &T) -> Renewed {
    if renewed.is_ok() {
        used.clone_from(fresh);
    }
    (name, renewed)
}
