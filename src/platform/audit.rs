//! The audit: who did, tried or read what, from where.
//!
//! What changes records stands in the change log. Here stands the rest: sign-ins and their failures,
//! permissions, keys, exports, refusals, reading the audit itself. Entries are append-only (the
//! server's role cannot change or delete one; on SQLite a trigger refuses it) and chained: an entry's
//! hash covers it and the hash before it, so that whoever changes one, behind the server's back, has
//! to change all that follow, and [`verify`] finds it.

use entity::{Micros, audit_entry};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

mod expire;

pub use expire::{Class, Closing, Retention, expire};

use super::idempotency::Underway;
use super::{Actor, ActorKind, Ctx, Origin};
use crate::error::{Error, Result};
use crate::infra::db::{Backend, Tx};

/// What was done, tried or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    SignIn,
    SignInFailed,
    SignOut,
    SessionReused,
    SessionRevoked,
    PasswordChanged,
    SecondFactorOn,
    SecondFactorOff,
    IssuerLinked,
    KeyCreated,
    KeyRevoked,
    KeyUsed,
    TokenCreated,
    ApplicationChanged,
    InvitationSent,
    InvitationAccepted,
    RoleChanged,
    RolesGiven,
    TeamChanged,
    RecordShared,
    RecordUnshared,
    WorkspaceChanged,
    DataModelChanged,
    Refused,
    SensitiveRead,
    AuditRead,
    AuditExported,
    AuditExpired,
    WebhookChanged,
    InboundHookChanged,
    JobRetried,
    LogReaderMoved,
}

impl Action {
    /// All of them, with what they mean: the API's enum is made of this.
    pub const ALL: [(Self, &'static str); 32] = [
        (Self::SignIn, "SIGN_IN"),
        (Self::SignInFailed, "SIGN_IN_FAILED"),
        (Self::SignOut, "SIGN_OUT"),
        (Self::SessionReused, "SESSION_REUSED"),
        (Self::SessionRevoked, "SESSION_REVOKED"),
        (Self::PasswordChanged, "PASSWORD_CHANGED"),
        (Self::SecondFactorOn, "SECOND_FACTOR_ON"),
        (Self::SecondFactorOff, "SECOND_FACTOR_OFF"),
        (Self::IssuerLinked, "ISSUER_LINKED"),
        (Self::KeyCreated, "KEY_CREATED"),
        (Self::KeyRevoked, "KEY_REVOKED"),
        (Self::KeyUsed, "KEY_USED"),
        (Self::TokenCreated, "TOKEN_CREATED"),
        (Self::ApplicationChanged, "APPLICATION_CHANGED"),
        (Self::InvitationSent, "INVITATION_SENT"),
        (Self::InvitationAccepted, "INVITATION_ACCEPTED"),
        (Self::RoleChanged, "ROLE_CHANGED"),
        (Self::RolesGiven, "ROLES_GIVEN"),
        (Self::TeamChanged, "TEAM_CHANGED"),
        (Self::RecordShared, "RECORD_SHARED"),
        (Self::RecordUnshared, "RECORD_UNSHARED"),
        (Self::WorkspaceChanged, "WORKSPACE_CHANGED"),
        (Self::DataModelChanged, "DATA_MODEL_CHANGED"),
        (Self::Refused, "REFUSED"),
        (Self::SensitiveRead, "SENSITIVE_READ"),
        (Self::AuditRead, "AUDIT_READ"),
        (Self::AuditExported, "AUDIT_EXPORTED"),
        (Self::AuditExpired, "AUDIT_EXPIRED"),
        (Self::WebhookChanged, "WEBHOOK_CHANGED"),
        (Self::InboundHookChanged, "INBOUND_HOOK_CHANGED"),
        (Self::JobRetried, "JOB_RETRIED"),
        (Self::LogReaderMoved, "LOG_READER_MOVED"),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, name)| name)
    }
}

/// Something to be remembered.
#[derive(Clone, Debug)]
pub struct Event {
    pub workspace: Uuid,
    pub action: Action,
    pub actor: Actor,
    /// Whom or what it was done to.
    pub subject: Option<Uuid>,
    pub detail: Json,
    pub origin: Origin,
    pub request_id: Option<String>,
    pub at: Micros,
    /// What is done with it.
    pub under: Underway,
}

impl Event {
    /// Something that the caller did.
    pub fn of(ctx: &Ctx, action: Action, subject: Option<Uuid>, detail: Json) -> Self {
        Self {
            workspace: ctx.workspace,
            action,
            actor: ctx.actor,
            subject,
            detail,
            origin: ctx.origin.clone(),
            request_id: ctx.request_id.clone(),
            at: ctx.now(),
            under: ctx.underway.clone(),
        }
    }

    /// Something that the server did by itself.
    pub fn by_server(workspace: Uuid, action: Action, subject: Option<Uuid>, detail: Json, at: Micros) -> Self {
        Self {
            workspace,
            action,
            actor: Actor::SYSTEM,
            subject,
            detail,
            origin: Origin::default(),
            request_id: None,
            at,
            under: Underway::default(),
        }
    }
}

/// Appends an entry, in the transaction of what it tells of. The workspace's head is locked until the
/// commit, so this comes late in a transaction, before the change log.
pub async fn append(tx: &Tx, event: &Event) -> Result<()> {
    let lock = if tx.backend() == Backend::Postgres { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT seq, hash FROM audit_head WHERE workspace_id = $1{lock}");
    let head = tx.fetch_optional(&sql, vec![event.workspace.into()]).await?.ok_or_else(|| Error::fault("the workspace has no audit"))?;
    let seq = head.int(0)?.unwrap_or(0) + 1;
    let mut row = audit_entry::Model {
        workspace_id: event.workspace,
        seq,
        at: event.at,
        action: event.action.as_str().to_owned(),
        actor_kind: event.actor.kind.as_str().to_owned(),
        actor_id: event.actor.id,
        subject_id: event.subject,
        detail: event.detail.to_string(),
        address: event.origin.address.clone(),
        user_agent: event.origin.user_agent.clone(),
        request_id: event.request_id.clone(),
        hash: String::new(),
    };
    row.hash = hash(head.text(1)?.unwrap_or_default(), &row);
    let update = "UPDATE audit_head SET seq = $2, hash = $3 WHERE workspace_id = $1";
    tx.run(update, vec![event.workspace.into(), seq.into(), row.hash.clone().into()]).await?;
    audit_entry::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    event.under.mark(tx, event.at).await
}

/// The hash of an entry: SHA-256 over the one before and every column, each with its length, so that
/// no two entries read alike.
fn hash(before: &str, row: &audit_entry::Model) -> String {
    let mut digest = Sha256::new();
    let optional = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let parts = [
        before.to_owned(),
        row.workspace_id.to_string(),
        row.seq.to_string(),
        row.at.0.to_string(),
        row.action.clone(),
        row.actor_kind.clone(),
        optional(row.actor_id),
        optional(row.subject_id),
        row.detail.clone(),
        row.address.clone().unwrap_or_default(),
        row.user_agent.clone().unwrap_or_default(),
        row.request_id.clone().unwrap_or_default(),
    ];
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(digest.finalize())
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub actions: Vec<Action>,
    pub actor: Option<Uuid>,
    pub subject: Option<Uuid>,
    pub from: Option<Micros>,
    pub to: Option<Micros>,
    /// Entries before this one.
    pub before: Option<i64>,
}

/// The latest entries that match, newest first.
pub async fn find(tx: &Tx, workspace: Uuid, wanted: &Wanted, limit: u64) -> Result<Vec<audit_entry::Model>> {
    use audit_entry::Column;
    let mut query = audit_entry::Entity::find().filter(Column::WorkspaceId.eq(workspace));
    if !wanted.actions.is_empty() {
        query = query.filter(Column::Action.is_in(wanted.actions.iter().map(|action| action.as_str())));
    }
    if let Some(actor) = wanted.actor {
        query = query.filter(Column::ActorId.eq(actor));
    }
    if let Some(subject) = wanted.subject {
        query = query.filter(Column::SubjectId.eq(subject));
    }
    if let Some(from) = wanted.from {
        query = query.filter(Column::At.gte(from));
    }
    if let Some(to) = wanted.to {
        query = query.filter(Column::At.lt(to));
    }
    if let Some(before) = wanted.before {
        query = query.filter(Column::Seq.lt(before));
    }
    Ok(query.order_by_desc(Column::Seq).limit(limit).all(tx).await?)
}

/// Entries after the one with a number, oldest first.
pub async fn following(tx: &Tx, workspace: Uuid, after: i64, limit: u64) -> Result<Vec<audit_entry::Model>> {
    use audit_entry::Column;
    let query = audit_entry::Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Seq.gt(after));
    Ok(query.order_by_asc(Column::Seq).limit(limit).all(tx).await?)
}

/// Whether the chain holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries were looked at.
    pub checked: i64,
    /// The first entry that is not as it was written, or missing.
    pub broken_at: Option<i64>,
    /// The entry up to which old ones were let go, and the signature that says so.
    pub closed: Option<(Closing, String)>,
}

/// Entries looked at in one go.
const BATCH: u64 = 1_000;

/// Recomputes the chain from the entry `from`, or from its beginning, up to `to`, or to its end.
pub async fn verify(tx: &Tx, workspace: Uuid, from: Option<i64>, to: Option<i64>) -> Result<Verdict> {
    let closed = closing(tx, workspace).await?;
    let (first, hash_before) = closed.as_ref().map_or((0, String::new()), |(closing, _)| (closing.through, closing.hash.clone()));
    let mut verdict = Verdict { closed, ..Verdict::default() };
    let begin = from.map_or(first, |from| from - 1).max(first);
    let (mut seq, mut before) = (begin, hash_before);
    if begin > first {
        // A range begins with the hash that the entry before it has.
        let found = audit_entry::Entity::find_by_id((workspace, begin)).one(tx).await?;
        let Some(found) = found else { return Ok(Verdict { broken_at: Some(begin), ..verdict }) };
        before = found.hash;
    }
    loop {
        let rows = following(tx, workspace, seq, BATCH).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if to.is_some_and(|to| row.seq > to) {
                return Ok(verdict);
            }
            if row.seq != seq + 1 || row.hash != hash(&before, &row) {
                return Ok(Verdict { broken_at: Some(seq + 1), ..verdict });
            }
            verdict.checked += 1;
            seq = row.seq;
            before = row.hash;
        }
    }
    let sql = "SELECT seq, hash FROM audit_head WHERE workspace_id = $1";
    let head = tx.fetch_optional(sql, vec![workspace.into()]).await?.ok_or_else(|| Error::fault("the workspace has no audit"))?;
    let whole = head.int(0)? == Some(seq) && head.text(1)?.unwrap_or_default() == before;
    verdict.broken_at = if whole { None } else { Some(seq + 1) };
    Ok(verdict)
}

/// The latest closing record: where the chain begins.
async fn closing(tx: &Tx, workspace: Uuid) -> Result<Option<(Closing, String)>> {
    let wanted = Wanted { actions: vec![Action::AuditExpired], ..Wanted::default() };
    let Some(row) = find(tx, workspace, &wanted, 1).await?.into_iter().next() else { return Ok(None) };
    let detail: Json = serde_json::from_str(&row.detail)?;
    let (through, hash) = (detail["through"].as_i64().unwrap_or(0), detail["hash"].as_str().unwrap_or_default().to_owned());
    Ok(Some((Closing { workspace, through, hash }, detail["signature"].as_str().unwrap_or_default().to_owned())))
}

impl Event {
    /// Something that happened to a workspace's sign-in, where nobody is signed in (yet).
    pub fn sign_in(workspace: Uuid, member: Option<Uuid>, action: Action, origin: &Origin, at: Micros) -> Self {
        let actor = Actor { kind: ActorKind::Member, id: member };
        Self {
            workspace,
            action,
            actor,
            subject: member,
            detail: Json::Null,
            origin: origin.clone(),
            request_id: None,
            at,
            under: Underway::default(),
        }
    }
}
