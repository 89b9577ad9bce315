//! What is always true of a pipeline: it has a won and a lost stage from the start, and exactly one
//! pipeline is the default.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::Backend;
use crate::records::write::{Draft, Loaded, Rejected, Rules, Unit};

pub struct PipelineRules;

#[async_trait]
impl Rules for PipelineRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        let current = default(unit).await?;
        if current.is_none() {
            draft.set("isDefault", true);
        } else if current == Some(draft.id) && draft.changed("isDefault") {
            draft.refuse(UserErrorCode::RuleRefused, &["isDefault"], "One pipeline is the default; make another one it instead.");
        }
        Ok(())
    }

    fn looks_around(&self) -> bool {
        true
    }

    async fn after_save(&self, unit: &mut Unit<'_>, draft: &Draft) -> Result<()> {
        if draft.is_new {
            for (name, kind) in [("Won", "WON"), ("Lost", "LOST")] {
                let stage = json!({ "name": name, "type": kind, "pipeline": { "id": draft.id } });
                unit.create_within("stage", stage).await.map_err(unexpected)?;
            }
        }
        if draft.bool("isDefault") && draft.changed("isDefault") {
            let sql = "SELECT id FROM pipeline WHERE workspace_id = $1 AND is_default = $2 AND id <> $3 AND deleted_at IS NULL";
            let rows = unit.tx.fetch_all(sql, vec![unit.ctx.workspace.into(), true.into(), draft.id.into()]).await?;
            for row in rows {
                if let Some(id) = row.uuid(0)? {
                    unit.set_fields("pipeline", id, &[("isDefault", json!(false))]).await.map_err(unexpected)?;
                }
            }
        }
        Ok(())
    }

    async fn before_delete(&self, unit: &mut Unit<'_>, record: &Loaded) -> Result<Vec<UserError>> {
        let refuse = |message: &str| vec![UserError::new(UserErrorCode::RuleRefused, &["id"], message)];
        if record.state.get("isDefault") == Some(&json!(true)) {
            return Ok(refuse("This is the default pipeline; make another one the default first."));
        }
        let sql = "SELECT count(*) FROM deal WHERE workspace_id = $1 AND pipeline_id = $2 AND deleted_at IS NULL";
        let row = unit.tx.fetch_optional(sql, vec![unit.ctx.workspace.into(), record.id.into()]).await?;
        let deals = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
        Ok(if deals > 0 { refuse("The pipeline has deals; move them to another one first.") } else { Vec::new() })
    }
}

fn unexpected(rejected: Rejected) -> Error {
    match rejected {
        Rejected::Failed(error) => error,
        Rejected::User { errors, .. } => Error::fault(format!("a rule's own write was refused: {errors:?}")),
    }
}

/// The pipeline that deals without one go to.
async fn default(unit: &Unit<'_>) -> Result<Option<Uuid>> {
    let yes = if unit.tx.backend() == Backend::Postgres { "TRUE" } else { "1" };
    let sql = format!(
        "SELECT id FROM pipeline WHERE workspace_id = $1 AND is_default = {yes} AND deleted_at IS NULL ORDER BY position, id LIMIT 1"
    );
    let row = unit.tx.fetch_optional(&sql, vec![unit.ctx.workspace.into()]).await?;
    Ok(row.map(|row| row.uuid(0)).transpose()?.flatten())
}
