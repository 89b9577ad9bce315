//! To-one references by id: whether what they mean is there.
//!
//! A rule that needs the other record looks it up. What nobody looked at is checked by the very
//! statement that inserts (PostgreSQL, a new record), or by one statement for all of them.

use sea_orm::Value;
use uuid::Uuid;

use super::{Draft, Unit};
use crate::catalog::Object;
use crate::error::{Result, UserError, UserErrorCode};
use crate::records::access::{self, Verb};
use crate::records::sql::Sql;

/// A reference by id that was taken from the input as it is.
pub struct Unchecked {
    pub target: String,
    pub id: Uuid,
    pub path: Vec<String>,
}

impl Unit<'_> {
    /// Refuses the references that are known to lead nowhere, and forgets those that were looked up.
    pub(super) fn settle_known(&self, draft: &mut Draft) {
        let unchecked = std::mem::take(&mut draft.unchecked);
        for reference in unchecked {
            // A rule sees every record, its caller perhaps not.
            let sees_all = self.ctx.access.sees_all(&reference.target);
            match self.seen.get(&(reference.target.clone(), reference.id)) {
                Some(Some(_)) if sees_all => {}
                Some(None) => draft.errors.push(not_found(self.catalog.object(&reference.target), &reference.path)),
                _ => draft.unchecked.push(reference),
            }
        }
    }

    /// Refuses the references that lead nowhere, in one statement for all.
    pub(super) async fn verify(&mut self, draft: &mut Draft) -> Result<()> {
        let unchecked = std::mem::take(&mut draft.unchecked);
        if unchecked.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let selects: Vec<String> = unchecked.iter().map(|reference| self.find_by_id(reference, "t.id", &mut sql)).collect();
        let rows = self.tx.fetch_all(&selects.join(" UNION ALL "), sql.values).await?;
        let found = rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?;
        for reference in unchecked.iter().filter(|reference| !found.contains(&Some(reference.id))) {
            draft.errors.push(not_found(self.catalog.object(&reference.target), &reference.path));
        }
        Ok(())
    }

    /// A condition that holds when all references of a draft lead to a record.
    pub(super) fn guard(&self, draft: &Draft, sql: &mut Sql) -> Option<String> {
        let exists: Vec<String> =
            draft.unchecked.iter().map(|reference| format!("EXISTS ({})", self.find_by_id(reference, "1", sql))).collect();
        (!exists.is_empty()).then(|| exists.join(" AND "))
    }

    fn find_by_id(&self, reference: &Unchecked, column: &str, sql: &mut Sql) -> String {
        let target = self.catalog.object(&reference.target);
        let id = sql.bind(Value::from(reference.id));
        let reached = access::reached(sql, self.ctx, self.catalog, target, "t", Verb::Read);
        let reached = reached.map(|reached| format!(" AND {reached}")).unwrap_or_default();
        format!("SELECT {column} FROM {} t WHERE t.workspace_id = $1 AND t.id = {id} AND t.deleted_at IS NULL{reached}", target.rows())
    }

    /// Whether the caller sees the record, which is there.
    pub async fn sees(&mut self, object: &str, id: Uuid) -> Result<bool> {
        let object = self.catalog.object(object).clone();
        self.reaches(&object, id).await
    }

    /// Whether the caller sees the record.
    pub(super) async fn reaches(&mut self, object: &Object, id: Uuid) -> Result<bool> {
        self.flush_for(id).await?;
        if self.ctx.access.sees_all(&object.name) && !object.is_archived() {
            return Ok(self.look_up(&object.name, id).await?.is_some());
        }
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let text = self.find_by_id(&Unchecked { target: object.name.clone(), id, path: Vec::new() }, "t.id", &mut sql);
        Ok(self.tx.fetch_optional(&text, sql.values).await?.is_some())
    }
}

/// What a reference to nothing is answered with.
pub(super) fn not_found(target: &Object, path: &[String]) -> UserError {
    UserError::new(UserErrorCode::NotFound, &[], format!("There is no such {}.", target.label.to_lowercase())).within(path)
}
