//! Making hooks, changing them, and letting in who may post.

use entity::inbound_hook::{self, Entity};
use sea_orm::{ActiveModelTrait as _, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{InboundHooks, map};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::features::webhooks::{Secret, Signature, Signed, is_signed};
use crate::infra::db::{Mode, Scope, Tx};
use crate::infra::vault::Vault;
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::write::Rejected;

/// Hooks of one workspace.
const MOST: usize = 100;
/// The longest outcome that is kept, in characters.
const LONGEST: usize = 300;

/// How whoever posts proves that they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// They send the secret along.
    Token,
    /// They sign with it, by the Standard Webhooks specification.
    Signature,
}

impl Verification {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "TOKEN",
            Self::Signature => "SIGNATURE",
        }
    }

    pub fn of(text: &str) -> Self {
        if text == Self::Signature.as_str() { Self::Signature } else { Self::Token }
    }
}

/// What a hook is to be; of a change, what is given.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub type_name: Option<String>,
    /// By what a record is found that is there; null: each request makes a new one.
    pub key_map: Option<Json>,
    pub input_map: Option<Json>,
    pub verification: Option<Verification>,
    pub paused: Option<bool>,
}

/// A hook, and its secret: told once.
pub struct Made {
    pub hook: inbound_hook::Model,
    pub secret: String,
}

/// What whoever posts brings to prove that they may.
#[derive(Debug, Default)]
pub struct Proof<'a> {
    pub token: Option<&'a str>,
    pub signed: Option<Signed<'a>>,
}

fn invalid(path: &str, why: impl Into<String>) -> Rejected {
    UserError::new(UserErrorCode::InvalidValue, &[path], why).into()
}

fn context(hook: &inbound_hook::Model) -> String {
    format!("inbound:{}:{}", hook.workspace_id, hook.id)
}

fn open(vault: &Vault, hook: &inbound_hook::Model) -> Result<Secret> {
    Ok(serde_json::from_slice(&vault.open(&context(hook), &hook.secret)?)?)
}

fn seal(vault: &Vault, hook: &inbound_hook::Model, secret: &Secret) -> Result<String> {
    vault.seal(&context(hook), &serde_json::to_vec(secret)?)
}

impl InboundHooks {
    pub async fn all(&self, ctx: &Ctx) -> Result<Vec<inbound_hook::Model>> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let found = Entity::find().filter(inbound_hook::Column::WorkspaceId.eq(ctx.workspace));
        let found = found.order_by_asc(inbound_hook::Column::Name).order_by_asc(inbound_hook::Column::Id).all(&tx).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Makes a hook that writes as its maker.
    pub async fn create(&self, ctx: &Ctx, change: Change) -> Result<Made, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let (holder_kind, holder_id) = access::holder(ctx, "inbound hooks")?;
        let (now, secret) = (ctx.now(), Secret::new(Signature::Hmac));
        let mut row = inbound_hook::Model {
            workspace_id: ctx.workspace,
            id: self.clock.new_id(),
            name: String::new(),
            type_name: String::new(),
            key_map: None,
            input_map: json!({}),
            verification: change.verification.unwrap_or(Verification::Token).as_str().to_owned(),
            secret: String::new(),
            paused: false,
            holder_kind,
            holder_id,
            last_at: None,
            last_outcome: None,
            created_at: now,
            updated_at: now,
        };
        row.secret = seal(&self.vault, &row, &secret)?;
        apply(&mut row, change)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let count = "SELECT count(*) FROM inbound_hook WHERE workspace_id = $1";
        let count = tx.fetch_optional(count, vec![ctx.workspace.into()]).await?.map(|row| row.int(0)).transpose()?.flatten();
        if count.unwrap_or(0) >= i64::try_from(MOST).unwrap_or(i64::MAX) {
            return Err(UserError::new(UserErrorCode::Limit, &["name"], format!("A workspace has at most {MOST} inbound hooks.")).into());
        }
        Entity::insert(row.clone().into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        let detail = json!({ "created": row.name, "type": row.type_name });
        access::audit(&tx, ctx, Action::InboundHookChanged, row.id, detail).await?;
        tx.commit().await?;
        Ok(Made { hook: row, secret: secret.told()? })
    }

    /// Changes a hook. Whoever changes what it writes writes as themselves from then on.
    pub async fn update(&self, ctx: &Ctx, id: Uuid, change: Change) -> Result<inbound_hook::Model, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let mut row = find(&tx, ctx.workspace, id).await?;
        if (change.key_map.is_some() || change.input_map.is_some()) && ctx.actor.id != Some(row.holder_id) {
            (row.holder_kind, row.holder_id) = access::holder(ctx, "inbound hooks")?;
        }
        apply(&mut row, change)?;
        row.updated_at = ctx.now();
        Entity::update(row.clone().into_active_model().reset_all()).exec(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::InboundHookChanged, id, json!({ "updated": row.name, "paused": row.paused })).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn find(&self, ctx: &Ctx, id: Uuid) -> Result<inbound_hook::Model, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let found = find(&tx, ctx.workspace, id).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Gives a hook a new secret; the old one is void at once. Whoever gets to know it can write through the hook, so it writes
    /// as them from then on.
    pub async fn rotate_secret(&self, ctx: &Ctx, id: Uuid) -> Result<Made, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let mut row = find(&tx, ctx.workspace, id).await?;
        if ctx.actor.id != Some(row.holder_id) {
            (row.holder_kind, row.holder_id) = access::holder(ctx, "inbound hooks")?;
        }
        let secret = Secret::new(Signature::Hmac);
        row.secret = seal(&self.vault, &row, &secret)?;
        row.updated_at = ctx.now();
        Entity::update(row.clone().into_active_model().reset_all()).exec(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::InboundHookChanged, id, json!({ "rotated": row.name })).await?;
        tx.commit().await?;
        Ok(Made { hook: row, secret: secret.told()? })
    }

    pub async fn delete(&self, ctx: &Ctx, id: Uuid) -> Result<(), Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let row = find(&tx, ctx.workspace, id).await?;
        Entity::delete_by_id((ctx.workspace, id)).exec(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::InboundHookChanged, id, json!({ "deleted": row.name })).await?;
        Ok(tx.commit().await?)
    }

    /// The hook with this address, if there is one and the proof is good. Why it is not is not told apart.
    pub async fn admit(&self, id: Uuid, proof: &Proof<'_>, body: &[u8]) -> Result<Option<inbound_hook::Model>> {
        let tx = self.db.begin(&Scope::worker(), Mode::Read).await?;
        let found = Entity::find().filter(inbound_hook::Column::Id.eq(id)).one(&tx).await?;
        tx.commit().await?;
        let Some(hook) = found else { return Ok(None) };
        let secret = open(&self.vault, &hook)?;
        let good = match Verification::of(&hook.verification) {
            // Digests are compared, so how long it takes tells nothing of the secret.
            Verification::Token => {
                let told = secret.told()?;
                proof.token.is_some_and(|token| Sha256::digest(token) == Sha256::digest(&told))
            }
            Verification::Signature => match &proof.signed {
                Some(signed) => is_signed(&secret, signed, body, self.clock.now())?,
                None => false,
            },
        };
        Ok(good.then_some(hook))
    }

    /// Notes what came of the last request.
    pub async fn note(&self, hook: &inbound_hook::Model, outcome: &str) -> Result<()> {
        let outcome: String = outcome.chars().take(LONGEST).collect();
        let tx = self.db.begin(&Scope::workspace(hook.workspace_id), Mode::Write).await?;
        let sql = "UPDATE inbound_hook SET last_at = $3, last_outcome = $4 WHERE workspace_id = $1 AND id = $2";
        tx.run(sql, vec![hook.workspace_id.into(), hook.id.into(), self.clock.now().0.into(), outcome.into()]).await?;
        Ok(tx.commit().await?)
    }
}

fn apply(row: &mut inbound_hook::Model, change: Change) -> Result<(), Rejected> {
    if let Some(name) = change.name {
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(invalid("name", "A name has 1 to 100 characters."));
        }
        row.name = name;
    }
    if let Some(type_name) = change.type_name {
        row.type_name = type_name;
    }
    if let Some(map) = change.input_map {
        map::check(&map).map_err(|why| invalid("input", why))?;
        row.input_map = map;
    }
    if let Some(map) = change.key_map {
        if !map.is_null() {
            map::check(&map).map_err(|why| invalid("key", why))?;
        }
        row.key_map = Some(map).filter(|map| !map.is_null());
    }
    row.paused = change.paused.unwrap_or(row.paused);
    if let Some(verification) = change.verification {
        row.verification = verification.as_str().to_owned();
    }
    Ok(())
}

async fn find(tx: &Tx, workspace: Uuid, id: Uuid) -> Result<inbound_hook::Model, Rejected> {
    let found = Entity::find_by_id((workspace, id)).one(tx).await.map_err(Error::from)?;
    found.ok_or_else(|| UserError::new(UserErrorCode::NotFound, &["id"], "There is no such inbound hook.").into())
}

/// Seals all secrets of hooks anew; how many. The transaction is the owner's.
pub async fn reseal(tx: &Tx, vault: &Vault) -> Result<usize> {
    let all = Entity::find().all(tx).await?;
    for hook in &all {
        let sealed = seal(vault, hook, &open(vault, hook)?)?;
        let sql = "UPDATE inbound_hook SET secret = $3 WHERE workspace_id = $1 AND id = $2";
        tx.run(sql, vec![hook.workspace_id.into(), hook.id.into(), sealed.into()]).await?;
    }
    Ok(all.len())
}
