//! Signatures, by the Standard Webhooks specification: `v1` (HMAC-SHA256) and `v1a` (Ed25519), over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use entity::Micros;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::model::Signature;
use crate::error::{Error, Result};

/// What signs, in the form in which it is told: `whsec_…`, or `whsk_…`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    text: String,
    /// Replaced: it signs beside the new one until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Micros>,
}

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

impl Secret {
    pub fn new(signature: Signature) -> Self {
        let bytes: [u8; 32] = rand::random();
        let prefix = match signature {
            Signature::Hmac => SYMMETRIC,
            Signature::Ed25519 => PRIVATE,
        };
        Self { text: format!("{prefix}{}", STANDARD.encode(bytes)), until: None }
    }

    /// What the endpoint must know to verify: the secret itself, or the public key.
    pub fn told(&self) -> Result<String> {
        Ok(match self.key()? {
            Key::Symmetric(_) => self.text.clone(),
            Key::Pair(pair) => format!("{PUBLIC}{}", STANDARD.encode(pair.verifying_key().as_bytes())),
        })
    }

    fn key(&self) -> Result<Key> {
        let broken = || Error::fault("a webhook's secret is not one");
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| broken());
        if let Some(text) = self.text.strip_prefix(SYMMETRIC) {
            return Ok(Key::Symmetric(bytes(text)?));
        }
        let text = self.text.strip_prefix(PRIVATE).ok_or_else(broken)?;
        let seed: [u8; 32] = bytes(text)?.try_into().map_err(|_| broken())?;
        Ok(Key::Pair(Box::new(SigningKey::from_bytes(&seed))))
    }

    fn sign(&self, content: &[u8]) -> Result<String> {
        Ok(match self.key()? {
            Key::Symmetric(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(&secret).map_err(|_| Error::fault("a webhook's secret is not one"))?;
                mac.update(content);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            Key::Pair(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(content).to_bytes())),
        })
    }
}

enum Key {
    Symmetric(Vec<u8>),
    Pair(Box<SigningKey>),
}

/// The header `webhook-signature`: one signature for each secret that is good.
pub fn signatures(secrets: &[Secret], (id, seconds): (&str, i64), body: &str, now: Micros) -> Result<String> {
    let content = format!("{id}.{seconds}.{body}");
    let good = secrets.iter().filter(|secret| secret.until.is_none_or(|until| until > now));
    let all: Vec<String> = good.map(|secret| secret.sign(content.as_bytes())).collect::<Result<_>>()?;
    Ok(all.join(" "))
}

/// What a signed request says of itself, by its headers.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
}

/// How far a request's time may be from ours, in seconds: what is older may be somebody's who listened.
const TOLERANCE: i64 = 300;

/// Whether a body came as whoever has the secret signed it, a short while ago.
pub fn is_signed(secret: &Secret, signed: &Signed<'_>, body: &[u8], now: Micros) -> Result<bool> {
    let Key::Symmetric(key) = secret.key()? else { return Ok(false) };
    let Ok(seconds) = signed.timestamp.parse::<i64>() else { return Ok(false) };
    if seconds.abs_diff(now.0.div_euclid(1_000_000)) > TOLERANCE.unsigned_abs() {
        return Ok(false);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Error::fault("a webhook's secret is not one"))?;
    mac.update(format!("{}.{}.", signed.id, signed.timestamp).as_bytes());
    mac.update(body);
    let given = signed.signature.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    // Compared without telling by the time how much of it fits.
    Ok(given.into_iter().any(|given| mac.clone().verify_slice(&given).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_signature_comes_out() {
        // The specification's own example.
        let secret = Secret { text: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), until: None };
        let body = r#"{"test": 2432232314}"#;
        let signed = signatures(&[secret], ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330), body, Micros(0)).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_while_one_replaces_the_other() {
        let old = Secret { until: Some(Micros(10)), ..Secret::new(Signature::Hmac) };
        let both = [Secret::new(Signature::Ed25519), old];
        let count = |now| signatures(&both, ("msg_1", 0), "{}", Micros(now)).unwrap().split(' ').count();
        assert_eq!((count(9), count(10)), (2, 1));
        assert!(both[0].told().unwrap().starts_with("whpk_"));
    }
}
