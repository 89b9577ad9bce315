//! Many records in one call, in one transaction.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{Outcome, Rejected, Unit};
use crate::catalog::{Object, Variant};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::records::read::filtered_ids;

/// The most items of one call.
pub const MOST_ITEMS: usize = 1_000;

/// What happens to the others when an item fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// Nothing is written.
    Rollback,
    /// The others are written.
    SkipFailed,
}

impl Unit<'_> {
    pub async fn create_many(&mut self, object: &Object, variant: Option<&'static Variant>, inputs: &[Json], policy: ErrorPolicy) -> Result<Vec<Outcome>> {
        if inputs.len() > MOST_ITEMS {
            return Err(Error::bad_request(format!("At most {MOST_ITEMS} records can be created at once.")).within("inputs"));
        }
        let empty = Map::new();
        let mut outcomes = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mark = self.savepoint(policy).await?;
            let outcome = self.create(object, variant, input.as_object().unwrap_or(&empty)).await;
            outcomes.push(self.settle(outcome, mark, policy).await?);
        }
        Ok(outcomes)
    }

    pub async fn update_many(&mut self, object: &Object, ids: &[Uuid], input: &Map<String, Json>, policy: ErrorPolicy) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let mark = self.savepoint(policy).await?;
            let outcome = self.update(object, *id, input, None).await;
            outcomes.push(self.settle(outcome, mark, policy).await?);
        }
        Ok(outcomes)
    }

    pub async fn delete_many(&mut self, object: &Object, ids: &[Uuid], policy: ErrorPolicy) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let mark = self.savepoint(policy).await?;
            let outcome = self.delete(object, *id).await;
            outcomes.push(self.settle(outcome, mark, policy).await?);
        }
        Ok(outcomes)
    }

    /// The records that a bulk write by filter means; more than `limit` is refused.
    pub async fn select(&mut self, object: &Object, variant: Option<&'static Variant>, filter: &Json, limit: usize) -> Result<Vec<Uuid>, Rejected> {
        if limit == 0 || limit > MOST_ITEMS {
            return Err(UserError::new(UserErrorCode::Limit, &["limit"], format!("`limit` is a number from 1 to {MOST_ITEMS}.")).into());
        }
        if says_nothing(filter) {
            return Err(UserError::new(UserErrorCode::InvalidValue, &["filter"], "The filter says nothing, so it would mean every record. Name what to change.").into());
        }
        let ids = filtered_ids(self.ctx, self.catalog, self.tx, object, variant, filter, limit + 1).await.map_err(|e| e.within("filter"))?;
        if ids.len() > limit {
            let message = format!("More than {limit} records match the filter; nothing was changed.");
            return Err(UserError::new(UserErrorCode::Limit, &["limit"], message).into());
        }
        Ok(ids)
    }

    async fn savepoint(&mut self, policy: ErrorPolicy) -> Result<usize> {
        if policy == ErrorPolicy::SkipFailed {
            self.tx.run("SAVEPOINT item", Vec::new()).await?;
        }
        Ok(self.mark())
    }

    async fn settle(&mut self, outcome: Outcome, mark: usize, policy: ErrorPolicy) -> Result<Outcome> {
        if let Err(Rejected::Failed(error)) = outcome {
            return Err(error);
        }
        if policy == ErrorPolicy::SkipFailed {
            if outcome.is_err() {
                self.tx.run("ROLLBACK TO SAVEPOINT item", Vec::new()).await?;
                self.forget_after(mark);
            }
            self.tx.run("RELEASE SAVEPOINT item", Vec::new()).await?;
        }
        Ok(outcome)
    }
}

/// Whether a filter has no condition at all, however it is nested: it would match everything.
pub fn says_nothing(filter: &Json) -> bool {
    match filter {
        Json::Null => true,
        Json::Array(items) => items.iter().all(says_nothing),
        Json::Object(members) => members.iter().all(|(name, value)| match name.as_str() {
            // An empty `or`, like an empty `in`, matches nothing, which is something to say.
            "or" | "in" | "hasAny" => value.is_null() || value.as_array().is_some_and(|items| !items.is_empty() && name == "or" && items.iter().any(says_nothing)),
            "eq" | "ne" => false,
            _ => says_nothing(value),
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_filters_say_nothing() {
        for filter in [json!({}), json!(null), json!({ "name": {} }), json!({ "and": [] }), json!({ "and": [{}, { "name": null }] }), json!({ "or": [{}, { "name": { "eq": "x" } }] })] {
            assert!(says_nothing(&filter), "{filter}");
        }
        for filter in [json!({ "name": { "eq": null } }), json!({ "or": [] }), json!({ "id": { "in": [] } }), json!({ "pinned": { "eq": false } })] {
            assert!(!says_nothing(&filter), "{filter}");
        }
    }
}
