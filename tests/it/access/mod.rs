//! Who may see and do what.

mod audit;
mod model;
mod roles;
mod statements;
mod surface;
