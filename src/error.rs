//! What can go wrong, in two kinds.
//!
//! A [`Refusal`] is for the caller: it has a code that programs can act on, a message that a
//! developer can read, and a path into what was sent. A [`Fault`] is ours, and may be over when the request is sent
//! again: the caller sees of what kind it is, and its id; the log has the whole of it under the same id.

use std::fmt;

use uuid::Uuid;

use crate::infra::db;

/// Why a request as a whole was not served; becomes a GraphQL error with `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Unauthenticated,
    Forbidden,
    BadRequest,
    RateLimited,
    /// The history of that time is not kept any more.
    HistoryExpired,
    /// The record is younger than the instant that was asked for.
    NotYetCreated,
    /// Done by an earlier request with the same idempotency key, which told a secret.
    AlreadyIssued,
    /// An earlier request with the same idempotency key is not over.
    IdempotencyInProgress,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
}

impl Code {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::BadRequest => "BAD_REQUEST",
            Self::RateLimited => "RATE_LIMITED",
            Self::HistoryExpired => "HISTORY_EXPIRED",
            Self::NotYetCreated => "NOT_YET_CREATED",
            Self::AlreadyIssued => "ALREADY_ISSUED",
            Self::IdempotencyInProgress => "IDEMPOTENCY_IN_PROGRESS",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
        }
    }
}

/// A request that cannot be served, and why, in words for the developer who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    /// Where in the arguments the reason lies, outermost first.
    pub path: Vec<String>,
}

/// What the server could not do, although there is nothing wrong with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Something that should not have happened. Shown as an id.
    Internal,
    /// The database cannot be reached, or has no connection left.
    Unavailable,
    /// The database has no room to write.
    StorageFull,
    /// The database took longer than it is given.
    Timeout,
}

impl FaultKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::StorageFull => "STORAGE_FULL",
            Self::Timeout => "TIMEOUT",
        }
    }
}

/// Something that is ours. The log has more under the same id.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub id: Uuid,
    /// The database asks to try again: a deadlock, or two creations of the same thing at once.
    pub retry: bool,
}

#[derive(Clone, Debug)]
pub enum Error {
    Refused(Refusal),
    Fault(Fault),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn refuse(code: Code, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { code, message: message.into(), path: Vec::new() })
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::refuse(Code::BadRequest, message)
    }

    /// The caller's roles do not allow it.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::refuse(Code::Forbidden, message)
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::refuse(Code::Unauthenticated, message)
    }

    /// What programs tell it by.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code.as_str(),
            Self::Fault(fault) => fault.kind.as_str(),
        }
    }

    /// Puts one more step in front of a refusal's path; faults have none.
    #[must_use]
    pub fn within(mut self, step: impl Into<String>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.path.insert(0, step.into());
        }
        self
    }

    /// Logs what happened and keeps only its id.
    pub fn fault(cause: impl fmt::Display) -> Self {
        Self::fault_of(FaultKind::Internal, cause)
    }

    /// Nobody waited any longer.
    pub fn timeout() -> Self {
        Self::fault_of(FaultKind::Timeout, "the deadline is over")
    }

    #[expect(clippy::disallowed_methods, reason = "a fault's id only joins an answer to the log; faults happen where no Ctx is at hand")]
    fn fault_of(kind: FaultKind, cause: impl fmt::Display) -> Self {
        let id = Uuid::now_v7();
        match kind {
            // The request's own doing, as a rule.
            FaultKind::Timeout => tracing::warn!(fault = %id, "{cause}"),
            _ => tracing::error!(fault = %id, "{cause}"),
        }
        Self::Fault(Fault { kind, id, retry: false })
    }

    /// What the database says went wrong.
    fn of_database(error: &sqlx::Error) -> Self {
        let kind = match error {
            error if db::is_timeout(error) => FaultKind::Timeout,
            error if db::is_full(error) => FaultKind::StorageFull,
            error if db::is_away(error) => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        };
        let made = Self::fault_of(kind, format!("database: {error}"));
        match made {
            Self::Fault(fault) => Self::Fault(Fault { retry: db::wants_retry(error), ..fault }),
            refused @ Self::Refused(_) => refused,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{}: {}", refusal.code.as_str(), refusal.message),
            Self::Fault(fault) => write!(f, "internal fault {}", fault.id),
        }
    }
}

impl std::error::Error for Error {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of_database(&error)
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        use sea_orm::{DbErr, RuntimeErr};
        match &error {
            DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner))
            | DbErr::Conn(RuntimeErr::SqlxError(inner)) => Self::of_database(inner),
            _ => Self::fault(format!("database: {error}")),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::fault(format!("stored JSON: {error}"))
    }
}

/// What a caller can expect to go wrong in a write: data in `userErrors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserErrorCode {
    Required,
    InvalidValue,
    Taken,
    Duplicate,
    Conflict,
    NotFound,
    NotWritable,
    RuleRefused,
    Limit,
    RolledBack,
    FeatureUnavailable,
}

impl UserErrorCode {
    /// All of them, with what they mean: the API's enum is made of this.
    pub const ALL: [(Self, &'static str, &'static str); 11] = [
        (Self::Required, "REQUIRED", "A value is missing."),
        (Self::InvalidValue, "INVALID_VALUE", "A value has the wrong form or lies out of range."),
        (Self::Taken, "TAKEN", "A unique value belongs to another record."),
        (Self::Duplicate, "DUPLICATE", "It looks like records that are there already; see `records`."),
        (Self::Conflict, "CONFLICT", "The record was changed by somebody else; see `conflict`."),
        (Self::NotFound, "NOT_FOUND", "There is no such record, or it is not visible."),
        (Self::NotWritable, "NOT_WRITABLE", "The field cannot be written."),
        (Self::RuleRefused, "RULE_REFUSED", "A rule of the object does not allow it."),
        (Self::Limit, "LIMIT", "More than is allowed at once."),
        (Self::FeatureUnavailable, "FEATURE_UNAVAILABLE", "This server was not set up for it; its operator can do that."),
        (Self::RolledBack, "ROLLED_BACK", "Nothing is wrong with this item, but another one failed and all were undone."),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(code, ..)| *code == self).map_or("", |(_, name, _)| name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserError {
    pub code: UserErrorCode,
    pub message: String,
    /// Where in the input.
    pub path: Vec<String>,
    /// The records that it is about.
    pub records: Vec<Uuid>,
}

impl UserError {
    pub fn new(code: UserErrorCode, path: &[&str], message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: path.iter().map(|step| (*step).to_owned()).collect(), records: Vec::new() }
    }

    #[must_use]
    pub fn within(mut self, steps: &[String]) -> Self {
        self.path.splice(0..0, steps.iter().cloned());
        self
    }
}
