//! Sessions as a stranger would have them.

mod demo;
mod identity;
mod transport;
