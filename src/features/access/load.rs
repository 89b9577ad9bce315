//! From rows to a caller's policy.

use std::collections::BTreeSet;

use entity::{member, member_role, role, team_member};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::model::Permissions;
use crate::catalog::{Catalog, Source};
use crate::error::Result;
use crate::features::identity::Restrictions;
use crate::infra::db::Tx;
use crate::platform::access::{Policy, RoleSpec, Sight};

/// For whom a policy is made: a member, or a key, perhaps with less than their roles give.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    pub holder: Uuid,
    pub member: Option<Uuid>,
    pub restrictions: Option<&'a Restrictions>,
}

/// What the holder of roles may see and do.
pub async fn policy(tx: &Tx, workspace: Uuid, catalog: &Catalog, holding: Holding<'_>) -> Result<Policy> {
    let Holding { holder, member, restrictions } = holding;
    let held = member_role::Entity::find()
        .filter(member_role::Column::WorkspaceId.eq(workspace))
        .filter(member_role::Column::HolderId.eq(holder))
        .all(tx)
        .await?;
    let ids: Vec<Uuid> = held.into_iter().map(|row| row.role_id).collect();
    let rows = role::Entity::find()
        .filter(role::Column::WorkspaceId.eq(workspace))
        .filter(role::Column::Id.is_in(ids.clone()))
        .order_by_asc(role::Column::Id)
        .all(tx)
        .await?;
    let mut specs: Vec<RoleSpec> = Vec::with_capacity(rows.len());
    for row in rows {
        let permissions: Permissions = serde_json::from_value(row.permissions)?;
        specs.push(permissions.compile(row.restricts, catalog));
    }
    specs.extend(restrictions.into_iter().flat_map(Restrictions::roles));
    let mut policy = Policy::of_roles(&specs);
    policy.roles = ids;
    hide_computed(&mut policy, catalog);
    if let Some(restrictions) = restrictions {
        policy.row_filters.clone_from(&restrictions.row_filters);
        policy.key_filters.clone_from(&restrictions.key_filters);
        policy.person = restrictions.person;
        policy.settings.retain(|setting| restrictions.keeps(*setting));
    }
    let Some(member) = member else { return Ok(policy) };
    policy.member = Some(member);
    if let Some(row) = member::Entity::find_by_id((workspace, member)).one(tx).await? {
        policy.person = row.person_id;
    }
    let teams = team_member::Entity::find()
        .filter(team_member::Column::WorkspaceId.eq(workspace))
        .filter(team_member::Column::MemberId.eq(member))
        .all(tx)
        .await?;
    policy.grantees = std::iter::once(member).chain(teams.into_iter().map(|row| row.team_id)).collect();
    let reach = "SELECT owner_id, level FROM member_reach WHERE workspace_id = $1 AND viewer_id = $2 ORDER BY owner_id";
    for row in tx.fetch_all(reach, vec![workspace.into(), member.into()]).await? {
        let (Some(owner), level) = (row.uuid(0)?, row.int(1)?) else { continue };
        policy.tree.push(owner);
        if level == Some(1) {
            policy.team.push(owner);
        }
    }
    policy.territories = territories(tx, workspace, member).await?;
    policy.shared = shared(tx, workspace, &policy.grantees).await?;
    Ok(policy)
}

/// What is computed of a field that the caller does not see whole would tell them of it.
fn hide_computed(policy: &mut Policy, catalog: &Catalog) {
    for object in catalog.objects() {
        for field in object.all_fields() {
            let Source::Computed { computed, .. } = &field.source else { continue };
            let tells = |(object, field): &(String, String)| policy.object(object).field(field).sight != Sight::Full;
            if computed.depends.iter().any(tells) {
                policy.hide(&object.name, &field.access_name());
            }
        }
    }
}

/// A member's territories, and those below.
async fn territories(tx: &Tx, workspace: Uuid, member: Uuid) -> Result<Vec<Uuid>> {
    let sql = "WITH RECURSIVE mine (id) AS (\
                 SELECT t.id FROM record_link l JOIN territory t ON t.workspace_id = l.workspace_id AND t.id = l.from_id \
                 WHERE l.workspace_id = $1 AND l.kind = 'territory_member' AND l.to_id = $2 AND t.deleted_at IS NULL \
                 UNION SELECT t.id FROM territory t JOIN mine ON t.parent_id = mine.id WHERE t.workspace_id = $1 AND t.deleted_at IS NULL) \
               SELECT id FROM mine ORDER BY id";
    let rows = tx.fetch_all(sql, vec![workspace.into(), member.into()]).await?;
    let ids = rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.into_iter().flatten().collect())
}

/// The objects of which something was shared with any of these.
async fn shared(tx: &Tx, workspace: Uuid, grantees: &[Uuid]) -> Result<BTreeSet<String>> {
    let marks: Vec<String> = (0..grantees.len()).map(|index| format!("${}", index + 2)).collect();
    let sql = format!("SELECT DISTINCT object FROM record_grant WHERE workspace_id = $1 AND grantee_id IN ({})", marks.join(", "));
    let values = std::iter::once(workspace).chain(grantees.iter().copied()).map(Into::into).collect();
    let rows = tx.fetch_all(&sql, values).await?;
    let objects = rows.iter().map(|row| row.text(0).map(|text| text.unwrap_or_default().to_owned()));
    Ok(objects.collect::<Result<_, sqlx::Error>>()?)
}
