//! Shares: a record given to a member or a team beyond what their roles reach.

use entity::{Micros, member, record, record_grant, team};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::AccessControl;
use super::roles::audit;
use crate::catalog::Catalog;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::{Mode, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::access::Verb;
use crate::records::write::{Rejected, RuleBook, Unit};

/// The most shares of one record.
const MOST_SHARES: usize = 100;

#[derive(Clone, Debug)]
pub struct NewShare {
    pub record: Uuid,
    /// A member or a team.
    pub grantee: Uuid,
    pub may_edit: bool,
    pub expires_at: Option<Micros>,
    pub reason: Option<String>,
}

impl AccessControl {
    /// Shares a record, or changes how it is shared. Who may change a record may share it; who may
    /// only see it needs the setting `SHARE`, and shares it for reading.
    pub async fn share(&self, ctx: &Ctx, catalog: &Catalog, rules: &RuleBook, new: NewShare) -> Result<Uuid, Rejected> {
        if new.expires_at.is_some_and(|at| at <= ctx.now()) {
            return Err(UserError::new(UserErrorCode::InvalidValue, &["expiresAt"], "The time lies in the past.").into());
        }
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        let present = record_grant::Entity::find()
            .filter(record_grant::Column::WorkspaceId.eq(ctx.workspace))
            .filter(record_grant::Column::RecordId.eq(new.record))
            .all(&tx)
            .await
            .map_err(Error::from)?;
        // Who may not give the right to edit may not take it away either.
        let edits = present.iter().any(|grant| grant.grantee_id == new.grantee && grant.may_edit);
        let object = self.shareable(ctx, catalog, rules, &tx, new.record, new.may_edit || edits).await?;
        let kind = grantee_kind(&tx, ctx, new.grantee).await?;
        tx.see_all(true).await?;
        let known = present.iter().find(|grant| grant.grantee_id == new.grantee);
        if known.is_none() && present.len() >= MOST_SHARES {
            return Err(UserError::new(UserErrorCode::Limit, &["record"], format!("A record has at most {MOST_SHARES} shares.")).into());
        }
        let id = known.map_or_else(|| self.clock.new_id(), |grant| grant.id);
        let by_id = vec![ctx.workspace.into(), id.into()];
        tx.run("DELETE FROM record_grant WHERE workspace_id = $1 AND id = $2", by_id).await?;
        let row = record_grant::Model {
            workspace_id: ctx.workspace,
            id,
            object,
            record_id: new.record,
            grantee_id: new.grantee,
            grantee_kind: kind.to_owned(),
            may_edit: new.may_edit,
            expires_at: new.expires_at,
            reason: new.reason,
            created_at: ctx.now(),
            created_by: ctx.member,
        };
        let after = json!({ "grantee": row.grantee_id, "mayEdit": row.may_edit, "expiresAt": row.expires_at, "reason": row.reason });
        record_grant::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        audit(&tx, ctx, Action::RecordShared, new.record, after).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Takes a share back.
    pub async fn unshare(&self, ctx: &Ctx, catalog: &Catalog, rules: &RuleBook, id: Uuid) -> Result<Uuid, Rejected> {
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        let missing = || UserError::new(UserErrorCode::NotFound, &["id"], "There is no such share.");
        let found = record_grant::Entity::find_by_id((ctx.workspace, id)).one(&tx).await.map_err(Error::from)?.ok_or_else(missing)?;
        // A share of a record that the caller does not see is not there.
        self.shareable(ctx, catalog, rules, &tx, found.record_id, found.may_edit).await.map_err(|_| missing())?;
        tx.run("DELETE FROM record_grant WHERE workspace_id = $1 AND id = $2", vec![ctx.workspace.into(), id.into()]).await?;
        audit(&tx, ctx, Action::RecordUnshared, found.record_id, json!({ "grantee": found.grantee_id })).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// With whom a record is shared; nobody, if the caller does not see it.
    pub async fn shares(&self, ctx: &Ctx, catalog: &Catalog, rules: &RuleBook, record: Uuid) -> Result<Vec<record_grant::Model>> {
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let mut unit = Unit::new(ctx, catalog, &tx, rules);
        let visible = match object_of(&tx, ctx, record).await? {
            Some(object) => unit.sees(&object, record).await?,
            None => false,
        };
        let shares = if visible {
            record_grant::Entity::find()
                .filter(record_grant::Column::WorkspaceId.eq(ctx.workspace))
                .filter(record_grant::Column::RecordId.eq(record))
                .order_by_asc(record_grant::Column::Id)
                .all(&tx)
                .await?
        } else {
            Vec::new()
        };
        tx.commit().await?;
        Ok(shares)
    }

    /// The object of a record that the caller may share.
    async fn shareable(
        &self,
        ctx: &Ctx,
        catalog: &Catalog,
        rules: &RuleBook,
        tx: &Tx,
        id: Uuid,
        to_edit: bool,
    ) -> Result<String, Rejected> {
        let missing = || Rejected::from(UserError::new(UserErrorCode::NotFound, &["record"], "There is no record with this id."));
        let object = object_of(tx, ctx, id).await?.filter(|object| catalog.find(object).is_some()).ok_or_else(missing)?;
        let mut unit = Unit::new(ctx, catalog, tx, rules);
        if ctx.access.may(Setting::Share) && !to_edit {
            return if unit.sees(&object, id).await? { Ok(object) } else { Err(missing()) };
        }
        match unit.require(&object, id, Verb::Update).await {
            Ok(()) => Ok(object),
            Err(Rejected::User { errors, .. }) if errors.iter().any(|error| error.code == UserErrorCode::NotFound) => Err(missing()),
            Err(refused) => Err(refused),
        }
    }
}

async fn object_of(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<Option<String>> {
    let found = record::Entity::find_by_id((ctx.workspace, id)).one(tx).await?;
    Ok(found.filter(|record| record.deleted_at.is_none()).map(|record| record.object))
}

async fn grantee_kind(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<&'static str, Rejected> {
    if team::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)?.is_some() {
        return Ok("TEAM");
    }
    let member = member::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)?;
    match member.filter(|member| member.deleted_at.is_none()) {
        Some(_) => Ok("MEMBER"),
        None => Err(UserError::new(UserErrorCode::NotFound, &["grantee"], "There is no such member or team.").into()),
    }
}
