//! Tenancy, the change log, migrations.

mod changelog;
mod migrations;
mod nodes;
mod tenancy;
