//! What knows no CRM: the database, the clock, text, sealing, mail, outgoing requests, brokers, words within the process.

pub mod broker;
pub mod bus;
pub mod clock;
pub mod current;
pub mod db;
pub mod decimal;
pub mod files;
pub mod listen;
pub mod mail;
pub mod outbound;
pub mod sealed_file;
pub mod signals;
pub mod telemetry;
pub mod text;
pub mod traces;
pub mod vault;
pub mod web;
