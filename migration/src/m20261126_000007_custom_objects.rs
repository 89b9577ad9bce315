//! Objects that a workspace defines itself, and their records, which share one table.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};
use crate::policies;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::new("custom_record", CUSTOM_RECORD)];

const CUSTOM_RECORD: &str = r#"
CREATE TABLE custom_record (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    object TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX custom_record_object ON custom_record (workspace_id, object, id);
CREATE INDEX custom_record_owner_id ON custom_record (workspace_id, object, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX custom_record_owner ON custom_record (workspace_id, owner_id);
CREATE INDEX custom_record_created_at ON custom_record (workspace_id, object, created_at, id);
CREATE INDEX custom_record_updated_at ON custom_record (workspace_id, object, updated_at, id);
"#;

const COLUMNS: [&str; 4] = [
    "object_definition ADD COLUMN icon TEXT",
    "object_definition ADD COLUMN color TEXT",
    "object_definition ADD COLUMN title_field TEXT NOT NULL DEFAULT 'name'",
    "object_definition ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await?;
        ddl::alter(manager, &COLUMNS).await?;
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(&policies::custom::create()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(&policies::custom::drop()).await?;
        }
        ddl::drop_columns(manager, &COLUMNS).await?;
        ddl::drop(manager, TABLES).await
    }
}
