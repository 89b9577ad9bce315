//! What knows no CRM: the database, the clock, text.

pub mod bus;
pub mod clock;
pub mod db;
pub mod text;
