//! The read path: a selection becomes a plan, the plan one statement, its rows the answer.
//!
//! [`plan`] turns a root field into SQL and a shape ([`shape`]); [`filter`], [`order`] and [`page`]
//! are its parts. [`shape`] writes the answer's JSON straight from the rows, with no value in
//! between. On both databases a root field is one statement, whatever it selects: to-one relations
//! are joins whose columns stand flat in the row, to-many lists are correlated sub-selects that
//! give one JSON array per row.

pub mod aggregate;
pub(in crate::records) mod cell;
mod computed;
mod connection;
mod cursor;
mod dates;
pub mod extent;
mod filter;
pub mod groups;
mod history;
mod lists;
mod node;
mod order;
pub mod page;
mod parts;
pub mod past;
pub mod plan;
mod rights;
mod searched;
pub mod shape;
mod totals;

pub(in crate::records) use connection::PageField;
pub use lists::connection_type;
pub(in crate::records) use lists::page_fields;
pub(in crate::records) use node::{Planner, Scope};
pub use plan::{Plan, RootQuery, filtered_ids};
