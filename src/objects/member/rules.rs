//! What is always true of a member: nobody removes themselves.

use async_trait::async_trait;

use crate::error::{Result, UserError, UserErrorCode};
use crate::records::write::{Draft, Loaded, Rules, Unit};

pub struct MemberRules;

#[async_trait]
impl Rules for MemberRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        if unit.ctx.member == Some(draft.id) && draft.changed("status") && draft.text("status") != Some("ACTIVE") {
            draft.refuse(UserErrorCode::RuleRefused, &["status"], "You cannot suspend yourself.");
        }
        Ok(())
    }

    async fn before_delete(&self, unit: &mut Unit<'_>, record: &Loaded) -> Result<Vec<UserError>> {
        let own = unit.ctx.member == Some(record.id);
        Ok(if own { vec![UserError::new(UserErrorCode::RuleRefused, &["id"], "You cannot delete yourself.")] } else { Vec::new() })
    }
}
