//! Tokens that let somebody go on, once: a link in a mail, the step after a password, a browser on
//! its way to another issuer and back. Only their digests are kept.

use std::time::Duration;

use entity::{Micros, sign_in_token};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Identity, digest, new_secret, sessions::later};
use crate::error::Result;
use crate::infra::db::{Mode, Scope};

const PREFIX: &str = "kith_once_";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To go on with a sign-in.
    SignIn,
    PasswordReset,
    /// To recognise a browser that comes back from another issuer.
    Issuer,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::PasswordReset => "PASSWORD_RESET",
            Self::Issuer => "ISSUER",
        }
    }

    pub(super) const fn lifetime(self) -> Duration {
        match self {
            Self::SignIn | Self::Issuer => Duration::from_secs(15 * 60),
            Self::PasswordReset => Duration::from_secs(60 * 60),
        }
    }
}

/// A token that is good.
pub(super) struct OneTime {
    hash: String,
    pub user: Option<Uuid>,
    pub detail: Json,
}

impl Identity {
    /// Makes a token; what expired is swept up on the way.
    pub(super) async fn issue_token(&self, purpose: Purpose, user: Option<Uuid>, detail: Json) -> Result<String> {
        let token = format!("{PREFIX}{}", new_secret());
        let (hash, now) = (digest(&token), self.clock.now());
        let tx = self.db.begin(&Scope { token: Some(hash.clone()), user, ..Scope::default() }, Mode::Write).await?;
        tx.run("DELETE FROM sign_in_token WHERE expires_at < $1", vec![now.0.into()]).await?;
        let row = sign_in_token::Model {
            token_hash: hash,
            kind: purpose.as_str().to_owned(),
            user_id: user,
            detail,
            created_at: now,
            expires_at: later(now, purpose.lifetime()),
            used_at: None,
        };
        sign_in_token::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Removes what has expired.
    pub(super) async fn sweep_tokens(&self) -> Result<()> {
        let tx = self.db.begin(&Scope::default(), Mode::Write).await?;
        tx.run("DELETE FROM sign_in_token WHERE expires_at < $1", vec![self.clock.now().0.into()]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Looks a token up, without using it.
    pub(super) async fn look_at_token(&self, purpose: Purpose, token: &str) -> Result<Option<OneTime>> {
        let (hash, now) = (digest(token), self.clock.now());
        let tx = self.db.begin(&Scope { token: Some(hash.clone()), ..Scope::default() }, Mode::Read).await?;
        let found = sign_in_token::Entity::find_by_id(hash).one(&tx).await?;
        tx.commit().await?;
        let good = |row: &sign_in_token::Model| row.kind == purpose.as_str() && row.used_at.is_none() && row.expires_at > now;
        Ok(found.filter(good).map(|row| OneTime { hash: row.token_hash, user: row.user_id, detail: row.detail }))
    }

    /// Uses a token; false if somebody else was faster.
    pub(super) async fn spend_token(&self, token: &OneTime) -> Result<bool> {
        let Micros(now) = self.clock.now();
        let tx = self.db.begin(&Scope { token: Some(token.hash.clone()), ..Scope::default() }, Mode::Write).await?;
        let sql = "UPDATE sign_in_token SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL";
        let spent = tx.run(sql, vec![token.hash.clone().into(), now.into()]).await? == 1;
        tx.commit().await?;
        Ok(spent)
    }

    /// Makes every token of a user's void.
    pub(super) async fn void_tokens(&self, user: Uuid) -> Result<()> {
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Write).await?;
        tx.run("DELETE FROM sign_in_token WHERE user_id = $1", vec![user.into()]).await?;
        tx.commit().await?;
        Ok(())
    }
}
