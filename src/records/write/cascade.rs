//! What a workspace said of its own relations, kept when records are linked, deleted and restored.

use sea_orm::Value;
use serde_json::json;
use uuid::Uuid;

use super::bulk::MOST_ITEMS;
use super::links::Connect;
use super::{Draft, Rejected, Unit};
use crate::catalog::{Object, OnDelete, OwnRelation, Via};
use crate::error::{UserError, UserErrorCode};
use crate::infra::db::Backend;
use crate::platform::changelog::{Change, ChangeKind};
use crate::records::access::Verb;

impl Unit<'_> {
    /// Makes room for a link: where an end has one at most, another one gives way.
    pub(super) async fn make_room(&mut self, draft: &Draft, link: &Connect, own: &OwnRelation, other: Uuid) -> Result<(), Rejected> {
        let (mine, theirs) = if link.from { ("from_id", "to_id") } else { ("to_id", "from_id") };
        let (one_here, one_there) = if link.from { own.one } else { (own.one.1, own.one.0) };
        if one_here {
            let sql = format!("SELECT {theirs} FROM record_link WHERE workspace_id = $1 AND kind = $2 AND {mine} = $3 AND {theirs} <> $4");
            let values = vec![self.ctx.workspace.into(), link.kind.to_string().into(), draft.id.into(), other.into()];
            for row in self.tx.fetch_all(&sql, values).await? {
                let Some(displaced) = row.uuid(0)? else { continue };
                self.check_other_end(draft, &link.kind, link.from, displaced).await?;
                self.disconnect(draft, &link.kind, link.from, &link.relation, displaced).await?;
            }
        }
        if one_there {
            // The other record leads to this one from now on: that is a change of it.
            if let Some(target) = link.target.as_ref().filter(|_| link.reference.get("create").is_none()) {
                self.require(target, other, Verb::Update).await.map_err(|rejected| rejected.within(&link.path))?;
            }
            let moved = format!("FROM record_link WHERE workspace_id = $1 AND kind = $2 AND {theirs} = $3 AND {mine} <> $4");
            let values: Vec<Value> = vec![self.ctx.workspace.into(), link.kind.to_string().into(), other.into(), draft.id.into()];
            for row in self.tx.fetch_all(&format!("SELECT {mine} {moved}"), values.clone()).await? {
                let Some(left) = row.uuid(0)? else { continue };
                if own.one == (true, true) {
                    self.may_let_go(draft, link, left).await?;
                }
                let before = json!({ &link.relation: { "id": other } });
                let object = draft.object.name.clone();
                let version = self.look_up(&object, left).await?.map_or(1, |left| left.version);
                self.remember(Change { object, record: left, kind: ChangeKind::Unlinked, version, before, after: json!({}) });
            }
            self.keep_links(&format!("kind = $2 AND {theirs} = $3 AND {mine} <> $4"), &values[1..]).await?;
            self.tx.run(&format!("DELETE {moved}"), values).await?;
        }
        Ok(())
    }

    /// Refuses to take a link from a record that the caller does not change; what went wrong otherwise is no refusal.
    async fn may_let_go(&mut self, draft: &Draft, link: &Connect, left: Uuid) -> Result<(), Rejected> {
        match self.require(&draft.object.name, left, Verb::Update).await {
            Err(Rejected::User { .. }) => {
                let message = "It is linked to another record, which is not yours to change.";
                Err(UserError::new(UserErrorCode::Taken, &[], message).within(&link.path).into())
            }
            done => done,
        }
    }

    /// Refuses a link beyond the most that either end has.
    pub(super) async fn check_most(&mut self, link: &Connect, own: &OwnRelation, from: Uuid, to: Uuid) -> Result<(), Rejected> {
        for (most, column, id) in [(own.most.0, "from_id", from), (own.most.1, "to_id", to)] {
            let Some(most) = most else { continue };
            if self.tx.backend() == Backend::Postgres {
                // Whoever links the same record at the same time waits here.
                let sql = "SELECT id FROM record WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE";
                self.tx.fetch_all(sql, vec![self.ctx.workspace.into(), id.into()]).await?;
            }
            let sql = format!("SELECT count(*) FROM record_link WHERE workspace_id = $1 AND kind = $2 AND {column} = $3");
            let row = self.tx.fetch_optional(&sql, vec![self.ctx.workspace.into(), link.kind.to_string().into(), id.into()]).await?;
            let count = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or_default();
            if count > i64::from(most) {
                let message = format!("At most {most} can be linked here.");
                return Err(UserError::new(UserErrorCode::Limit, &[], message).within(&link.path).into());
            }
        }
        Ok(())
    }

    /// What is deleted, restored or purged with a record by the relations that the workspace defined. `since`
    /// is when the record was deleted, of one that is restored.
    pub(super) async fn cascade(&mut self, object: &Object, id: Uuid, kind: ChangeKind, since: Option<i64>) -> Result<(), Rejected> {
        let relations: Vec<_> = object.relations.values().cloned().collect();
        for relation in relations {
            let (Some(own), Via::Link { kind: link, from: true }, Some(target)) = (&relation.own, &relation.via, relation.leads_to())
            else {
                continue;
            };
            if own.on_delete == OnDelete::Unlink || own.on_delete == OnDelete::Restrict && kind == ChangeKind::Restored {
                continue;
            }
            let target = self.catalog.object(target).clone();
            let mut values: Vec<Value> = vec![self.ctx.workspace.into(), id.into(), link.to_string().into()];
            let which = match (kind, since) {
                (ChangeKind::Restored, Some(since)) => {
                    values.push(since.into());
                    "t.deleted_at = $4"
                }
                (ChangeKind::Purged, _) if own.on_delete == OnDelete::Cascade => "TRUE",
                _ => "t.deleted_at IS NULL",
            };
            let sql = format!(
                "SELECT t.id FROM record_link l JOIN {} t ON t.workspace_id = $1 AND t.id = l.to_id \
                 WHERE l.workspace_id = $1 AND l.kind = $3 AND l.from_id = $2 AND t.id <> $2 AND {which} LIMIT {}",
                target.rows(),
                MOST_ITEMS + 1
            );
            let rows = self.tx.fetch_all(&sql, values).await?;
            if own.on_delete == OnDelete::Restrict && !rows.is_empty() {
                let message = format!("{} {} still belong to it.", rows.len(), target.plural_label.to_lowercase());
                return Err(UserError::new(UserErrorCode::RuleRefused, &["id"], message).into());
            }
            if rows.len() > MOST_ITEMS {
                let message = format!("More than {MOST_ITEMS} {} would go with it; remove some first.", target.plural_label.to_lowercase());
                return Err(UserError::new(UserErrorCode::Limit, &["id"], message).into());
            }
            for row in rows {
                let Some(child) = row.uuid(0)? else { continue };
                Box::pin(self.take_along(&target, child, kind)).await?;
            }
        }
        Ok(())
    }
}
