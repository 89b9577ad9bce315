//! Shares of single records.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use entity::record_grant;

use super::{id, or_refuse, signed};
use crate::error::{UserError, UserErrorCode};
use crate::features::access::NewShare;
use crate::graphql::errors::field_error;
use crate::graphql::platform::values::{DateTime, UserErrorView, views};
use crate::graphql::platform::workspace::split;
use crate::graphql::request;

/// What a share allows.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum ShareLevel {
    /// To see the record.
    Read,
    /// To see and change it, as far as the member's roles let them change records of the object at all.
    Edit,
}

/// Whom a record is shared with.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum GranteeKind {
    /// One member.
    Member,
    /// Everybody in a team.
    Team,
}

/// A record that was given to a member or a team beyond what their roles reach.
#[derive(SimpleObject)]
pub struct RecordShare {
    /// The share's id.
    id: ID,
    /// The record.
    record_id: ID,
    /// The member or team.
    grantee_id: ID,
    /// Which of the two.
    grantee_kind: GranteeKind,
    /// What it allows.
    level: ShareLevel,
    /// Until when; null: until it is taken back.
    expires_at: Option<DateTime>,
    /// Why, in its maker's words.
    reason: Option<String>,
    /// When it was made.
    created_at: DateTime,
    /// The member who made it.
    created_by_id: Option<ID>,
}

impl From<record_grant::Model> for RecordShare {
    fn from(row: record_grant::Model) -> Self {
        Self {
            id: row.id.into(),
            record_id: row.record_id.into(),
            grantee_id: row.grantee_id.into(),
            grantee_kind: if row.grantee_kind == "TEAM" { GranteeKind::Team } else { GranteeKind::Member },
            level: if row.may_edit { ShareLevel::Edit } else { ShareLevel::Read },
            expires_at: row.expires_at.map(DateTime::from),
            reason: row.reason,
            created_at: row.created_at.into(),
            created_by_id: row.created_by.map(ID::from),
        }
    }
}

/// A record to share.
#[derive(InputObject)]
pub struct ShareRecordInput {
    /// The record, of any object.
    record: ID,
    /// A member or a team.
    grantee: ID,
    /// What they may do with it.
    #[graphql(default_with = "ShareLevel::Read")]
    level: ShareLevel,
    /// Until when; absent: until it is taken back.
    expires_at: Option<DateTime>,
    /// Why.
    reason: Option<String>,
}

/// A share to take back.
#[derive(InputObject)]
pub struct UnshareRecordInput {
    /// Which share.
    id: ID,
}

/// What came of sharing a record.
#[derive(SimpleObject, Default)]
pub struct SharePayload {
    /// The share.
    share: Option<RecordShare>,
    /// The id of the share that was taken back.
    deleted_id: Option<ID>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct ShareQuery;

#[derive(Default)]
pub struct ShareMutation;

#[Object]
impl ShareQuery {
    /// With whom a record is shared; empty if there is no such record.
    async fn record_shares(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The record, of any object.")] record: ID,
    ) -> Result<Vec<RecordShare>> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let Ok(record) = record.parse() else { return Ok(Vec::new()) };
        let shares = request.app.access.shares(&signed.ctx, &signed.known.catalog, &request.app.rules, record).await;
        Ok(shares.map_err(|e| field_error(&e))?.into_iter().map(RecordShare::from).collect())
    }
}

#[Object]
impl ShareMutation {
    /// Shares a record with a member or a team, or changes how it is shared. Whoever may change a record
    /// may share it; with SHARE also whoever may see it, for reading.
    async fn share_record(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, and with whom.")] input: ShareRecordInput,
    ) -> Result<SharePayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let record = or_refuse!(SharePayload, id(&input.record, &["record"]));
        let invalid = || UserError::new(UserErrorCode::InvalidValue, &["expiresAt"], "Expected a time as RFC 3339.");
        let new = NewShare {
            record,
            grantee: or_refuse!(SharePayload, id(&input.grantee, &["grantee"])),
            may_edit: input.level == ShareLevel::Edit,
            expires_at: or_refuse!(SharePayload, input.expires_at.map(|at| at.micros().ok_or_else(invalid)).transpose()),
            reason: input.reason,
        };
        let (catalog, rules) = (&signed.known.catalog, &request.app.rules);
        let (made, errors) = split(request.app.access.share(&signed.ctx, catalog, rules, new).await)?;
        request.app.forget_access(signed.ctx.workspace).await;
        let mut share = None;
        if let Some(made) = made {
            let shares = request.app.access.shares(&signed.ctx, catalog, rules, record).await.map_err(|e| field_error(&e))?;
            share = shares.into_iter().find(|row| row.id == made).map(RecordShare::from);
        }
        Ok(SharePayload { share, deleted_id: None, user_errors: views(errors) })
    }

    /// Takes a share back.
    async fn unshare_record(&self, ctx: &Context<'_>, #[graphql(desc = "Which share.")] input: UnshareRecordInput) -> Result<SharePayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let share = or_refuse!(SharePayload, id(&input.id, &["id"]));
        let (catalog, rules) = (&signed.known.catalog, &request.app.rules);
        let (deleted, errors) = split(request.app.access.unshare(&signed.ctx, catalog, rules, share).await)?;
        request.app.forget_access(signed.ctx.workspace).await;
        Ok(SharePayload { share: None, deleted_id: deleted.map(ID::from), user_errors: views(errors) })
    }
}
