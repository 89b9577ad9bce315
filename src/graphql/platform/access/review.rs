//! Who has which rights: a report for auditors.

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::roles::Role;
use super::signed;
use crate::graphql::errors::field_error;
use crate::graphql::platform::values::DateTime;
use crate::graphql::request;

/// A member or an API key, with what they may do.
#[derive(SimpleObject)]
pub struct AccessReviewEntry {
    /// The member's or key's id.
    holder_id: ID,
    /// Whether it is an API key.
    is_api_key: bool,
    /// What they are called.
    name: String,
    /// Whether they can sign in, or the key works, now.
    active: bool,
    /// When they were last seen: a session refreshed, a key used.
    last_used_at: Option<DateTime>,
    /// Their roles; what these allow adds up.
    roles: Vec<Role>,
    /// How many records are shared with them, beyond what their roles reach.
    shares: i64,
}

#[derive(Default)]
pub struct ReviewQuery;

#[Object]
impl ReviewQuery {
    /// Who may do what: every member and API key with their roles and last use. Needs AUDIT.
    async fn access_review(&self, ctx: &Context<'_>) -> Result<Vec<AccessReviewEntry>> {
        let request = request::of(ctx);
        let holders = request.app.access.review(&signed(request)?.ctx).await.map_err(|e| field_error(&e))?;
        let entry = |holder: crate::features::access::Holder| {
            Ok(AccessReviewEntry {
                holder_id: holder.id.into(),
                is_api_key: holder.is_key,
                name: holder.name,
                active: holder.active,
                last_used_at: holder.last_used_at.map(DateTime::from),
                roles: holder.roles.into_iter().map(Role::try_from).collect::<Result<_>>()?,
                shares: holder.shares,
            })
        };
        holders.into_iter().map(entry).collect()
    }
}
