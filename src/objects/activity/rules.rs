//! What is always true of an activity: its status fits its type, `completedAt` follows the status,
//! and there is a time to sort it by.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::error::{Result, UserErrorCode};
use crate::records::write::{Draft, Rules, Unit};

pub struct ActivityRules;

/// The statuses of each type; the first is what a new one has.
const STATUSES: [(&str, &[&str]); 4] = [
    ("TASK", &["OPEN", "IN_PROGRESS", "WAITING", "DONE", "CANCELLED", "DEFERRED"]),
    ("CALL", &["PLANNED", "COMPLETED", "NO_ANSWER", "BUSY", "VOICEMAIL", "FAILED", "CANCELLED"]),
    ("MEETING", &["PLANNED", "HELD", "NO_SHOW", "CANCELLED"]),
    ("EMAIL", &["SENT", "DRAFT", "RECEIVED", "BOUNCED"]),
];

/// The statuses of something that is over.
const OVER: [&str; 7] = ["DONE", "COMPLETED", "NO_ANSWER", "BUSY", "VOICEMAIL", "HELD", "NO_SHOW"];

#[async_trait]
impl Rules for ActivityRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        let kind = draft.text("kind").unwrap_or_default().to_owned();
        let allowed = STATUSES.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, statuses)| statuses);
        match draft.text("status").map(str::to_owned) {
            None => draft.set("status", allowed.first().copied().unwrap_or("OPEN")),
            Some(status) if !allowed.contains(&status.as_str()) => {
                let message = format!("{status} is not a status of this type; {} are.", allowed.join(", "));
                draft.refuse(UserErrorCode::InvalidValue, &["status"], message);
            }
            Some(_) => {}
        }
        let over = draft.text("status").is_some_and(|status| OVER.contains(&status));
        match (over, draft.has("completedAt")) {
            (true, false) => draft.set("completedAt", unit.ctx.now().0),
            (false, true) => draft.set("completedAt", Json::Null),
            _ => {}
        }
        if kind == "TASK" && !draft.has("priority") {
            draft.set("priority", "NORMAL");
        }
        if let (Some(start), Some(end)) = (draft.int("startAt"), draft.int("endAt"))
            && end < start
        {
            draft.refuse(UserErrorCode::InvalidValue, &["endAt"], "It ends before it starts.");
        }
        if !draft.was_given("occurredAt") && (draft.is_new || ["startAt", "dueAt", "completedAt"].iter().any(|name| draft.changed(name))) {
            let known = ["startAt", "dueAt", "completedAt", "occurredAt"].iter().find_map(|name| draft.int(name));
            draft.set("occurredAt", json!(known.unwrap_or(unit.ctx.now().0)));
        }
        Ok(())
    }
}
