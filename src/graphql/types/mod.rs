//! GraphQL types made from a catalog.
//!
//! Everything here speaks to async-graphql's registry, through [`meta`]: `common` has what is the
//! same everywhere, `records` the types of one object,
//! `writes` its inputs and payloads, `roots` the root fields and their meaning.

mod aggregates;
mod common;
mod groups;
mod live;
mod merges;
mod meta;
mod records;
mod roots;
mod search;
mod writes;

pub use live::{Followed, event_type};
pub use meta::{Fields, object, root};
pub use records::names;
pub use roots::{Mutation, Of, Query, RootFields, Roots, Verb, add_directives, add_types, roots};
