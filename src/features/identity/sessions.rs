//! Sign-in, refresh, sign-out.

use entity::{Micros, member, membership, session, user_account, workspace};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::tokens::Claims;
use super::{Identity, digest, new_secret, refused, same};
use crate::error::Result;
use crate::infra::db::{Mode, Scope, Tx};

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

/// What came of a sign-in.
pub enum SignedIn {
    Session(Tokens),
    /// The user belongs to several workspaces and must say which: id and name.
    ChooseWorkspace(Vec<(Uuid, String)>),
    /// Wrong address or password, or no place to go; it is not told which.
    Refused,
}

impl Identity {
    pub async fn sign_in(&self, email: &str, password: &str, wanted: Option<Uuid>) -> Result<SignedIn> {
        let email = email.trim().to_lowercase();
        let scope = Scope { sign_in_email: Some(email.clone()), ..Scope::default() };
        let tx = self.db.begin(&scope, Mode::Read).await?;
        let user = user_account::Entity::find().filter(user_account::Column::Email.eq(email)).one(&tx).await?;
        tx.commit().await?;
        let kept = user.as_ref().and_then(|user| user.password_hash.clone());
        if !self.hasher.verify(password.to_owned(), kept).await? {
            return Ok(SignedIn::Refused);
        }
        let Some(user) = user else { return Ok(SignedIn::Refused) };
        let places = self.places(user.id).await?;
        match (places.as_slice(), wanted) {
            ([only], None) => self.open_session(user.id, only.0, only.2).await.map(SignedIn::Session),
            (places, Some(wanted)) => match places.iter().find(|(workspace, ..)| *workspace == wanted) {
                Some((workspace, _, member)) => self.open_session(user.id, *workspace, *member).await.map(SignedIn::Session),
                None => Ok(SignedIn::Refused),
            },
            ([], None) => Ok(SignedIn::Refused),
            (places, None) => Ok(SignedIn::ChooseWorkspace(places.iter().map(|(id, name, _)| (*id, name.clone())).collect())),
        }
    }

    /// The workspaces where a user is an active member: id, name, member.
    async fn places(&self, user: Uuid) -> Result<Vec<(Uuid, String, Uuid)>> {
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Read).await?;
        let query = membership::Entity::find().filter(membership::Column::UserId.eq(user)).order_by_asc(membership::Column::CreatedAt);
        let memberships = query.all(&tx).await?;
        tx.commit().await?;
        let mut places = Vec::new();
        for found in memberships {
            let tx = self.db.begin(&Scope::workspace(found.workspace_id), Mode::Read).await?;
            let workspace = workspace::Entity::find_by_id(found.workspace_id).one(&tx).await?;
            let active = active_member(&tx, found.workspace_id, found.member_id).await?;
            tx.commit().await?;
            if let (Some(workspace), true) = (workspace, active) {
                places.push((workspace.id, workspace.name, found.member_id));
            }
        }
        Ok(places)
    }

    pub async fn open_session(&self, user: Uuid, workspace: Uuid, member: Uuid) -> Result<Tokens> {
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
        };
        session::Entity::insert(model.into_active_model()).exec_without_returning(&tx).await?;
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
    pub async fn refresh(&self, token: &str) -> Result<Tokens> {
        let (workspace, id, secret) = parse_refresh(token).ok_or_else(refused)?;
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
        let now = self.clock.now();
        let found = session::Entity::find_by_id((workspace, id)).one(&tx).await?;
        let found = found.filter(|found| found.revoked_at.is_none() && found.expires_at > now).ok_or_else(refused)?;
        let hash = digest(secret);
        if !same(&found.token_hash, &hash) {
            // Whoever knows the session but not its latest secret has an old token, or guesses.
            revoke(&tx, &found, now, "REUSED").await?;
            tx.commit().await?;
            self.ended(id).await;
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
    pub async fn sign_out(&self, workspace: Uuid, id: Uuid) -> Result<()> {
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
        if let Some(found) = session::Entity::find_by_id((workspace, id)).one(&tx).await? {
            revoke(&tx, &found, self.clock.now(), "SIGNED_OUT").await?;
        }
        tx.commit().await?;
        self.ended(id).await;
        Ok(())
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

async fn active_member(tx: &Tx, workspace: Uuid, id: Uuid) -> Result<bool> {
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

fn parse_refresh(token: &str) -> Option<(Uuid, Uuid, &str)> {
    let mut parts = token.split('.');
    let (prefix, workspace, session, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (prefix == REFRESH_PREFIX && parts.next().is_none()).then_some(())?;
    Some((workspace.parse().ok()?, session.parse().ok()?, secret))
}

fn later(now: Micros, by: std::time::Duration) -> Micros {
    Micros(now.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}
