//! What keeps it safe: who is calling, for which workspace, and what is remembered of every write.

pub mod changelog;
mod ctx;

pub use ctx::{Access, Actor, ActorKind, Cause, Ctx};
