//! A part of the market that members work in. `definition` says what it is, `rules` what the server keeps
//! true of it; whose records its members reach is a matter of their roles (`records::access`).

mod definition;
mod rules;

pub use definition::definition;
pub use rules::TerritoryRules;
