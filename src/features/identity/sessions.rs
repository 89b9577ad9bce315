//! Sessions: opened by a sign-in, refreshed, listed, ended.

use entity::{Micros, member, session, user_account};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::tokens::Claims;
use super::{Identity, digest, new_secret, refused, same};
use crate::error::{Error, Result};
use crate::infra::db::{Mode, Scope, Tx};
use crate::platform::audit::{self, Action, Event};
use crate::platform::{Ctx, Origin};

const REFRESH_PREFIX: &str = "kith_refresh";

/// A fresh pair of tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub expires_at: Micros,
    pub workspace: Uuid,
    pub member: Uuid,
    pub session: Uuid,
}

impl Identity {
    pub async fn open_session(&self, user: Uuid, workspace: Uuid, member: Uuid, origin: &Origin) -> Result<Tokens> {
        self.open_session_of(user, workspace, member, None, origin).await
    }

    /// Opens a session that ends with another one.
    pub(super) async fn open_session_of(
        &self,
        user: Uuid,
        workspace: Uuid,
        member: Uuid,
        parent: Option<Uuid>,
        origin: &Origin,
    ) -> Result<Tokens> {
        let (id, secret, now) = (self.clock.new_id(), new_secret(), self.clock.now());
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
        let model = session::Model {
            workspace_id: workspace,
            id,
            user_id: user,
            member_id: member,
            token_hash: digest(&secret),
            created_at: now,
            refreshed_at: now,
            expires_at: later(now, self.lifetimes.refresh_token),
            revoked_at: None,
            revoked_because: None,
            parent_id: parent,
            address: origin.address.clone(),
            user_agent: origin.user_agent.clone(),
        };
        session::Entity::insert(model.into_active_model()).exec_without_returning(&tx).await?;
        audit::append(&tx, &Event::sign_in(workspace, Some(member), Action::SignIn, origin, now)).await?;
        tx.commit().await?;
        self.issue(user, workspace, member, id, &secret)
    }

    fn issue(&self, user: Uuid, workspace: Uuid, member: Uuid, session: Uuid, secret: &str) -> Result<Tokens> {
        let now = self.clock.now();
        let expires_at = later(now, self.lifetimes.access_token);
        let claims = Claims { member, workspace, user, session, iat: now.0 / 1_000_000, exp: expires_at.0 / 1_000_000 };
        let refresh = format!("{REFRESH_PREFIX}.{}.{}.{secret}", workspace.simple(), session.simple());
        Ok(Tokens { access: self.keys.sign(&claims)?, refresh, expires_at, workspace, member, session })
    }

    /// Exchanges a refresh token for new tokens. An old one ends the session.
    pub async fn refresh(&self, token: &str, origin: &Origin) -> Result<Tokens> {
        let (workspace, id, secret) = parse_refresh(token).ok_or_else(refused)?;
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
        let now = self.clock.now();
        let found = session::Entity::find_by_id((workspace, id)).one(&tx).await?;
        let found = found.filter(|found| found.revoked_at.is_none() && found.expires_at > now).ok_or_else(refused)?;
        let hash = digest(secret);
        if !same(&found.token_hash, &hash) {
            // Whoever knows the session but not its latest secret has an old token, or guesses.
            revoke(&tx, &found, now, "REUSED").await?;
            audit::append(&tx, &Event::sign_in(workspace, Some(found.member_id), Action::SessionReused, origin, now)).await?;
            tx.commit().await?;
            self.ended(id).await;
            self.end_children(found.user_id, id).await?;
            return Err(refused());
        }
        let fresh = new_secret();
        let (old, user, member) = (found.token_hash.clone(), found.user_id, found.member_id);
        // Conditional on the hash, so that of two refreshes at once one finds the token used.
        let updated = session::Entity::update_many()
            .set(session::ActiveModel {
                token_hash: Set(digest(&fresh)),
                refreshed_at: Set(now),
                expires_at: Set(later(now, self.lifetimes.refresh_token)),
                ..Default::default()
            })
            .filter(session::Column::WorkspaceId.eq(workspace))
            .filter(session::Column::Id.eq(id))
            .filter(session::Column::TokenHash.eq(old))
            .exec(&tx)
            .await?;
        if updated.rows_affected != 1 || !active_member(&tx, workspace, member).await? {
            return Err(refused());
        }
        tx.commit().await?;
        self.issue(user, workspace, member, id, &fresh)
    }

    /// Ends a session; its access tokens end with it.
    pub async fn sign_out(&self, workspace: Uuid, id: Uuid, origin: &Origin) -> Result<()> {
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
        let found = session::Entity::find_by_id((workspace, id)).one(&tx).await?;
        if let Some(found) = &found {
            let now = self.clock.now();
            revoke(&tx, found, now, "SIGNED_OUT").await?;
            audit::append(&tx, &Event::sign_in(workspace, Some(found.member_id), Action::SignOut, origin, now)).await?;
        }
        tx.commit().await?;
        self.ended(id).await;
        match found {
            Some(found) => self.end_children(found.user_id, id).await,
            None => Ok(()),
        }
    }

    /// The open sessions of the caller, the latest first.
    pub async fn sessions(&self, ctx: &Ctx) -> Result<Vec<session::Model>> {
        let Some(member) = ctx.member else { return Ok(Vec::new()) };
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let open = session::Entity::find()
            .filter(session::Column::WorkspaceId.eq(ctx.workspace))
            .filter(session::Column::MemberId.eq(member))
            .filter(session::Column::RevokedAt.is_null())
            .filter(session::Column::ExpiresAt.gt(ctx.now()))
            .order_by_desc(session::Column::RefreshedAt)
            .all(&tx)
            .await?;
        tx.commit().await?;
        Ok(open)
    }

    /// Ends a session of the caller's; false if there is none.
    pub async fn revoke_session(&self, ctx: &Ctx, id: Uuid) -> Result<bool> {
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        let found = session::Entity::find_by_id((ctx.workspace, id)).one(&tx).await?;
        let Some(found) = found.filter(|found| found.revoked_at.is_none() && Some(found.member_id) == ctx.member) else { return Ok(false) };
        revoke(&tx, &found, ctx.now(), "REVOKED").await?;
        audit::append(&tx, &Event::of(ctx, Action::SessionRevoked, Some(id), serde_json::Value::Null)).await?;
        tx.commit().await?;
        self.ended(id).await;
        self.end_children(found.user_id, id).await?;
        Ok(true)
    }

    /// Changes the caller's password, and ends their other sessions, in every workspace. False: the
    /// present password was wrong.
    pub async fn change_password(&self, ctx: &Ctx, session: Option<Uuid>, present: &str, new: &str) -> Result<bool> {
        let Some(user) = ctx.user else { return Err(Error::forbidden("An API key has no password.")) };
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let account = user_account::Entity::find_by_id(user).one(&tx).await?;
        tx.commit().await?;
        let account = account.ok_or_else(|| Error::fault("the caller has no account"))?;
        let _turn = self.guard.turn(&account.email, &ctx.origin).await;
        // The same guard as at the door: whoever finds a screen unlocked does not guess on.
        if self.guard.must_wait(&account.email, &ctx.origin).await? > 0
            || !self.hasher.verify(present.to_owned(), account.password_hash.clone()).await?
        {
            self.guard.note_failure(&account.email, &ctx.origin).await?;
            return Ok(false);
        }
        let hash = self.hasher.hash(new.to_owned()).await?;
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        tx.run("UPDATE user_account SET password_hash = $2 WHERE id = $1", vec![user.into(), hash.into()]).await?;
        audit::append(&tx, &Event::of(ctx, Action::PasswordChanged, ctx.member, serde_json::Value::Null)).await?;
        tx.commit().await?;
        self.void_tokens(user).await?;
        self.end_other_sessions(user, session, "PASSWORD_CHANGED").await?;
        Ok(true)
    }

    /// Ends a user's sessions in every workspace, but for one.
    pub(super) async fn end_other_sessions(&self, user: Uuid, but: Option<Uuid>, because: &str) -> Result<()> {
        for (workspace, member) in self.memberships(user).await? {
            self.end_sessions(workspace, ("member_id", member), but, because).await?;
        }
        Ok(())
    }

    /// Ends the sessions that were opened from one, in other workspaces.
    async fn end_children(&self, user: Uuid, parent: Uuid) -> Result<()> {
        for (workspace, _) in self.memberships(user).await? {
            self.end_sessions(workspace, ("parent_id", parent), None, "PARENT_ENDED").await?;
        }
        Ok(())
    }

    /// Ends the open sessions of a workspace where a column has a value, but for one.
    async fn end_sessions(&self, workspace: Uuid, (column, id): (&str, Uuid), but: Option<Uuid>, because: &str) -> Result<()> {
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
        let sql = format!(
            "UPDATE session SET revoked_at = $3, revoked_because = $4 \
             WHERE workspace_id = $1 AND {column} = $2 AND revoked_at IS NULL AND id <> $5 RETURNING id"
        );
        let (now, but) = (self.clock.now().0, but.unwrap_or(Uuid::nil()));
        let rows = tx.fetch_all(&sql, vec![workspace.into(), id.into(), now.into(), because.into(), but.into()]).await?;
        let ended = rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?;
        tx.commit().await?;
        for id in ended.into_iter().flatten() {
            self.ended(id).await;
        }
        Ok(())
    }

    /// Ends every open session of a member.
    pub(super) async fn end_sessions_of(&self, workspace: Uuid, member: Uuid, because: &str) -> Result<()> {
        self.end_sessions(workspace, ("member_id", member), None, because).await
    }

    /// Whether the session behind an access token is still open.
    pub(super) async fn check_session(&self, claims: &Claims) -> Result<()> {
        let tx = self.db.begin(&Scope::workspace(claims.workspace), Mode::Read).await?;
        let found = session::Entity::find_by_id((claims.workspace, claims.session)).one(&tx).await?;
        let active = active_member(&tx, claims.workspace, claims.member).await?;
        tx.commit().await?;
        let open = found.is_some_and(|found| found.revoked_at.is_none() && found.member_id == claims.member);
        if open && active { Ok(()) } else { Err(refused()) }
    }
}

pub(super) async fn active_member(tx: &Tx, workspace: Uuid, id: Uuid) -> Result<bool> {
    let found = member::Entity::find_by_id((workspace, id)).one(tx).await?;
    Ok(found.is_some_and(|member| member.deleted_at.is_none() && member.status == "ACTIVE"))
}

async fn revoke(tx: &Tx, found: &session::Model, now: Micros, because: &str) -> Result<()> {
    let mut model = found.clone().into_active_model();
    model.revoked_at = Set(Some(now));
    model.revoked_because = Set(Some(because.to_owned()));
    model.update(tx).await?;
    Ok(())
}

/// The session that a refresh token belongs to: workspace and id. Whether it is good is another question.
pub fn session_of_refresh(token: &str) -> Option<(Uuid, Uuid)> {
    parse_refresh(token).map(|(workspace, session, _)| (workspace, session))
}

fn parse_refresh(token: &str) -> Option<(Uuid, Uuid, &str)> {
    let mut parts = token.split('.');
    let (prefix, workspace, session, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (prefix == REFRESH_PREFIX && parts.next().is_none()).then_some(())?;
    Some((workspace.parse().ok()?, session.parse().ok()?, secret))
}

pub(super) fn later(now: Micros, by: std::time::Duration) -> Micros {
    Micros(now.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}
