//! What is done about duplicates.

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};

use super::values::{ObjectName, UserErrorView, views};
use super::workspace::split;
use crate::catalog::{self, Object as Definition};
use crate::graphql::errors::field_error;
use crate::graphql::request;

#[derive(Default)]
pub struct DuplicateQuery;

#[derive(Default)]
pub struct DuplicateMutation;

/// What is done when a new record looks like one that is there.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateAction {
    /// Nothing; nobody looks.
    Allow,
    /// It is created, and the payload's `warnings` name those that it looks like, unless the request acknowledges them.
    Warn,
    /// It is not created: `userErrors` have DUPLICATE and name those that it looks like.
    Block,
}

impl DuplicateAction {
    fn of(action: catalog::DuplicateAction) -> Self {
        match action {
            catalog::DuplicateAction::Allow => Self::Allow,
            catalog::DuplicateAction::Warn => Self::Warn,
            catalog::DuplicateAction::Block => Self::Block,
        }
    }

    fn stored(self) -> catalog::DuplicateAction {
        match self {
            Self::Allow => catalog::DuplicateAction::Allow,
            Self::Warn => catalog::DuplicateAction::Warn,
            Self::Block => catalog::DuplicateAction::Block,
        }
    }
}

/// What is done about duplicates of an object.
#[derive(SimpleObject)]
pub struct DuplicateRule {
    /// The object.
    object: ObjectName,
    /// What is done.
    action: DuplicateAction,
    /// Of 100: who looks less alike is no duplicate.
    least_score: u8,
}

impl DuplicateRule {
    fn of(object: &Definition) -> Self {
        let rule = object.duplicates;
        Self { object: ObjectName::of(&object.name), action: DuplicateAction::of(rule.action), least_score: rule.least_score }
    }
}

/// What shall be done about duplicates of an object.
#[derive(InputObject)]
pub struct SetDuplicateRuleInput {
    /// The object.
    object: ObjectName,
    /// What shall be done.
    action: DuplicateAction,
    /// From 50 to 100: who looks less alike is no duplicate. The same name alone is worth 60, with the same number 88; the same
    /// address 95.
    #[graphql(default = 80)]
    least_score: u8,
}

/// What came of changing a rule.
#[derive(SimpleObject)]
pub struct DuplicateRulePayload {
    /// The rule; null if it was not changed.
    duplicate_rule: Option<DuplicateRule>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[Object]
impl DuplicateQuery {
    /// What is done about duplicates, for each object that has any.
    async fn duplicate_rules(&self, ctx: &Context<'_>) -> Result<Vec<DuplicateRule>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let objects = signed.known.catalog.objects().filter(|object| object.mergeable && !object.is_archived());
        let seen = objects.filter(|object| crate::graphql::view::has_rights(&signed.ctx.access, object));
        Ok(seen.map(|object| DuplicateRule::of(object)).collect())
    }
}

#[Object]
impl DuplicateMutation {
    /// Says what is done about duplicates of an object: nothing (that is how it begins), a warning, or a refusal. Needs
    /// DATA_MODEL.
    async fn set_duplicate_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule.")] input: SetDuplicateRuleInput,
    ) -> Result<DuplicateRulePayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let object = input.object.stored(&signed.known.catalog);
        let rule = catalog::DuplicateRule { action: input.action.stored(), least_score: input.least_score };
        let (done, errors) = split(request.app.data_model.set_duplicate_rule(&signed.ctx, &object, rule).await)?;
        let mut duplicate_rule = None;
        if done.is_some() {
            request.app.forget_workspace(signed.ctx.workspace).await;
            let known = request.app.workspace(signed.ctx.workspace).await.map_err(|e| field_error(&e))?;
            duplicate_rule = known.catalog.find(&object).map(|object| DuplicateRule::of(object));
        }
        Ok(DuplicateRulePayload { duplicate_rule, user_errors: views(errors) })
    }
}
