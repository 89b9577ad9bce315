//! New records that look like old ones, where the workspace has a rule about that.

use uuid::Uuid;

use super::{Draft, Unit};
use crate::catalog::DuplicateAction;
use crate::error::{Result, UserError, UserErrorCode};
use crate::infra::db::Backend;
use crate::platform::access::Sight;
use crate::records::duplicates::{self, Found};

impl Unit<'_> {
    /// Refuses a new record, or warns of it, as the object's rule says.
    pub(super) async fn check_duplicates(&mut self, draft: &mut Draft) -> Result<()> {
        let rule = draft.object.duplicates;
        if !draft.is_new || rule.action == DuplicateAction::Allow || !draft.errors.is_empty() {
            return Ok(());
        }
        if rule.action == DuplicateAction::Block && self.tx.backend() == Backend::Postgres {
            // Two that are the same and come at once do not see each other otherwise.
            let place = format!("{} {}", self.ctx.workspace, draft.object.name);
            self.tx.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", vec![place.into()]).await?;
        }
        self.flush().await?;
        let found = duplicates::find(self.tx, self.ctx, self.catalog, &draft.object, (None, &draft.now), &|_| true).await?;
        // The search looked with the caller's eyes at last.
        self.tx.see_all(true).await?;
        let Found { seen, hidden } = found.above(rule.least_score);
        let is_told = duplicates::may_count_hidden(self.ctx, &draft.object);
        // A refusal holds for everybody; a warning would only tell of records that are none of the caller's business.
        let hidden = if is_told || rule.action == DuplicateAction::Block { hidden.len() } else { 0 };
        let seen: Vec<Uuid> = seen.iter().map(|candidate| candidate.id).filter(|id| !self.acknowledged.contains(id)).collect();
        if seen.is_empty() && hidden == 0 {
            return Ok(());
        }
        let label = draft.object.label.to_lowercase();
        let others = match (seen.len(), hidden) {
            _ if !is_told => "one at least".to_owned(),
            (0, _) => format!("{hidden} that you do not see"),
            (count, 0) => count.to_string(),
            (count, _) => format!("{count}, and {hidden} that you do not see"),
        };
        let message = format!("It looks like a {label} that is there already: {others}.");
        let mut told = UserError::new(UserErrorCode::Duplicate, &[], message).within(&draft.path);
        // Whoever does not see names does not learn who has this one.
        let title = self.ctx.access.object(&draft.object.name).field(&draft.object.title).sight;
        told.records = if title == Sight::Full { seen } else { Vec::new() };
        match rule.action {
            DuplicateAction::Block => draft.errors.push(told),
            _ => self.warnings.push((draft.id, told)),
        }
        Ok(())
    }
}
