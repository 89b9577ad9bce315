//! Row filters: what a credential leaves of the rows that its roles reach.
//!
//! A row filter is a filter of the query grammar that whoever made the credential chose: this
//! widget's company, this region's deals. It stands in every condition that [`super::reached`] makes,
//! and what is written must match it as well. It is planned with every field, and with the rows of
//! whoever chose it: a token's within its key's filters, a key's within its roles. PostgreSQL's policies do not know it: they
//! repeat workspace and roles (see docs/adr/0005-row-filters.md).

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::catalog::{Catalog, Object};
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::access::Policy;
use crate::platform::{Access, Ctx, Hidden};
use crate::records::read::Planner;
use crate::records::sql::{Sql, all_of};

/// The condition of the caller's row filters on the record of `object` in `alias`. A filter that can
/// no longer be planned, because a field went, matches nothing.
pub(super) fn by_filter(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str) -> Option<String> {
    let policy = ctx.access.policy()?;
    let chosen = policy.for_row_filters();
    let parts = [(policy.row_filters.get(&object.name), &chosen), (policy.key_filters.get(&object.name), &chosen.for_row_filters())];
    let parts: Vec<String> =
        parts.into_iter().filter_map(|(filters, within)| Some(planned(sql, ctx, within, catalog, (object, alias), filters?))).collect();
    (!parts.is_empty()).then(|| all_of(&parts))
}

fn planned(
    sql: &mut Sql,
    ctx: &Ctx,
    within: &Arc<Policy>,
    catalog: &Catalog,
    (object, alias): (&Object, &str),
    filters: &[Json],
) -> String {
    let within = Ctx { access: Access::Caller(within.clone()), hidden: Hidden::default(), ..ctx.clone() };
    let fresh = Sql::new(sql.backend, ctx.workspace);
    let mut planner = Planner::with(&within, catalog, std::mem::replace(sql, fresh));
    let planned: Result<Vec<String>> = filters.iter().map(|filter| planner.filter(object, alias, filter, false)).collect();
    *sql = planner.sql;
    planned.map_or_else(
        |error| {
            tracing::warn!("a credential's row filter on {} no longer fits and matches nothing: {error}", object.name);
            "FALSE".into()
        },
        |parts| all_of(&parts),
    )
}

/// The same where `alias` is the record's row in the spine.
pub(super) fn by_filter_on_spine(sql: &mut Sql, ctx: &Ctx, catalog: &Catalog, object: &Object, alias: &str) -> Option<String> {
    ctx.access.policy().filter(|policy| policy.is_filtered(&object.name))?;
    let own = sql.alias();
    let filter = by_filter(sql, ctx, catalog, object, &own)?;
    Some(format!("EXISTS (SELECT 1 FROM {} {own} WHERE {own}.workspace_id = $1 AND {own}.id = {alias}.id AND {filter})", object.rows()))
}

/// Says what is wrong with a row filter, if something is.
pub fn check_filter(ctx: &Ctx, catalog: &Catalog, object: &Object, filter: &Json) -> Result<()> {
    let mut planner = Planner::new(ctx, catalog, crate::infra::db::Backend::Postgres);
    // It is kept, shown and audited as it is: no value of an encrypted field belongs there.
    planner.in_the_clear = true;
    planner.filter(object, "t", filter, false).map(drop)
}

/// Whether some of these records, which were just written, lie outside the caller's row filters.
pub async fn strays(ctx: &Ctx, catalog: &Catalog, tx: &Tx, object: &Object, ids: &[Uuid]) -> Result<bool> {
    let mut sql = Sql::new(tx.backend(), ctx.workspace);
    let Some(filter) = by_filter(&mut sql, ctx, catalog, object, "t") else { return Ok(false) };
    let ids = sql.bind_all(ids.iter().map(|id| (*id).into()).collect());
    let text = format!(
        "SELECT t.id FROM {} t WHERE t.workspace_id = $1 AND t.id IN ({ids}) AND NOT coalesce({filter}, FALSE) LIMIT 1",
        object.rows()
    );
    Ok(tx.fetch_optional(&text, sql.values).await?.is_some())
}
