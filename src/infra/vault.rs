//! Secrets at rest: sealed with AES-256-GCM under the installation's key.
//!
//! A sealed text names its key, so keys can change while the server runs: the first one seals, all of
//! them open. The context (which table, whose row) is authenticated with it: a sealed text that was
//! moved elsewhere does not open.

use std::path::Path;
use std::sync::Arc;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::current::Current;
use crate::error::{Error, Result};

/// A key, and the beginning of its hash as its name.
#[derive(Clone)]
struct Key {
    name: String,
    cipher: Aes256Gcm,
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        let name = URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..6]);
        Self { name, cipher: Aes256Gcm::new(bytes.into()) }
    }
}

/// Seals and opens.
#[derive(Clone)]
pub struct Vault {
    keys: Current<Vec<Key>>,
}

/// Where a data folder keeps the key.
const FILE: &str = "encryption.key";
const NONCE: usize = 12;

impl Vault {
    /// With keys of 32 bytes in base64: the one that seals, and earlier ones.
    pub fn from_base64(key: &str, previous: &[String]) -> Result<Self, String> {
        let read = |text: &String| Ok(Key::new(&decode(text)?));
        let keys = std::iter::once(&key.to_owned()).chain(previous).map(read).collect::<Result<_, String>>()?;
        Ok(Self { keys: Current::new(keys) })
    }

    /// With the key of a data folder, which is made if it is not there, and earlier ones.
    pub fn in_folder(folder: &Path, previous: &[String]) -> Result<Self, String> {
        let file = folder.join(FILE);
        let named = |e: String| format!("{}: {e}", file.display());
        if !file.exists() {
            super::files::write_private(&file, &STANDARD.encode(rand::random::<[u8; 32]>())).map_err(|e| named(e.to_string()))?;
        }
        let text = std::fs::read_to_string(&file).map_err(|e| named(e.to_string()))?;
        Self::from_base64(text.trim(), previous).map_err(named)
    }

    /// With these keys, the first of which seals; for a workspace's own.
    pub fn of_keys(keys: &[[u8; 32]]) -> Self {
        Self { keys: Current::new(keys.iter().map(Key::new).collect()) }
    }

    /// Opens what was sealed with the keys of another one, too.
    pub fn accept(&self, fresh: &Self) {
        self.keys.set(Arc::new(united(&self.keys.get(), &fresh.keys.get())));
    }

    /// Seals as another one does from now on. What was sealed before goes on being opened.
    pub fn renew(&self, fresh: &Self) {
        self.keys.set(Arc::new(united(&fresh.keys.get(), &self.keys.get())));
    }

    /// `v1.<key>.<nonce and ciphertext in base64>`
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String> {
        let keys = self.keys.get();
        let key = keys.first().ok_or_else(|| Error::fault("there is no key to seal with"))?;
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed = key.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::fault("a secret could not be sealed"))?;
        Ok(format!("v1.{}.{}", key.name, URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    pub fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>> {
        let broken = || Error::fault("a sealed secret cannot be opened: its key is missing, or it was changed");
        let mut parts = sealed.split('.');
        let (Some("v1"), Some(name), Some(body), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(broken());
        };
        let keys = self.keys.get();
        let key = keys.iter().find(|key| key.name == name).ok_or_else(broken)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| broken())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        key.cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: context.as_bytes() }).map_err(|_| broken())
    }

    /// Whether it was sealed with the key that seals now.
    pub fn is_current(&self, sealed: &str) -> bool {
        self.keys.get().first().is_some_and(|key| sealed.split('.').nth(1) == Some(&key.name))
    }
}

fn united(first: &[Key], then: &[Key]) -> Vec<Key> {
    let others = then.iter().filter(|key| !first.iter().any(|known| known.name == key.name));
    first.iter().chain(others).cloned().collect()
}

fn decode(text: &str) -> Result<[u8; 32], String> {
    let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "expected 32 bytes in base64 (`openssl rand -base64 32`)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_where_it_belongs_and_nowhere_else() {
        let vault = Vault::of_keys(&[[1; 32]]);
        let sealed = vault.seal("user:1", b"secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(vault.open("user:1", &sealed).unwrap(), b"secret");
        assert!(vault.open("user:2", &sealed).is_err());
        assert!(Vault::of_keys(&[[2; 32]]).open("user:1", &sealed).is_err());
        assert_ne!(sealed, vault.seal("user:1", b"secret").unwrap());
    }

    #[test]
    fn keys_change_without_losing_what_was_sealed() {
        let old = Vault::of_keys(&[[1; 32]]);
        let new = Vault::of_keys(&[[2; 32], [1; 32]]);
        let sealed = old.seal("x", b"secret").unwrap();
        assert_eq!(new.open("x", &sealed).unwrap(), b"secret");
        assert!(!new.is_current(&sealed) && new.is_current(&new.seal("x", b"secret").unwrap()));
    }
}
