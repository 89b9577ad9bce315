//! Reading the audit.

use std::borrow::Cow;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use entity::audit_entry;

use super::values::{Cursor, DateTime, PageInfo};
use crate::error::Error;
use crate::features::access::require;
use crate::graphql::errors::field_error;
use crate::graphql::request;
use crate::infra::db::Mode;
use crate::platform::access::Setting;
use crate::platform::audit::{self, Action, Closing, Event, Wanted};

/// What was done, tried or read.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Action")]
pub enum AuditAction {
    /// Somebody signed in.
    SignIn,
    /// Somebody tried to sign in with a wrong password.
    SignInFailed,
    /// Somebody signed out.
    SignOut,
    /// A refresh token was used twice, so that its session was ended.
    SessionReused,
    /// Somebody ended one of their sessions.
    SessionRevoked,
    /// Somebody changed their password.
    PasswordChanged,
    /// Somebody turned a second factor on.
    SecondFactorOn,
    /// Somebody turned their second factor off.
    SecondFactorOff,
    /// Somebody signed in with another issuer for the first time.
    IssuerLinked,
    /// An API key was made.
    KeyCreated,
    /// An API key was ended.
    KeyRevoked,
    /// An API key was used, for the first time in a day.
    KeyUsed,
    /// A key made an embed token.
    TokenCreated,
    /// An application was made, or its documents were changed.
    ApplicationChanged,
    /// Somebody was invited.
    InvitationSent,
    /// Somebody accepted an invitation.
    InvitationAccepted,
    /// A role was made, changed or deleted.
    RoleChanged,
    /// A member or a key was given other roles.
    RolesGiven,
    /// A team was made, changed or deleted.
    TeamChanged,
    /// A record was shared.
    RecordShared,
    /// A share was taken back.
    RecordUnshared,
    /// The workspace's settings were changed.
    WorkspaceChanged,
    /// A field was made, changed or archived.
    DataModelChanged,
    /// Somebody was refused what their roles do not allow.
    Refused,
    /// Somebody read a sensitive field of a record.
    SensitiveRead,
    /// Somebody read the audit.
    AuditRead,
    /// Somebody exported the audit.
    AuditExported,
    /// Entries that were old enough were removed; the entry says up to which, and with which hash they ended.
    AuditExpired,
    /// A webhook was made, changed, tried again or switched off.
    WebhookChanged,
    /// An inbound hook was made, changed, or got a new secret.
    InboundHookChanged,
    /// Somebody had a job done again.
    JobRetried,
    /// Somebody let a reader of the change log go on from another place.
    LogReaderMoved,
}

/// One entry of the audit.
pub struct AuditEntry(audit_entry::Model);

/// One entry of the audit.
#[Object]
impl AuditEntry {
    /// Its number: entries are numbered without gaps.
    async fn seq(&self) -> i64 {
        self.0.seq
    }

    /// When.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// What.
    async fn action(&self) -> Option<AuditAction> {
        let known = Action::ALL.iter().find(|(_, name)| *name == self.0.action);
        known.map(|(action, _)| (*action).into())
    }

    /// Who: the id of a member or an API key.
    async fn actor_id(&self) -> Option<ID> {
        self.0.actor_id.map(ID::from)
    }

    /// Which of the two: `MEMBER`, `API_KEY`, or `SYSTEM` for the server itself.
    async fn actor_kind(&self) -> &str {
        &self.0.actor_kind
    }

    /// Whom or what it was done to.
    async fn subject_id(&self) -> Option<ID> {
        self.0.subject_id.map(ID::from)
    }

    /// What else there is to say, as JSON text.
    async fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The network address that the request came from.
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// The program that sent it, as it called itself.
    async fn user_agent(&self) -> Option<&str> {
        self.0.user_agent.as_deref()
    }

    /// The request's id, as in the server's log.
    async fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The entry's hash, which covers it and the hash before it.
    async fn hash(&self) -> &str {
        &self.0.hash
    }
}

/// Which entries to read; all that is given must hold.
#[derive(InputObject, Default)]
pub struct AuditFilter {
    /// One of these actions.
    actions: Option<Vec<AuditAction>>,
    /// Done by this member or key.
    actor: Option<ID>,
    /// Done to this.
    subject: Option<ID>,
    /// From this time on.
    from: Option<DateTime>,
    /// Before this time.
    to: Option<DateTime>,
}

/// An entry, and its place in the audit.
#[derive(SimpleObject)]
pub struct AuditEdge {
    /// The entry.
    node: AuditEntry,
    /// Its place.
    cursor: Cursor,
}

/// A page of the audit, newest first.
pub struct AuditConnection {
    rows: Vec<audit_entry::Model>,
    has_more: bool,
    is_first: bool,
}

/// A page of the audit, newest first.
#[Object]
impl AuditConnection {
    /// The entries with their places.
    async fn edges(&self) -> Vec<AuditEdge> {
        self.rows.iter().map(|row| AuditEdge { node: AuditEntry(row.clone()), cursor: Cursor(row.seq.to_string()) }).collect()
    }

    /// The entries.
    async fn nodes(&self) -> Vec<AuditEntry> {
        self.rows.iter().cloned().map(AuditEntry).collect()
    }

    /// Whether there is more, and where.
    async fn page_info(&self) -> PageInfo {
        let cursor = |row: Option<&audit_entry::Model>| row.map(|row| Cursor(row.seq.to_string()));
        PageInfo {
            has_next_page: self.has_more,
            has_previous_page: !self.is_first,
            start_cursor: cursor(self.rows.first()),
            end_cursor: cursor(self.rows.last()),
        }
    }
}

/// Whether the audit is as it was written.
#[derive(SimpleObject)]
pub struct AuditVerdict {
    /// Whether every entry that was looked at is there and unchanged.
    intact: bool,
    /// How many entries were looked at.
    checked: i64,
    /// The number of the first entry that is changed or missing.
    broken_at: Option<i64>,
    /// The number of the last entry that was let go for its age; null if none was.
    closed_through: Option<i64>,
    /// Whether the record of that is signed with a key that this server knows; null if none was let go.
    closing_signed: Option<bool>,
}

/// The most entries of a page.
const MOST_ENTRIES: i32 = 200;

#[derive(Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Who signed in, changed permissions, made keys, was refused. Needs AUDIT; reading it is an entry
    /// itself. What changed records is told by their history.
    async fn audit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which entries.")] filter: Option<AuditFilter>,
        #[graphql(desc = "How many, at most 200.", default = 50)] first: i32,
        #[graphql(desc = "Begin after this place.")] after: Option<Cursor>,
    ) -> Result<AuditConnection> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        require(&signed.ctx, Setting::Audit).map_err(|e| field_error(&e))?;
        let refuse = |message: Cow<'static, str>| field_error(&Error::bad_request(message));
        if !(0..=MOST_ENTRIES).contains(&first) {
            return Err(refuse("`first` is a number from 0 to 200.".into()));
        }
        let before = after.as_ref().map(|cursor| cursor.0.parse::<i64>()).transpose();
        let before = before.map_err(|_| refuse("`after` is no cursor of this list.".into()))?;
        let wanted = wanted(filter.unwrap_or_default(), before).map_err(|name| refuse(format!("`{name}` makes no sense.").into()))?;
        let limit = u64::try_from(first).unwrap_or(0);
        let read = async {
            // A transaction of its own: the query's snapshot cannot write.
            let tx = request.app.db.begin(&signed.ctx.system_scope(), Mode::Write).await?;
            let rows = audit::find(&tx, signed.ctx.workspace, &wanted, limit + 1).await?;
            let detail = serde_json::json!({ "entries": rows.len().min(usize::try_from(limit).unwrap_or(0)) });
            audit::append(&tx, &Event::of(&signed.ctx, Action::AuditRead, None, detail)).await?;
            tx.commit().await?;
            Ok::<_, Error>(rows)
        };
        let mut rows = read.await.map_err(|e| field_error(&e))?;
        let has_more = u64::try_from(rows.len()).unwrap_or(0) > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(AuditConnection { rows, has_more, is_first: after.is_none() })
    }

    /// Recomputes the chain of the audit's hashes: whether an entry was changed or removed behind the
    /// server's back. Needs AUDIT.
    async fn verify_audit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From the entry with this number on; without it from the beginning.")] from: Option<i64>,
        #[graphql(desc = "Up to the entry with this number; without it to the end.")] to: Option<i64>,
    ) -> Result<AuditVerdict> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        require(&signed.ctx, Setting::Audit).map_err(|e| field_error(&e))?;
        let tx = request.snapshot().await.map_err(|e| field_error(&e))?;
        let verdict = audit::verify(&tx, signed.ctx.workspace, from, to).await.map_err(|e| field_error(&e))?;
        let signed = |(closing, signature): &(Closing, String)| request.app.identity.signed_closing(signature).as_ref() == Some(closing);
        let closing_signed = verdict.closed.as_ref().map(signed);
        Ok(AuditVerdict {
            // Whoever writes a closing record that is not signed may be hiding what stood before it.
            intact: verdict.broken_at.is_none() && closing_signed != Some(false),
            checked: verdict.checked,
            broken_at: verdict.broken_at,
            closed_through: verdict.closed.as_ref().map(|(closing, _)| closing.through),
            closing_signed,
        })
    }
}

/// The filter as the audit reads it, or the name of what makes no sense.
fn wanted(filter: AuditFilter, before: Option<i64>) -> Result<Wanted, &'static str> {
    let id = |given: Option<ID>, name| given.map(|id| id.parse().map_err(|_| name)).transpose();
    let time = |given: Option<DateTime>, name| given.map(|at| at.micros().ok_or(name)).transpose();
    Ok(Wanted {
        actions: filter.actions.into_iter().flatten().map(Action::from).collect(),
        actor: id(filter.actor, "actor")?,
        subject: id(filter.subject, "subject")?,
        from: time(filter.from, "from")?,
        to: time(filter.to, "to")?,
        before,
    })
}
