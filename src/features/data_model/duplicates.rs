//! Rules about duplicates: part of the catalog, so that every node knows them with the version that it has.

use std::collections::HashMap;

use entity::duplicate_rule;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use uuid::Uuid;

use super::{DataModel, invalid, next_version};
use crate::catalog::{DuplicateAction, DuplicateRule};
use crate::error::{Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::duplicates::LEAST_SCORE;
use crate::records::write::Rejected;

impl DataModel {
    /// Says what is done about duplicates of an object.
    pub async fn set_duplicate_rule(&self, ctx: &Ctx, object: &str, rule: DuplicateRule) -> Result<(), Rejected> {
        access::require(ctx, Setting::DataModel)?;
        if !(LEAST_SCORE..=100).contains(&rule.least_score) {
            return Err(invalid(&["leastScore"], format!("`leastScore` is a number from {LEAST_SCORE} to 100.")).into());
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        let catalog = self.catalog(&tx, ctx.workspace, version).await?;
        let known = catalog.find(object).ok_or_else(|| invalid(&["object"], "There is no such object."))?;
        if !known.mergeable {
            let message = format!("Nobody looks for duplicates of {}.", known.plural_label.to_lowercase());
            return Err(UserError::new(UserErrorCode::InvalidValue, &["object"], message).into());
        }
        let sql = "INSERT INTO duplicate_rule (workspace_id, object, action, least_score, updated_at) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (workspace_id, object) DO UPDATE SET action = excluded.action, least_score = excluded.least_score, updated_at = excluded.updated_at";
        let score = i32::from(rule.least_score);
        let values = vec![ctx.workspace.into(), object.to_owned().into(), rule.action.as_str().into(), score.into(), ctx.now().0.into()];
        tx.run(sql, values).await?;
        let detail = json!({ "duplicateRule": { "object": known.one, "action": rule.action.as_str(), "leastScore": score } });
        access::audit(&tx, ctx, Action::DataModelChanged, ctx.workspace, detail).await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(super) async fn rules(tx: &Tx, workspace: Uuid) -> Result<HashMap<String, DuplicateRule>> {
    let rows = duplicate_rule::Entity::find().filter(duplicate_rule::Column::WorkspaceId.eq(workspace)).all(tx).await?;
    let rule = |row: duplicate_rule::Model| {
        let usual = DuplicateRule::default();
        let action = DuplicateAction::parse(&row.action).unwrap_or(usual.action);
        (row.object, DuplicateRule { action, least_score: u8::try_from(row.least_score).unwrap_or(usual.least_score) })
    };
    Ok(rows.into_iter().map(rule).collect())
}
