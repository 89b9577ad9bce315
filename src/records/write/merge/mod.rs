//! Several records become one, and become several again.
//!
//! The survivor keeps its id. First everything that leads to the others is made to lead to it (references, links,
//! shares), then the others are deleted and remember what they became part of, then the survivor gets the values that
//! were chosen ([`choose`]) through the object's rules. In that order the log can be walked backwards: [`undo`]
//! gives the survivor its own values back, brings the others back, and then has everything lead to them again,
//! unless something later stands on it.
//!
//! A merge has a row in `merge_ledger`, which says which changes of its change set are its own.

mod choose;
mod links;
mod undo;

use std::collections::HashMap;

use sea_orm::Value;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::state::Loaded;
use super::verbs::By;
use super::{Rejected, Unit};
use crate::catalog::{MergeStrategy, Object, Via};
use crate::error::{Result, UserError, UserErrorCode};
use crate::platform::changelog::ChangeKind;
use crate::records::access::Verb;
use crate::records::merged::survivors;
use crate::records::sql::Sql;

pub use choose::{Choice, How};
pub use links::Folded;
pub use undo::{Conflict, MergeOfSet, Undone};

/// The most records that become part of another one at once.
const MOST_LOSERS: usize = 20;
/// The most changes that a merge makes: as many as a change set can be undone with.
const MOST_CHANGES: usize = crate::records::change_sets::MOST_OPERATIONS;

/// What shall become one, and how.
pub struct Wanted<'a> {
    pub into: Uuid,
    pub from: &'a [Uuid],
    pub strategy: MergeStrategy,
    pub choices: Vec<Choice>,
    /// Values that the survivor gets besides.
    pub input: &'a Map<String, Json>,
}

/// What became one.
#[derive(Debug)]
pub struct Merged {
    pub id: Uuid,
    pub survivor: Uuid,
    pub losers: Vec<Uuid>,
    /// Links of which the survivor had the like.
    pub folded: Vec<Folded>,
}

impl Unit<'_> {
    pub async fn merge(&mut self, object: &Object, wanted: Wanted<'_>) -> Result<Merged, Rejected> {
        let first = self.mark();
        let (survivor, losers) = self.mergeable_records(object, &wanted).await?;
        self.elevate().await?;
        let ids: Vec<Uuid> = losers.iter().map(|loser| loser.id).collect();
        let written = self.written(&wanted, object, survivor.id, &ids).await?;
        self.lead_here(object, survivor.id, &ids).await?;
        let folded = self.move_links(object, survivor.id, &ids).await?;
        let shares = self.move_shares(survivor.id, &ids).await?;
        for loser in &losers {
            self.mark_merged(object, loser, survivor.id).await?;
        }
        self.flush().await?;
        let mut draft = self.draft_of(object, survivor.clone(), Vec::new());
        choose::values(self.ctx, &mut draft, &losers, &wanted, &written)?;
        if !wanted.input.is_empty() {
            draft.path = vec!["input".into()];
            self.apply(&mut draft, wanted.input, By::Caller).await?;
        }
        self.save(draft).await?;
        let changes = self.mark() - first;
        if changes > MOST_CHANGES {
            let message = format!("More than {MOST_CHANGES} changes would be needed; unlink or move some of what belongs to them first.");
            return Err(UserError::new(UserErrorCode::Limit, &["from"], message).into());
        }
        let merged = Merged { id: self.ctx.clock.new_id(), survivor: survivor.id, losers: ids, folded };
        self.keep_in_ledger(object, &merged, &shares, (self.before + first, changes)).await?;
        Ok(merged)
    }

    /// The records, if the caller may do this with them.
    async fn mergeable_records(&mut self, object: &Object, wanted: &Wanted<'_>) -> Result<(Loaded, Vec<Loaded>), Rejected> {
        let refuse = |path: &[&str], message: &str| Err(UserError::new(UserErrorCode::InvalidValue, path, message).into());
        if wanted.from.is_empty() || wanted.from.len() > MOST_LOSERS {
            return refuse(&["from"], &format!("Between one and {MOST_LOSERS} records become part of another one."));
        }
        let survivor = self.get_for_update(object, None, wanted.into, false, Some(Verb::Update)).await.map_err(|e| at(e, "into"))?;
        let mut losers: Vec<Loaded> = Vec::new();
        for (index, id) in wanted.from.iter().enumerate() {
            let place = index.to_string();
            let path = ["from", place.as_str()];
            if *id == wanted.into {
                return refuse(&path, "A record is not merged with itself.");
            }
            if losers.iter().any(|loser| loser.id == *id) {
                return refuse(&path, "The record is named twice.");
            }
            let here = |rejected: Rejected| at(at(rejected, &place), "from");
            if let Some(into) = self.merged_into(*id).await? {
                return refuse(&path, &format!("It is a part of {into} already."));
            }
            let loser = self.get_for_update(object, None, *id, false, Some(Verb::Update)).await.map_err(here)?;
            self.get_for_update(object, None, *id, false, Some(Verb::Delete)).await.map_err(here)?;
            losers.push(loser);
        }
        Ok((survivor, losers))
    }

    /// What a record that the caller sees became part of, directly or through others.
    async fn merged_into(&mut self, id: Uuid) -> Result<Option<Uuid>> {
        match survivors(self.tx, self.ctx, &[id]).await?.remove(&id) {
            Some(into) => {
                let object = self.object_of(into).await?;
                let seen = match object {
                    Some(object) => self.reaches(&object, into).await?,
                    None => false,
                };
                Ok(seen.then_some(into))
            }
            None => Ok(None),
        }
    }

    /// When each field of the records was written last, where that decides.
    async fn written(&self, wanted: &Wanted<'_>, object: &Object, into: Uuid, from: &[Uuid]) -> Result<HashMap<(Uuid, String), i64>> {
        let by_time = |strategy: MergeStrategy| matches!(strategy, MergeStrategy::Newest | MergeStrategy::Oldest);
        let chosen = wanted.choices.iter().any(|choice| matches!(choice.how, How::By(strategy) if by_time(strategy)));
        if !by_time(wanted.strategy) && !chosen && !object.all_fields().any(|field| by_time(field.merge())) {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let ids = sql.bind_all(from.iter().chain([&into]).map(|id| (*id).into()).collect());
        let text = if sql.is_postgres() { "::text" } else { "" };
        let select = format!(
            "SELECT record_id, seq, after{text} FROM change_log WHERE workspace_id = $1 AND record_id IN ({ids}) AND kind IN ('CREATED', 'UPDATED') ORDER BY seq"
        );
        let mut written = HashMap::new();
        for row in self.tx.fetch_all(&select, sql.values).await? {
            let after: Map<String, Json> = row.text(2)?.map(serde_json::from_str).transpose()?.unwrap_or_default();
            let (id, seq) = (row.uuid(0)?.unwrap_or_default(), row.int(1)?.unwrap_or_default());
            written.extend(after.into_iter().map(|(name, _)| ((id, name), seq)));
        }
        Ok(written)
    }

    /// Every reference to one of the records leads to the survivor.
    async fn lead_here(&mut self, object: &Object, into: Uuid, from: &[Uuid]) -> Result<(), Rejected> {
        let catalog = self.catalog;
        for other in catalog.objects() {
            for relation in other.relations.values() {
                let Via::Column(column) = &relation.via else { continue };
                if relation.leads_to().is_some_and(|target| target != object.name) {
                    continue;
                }
                let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
                let ids = sql.bind_all(from.iter().map(|id| (*id).into()).collect());
                let select = format!(
                    "SELECT id FROM {} r WHERE workspace_id = $1 AND {column} IN ({ids}) ORDER BY id LIMIT {}",
                    other.rows(),
                    MOST_CHANGES + 1
                );
                for row in self.tx.fetch_all(&select, sql.values).await? {
                    let Some(id) = row.uuid(0)? else { continue };
                    // What leads from one of them to another is the survivor's own affair.
                    if id == into || from.contains(&id) {
                        continue;
                    }
                    let loaded = self.get_for_update(other, None, id, true, None).await?;
                    let mut draft = self.draft_of(other, loaded, vec!["from".into()]);
                    draft.set(&relation.name, json!(into));
                    if let Some(rules) = self.rules_of(other).filter(|_| other.name == object.name) {
                        rules.before_save(self, &mut draft).await?;
                    }
                    if !draft.errors.is_empty() {
                        return Err(Rejected::User { errors: draft.errors, conflict: None });
                    }
                    self.write_change(&draft).await?;
                }
            }
        }
        Ok(())
    }

    /// Whoever one of the records was shared with has a share in the survivor.
    async fn move_shares(&mut self, into: Uuid, from: &[Uuid]) -> Result<Vec<Uuid>> {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let ids = sql.bind_all(from.iter().map(|id| (*id).into()).collect());
        let of_losers = format!("SELECT id FROM record_grant WHERE workspace_id = $1 AND record_id IN ({ids}) ORDER BY created_at, id");
        let mut made = Vec::new();
        for row in self.tx.fetch_all(&of_losers, sql.values).await? {
            let Some(grant) = row.uuid(0)? else { continue };
            let id = self.ctx.clock.new_id();
            let copy = "INSERT INTO record_grant (workspace_id, id, object, record_id, grantee_id, grantee_kind, may_edit, expires_at, reason, created_at, created_by) \
                        SELECT workspace_id, $2, object, $3, grantee_id, grantee_kind, may_edit, expires_at, reason, created_at, created_by \
                        FROM record_grant WHERE workspace_id = $1 AND id = $4 ON CONFLICT DO NOTHING";
            let values: Vec<Value> = vec![self.ctx.workspace.into(), id.into(), into.into(), grant.into()];
            if self.tx.run(copy, values).await? > 0 {
                made.push(id);
            }
        }
        Ok(made)
    }

    /// Deletes a record that became part of another one.
    async fn mark_merged(&mut self, object: &Object, loser: &Loaded, into: Uuid) -> Result<(), Rejected> {
        // A reference of its own may have been moved meanwhile.
        let loaded = self.get_for_update(object, None, loser.id, false, None).await?;
        let draft = self.draft_of(object, loaded, Vec::new());
        self.mark_deleted(&draft, true).await?;
        self.drop_keys_and_search(draft.id).await?;
        let spine = "UPDATE record SET merged_into = $3 WHERE workspace_id = $1 AND id = $2";
        self.tx.run(spine, vec![self.ctx.workspace.into(), draft.id.into(), into.into()]).await?;
        let after = Map::from_iter([("mergedInto".to_owned(), json!(into))]);
        self.log(&draft, ChangeKind::Deleted, draft.version + 1, Map::new(), after);
        Ok(())
    }

    async fn keep_in_ledger(&self, object: &Object, merged: &Merged, shares: &[Uuid], (first, changes): (usize, usize)) -> Result<()> {
        let sql = "INSERT INTO merge_ledger (workspace_id, id, object, survivor_id, loser_ids, shares, folded, merged_at, change_set_id, first_change, changes) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let folded: Vec<Json> = merged.folded.iter().map(Folded::to_json).collect();
        let values: Vec<Value> = vec![
            self.ctx.workspace.into(),
            merged.id.into(),
            object.name.clone().into(),
            merged.survivor.into(),
            json!(merged.losers).into(),
            json!(shares).into(),
            Json::from(folded).into(),
            self.now.0.into(),
            self.set.id.into(),
            number(first).into(),
            number(changes).into(),
        ];
        self.tx.run(sql, values).await?;
        Ok(())
    }
}

fn at(rejected: Rejected, step: &str) -> Rejected {
    match rejected {
        Rejected::User { errors, conflict } => {
            // What is said of an id is said of the argument.
            let named = |mut error: UserError| {
                error.path.retain(|part| part != "id");
                error.within(&[step.to_owned()])
            };
            Rejected::User { errors: errors.into_iter().map(named).collect(), conflict }
        }
        failed @ Rejected::Failed(_) => failed,
    }
}
