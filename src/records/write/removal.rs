//! Delete, restore, purge: what goes with a record, and what stays behind.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::bulk::MOST_ITEMS;
use super::state::{Loaded, load};
use super::{Draft, Outcome, Rejected, Unit, Written};
use crate::catalog::{Object, Target, Variant, Via};
use crate::error::{UserError, UserErrorCode};
use crate::infra::text::pascal_case;
use crate::platform::changelog::ChangeKind;
use crate::records::access::Verb;

impl Unit<'_> {
    pub async fn delete(&mut self, object: &Object, variant: Option<&'static Variant>, id: Uuid) -> Outcome {
        let loaded = self.get_for_update(object, variant, id, false, Some(Verb::Delete)).await?;
        self.elevate().await?;
        self.delete_loaded(object, loaded).await?;
        Ok(Written { id })
    }

    async fn delete_loaded(&mut self, object: &Object, loaded: Loaded) -> Result<(), Rejected> {
        let id = loaded.id;
        self.ask_rules(object, &loaded).await?;
        self.owned(object, id, ChangeKind::Deleted).await?;
        let draft = self.draft_of(object, loaded, Vec::new());
        self.mark_deleted(&draft, true).await?;
        self.drop_keys_and_search(id).await?;
        self.log(&draft, ChangeKind::Deleted, draft.version + 1, Map::new(), Map::new());
        self.cascade(object, id, ChangeKind::Deleted, None).await
    }

    /// Brings a deleted record back, with its links and keys.
    pub async fn restore(&mut self, object: &Object, variant: Option<&'static Variant>, id: Uuid) -> Outcome {
        let loaded = self.get_for_update(object, variant, id, true, Some(Verb::Delete)).await?;
        self.elevate().await?;
        if self.is_merged(id).await? {
            let message = format!("It became part of another record; `unmerge{}` undoes that.", pascal_case(&object.one));
            return Err(UserError::new(UserErrorCode::RuleRefused, &["id"], message).into());
        }
        if loaded.deleted {
            self.restore_loaded(object, loaded).await?;
        }
        Ok(Written { id })
    }

    async fn restore_loaded(&mut self, object: &Object, loaded: Loaded) -> Result<(), Rejected> {
        let id = loaded.id;
        let since = self.deleted_since(object, id).await?;
        let mut draft = self.draft_of(object, loaded, Vec::new());
        self.check_restore(&mut draft).await?;
        self.owned(object, id, ChangeKind::Restored).await?;
        self.mark_deleted(&draft, false).await?;
        self.claim(&draft, &draft.keys(&draft.now)).await?;
        self.write_search(&draft).await?;
        self.log(&draft, ChangeKind::Restored, draft.version + 1, Map::new(), Map::new());
        self.cascade(object, id, ChangeKind::Restored, since).await
    }

    /// Removes a record for good. What points at it is unlinked; where that cannot be, it is refused.
    pub async fn purge(&mut self, object: &Object, variant: Option<&'static Variant>, id: Uuid) -> Outcome {
        let loaded = self.get_for_update(object, variant, id, true, Some(Verb::Delete)).await?;
        self.elevate().await?;
        if self.is_merged(id).await? {
            let message = "It became part of another record: remove that one for good, and this goes with it.";
            return Err(UserError::new(UserErrorCode::RuleRefused, &["id"], message).into());
        }
        self.purge_loaded(object, loaded).await?;
        Ok(Written { id })
    }

    async fn purge_loaded(&mut self, object: &Object, loaded: Loaded) -> Result<(), Rejected> {
        let id = loaded.id;
        // What had become part of it goes with it.
        for part in self.parts_of(id).await? {
            if let Some(part) = load(self.tx, self.ctx, object, &[part], true).await?.into_iter().next() {
                Box::pin(self.purge_loaded(object, part)).await?;
            }
        }
        self.ask_rules(object, &loaded).await?;
        self.owned(object, id, ChangeKind::Purged).await?;
        self.cascade(object, id, ChangeKind::Purged, None).await?;
        self.unlink(object, id).await?;
        let draft = self.draft_of(object, loaded, Vec::new());
        self.erase(&object.table, id).await?;
        self.log(&draft, ChangeKind::Purged, draft.version + 1, draft.before.clone(), Map::new());
        Ok(())
    }

    /// What goes with another record, by a relation that the workspace defined so.
    pub(super) async fn take_along(&mut self, object: &Object, id: Uuid, kind: ChangeKind) -> Result<(), Rejected> {
        // Two ways may lead to it.
        let Some(loaded) = load(self.tx, self.ctx, object, &[id], true).await?.into_iter().next() else { return Ok(()) };
        match kind {
            ChangeKind::Deleted if !loaded.deleted => self.delete_loaded(object, loaded).await,
            ChangeKind::Restored if loaded.deleted && !self.is_merged(id).await? => self.restore_loaded(object, loaded).await,
            ChangeKind::Purged => self.purge_loaded(object, loaded).await,
            _ => Ok(()),
        }
    }

    async fn is_merged(&self, id: Uuid) -> Result<bool, Rejected> {
        let sql = "SELECT id FROM record WHERE workspace_id = $1 AND id = $2 AND merged_into IS NOT NULL";
        Ok(self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), id.into()]).await?.is_some())
    }

    /// The records that became part of one.
    async fn parts_of(&self, id: Uuid) -> Result<Vec<Uuid>, Rejected> {
        let sql = "SELECT id FROM record WHERE workspace_id = $1 AND merged_into = $2";
        let rows = self.tx.fetch_all(sql, vec![self.ctx.workspace.into(), id.into()]).await?;
        Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    async fn ask_rules(&mut self, object: &Object, loaded: &Loaded) -> Result<(), Rejected> {
        let Some(rules) = self.rules_of(object) else { return Ok(()) };
        let errors = rules.before_delete(self, loaded).await?;
        if errors.is_empty() { Ok(()) } else { Err(Rejected::User { errors, conflict: None }) }
    }

    async fn deleted_since(&self, object: &Object, id: Uuid) -> Result<Option<i64>, Rejected> {
        let sql = format!("SELECT deleted_at FROM {} WHERE workspace_id = $1 AND id = $2", object.table);
        let row = self.tx.fetch_optional(&sql, vec![self.ctx.workspace.into(), id.into()]).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.flatten())
    }

    /// A record comes back only to a place that is still there.
    async fn check_restore(&mut self, draft: &mut Draft) -> Result<(), Rejected> {
        let object = draft.object.clone();
        for relation in object.relations.values().filter(|relation| relation.required) {
            let Target::Object(target) = &relation.target else { continue };
            let there = match draft.reference(&relation.name) {
                Some(id) => self.look_up(target, id).await?.is_some(),
                None => false,
            };
            if !there {
                let message = format!("Its {} is gone; restore that first.", relation.label.to_lowercase());
                draft.refuse(UserErrorCode::RuleRefused, &["id"], message);
            }
        }
        if let Some(rules) = self.rules_of(&object) {
            rules.before_restore(self, draft).await?;
        }
        match std::mem::take(&mut draft.errors) {
            errors if errors.is_empty() => Ok(()),
            errors => Err(Rejected::User { errors, conflict: None }),
        }
    }

    /// Records that belong to this one alone go where it goes: a pipeline's stages.
    async fn owned(&mut self, object: &Object, id: Uuid, kind: ChangeKind) -> Result<(), Rejected> {
        for relation in object.relations.values().filter(|relation| relation.owned) {
            let (Via::Children(column), Target::Object(target)) = (&relation.via, &relation.target) else { continue };
            let target = self.catalog.object(target).clone();
            // What was deleted together, at the same instant, comes back together.
            let which = match kind {
                ChangeKind::Deleted => " AND deleted_at IS NULL".to_owned(),
                ChangeKind::Restored => {
                    format!(" AND deleted_at = (SELECT deleted_at FROM {} WHERE workspace_id = $1 AND id = $2)", object.table)
                }
                _ => String::new(),
            };
            let sql = format!("SELECT id FROM {} WHERE workspace_id = $1 AND {column} = $2{which}", target.table);
            for row in self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), id.into()]).await? {
                let Some(child) = row.uuid(0)? else { continue };
                let loaded = self.get_for_update(&target, None, child, true, None).await?;
                let draft = self.draft_of(&target, loaded, Vec::new());
                match kind {
                    ChangeKind::Purged => {
                        Box::pin(self.unlink(&target, child)).await?;
                        self.erase(&target.table, child).await?;
                    }
                    ChangeKind::Restored => {
                        self.mark_deleted(&draft, false).await?;
                        self.claim(&draft, &draft.keys(&draft.now)).await?;
                        self.write_search(&draft).await?;
                    }
                    _ => {
                        self.mark_deleted(&draft, true).await?;
                        self.drop_keys_and_search(child).await?;
                    }
                }
                self.log(&draft, kind, draft.version + 1, Map::new(), Map::new());
            }
        }
        Ok(())
    }

    /// Clears every to-one relation that leads to a record.
    async fn unlink(&mut self, object: &Object, id: Uuid) -> Result<(), Rejected> {
        let catalog = self.catalog;
        for other in catalog.objects() {
            for relation in other.relations.values() {
                let (Via::Column(column), Target::Object(target)) = (&relation.via, &relation.target) else { continue };
                if *target != object.name {
                    continue;
                }
                let sql = format!(
                    "SELECT id FROM {} WHERE workspace_id = $1 AND {column} = $2 AND id <> $2 LIMIT {}",
                    other.table,
                    MOST_ITEMS + 1
                );
                let rows = self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), id.into()]).await?;
                if relation.required && !rows.is_empty() {
                    let message = format!("{} {} still belong to it.", rows.len(), other.plural_label.to_lowercase());
                    return Err(UserError::new(UserErrorCode::RuleRefused, &["id"], message).into());
                }
                if rows.len() > MOST_ITEMS {
                    let message = format!(
                        "More than {MOST_ITEMS} {} point at it; unlink them first, with `update{}`.",
                        other.plural_label.to_lowercase(),
                        pascal_case(&other.plural)
                    );
                    return Err(UserError::new(UserErrorCode::Limit, &["id"], message).into());
                }
                for row in rows {
                    let Some(pointing) = row.uuid(0)? else { continue };
                    let loaded = self.get_for_update(other, None, pointing, true, None).await?;
                    let mut draft = self.draft_of(other, loaded, Vec::new());
                    draft.set(&relation.name, Json::Null);
                    self.write_change(&draft).await?;
                }
            }
        }
        Ok(())
    }
}
