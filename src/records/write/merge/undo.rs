//! A merge undone: what it did, walked backwards, as far as nothing later stands on it.
//!
//! Values go back as they are stored, not as an input would give them: the survivor gets its own ones, the others come
//! back with theirs, and what led to them leads to them again. A value that was changed since stays with the survivor,
//! and so does a unique one that somebody else has by now; both are told as conflicts.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::links::Link;
use crate::catalog::{Object, Relation, Via};
use crate::error::{Result, UserError, UserErrorCode};
use crate::infra::db::{Backend, Row};
use crate::platform::changelog::{Change, ChangeKind};
use crate::records::access::Verb;
use crate::records::change_sets::{self, Operation};
use crate::records::merged::survivors;
use crate::records::write::draft::object_keys;
use crate::records::write::links::with_id;
use crate::records::write::state::{self, Loaded};
use crate::records::write::{Draft, Rejected, Unit};

/// What could not be given back.
#[derive(Clone, Debug)]
pub struct Conflict {
    pub object: String,
    pub record: Uuid,
    /// The fields that stay as they are, by the names of the log.
    pub fields: Vec<String>,
    pub message: String,
}

/// What became of a merge that was undone.
#[derive(Debug)]
pub struct Undone {
    pub survivor: Uuid,
    /// The records that are there again.
    pub restored: Vec<Uuid>,
    pub conflicts: Vec<Conflict>,
}

/// A merge as a part of a change set.
#[derive(Debug)]
pub struct MergeOfSet {
    pub id: Uuid,
    pub object: String,
    /// The numbers of its operations in the log.
    pub operations: Vec<i64>,
}

/// A row of the ledger.
struct Entry {
    survivor: Uuid,
    losers: Vec<Uuid>,
    shares: Vec<Uuid>,
    set: Uuid,
    first: usize,
    changes: usize,
}

impl Entry {
    /// What an operation on a link is about besides the records that were merged: the relation and the other record.
    fn partner(&self, operation: &Operation) -> (String, Uuid) {
        let side = operation.after.iter().next().or_else(|| operation.before.iter().next());
        let (name, other) =
            side.map_or((String::new(), None), |(name, link)| (name.clone(), link["id"].as_str().and_then(|id| id.parse().ok())));
        let merged = operation.record == self.survivor || self.losers.contains(&operation.record);
        (name, other.filter(|_| merged).unwrap_or(operation.record))
    }
}

impl Unit<'_> {
    pub async fn unmerge(&mut self, object: &Object, id: Uuid) -> Result<Undone, Rejected> {
        let entry = self.entry(object, id).await?;
        self.get_for_update(object, None, entry.survivor, false, Some(Verb::Update)).await.map_err(refused)?;
        for loser in &entry.losers {
            // Whoever may not delete it could not have merged it.
            self.get_for_update(object, None, *loser, true, Some(Verb::Delete)).await.map_err(refused)?;
        }
        self.elevate().await?;
        self.set.reverts = Some(entry.set);
        let mut operations = change_sets::operations(self.tx, self.ctx, entry.set).await?;
        operations.truncate(entry.first + entry.changes);
        let mut undone = Undone { survivor: entry.survivor, restored: Vec::new(), conflicts: Vec::new() };
        let mut cut = HashSet::new();
        for operation in operations.iter().skip(entry.first).rev() {
            let Some(of) = self.catalog.find(&operation.object).cloned() else { continue };
            match operation.kind.as_str() {
                "UPDATED" => self.give_back(&of, operation, &mut undone.conflicts).await?,
                "DELETED" => {
                    self.bring_back(&of, operation.record, &mut undone.conflicts).await?;
                    undone.restored.push(operation.record);
                }
                "LINKED" => {
                    if let Some(conflict) = self.unlink_again(&of, operation).await? {
                        cut.insert(entry.partner(operation));
                        undone.conflicts.push(conflict);
                    }
                }
                "UNLINKED" if !cut.contains(&entry.partner(operation)) => self.link_again(&of, operation).await?,
                _ => {}
            }
        }
        undone.restored.reverse();
        for share in entry.shares {
            let sql = "DELETE FROM record_grant WHERE workspace_id = $1 AND id = $2";
            self.tx.run(sql, vec![self.ctx.workspace.into(), share.into()]).await?;
        }
        let sql = "UPDATE merge_ledger SET undone_by = $3 WHERE workspace_id = $1 AND id = $2";
        self.tx.run(sql, vec![self.ctx.workspace.into(), id.into(), self.set.id.into()]).await?;
        Ok(undone)
    }

    /// A merge that can be undone.
    async fn entry(&mut self, object: &Object, id: Uuid) -> Result<Entry, Rejected> {
        let text = if self.tx.backend() == Backend::Postgres { "::text" } else { "" };
        let sql = format!(
            "SELECT survivor_id, loser_ids{text}, shares{text}, undone_by, change_set_id, first_change, changes FROM merge_ledger \
             WHERE workspace_id = $1 AND id = $2 AND object = $3"
        );
        let refuse = |code: UserErrorCode, message: &str| -> Rejected { UserError::new(code, &["mergeId"], message).into() };
        let row = self.tx.fetch_optional(&sql, vec![self.ctx.workspace.into(), id.into(), object.name.clone().into()]).await?;
        let row = row.ok_or_else(|| refuse(UserErrorCode::NotFound, "There is no such merge."))?;
        let ids = |index: usize| -> Result<Vec<Uuid>> { Ok(row.text(index)?.map(serde_json::from_str).transpose()?.unwrap_or_default()) };
        let number = |index: usize| -> Result<usize> { Ok(row.int(index)?.and_then(|n| usize::try_from(n).ok()).unwrap_or_default()) };
        let entry = Entry {
            survivor: row.uuid(0)?.unwrap_or_default(),
            losers: ids(1)?,
            shares: ids(2)?,
            set: row.uuid(4)?.unwrap_or_default(),
            first: number(5)?,
            changes: number(6)?,
        };
        if !self.reaches(object, entry.survivor).await? && self.merged_on(entry.survivor).await?.is_none() {
            return Err(refuse(UserErrorCode::NotFound, "There is no such merge."));
        }
        if row.uuid(3)?.is_some() {
            return Err(refuse(UserErrorCode::RuleRefused, "The merge was undone already."));
        }
        if let Some(into) = self.merged_on(entry.survivor).await? {
            return Err(refuse(UserErrorCode::RuleRefused, &format!("Its result became part of {into} since; undo that merge first.")));
        }
        for loser in &entry.losers {
            if state::load(self.tx, self.ctx, object, &[*loser], false).await?.is_empty() {
                return Err(refuse(UserErrorCode::RuleRefused, "One of the records was removed for good."));
            }
        }
        Ok(entry)
    }

    /// The merges of a change set that stand, latest first.
    pub async fn merges_of(&self, set: Uuid) -> Result<Vec<MergeOfSet>> {
        let sql = "SELECT id, object, first_change, changes FROM merge_ledger WHERE workspace_id = $1 AND change_set_id = $2 AND undone_by IS NULL \
                   ORDER BY first_change DESC";
        let rows = self.tx.fetch_all(sql, vec![self.ctx.workspace.into(), set.into()]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let all = change_sets::operations(self.tx, self.ctx, set).await?;
        let merge = |row: &Row| {
            let number = |index: usize| row.int(index).map(|n| n.and_then(|n| usize::try_from(n).ok()).unwrap_or_default());
            Ok(MergeOfSet {
                id: row.uuid(0)?.unwrap_or_default(),
                object: row.text(1)?.unwrap_or_default().to_owned(),
                operations: all.iter().skip(number(2)?).take(number(3)?).map(|operation| operation.seq).collect(),
            })
        };
        rows.iter().map(merge).collect()
    }

    async fn merged_on(&self, id: Uuid) -> Result<Option<Uuid>> {
        Ok(survivors(self.tx, self.ctx, &[id]).await?.remove(&id))
    }

    /// Gives fields the values that they had, unless they were changed since.
    async fn give_back(&mut self, object: &Object, operation: &Operation, conflicts: &mut Vec<Conflict>) -> Result<(), Rejected> {
        let Some(loaded) = state::load(self.tx, self.ctx, object, &[operation.record], true).await?.into_iter().next() else {
            return Ok(());
        };
        let mut draft = self.draft_of(object, loaded, Vec::new());
        let mut stay = Vec::new();
        for (name, after) in &operation.after {
            let before = operation.before.get(name).unwrap_or(&Json::Null);
            if member(&draft, name) != *after {
                stay.push(name.clone());
                continue;
            }
            put(&mut draft, name, before.clone());
        }
        let lost = self.without_taken(&mut draft).await?;
        stay.extend(lost);
        if draft.before != draft.now {
            self.write_change(&draft).await?;
        }
        if !stay.is_empty() {
            let message = "These fields were changed since, so they stay as they are.".to_owned();
            conflicts.push(Conflict { object: object.name.clone(), record: operation.record, fields: stay, message });
        }
        Ok(())
    }

    /// A record that had become part of the survivor is one of its own again.
    async fn bring_back(&mut self, object: &Object, id: Uuid, conflicts: &mut Vec<Conflict>) -> Result<(), Rejected> {
        let loaded: Loaded = self.get_for_update(object, None, id, true, None).await?;
        let mut draft = self.draft_of(object, loaded, Vec::new());
        let spine = "UPDATE record SET merged_into = NULL WHERE workspace_id = $1 AND id = $2";
        self.tx.run(spine, vec![self.ctx.workspace.into(), id.into()]).await?;
        self.mark_deleted(&draft, false).await?;
        self.log(&draft, ChangeKind::Restored, draft.version + 1, Map::new(), Map::new());
        draft.version += 1;
        let lost = self.without_taken(&mut draft).await?;
        if draft.before == draft.now {
            self.claim(&draft, &draft.keys(&draft.now)).await?;
            return self.write_search(&draft).await.map_err(Into::into);
        }
        // Its keys are claimed as those of a record that had none.
        let keys = draft.keys(&draft.now);
        self.write_change(&draft).await?;
        self.claim(&draft, &keys).await?;
        self.write_search(&draft).await?;
        let message = "Somebody else has these unique values by now, so it came back without them.".to_owned();
        conflicts.push(Conflict { object: object.name.clone(), record: id, fields: lost, message });
        Ok(())
    }

    /// Takes unique values away that another record has; the fields that lost some.
    async fn without_taken(&mut self, draft: &mut Draft) -> Result<Vec<String>> {
        let mut lost: Vec<String> = Vec::new();
        for key in object_keys(&draft.object, &draft.now) {
            let sql = "SELECT record_id FROM record_key WHERE workspace_id = $1 AND object = $2 AND key = $3 AND value = $4";
            let values =
                vec![self.ctx.workspace.into(), draft.object.name.clone().into(), key.name.clone().into(), key.value.clone().into()];
            let holder = self.tx.fetch_optional(sql, values).await?.map(|row| row.uuid(0)).transpose()?.flatten();
            if holder.is_none_or(|holder| holder == draft.id) {
                continue;
            }
            let name = key.access_name();
            let value = member(draft, &name);
            let object = draft.object.clone();
            let rest = match &value {
                // Of a list only the item goes.
                Json::Array(items) => items
                    .iter()
                    .filter(|item| {
                        let alone = with_member(&object, &name, json!([item]));
                        !object_keys(&object, &alone).contains(&key)
                    })
                    .cloned()
                    .collect(),
                _ => Json::Null,
            };
            put(draft, &name, rest);
            lost.push(name);
        }
        lost.dedup();
        Ok(lost)
    }

    /// Cuts a link that the survivor got, or says of one what it said before.
    async fn unlink_again(&mut self, object: &Object, operation: &Operation) -> Result<Option<Conflict>, Rejected> {
        let Some((relation, link)) = self.link_as_it_was(object, operation, &operation.after) else { return Ok(None) };
        let Some(now) = self.same_link(&link).await? else {
            // It was cut since: then neither of the records gets it back.
            let message = "The link was cut since, so it is not made again.".to_owned();
            let fields = vec![relation.access_name()];
            return Ok(Some(Conflict { object: object.name.clone(), record: operation.record, fields, message }));
        };
        let told = |link: &Link| json!({ relation.access_name(): with_id(link.said(), other_end(&relation, link)) });
        let Some(before) = operation.before.get(&relation.access_name()) else {
            self.keep_links("id = $2", &[now.id.into()]).await?;
            let sql = "DELETE FROM record_link WHERE workspace_id = $1 AND id = $2";
            self.tx.run(sql, vec![self.ctx.workspace.into(), now.id.into()]).await?;
            self.note(object, operation.record, ChangeKind::Unlinked, told(&now), json!({})).await?;
            return Ok(None);
        };
        if now.said() == link.said() {
            let then = said_as(&now, before);
            self.say(&then).await?;
            self.note(object, operation.record, ChangeKind::Linked, told(&now), told(&then)).await?;
        }
        Ok(None)
    }

    /// Makes a link of a record again that is one of its own again.
    async fn link_again(&mut self, object: &Object, operation: &Operation) -> Result<(), Rejected> {
        let Some((relation, link)) = self.link_as_it_was(object, operation, &operation.before) else { return Ok(()) };
        if self.same_link(&link).await?.is_some() {
            return Ok(());
        }
        let there = "SELECT count(*) FROM record WHERE workspace_id = $1 AND id IN ($2, $3)";
        let found = self.tx.fetch_optional(there, vec![self.ctx.workspace.into(), link.from.into(), link.to.into()]).await?;
        if found.map(|row| row.int(0)).transpose()?.flatten() != Some(2) {
            return Ok(());
        }
        let sql = "INSERT INTO record_link (workspace_id, id, kind, from_id, to_id, role, title, is_primary, created_at, one_from, one_to) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let values = vec![
            self.ctx.workspace.into(),
            link.id.into(),
            link.kind.clone().into(),
            link.from.into(),
            link.to.into(),
            link.role.clone().into(),
            link.title.clone().into(),
            link.primary.into(),
            self.now.0.into(),
            link.one_from.into(),
            link.one_to.into(),
        ];
        if self.tx.run(sql, values).await? > 0 {
            let told = json!({ relation.access_name(): with_id(link.said(), other_end(&relation, &link)) });
            self.note(object, operation.record, ChangeKind::Linked, json!({}), told).await?;
        }
        Ok(())
    }

    /// The link that an operation is about, as one side of it tells.
    fn link_as_it_was(&self, object: &Object, operation: &Operation, side: &Map<String, Json>) -> Option<(Relation, Link)> {
        let (name, said) = side.iter().next()?;
        let relation = object.relations.get(name)?.clone();
        let (Via::Link { kind, from }, Some(other)) = (&relation.via, said["id"].as_str().and_then(|id| id.parse::<Uuid>().ok())) else {
            return None;
        };
        let (from_id, to_id) = if *from { (operation.record, other) } else { (other, operation.record) };
        let one = relation.own.as_ref().map_or((false, false), |own| own.one);
        let bare = Link {
            id: self.ctx.clock.new_id(),
            kind: kind.to_string(),
            from: from_id,
            to: to_id,
            role: None,
            title: None,
            primary: false,
            one_from: one.0,
            one_to: one.1,
        };
        Some((relation, said_as(&bare, said)))
    }

    async fn same_link(&self, link: &Link) -> Result<Option<Link>> {
        let found = self.links_of(&[link.from]).await?;
        Ok(found.into_iter().find(|found| found.kind == link.kind && found.from == link.from && found.to == link.to))
    }

    async fn note(&mut self, object: &Object, record: Uuid, kind: ChangeKind, before: Json, after: Json) -> Result<()> {
        let version = self.look_up(&object.name, record).await?.map_or(1, |record| record.version);
        self.remember(Change { object: object.name.clone(), record, kind, version, before, after });
        Ok(())
    }
}

/// What is said of the records is said of the merge.
fn refused(rejected: Rejected) -> Rejected {
    match rejected {
        Rejected::User { mut errors, conflict } => {
            errors.iter_mut().for_each(|error| error.path = vec!["mergeId".into()]);
            Rejected::User { errors, conflict }
        }
        failed @ Rejected::Failed(_) => failed,
    }
}

fn other_end(relation: &Relation, link: &Link) -> Uuid {
    if matches!(relation.via, Via::Link { from: true, .. }) { link.to } else { link.from }
}

/// The link with what is said of it in the log.
fn said_as(link: &Link, said: &Json) -> Link {
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    Link { role: text("role"), title: text("title"), primary: said["primary"] == true, ..link.clone() }
}

/// A member of a draft, as the log names it.
fn member(draft: &Draft, name: &str) -> Json {
    let found = match draft.object.document_name(name) {
        Some(name) => draft.now.get("custom").and_then(|custom| custom.get(name)),
        None => draft.now.get(name),
    };
    found.cloned().unwrap_or(Json::Null)
}

fn put(draft: &mut Draft, name: &str, value: Json) {
    match draft.object.clone().document_name(name) {
        Some(name) => {
            let mut custom = draft.custom(&draft.now);
            if value.is_null() {
                drop(custom.remove(name));
            } else {
                drop(custom.insert(name.to_owned(), value));
            }
            draft.set("custom", custom);
        }
        None => draft.set(name, value),
    }
}

/// A state of nothing but one member.
fn with_member(object: &Object, name: &str, value: Json) -> Map<String, Json> {
    match object.document_name(name) {
        Some(name) => Map::from_iter([("custom".to_owned(), json!({ name: value }))]),
        None => Map::from_iter([(name.to_owned(), value)]),
    }
}
