//! What is the same in every workspace, written with async-graphql's macros; `root` puts the parts together.

pub mod access;
pub mod audit;
pub mod change_sets;
pub mod cost;
pub mod credentials;
pub mod describe;
pub mod duplicates;
pub mod fields;
pub mod identity;
pub mod inbound;
mod newest;
pub mod objects;
pub mod relations;
pub mod second_factor;
pub mod sessions;
pub mod sign_in;
mod values;
pub mod webhooks;
pub mod work;
pub mod workspace;
