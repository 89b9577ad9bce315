//! What a request costs: charged before it runs, given back what it did not need.

use async_graphql::{Request, Value};
use async_graphql_value::indexmap::IndexMap;
use axum::http::StatusCode;

use super::Server;
use super::reply::Reply;
use crate::error::{Code, Error};
use crate::graphql::cost::{Cost, cost, costliest};
use crate::graphql::document::Document;
use crate::graphql::order::chosen;
use crate::graphql::request::Signed;
use crate::graphql::schema::WorkspaceSchema;
use crate::platform::budget::{Account, Charged, Size};

/// One in so many of what an operation may cost is its least.
const LEAST: u64 = 10;

/// A request that was charged.
pub struct Charge {
    cost: Cost,
    accounts: [Account; 2],
}

/// Charges a request, or says why it is not run.
pub async fn charge(
    server: &Server,
    signed: &Signed,
    (document, schema): (&Document, &WorkspaceSchema),
    request: &Request,
) -> Result<Option<Charge>, Box<Reply>> {
    let (limits, registry) = (&server.app.config.limits, schema.registry());
    let Some(operation) = chosen(&document.parsed, request.operation_name.as_deref()) else { return Ok(None) };
    let cost = cost(registry, &document.parsed, &operation.node, &request.variables);
    if cost.requested > limits.cost {
        let path = costliest(registry, &document.parsed, &operation.node, &request.variables);
        let message = format!(
            "The operation may cost {}; {} are allowed. Most of it lies in `{path}`: ask for fewer records there (`first`), or in requests of their own.",
            cost.requested, limits.cost
        );
        return Err(Box::new(Reply::unfit(crate::graphql::errors::server_error(&Error::bad_request(message)))));
    }
    let caller = &signed.caller;
    let account = |name: String, maximum, per_second| Account { name, size: Size { maximum, per_second } };
    let accounts = [
        account(format!("credential:{}", caller.credential()), limits.credential_budget, limits.credential_restore),
        account(format!("workspace:{}", caller.workspace), limits.workspace_budget, limits.workspace_restore),
    ];
    match server.app.budgets.charge(&accounts, cost.requested, server.app.clock.now()).await {
        Charged::Taken(_) => Ok(Some(Charge { cost, accounts })),
        Charged::Wait(seconds) => {
            let message = format!("The budget is spent: this operation may cost {}. Try again in {seconds} seconds.", cost.requested);
            let refused = Reply::refused(StatusCode::TOO_MANY_REQUESTS, &Error::refuse(Code::RateLimited, message));
            Err(Box::new(refused.retry_after(seconds)))
        }
    }
}

impl Charge {
    /// Gives back what the request did not need; tells what it cost.
    pub async fn settle(self, server: &Server, signed: &Signed, reply: &mut Reply) {
        // Looking for nothing costs something too.
        let floor = self.cost.requested.div_ceil(LEAST);
        let actual = self.cost.least.saturating_add(signed.ctx.tally.count()).max(floor).min(self.cost.requested);
        server.app.metrics.cost.inc_by(actual);
        let unused = self.cost.requested - actual;
        let available = server.app.budgets.refund(&self.accounts, unused, server.app.clock.now()).await;
        let Size { maximum, per_second } = self.accounts[0].size;
        let bucket = [("maximum", maximum), ("available", available), ("restoreRate", per_second)];
        let object = |members: Vec<(&str, Value)>| {
            Value::Object(members.into_iter().map(|(name, value)| (async_graphql::Name::new(name), value)).collect::<IndexMap<_, _>>())
        };
        let bucket = object(bucket.into_iter().map(|(name, number)| (name, Value::from(number))).collect());
        let members = vec![("requested", Value::from(self.cost.requested)), ("actual", Value::from(actual)), ("bucket", bucket)];
        reply.answer.extensions.insert("cost".into(), object(members));
    }
}
