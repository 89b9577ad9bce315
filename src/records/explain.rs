//! Why somebody may, or may not, do something with a record.

use uuid::Uuid;

use super::access::{Verb, Way, ways_to};
use super::sql::Sql;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::Ctx;

/// The ways that lead a caller to a record, for each thing to be done with it.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub object: String,
    pub ways: Vec<(Verb, Way)>,
}

/// The object of a record; none if there is no such record. The transaction must see every row:
/// whoever asks for somebody else was found to have the right.
pub async fn object_of(ctx: &Ctx, tx: &Tx, id: Uuid) -> Result<Option<String>> {
    let spine = "SELECT object FROM record WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL";
    let row = tx.fetch_optional(spine, vec![ctx.workspace.into(), id.into()]).await?;
    Ok(row.as_ref().map(|row| row.text(0)).transpose()?.flatten().map(str::to_owned))
}

/// Explains what the caller of `ctx` may do with a record of the object. The transaction is that
/// caller's own: what PostgreSQL's policies hide from them is no way.
pub async fn explain(ctx: &Ctx, catalog: &Catalog, tx: &Tx, name: String, id: Uuid) -> Result<Option<Explanation>> {
    let Some(object) = catalog.find(&name).cloned() else { return Ok(None) };
    let mut sql = Sql::new(tx.backend(), ctx.workspace);
    let mut tested = Vec::new();
    for verb in [Verb::Read, Verb::Update, Verb::Delete] {
        for (way, condition) in ways_to(&mut sql, ctx, catalog, &object, "t", verb) {
            tested.push((verb, way, condition));
        }
    }
    if tested.is_empty() {
        return Ok(Some(Explanation { object: name, ways: Vec::new() }));
    }
    let columns: Vec<String> = tested.iter().map(|(_, _, condition)| format!("CASE WHEN {condition} THEN 1 ELSE 0 END")).collect();
    let record = sql.bind(id);
    let text = format!("SELECT {} FROM {} t WHERE t.workspace_id = $1 AND t.id = {record}", columns.join(", "), object.rows());
    let text = if sql.is_postgres() { text.replace("THEN 1 ELSE 0 END", "THEN 1::bigint ELSE 0::bigint END") } else { text };
    let mut ways = Vec::new();
    let Some(row) = tx.fetch_optional(&text, sql.values).await? else { return Ok(Some(Explanation { object: name, ways })) };
    for (index, (verb, way, _)) in tested.into_iter().enumerate() {
        if row.int(index)? == Some(1) {
            ways.push((verb, way));
        }
    }
    Ok(Some(Explanation { object: name, ways }))
}
