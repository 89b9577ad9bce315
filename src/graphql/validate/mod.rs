//! Whether a document fits a schema (GraphQL, section "Validation").
//!
//! async-graphql's own rules let variables of a wrong type, misplaced directives and fields that cannot be merged pass;
//! a test compares what is accepted here with graphql-js. What is found out depends on document and schema alone, so a
//! document that was found good is not looked at again ([`Document::check`]); values of variables are looked at
//! with each request ([`variables`]).
//!
//! [`walk`] goes over the document with the types that its fields have, [`values`] compares literals with types,
//! [`merging`] finds fields that would overwrite each other.
//!
//! [`Document::check`]: super::document::Document::check

mod merging;
pub mod types;
mod values;
pub mod variables;
mod walk;

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::registry::Registry;
use async_graphql::{Pos, ServerError};

/// What is wrong with a document, each with its place.
#[derive(Default)]
pub struct Errors(Vec<ServerError>);

/// Nobody reads more of them.
const MOST: usize = 20;

impl Errors {
    fn add(&mut self, at: Pos, message: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push(ServerError::new(message, Some(at)));
        }
    }
}

/// What is wrong with a document; nothing, if it fits the schema.
pub fn validate(registry: &Registry, document: &ExecutableDocument) -> Vec<ServerError> {
    let mut errors = Errors::default();
    walk::walk(registry, document, &mut errors);
    // Of a document whose fields are not there nothing can be said of how they are merged.
    if errors.0.is_empty() {
        merging::check(registry, document, &mut errors);
    }
    errors.0
}
