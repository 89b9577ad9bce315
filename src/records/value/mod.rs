//! Values of fields: how they are read from a caller's input, kept, and written into an answer.
//!
//! The *stored form* is JSON that both databases and the change log understand: money
//! `{"amount": 12345000, "currency": "EUR"}` in units of 1/10,000, instants in microseconds, dates
//! and ids as text.

mod contact;
mod mask;
mod parse;
mod seal;
mod write;

pub use crate::infra::decimal::{format_decimal, format_wide, parse_decimal};
pub use contact::email;
pub use mask::mask;
pub use parse::{Invalid, date, parse};
pub use seal::{seal, seal_over};
pub use write::write_stored;
pub(in crate::records) use write::{write, write_custom, write_money, write_options, write_picks};
