//! Kith's database schema, one file per step, the same steps for SQLite and PostgreSQL.
//!
//! Each step is SQL text that both databases understand once the type names in capitals are
//! replaced (see [`ddl`]). On PostgreSQL every table is created together with its row-level
//! security policy, so no table ever exists without one.

use sea_orm_migration::prelude::*;

mod ddl;
mod m20261122_000001_platform;
mod m20261122_000002_records;
mod m20261122_000003_sales_core;
mod m20261122_000004_access;
mod m20261122_000005_audit;
mod m20261125_000006_credentials;
mod m20261126_000007_custom_objects;
mod m20261126_000008_search;
mod m20261126_000009_computed;
mod m20261126_000010_idempotency;
mod m20261126_000011_change_sets;
mod m20261126_000012_past;
mod m20261126_000013_merges;
mod m20261126_000014_webhooks;
mod m20261126_000015_jobs;
mod m20261126_000016_inbound;
mod m20261127_000017_deal_totals;
mod policies;

pub use sea_orm_migration::prelude::{MigratorTrait, SchemaManager};

pub struct Migrator;

/// A step that is taken as a whole or not at all, on SQLite too.
struct Whole(Box<dyn MigrationTrait>);

impl MigrationName for Whole {
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Whole {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let steps: Vec<Box<dyn MigrationTrait>> = vec![
            Box::new(m20261122_000001_platform::Migration),
            Box::new(m20261122_000002_records::Migration),
            Box::new(m20261122_000003_sales_core::Migration),
            Box::new(m20261122_000004_access::Migration),
            Box::new(m20261122_000005_audit::Migration),
            Box::new(m20261125_000006_credentials::Migration),
            Box::new(m20261126_000007_custom_objects::Migration),
            Box::new(m20261126_000008_search::Migration),
            Box::new(m20261126_000009_computed::Migration),
            Box::new(m20261126_000010_idempotency::Migration),
            Box::new(m20261126_000011_change_sets::Migration),
            Box::new(m20261126_000012_past::Migration),
            Box::new(m20261126_000013_merges::Migration),
            Box::new(m20261126_000014_webhooks::Migration),
            Box::new(m20261126_000015_jobs::Migration),
            Box::new(m20261126_000016_inbound::Migration),
            Box::new(m20261127_000017_deal_totals::Migration),
        ];
        steps.into_iter().map(|step| Box::new(Whole(step)) as Box<dyn MigrationTrait>).collect()
    }
}
