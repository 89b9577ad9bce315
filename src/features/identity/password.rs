//! Passwords: argon2id (RFC 9106) with the library's defaults, which follow OWASP's advice.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};

use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// The shortest password, in characters.
const SHORTEST: usize = 8;
const LONGEST: usize = 200;
/// Judging takes longer than in proportion; what begins well is good.
const MOST_JUDGED: usize = 72;
/// A password that falls within so many guesses (zxcvbn's estimate) is a common one.
const FEWEST_GUESSES: u64 = 1_000_000;

/// Says what is wrong with a new password, if something is.
pub fn check_strength(password: &str) -> std::result::Result<(), String> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(format!("A password has at least {SHORTEST} characters."));
    }
    if length > LONGEST {
        return Err(format!("A password has at most {LONGEST} characters."));
    }
    let head: String = password.chars().take(MOST_JUDGED).collect();
    if zxcvbn::zxcvbn(&head, &[]).guesses() < FEWEST_GUESSES {
        return Err("The password is too easy to guess: it is common, or a small change of a common one. Several words are better.".into());
    }
    Ok(())
}

/// Hashes and verifies, a few at once: each takes 19 MiB and a core for tens of milliseconds, by design.
#[derive(Clone)]
pub struct Hasher {
    permits: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(2)) }
    }
}

impl Hasher {
    /// The hash to keep of a password.
    pub async fn hash(&self, password: String) -> Result<String> {
        let _permit = self.permits.acquire().await.map_err(Error::fault)?;
        tokio::task::spawn_blocking(move || hash(&password)).await.map_err(Error::fault)?
    }

    /// Whether the password belongs to the hash. Without a hash it takes as long and says no.
    pub async fn verify(&self, password: String, kept: Option<String>) -> Result<bool> {
        let _permit = self.permits.acquire().await.map_err(Error::fault)?;
        tokio::task::spawn_blocking(move || verify(&password, kept.as_deref())).await.map_err(Error::fault)
    }
}

fn hash(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|e| Error::fault(format!("password hash: {e}")))
}

fn verify(password: &str, kept: Option<&str>) -> bool {
    let of = kept.unwrap_or(NOBODYS);
    let Ok(parsed) = PasswordHash::new(of) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && kept.is_some()
}

/// A hash that no password has, with the same parameters.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZS1zYWx0LW9mLW91cnM$1Zr1bT1v5Y0c0S8hQ3m0l0B3m1xq0sE5m2k0m8vVw9E";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_passwords_are_refused() {
        for common in ["password", "password1", "12345678", "qwertyuiop", "iloveyou", "Passw0rd!"] {
            assert!(check_strength(common).is_err(), "{common}");
        }
        for good in ["correct horse", "kith-demo", "long enough", "Zw9-trombone-sky"] {
            assert!(check_strength(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let kept = hash("correct horse").unwrap();
        assert!(verify("correct horse", Some(&kept)));
        assert!(!verify("Correct horse", Some(&kept)));
        assert!(!verify("correct horse", None));
        assert!(PasswordHash::new(NOBODYS).is_ok(), "the stand-in must cost as much as a real hash");
    }
}
