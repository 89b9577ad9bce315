//! What is always true of a member: nobody removes themselves, an owner stays, managers form no cycle.

use async_trait::async_trait;
use uuid::Uuid;

use super::reach;
use crate::error::{Result, UserError, UserErrorCode};
use crate::objects::tree;
use crate::platform::access::Setting;
use crate::records::write::{Draft, Loaded, Rules, Unit};

pub struct MemberRules;

#[async_trait]
impl Rules for MemberRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        check_rights(unit, draft).await?;
        if unit.ctx.member == Some(draft.id) && draft.changed("status") && draft.text("status") != Some("ACTIVE") {
            draft.refuse(UserErrorCode::RuleRefused, &["status"], "You cannot suspend yourself.");
        } else if !draft.is_new && draft.changed("status") && draft.text("status") != Some("ACTIVE") && is_last(unit, draft.id).await? {
            draft.refuse(UserErrorCode::RuleRefused, &["status"], LAST);
        }
        tree::refuse_cycle(unit, draft, "manager", "Nobody manages themselves, directly or through others.").await
    }

    fn looks_around(&self) -> bool {
        true
    }

    async fn after_save(&self, unit: &mut Unit<'_>, draft: &Draft) -> Result<()> {
        if !draft.is_new && draft.changed("status") && draft.text("status") != Some("ACTIVE") {
            // Who comes back signs in anew.
            let sql = "UPDATE session SET revoked_at = $3, revoked_because = 'SUSPENDED' \
                       WHERE workspace_id = $1 AND member_id = $2 AND revoked_at IS NULL";
            unit.tx.run(sql, vec![unit.ctx.workspace.into(), draft.id.into(), unit.ctx.now().0.into()]).await?;
        }
        if draft.changed("manager") {
            reach::rebuild(unit.tx, unit.ctx.workspace).await?;
        }
        Ok(())
    }

    async fn before_delete(&self, unit: &mut Unit<'_>, record: &Loaded) -> Result<Vec<UserError>> {
        let message = if unit.ctx.member == Some(record.id) {
            "You cannot delete yourself."
        } else if !unit.ctx.access.may(Setting::Members) {
            "Removing a member needs the setting MEMBERS."
        } else if is_above(unit, record.id).await? {
            ABOVE
        } else if is_last(unit, record.id).await? {
            LAST
        } else {
            return Ok(Vec::new());
        };
        Ok(vec![UserError::new(UserErrorCode::RuleRefused, &["id"], message)])
    }
}

const ABOVE: &str = "Only an owner changes an owner.";

/// What decides who works here, and whose records somebody reaches, is not a matter of the record alone.
const GUARDED: [&str; 5] = ["status", "kind", "email", "manager", "person"];

async fn check_rights(unit: &Unit<'_>, draft: &mut Draft) -> Result<()> {
    let touched: Vec<&str> =
        GUARDED.into_iter().filter(|name| if draft.is_new { draft.was_given(name) } else { draft.changed(name) }).collect();
    if !unit.ctx.access.may(Setting::Members) {
        // A new member's address is no more than a name.
        let new = draft.is_new;
        for name in touched.iter().filter(|name| !(new && **name == "email")) {
            draft.refuse(UserErrorCode::NotWritable, &[name], format!("Member.{name} needs the setting MEMBERS."));
        }
    } else if !draft.is_new && !touched.is_empty() && is_above(unit, draft.id).await? {
        draft.refuse(UserErrorCode::RuleRefused, &[touched[0]], ABOVE);
    }
    Ok(())
}

/// Whether the member is an owner, and the caller none.
async fn is_above(unit: &Unit<'_>, id: Uuid) -> Result<bool> {
    let Some(policy) = unit.ctx.access.policy() else { return Ok(false) };
    let sql = "SELECT r.id FROM member_role h JOIN role r ON r.workspace_id = h.workspace_id AND r.id = h.role_id AND r.built_in = 'OWNER' \
               WHERE h.workspace_id = $1 AND h.holder_id = $2";
    let owner =
        unit.tx.fetch_optional(sql, vec![unit.ctx.workspace.into(), id.into()]).await?.map(|row| row.uuid(0)).transpose()?.flatten();
    Ok(owner.is_some_and(|owner| !policy.roles.contains(&owner)))
}

const LAST: &str = "This is the last owner who can sign in; the workspace would be locked.";

/// Whether no other owner can sign in to the workspace.
async fn is_last(unit: &Unit<'_>, id: Uuid) -> Result<bool> {
    let sql = "SELECT m.id, m.status FROM member m \
               JOIN member_role h ON h.workspace_id = m.workspace_id AND h.holder_id = m.id \
               JOIN role r ON r.workspace_id = m.workspace_id AND r.id = h.role_id AND r.built_in = 'OWNER' \
               WHERE m.workspace_id = $1 AND m.user_id IS NOT NULL AND m.deleted_at IS NULL";
    let rows = unit.tx.fetch_all(sql, vec![unit.ctx.workspace.into()]).await?;
    let (mut own, mut others) = (false, false);
    for row in rows {
        let is_active = row.text(1)? == Some("ACTIVE");
        if row.uuid(0)? == Some(id) {
            own = is_active;
        } else {
            others |= is_active;
        }
    }
    Ok(own && !others)
}
