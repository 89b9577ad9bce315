//! Who may see and do what.

mod model;
mod roles;
