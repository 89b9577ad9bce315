//! Why somebody may, or may not, do something with a record.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use super::roles::{FieldSight, Role};
use super::signed;
use crate::error::Error;
use crate::features::access::{Permissions, Scope};
use crate::graphql::errors::field_error;
use crate::graphql::request;
use crate::infra::db::Mode;
use crate::platform::access::Setting;
use crate::records::access::{Verb, Way};
use crate::records::explain::{explain, object_of};

/// What is to be done with a record.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Verb")]
pub enum RecordRight {
    /// To see it.
    Read,
    /// To change it.
    Update,
    /// To delete, restore or purge it.
    Delete,
}

/// What leads somebody to a record.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Way")]
pub enum AccessWay {
    /// A role extends to every record of the object.
    All,
    /// They own it, or reach its owner by a team or as a superior.
    Owner,
    /// It lies in a territory of theirs, or below one.
    Territory,
    /// It was shared with them or with a team of theirs.
    Share,
    /// It is linked to the person that they are, or to that person's companies.
    Linked,
    /// It is linked to a record that they see.
    Follows,
}

/// One reason why somebody has a right.
#[derive(SimpleObject)]
pub struct AccessReason {
    /// The right.
    right: RecordRight,
    /// What leads to the record.
    way: AccessWay,
}

/// What somebody may do with a record, and why.
#[derive(SimpleObject)]
pub struct AccessExplanation {
    /// Whether they see it.
    can_read: bool,
    /// Whether they may change it.
    can_update: bool,
    /// Whether they may delete it.
    can_delete: bool,
    /// What gives them these rights; none gives none.
    reasons: Vec<AccessReason>,
    /// Their roles that say something about records of this object.
    roles: Vec<Role>,
    /// How much they see of the field that was asked about.
    field_sight: Option<FieldSight>,
    /// Whether they may write that field.
    field_writable: Option<bool>,
}

#[derive(Default)]
pub struct ExplainQuery;

#[Object]
impl ExplainQuery {
    /// What a member may do with a record, and which rule says so; null if there is no such record, or
    /// the caller asks for themselves and does not see it. Asking for somebody else needs ROLES.
    async fn explain_access(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The record, of any object.")] record: ID,
        #[graphql(desc = "The member; absent: the caller.")] member: Option<ID>,
        #[graphql(desc = "A field of the record, `custom.<name>` of one that the workspace added.")] field: Option<String>,
    ) -> Result<Option<AccessExplanation>> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let invalid = || field_error(&Error::bad_request("An id is a UUID."));
        let record = record.parse().map_err(|_| invalid())?;
        let wanted = member.map(|member| member.parse().map_err(|_| invalid())).transpose()?;
        let others = wanted.is_some() && wanted != signed.ctx.member;
        if others {
            crate::features::access::require(&signed.ctx, Setting::Roles).map_err(|e| field_error(&e))?;
        }
        let explained = async {
            let subject = match wanted.filter(|_| others) {
                Some(member) => request.app.ctx_of_member(&signed.ctx, &signed.known.catalog, member).await?,
                None => signed.ctx.clone(),
            };
            let tx = request.app.db.begin(&signed.ctx.system_scope(), Mode::Read).await?;
            let object = object_of(&signed.ctx, &tx, record).await?;
            tx.commit().await?;
            let Some(object) = object else { return Ok((subject, None)) };
            let tx = request.app.db.begin(&subject.scope(), Mode::Read).await?;
            let found = explain(&subject, &signed.known.catalog, &tx, object, record).await?;
            tx.commit().await?;
            Ok::<_, Error>((subject, found))
        };
        let (subject, found) = explained.await.map_err(|e| field_error(&e))?;
        let Some(found) = found else { return Ok(None) };
        let has = |right: Verb| found.ways.iter().any(|(verb, _)| *verb == right);
        let can_read = has(Verb::Read);
        if !can_read && !others {
            return Ok(None);
        }
        let held = subject.access.policy().map(|policy| policy.roles.clone()).unwrap_or_default();
        let all = request.app.access.roles(&signed.ctx).await.map_err(|e| field_error(&e))?;
        let mut roles = Vec::new();
        for row in all.into_iter().filter(|row| held.contains(&row.id)) {
            let role = Role::try_from(row)?;
            if says_something(&role.1, &found.object) {
                roles.push(role);
            }
        }
        let of_field = field.map(|field| subject.access.object(&found.object).field(&field));
        let reason = |(verb, way): &(Verb, Way)| AccessReason { right: (*verb).into(), way: (*way).into() };
        Ok(Some(AccessExplanation {
            can_read,
            // What one does not see one does not change.
            can_update: can_read && has(Verb::Update),
            can_delete: can_read && has(Verb::Delete),
            reasons: found.ways.iter().map(reason).collect(),
            roles,
            field_sight: of_field.map(|field| field.sight.into()),
            field_writable: of_field.map(|field| field.write),
        }))
    }
}

fn says_something(permissions: &Permissions, object: &str) -> bool {
    let scopes = |list: &[Scope]| !list.is_empty();
    let spec = permissions.objects.get(object).or_else(|| permissions.objects.get("*"));
    spec.is_some_and(|spec| spec.create || scopes(&spec.read) || scopes(&spec.update) || scopes(&spec.delete))
        || permissions.fields.iter().any(|field| field.object == object)
}
