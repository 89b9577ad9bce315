//! Kith's tables, one file per table.
//!
//! The entity says what is stored; what it *means* (labels, kinds, privacy classes) stands in the
//! definitions of the root crate, which read columns and nullability from here. Foreign keys live in
//! the migrations: every one of them begins with the workspace, which a SeaORM relation cannot say.

mod micros;

pub mod activity;
pub mod api_key;
pub mod application;
pub mod audit_entry;
pub mod change_log;
pub mod company;
pub mod custom_record;
pub mod data_key;
pub mod deal;
pub mod deal_total;
pub mod duplicate_rule;
pub mod field_definition;
pub mod field_index;
pub mod idempotency_key;
pub mod inbound_hook;
pub mod invitation;
pub mod job;
pub mod log_failure;
pub mod log_head;
pub mod log_reader;
pub mod member;
pub mod member_reach;
pub mod member_role;
pub mod membership;
pub mod merge_ledger;
pub mod note;
pub mod object_definition;
pub mod oidc_identity;
pub mod past_link;
pub mod person;
pub mod pipeline;
pub mod record;
pub mod record_grant;
pub mod record_key;
pub mod record_link;
pub mod recovery_code;
pub mod relation_definition;
pub mod role;
pub mod search_entry;
pub mod session;
pub mod sign_in_attempt;
pub mod sign_in_token;
pub mod stage;
pub mod tag;
pub mod team;
pub mod team_member;
pub mod territory;
pub mod trusted_document;
pub mod user_account;
pub mod webhook;
pub mod webhook_delivery;
pub mod workspace;

pub use micros::Micros;
