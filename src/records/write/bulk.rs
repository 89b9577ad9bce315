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
    pub async fn create_many(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        inputs: &[Json],
        policy: ErrorPolicy,
    ) -> Result<Vec<Outcome>> {
        if inputs.len() > MOST_ITEMS {
            return Err(Error::bad_request(format!("At most {MOST_ITEMS} records can be created at once.")).within("inputs"));
        }
        let empty = Map::new();
        self.elevate().await?;
        let mut outcomes = Vec::with_capacity(inputs.len());
        if policy == ErrorPolicy::Rollback {
            self.begin_batch();
        }
        for input in inputs {
            let mark = self.savepoint(policy).await?;
            let outcome = self.create(object, variant, input.as_object().unwrap_or(&empty)).await;
            outcomes.push(self.settle(outcome, mark, policy).await?);
        }
        let mut failed = self.end_batch().await?;
        let told = |outcome: Outcome| match outcome {
            Ok(written) => match failed.remove(&written.id) {
                Some(errors) => Err(Rejected::User { errors, conflict: None }),
                None => Ok(written),
            },
            refused => refused,
        };
        Ok(outcomes.into_iter().map(told).collect())
    }

    pub async fn update_many(
        &mut self,
        object: &Object,
        ids: &[Uuid],
        input: &Map<String, Json>,
        policy: ErrorPolicy,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            self.settle_sight().await?;
            let mark = self.savepoint(policy).await?;
            let outcome = self.update(object, None, *id, input, None).await;
            outcomes.push(self.settle(outcome, mark, policy).await?);
        }
        Ok(outcomes)
    }

    pub async fn delete_many(&mut self, object: &Object, ids: &[Uuid], policy: ErrorPolicy) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            self.settle_sight().await?;
            let mark = self.savepoint(policy).await?;
            let outcome = self.delete(object, None, *id).await;
            outcomes.push(self.settle(outcome, mark, policy).await?);
        }
        Ok(outcomes)
    }

    /// A thousand records are written with every row in sight, each judged by its statement's own condition;
    /// where the database's policies judge alone, each is looked at with the caller's eyes.
    pub(in crate::records) async fn settle_sight(&mut self) -> Result<()> {
        if self.ctx.access.policy().is_some_and(|policy| policy.left_to_database) { self.lower().await } else { self.elevate().await }
    }

    /// The records that a bulk write by filter means; more than `limit` is refused.
    pub async fn select(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        filter: &Json,
        limit: usize,
    ) -> Result<Vec<Uuid>, Rejected> {
        if limit == 0 || limit > MOST_ITEMS {
            return Err(UserError::new(UserErrorCode::Limit, &["limit"], format!("`limit` is a number from 1 to {MOST_ITEMS}.")).into());
        }
        if says_nothing(filter) {
            return Err(UserError::new(
                UserErrorCode::InvalidValue,
                &["filter"],
                "The filter says nothing, so it would mean every record. Name what to change.",
            )
            .into());
        }
        let ids =
            filtered_ids(self.ctx, self.catalog, self.tx, object, variant, filter, limit + 1).await.map_err(|e| e.within("filter"))?;
        if ids.len() > limit {
            let message = format!("More than {limit} records match the filter; nothing was changed.");
            return Err(UserError::new(UserErrorCode::Limit, &["limit"], message).into());
        }
        Ok(ids)
    }

    pub(in crate::records) async fn savepoint(&mut self, policy: ErrorPolicy) -> Result<usize> {
        if policy == ErrorPolicy::SkipFailed {
            self.tx.run("SAVEPOINT item", Vec::new()).await?;
        }
        Ok(self.mark())
    }

    pub(in crate::records) async fn settle(&mut self, outcome: Outcome, mark: usize, policy: ErrorPolicy) -> Result<Outcome> {
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

/// Whether a filter has no condition that any record could fail: it would mean every record.
pub fn says_nothing(filter: &Json) -> bool {
    let Some(members) = filter.as_object() else { return filter.is_null() };
    members.iter().all(|(name, value)| match name.as_str() {
        _ if value.is_null() => true,
        "and" => items(value).iter().all(says_nothing),
        "or" => !items(value).is_empty() && items(value).iter().any(says_nothing),
        "not" => matches_nothing(value),
        "customFields" => items(value).iter().all(|item| {
            let operator = item["operator"].as_str().unwrap_or_default();
            says_no_more(operator, &item["value"], false)
        }),
        "custom" => says_nothing(value),
        "isNull" => value == false,
        field => operators_say_nothing(value, field == "id"),
    })
}

fn operators_say_nothing(condition: &Json, never_null: bool) -> bool {
    let Some(operators) = condition.as_object() else { return condition.is_null() };
    operators.iter().all(|(operator, operand)| match operator.as_str() {
        // To-many relations: even an empty filter asks whether there are records.
        "some" | "none" | "every" | "count" => operand.is_null(),
        "amount" => operators_say_nothing(operand, false),
        "and" | "or" | "not" | "custom" => says_nothing(&serde_json::json!({ operator: operand })),
        _ if operand.is_object() && operator != "between" && operator != "within" => operators_say_nothing(operand, operator == "id"),
        _ => says_no_more(operator, operand, never_null),
    })
}

/// Whether one operator lets every record through.
fn says_no_more(operator: &str, operand: &Json, never_null: bool) -> bool {
    match operator {
        "eq" => false,
        "ne" => never_null && operand.is_null(),
        "notIn" | "hasAll" => operand.is_null() || items(operand).is_empty(),
        "contains" | "startsWith" | "endsWith" => operand.as_str().is_none_or(str::is_empty),
        "isNull" if never_null => operand == false,
        _ => operand.is_null(),
    }
}

fn matches_nothing(filter: &Json) -> bool {
    filter.as_object().into_iter().flatten().any(|(name, value)| match name.as_str() {
        _ if value.is_null() => false,
        "or" => items(value).iter().all(matches_nothing),
        "and" => items(value).iter().any(matches_nothing),
        "not" => says_nothing(value),
        _ => value.get("in").is_some_and(|list| list.as_array().is_some_and(Vec::is_empty)),
    })
}

fn items(value: &Json) -> &[Json] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_that_every_record_passes_say_nothing() {
        for filter in [
            json!({}),
            json!(null),
            json!({ "name": {} }),
            json!({ "and": [] }),
            json!({ "and": [{}, { "name": null }] }),
            json!({ "or": [{}, { "name": { "eq": "x" } }] }),
            json!({ "not": { "or": [] } }),
            json!({ "not": { "id": { "in": [] } } }),
            json!({ "id": { "ne": null } }),
            json!({ "name": { "contains": "", "notIn": [] } }),
            json!({ "company": { "name": {} } }),
            json!({ "customFields": [{ "field": "f", "operator": "gte", "value": null }] }),
        ] {
            assert!(says_nothing(&filter), "{filter}");
        }
    }

    #[test]
    fn filters_that_a_record_can_fail_say_something() {
        for filter in [
            json!({ "name": { "eq": null } }),
            json!({ "or": [] }),
            json!({ "id": { "in": [] } }),
            json!({ "pinned": { "eq": false } }),
            json!({ "people": { "none": {} } }),
            json!({ "company": { "isNull": true } }),
            json!({ "dueAt": { "within": { "last": 3, "unit": "DAY" } } }),
        ] {
            assert!(!says_nothing(&filter), "{filter}");
        }
    }
}
