//! Roles, and who has them.

use entity::{member_role, role};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::builtin::OWNER;
use super::model::Permissions;
use super::{AccessControl, builtin};
use crate::catalog::Catalog;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::{Mode, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::{self, Action, Event};
use crate::records::write::Rejected;

/// A role as it is given; what is absent stays as it was.
#[derive(Clone, Debug, Default)]
pub struct RoleInput {
    pub name: Option<String>,
    pub description: Option<String>,
    pub restricts: Option<bool>,
    pub permissions: Option<Permissions>,
}

impl AccessControl {
    pub async fn roles(&self, ctx: &Ctx) -> Result<Vec<role::Model>> {
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let roles =
            role::Entity::find().filter(role::Column::WorkspaceId.eq(ctx.workspace)).order_by_asc(role::Column::Id).all(&tx).await?;
        tx.commit().await?;
        Ok(roles)
    }

    /// The roles of members and keys: holder, role.
    pub async fn holders(&self, ctx: &Ctx) -> Result<Vec<member_role::Model>> {
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let held = member_role::Entity::find().filter(member_role::Column::WorkspaceId.eq(ctx.workspace)).all(&tx).await?;
        tx.commit().await?;
        Ok(held)
    }

    pub async fn create_role(&self, ctx: &Ctx, catalog: &Catalog, input: RoleInput) -> Result<role::Model, Rejected> {
        require(ctx, Setting::Roles)?;
        let name = name_of(input.name.as_deref().unwrap_or_default())?;
        let permissions = input.permissions.unwrap_or_default();
        refuse_all(permissions.check(catalog))?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        free_name(&tx, ctx, &name, None).await?;
        let row = role::Model {
            workspace_id: ctx.workspace,
            id: self.clock.new_id(),
            name,
            description: input.description.unwrap_or_default(),
            built_in: None,
            restricts: input.restricts.unwrap_or(false),
            permissions: serde_json::to_value(&permissions).map_err(Error::from)?,
            created_at: ctx.now(),
            updated_at: ctx.now(),
        };
        role::Entity::insert(row.clone().into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        audit(&tx, ctx, Action::RoleChanged, row.id, json!({ "created": described(&row) })).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn update_role(&self, ctx: &Ctx, catalog: &Catalog, id: Uuid, input: RoleInput) -> Result<role::Model, Rejected> {
        require(ctx, Setting::Roles)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let found = get(&tx, ctx, id).await?;
        if found.built_in.as_deref() == Some(OWNER) && (input.permissions.is_some() || input.restricts.is_some()) {
            return Err(refused("The owner's role allows everything and stays so."));
        }
        let before = described(&found);
        let mut model = found.into_active_model();
        if let Some(name) = input.name {
            let name = name_of(&name)?;
            free_name(&tx, ctx, &name, Some(id)).await?;
            model.name = Set(name);
        }
        if let Some(description) = input.description {
            model.description = Set(description);
        }
        if let Some(restricts) = input.restricts {
            model.restricts = Set(restricts);
        }
        if let Some(permissions) = input.permissions {
            refuse_all(permissions.check(catalog))?;
            model.permissions = Set(serde_json::to_value(&permissions).map_err(Error::from)?);
        }
        model.updated_at = Set(ctx.now());
        let row = model.update(&tx).await.map_err(Error::from)?;
        audit(&tx, ctx, Action::RoleChanged, row.id, json!({ "before": before, "after": described(&row) })).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Removes a role from everybody who has it, and then the role.
    pub async fn delete_role(&self, ctx: &Ctx, id: Uuid) -> Result<Uuid, Rejected> {
        require(ctx, Setting::Roles)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let found = get(&tx, ctx, id).await?;
        if found.built_in.is_some() {
            return Err(refused("A role that every workspace begins with stays; take it from its members instead."));
        }
        let sql = "DELETE FROM member_role WHERE workspace_id = $1 AND role_id = $2";
        tx.run(sql, vec![ctx.workspace.into(), id.into()]).await?;
        tx.run("DELETE FROM role WHERE workspace_id = $1 AND id = $2", vec![ctx.workspace.into(), id.into()]).await?;
        audit(&tx, ctx, Action::RoleChanged, id, json!({ "deleted": described(&found) })).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Gives a member or an API key exactly these roles.
    pub async fn set_roles(&self, ctx: &Ctx, holder: Uuid, roles: &[Uuid]) -> Result<(), Rejected> {
        require(ctx, Setting::Roles)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        assign(&tx, ctx, holder, roles).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Gives a holder exactly these roles, in the transaction of whatever goes with it.
pub(super) async fn assign(tx: &Tx, ctx: &Ctx, holder: Uuid, roles: &[Uuid]) -> Result<(), Rejected> {
    let known = "SELECT 1 AS one FROM member WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL \
                 UNION ALL SELECT 1 FROM api_key WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL";
    if tx.fetch_optional(known, vec![ctx.workspace.into(), holder.into()]).await?.is_none() {
        return Err(UserError::new(UserErrorCode::NotFound, &["holder"], "There is no such member or key.").into());
    }
    let owner = built_in(tx, ctx.workspace, OWNER).await?;
    let held = held(tx, ctx.workspace, holder).await?;
    for (index, role) in roles.iter().enumerate() {
        if role::Entity::find_by_id((ctx.workspace, *role)).one(tx).await.map_err(Error::from)?.is_none() {
            return Err(UserError::new(UserErrorCode::NotFound, &["roles", &index.to_string()], "There is no such role.").into());
        }
    }
    if held.contains(&owner) != roles.contains(&owner) {
        let policy = ctx.access.policy();
        if policy.is_some_and(|policy| !policy.roles.contains(&owner)) {
            return Err(refused("Only an owner makes or unmakes owners."));
        }
        if held.contains(&owner) && is_last_owner(tx, ctx.workspace, owner, holder).await? {
            return Err(refused("This is the last owner who can sign in; the workspace would be locked."));
        }
    }
    let sql = "DELETE FROM member_role WHERE workspace_id = $1 AND holder_id = $2";
    tx.run(sql, vec![ctx.workspace.into(), holder.into()]).await?;
    for role in roles.iter().collect::<std::collections::BTreeSet<_>>() {
        let row = member_role::Model { workspace_id: ctx.workspace, holder_id: holder, role_id: *role };
        member_role::Entity::insert(row.into_active_model()).exec_without_returning(tx).await.map_err(Error::from)?;
    }
    audit(tx, ctx, Action::RolesGiven, holder, json!({ "before": held, "after": roles })).await?;
    Ok(())
}

pub(super) async fn built_in(tx: &Tx, workspace: Uuid, key: &str) -> Result<Uuid> {
    let sql = "SELECT id FROM role WHERE workspace_id = $1 AND built_in = $2";
    let row = tx.fetch_optional(sql, vec![workspace.into(), key.into()]).await?;
    row.map(|row| row.uuid(0)).transpose()?.flatten().ok_or_else(|| Error::fault(format!("the workspace has no role {key}")))
}

pub(super) async fn held(tx: &Tx, workspace: Uuid, holder: Uuid) -> Result<Vec<Uuid>> {
    let rows = member_role::Entity::find()
        .filter(member_role::Column::WorkspaceId.eq(workspace))
        .filter(member_role::Column::HolderId.eq(holder))
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.role_id).collect())
}

async fn is_last_owner(tx: &Tx, workspace: Uuid, owner: Uuid, holder: Uuid) -> Result<bool> {
    let sql = "SELECT m.id FROM member m JOIN member_role h ON h.workspace_id = m.workspace_id AND h.holder_id = m.id \
               WHERE m.workspace_id = $1 AND h.role_id = $2 AND m.id <> $3 AND m.user_id IS NOT NULL AND m.status = 'ACTIVE' AND m.deleted_at IS NULL";
    Ok(tx.fetch_optional(sql, vec![workspace.into(), owner.into(), holder.into()]).await?.is_none())
}

async fn get(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<role::Model, Rejected> {
    let found = role::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)?;
    found.ok_or_else(|| UserError::new(UserErrorCode::NotFound, &["id"], "There is no such role.").into())
}

async fn free_name(tx: &Tx, ctx: &Ctx, name: &str, own: Option<Uuid>) -> Result<(), Rejected> {
    let sql = "SELECT id FROM role WHERE workspace_id = $1 AND name = $2";
    let holder = tx.fetch_optional(sql, vec![ctx.workspace.into(), name.into()]).await?.map(|row| row.uuid(0)).transpose()?.flatten();
    if holder.is_some() && holder != own {
        return Err(UserError::new(UserErrorCode::Taken, &["name"], "There is a role of this name already.").into());
    }
    Ok(())
}

fn described(row: &role::Model) -> serde_json::Value {
    json!({ "name": row.name, "restricts": row.restricts, "permissions": row.permissions })
}

/// Refuses a caller whose roles do not have the setting.
pub fn require(ctx: &Ctx, setting: Setting) -> Result<()> {
    if ctx.access.may(setting) {
        return Ok(());
    }
    let name = serde_json::to_value(setting)?;
    Err(Error::forbidden(format!("Your roles do not allow this; it needs {}.", name.as_str().unwrap_or_default())))
}

pub(super) fn refused(message: &str) -> Rejected {
    UserError::new(UserErrorCode::RuleRefused, &[], message).into()
}

fn refuse_all(errors: Vec<UserError>) -> Result<(), Rejected> {
    if errors.is_empty() { Ok(()) } else { Err(Rejected::User { errors, conflict: None }) }
}

pub(super) fn name_of(text: &str) -> Result<String, UserError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 {
        return Err(UserError::new(UserErrorCode::InvalidValue, &["name"], "A name has 1 to 100 characters."));
    }
    Ok(text.to_owned())
}

/// A change of permissions stands in the audit, in the same transaction.
pub async fn audit(tx: &Tx, ctx: &Ctx, action: Action, subject: Uuid, detail: serde_json::Value) -> Result<()> {
    audit::append(tx, &Event::of(ctx, action, Some(subject), detail)).await
}

/// Gives a new key its roles: those that were chosen, among those that the caller has or may give;
/// else the usual one for programs.
pub async fn give_to_key(tx: &Tx, ctx: &Ctx, key: Uuid, roles: Option<Vec<Uuid>>) -> Result<(), Rejected> {
    let usual = built_in(tx, ctx.workspace, builtin::INTEGRATION).await?;
    let roles = roles.unwrap_or_else(|| vec![usual]);
    let roles = no_more_than_own(tx, ctx, roles, &[]).await?;
    assign(tx, ctx, key, &roles).await
}

/// The roles that somebody without ROLES gives: among their own and the free ones, and always with
/// those of their own that restrict, because leaving one out would give more than they have.
pub(super) async fn no_more_than_own(tx: &Tx, ctx: &Ctx, mut roles: Vec<Uuid>, free: &[Uuid]) -> Result<Vec<Uuid>, Rejected> {
    let Some(policy) = ctx.access.policy().filter(|_| !ctx.access.may(Setting::Roles)) else { return Ok(roles) };
    if roles.iter().any(|role| !policy.roles.contains(role) && !free.contains(role)) {
        let message = "You can give the roles that you have; others need the setting ROLES.";
        return Err(UserError::new(UserErrorCode::RuleRefused, &["roles"], message).into());
    }
    let restricting = role::Entity::find()
        .filter(role::Column::WorkspaceId.eq(ctx.workspace))
        .filter(role::Column::Restricts.eq(true))
        .filter(role::Column::Id.is_in(policy.roles.clone()))
        .all(tx)
        .await
        .map_err(Error::from)?;
    roles.extend(restricting.into_iter().map(|role| role.id));
    Ok(roles)
}
