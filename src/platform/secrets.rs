//! The keys of a workspace's encrypted fields, unwrapped.
//!
//! Values are sealed with AES-256-GCM under the workspace's own data key, of which there may be
//! several: the newest seals, all of them open. Beside the sealed text stands a blind index, an HMAC
//! of the value under another key: equal values have equal indexes, so that records are found by a
//! value without anybody having to open it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::infra::text::fold;
use crate::infra::vault::Vault;

pub struct Secrets {
    vault: Vault,
    blind: [u8; 32],
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// The members of a stored value.
pub const SEALED: &str = "sealed";
pub const INDEX: &str = "index";

impl Secrets {
    /// With data keys, the newest first, and the key of the blind index.
    pub fn new(data: &[[u8; 32]], blind: [u8; 32]) -> Self {
        Self { vault: Vault::of_keys(data), blind }
    }

    /// The stored form of a field's value.
    pub fn seal(&self, field: Uuid, text: &str) -> Result<Json> {
        Ok(json!({ SEALED: self.vault.seal(&context(field), text.as_bytes())?, INDEX: self.index(field, text) }))
    }

    pub fn open(&self, field: Uuid, sealed: &str) -> Result<String> {
        String::from_utf8(self.vault.open(&context(field), sealed)?).map_err(|_| Error::fault("a sealed text is no text"))
    }

    /// What equal values of a field have in common, case and accents aside.
    pub fn index(&self, field: Uuid, text: &str) -> String {
        // A key of any length is taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.blind) else { return String::new() };
        mac.update(field.as_bytes());
        mac.update(fold(text).as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..16])
    }
}

fn context(field: Uuid) -> String {
    format!("field:{field}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_indexes_in_one_field_alone() {
        let secrets = Secrets::new(&[[1; 32]], [2; 32]);
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(secrets.index(a, "Zürich 1"), secrets.index(a, "zurich 1"));
        assert_ne!(secrets.index(a, "x"), secrets.index(b, "x"));
        assert_ne!(secrets.index(a, "x"), Secrets::new(&[[1; 32]], [3; 32]).index(a, "x"));
    }

    #[test]
    fn a_value_opens_in_its_own_field() {
        let secrets = Secrets::new(&[[1; 32]], [2; 32]);
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let stored = secrets.seal(a, "secret").unwrap();
        let sealed = stored[SEALED].as_str().unwrap();
        assert_eq!(secrets.open(a, sealed).unwrap(), "secret");
        assert!(secrets.open(b, sealed).is_err());
        // A newer key seals, the older still opens.
        let newer = Secrets::new(&[[9; 32], [1; 32]], [2; 32]);
        assert_eq!(newer.open(a, sealed).unwrap(), "secret");
        assert!(secrets.open(a, newer.seal(a, "secret").unwrap()[SEALED].as_str().unwrap()).is_err());
    }
}
