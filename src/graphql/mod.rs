//! How one talks to Kith: one endpoint, one schema.
//!
//! What is the same in every workspace is written with async-graphql's macros, next to the feature
//! it belongs to ([`platform`]). The record API is generated from the workspace's catalog
//! ([`types`]) and put into the same roots ([`root`]), which make a [`schema`]. [`records`] answers its fields: a root
//! field is handed to the door as a whole and comes back as JSON. [`http`] carries it all.

mod atomic;
mod check;
mod consistency;
mod cookies;
mod cost;
mod document;
mod duplicates;
mod errors;
pub mod http;
mod inbound;
mod live;
pub mod manifest;
mod merge;
mod order;
mod parse;
mod payload;
mod platform;
mod records;
pub mod repeat;
mod request;
mod root;
pub mod schema;
mod selection;
mod types;
mod validate;
mod view;
mod webhooks;
