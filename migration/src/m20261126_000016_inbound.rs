//! Addresses that take JSON and make records of it.

use sea_orm_migration::prelude::*;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Whoever sends knows the id alone, so it is looked for in every workspace.
const TABLES: &[Table] = &[Table::with_policy("inbound_hook", INBOUND_HOOK, "workspace_id = kith_workspace() OR (SELECT kith_worker())")];

/// `holder_kind` and `holder_id`: with whose access it writes. `secret` is sealed. `key_map` says by what a record is found
/// that is there already; null: each request makes a new one.
const INBOUND_HOOK: &str = r#"
CREATE TABLE inbound_hook (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    type_name TEXT NOT NULL,
    key_map JSON,
    input_map JSON NOT NULL,
    verification TEXT NOT NULL,
    secret TEXT NOT NULL,
    paused BOOL NOT NULL,
    holder_kind TEXT NOT NULL,
    holder_id UUID NOT NULL,
    last_at BIGINT,
    last_outcome TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
CREATE UNIQUE INDEX inbound_hook_id ON inbound_hook (id);
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
