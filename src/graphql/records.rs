//! The generated root fields are handed to the door as a whole; [`Roots`] says what each means.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{Context, ContextBase, ContextSelectionSet, OutputType, Positioned, ServerResult, Value};
use async_graphql_value::indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use super::types::{Of, Query, Roots};
use super::{duplicates, errors, live, payload, request, selection};
use crate::error::{Error, Result};
use crate::infra::db::Mode;
use crate::platform::Problems;
use crate::records;
use crate::records::read::{Plan, RootQuery, extent, past};
use crate::records::selection::Selection;

/// JSON that goes into the answer as it is.
pub fn raw(json: String) -> Value {
    let mut wrapper = IndexMap::with_capacity(1);
    wrapper.insert(async_graphql::Name::new(async_graphql_value::RAW_VALUE_TOKEN), Value::String(json));
    Value::Object(wrapper)
}

/// Answers a generated field of the query; none if it is not known.
pub async fn query(ctx: &Context<'_>) -> ServerResult<Option<Value>> {
    let roots = ctx.data_unchecked::<Arc<Roots>>();
    let Some(query) = roots.queries.get(ctx.item.node.name.node.as_str()) else { return Ok(None) };
    Ok(Some(read(ctx, query).await.unwrap_or_else(|error| failed(ctx, &error))))
}

/// Answers a generated field of the mutation; none if it is not known.
pub async fn mutation(ctx: &Context<'_>) -> ServerResult<Option<Value>> {
    let roots = ctx.data_unchecked::<Arc<Roots>>();
    let Some(mutation) = roots.mutations.get(ctx.item.node.name.node.as_str()) else { return Ok(None) };
    payload::write(ctx, mutation).await.map(Some).map_err(|error| ctx.set_error_path(errors::server_error(&error)))
}

/// Root fields of queries are nullable: what fails is null, and the others are answered.
fn failed(ctx: &Context<'_>, error: &Error) -> Value {
    let mut error = ctx.set_error_path(errors::server_error(error));
    error.locations = vec![ctx.item.pos];
    ctx.add_error(error);
    Value::Null
}

/// The most problems that a root field lists.
const MOST_PROBLEMS: usize = 20;

/// Members that are null because they could not be told, such as a sum of several currencies.
pub fn tell_problems<T>(ctx: &ContextBase<'_, T>, problems: &Problems) {
    for problem in problems.take().into_iter().take(MOST_PROBLEMS) {
        ctx.add_error(ctx.set_error_path(errors::server_error(&Error::bad_request(problem))));
    }
}

async fn read(ctx: &Context<'_>, query: &Query) -> Result<Value> {
    let (arguments, selection) = (selection::arguments(ctx), selection::below(ctx)?);
    let query = match query {
        Query::Duplicates(of) => return duplicates::answer(ctx, of, &arguments, &selection).await,
        Query::Search => return search(ctx, &arguments, &selection).await,
        Query::Changes => return live::changes(ctx, &arguments, &selection).await,
        Query::ChangeCursor => return live::cursor(ctx).await,
        Query::One(of) => RootQuery::One { object: &of.object, variant: of.variant, deleted: false, preview: false },
        Query::List(of) => RootQuery::List { object: &of.object, variant: of.variant },
        Query::Groups(of) => RootQuery::Groups { object: &of.object, variant: of.variant },
        Query::Node => RootQuery::Nodes { single: true },
        Query::Nodes => RootQuery::Nodes { single: false },
    };
    answer(ctx, &query, &arguments, &selection).await
}

async fn answer(ctx: &Context<'_>, query: &RootQuery<'_>, arguments: &Map<String, Json>, selection: &Selection) -> Result<Value> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    if let RootQuery::List { object, .. } = query
        && extent::is_due(&signed.ctx, object)
    {
        let tx = request.snapshot().await?;
        extent::learn(&tx, &signed.ctx, &signed.known.catalog, object, request.app.config.database.few_rows).await?;
    }
    let moment = match arguments.get("asOf") {
        Some(_) => {
            let tx = request.snapshot().await?;
            past::moment(&tx, &signed.ctx, arguments).await?
        }
        None => None,
    };
    let plan = Plan::new(&signed.ctx, &signed.known.catalog, request.app.db.backend(), query, arguments, selection, moment)?;
    let tx = request.snapshot().await?;
    if moment.is_some() {
        past::hash_joins(&tx, true).await?;
    }
    let answered = match plan.complete(&signed.ctx, &signed.known.catalog, &tx, query, arguments, selection).await {
        Ok(plan) => plan.run(&tx).await,
        Err(error) => Err(error),
    };
    if moment.is_some() && answered.is_ok() {
        past::hash_joins(&tx, false).await?;
    }
    if may_miss(query, answered.as_deref().unwrap_or_default())
        && let Some(arguments) = records::merged::with_survivors(&tx, &signed.ctx, arguments).await?
    {
        drop(tx);
        return Box::pin(answer(ctx, query, &arguments, selection)).await;
    }
    if let (RootQuery::One { object, .. }, Some(moment), Ok("null")) = (query, moment, answered.as_deref()) {
        past::check_age(&signed.ctx, &signed.known.catalog, &tx, object, arguments, moment.at).await?;
    }
    // As long as the snapshot is held, no other root field notes anything.
    tell_problems(ctx, &signed.ctx.problems);
    drop(tx);
    if answered.is_err() {
        // PostgreSQL takes nothing more in a transaction that failed; the other root fields are not to
        // suffer for it.
        request.abandon().await;
    }
    answered.map(raw)
}

/// Whether an answer may lack a record that was asked for by its id.
fn may_miss(query: &RootQuery<'_>, answer: &str) -> bool {
    match query {
        RootQuery::Nodes { single: false } => answer.starts_with("[null") || answer.contains(",null"),
        RootQuery::One { .. } | RootQuery::Nodes { .. } => answer == "null",
        RootQuery::List { .. } | RootQuery::Groups { .. } | RootQuery::Several { .. } => false,
    }
}

async fn search(ctx: &Context<'_>, arguments: &Map<String, Json>, selection: &Selection) -> Result<Value> {
    let request = request::of(ctx);
    let signed = request.signed()?;
    let tx = request.snapshot().await?;
    let answered = records::search::answer(&signed.ctx, &signed.known.catalog, &tx, arguments, selection).await;
    tell_problems(ctx, &signed.ctx.problems);
    drop(tx);
    if answered.is_err() {
        request.abandon().await;
    }
    answered.map(raw)
}

/// A member as the value of a field of a static type: `viewer.member`. The door answers it.
pub struct MemberRef {
    id: uuid::Uuid,
    /// As whom to look, where that is not the request's caller.
    within: Option<Arc<request::Signed>>,
}

impl MemberRef {
    pub const fn new(id: uuid::Uuid) -> Self {
        Self { id, within: None }
    }

    pub const fn within(id: uuid::Uuid, within: Option<Arc<request::Signed>>) -> Self {
        Self { id, within }
    }
}

impl OutputType for MemberRef {
    fn type_name() -> Cow<'static, str> {
        "Member".into()
    }

    /// The type itself is generated.
    fn create_type_info(_: &mut Registry) -> String {
        Self::qualified_type_name()
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        let request = ctx.data_unchecked::<Arc<request::Request>>();
        let found = async {
            let signed = match &self.within {
                Some(signed) => signed,
                None => request.signed()?,
            };
            let object = signed.known.catalog.object("member").clone();
            let selection = selection::of_set(ctx, &ctx.item.node)?;
            let mut arguments = Map::new();
            arguments.insert("id".into(), Json::String(self.id.to_string()));
            let query = RootQuery::One { object: &object, variant: None, deleted: true, preview: false };
            let plan = Plan::new(&signed.ctx, &signed.known.catalog, request.app.db.backend(), &query, &arguments, &selection, None)?;
            if self.within.is_some() {
                let tx = request.app.db.begin(&signed.ctx.scope(), Mode::Read).await?;
                let plan = plan.complete(&signed.ctx, &signed.known.catalog, &tx, &query, &arguments, &selection).await?;
                let answered = plan.run(&tx).await?;
                tell_problems(ctx, &signed.ctx.problems);
                tx.commit().await?;
                request::audit_opened(&request.app, &signed.ctx).await?;
                return Ok(raw(answered));
            }
            let tx = request.snapshot().await?;
            let plan = plan.complete(&signed.ctx, &signed.known.catalog, &tx, &query, &arguments, &selection).await?;
            let answered = plan.run(&tx).await;
            tell_problems(ctx, &signed.ctx.problems);
            answered.map(raw)
        };
        found.await.map_err(|error| ctx.set_error_path(errors::server_error(&error)))
    }
}

/// The record query for a payload's record.
pub fn one(of: &Of, preview: bool) -> RootQuery<'_> {
    RootQuery::One { object: &of.object, variant: of.variant, deleted: true, preview }
}
