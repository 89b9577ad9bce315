//! Access tokens: JWTs signed with Ed25519 (RFC 8037), valid for minutes.

use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use entity::Micros;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{expired, refused};
use crate::error::{Error, Result};
use crate::infra::current::Current;
use crate::platform::audit::Closing;

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    #[serde(rename = "sub")]
    pub member: Uuid,
    #[serde(rename = "ws")]
    pub workspace: Uuid,
    #[serde(rename = "usr")]
    pub user: Uuid,
    #[serde(rename = "sid")]
    pub session: Uuid,
    pub iat: i64,
    pub exp: i64,
}

/// Who issues the tokens, and for whom they are.
const ISSUER: &str = "kith";
/// For whom closing records of the audit are signed.
const AUDIT: &str = "kith-audit";

/// The key that signs, and those whose signatures are good: while keys change, the one before too.
pub struct SigningKeys {
    keys: Current<Keys>,
}

struct Keys {
    encoding: EncodingKey,
    /// The id of the one that signs.
    signer: String,
    known: Vec<PublicKey>,
}

impl Keys {
    fn new(key: &SigningKey) -> Result<Self> {
        let der = key.to_pkcs8_der().map_err(Error::fault)?;
        let public = PublicKey::of(key)?;
        Ok(Self { encoding: EncodingKey::from_ed_der(der.as_bytes()), signer: public.id.clone(), known: vec![public] })
    }
}

/// What is published of a key.
#[derive(Clone)]
struct PublicKey {
    id: String,
    /// The point, as RFC 8037 writes it.
    x: String,
    decoding: DecodingKey,
}

/// Where a data folder keeps the key that signs, and the one before.
const FILE: &str = "jwt-ed25519.pem";
const PREVIOUS: &str = "jwt-ed25519.previous.pem";

impl SigningKeys {
    /// Reads private keys in PKCS#8 PEM: the one that signs, and earlier ones.
    pub fn from_pems(pem: &str, previous: &[String]) -> Result<Self, String> {
        let mut keys = Keys::new(&parse(pem)?).map_err(|e| e.to_string())?;
        for pem in previous {
            keys.known.push(PublicKey::of(&parse(pem)?).map_err(|e| e.to_string())?);
        }
        Ok(Self { keys: Current::new(keys) })
    }

    /// Takes what the keys of another one sign, and goes on signing with its own if that is good there. False: it is not.
    pub fn accept(&self, fresh: &Self) -> bool {
        let (own, fresh) = (self.keys.get(), fresh.keys.get());
        let stays = fresh.known.iter().any(|key| key.id == own.signer);
        if stays {
            let keys = Keys { encoding: own.encoding.clone(), signer: own.signer.clone(), known: fresh.known.clone() };
            self.keys.set(Arc::new(keys));
        }
        stays
    }

    /// Reads the keys of a data folder, if they are there.
    pub fn reread(folder: &Path) -> Option<Result<Self, String>> {
        folder.join(FILE).exists().then(|| Self::in_folder(folder))
    }

    /// Goes on with the keys of another one.
    pub fn renew(&self, fresh: &Self) {
        self.keys.set(fresh.keys.get());
    }

    /// Reads the keys of a data folder, or makes one there.
    pub fn in_folder(folder: &Path) -> Result<Self, String> {
        let (file, previous) = (folder.join(FILE), folder.join(PREVIOUS));
        let named = |path: &Path, e: String| format!("{}: {e}", path.display());
        if !file.exists() {
            make(&file)?;
        }
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| named(path, e.to_string()));
        let earlier = if previous.exists() { vec![read(&previous)?] } else { Vec::new() };
        Self::from_pems(&read(&file)?, &earlier).map_err(|e| named(&file, e))
    }

    /// Makes a new key in a data folder. The one before stays good, until it changes again.
    pub fn rotate(folder: &Path) -> Result<(), String> {
        let (file, previous) = (folder.join(FILE), folder.join(PREVIOUS));
        if file.exists() {
            std::fs::rename(&file, &previous).map_err(|e| format!("{}: {e}", previous.display()))?;
        }
        make(&file)
    }

    /// The public keys as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        let key = |key: &PublicKey| json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.id, "x": key.x });
        json!({ "keys": self.keys.get().known.iter().map(key).collect::<Vec<_>>() })
    }

    pub fn sign(&self, claims: &Claims) -> Result<String> {
        self.sign_for(ISSUER, claims)
    }

    /// Signs claims that only `audience` takes.
    pub fn sign_for(&self, audience: &str, claims: &impl Serialize) -> Result<String> {
        let keys = self.keys.get();
        let header = Header { kid: Some(keys.signer.clone()), ..Header::new(Algorithm::EdDSA) };
        let claims = Issued { iss: ISSUER.into(), aud: audience.into(), claims };
        jsonwebtoken::encode(&header, &claims, &keys.encoding).map_err(Error::fault)
    }

    /// Signs that old entries of an audit were let go.
    pub fn sign_closing(&self, closing: &Closing, now: Micros) -> Result<String> {
        #[derive(Serialize)]
        struct Dated<'a> {
            #[serde(flatten)]
            closing: &'a Closing,
            iat: i64,
            exp: i64,
        }
        self.sign_for(AUDIT, &Dated { closing, iat: now.0 / 1_000_000, exp: i64::MAX })
    }

    /// What such a signature says, if it was made here.
    pub fn closing(&self, signature: &str) -> Option<Closing> {
        self.verify_for(AUDIT, signature, Micros(0)).ok()
    }

    pub fn verify(&self, token: &str, now: Micros) -> Result<Claims> {
        self.verify_for(ISSUER, token, now)
    }

    /// The claims of a token that was signed here for `audience` and has not expired.
    pub fn verify_for<T: DeserializeOwned>(&self, audience: &str, token: &str, now: Micros) -> Result<T> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The expiry is checked below, by the server's own clock.
        validation.validate_exp = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        let kid = jsonwebtoken::decode_header(token).map_err(|_| refused())?.kid;
        let keys = self.keys.get();
        let key = keys.known.iter().find(|key| kid.as_deref() == Some(&key.id)).ok_or_else(refused)?;
        let claims = jsonwebtoken::decode::<serde_json::Value>(token, &key.decoding, &validation).map_err(|_| refused())?.claims;
        if claims["exp"].as_i64().ok_or_else(refused)? <= now.0 / 1_000_000 {
            return Err(expired());
        }
        serde_json::from_value(claims).map_err(|_| refused())
    }
}

/// Claims, with who made them and for whom.
#[derive(Serialize)]
struct Issued<'a, T> {
    iss: String,
    aud: String,
    #[serde(flatten)]
    claims: &'a T,
}

impl PublicKey {
    fn of(key: &SigningKey) -> Result<Self> {
        use base64::Engine as _;
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let decoding = DecodingKey::from_ed_components(&x).map_err(Error::fault)?;
        let id = super::digest(&x)[..16].to_owned();
        Ok(Self { id, x, decoding })
    }
}

fn parse(pem: &str) -> Result<SigningKey, String> {
    SigningKey::from_pkcs8_pem(pem).map_err(|e| format!("not an Ed25519 private key in PKCS#8 PEM: {e}"))
}

fn make(file: &Path) -> Result<(), String> {
    let key = SigningKey::from_bytes(&rand::random());
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| e.to_string())?;
    crate::infra::files::write_private(file, &pem).map_err(|e| format!("{}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let id = Uuid::nil();
        Claims { member: id, workspace: id, user: id, session: id, iat: 0, exp: 10 }
    }

    #[test]
    fn a_token_outlives_one_change_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let first = SigningKeys::in_folder(folder.path()).unwrap();
        let token = first.sign(&claims()).unwrap();
        SigningKeys::rotate(folder.path()).unwrap();
        let second = SigningKeys::in_folder(folder.path()).unwrap();
        assert!(second.verify(&token, Micros(0)).is_ok());
        assert_eq!(second.jwks()["keys"].as_array().unwrap().len(), 2);
        assert_ne!(second.jwks()["keys"][0]["kid"], first.jwks()["keys"][0]["kid"]);
        SigningKeys::rotate(folder.path()).unwrap();
        assert!(SigningKeys::in_folder(folder.path()).unwrap().verify(&token, Micros(0)).is_err());
    }

    #[test]
    fn what_was_not_issued_here_for_here_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = SigningKeys::in_folder(folder.path()).unwrap();
        let kid = keys.jwks()["keys"][0]["kid"].as_str().unwrap().to_owned();
        let forge = |header: &Header, iss: &str, aud: &str, key: &EncodingKey| {
            jsonwebtoken::encode(header, &Issued { iss: iss.into(), aud: aud.into(), claims: &claims() }, key).unwrap()
        };
        let good = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        assert!(keys.verify(&forge(&good, ISSUER, ISSUER, &keys.keys.get().encoding), Micros(0)).is_ok());
        assert!(keys.verify(&forge(&good, ISSUER, "other", &keys.keys.get().encoding), Micros(0)).is_err());
        assert!(keys.verify(&forge(&good, "other", ISSUER, &keys.keys.get().encoding), Micros(0)).is_err());
        assert!(keys.verify(&forge(&good, ISSUER, ISSUER, &keys.keys.get().encoding), Micros(10_000_000)).is_err());
        let other = SigningKeys::in_folder(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(keys.verify(&forge(&good, ISSUER, ISSUER, &other.keys.get().encoding), Micros(0)).is_err());
        // The public key taken as a shared secret, and no signature at all.
        let shared = Header { kid: Some(kid), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(keys.keys.get().known[0].x.as_bytes());
        assert!(keys.verify(&forge(&shared, ISSUER, ISSUER, &secret), Micros(0)).is_err());
        let token = forge(&good, ISSUER, ISSUER, &keys.keys.get().encoding);
        let body = token.split('.').nth(1).unwrap();
        assert!(keys.verify(&format!("eyJhbGciOiJub25lIn0.{body}."), Micros(0)).is_err());
    }
}
