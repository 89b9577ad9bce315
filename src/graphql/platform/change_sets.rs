//! Change sets: what was changed together, and undoing it.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use uuid::Uuid;

use super::values::{DateTime, ObjectName, UserErrorView, views};
use crate::error::{Error, UserError, UserErrorCode};
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Signed};
use crate::infra::db::Mode;
use crate::records::change_sets::{self, Operation, Reason, Set, Skipped};
use crate::records::write::Unit;

#[derive(Default)]
pub struct ChangeSetQuery;

#[derive(Default)]
pub struct ChangeSetMutation;

/// What was done to a record.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum ChangeSetOperationKind {
    /// It was created.
    Created,
    /// Fields of it were changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was brought back.
    Restored,
    /// It was removed for good.
    Purged,
    /// It was linked to another record, or something was said of the link.
    Linked,
    /// A link was cut.
    Unlinked,
}

impl ChangeSetOperationKind {
    fn of(kind: &str) -> Self {
        match kind {
            "CREATED" => Self::Created,
            "DELETED" => Self::Deleted,
            "RESTORED" => Self::Restored,
            "PURGED" => Self::Purged,
            "LINKED" => Self::Linked,
            "UNLINKED" => Self::Unlinked,
            _ => Self::Updated,
        }
    }
}

/// What one request, one bulk call or one atomic operation changed, as far as the caller may see it.
#[derive(SimpleObject)]
pub struct ChangeSet {
    /// Its id, as payloads tell it.
    id: ID,
    /// When.
    at: DateTime,
    /// Who: `MEMBER`, `API_KEY`, or `SYSTEM` for the server itself.
    actor_kind: String,
    /// The member or API key; null for the server itself.
    actor_id: Option<ID>,
    /// Why: `REQUEST`, `SET_UP`, `DEMO`.
    cause: String,
    /// The change set that it undid.
    reverts: Option<ID>,
    /// Change sets that undid it, or a part of it.
    reverted_by: Vec<ID>,
    /// What it did, in order; the first 5,000 operations. A set of more cannot be undone.
    operations: Vec<ChangeSetOperation>,
}

/// One change of one record.
#[derive(SimpleObject)]
pub struct ChangeSetOperation {
    /// Its place in the workspace's change log.
    seq: i64,
    /// Which object the record is of.
    object: ObjectName,
    /// The record; `node` finds it, unless it is deleted.
    record_id: ID,
    /// What was done.
    kind: ChangeSetOperationKind,
    /// The record's version afterwards.
    version: i64,
    /// The fields and relations that it changed, without those that the caller does not see whole.
    fields: Vec<String>,
}

/// Why an operation was not undone.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Something later stands on it: the field or the record was changed since.
    Overtaken,
    /// Nobody can undo it: the record was removed for good, or it follows from other fields.
    NotRevertible,
    /// The caller may not write so, or a rule does not allow it.
    Refused,
}

/// An operation that was not undone, or not whole.
#[derive(SimpleObject)]
pub struct SkippedOperation {
    /// The operation.
    operation: ChangeSetOperation,
    /// Why.
    reason: SkipReason,
    /// Why, in words.
    message: String,
    /// The fields that stay; empty: all that it changed.
    fields: Vec<String>,
}

/// A change set to undo.
#[derive(InputObject)]
pub struct RevertChangeSetInput {
    /// The change set, from a payload's `changeSetId`.
    id: ID,
    /// Only tells what would be undone.
    #[graphql(default)]
    validate_only: bool,
}

/// What came of undoing a change set.
#[derive(SimpleObject)]
pub struct RevertChangeSetPayload {
    /// The change set that undid it; null if nothing was written.
    change_set_id: Option<ID>,
    /// What was undone, latest first.
    reverted: Vec<ChangeSetOperation>,
    /// What was not.
    skipped: Vec<SkippedOperation>,
    /// Why nothing was done.
    user_errors: Vec<UserErrorView>,
}

fn operation(signed: &Signed, operation: &Operation) -> ChangeSetOperation {
    ChangeSetOperation {
        seq: operation.seq,
        object: ObjectName::of(&operation.object),
        record_id: operation.record.into(),
        kind: ChangeSetOperationKind::of(&operation.kind),
        version: operation.version,
        fields: operation.fields(&signed.ctx),
    }
}

fn skipped(signed: &Signed, skipped: Skipped) -> SkippedOperation {
    let Skipped { operation: of, reason, message, mut fields } = skipped;
    let seen = of.fields(&signed.ctx);
    fields.retain(|field| seen.contains(field));
    let reason = match reason {
        Reason::Overtaken => SkipReason::Overtaken,
        Reason::NotRevertible => SkipReason::NotRevertible,
        Reason::Refused => SkipReason::Refused,
    };
    SkippedOperation { operation: operation(signed, &of), reason, message, fields }
}

#[Object]
impl ChangeSetQuery {
    /// What one write changed, by the `changeSetId` of its payload; null if there is none, or nothing of it shows.
    async fn change_set(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Option<ChangeSet>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
        let tx = request.snapshot().await.map_err(|e| field_error(&e))?;
        let found = change_sets::load(&tx, &signed.ctx, &signed.known.catalog, id).await.map_err(|e| field_error(&e))?;
        Ok(found.map(|set| {
            let Set { id, at, actor_kind, actor_id, cause, reverts, reverted_by, operations, .. } = set;
            ChangeSet {
                id: id.into(),
                at: at.into(),
                actor_kind,
                actor_id: actor_id.map(ID::from),
                cause,
                reverts: reverts.map(ID::from),
                reverted_by: reverted_by.into_iter().map(ID::from).collect(),
                operations: operations.iter().map(|of| operation(signed, of)).collect(),
            }
        }))
    }
}

#[Object]
impl ChangeSetMutation {
    /// Undoes what a write changed, where nothing later stands on it: fields get the values that they had, records that it made
    /// are deleted, those that it deleted come back, links are cut or made again. What is overtaken stays and is told.
    async fn revert_change_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which change set.")] input: RevertChangeSetInput,
    ) -> Result<RevertChangeSetPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let run = async {
            let Ok(id) = input.id.parse::<Uuid>() else { return Ok(None) };
            let catalog = &signed.known.catalog;
            let tx = request.app.db.begin(&signed.ctx.scope(), Mode::Write).await?;
            let Some(set) = change_sets::load(&tx, &signed.ctx, catalog, id).await? else { return Ok(None) };
            if set.is_cut {
                // Undone in part, what it did would stand half.
                return Ok(Some(Err(set.operations.len())));
            }
            let mut unit = Unit::new(&signed.ctx, catalog, &tx, &request.app.rules);
            let reverted = change_sets::revert(&mut unit, &set).await?;
            let (changes, new) = (unit.mark(), unit.set.id);
            let keep = changes > 0 && !input.validate_only;
            if keep {
                signed.ctx.underway.mark(&tx, signed.ctx.now()).await?;
                unit.finish().await?;
                tx.commit().await?;
                request.app.statistics.count(&request.app.db, changes);
                // A member or a territory may be among it.
                request.app.forget_access(signed.ctx.workspace).await;
            } else {
                tx.rollback().await?;
            }
            Ok::<_, Error>(Some(Ok((keep.then_some(new), reverted))))
        };
        let outcome = match run.await.map_err(|e| field_error(&e))? {
            Some(Ok(done)) => Ok(done),
            Some(Err(most)) => {
                let message = format!("The change set has more than {most} operations, more than are undone at once.");
                Err(UserError::new(UserErrorCode::Limit, &["id"], message))
            }
            None => Err(UserError::new(UserErrorCode::NotFound, &["id"], "There is no such change set.")),
        };
        let (new, reverted) = match outcome {
            Ok(done) => done,
            Err(error) => {
                return Ok(RevertChangeSetPayload {
                    change_set_id: None,
                    reverted: Vec::new(),
                    skipped: Vec::new(),
                    user_errors: views(vec![error]),
                });
            }
        };
        Ok(RevertChangeSetPayload {
            change_set_id: new.map(ID::from),
            reverted: reverted.done.iter().map(|of| operation(signed, of)).collect(),
            skipped: reverted.skipped.into_iter().map(|of| skipped(signed, of)).collect(),
            user_errors: Vec::new(),
        })
    }
}
