//! A pipeline of stages. `definition` says what it is, `rules` what the server keeps true of it.

mod definition;
mod rules;

pub use definition::definition;
pub use rules::PipelineRules;
