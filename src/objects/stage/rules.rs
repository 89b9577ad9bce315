//! What is always true of a stage: it stays in its pipeline, has a place in it, and a pipeline
//! keeps a won and a lost one.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::records::write::{Draft, Loaded, Rejected, Rules, Unit};

/// The distance between two neighbours, so that one can be moved between them without touching others.
const GAP: i64 = 1 << 10;
/// Where won and lost stages begin: far enough behind for a thousand open ones.
const CLOSING: i64 = 1_000 * GAP;
const PERCENT_100: i64 = 1_000_000;

pub struct StageRules;

#[async_trait]
impl Rules for StageRules {
    fn looks_around(&self) -> bool {
        true
    }

    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        if !draft.is_new && draft.changed("pipeline") {
            draft.refuse(UserErrorCode::RuleRefused, &["pipeline"], "A stage stays in its pipeline.");
        }
        let kind = draft.text("type").unwrap_or("OPEN").to_owned();
        let fixed = match kind.as_str() {
            "WON" => Some(PERCENT_100),
            "LOST" => Some(0),
            _ => None,
        };
        match fixed {
            Some(fixed) if draft.was_given("probability") && draft.int("probability") != Some(fixed) => {
                draft.refuse(UserErrorCode::RuleRefused, &["probability"], "Won stages have 100, lost ones 0.");
            }
            Some(fixed) => draft.set("probability", fixed),
            None if !draft.has("probability") => draft.set("probability", 0),
            None => {}
        }
        let Some(pipeline) = draft.reference("pipeline") else { return Ok(()) };
        let siblings = of_pipeline(unit, pipeline).await?;
        if draft.is_new {
            draft.set("position", place_of_new(&siblings, &kind));
        } else if draft.changed("type") {
            check_last(draft, &siblings);
            if has_deals(unit, draft.id).await? {
                draft.refuse(UserErrorCode::RuleRefused, &["type"], "The stage has deals, whose status would change; move them first.");
            }
        }
        Ok(())
    }

    async fn before_delete(&self, unit: &mut Unit<'_>, record: &Loaded) -> Result<Vec<UserError>> {
        let refuse = |message: &str| vec![UserError::new(UserErrorCode::RuleRefused, &["id"], message)];
        if has_deals(unit, record.id).await? {
            return Ok(refuse("The stage has deals; move them to another stage first."));
        }
        let kind = record.text("type").unwrap_or_default();
        let Some(pipeline) = record.reference("pipeline") else { return Ok(Vec::new()) };
        let others = of_pipeline(unit, pipeline).await?.into_iter().filter(|stage| stage.id != record.id && stage.kind == kind).count();
        if others == 0 && kind != "OPEN" {
            return Ok(refuse("A pipeline always has a won and a lost stage; this is the last of its type."));
        }
        Ok(Vec::new())
    }
}

/// A stage as its neighbours see it.
struct Sibling {
    id: Uuid,
    position: i64,
    kind: String,
}

/// The stages of a pipeline, in order.
async fn of_pipeline(unit: &Unit<'_>, pipeline: Uuid) -> Result<Vec<Sibling>> {
    let sql =
        "SELECT id, position, type FROM stage WHERE workspace_id = $1 AND pipeline_id = $2 AND deleted_at IS NULL ORDER BY position, id";
    let rows = unit.tx.fetch_all(sql, vec![unit.ctx.workspace.into(), pipeline.into()]).await?;
    let read = |row: &crate::infra::db::Row| -> Result<Sibling, sqlx::Error> {
        Ok(Sibling {
            id: row.uuid(0)?.unwrap_or_default(),
            position: row.int(1)?.unwrap_or(0),
            kind: row.text(2)?.unwrap_or_default().to_owned(),
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The stage in which a deal begins: the first open one.
pub async fn first_of(unit: &mut Unit<'_>, pipeline: Uuid) -> Result<Option<Arc<Loaded>>> {
    let first = "SELECT s.id FROM stage s WHERE s.workspace_id = $1 AND s.pipeline_id = $2 AND s.type = 'OPEN' AND s.deleted_at IS NULL \
                 ORDER BY s.position, s.id LIMIT 1";
    unit.look_up_by("stage", first, vec![pipeline.into()]).await
}

/// Where a deal begins when nothing is said: the first open stage of the default pipeline.
pub async fn first_of_default(unit: &mut Unit<'_>) -> Result<Option<Arc<Loaded>>> {
    let first = "SELECT s.id FROM stage s \
                 JOIN pipeline p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id AND p.deleted_at IS NULL \
                 WHERE s.workspace_id = $1 AND p.is_default = $2 AND s.type = 'OPEN' AND s.deleted_at IS NULL \
                 ORDER BY s.position, s.id LIMIT 1";
    unit.look_up_by("stage", first, vec![true.into()]).await
}

/// Open stages go before the won and lost ones.
fn place_of_new(siblings: &[Sibling], kind: &str) -> i64 {
    if kind != "OPEN" {
        return siblings.last().map_or(0, |stage| stage.position).max(CLOSING) + GAP;
    }
    let closing = siblings.iter().find(|stage| stage.kind != "OPEN").map_or(CLOSING, |stage| stage.position);
    let before = siblings.iter().rfind(|stage| stage.position < closing).map_or(0, |stage| stage.position);
    if before + GAP < closing { before + GAP } else { i64::midpoint(before, closing) }
}

fn check_last(draft: &mut Draft, siblings: &[Sibling]) {
    let old = draft.before.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
    let others = siblings.iter().filter(|stage| stage.id != draft.id && stage.kind == old).count();
    if old != "OPEN" && others == 0 {
        draft.refuse(UserErrorCode::RuleRefused, &["type"], "A pipeline always has a won and a lost stage; this is the last of its type.");
    }
}

async fn has_deals(unit: &Unit<'_>, stage: Uuid) -> Result<bool> {
    let sql = "SELECT 1::bigint FROM deal WHERE workspace_id = $1 AND stage_id = $2 AND deleted_at IS NULL LIMIT 1";
    let sql = if unit.tx.backend() == crate::infra::db::Backend::Postgres { sql.to_owned() } else { sql.replace("::bigint", "") };
    Ok(unit.tx.fetch_optional(&sql, vec![unit.ctx.workspace.into(), stage.into()]).await?.is_some())
}

/// Puts a stage after another one of its pipeline, or first.
pub async fn move_stage(unit: &mut Unit<'_>, id: Uuid, after: Option<Uuid>) -> Result<(), Rejected> {
    let missing = |path: &str| UserError::new(UserErrorCode::NotFound, &[path], "There is no such stage.");
    let stage = unit.look_up("stage", id).await?.ok_or_else(|| missing("stage"))?;
    let pipeline = stage.reference("pipeline").ok_or_else(|| Error::fault("a stage has no pipeline"))?;
    let mut others = of_pipeline(unit, pipeline).await?;
    others.retain(|other| other.id != id);
    let at = match after {
        None => 0,
        Some(after) => others.iter().position(|other| other.id == after).ok_or_else(|| missing("after"))? + 1,
    };
    let low = at.checked_sub(1).map(|index| others[index].position);
    let high = others.get(at).map(|other| other.position);
    let place = match (low, high) {
        (None, None) => GAP,
        (None, Some(high)) => high - GAP,
        (Some(low), None) => low + GAP,
        (Some(low), Some(high)) if high - low > 1 => i64::midpoint(low, high),
        _ => {
            let mut order: Vec<Uuid> = others.iter().map(|other| other.id).collect();
            order.insert(at, id);
            for (index, id) in (1..).zip(order) {
                unit.set_fields("stage", id, &[("position", json!(index * GAP))]).await?;
            }
            return Ok(());
        }
    };
    unit.set_fields("stage", id, &[("position", json!(place))]).await
}
