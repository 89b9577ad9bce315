//! From what went wrong to a GraphQL error: code, path into the arguments, nothing of ours.

use async_graphql::{ErrorExtensionValues, ServerError, Value};
use axum::http::StatusCode;

use crate::error::{Error, Fault, FaultKind};

/// The error's message and extensions.
pub fn describe(error: &Error) -> (String, ErrorExtensionValues) {
    let mut extensions = ErrorExtensionValues::default();
    match error {
        Error::Refused(refusal) => {
            extensions.set("code", refusal.code.as_str());
            if !refusal.path.is_empty() {
                let path = refusal.path.iter().map(|step| Value::from(step.as_str())).collect();
                extensions.set("argumentPath", Value::List(path));
            }
            (refusal.message.clone(), extensions)
        }
        Error::Fault(fault) => {
            extensions.set("code", fault.kind.as_str());
            extensions.set("faultId", fault.id.to_string());
            (told(fault), extensions)
        }
    }
}

fn told(fault: &Fault) -> String {
    match fault.kind {
        FaultKind::Internal => format!("Something went wrong on the server. Its log has the details under {}.", fault.id),
        FaultKind::Unavailable => "The server cannot reach its database at present. Try again in a moment. Whether a write was done is \
                                   told by sending it again with the same `Idempotency-Key`."
            .to_owned(),
        FaultKind::StorageFull => "The server has no room to write: nothing was changed. Reading goes on.".to_owned(),
        FaultKind::Timeout => "The query took longer than the deadline allows.".to_owned(),
    }
}

/// The status of what was not executed, by its code.
pub fn status_of(code: &str) -> StatusCode {
    match code {
        "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
        "FORBIDDEN" => StatusCode::FORBIDDEN,
        "RATE_LIMITED" => StatusCode::TOO_MANY_REQUESTS,
        "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
        "UNAVAILABLE" | "STORAGE_FULL" | "TIMEOUT" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

pub fn server_error(error: &Error) -> ServerError {
    let (message, extensions) = describe(error);
    let mut out = ServerError::new(message, None);
    out.extensions = Some(extensions);
    out
}

/// For resolvers written with macros.
pub fn field_error(error: &Error) -> async_graphql::Error {
    let (message, extensions) = describe(error);
    async_graphql::Error { message, source: None, extensions: Some(extensions) }
}
