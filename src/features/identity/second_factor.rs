//! A second factor: codes that change with time (TOTP, RFC 6238), from an app on the user's phone,
//! and recovery codes for when the phone is gone.
//!
//! The secret is sealed with the installation's key. A code is good once: its time step must be later
//! than the last one that was used.

use entity::{recovery_code, user_account};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use totp_rs::{Algorithm, Builder, Totp};
use uuid::Uuid;

use super::{Identity, digest};
use crate::error::{Error, Result};
use crate::infra::db::{Mode, Scope, Tx};
use crate::infra::vault::Vault;
use crate::platform::audit::{self, Action, Event};
use crate::platform::{Ctx, Origin};

/// How many recovery codes a user gets.
const CODES: usize = 10;
/// RFC 4226 asks for 160 bits.
const SECRET: usize = 20;

/// A secret to be put into an app.
pub struct Enrolment {
    pub secret: String,
    /// `otpauth://totp/…`, for a QR code.
    pub uri: String,
}

fn context(user: Uuid) -> String {
    format!("totp:{user}")
}

fn totp(secret: &[u8], email: &str) -> Result<Totp> {
    // SHA-1, because many apps know nothing else and do not say so.
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_secret(secret.to_vec());
    builder.with_account_name(email.replace(':', "_")).with_issuer(Some("Kith")).build().map_err(Error::fault)
}

impl Identity {
    pub async fn has_second_factor(&self, user: Uuid) -> Result<bool> {
        Ok(self.account_by_id(user).await?.is_some_and(|account| account.totp_since.is_some()))
    }

    /// Makes a secret. It counts once a code of it was given. None: the password is wrong, or there is a
    /// second factor already.
    pub async fn enrol_second_factor(&self, user: Uuid, password: &str, origin: &Origin) -> Result<Option<Enrolment>> {
        let account = self.account_by_id(user).await?.filter(|account| account.totp_since.is_none());
        let Some(account) = account else { return Ok(None) };
        // Whoever finds a screen unlocked does not lock its owner out. Who has no password proved who they
        // are elsewhere.
        let _turn = self.guard.turn(&account.email, origin).await;
        if account.password_hash.is_some()
            && (self.guard.must_wait(&account.email, origin).await? > 0
                || !self.hasher.verify(password.to_owned(), account.password_hash.clone()).await?)
        {
            self.guard.note_failure(&account.email, origin).await?;
            return Ok(None);
        }
        let secret: [u8; SECRET] = rand::random();
        let sealed = self.vault.seal(&context(user), &secret)?;
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Write).await?;
        tx.run("UPDATE user_account SET totp_secret = $2 WHERE id = $1 AND totp_since IS NULL", vec![user.into(), sealed.into()]).await?;
        tx.commit().await?;
        let totp = totp(&secret, &account.email)?;
        Ok(Some(Enrolment { secret: totp.secret().to_base32(), uri: totp.to_url().map_err(Error::fault)? }))
    }

    /// Turns the second factor on, and gives the recovery codes. None: the code is wrong.
    pub async fn confirm_second_factor(&self, ctx: &Ctx, session: Option<Uuid>, user: Uuid, code: &str) -> Result<Option<Vec<String>>> {
        let account = self.account_by_id(user).await?;
        let Some(account) = account.filter(|account| account.totp_since.is_none() && account.totp_secret.is_some()) else {
            return Ok(None);
        };
        let Some(step) = self.step_of(&account, code)? else { return Ok(None) };
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let sql = "UPDATE user_account SET totp_since = $2, totp_last_step = $3 WHERE id = $1";
        tx.run(sql, vec![user.into(), ctx.now().0.into(), step.into()]).await?;
        let codes = renew_codes(&tx, user).await?;
        audit::append(&tx, &Event::of(ctx, Action::SecondFactorOn, ctx.member, serde_json::Value::Null)).await?;
        tx.commit().await?;
        // Whoever came in without it comes in anew.
        self.void_tokens(user).await?;
        self.end_other_sessions(user, session, "SECOND_FACTOR_ON").await?;
        Ok(Some(codes))
    }

    /// Turns the second factor off. False: the code is wrong, or there is none to turn off.
    pub async fn drop_second_factor(&self, ctx: &Ctx, user: Uuid, code: &str) -> Result<bool> {
        let Some(account) = self.account_by_id(user).await?.filter(|account| account.totp_since.is_some()) else { return Ok(false) };
        // As at the door: whoever finds a screen unlocked does not guess.
        let (name, nowhere) = (format!("second-factor:{user}"), Origin::default());
        let _turn = self.guard.turn(&name, &nowhere).await;
        if self.guard.must_wait(&name, &nowhere).await? > 0 || !self.check_second_factor(&account, code).await? {
            self.guard.note_failure(&name, &nowhere).await?;
            return Ok(false);
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let sql = "UPDATE user_account SET totp_secret = NULL, totp_since = NULL, totp_last_step = NULL WHERE id = $1";
        tx.run(sql, vec![user.into()]).await?;
        tx.run("DELETE FROM recovery_code WHERE user_id = $1", vec![user.into()]).await?;
        audit::append(&tx, &Event::of(ctx, Action::SecondFactorOff, ctx.member, serde_json::Value::Null)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether it is a code of the user's app, or one of their recovery codes, that was not used before.
    pub(super) async fn check_second_factor(&self, account: &user_account::Model, code: &str) -> Result<bool> {
        let user = account.id;
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Write).await?;
        let used = match self.step_of(account, code)? {
            Some(step) => {
                let sql = "UPDATE user_account SET totp_last_step = $2 WHERE id = $1 AND (totp_last_step IS NULL OR totp_last_step < $2)";
                tx.run(sql, vec![user.into(), step.into()]).await?
            }
            None => {
                let sql = "UPDATE recovery_code SET used_at = $3 WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL";
                tx.run(sql, vec![user.into(), digest(&plain(code)).into(), self.clock.now().0.into()]).await?
            }
        };
        tx.commit().await?;
        Ok(used == 1)
    }

    /// The time step of a code of the user's app, a step early or late allowed.
    fn step_of(&self, account: &user_account::Model, code: &str) -> Result<Option<i64>> {
        let Some(sealed) = &account.totp_secret else { return Ok(None) };
        let secret = self.vault.open(&context(account.id), sealed)?;
        let seconds = u64::try_from(self.clock.now().0 / 1_000_000).unwrap_or(0);
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        Ok(totp(&secret, &account.email)?.check(&code, seconds).and_then(|step| i64::try_from(step).ok()))
    }
}

/// Seals every secret anew that an earlier key sealed; returns how many. The transaction must see every
/// user.
pub async fn reseal(tx: &Tx, vault: &Vault) -> Result<usize> {
    let mut count = 0;
    for account in user_account::Entity::find().filter(user_account::Column::TotpSecret.is_not_null()).all(tx).await? {
        let Some(sealed) = account.totp_secret.filter(|sealed| !vault.is_current(sealed)) else { continue };
        let context = context(account.id);
        let fresh = vault.seal(&context, &vault.open(&context, &sealed)?)?;
        tx.run("UPDATE user_account SET totp_secret = $2 WHERE id = $1", vec![account.id.into(), fresh.into()]).await?;
        count += 1;
    }
    Ok(count)
}

/// Fresh recovery codes in the place of the present ones.
async fn renew_codes(tx: &Tx, user: Uuid) -> Result<Vec<String>> {
    tx.run("DELETE FROM recovery_code WHERE user_id = $1", vec![user.into()]).await?;
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        // 80 bits, in letters and digits that are not mistaken for each other.
        let secret = totp_rs::Secret::new(Box::new(rand::random::<[u8; 10]>())).to_base32().to_lowercase();
        let code = secret.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-");
        let row = recovery_code::Model { user_id: user, code_hash: digest(&plain(&code)), used_at: None };
        recovery_code::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
        codes.push(code);
    }
    Ok(codes)
}

/// A recovery code however it was typed.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
