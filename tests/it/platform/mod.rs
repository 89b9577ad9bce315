//! Tenancy, the change log, migrations.

mod backups;
mod budgets;
mod changelog;
mod full_disk;
mod hanging_up;
mod idempotency;
mod jobs;
mod metrics;
mod migrations;
mod nodes;
mod renewal;
mod tenancy;
mod tls;
mod traces;
mod verify;
