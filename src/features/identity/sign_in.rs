//! The way in: a password, a link from a mail or another issuer says who somebody is; then a second
//! factor, where the user has one; then the workspace, where there are several.
//!
//! Between the steps stands a token that is good once and for minutes. Nothing on the way tells
//! whether an address is known: not the words, not the code, not the time it takes.

use entity::{membership, user_account, workspace};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::one_time::Purpose;
use super::sessions::{active_member, later};
use super::{Identity, Tokens};
use crate::error::Result;
use crate::infra::db::{Mode, Scope};
use crate::infra::mail::Letter;
use crate::platform::Origin;
use crate::platform::audit::{self, Action, Event};

/// What came of a step of a sign-in.
pub enum SignedIn {
    Session(Tokens),
    /// The user has a second factor: the token goes with its code.
    SecondFactor {
        token: String,
    },
    /// The user belongs to several workspaces and must say which: id and name.
    ChooseWorkspace {
        token: String,
        places: Vec<(Uuid, String)>,
    },
    /// Wrong address or password, or no place to go; it is not told which.
    Refused,
    /// Too many failures; for so many seconds nothing is tried.
    Wait(i64),
}

/// How far somebody has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    /// How they said who they are, for the audit.
    pub by: By,
    /// Whether they gave the code of their second factor.
    pub second_factor: bool,
    pub wanted: Option<Uuid>,
    /// When all of it must be done, in microseconds; none: not begun yet.
    pub until: Option<i64>,
    /// What the page that began it must prove to know: the SHA-256 of a verifier, in base64.
    pub challenge: Option<String>,
}

impl Standing {
    pub fn new(by: By, wanted: Option<Uuid>) -> Self {
        Self { by, second_factor: false, wanted, until: None, challenge: None }
    }

    /// Whether somebody is who began.
    fn is_begun_by(&self, verifier: Option<&str>) -> bool {
        use base64::Engine as _;
        use sha2::Digest as _;
        let hash = |verifier: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier));
        self.challenge.as_deref().is_none_or(|challenge| verifier.is_some_and(|verifier| super::same(&hash(verifier), challenge)))
    }
}

/// What somebody answers with who goes on with a sign-in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered<'a> {
    pub code: Option<&'a str>,
    pub wanted: Option<Uuid>,
    pub verifier: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum By {
    Password,
    Link,
    Issuer,
}

impl Identity {
    pub async fn sign_in(&self, email: &str, password: &str, wanted: Option<Uuid>, origin: &Origin) -> Result<SignedIn> {
        let email = email.trim().to_lowercase();
        let _turn = self.guard.turn(&email, origin).await;
        let wait = self.guard.must_wait(&email, origin).await?;
        if wait > 0 {
            return Ok(SignedIn::Wait(wait));
        }
        let user = self.account(&email).await?;
        let kept = user.as_ref().and_then(|user| user.password_hash.clone());
        if !self.hasher.verify(password.to_owned(), kept).await? {
            self.guard.note_failure(&email, origin).await?;
            self.audit_failure(user.map(|user| user.id), origin).await?;
            return Ok(SignedIn::Refused);
        }
        let Some(user) = user else { return Ok(SignedIn::Refused) };
        self.guard.forget_failures(&email, origin).await?;
        self.go_on(user, Standing::new(By::Password, wanted), origin).await
    }

    /// The next step of somebody who knows the token of the last one.
    pub async fn complete_sign_in(&self, token: &str, answered: Answered<'_>, origin: &Origin) -> Result<SignedIn> {
        let Answered { code, wanted, verifier } = answered;
        let Some(held) = self.look_at_token(Purpose::SignIn, token).await? else { return Ok(SignedIn::Refused) };
        let Some(user) = held.user else { return Ok(SignedIn::Refused) };
        let mut standing: Standing = serde_json::from_value(held.detail.clone())?;
        let Some(account) = self.account_by_id(user).await? else { return Ok(SignedIn::Refused) };
        if !standing.is_begun_by(verifier) || standing.until.is_some_and(|until| until < self.clock.now().0) {
            return Ok(SignedIn::Refused);
        }
        if account.totp_since.is_some() && !standing.second_factor {
            // Nothing was answered, so nothing is used up.
            let Some(code) = code else { return Ok(SignedIn::SecondFactor { token: token.to_owned() }) };
            // By user, wherever they come from: whoever gets here knows the password already.
            let (name, nowhere) = (format!("second-factor:{user}"), Origin::default());
            let _turn = self.guard.turn(&name, &nowhere).await;
            let wait = self.guard.must_wait(&name, &nowhere).await?;
            if wait > 0 {
                return Ok(SignedIn::Wait(wait));
            }
            if !self.check_second_factor(&account, code).await? {
                self.guard.note_failure(&name, &nowhere).await?;
                self.audit_failure(Some(user), origin).await?;
                return Ok(SignedIn::Refused);
            }
            self.guard.forget_failures(&name, &nowhere).await?;
            standing.second_factor = true;
        }
        standing.wanted = wanted.or(standing.wanted);
        let places = self.places(user).await?;
        if code.is_none() && standing.wanted.is_none() && places.len() > 1 {
            return Ok(SignedIn::ChooseWorkspace { token: token.to_owned(), places: named(&places) });
        }
        if !self.spend_token(&held).await? {
            return Ok(SignedIn::Refused);
        }
        self.go_on(account, standing, origin).await
    }

    /// Another session of the same user, in another of their workspaces. It ends with the one that asked.
    pub async fn switch_workspace(&self, from: (Uuid, Uuid), user: Uuid, wanted: Uuid, origin: &Origin) -> Result<SignedIn> {
        let (present, session) = from;
        let place = self.places(user).await?.into_iter().find(|(workspace, ..)| *workspace == wanted && wanted != present);
        let Some((workspace, _, member)) = place else { return Ok(SignedIn::Refused) };
        self.open_session_of(user, workspace, member, Some(session), origin).await.map(SignedIn::Session)
    }

    /// Goes on for somebody who was invited and gave their password.
    pub async fn enter(&self, user: Uuid, workspace: Uuid, origin: &Origin) -> Result<SignedIn> {
        match self.account_by_id(user).await? {
            Some(account) => self.go_on(account, Standing::new(By::Password, Some(workspace)), origin).await,
            None => Ok(SignedIn::Refused),
        }
    }

    /// Asks for what is still needed, or opens a session.
    pub(super) async fn go_on(&self, user: user_account::Model, mut standing: Standing, origin: &Origin) -> Result<SignedIn> {
        // All steps together take no longer than the first token was good for.
        standing.until.get_or_insert(later(self.clock.now(), Purpose::SignIn.lifetime()).0);
        if user.totp_since.is_some() && !standing.second_factor {
            let token = self.issue_token(Purpose::SignIn, Some(user.id), serde_json::to_value(&standing)?).await?;
            return Ok(SignedIn::SecondFactor { token });
        }
        let places = self.places(user.id).await?;
        let chosen = match (places.as_slice(), standing.wanted) {
            ([only], None) => Some(only),
            (places, Some(wanted)) => places.iter().find(|(workspace, ..)| *workspace == wanted),
            ([], None) => None,
            (places, None) => {
                let token = self.issue_token(Purpose::SignIn, Some(user.id), serde_json::to_value(&standing)?).await?;
                return Ok(SignedIn::ChooseWorkspace { token, places: named(places) });
            }
        };
        match chosen {
            Some((workspace, _, member)) => self.open_session(user.id, *workspace, *member, origin).await.map(SignedIn::Session),
            None => Ok(SignedIn::Refused),
        }
    }

    /// Mails a link that signs its reader in, if somebody has the address. The answer is the same
    /// either way.
    pub async fn send_magic_link(&self, email: &str, wanted: Option<Uuid>, origin: &Origin) -> Result<()> {
        let Some(user) = self.to_write_to(email, origin).await? else { return Ok(()) };
        let standing = Standing::new(By::Link, wanted);
        let token = self.issue_token(Purpose::SignIn, Some(user.id), serde_json::to_value(&standing)?).await?;
        let link = self.links.magic_link.replace("{token}", &token);
        let text = format!(
            "Hello {},\n\nthis link signs you in. It is good for 15 minutes, and once:\n\n{link}\n\nIf you did not ask for it, nothing has happened: throw this mail away.\n",
            user.name
        );
        self.mailer.post(Letter { to: user.email, subject: "Your sign-in link".into(), text });
        Ok(())
    }

    /// Mails a link with which a forgotten password can be changed. The answer is the same whether
    /// somebody has the address.
    pub async fn send_password_reset(&self, email: &str, origin: &Origin) -> Result<()> {
        let Some(user) = self.to_write_to(email, origin).await? else { return Ok(()) };
        let token = self.issue_token(Purpose::PasswordReset, Some(user.id), serde_json::json!({})).await?;
        let link = self.links.password_reset.replace("{token}", &token);
        let text = format!(
            "Hello {},\n\nwith this link you can set a new password. It is good for an hour, and once:\n\n{link}\n\nIf you did not ask for it, nothing has happened: throw this mail away.\n",
            user.name
        );
        self.mailer.post(Letter { to: user.email, subject: "Set a new password".into(), text });
        Ok(())
    }

    /// Sets a new password and ends every session of the user's. False: the token is not good.
    pub async fn reset_password(&self, token: &str, password: &str, origin: &Origin) -> Result<bool> {
        let Some(held) = self.look_at_token(Purpose::PasswordReset, token).await? else { return Ok(false) };
        let Some(user) = held.user else { return Ok(false) };
        let hash = self.hasher.hash(password.to_owned()).await?;
        if !self.spend_token(&held).await? {
            return Ok(false);
        }
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Write).await?;
        tx.run("UPDATE user_account SET password_hash = $2 WHERE id = $1", vec![user.into(), hash.into()]).await?;
        tx.commit().await?;
        self.void_tokens(user).await?;
        for (workspace, member) in self.memberships(user).await? {
            self.end_sessions_of(workspace, member, "PASSWORD_CHANGED").await?;
            let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
            audit::append(&tx, &Event::sign_in(workspace, Some(member), Action::PasswordChanged, origin, self.clock.now())).await?;
            tx.commit().await?;
        }
        Ok(true)
    }

    /// Who has the address, unless they were written to often enough just now.
    async fn to_write_to(&self, email: &str, origin: &Origin) -> Result<Option<user_account::Model>> {
        let email = email.trim().to_lowercase();
        let wait = self.guard.must_wait_to_mail(&email, origin).await?;
        let user = self.account(&email).await?.filter(|_| wait == 0);
        if user.is_none() {
            // As much work as a token is: the time it takes tells nothing.
            self.sweep_tokens().await?;
        }
        Ok(user)
    }

    pub(super) async fn account(&self, email: &str) -> Result<Option<user_account::Model>> {
        let scope = Scope { sign_in_email: Some(email.to_owned()), ..Scope::default() };
        let tx = self.db.begin(&scope, Mode::Read).await?;
        let user = user_account::Entity::find().filter(user_account::Column::Email.eq(email)).one(&tx).await?;
        tx.commit().await?;
        Ok(user)
    }

    pub(super) async fn account_by_id(&self, user: Uuid) -> Result<Option<user_account::Model>> {
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Read).await?;
        let found = user_account::Entity::find_by_id(user).one(&tx).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// A wrong password or code stands in the audit of every workspace that the user belongs to.
    pub(super) async fn audit_failure(&self, user: Option<Uuid>, origin: &Origin) -> Result<()> {
        let Some(user) = user else { return Ok(()) };
        for (workspace, _, member) in self.places(user).await? {
            let tx = self.db.begin(&Scope::workspace(workspace), Mode::Write).await?;
            audit::append(&tx, &Event::sign_in(workspace, Some(member), Action::SignInFailed, origin, self.clock.now())).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Where a user is a member, active or not: workspace, member.
    pub(super) async fn memberships(&self, user: Uuid) -> Result<Vec<(Uuid, Uuid)>> {
        let tx = self.db.begin(&Scope { user: Some(user), ..Scope::default() }, Mode::Read).await?;
        let found = membership::Entity::find().filter(membership::Column::UserId.eq(user)).all(&tx).await?;
        tx.commit().await?;
        Ok(found.into_iter().map(|found| (found.workspace_id, found.member_id)).collect())
    }

    /// The workspaces where a user is an active member: id, name, member.
    pub async fn places(&self, user: Uuid) -> Result<Vec<(Uuid, String, Uuid)>> {
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
}

fn named(places: &[(Uuid, String, Uuid)]) -> Vec<(Uuid, String)> {
    places.iter().map(|(id, name, _)| (*id, name.clone())).collect()
}
