//! Tenancy, the change log, migrations.

mod changelog;
mod idempotency;
mod migrations;
mod nodes;
mod tenancy;
