//! Access tokens: JWTs signed with Ed25519 (RFC 8037), valid for minutes.

use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use entity::Micros;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{expired, refused};
use crate::error::{Error, Result};

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

pub struct SigningKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    id: String,
}

impl SigningKeys {
    /// Reads a private key in PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|e| format!("not an Ed25519 private key in PKCS#8 PEM: {e}"))?;
        Self::new(&key).map_err(|e| e.to_string())
    }

    /// Reads the key of a data folder, or makes one there.
    pub fn in_folder(folder: &Path) -> Result<Self, String> {
        let file = folder.join("jwt-ed25519.pem");
        if file.exists() {
            let pem = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            return Self::from_pem(&pem).map_err(|e| format!("{}: {e}", file.display()));
        }
        let key = SigningKey::from_bytes(&rand::random());
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| e.to_string())?;
        write_private(&file, &pem).map_err(|e| format!("{}: {e}", file.display()))?;
        Self::new(&key).map_err(|e| e.to_string())
    }

    fn new(key: &SigningKey) -> Result<Self> {
        use base64::Engine as _;
        let der = key.to_pkcs8_der().map_err(Error::fault)?;
        let public = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let decoding = DecodingKey::from_ed_components(&public).map_err(Error::fault)?;
        let id = super::digest(&public)[..16].to_owned();
        Ok(Self { encoding: EncodingKey::from_ed_der(der.as_bytes()), decoding, id })
    }

    pub fn sign(&self, claims: &Claims) -> Result<String> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(Error::fault)
    }

    pub fn verify(&self, token: &str, now: Micros) -> Result<Claims> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The expiry is checked below, by the server's own clock.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).map_err(|_| refused())?.claims;
        if claims.exp <= now.0 / 1_000_000 {
            return Err(expired());
        }
        Ok(claims)
    }
}

#[cfg(unix)]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(file, text)
}
