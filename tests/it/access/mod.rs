//! Who may see and do what.

mod audit;
mod credentials;
mod matrix;
mod model;
mod roles;
mod statements;
mod surface;
mod traces;
mod view;

pub use audit::as_owner;
pub use model::Dice;
