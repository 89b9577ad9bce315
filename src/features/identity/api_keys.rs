//! API keys: `kith_key_<workspace>_<id>_<secret>`, shown once, kept as a hash.
//!
//! A publishable key (`kith_pub_…`) stands in the source of a web page, so it is bound: to the page's
//! origins, to the documents of its application, to so many requests a minute from one address, and,
//! unless its maker says otherwise, to creating records.

use std::sync::Arc;

use entity::{Micros, api_key};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::restrictions::Restrictions;
use super::sessions::active_member;
use super::{Bound, Caller, Identity, Known, digest, new_secret, refused, same};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Scope};
use crate::platform::access::Setting;
use crate::platform::audit::{self, Action, Event};
use crate::platform::{Actor, ActorKind, Ctx, Origin};
use crate::records::write::Rejected;

const SECRET: &str = "kith_key_";
const PUBLISHABLE: &str = "kith_pub_";

/// What a publishable key takes from one address when nothing is said.
const USUAL_PER_MINUTE: u32 = 60;

/// A key's use stands in the audit once in so many microseconds.
const DAY: i64 = 86_400 * 1_000_000;

pub(super) fn is_key(credential: &str) -> bool {
    credential.starts_with(SECRET) || credential.starts_with(PUBLISHABLE)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// For servers, which can keep it.
    Secret,
    /// For pages, whose visitors can read it.
    Publishable,
}

impl Bound {
    /// What a key leaves of its roles; none if it leaves all.
    pub(super) fn of_key(key: &api_key::Model) -> Result<Option<Arc<Self>>> {
        let restrictions: Restrictions = serde_json::from_value(key.restrictions.clone())?;
        if restrictions == Restrictions::default() {
            return Ok(None);
        }
        Self::new(restrictions, key.application_id, KeyKind::of(key)).map(Some)
    }
}

impl KeyKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Publishable => "PUBLISHABLE",
        }
    }

    fn of(row: &api_key::Model) -> Self {
        if row.kind == "PUBLISHABLE" { Self::Publishable } else { Self::Secret }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Secret => SECRET,
            Self::Publishable => PUBLISHABLE,
        }
    }
}

/// A key as it is asked for.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    pub name: String,
    pub kind: KeyKind,
    pub application: Option<Uuid>,
    pub expires_at: Option<Micros>,
    /// None: the usual one.
    pub roles: Option<Vec<Uuid>>,
    pub restrictions: Restrictions,
}

impl KeyRequest {
    /// Says what makes no sense, and adds what a publishable key always is.
    fn settle(&mut self) -> Result<(), UserError> {
        self.restrictions.check()?;
        let required = |path: &str, message: &str| Err(UserError::new(UserErrorCode::Required, &[path], message));
        let publishable = self.kind == KeyKind::Publishable;
        if self.application.is_none() && (publishable || self.restrictions.documents_only) {
            return required("applicationId", "Documents belong to an application: say which, and register them with it.");
        }
        if publishable && self.restrictions.origins.is_empty() {
            let message = "A publishable key names the origins of the pages that use it.";
            return Err(UserError::new(UserErrorCode::Required, &["restrictions", "origins"], message));
        }
        if publishable {
            self.restrictions.documents_only = true;
            self.restrictions.no_changes = true;
            self.restrictions.per_minute.get_or_insert(USUAL_PER_MINUTE);
            self.restrictions.settings = Some(Default::default());
        }
        Ok(())
    }
}

/// A key as it is shown once.
pub struct NewApiKey {
    pub key: api_key::Model,
    pub secret: String,
}

impl Identity {
    /// Makes a key with these roles, or the usual one.
    pub async fn create_api_key(&self, ctx: &Ctx, mut request: KeyRequest) -> Result<NewApiKey, Rejected> {
        access::require(ctx, Setting::ApiKeys)?;
        request.settle()?;
        let (id, secret) = (self.clock.new_id(), new_secret());
        let shown = format!("{}{}_{}_{secret}", request.kind.prefix(), ctx.workspace.simple(), id.simple());
        let maker = self.own_key(ctx).await?;
        // A key that a key makes ends with it, and with the member behind it.
        let ends = [request.expires_at, maker.as_ref().and_then(|key| key.expires_at)].into_iter().flatten().min();
        let key = api_key::Model {
            workspace_id: ctx.workspace,
            id,
            name: request.name.trim().to_owned(),
            hint: format!("…{}", &secret[secret.len() - 4..]),
            secret_hash: digest(&secret),
            created_by: ctx.member.or_else(|| maker.as_ref().and_then(|key| key.created_by)),
            created_at: ctx.now(),
            expires_at: ends,
            last_used_at: None,
            revoked_at: None,
            kind: request.kind.as_str().to_owned(),
            application_id: request.application,
            restrictions: serde_json::to_value(&request.restrictions).map_err(Error::from)?,
        };
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        if let Some(application) = request.application {
            super::applications::require(&tx, ctx, application).await?;
        }
        api_key::Entity::insert(key.clone().into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        access::give_to_key(&tx, ctx, id, request.roles).await?;
        let detail = json!({ "name": key.name, "kind": key.kind, "expiresAt": key.expires_at, "restrictions": key.restrictions });
        access::audit(&tx, ctx, Action::KeyCreated, id, detail).await?;
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

    pub(super) async fn caller_of_key(&self, credential: &str, origin: &Origin) -> Result<Known> {
        let (kind, workspace, id, secret) = parse(credential).ok_or_else(refused)?;
        let key = self.usable_key(workspace, id).await?;
        if !same(&key.secret_hash, &digest(secret)) || KeyKind::of(&key) != kind {
            return Err(refused());
        }
        if !self.is_fresh(id) {
            self.note_use(&key, origin).await?;
        }
        let bound = Bound::of_key(&key)?;
        let actor = Actor { kind: ActorKind::ApiKey, id: Some(id) };
        let caller = Caller { workspace, member: None, user: None, actor, session: None, bound, token: None };
        Ok(Known { id, expires_at: key.expires_at.unwrap_or(Micros(i64::MAX)), caller })
    }

    /// A key that works now. It is as good as the member who made it: it ends with them.
    pub(super) async fn usable_key(&self, workspace: Uuid, id: Uuid) -> Result<api_key::Model> {
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let found = api_key::Entity::find_by_id((workspace, id)).one(&tx).await?;
        let made_by = found.as_ref().and_then(|key| key.created_by);
        let orphaned = match made_by {
            Some(member) => !active_member(&tx, workspace, member).await?,
            None => false,
        };
        tx.commit().await?;
        let now = self.clock.now();
        let usable = |key: &api_key::Model| !orphaned && key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now);
        found.filter(usable).ok_or_else(refused)
    }

    /// Remembers, now and then, that a key is in use.
    async fn note_use(&self, key: &api_key::Model, origin: &Origin) -> Result<()> {
        let now = self.clock.now();
        let tx = self.db.begin(&Scope::workspace(key.workspace_id), Mode::Write).await?;
        // First the key, then the audit, as whoever revokes it does: otherwise each could wait for the other.
        let mut model = key.clone().into_active_model();
        model.last_used_at = Set(Some(now));
        model.update(&tx).await?;
        if key.last_used_at.is_none_or(|last| now.0 - last.0 > DAY) {
            let mut event = Event::sign_in(key.workspace_id, None, Action::KeyUsed, origin, now);
            (event.actor, event.subject) = (Actor { kind: ActorKind::ApiKey, id: Some(key.id) }, Some(key.id));
            audit::append(&tx, &event).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn parse(credential: &str) -> Option<(KeyKind, Uuid, Uuid, &str)> {
    let kind = if credential.starts_with(PUBLISHABLE) { KeyKind::Publishable } else { KeyKind::Secret };
    let mut parts = credential.strip_prefix(kind.prefix())?.splitn(3, '_');
    Some((kind, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}
