//! A company. `definition` says what it is, `rules` what the server keeps true of it.

mod definition;
mod rules;

pub use definition::{LIFECYCLE, definition};
pub use rules::CompanyRules;
