//! What was answered to requests that carry an idempotency key.

use sea_orm_migration::prelude::*;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::new("idempotency_key", IDEMPOTENCY_KEY)];

/// A key has a row with an empty field, which is leased while a request runs, and one for each root field that was done.
const IDEMPOTENCY_KEY: &str = r#"
CREATE TABLE idempotency_key (
    workspace_id UUID NOT NULL,
    holder_id UUID NOT NULL,
    key TEXT NOT NULL,
    field TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT,
    leased_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, holder_id, key, field),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
CREATE INDEX idempotency_key_created_at ON idempotency_key (workspace_id, created_at);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, TABLES).await
    }
}
