//! What is always true of a territory: it is no part of itself, and since it decides what its members
//! reach, only who manages members changes it.

use async_trait::async_trait;

use crate::error::{Result, UserError, UserErrorCode};
use crate::objects::tree;
use crate::platform::access::Setting;
use crate::records::write::{Draft, Loaded, Rules, Unit};

pub struct TerritoryRules;

const GUARDED: &str = "Territories decide what their members reach: changing them needs the setting MEMBERS.";

#[async_trait]
impl Rules for TerritoryRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        if !unit.ctx.access.may(Setting::Members) {
            draft.refuse(UserErrorCode::NotWritable, &[], GUARDED);
            return Ok(());
        }
        tree::refuse_cycle(unit, draft, "parent", "A territory cannot be a part of itself, directly or through others.").await
    }

    async fn before_restore(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        tree::refuse_loop(unit, draft, "parent", "A territory cannot be a part of itself, directly or through others.").await
    }

    async fn before_delete(&self, unit: &mut Unit<'_>, _: &Loaded) -> Result<Vec<UserError>> {
        let allowed = unit.ctx.access.may(Setting::Members);
        Ok(if allowed { Vec::new() } else { vec![UserError::new(UserErrorCode::NotWritable, &["id"], GUARDED)] })
    }
}
