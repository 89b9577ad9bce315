//! Kith's tests: one binary, requests as a client's would be, on SQLite and on PostgreSQL.
//!
//! [`harness`] has what tests speak through: a [`harness::Server`] of their own, with a clock that
//! stands still, and actors who send GraphQL. A test inside `on_both!` is written once and runs on
//! both databases. `./test` provides PostgreSQL; without it those tests fail and say so, since a
//! skipped test is a lie.
//!
//! The folders mirror `src/`; `stories/` are sessions as a stranger would have them; `coverage/`
//! walks the surface (every column, every description, every import) so that what comes later cannot
//! forget it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod harness;

mod access;
mod coverage;
mod inbound;
mod live;
mod platform;
mod records;
mod stories;
mod streams;
mod webhooks;
