//! The one door: every read and every write of a record goes through here, standard and custom
//! alike, whoever asks. A [`Ctx`] comes first in everything: without one, no query can be built.
//!
//! Reading ([`mod@read`]): selection, plan, one statement, shape. Writing ([`mod@write`]): input, rules,
//! statement, change log, commit. Both are driven by the [`crate::catalog`]; no object has code here.

pub mod access;
pub mod change_sets;
pub mod duplicates;
pub mod explain;
pub mod feed;
pub mod keys;
pub mod merged;
pub mod read;
pub mod search;
pub mod selection;
mod sql;
pub mod value;
pub mod verify;
pub mod write;

use serde_json::{Map, Value as Json};

use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;
use read::{Plan, RootQuery};
use selection::Selection;

/// Answers a root field, as JSON.
pub async fn query(
    ctx: &Ctx,
    catalog: &Catalog,
    tx: &Tx,
    query: &RootQuery<'_>,
    arguments: &Map<String, Json>,
    selection: &Selection,
) -> Result<String> {
    let plan = Plan::new(ctx, catalog, tx.backend(), query, arguments, selection, None)?;
    plan.complete(ctx, catalog, tx, query, arguments, selection).await?.run(tx).await
}
