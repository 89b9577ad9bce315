//! What is always true of a deal: its stage belongs to its pipeline, and status, probability,
//! `stageEnteredAt` and `closedAt` follow the stage.

use async_trait::async_trait;
use serde_json::Value as Json;

use crate::error::{Result, UserErrorCode};
use crate::objects::stage;
use crate::records::write::{Draft, Rules, Unit};

pub struct DealRules;

#[async_trait]
impl Rules for DealRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        choose_stage(unit, draft).await?;
        let Some(id) = draft.reference("stage") else { return Ok(()) };
        let Some(stage) = unit.look_up("stage", id).await? else { return Ok(()) };
        if stage.reference("pipeline") != draft.reference("pipeline") {
            draft.refuse(UserErrorCode::RuleRefused, &["stage"], "The stage belongs to another pipeline.");
            return Ok(());
        }
        let entered = draft.changed("stage");
        let kind = stage.text("type").unwrap_or("OPEN").to_owned();
        if entered {
            draft.set("status", kind.clone());
            draft.set("stageEnteredAt", unit.ctx.now().0);
        }
        follow_probability(draft, entered, &kind, stage.int("probability").unwrap_or(0));
        follow_close(unit, draft, entered, &kind);
        Ok(())
    }
}

/// Completes what was not said: the pipeline from the stage, or the default one; the stage from the
/// pipeline, its first.
async fn choose_stage(unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
    let moved = draft.changed("pipeline") && !draft.was_given("stage");
    match (draft.reference("pipeline"), draft.reference("stage")) {
        (Some(pipeline), stage) if moved || stage.is_none() => {
            let first = stage::first_of(unit, pipeline).await?;
            draft.set("stage", first.map(|stage| stage.id.to_string()));
        }
        (_, Some(id)) if !draft.was_given("pipeline") => {
            if let Some(stage) = unit.look_up("stage", id).await? {
                draft.set("pipeline", stage.reference("pipeline").map(|id| id.to_string()));
            }
        }
        (None, None) => {
            if let Some(stage) = stage::first_of_default(unit).await? {
                draft.set("pipeline", stage.reference("pipeline").map(|id| id.to_string()));
                draft.set("stage", stage.id.to_string());
            }
        }
        _ => {}
    }
    Ok(())
}

/// A probability that somebody gave stays until the deal is closed; otherwise the stage's counts.
fn follow_probability(draft: &mut Draft, entered: bool, kind: &str, of_stage: i64) {
    if kind != "OPEN" {
        draft.set("probability", of_stage);
        draft.set("probabilityMode", "STAGE");
        return;
    }
    if draft.was_given("probability") && draft.has("probability") {
        draft.set("probabilityMode", "MANUAL");
    }
    let manual = draft.text("probabilityMode") == Some("MANUAL");
    if !draft.has("probability") || !manual && (entered || draft.changed("probabilityMode")) {
        draft.set("probability", of_stage);
    }
}

fn follow_close(unit: &Unit<'_>, draft: &mut Draft, entered: bool, kind: &str) {
    if kind == "OPEN" {
        if draft.was_given("closedAt") && draft.has("closedAt") {
            draft.refuse(
                UserErrorCode::RuleRefused,
                &["closedAt"],
                "An open deal is not closed at any time; move it to a won or lost stage.",
            );
        }
        draft.set("closedAt", Json::Null);
    } else if !draft.has("closedAt") || entered && !draft.was_given("closedAt") && draft.before.get("status") == Some(&Json::from("OPEN")) {
        draft.set("closedAt", unit.ctx.now().0);
    }
}
