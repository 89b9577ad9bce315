//! What the CRM does beyond keeping records.

pub mod access;
pub mod demo;
pub mod fields;
pub mod identity;
pub mod secrets;
pub mod workspaces;
