//! A member of the workspace. `definition` says what it is, `rules` what the server keeps true of it.

mod definition;
pub mod reach;
mod rules;

pub use definition::definition;
pub use rules::MemberRules;
