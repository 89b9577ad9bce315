//! Teams: a tree of groups of members.

use entity::{team, team_member};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::AccessControl;
use super::roles::{audit, name_of, refused, require};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::{Mode, Tx};
use crate::objects::member::reach;
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::write::Rejected;

/// The deepest tree of teams.
const MOST_LEVELS: usize = 20;
/// The most members of one team.
const MOST_MEMBERS: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeamMember {
    pub member: Uuid,
    pub manages: bool,
}

/// A team as it is given; what is absent stays as it was.
#[derive(Clone, Debug, Default)]
pub struct TeamInput {
    pub name: Option<String>,
    pub parent: Option<Option<Uuid>>,
    pub members: Option<Vec<TeamMember>>,
}

impl AccessControl {
    /// All teams, and who belongs to them.
    pub async fn teams(&self, ctx: &Ctx) -> Result<(Vec<team::Model>, Vec<team_member::Model>)> {
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let teams =
            team::Entity::find().filter(team::Column::WorkspaceId.eq(ctx.workspace)).order_by_asc(team::Column::Name).all(&tx).await?;
        let members = team_member::Entity::find().filter(team_member::Column::WorkspaceId.eq(ctx.workspace)).all(&tx).await?;
        tx.commit().await?;
        Ok((teams, members))
    }

    pub async fn create_team(&self, ctx: &Ctx, input: TeamInput) -> Result<Uuid, Rejected> {
        let id = self.clock.new_id();
        self.write_team(ctx, id, input, true).await?;
        Ok(id)
    }

    pub async fn update_team(&self, ctx: &Ctx, id: Uuid, input: TeamInput) -> Result<Uuid, Rejected> {
        self.write_team(ctx, id, input, false).await?;
        Ok(id)
    }

    async fn write_team(&self, ctx: &Ctx, id: Uuid, input: TeamInput, new: bool) -> Result<(), Rejected> {
        require(ctx, Setting::Members)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let known = team::Entity::find_by_id((ctx.workspace, id)).one(&tx).await.map_err(Error::from)?;
        let before = known.as_ref().map_or_else(|| json!({}), |team| json!({ "name": team.name, "parent": team.parent_id }));
        let after = json!({ "name": input.name, "parent": input.parent, "members": input.members.as_ref().map(|members|
            members.iter().map(|member| json!({ "member": member.member, "manages": member.manages })).collect::<Vec<_>>()) });
        let name = input.name.as_deref().map(name_of).transpose()?;
        if let Some(name) = &name {
            free_name(&tx, ctx, name, id).await?;
        }
        if let Some(Some(parent)) = input.parent {
            check_parent(&tx, ctx, id, parent).await?;
        }
        match (known, new) {
            (None, true) => {
                let name = name.ok_or_else(|| UserError::new(UserErrorCode::Required, &["name"], "A team has a name."))?;
                let (now, parent_id) = (ctx.now(), input.parent.flatten());
                let row = team::Model { workspace_id: ctx.workspace, id, name, parent_id, created_at: now, updated_at: now };
                team::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
            }
            (Some(found), false) => {
                let mut model = found.into_active_model();
                if let Some(name) = name {
                    model.name = Set(name);
                }
                if let Some(parent) = input.parent {
                    model.parent_id = Set(parent);
                }
                model.updated_at = Set(ctx.now());
                model.update(&tx).await.map_err(Error::from)?;
            }
            _ => return Err(missing("id")),
        }
        if let Some(members) = &input.members {
            set_members(&tx, ctx, id, members).await?;
        }
        reach::rebuild(&tx, ctx.workspace).await?;
        audit(&tx, ctx, Action::TeamChanged, id, json!({ "before": before, "after": after })).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes a team; the teams below it move up to its parent.
    pub async fn delete_team(&self, ctx: &Ctx, id: Uuid) -> Result<Uuid, Rejected> {
        require(ctx, Setting::Members)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let found = team::Entity::find_by_id((ctx.workspace, id)).one(&tx).await.map_err(Error::from)?.ok_or_else(|| missing("id"))?;
        let by_id = || vec![ctx.workspace.into(), id.into()];
        let up = "UPDATE team SET parent_id = $3 WHERE workspace_id = $1 AND parent_id = $2";
        tx.run(up, vec![ctx.workspace.into(), id.into(), found.parent_id.into()]).await?;
        tx.run("DELETE FROM record_grant WHERE workspace_id = $1 AND grantee_id = $2", by_id()).await?;
        tx.run("DELETE FROM team_member WHERE workspace_id = $1 AND team_id = $2", by_id()).await?;
        tx.run("DELETE FROM team WHERE workspace_id = $1 AND id = $2", by_id()).await?;
        reach::rebuild(&tx, ctx.workspace).await?;
        audit(&tx, ctx, Action::TeamChanged, id, json!({ "deleted": found.name })).await?;
        tx.commit().await?;
        Ok(id)
    }
}

async fn set_members(tx: &Tx, ctx: &Ctx, team: Uuid, members: &[TeamMember]) -> Result<(), Rejected> {
    if members.len() > MOST_MEMBERS {
        return Err(UserError::new(UserErrorCode::Limit, &["members"], format!("A team has at most {MOST_MEMBERS} members.")).into());
    }
    tx.run("DELETE FROM team_member WHERE workspace_id = $1 AND team_id = $2", vec![ctx.workspace.into(), team.into()]).await?;
    let mut seen = std::collections::BTreeSet::new();
    for (index, member) in members.iter().enumerate() {
        let known = "SELECT id FROM member WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL";
        if tx.fetch_optional(known, vec![ctx.workspace.into(), member.member.into()]).await?.is_none() {
            let path = ["members", &index.to_string(), "member"];
            return Err(UserError::new(UserErrorCode::NotFound, &path, "There is no such member.").into());
        }
        if !seen.insert(member.member) {
            continue;
        }
        let row = team_member::Model { workspace_id: ctx.workspace, team_id: team, member_id: member.member, manages: member.manages };
        team_member::Entity::insert(row.into_active_model()).exec_without_returning(tx).await.map_err(Error::from)?;
    }
    Ok(())
}

/// A team is not below itself.
async fn check_parent(tx: &Tx, ctx: &Ctx, id: Uuid, parent: Uuid) -> Result<(), Rejected> {
    let mut above = Some(parent);
    for _ in 0..MOST_LEVELS {
        let Some(next) = above else { return Ok(()) };
        if next == id {
            return Err(refused("A team cannot be below itself, directly or through others."));
        }
        let found = team::Entity::find_by_id((ctx.workspace, next)).one(tx).await.map_err(Error::from)?;
        above = found.ok_or_else(|| missing("parent"))?.parent_id;
    }
    Err(refused("Teams are at most 20 levels deep."))
}

async fn free_name(tx: &Tx, ctx: &Ctx, name: &str, own: Uuid) -> Result<(), Rejected> {
    let sql = "SELECT id FROM team WHERE workspace_id = $1 AND name = $2 AND id <> $3";
    match tx.fetch_optional(sql, vec![ctx.workspace.into(), name.into(), own.into()]).await? {
        None => Ok(()),
        Some(_) => Err(UserError::new(UserErrorCode::Taken, &["name"], "There is a team of this name already.").into()),
    }
}

fn missing(path: &str) -> Rejected {
    UserError::new(UserErrorCode::NotFound, &[path], "There is no such team.").into()
}
