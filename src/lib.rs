//! Kith, a headless CRM: one binary, one GraphQL endpoint.
//!
//! The modules, from what callers meet to what knows no CRM; each uses only those below it, and a
//! test checks that:
//!
//! - [`app`]: the composition root; [`config`] its settings.
//! - [`work`]: what is done beside the requests: webhooks, jobs.
//! - [`graphql`]: how one talks to it: the schema of a workspace, HTTP.
//! - [`features`]: what the CRM does beyond keeping records: sign-in, roles, custom fields, demo data.
//! - [`objects`]: what the CRM knows: companies, people, deals, …, their definitions and rules.
//! - [`records`]: the one door to every record.
//! - [`catalog`]: what a record looks like.
//! - [`platform`]: who is calling and what they may do, the audit, the change log.
//! - [`infra`]: database, clock, text, sealing, mail.

pub mod app;
pub mod catalog;
pub mod config;
pub mod error;
pub mod features;
pub mod graphql;
pub mod infra;
pub mod objects;
pub mod platform;
pub mod records;
pub mod work;
