//! New records of a bulk call, written together.
//!
//! A thousand statements are a thousand round trips. So what a bulk call creates, and what needs nothing after its
//! rows are there, waits and is inserted with its kind: one statement for a hundred records on PostgreSQL, one a table on
//! SQLite. Whatever would look at a record that waits has the waiting ones written first. Only calls that write all or
//! nothing do so: what fails is found when it is too late to leave one record out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use uuid::Uuid;

use super::references::not_found;
use super::rows::Part;
use super::{Draft, Rejected, Unit};
use crate::error::{Error, Result, UserError};
use crate::infra::db::Backend;
use crate::platform::changelog::ChangeKind;
use crate::records::access::{self, Verb};
use crate::records::keys::Key;
use crate::records::sql::Sql;

/// How many records are written at once.
const MOST_WAITING: usize = 100;

/// Records that wait to be written.
#[derive(Default)]
pub(super) struct Batch {
    waiting: Vec<Draft>,
    ids: HashSet<Uuid>,
    /// What was wrong with records that were taken for fine.
    failed: HashMap<Uuid, Vec<UserError>>,
}

impl Unit<'_> {
    /// From now on new records wait for each other.
    pub(super) fn begin_batch(&mut self) {
        self.batch = Some(Batch::default());
    }

    /// Writes what waits; tells which records failed after all.
    pub(super) async fn end_batch(&mut self) -> Result<HashMap<Uuid, Vec<UserError>>> {
        self.flush().await?;
        Ok(self.batch.take().map(|batch| batch.failed).unwrap_or_default())
    }

    /// Whether a draft that was judged can wait: nothing hangs on its rows.
    pub(super) fn may_wait(&self, draft: &Draft) -> bool {
        let after = self.rules_of(&draft.object).is_some_and(|rules| rules.looks_around());
        self.batch.is_some() && draft.is_new && draft.links.is_empty() && draft.children.is_empty() && !after
    }

    pub(super) async fn wait(&mut self, draft: Draft) -> Result<()> {
        let (before, after) = draft.difference();
        self.log(&draft, ChangeKind::Created, 1, before, after);
        let points_there = |batch: &Batch| draft.unchecked.iter().any(|reference| batch.ids.contains(&reference.id));
        let mixed = |batch: &Batch| batch.waiting.first().is_some_and(|first| first.object.name != draft.object.name);
        if self.batch.as_ref().is_some_and(|batch| points_there(batch) || mixed(batch) || batch.waiting.len() >= MOST_WAITING) {
            self.flush().await?;
        }
        if let Some(batch) = &mut self.batch {
            batch.ids.insert(draft.id);
            batch.waiting.push(draft);
        }
        Ok(())
    }

    /// Writes what waits if a record is among it.
    pub(super) async fn flush_for(&mut self, id: Uuid) -> Result<()> {
        if self.batch.as_ref().is_some_and(|batch| batch.ids.contains(&id)) {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let Some(batch) = &mut self.batch else { return Ok(()) };
        let mut drafts = std::mem::take(&mut batch.waiting);
        batch.ids.clear();
        if drafts.is_empty() {
            return Ok(());
        }
        self.verify_all(&mut drafts).await?;
        let (bad, mut good): (Vec<Draft>, Vec<Draft>) = drafts.into_iter().partition(|draft| !draft.errors.is_empty());
        if !good.is_empty() {
            self.insert_all(&mut good).await?;
        }
        if let Some(batch) = &mut self.batch {
            let failed = bad.into_iter().chain(good).filter(|draft| !draft.errors.is_empty());
            batch.failed.extend(failed.map(|draft| (draft.id, draft.errors)));
        }
        Ok(())
    }

    /// Refuses references that lead nowhere, one statement for each object that is pointed at.
    async fn verify_all(&mut self, drafts: &mut [Draft]) -> Result<()> {
        let mut wanted: BTreeMap<String, HashSet<Uuid>> = BTreeMap::new();
        for reference in drafts.iter().flat_map(|draft| &draft.unchecked) {
            wanted.entry(reference.target.clone()).or_default().insert(reference.id);
        }
        let mut found: HashSet<(String, Uuid)> = HashSet::new();
        for (target, ids) in wanted {
            let object = self.catalog.object(&target).clone();
            let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
            let ids = sql.bind_all(ids.into_iter().map(Into::into).collect());
            let reached = access::reached(&mut sql, self.ctx, self.catalog, &object, "t", Verb::Read);
            let reached = reached.map(|reached| format!(" AND {reached}")).unwrap_or_default();
            let text = format!(
                "SELECT t.id FROM {} t WHERE t.workspace_id = $1 AND t.id IN ({ids}) AND t.deleted_at IS NULL{reached}",
                object.rows()
            );
            for row in self.tx.fetch_all(&text, sql.values).await? {
                found.extend(row.uuid(0)?.map(|id| (target.clone(), id)));
            }
        }
        for draft in drafts {
            for reference in std::mem::take(&mut draft.unchecked) {
                if !found.contains(&(reference.target.clone(), reference.id)) {
                    draft.errors.push(not_found(self.catalog.object(&reference.target), &reference.path));
                }
            }
        }
        Ok(())
    }

    async fn insert_all(&mut self, drafts: &mut [Draft]) -> Result<()> {
        let keys: Vec<Vec<Key>> = drafts.iter().map(|draft| draft.keys(&draft.now)).collect();
        let claimed = self.insert_parts(drafts, &keys).await?;
        if claimed == keys.iter().map(Vec::len).sum::<usize>() {
            return Ok(());
        }
        for (draft, keys) in drafts.iter_mut().zip(&keys) {
            match self.taken(draft, keys).await? {
                Rejected::User { errors, .. } => draft.errors.extend(errors),
                Rejected::Failed(error) => return Err(error),
            }
        }
        if drafts.iter().all(|draft| draft.errors.is_empty()) {
            return Err(Error::fault("a key came and went"));
        }
        Ok(())
    }

    /// Inserts the rows of all; tells how many keys were claimed.
    async fn insert_parts(&mut self, drafts: &[Draft], keys: &[Vec<Key>]) -> Result<usize> {
        let all_keys = keys.iter().any(|keys| !keys.is_empty());
        let indexed = drafts.iter().any(|draft| !draft.index_rows().is_empty());
        let parts = [
            Some(Part::Spine),
            Some(Part::Record),
            Some(Part::Search),
            indexed.then_some(Part::Index),
            all_keys.then_some(Part::Keys(&[])),
        ];
        let (mut text, mut claimed) = (String::from("WITH "), 0);
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        for (index, part) in parts.into_iter().flatten().enumerate() {
            let mut rows = Vec::new();
            for (draft, keys) in drafts.iter().zip(keys) {
                let part = if matches!(part, Part::Keys(_)) { Part::Keys(keys) } else { part };
                rows.extend(self.rows_of(draft, &part, &mut sql));
            }
            let statement = self.insert_of(&drafts[0].object, &part, &rows.join(", "));
            if self.tx.backend() == Backend::Postgres {
                let _ = write!(text, "{}w{index} AS ({statement} RETURNING 1)", if index == 0 { "" } else { ", " });
                claimed = index;
            } else {
                let values = std::mem::replace(&mut sql, Sql::new(Backend::Sqlite, self.ctx.workspace)).values;
                claimed = usize::try_from(self.tx.run(&statement, values).await?).unwrap_or(0);
            }
        }
        if self.tx.backend() == Backend::Postgres {
            let _ = write!(text, " SELECT count(*) FROM w{claimed}");
            let row = self.tx.fetch_optional(&text, sql.values).await?.ok_or(sqlx::Error::RowNotFound)?;
            claimed = usize::try_from(row.int(0)?.unwrap_or(0)).unwrap_or(0);
        }
        Ok(if all_keys { claimed } else { 0 })
    }
}
