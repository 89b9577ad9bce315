//! Running totals against the records that they count.

use super::{Report, TOLD};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;

/// What is counted and not there, or there and not counted, is left over when the one is taken from the other.
pub async fn compare(tx: &Tx, ctx: &Ctx, catalog: &Catalog, report: &mut Report) -> Result<()> {
    for (object, totals) in catalog.objects().filter_map(|object| Some((object, object.totals?))) {
        let (by, amount, table) = (totals.by.join(", "), totals.amount, totals.table);
        let sql = format!(
            "SELECT {by}, currency FROM (\
             SELECT {by}, currency, records, high, low FROM {table} WHERE workspace_id = $1 \
             UNION ALL SELECT {by}, CASE WHEN {amount} IS NULL THEN '' ELSE coalesce({amount}_currency, 'XXX') END, \
             -1, -coalesce({amount} >> 32, 0), -coalesce({amount} & 4294967295, 0) FROM {} WHERE workspace_id = $1 AND deleted_at IS NULL) both_sides \
             GROUP BY {by}, currency HAVING sum(records) <> 0 OR sum(high) <> 0 OR sum(low) <> 0 LIMIT {TOLD}",
            object.table
        );
        for row in tx.fetch_all(&sql, vec![ctx.workspace.into()]).await? {
            let of: Vec<String> =
                (0..totals.by.len()).map(|at| row.uuid(at).map(|id| id.unwrap_or_default().to_string())).collect::<Result<_, _>>()?;
            let currency = row.text(totals.by.len())?.unwrap_or_default();
            report.fault(|| {
                format!("{}s of {by} {}: their count or sum in `{currency}` is not what {table} says", object.name, of.join(", "))
            });
        }
    }
    Ok(())
}
