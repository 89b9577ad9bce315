//! A stage of a pipeline. `definition` says what it is, `rules` what the server keeps true of it.

mod definition;
mod rules;

pub use definition::definition;
pub use rules::{Sibling, StageRules, first_of, move_stage, of_pipeline};
