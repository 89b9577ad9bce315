//! Whoever makes something that acts by itself later: it acts as them.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::platform::{ActorKind, Ctx};

/// As whom something will act that the caller makes (`what`, in the plural): its kind and id, as they are kept. A credential
/// that sees only some rows of what its roles reach is refused: what it makes would outlive the filter.
pub fn holder(ctx: &Ctx, what: &str) -> Result<(String, Uuid)> {
    if ctx.access.policy().is_some_and(|policy| !policy.row_filters.is_empty() || !policy.key_filters.is_empty()) {
        return Err(Error::forbidden(format!("A credential with row filters has no {what}: they would see more than it does.")));
    }
    let id = ctx.actor.id.filter(|_| ctx.actor.kind != ActorKind::System);
    let id = id.ok_or_else(|| Error::forbidden(format!("Only members and API keys have {what}.")))?;
    Ok((ctx.actor.kind.as_str().to_owned(), id))
}
