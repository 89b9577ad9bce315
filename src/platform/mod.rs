//! What keeps it safe: who is calling, for which workspace, and what is remembered of every write.

pub mod access;
pub mod audit;
pub mod budget;
pub mod changelog;
mod ctx;
pub mod extent;
pub mod idempotency;
pub mod jobs;
pub mod limits;
pub mod readers;
pub mod replica;
pub mod secrets;
pub mod work;

pub use access::Access;
pub use ctx::{Actor, ActorKind, Cause, Ctx, Hidden, House, Opened, Origin, Problems, Tally};
