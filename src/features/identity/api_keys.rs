//! API keys: `kith_key_<workspace>_<id>_<secret>`, shown once, kept as a hash.

use entity::{Micros, api_key};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::sessions::active_member;
use super::{Caller, Identity, Known, digest, new_secret, refused, same};
use crate::error::{Error, Result};
use crate::features::access;
use crate::infra::db::{Mode, Scope};
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::platform::{Actor, ActorKind, Ctx};
use crate::records::write::Rejected;

pub(super) const PREFIX: &str = "kith_key_";

/// A key as it is shown once.
pub struct NewApiKey {
    pub key: api_key::Model,
    pub secret: String,
}

impl Identity {
    /// Makes a key with these roles, or the usual one.
    pub async fn create_api_key(
        &self,
        ctx: &Ctx,
        name: &str,
        expires_at: Option<Micros>,
        roles: Option<Vec<Uuid>>,
    ) -> Result<NewApiKey, Rejected> {
        access::require(ctx, Setting::ApiKeys)?;
        let (id, secret) = (self.clock.new_id(), new_secret());
        let shown = format!("{PREFIX}{}_{}_{secret}", ctx.workspace.simple(), id.simple());
        let key = api_key::Model {
            workspace_id: ctx.workspace,
            id,
            name: name.trim().to_owned(),
            hint: format!("…{}", &secret[secret.len() - 4..]),
            secret_hash: digest(&secret),
            created_by: ctx.member,
            created_at: ctx.now(),
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        api_key::Entity::insert(key.clone().into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        access::give_to_key(&tx, ctx, id, roles).await?;
        access::audit(&tx, ctx, Action::KeyCreated, id, json!({ "name": key.name, "expiresAt": expires_at })).await?;
        tx.commit().await?;
        Ok(NewApiKey { key, secret: shown })
    }

    /// Ends a key; false if there is none.
    pub async fn revoke_api_key(&self, ctx: &Ctx, id: Uuid) -> Result<Option<api_key::Model>> {
        access::require(ctx, Setting::ApiKeys)?;
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        let Some(found) = api_key::Entity::find_by_id((ctx.workspace, id)).one(&tx).await? else { return Ok(None) };
        let mut model = found.into_active_model();
        model.revoked_at = Set(Some(ctx.now()));
        let key = model.update(&tx).await?;
        access::audit(&tx, ctx, Action::KeyRevoked, id, json!({ "name": key.name })).await?;
        tx.commit().await?;
        self.ended(id).await;
        Ok(Some(key))
    }

    /// The key that the caller used, if it was one.
    pub async fn own_key(&self, ctx: &Ctx) -> Result<Option<api_key::Model>> {
        let Some(id) = ctx.actor.id.filter(|_| ctx.actor.kind == ActorKind::ApiKey) else { return Ok(None) };
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let key = api_key::Entity::find_by_id((ctx.workspace, id)).one(&tx).await?;
        tx.commit().await?;
        Ok(key)
    }

    pub async fn api_keys(&self, ctx: &Ctx) -> Result<Vec<api_key::Model>> {
        access::require(ctx, Setting::ApiKeys)?;
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let keys = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(ctx.workspace))
            .order_by_asc(api_key::Column::Id)
            .all(&tx)
            .await?;
        tx.commit().await?;
        Ok(keys)
    }

    pub(super) async fn caller_of_key(&self, credential: &str) -> Result<Known> {
        let (workspace, id, secret) = parse(credential).ok_or_else(refused)?;
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let found = api_key::Entity::find_by_id((workspace, id)).one(&tx).await?;
        // A key is as good as the member who made it: it ends with them.
        let made_by = found.as_ref().and_then(|key| key.created_by);
        let orphaned = match made_by {
            Some(member) => !active_member(&tx, workspace, member).await?,
            None => false,
        };
        tx.commit().await?;
        if orphaned {
            return Err(refused());
        }
        let now = self.clock.now();
        let usable = |key: &api_key::Model| {
            same(&key.secret_hash, &digest(secret)) && key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now)
        };
        let key = found.filter(usable).ok_or_else(refused)?;
        if !self.is_fresh(id) {
            self.note_use(&key, now).await?;
        }
        let caller = Caller { workspace, member: None, user: None, actor: Actor { kind: ActorKind::ApiKey, id: Some(id) }, session: None };
        Ok(Known { id, expires_at: key.expires_at.unwrap_or(Micros(i64::MAX)), caller })
    }

    /// Remembers, now and then, that a key is in use.
    async fn note_use(&self, key: &api_key::Model, now: Micros) -> Result<()> {
        let tx = self.db.begin(&Scope::workspace(key.workspace_id), Mode::Write).await?;
        let mut model = key.clone().into_active_model();
        model.last_used_at = Set(Some(now));
        model.update(&tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn parse(credential: &str) -> Option<(Uuid, Uuid, &str)> {
    let mut parts = credential.strip_prefix(PREFIX)?.splitn(3, '_');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}
