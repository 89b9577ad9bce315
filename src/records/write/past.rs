//! What was linked until now, kept for those who ask how things stood.
//!
//! The change log says what was cut, but only of the record that it was cut from, and no index leads from the
//! other end there. So a link that goes or changes leaves a row of `past_link`, and a reference that leads
//! elsewhere too: with it `companies(asOf:) { deals }` finds the deals that a company had.

use sea_orm::Value;
use uuid::Uuid;

use super::{Draft, Unit};
use crate::catalog::{Object, Relation, Via};
use crate::error::Result;
use crate::records::sql::Sql;

/// The kind under which the references of a relation are kept.
pub fn kind_of_reference(object: &Object, relation: &Relation) -> String {
    format!("{}.{}", object.name, relation.name)
}

impl Unit<'_> {
    /// Keeps links as they are, before they are cut or changed. `$1` is the workspace, and the condition's other
    /// parameters follow.
    pub(super) async fn keep_links(&self, condition: &str, parameters: &[Value]) -> Result<()> {
        let mut values: Vec<Value> = vec![self.ctx.workspace.into()];
        values.extend_from_slice(parameters);
        values.push(self.now.0.into());
        let now = format!("${}", values.len());
        let now = if self.tx.backend() == crate::infra::db::Backend::Postgres { format!("{now}::bigint") } else { now };
        let sql = format!(
            "INSERT INTO past_link (workspace_id, kind, link_id, from_id, to_id, role, title, is_primary, since, ended_at) \
             SELECT workspace_id, kind, id, from_id, to_id, role, title, is_primary, coalesce(since, created_at), {now} FROM record_link \
             WHERE workspace_id = $1 AND {condition} AND coalesce(since, created_at) < {now} ON CONFLICT DO NOTHING"
        );
        self.tx.run(&sql, values).await?;
        Ok(())
    }

    /// Keeps where the changed references of a record led.
    pub(super) async fn keep_references(&self, draft: &Draft) -> Result<()> {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let mut rows = Vec::new();
        for relation in draft.object.relations.values().filter(|relation| matches!(relation.via, Via::Column(_))) {
            let was: Option<Uuid> = draft.before.get(&relation.name).and_then(|id| id.as_str()).and_then(|id| id.parse().ok());
            let Some(was) = was.filter(|_| draft.changed(&relation.name)) else { continue };
            let (id, now) = (sql.bind_once(draft.id), sql.bind(self.now.0));
            let (kind, was) = (sql.bind(kind_of_reference(&draft.object, relation)), sql.bind(was));
            rows.push(format!("($1, {kind}, {id}, {id}, {was}, FALSE, 0, {now})"));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let text = format!(
            "INSERT INTO past_link (workspace_id, kind, link_id, from_id, to_id, is_primary, since, ended_at) VALUES {} ON CONFLICT DO NOTHING",
            rows.join(", ")
        );
        self.tx.run(&text, sql.values).await?;
        Ok(())
    }
}
