//! Invitations: how somebody becomes a member who can sign in.
//!
//! The token goes to the address, where mail is set up, and to the inviter, once; whoever brings it back sets a password (or proves
//! the one they have) and is a member with the roles and teams that were chosen.

use std::time::Duration;

use entity::{Micros, invitation, member, membership, user_account};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::{Map, json};
use uuid::Uuid;

use super::roles::{assign, audit, built_in, held, no_more_than_own, refused, require};
use super::{AccessControl, builtin};
use crate::catalog::Catalog;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::data_model;
use crate::features::identity::{check_strength, digest, new_secret};
use crate::infra::db::{Mode, Scope, Tx};
use crate::infra::mail::Letter;
use crate::platform::access::Setting;
use crate::platform::audit::{self, Action, Event};
use crate::platform::{Actor, ActorKind, Cause, Ctx, House, Origin};
use crate::records::value;
use crate::records::write::{Rejected, RuleBook, Unit};

/// How long an invitation is good.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
const PREFIX: &str = "kith_invite_";

/// An invitation; the token is shown once.
pub struct Invited {
    pub member: Uuid,
    pub token: String,
    pub expires_at: Micros,
}

/// Who accepted.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    pub workspace: Uuid,
    pub user: Uuid,
    pub member: Uuid,
}

impl AccessControl {
    /// Invites somebody: a new member with roles, and a token. An invited member may be invited
    /// again; the earlier token is void then.
    pub async fn invite(
        &self,
        ctx: &Ctx,
        catalog: &Catalog,
        rules: &RuleBook,
        member: Map<String, serde_json::Value>,
        roles: Option<Vec<Uuid>>,
    ) -> Result<Invited, Rejected> {
        require(ctx, Setting::Members)?;
        let given = member.get("email").and_then(|email| email.as_str()).unwrap_or_default();
        let email = value::email(given).map_err(|e| UserError::new(UserErrorCode::InvalidValue, &["email"], e.message))?;
        if self.mailer.is_set_up() {
            let wait = self.guard.must_wait_to_mail(&email, &Origin::default()).await?;
            if wait > 0 {
                let message = format!("This address was written to often enough. Try again in {wait} seconds.");
                return Err(UserError::new(UserErrorCode::Limit, &["email"], message).into());
            }
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let known = member::Entity::find()
            .filter(member::Column::WorkspaceId.eq(ctx.workspace))
            .filter(member::Column::Email.eq(&email))
            .filter(member::Column::DeletedAt.is_null())
            .one(&tx)
            .await
            .map_err(Error::from)?;
        let mut unit = Unit::new(ctx, catalog, &tx, rules);
        let id = match known {
            Some(known) if known.user_id.is_some() => {
                return Err(UserError::new(UserErrorCode::Taken, &["email"], "There is a member with this address who can sign in.").into());
            }
            Some(known) => known.id,
            None => {
                let mut input = member;
                input.insert("status".into(), json!("INVITED"));
                unit.create_within("member", input.into()).await?.id
            }
        };
        let usual = built_in(&tx, ctx.workspace, builtin::REP).await?;
        // Whoever was invited before keeps their roles, and only who could give them may invite anew.
        let present = held(&tx, ctx.workspace, id).await?;
        no_more_than_own(&tx, ctx, present.clone(), &[usual]).await?;
        let given = roles.unwrap_or_else(|| if present.is_empty() { vec![usual] } else { present });
        let roles = no_more_than_own(&tx, ctx, given, &[usual]).await?;
        if roles.is_empty() {
            return Err(UserError::new(UserErrorCode::Required, &["roles"], "Choose at least one role.").into());
        }
        assign(&tx, ctx, id, &roles).await.map_err(in_roles)?;
        let void = "UPDATE invitation SET revoked_at = $3 WHERE workspace_id = $1 AND member_id = $2 AND accepted_at IS NULL AND revoked_at IS NULL";
        tx.run(void, vec![ctx.workspace.into(), id.into(), ctx.now().0.into()]).await?;
        let token = format!("{PREFIX}{}", new_secret());
        let lifetime = i64::try_from(LIFETIME.as_micros()).unwrap_or(i64::MAX);
        let expires_at = Micros(ctx.now().0.saturating_add(lifetime));
        let address = email.clone();
        let row = invitation::Model {
            workspace_id: ctx.workspace,
            id: self.clock.new_id(),
            member_id: id,
            email,
            token_hash: digest(&token),
            created_at: ctx.now(),
            created_by: ctx.member,
            expires_at,
            accepted_at: None,
            revoked_at: None,
        };
        invitation::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        unit.finish().await?;
        audit(&tx, ctx, Action::InvitationSent, id, json!({ "roles": roles })).await?;
        let name = "SELECT name FROM workspace WHERE id = $1";
        let name = tx.fetch_optional(name, vec![ctx.workspace.into()]).await?;
        let name = name.as_ref().map(|row| row.text(0)).transpose()?.flatten().unwrap_or("Kith").to_owned();
        tx.commit().await?;
        self.mailer.post(letter(address, &name, &self.invitation_url.replace("{token}", &token)));
        Ok(Invited { member: id, token, expires_at })
    }

    /// Accepts an invitation. A user who has a password already proves it; somebody new sets one.
    pub async fn accept(&self, token: &str, name: Option<&str>, password: &str, origin: &Origin) -> Result<Accepted, Rejected> {
        let void = || refused("The invitation is not good (any more). Ask for a new one.");
        let digest = digest(token);
        let tx = self.db.begin(&Scope { invitation: Some(digest.clone()), ..Scope::default() }, Mode::Read).await?;
        let found = invitation::Entity::find().filter(invitation::Column::TokenHash.eq(digest)).one(&tx).await.map_err(Error::from)?;
        tx.commit().await?;
        let now = self.clock.now();
        let good = |row: &invitation::Model| row.accepted_at.is_none() && row.revoked_at.is_none() && row.expires_at > now;
        let found = found.filter(good).ok_or_else(void)?;
        let _turn = self.guard.turn(&found.email, origin).await;
        let wait = self.guard.must_wait(&found.email, origin).await?;
        if wait > 0 {
            let message = format!("Too many attempts. Try again in {wait} seconds.");
            return Err(UserError::new(UserErrorCode::Limit, &[], message).into());
        }
        let (user, new) = self.user_of(&found.email, name, password, origin).await?;
        let scope = Scope { user: Some(user), sign_in_email: Some(found.email.clone()), ..Scope::workspace(found.workspace_id) };
        let tx = self.db.begin(&scope, Mode::Write).await?;
        // Whoever comes second finds it accepted.
        let accept =
            "UPDATE invitation SET accepted_at = $3 WHERE workspace_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL";
        if tx.run(accept, vec![found.workspace_id.into(), found.id.into(), now.0.into()]).await? != 1 {
            return Err(void());
        }
        if let Some(row) = new {
            user_account::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        }
        let member = member::Entity::find_by_id((found.workspace_id, found.member_id)).one(&tx).await.map_err(Error::from)?;
        let member = member.filter(|member| member.deleted_at.is_none() && member.status != "SUSPENDED").ok_or_else(void)?;
        let id = member.id;
        let mut model = member.into_active_model();
        model.user_id = Set(Some(user));
        model.update(&tx).await.map_err(Error::from)?;
        let row = membership::Model { user_id: user, workspace_id: found.workspace_id, member_id: id, created_at: now };
        membership::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        audit::append(&tx, &Event::sign_in(found.workspace_id, Some(id), Action::InvitationAccepted, origin, now)).await?;
        self.activate(&tx, found.workspace_id, id).await?;
        tx.commit().await?;
        Ok(Accepted { workspace: found.workspace_id, user, member: id })
    }

    /// Makes an invited member an active one: their own doing, which the log tells like any other change of a record.
    async fn activate(&self, tx: &Tx, workspace: Uuid, id: Uuid) -> Result<(), Rejected> {
        let row = data_model::current_version(tx, workspace).await?.ok_or_else(|| Error::fault("the workspace is gone"))?;
        let catalog = self.data_model.catalog(tx, workspace, row.catalog_version).await?;
        let house = House { workspace, time_zone: row.time_zone.parse().unwrap_or(chrono_tz::UTC), home_currency: row.home_currency };
        let actor = Actor { kind: ActorKind::Member, id: Some(id) };
        let ctx = Ctx { actor, ..Ctx::server(house, Cause::Request, self.clock.clone()) };
        let mut unit = Unit::new(&ctx, &catalog, tx, &self.rules);
        unit.set_fields("member", id, &[("status", json!("ACTIVE"))]).await?;
        unit.finish().await?;
        Ok(())
    }

    async fn user_of(
        &self,
        email: &str,
        name: Option<&str>,
        password: &str,
        origin: &Origin,
    ) -> Result<(Uuid, Option<user_account::Model>), Rejected> {
        let tx = self.db.begin(&Scope { sign_in_email: Some(email.to_owned()), ..Scope::default() }, Mode::Read).await?;
        let known = user_account::Entity::find().filter(user_account::Column::Email.eq(email)).one(&tx).await.map_err(Error::from)?;
        tx.commit().await?;
        if let Some(known) = known {
            let wrong = UserError::new(UserErrorCode::InvalidValue, &["password"], "You have an account already; give its password.");
            let fits = self.hasher.verify(password.to_owned(), known.password_hash.clone()).await?;
            if !fits {
                self.guard.note_failure(email, origin).await?;
                return Err(wrong.into());
            }
            return Ok((known.id, None));
        }
        check_strength(password).map_err(|message| UserError::new(UserErrorCode::InvalidValue, &["password"], message))?;
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(email);
        let hash = self.hasher.hash(password.to_owned()).await?;
        let row = user_account::Model::new(self.clock.new_id(), email, name, Some(hash), self.clock.now());
        Ok((row.id, Some(row)))
    }
}

fn letter(to: String, workspace: &str, link: &str) -> Letter {
    let text = format!(
        "Hello,\n\nyou are invited to work in {workspace}. With this link you accept, and set a password if you have none yet. It is good for seven days, and once:\n\n{link}\n"
    );
    Letter { to, subject: format!("Your invitation to {workspace}"), text }
}

/// Errors about the holder's roles, as the input names them.
fn in_roles(rejected: Rejected) -> Rejected {
    match rejected {
        Rejected::User { errors, conflict } => {
            let named = errors.into_iter().map(|error| if error.path.is_empty() { error.within(&["roles".to_owned()]) } else { error });
            Rejected::User { errors: named.collect(), conflict }
        }
        failed @ Rejected::Failed(_) => failed,
    }
}
