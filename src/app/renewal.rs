//! Secrets that rotate while the server runs.
//!
//! What came from a file or a setting is read again now and then, and on SIGHUP. What is another one is tried first
//! and then used from now on; what was begun with the old one is not broken off. What cannot be used is told in the log and
//! the old one stays.

use std::sync::{Mutex, PoisonError};

use super::App;
use super::opening::{db_settings, signing_keys, vault};
use crate::config::Config;
use crate::infra::current::Current;
use crate::infra::mail::Mailer;

/// What others bring or are shown, word for word.
#[derive(Debug)]
pub struct Tokens {
    pub metrics: String,
    pub challenge: String,
}

impl Tokens {
    fn of(config: &Config) -> Self {
        Self { metrics: config.telemetry.metrics_token.clone(), challenge: config.challenge.secret.clone() }
    }
}

/// What is in use, as far as it may change.
pub struct Renewable {
    pub tokens: Current<Tokens>,
    /// The settings that are in use.
    used: Mutex<Config>,
}

impl Renewable {
    pub fn new(config: &Config) -> Self {
        Self { tokens: Current::new(Tokens::of(config)), used: Mutex::new(config.clone()) }
    }
}

impl App {
    /// Takes over what rotates of settings that were read again: which settings are used from now on, and which could not be.
    pub async fn renew(&self, fresh: &Config) -> Vec<(&'static str, Result<(), String>)> {
        let used = self.renewable.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut done = Vec::new();
        if used.database.url != fresh.database.url {
            let renewed = self.db.renew(&db_settings(fresh, fresh.database.url.clone())).await;
            done.push(("database.url", renewed.map_err(|e| e.to_string())));
        }
        if used.database.read_url != fresh.database.read_url
            && let Some(of) = &self.replica
        {
            let renewed = of.replica.renew(&db_settings(fresh, fresh.database.read_url.clone())).await;
            done.push(("database.read_url", renewed.map_err(|e| e.to_string())));
        }
        if used.redis.url != fresh.redis.url {
            done.push(("redis.url", self.bus.renew(&fresh.redis.url).await.map_err(|e| e.to_string())));
        }
        if used.mail.url != fresh.mail.url || used.mail.from != fresh.mail.from {
            done.push(("mail.url", Mailer::new(&fresh.mail.url, &fresh.mail.from).map(|mailer| self.mailer.renew(&mailer))));
        }
        // A key in the data folder changes by a command, not by the settings.
        match signing_keys(fresh) {
            Ok(keys) if keys.jwks() == self.identity.jwks() => {}
            Ok(keys) => {
                self.identity.renew_keys(&keys);
                done.push(("auth.jwt_private_key", Ok(())));
            }
            Err(error) => done.push(("auth.jwt_private_key", Err(error.to_string()))),
        }
        if used.encryption != fresh.encryption {
            let renewed = vault(fresh).map(|vault| self.vault.renew(&vault)).map_err(|e| e.to_string());
            done.push(("encryption.key", renewed));
        }
        let (was, is) = (Tokens::of(&used), Tokens::of(fresh));
        for (name, changed) in [("telemetry.metrics_token", was.metrics != is.metrics), ("challenge.secret", was.challenge != is.challenge)]
        {
            if changed {
                done.push((name, Ok(())));
            }
        }
        self.renewable.tokens.set(is.into());
        let mut next = used;
        for (name, result) in &done {
            if result.is_ok() {
                take_over(&mut next, fresh, name);
            }
        }
        *self.renewable.used.lock().unwrap_or_else(PoisonError::into_inner) = next;
        done
    }
}

fn take_over(used: &mut Config, fresh: &Config, name: &str) {
    match name {
        "database.url" => used.database.url.clone_from(&fresh.database.url),
        "database.read_url" => used.database.read_url.clone_from(&fresh.database.read_url),
        "redis.url" => used.redis.url.clone_from(&fresh.redis.url),
        "mail.url" => used.mail.clone_from(&fresh.mail),
        "encryption.key" => used.encryption.clone_from(&fresh.encryption),
        "telemetry.metrics_token" => used.telemetry.metrics_token.clone_from(&fresh.telemetry.metrics_token),
        "challenge.secret" => used.challenge.secret.clone_from(&fresh.challenge.secret),
        _ => {}
    }
}
