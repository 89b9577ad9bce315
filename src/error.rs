//! What can go wrong, in two kinds.
//!
//! A [`Refusal`] is for the caller: it has a code that programs can act on, a message that a
//! developer can read, and a path into what was sent. A [`Fault`] is ours: the caller sees its id
//! and nothing else, the log has the whole of it under the same id.

use std::fmt;

use uuid::Uuid;

/// Why a request as a whole was not served; becomes a GraphQL error with `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Unauthenticated,
    Forbidden,
    BadRequest,
    RateLimited,
    Timeout,
    /// The history of that time is not kept any more.
    HistoryExpired,
    /// The record is younger than the instant that was asked for.
    NotYetCreated,
    /// The server has no room to write.
    StorageFull,
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
            Self::Timeout => "TIMEOUT",
            Self::HistoryExpired => "HISTORY_EXPIRED",
            Self::NotYetCreated => "NOT_YET_CREATED",
            Self::StorageFull => "STORAGE_FULL",
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

impl Refusal {
    /// Whether it is for now only: nobody who works by themselves gives up because of it.
    pub fn is_temporary(&self) -> bool {
        matches!(self.code, Code::Timeout | Code::StorageFull)
    }
}

/// Something that should not have happened. Shown as an id.
#[derive(Clone, Debug)]
pub struct Fault {
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

    /// Puts one more step in front of a refusal's path; faults have none.
    #[must_use]
    pub fn within(mut self, step: impl Into<String>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.path.insert(0, step.into());
        }
        self
    }

    /// Logs what happened and keeps only its id.
    #[expect(clippy::disallowed_methods, reason = "a fault's id only joins an answer to the log; faults happen where no Ctx is at hand")]
    pub fn fault(cause: impl fmt::Display) -> Self {
        let id = Uuid::now_v7();
        tracing::error!(fault = %id, "{cause}");
        Self::Fault(Fault { id, retry: false })
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

const FULL: &str = "The server has no room to write: nothing was changed. Reading goes on.";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if crate::infra::db::is_timeout(&error) {
            return Self::refuse(Code::Timeout, "The query took longer than the deadline allows.");
        }
        if crate::infra::db::is_full(&error) {
            tracing::error!("database: {error}");
            return Self::refuse(Code::StorageFull, FULL);
        }
        let retry = crate::infra::db::wants_retry(&error);
        match Self::fault(format!("database: {error}")) {
            Self::Fault(fault) => Self::Fault(Fault { retry, ..fault }),
            refused @ Self::Refused(_) => refused,
        }
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        if let sea_orm::DbErr::Exec(sea_orm::RuntimeErr::SqlxError(inner)) | sea_orm::DbErr::Query(sea_orm::RuntimeErr::SqlxError(inner)) =
            &error
            && crate::infra::db::is_full(inner)
        {
            tracing::error!("database: {error}");
            return Self::refuse(Code::StorageFull, FULL);
        }
        Self::fault(format!("database: {error}"))
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
