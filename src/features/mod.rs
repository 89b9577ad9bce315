//! What the CRM does beyond keeping records.

pub mod access;
pub mod data_model;
pub mod demo;
pub mod identity;
pub mod inbound;
pub mod live;
pub mod secrets;
pub mod streams;
pub mod webhooks;
pub mod workspaces;
