//! Who may see and do what.

mod roles;
