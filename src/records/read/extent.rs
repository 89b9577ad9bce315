//! Counting what a caller reaches, as far as it matters to how a page is read.

use super::node::Planner;
use crate::catalog::{Catalog, Object};
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;

/// Whether the caller is known to reach few records of the object.
pub fn is_few(ctx: &Ctx, object: &Object) -> bool {
    ctx.access.policy().is_some_and(|policy| policy.extents.is_few(&object.name, ctx.now()) == Some(true))
}

/// Whether it should be counted again what the caller reaches. Not where that follows links, which costs
/// more to count than a page does, nor where the rows are the database's alone to choose.
pub fn is_due(ctx: &Ctx, object: &Object) -> bool {
    let countable = |policy: &crate::platform::access::Policy| {
        object.follows.is_none() && !policy.left_to_database && !policy.sees_all(&object.name) && !policy.is_filtered(&object.name)
    };
    ctx.access.policy().is_some_and(|policy| countable(policy) && policy.extents.is_few(&object.name, ctx.now()).is_none())
}

/// Counts what the caller reaches, but never more than matters.
pub async fn learn(tx: &Tx, ctx: &Ctx, catalog: &Catalog, object: &Object, few: u32) -> Result<()> {
    let Some(policy) = ctx.access.policy() else { return Ok(()) };
    let mut planner = Planner::new(ctx, catalog, tx.backend());
    let alias = planner.sql.alias();
    let reached = match planner.reached(object, &alias) {
        Some(reached) if few > 0 => reached,
        _ => {
            policy.extents.learn(&object.name, ctx.now(), false);
            return Ok(());
        }
    };
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {} {alias} WHERE {alias}.workspace_id = $1 AND {reached} LIMIT {}) n",
        object.rows(),
        u64::from(few) + 1
    );
    let rows = tx.fetch_all(&sql, planner.sql.values).await?;
    let count = rows.first().map(|row| row.int(0)).transpose()?.flatten().unwrap_or_default();
    policy.extents.learn(&object.name, ctx.now(), count <= i64::from(few));
    Ok(())
}
