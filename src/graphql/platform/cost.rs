//! What a document would cost.

use async_graphql::{Context, Json, Object, SimpleObject, Variables};

use crate::error::Error;
use crate::graphql::cost::{cost, costliest};
use crate::graphql::document::Document;
use crate::graphql::errors::field_error;
use crate::graphql::order::chosen;
use crate::graphql::request;
use crate::graphql::validate::validate;

/// What an operation costs at most.
#[derive(SimpleObject)]
struct CostEstimate {
    /// What it is charged before it runs: 1 for a record, 2 for a list and what is in it times its `first`, 5 for a sum, a count, a group or a search, 10 for a mutation. What it did not need is given back.
    requested: i64,
    /// The most that one operation may cost.
    maximum: i64,
    /// Where most of it lies, as a path of names in the answer.
    costliest: String,
}

#[derive(Default)]
pub struct CostQuery;

#[Object]
impl CostQuery {
    /// What an operation would cost, without running it.
    async fn cost_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] document: String,
        #[graphql(desc = "Its variables.")] variables: Option<Json<serde_json::Value>>,
        #[graphql(desc = "Which operation, if the document has several.")] operation_name: Option<String>,
    ) -> async_graphql::Result<CostEstimate> {
        let request = request::of(ctx);
        request.signed().map_err(|e| field_error(&e))?;
        let (registry, limits) = (&ctx.schema_env.registry, &request.app.config.limits);
        let refuse = |message: String| field_error(&Error::bad_request(message).within("document"));
        let read = Document::read(&document, operation_name.as_deref(), limits, true).map_err(|e| refuse(e.message))?;
        if let Some(error) = validate(registry, &read.parsed).into_iter().next() {
            return Err(refuse(error.message));
        }
        let Some(operation) = chosen(&read.parsed, operation_name.as_deref()) else {
            return Err(refuse("The document has no such operation.".to_owned()));
        };
        let variables = Variables::from_json(variables.map_or(serde_json::Value::Null, |variables| variables.0));
        let requested = cost(registry, &read.parsed, &operation.node, &variables).requested;
        Ok(CostEstimate {
            requested: i64::try_from(requested).unwrap_or(i64::MAX),
            maximum: i64::try_from(limits.cost).unwrap_or(i64::MAX),
            costliest: costliest(registry, &read.parsed, &operation.node, &variables),
        })
    }
}
