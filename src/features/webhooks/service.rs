//! What an owner does with webhooks.

use entity::{Micros, member, webhook};
use sea_orm::{ActiveModelTrait as _, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::Webhooks;
use super::model::Signature;
use super::sign::Secret;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Scope, Tx};
use crate::infra::mail::Letter;
use crate::infra::vault::Vault;
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::write::Rejected;

/// How long an old secret signs beside a new one at most, in hours.
const LONGEST_GRACE: i64 = 30 * 24;
/// A webhook, and what its endpoint must know to verify signatures: told once.
pub struct Made {
    pub webhook: webhook::Model,
    pub secret: String,
}

/// A webhook's secrets, the newest first.
pub(super) struct Secrets {
    pub all: Vec<Secret>,
}

impl Secrets {
    pub fn open(vault: &Vault, hook: &webhook::Model) -> Result<Self> {
        let plain = vault.open(&context(hook.workspace_id, hook.id), &hook.secrets)?;
        Ok(Self { all: serde_json::from_slice(&plain)? })
    }

    pub fn seal(&self, vault: &Vault, workspace: Uuid, id: Uuid) -> Result<String> {
        vault.seal(&context(workspace, id), &serde_json::to_vec(&self.all)?)
    }
}

fn context(workspace: Uuid, id: Uuid) -> String {
    format!("webhook:{workspace}:{id}")
}

pub(super) fn invalid(path: &str, why: impl Into<String>) -> Rejected {
    UserError::new(UserErrorCode::InvalidValue, &[path], why).into()
}

impl Webhooks {
    pub async fn all(&self, ctx: &Ctx) -> Result<Vec<webhook::Model>> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let found = webhook::Entity::find().filter(webhook::Column::WorkspaceId.eq(ctx.workspace));
        let found = found.order_by_asc(webhook::Column::Name).order_by_asc(webhook::Column::Id).all(&tx).await?;
        tx.commit().await?;
        Ok(found)
    }

    pub async fn find(&self, ctx: &Ctx, id: Uuid) -> Result<webhook::Model, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let found = find(&tx, ctx.workspace, id).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Takes a webhook and its deliveries away.
    pub async fn delete(&self, ctx: &Ctx, id: Uuid) -> Result<(), Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let row = find(&tx, ctx.workspace, id).await?;
        for table in ["webhook_delivery WHERE workspace_id = $1 AND webhook_id", "webhook WHERE workspace_id = $1 AND id"] {
            tx.run(&format!("DELETE FROM {table} = $2"), vec![ctx.workspace.into(), id.into()]).await?;
        }
        access::audit(&tx, ctx, Action::WebhookChanged, id, json!({ "deleted": row.name })).await?;
        Ok(tx.commit().await?)
    }

    /// Gives a webhook a new secret; the old one signs beside it for some hours.
    pub async fn rotate_secret(&self, ctx: &Ctx, id: Uuid, hours: i64) -> Result<Made, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        if !(0..=LONGEST_GRACE).contains(&hours) {
            return Err(invalid("graceHours", format!("0 to {LONGEST_GRACE} hours.")));
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let mut row = find(&tx, ctx.workspace, id).await?;
        let now = ctx.now();
        let mut secrets = Secrets::open(&self.vault, &row)?;
        let until = Micros(now.0 + hours * 3_600_000_000);
        secrets.all.retain(|secret| secret.until.is_none_or(|until| until > now));
        secrets.all.iter_mut().for_each(|secret| secret.until = Some(secret.until.map_or(until, |earlier| earlier.min(until))));
        let new = Secret::new(Signature::of(&row.signature));
        let told = new.told()?;
        secrets.all.insert(0, new);
        // Two at a time: whoever rotates in haste takes the oldest away.
        secrets.all.truncate(2);
        row.secrets = secrets.seal(&self.vault, ctx.workspace, id)?;
        row.updated_at = now;
        webhook::Entity::update(row.clone().into_active_model().reset_all()).exec(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::WebhookChanged, id, json!({ "rotated": row.name, "graceHours": hours })).await?;
        tx.commit().await?;
        Ok(Made { webhook: row, secret: told })
    }

    /// The letter to whoever made a webhook that was switched off; none if they have no address, or it is gone.
    pub async fn letter(&self, workspace: Uuid, notice: &serde_json::Value) -> Result<Option<Letter>> {
        let Some(id) = notice["webhook"].as_str().and_then(|id| id.parse().ok()) else { return Ok(None) };
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let hook = webhook::Entity::find_by_id((workspace, id)).one(&tx).await?;
        let owner = match &hook {
            Some(hook) => member::Entity::find_by_id((workspace, hook.holder_id)).one(&tx).await?,
            None => None,
        };
        tx.commit().await?;
        let Some((hook, to)) = hook.zip(owner.and_then(|owner| owner.email)) else { return Ok(None) };
        let text = format!(
            "Nothing is sent to your webhook \"{}\" ({}) any more.\n\n{}\n\nWhen it works again, activate it (updateWebhook) and ask for what \
             was missed (replayWebhooks).\n",
            hook.name,
            hook.url.split(['?', '#']).next().unwrap_or_default(),
            notice["why"].as_str().unwrap_or_default()
        );
        Ok(Some(Letter { to, subject: format!("Your webhook {} was switched off", hook.name), text }))
    }
}

pub(super) async fn find(tx: &Tx, workspace: Uuid, id: Uuid) -> Result<webhook::Model, Rejected> {
    let found = webhook::Entity::find_by_id((workspace, id)).one(tx).await.map_err(Error::from)?;
    found.ok_or_else(|| UserError::new(UserErrorCode::NotFound, &["id"], "There is no such webhook.").into())
}

/// Seals all secrets of webhooks anew; how many. The transaction is the owner's.
pub async fn reseal(tx: &Tx, vault: &Vault) -> Result<usize> {
    let all = webhook::Entity::find().all(tx).await?;
    for hook in &all {
        let sealed = Secrets::open(vault, hook)?.seal(vault, hook.workspace_id, hook.id)?;
        let sql = "UPDATE webhook SET secrets = $3 WHERE workspace_id = $1 AND id = $2";
        tx.run(sql, vec![hook.workspace_id.into(), hook.id.into(), sealed.into()]).await?;
    }
    Ok(all.len())
}
