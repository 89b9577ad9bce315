//! A stage of a pipeline. `definition` says what it is, `rules` what the server keeps true of it.

mod definition;
mod rules;

pub use definition::definition;
pub use rules::{StageRules, first_of, first_of_default, move_stage};
