//! Records that point at records of their own kind: parents, superiors.

use crate::error::{Result, UserErrorCode};
use crate::records::write::{Draft, Unit};

/// The longest way up; nobody's company or superior is that deep.
const MOST_LEVELS: usize = 100;

/// Refuses a draft whose relation would lead back to itself.
pub async fn refuse_cycle(unit: &mut Unit<'_>, draft: &mut Draft, relation: &str, message: &str) -> Result<()> {
    if draft.changed(relation) { refuse_loop(unit, draft, relation, message).await } else { Ok(()) }
}

/// Refuses a record whose relation leads back to itself, changed or not.
pub async fn refuse_loop(unit: &mut Unit<'_>, draft: &mut Draft, relation: &str, message: &str) -> Result<()> {
    let object = draft.object.name.clone();
    let mut above = draft.reference(relation);
    for _ in 0..MOST_LEVELS {
        let Some(id) = above else { return Ok(()) };
        if id == draft.id {
            break;
        }
        above = unit.look_up(&object, id).await?.and_then(|record| record.reference(relation));
    }
    draft.refuse(UserErrorCode::RuleRefused, &[relation], message);
    Ok(())
}
