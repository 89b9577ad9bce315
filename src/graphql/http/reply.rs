//! What a request is answered with, before it is known in which form it travels.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{PathSegment, Response as Answer, ServerError, Value};
use axum::http::StatusCode;

use crate::error::Error;
use crate::graphql::document::Document;
use crate::graphql::errors::server_error;
use crate::graphql::schema::WorkspaceSchema;

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was executed, whatever came of it.
    Executed,
    /// Its document or its variables are not such as can be executed.
    Unfit,
    /// It was turned away before.
    Refused(StatusCode),
}

pub struct Reply {
    pub answer: Answer,
    pub fate: Fate,
    /// The document, which tells the order of the answer's members.
    pub document: Option<Arc<Document>>,
    pub schema: Option<Arc<WorkspaceSchema>>,
    /// Whether something was answered from an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u64>,
}

/// The most errors of an answer.
const MOST_ERRORS: usize = 20;
/// The longest message, in characters.
const LONGEST: usize = 1_000;

impl Reply {
    fn new(answer: Answer, fate: Fate) -> Self {
        let mut reply = Self { answer, fate, document: None, schema: None, replayed: false, retry_after: None };
        reply.tidy();
        reply
    }

    /// A refusal before there is anything to execute.
    pub fn refused(status: StatusCode, error: &Error) -> Self {
        Self::new(Answer::from_errors(vec![server_error(error)]), Fate::Refused(status))
    }

    /// A request that cannot be executed.
    pub fn unfit(error: ServerError) -> Self {
        Self::new(Answer::from_errors(vec![error]), Fate::Unfit)
    }

    /// A document that does not fit the schema.
    pub fn invalid(errors: Vec<ServerError>) -> Self {
        Self::new(Answer::from_errors(errors), Fate::Unfit)
    }

    /// What came of a document.
    pub fn executed(mut answer: Answer, document: &Arc<Document>) -> Self {
        null_without_a_root(&mut answer, document);
        // What was refused by validation has no place in the answer.
        let unfit = !answer.errors.is_empty() && answer.data == Value::Null && answer.errors.iter().all(|error| error.path.is_empty());
        let mut reply = Self::new(answer, if unfit { Fate::Unfit } else { Fate::Executed });
        reply.document = Some(document.clone());
        reply
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn of_schema(mut self, schema: &Arc<WorkspaceSchema>) -> Self {
        self.schema = Some(schema.clone());
        self
    }

    pub fn is_executed(&self) -> bool {
        self.fate == Fate::Executed
    }

    /// What kind of operation it answers; `none` where nothing was executed.
    pub fn operation(&self) -> &'static str {
        match self.document.as_ref().map(|document| document.kind) {
            Some(OperationType::Query) => "query",
            Some(OperationType::Mutation) => "mutation",
            Some(OperationType::Subscription) => "subscription",
            None => "none",
        }
    }

    /// The first error's code.
    pub fn code(&self) -> Option<&str> {
        code(self.answer.errors.first()?)
    }

    /// Few errors, short ones, each with a code: those of validation come without one, and are the request's own fault.
    fn tidy(&mut self) {
        self.answer.errors.truncate(MOST_ERRORS);
        for error in &mut self.answer.errors {
            if let Some((at, _)) = error.message.char_indices().nth(LONGEST) {
                error.message.truncate(at);
                error.message.push('…');
            }
            let extensions = error.extensions.get_or_insert_default();
            if extensions.get("code").is_none() {
                extensions.set("code", "BAD_REQUEST");
            }
        }
    }
}

pub fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

/// A root field that cannot be null and failed makes the whole of `data` null (GraphQL, section "Handling Execution Errors");
/// async-graphql 7.2 leaves the field out instead.
fn null_without_a_root(response: &mut Answer, document: &Document) {
    let Value::Object(members) = &response.data else { return };
    let failed =
        |name: &str| response.errors.iter().any(|error| matches!(error.path.first(), Some(PathSegment::Field(field)) if *field == name));
    if document.order.members().any(|(name, _)| !members.contains_key(name) && failed(name)) {
        response.data = Value::Null;
    }
}
