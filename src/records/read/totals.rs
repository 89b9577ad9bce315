//! Lists whose count and sum the database keeps: [`Totals`](crate::catalog::Totals).
//!
//! They answer for a list that is whole: of today, unfiltered, of a caller who sees every record. A board's columns then
//! cost the same whether they have ten deals or a hundred thousand. What else is asked of the list (an extreme, another field's
//! sum) is reckoned of the records, and the count with it.

use super::node::Planner;
use crate::catalog::{Object, Relation, Via};
use crate::records::sql::Sql;

/// How many records there are.
pub const COUNT: &str = "CAST(coalesce(sum(ks.records), 0) AS BIGINT)";
/// How many of them have an amount.
pub const VALUED: &str = "CAST(coalesce(sum(ks.valued), 0) AS BIGINT)";
/// The first and the last of the amounts' currencies.
pub const CURRENCIES: [&str; 2] = ["min(ks.currency)", "max(ks.currency)"];

impl Planner<'_> {
    /// What to select from instead of the records of a whole list; none if its totals are not kept, or not for this caller.
    /// `related`: the relation that the list is, and the record whose it is.
    pub(super) fn totals(&self, object: &Object, related: Option<(&Relation, &str)>) -> Option<String> {
        let totals = object.totals.filter(|_| self.as_of.is_none() && self.ctx.access.sees_all(&object.name))?;
        let of_one = match related {
            None => String::new(),
            Some((relation, parent)) => match &relation.via {
                Via::Children(column) if totals.by.contains(&column.as_str()) && !self.hides(relation, object) => {
                    format!(" AND kt.{column} = {parent}.id")
                }
                _ => return None,
            },
        };
        let valued = |part: &str| format!("CASE WHEN kt.currency <> '' THEN sum(kt.{part}) END");
        Some(format!(
            "(SELECT nullif(kt.currency, '') AS currency, sum(kt.records) AS records, {} AS valued, {} AS high, {} AS low \
             FROM {} kt WHERE kt.workspace_id = $1{of_one} GROUP BY kt.currency HAVING sum(kt.records) > 0) ks",
            valued("records"),
            valued("high"),
            valued("low"),
            totals.table
        ))
    }
}

impl Sql {
    /// The sum of all amounts, as text, from those of their upper and lower 32 bits; null if there is none.
    pub(super) fn sum_of_totals(&self) -> String {
        if self.is_postgres() {
            "(sum(ks.high) * 4294967296 + sum(ks.low))::text".to_owned()
        } else {
            "kith_wide(sum(ks.high), sum(ks.low))".to_owned()
        }
    }
}
