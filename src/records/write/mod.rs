//! The write path: input, rules, statements, change log.
//!
//! A [`Unit`] is one transaction's worth of writes. Each verb reads the input into a [`Draft`]
//! (references resolved, nested records created), lets the object's [`Rules`] complete and judge
//! it, checks what is required and unique, writes the rows, and remembers what changed; `finish`
//! appends that to the change log as the last statement. Whatever a caller can expect to go wrong
//! comes back as [`UserError`]s; nothing is written then.

mod batch;
mod bulk;
mod cascade;
mod children;
pub(in crate::records) mod draft;
mod duplicates;
mod input;
mod links;
pub mod merge;
pub(in crate::records) mod past;
mod references;
mod removal;
mod rows;
pub mod state;
mod verbs;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use entity::Micros;
use sea_orm::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::catalog::{Catalog, Object};
use crate::error::{Error, Result, UserError};
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::platform::changelog::{self, Change, ChangeKind, ChangeSet};
use crate::records::access;

pub use bulk::{ErrorPolicy, says_nothing};
pub use draft::Draft;
pub use state::{Loaded, State};
pub use verbs::OnConflict;

/// What an object keeps true beyond its fields' own limits.
#[async_trait]
pub trait Rules: Send + Sync {
    /// Completes and judges a draft before it is written. What is wrong goes to [`Draft::refuse`].
    async fn before_save(&self, _unit: &mut Unit<'_>, _draft: &mut Draft) -> Result<()> {
        Ok(())
    }

    /// Does what must happen with the write, in its transaction.
    async fn after_save(&self, _unit: &mut Unit<'_>, _draft: &Draft) -> Result<()> {
        Ok(())
    }

    /// Whether the rules read or write rows of others otherwise than by [`Unit::look_up`], or do something after the save: then
    /// every record is written at once, also in a bulk call.
    fn looks_around(&self) -> bool {
        false
    }

    /// Judges a deleted record before it comes back: what it points at may have changed meanwhile.
    async fn before_restore(&self, _unit: &mut Unit<'_>, _draft: &mut Draft) -> Result<()> {
        Ok(())
    }

    /// Says why a record cannot be deleted, if it cannot.
    async fn before_delete(&self, _unit: &mut Unit<'_>, _record: &Loaded) -> Result<Vec<UserError>> {
        Ok(Vec::new())
    }
}

/// The rules of all objects, by name; given by the composition root.
pub type RuleBook = HashMap<&'static str, Arc<dyn Rules>>;

/// Why a write did not happen.
#[derive(Debug)]
pub enum Rejected {
    /// What the caller can mend.
    User {
        errors: Vec<UserError>,
        conflict: Option<Conflict>,
    },
    Failed(Error),
}

impl Rejected {
    /// What was wrong with a part of an input, as it is told of the whole.
    #[must_use]
    pub fn within(self, path: &[String]) -> Self {
        match self {
            Self::User { errors, conflict } => {
                Self::User { errors: errors.into_iter().map(|error| error.within(path)).collect(), conflict }
            }
            failed @ Self::Failed(_) => failed,
        }
    }
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Rejected {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<UserError> for Rejected {
    fn from(error: UserError) -> Self {
        Self::User { errors: vec![error], conflict: None }
    }
}

/// Somebody else was faster.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The fields that were changed since the caller's version.
    pub fields: Vec<String>,
    pub base_version: i64,
}

/// A write that was done.
#[derive(Clone, Debug)]
pub struct Written {
    pub id: Uuid,
}

pub type Outcome = std::result::Result<Written, Rejected>;

/// One transaction's worth of writes.
pub struct Unit<'a> {
    pub ctx: &'a Ctx,
    pub catalog: &'a Catalog,
    pub tx: &'a Tx,
    /// When all of it happens: what is deleted together comes back together.
    pub now: Micros,
    /// What the log calls all of it.
    pub set: ChangeSet,
    /// How many changes other units made in the same set.
    pub before: usize,
    /// Records that the caller knows not to be the same as new ones.
    pub acknowledged: HashSet<Uuid>,
    /// What may be wrong with records that were written.
    pub warnings: Vec<(Uuid, UserError)>,
    rules: &'a RuleBook,
    changes: Vec<Change>,
    /// Whether the database was told to let every row through.
    elevated: bool,
    /// New records of a bulk call, which are written together.
    batch: Option<batch::Batch>,
    /// Records that rules looked at, so that a bulk of a thousand looks once.
    seen: HashMap<(String, Uuid), Option<Arc<Loaded>>>,
    /// What [`Unit::look_up_by`] was answered, by object and question.
    asked: HashMap<(String, String), Option<Arc<Loaded>>>,
}

impl<'a> Unit<'a> {
    pub fn new(ctx: &'a Ctx, catalog: &'a Catalog, tx: &'a Tx, rules: &'a RuleBook) -> Self {
        let now = ctx.now();
        let set = ChangeSet { id: ctx.clock.new_id(), at: now, reverts: None };
        Self {
            ctx,
            catalog,
            tx,
            now,
            set,
            before: 0,
            acknowledged: HashSet::new(),
            warnings: Vec::new(),
            rules,
            changes: Vec::new(),
            elevated: false,
            batch: None,
            seen: HashMap::new(),
            asked: HashMap::new(),
        }
    }

    fn rules_of(&self, object: &Object) -> Option<Arc<dyn Rules>> {
        self.rules.get(object.name.as_str()).cloned()
    }

    /// What the caller asked for was found to be their right; what follows from it (rules, keys, a
    /// new owner) may touch rows that they do not see.
    async fn elevate(&mut self) -> Result<()> {
        if !self.elevated {
            self.tx.see_all(true).await?;
            self.elevated = true;
        }
        Ok(())
    }

    /// From now on the transaction sees what its caller sees: for what is read back.
    pub async fn lower(&mut self) -> Result<()> {
        if self.elevated {
            self.tx.see_all(false).await?;
            self.elevated = false;
        }
        Ok(())
    }

    /// How many changes there are so far: a mark to go back to.
    pub fn mark(&self) -> usize {
        self.changes.len()
    }

    /// Forgets the changes after a mark, because their statements were rolled back.
    pub fn forget_after(&mut self, mark: usize) {
        self.changes.truncate(mark);
        self.seen.clear();
        self.asked.clear();
    }

    /// A record as it stands in this transaction, read once; for rules that look at others.
    pub async fn look_up(&mut self, object: &str, id: Uuid) -> Result<Option<Arc<Loaded>>> {
        let key = (object.to_owned(), id);
        self.flush_for(id).await?;
        if let Some(known) = self.seen.get(&key) {
            return Ok(known.clone());
        }
        let found = state::load(self.tx, self.ctx, self.catalog.object(object), &[id], false).await?;
        let found = found.into_iter().next().filter(|record| !record.deleted).map(Arc::new);
        self.seen.insert(key, found.clone());
        Ok(found)
    }

    /// The record whose id a sub-select tells, as [`Unit::look_up`] does. Its first parameter is the workspace.
    pub async fn look_up_by(&mut self, object: &str, id: &str, parameters: Vec<Value>) -> Result<Option<Arc<Loaded>>> {
        let question = (object.to_owned(), format!("{id} {parameters:?}"));
        if let Some(known) = self.asked.get(&question) {
            return Ok(known.clone());
        }
        let found = state::load_where(self.tx, self.ctx, self.catalog.object(object), &format!("id = ({id})"), parameters, false).await?;
        let found = found.into_iter().next().filter(|record| !record.deleted).map(Arc::new);
        if let Some(found) = &found {
            self.seen.insert((object.to_owned(), found.id), Some(found.clone()));
        }
        self.asked.insert(question, found.clone());
        Ok(found)
    }

    fn remember(&mut self, change: Change) {
        self.seen.remove(&(change.object.clone(), change.record));
        // A question is SQL, which names the tables that it asks.
        self.asked.retain(|(object, question), _| *object != change.object && !question.contains(&change.object));
        self.changes.push(change);
    }

    /// What a narrowed credential writes lies within its row filters afterwards.
    async fn check_strays(&mut self) -> Result<()> {
        let Some(policy) = self.ctx.access.policy().filter(|policy| policy.has_row_filters()).cloned() else { return Ok(()) };
        // What a create-only key writes it does not see; the filter says itself what it looks at.
        self.elevate().await?;
        for name in policy.row_filters.keys().chain(policy.key_filters.keys()) {
            let mut ids: Vec<Uuid> = self.changes.iter().flat_map(|change| self.touched(change, name)).collect();
            ids.sort_unstable();
            ids.dedup();
            let Some(object) = self.catalog.find(name).filter(|_| !ids.is_empty()) else { continue };
            if access::strays(self.ctx, self.catalog, self.tx, object, &ids).await? {
                let message = format!("This credential writes only {} that match its row filter.", object.plural_label.to_lowercase());
                return Err(Error::forbidden(message));
            }
        }
        Ok(())
    }

    /// The records of an object that a change wrote; of a link, those at both of its ends.
    fn touched(&self, change: &Change, object: &str) -> Vec<Uuid> {
        let own = (change.object == object && !matches!(change.kind, ChangeKind::Deleted | ChangeKind::Purged)).then_some(change.record);
        let linked = [&change.before, &change.after].into_iter().filter_map(Json::as_object).flatten().filter_map(|(name, link)| {
            let relation = self.catalog.find(&change.object)?.relations.get(name)?;
            let leads_there = relation.leads_to().is_none_or(|target| target == object);
            link["id"].as_str().filter(|_| leads_there)?.parse().ok()
        });
        let is_link = matches!(change.kind, ChangeKind::Linked | ChangeKind::Unlinked);
        own.into_iter().chain(linked.filter(|_| is_link)).collect()
    }

    /// What changed so far, for a unit that goes on in the same transaction.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Goes on with what other units of the same transaction changed.
    pub fn take_over(&mut self, changes: Vec<Change>) {
        self.changes.extend(changes);
    }

    /// Appends what changed to the log: the last statement before the commit.
    pub async fn finish(&mut self) -> Result<()> {
        if !self.changes.is_empty() {
            self.check_strays().await?;
            changelog::append(self.tx, self.ctx, self.set, &std::mem::take(&mut self.changes)).await?;
        }
        Ok(())
    }
}
