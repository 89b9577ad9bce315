//! Roles, teams, shares, invitations.

mod explain;
mod review;
mod roles;
mod shares;
mod teams;

use async_graphql::{ID, MergedObject, Result};
use uuid::Uuid;

use crate::error::{Error, UserError, UserErrorCode};
use crate::graphql::errors::field_error;
use crate::graphql::request::{Request, Signed};

#[derive(MergedObject, Default)]
pub struct AccessQuery(roles::RoleQuery, teams::TeamQuery, shares::ShareQuery, explain::ExplainQuery, review::ReviewQuery);

#[derive(MergedObject, Default)]
pub struct AccessMutation(roles::RoleMutation, teams::TeamMutation, shares::ShareMutation);

pub use roles::{Role, SettingName, held_roles};

fn signed(request: &Request) -> Result<&Signed> {
    request.signed().map_err(|e| field_error(&e))
}

/// Refuses whoever may not see members: who works here is not for customers.
fn sees_members(signed: &Signed) -> Result<()> {
    if !signed.ctx.access.sees_all("member") {
        return Err(field_error(&Error::forbidden("Your roles do not let you see who works here.")));
    }
    Ok(())
}

/// An id of an input, or what is wrong with it.
pub fn id(given: &ID, path: &[&str]) -> Result<Uuid, UserError> {
    given.parse().map_err(|_| UserError::new(UserErrorCode::InvalidValue, path, "An id is a UUID."))
}

pub fn ids(given: &[ID], name: &str) -> Result<Vec<Uuid>, UserError> {
    given.iter().enumerate().map(|(index, one)| id(one, &[name, &index.to_string()])).collect()
}

/// Like `?`, for what the caller can mend.
macro_rules! or_refuse {
    ($payload:ident, $tried:expr) => {
        match $tried {
            Ok(done) => done,
            Err(error) => return Ok($payload { user_errors: crate::graphql::platform::values::views(vec![error]), ..Default::default() }),
        }
    };
}
pub(in crate::graphql::platform) use or_refuse;
