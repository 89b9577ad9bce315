//! Embed tokens: `kith_embed_<JWT>`, short-lived and narrower than the key that made them.
//!
//! A server makes one with its key for each visitor, and hands it to their browser: a widget that
//! shows one company's deals, a portal for one person. What it may do stands in the token, signed;
//! it ends with its key at the latest.

use std::collections::BTreeMap;
use std::time::Duration;

use entity::Micros;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::api_keys::KeyKind;
use super::restrictions::Restrictions;
use super::{Bound, Caller, Identity, Known, refused};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::Mode;
use crate::platform::audit::Action;
use crate::platform::{Actor, ActorKind, Ctx};
use crate::records::write::Rejected;

pub(super) const PREFIX: &str = "kith_embed_";
const AUDIENCE: &str = "kith-embed";

/// The longest life of a token.
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "sub")]
    key: Uuid,
    #[serde(rename = "ws")]
    workspace: Uuid,
    #[serde(rename = "jti")]
    id: Uuid,
    iat: i64,
    exp: i64,
    #[serde(rename = "restrictions")]
    own: Restrictions,
}

/// A token as it is shown once.
pub struct NewToken {
    pub token: String,
    pub expires_at: Micros,
}

impl Identity {
    /// Makes a token that may do less than the key that asks.
    pub async fn create_embed_token(&self, ctx: &Ctx, caller: &Caller, own: Restrictions, seconds: u32) -> Result<NewToken, Rejected> {
        let is_secret = caller.bound.as_ref().is_none_or(|bound| bound.kind == KeyKind::Secret);
        let Some(key) = ctx.actor.id.filter(|_| ctx.actor.kind == ActorKind::ApiKey && is_secret && caller.token.is_none()) else {
            return Err(Error::forbidden("An embed token is made with a secret API key, on your server.").into());
        };
        own.check()?;
        let invalid = |path: &str, message: String| UserError::new(UserErrorCode::InvalidValue, &[path], message);
        if own.objects.is_none() && own.person.is_none() {
            let message = "Say what a visitor's browser may see: without scopes it had all that the key has.";
            return Err(UserError::new(UserErrorCode::Required, &["restrictions", "scopes"], message).into());
        }
        if seconds == 0 || Duration::from_secs(seconds.into()) > LONGEST {
            return Err(invalid("expiresInSeconds", format!("Expected 1 to {} seconds.", LONGEST.as_secs())).into());
        }
        if own.documents_only && caller.bound.as_ref().is_none_or(|bound| bound.application.is_none()) {
            let message = "The key belongs to no application, so it has no documents.";
            return Err(UserError::new(UserErrorCode::InvalidValue, &["restrictions", "documentsOnly"], message).into());
        }
        let now = ctx.now().0 / 1_000_000;
        let claims = Claims { key, workspace: ctx.workspace, id: self.clock.new_id(), iat: now, exp: now + i64::from(seconds), own };
        let token = format!("{PREFIX}{}", self.keys.sign_for(AUDIENCE, &claims)?);
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        access::audit(&tx, ctx, Action::TokenCreated, key, json!({ "token": claims.id, "restrictions": claims.own })).await?;
        tx.commit().await?;
        Ok(NewToken { token, expires_at: Micros(claims.exp * 1_000_000) })
    }

    pub(super) async fn caller_of_embed_token(&self, credential: &str) -> Result<Known> {
        let token = credential.strip_prefix(PREFIX).ok_or_else(refused)?;
        let claims: Claims = self.keys.verify_for(AUDIENCE, token, self.clock.now())?;
        let key = self.usable_key(claims.workspace, claims.key).await?;
        let of_key: Restrictions = serde_json::from_value(key.restrictions)?;
        let mut restrictions = claims.own.under(&of_key);
        // What a token carries is for a browser: it does not set the workspace up.
        restrictions.settings = Some(Default::default());
        let ends = Micros(claims.exp * 1_000_000).min(key.expires_at.unwrap_or(Micros(i64::MAX)));
        let caller = Caller {
            workspace: claims.workspace,
            member: None,
            user: None,
            actor: Actor { kind: ActorKind::ApiKey, id: Some(claims.key) },
            session: None,
            bound: Some(Bound::new(restrictions, key.application_id, KeyKind::Secret)?),
            token: Some(claims.id),
        };
        Ok(Known { id: claims.key, expires_at: ends, caller })
    }
}

/// Row filters as they are given, one after the other, by object.
pub fn by_object(filters: Vec<(String, serde_json::Value)>) -> BTreeMap<String, Vec<serde_json::Value>> {
    let mut by_object: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for (object, filter) in filters {
        by_object.entry(object).or_default().push(filter);
    }
    by_object
}
