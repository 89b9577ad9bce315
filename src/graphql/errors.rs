//! From what went wrong to a GraphQL error: code, path into the arguments, nothing of ours.

use async_graphql::{ErrorExtensionValues, ServerError, Value};

use crate::error::Error;

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
            extensions.set("code", "INTERNAL");
            extensions.set("faultId", fault.id.to_string());
            (format!("Something went wrong on the server. Its log has the details under {}.", fault.id), extensions)
        }
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
