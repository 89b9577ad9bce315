//! Objects and relations that a workspace defines itself, and their records, which share one table; and what a board
//! reads.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};
use crate::policies;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::new("custom_record", CUSTOM_RECORD), Table::new("relation_definition", RELATION_DEFINITION)];

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

const RELATION_DEFINITION: &str = r#"
CREATE TABLE relation_definition (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    from_object TEXT NOT NULL,
    to_object TEXT NOT NULL,
    name TEXT NOT NULL,
    inverse_name TEXT NOT NULL,
    label TEXT NOT NULL,
    inverse_label TEXT NOT NULL,
    cardinality TEXT NOT NULL,
    has_role BOOL NOT NULL,
    most_from BIGINT,
    most_to BIGINT,
    on_delete TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    archived_at BIGINT,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const COLUMNS: [&str; 6] = [
    "record_link ADD COLUMN one_from BOOL NOT NULL DEFAULT FALSE",
    "record_link ADD COLUMN one_to BOOL NOT NULL DEFAULT FALSE",
    "object_definition ADD COLUMN icon TEXT",
    "object_definition ADD COLUMN color TEXT",
    "object_definition ADD COLUMN title_field TEXT NOT NULL DEFAULT 'name'",
    "object_definition ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0",
];

/// A record has one link at most of a relation that says so, whoever writes at the same time.
const ONE_LINK: &str = "
    CREATE UNIQUE INDEX record_link_one_from ON record_link (workspace_id, kind, from_id) WHERE one_from;
    CREATE UNIQUE INDEX record_link_one_to ON record_link (workspace_id, kind, to_id) WHERE one_to;";

/// A board counts, adds up and lists the deals of a stage from this index alone; the last two columns are what the
/// policy looks at.
const BOARD: &str = "
    CREATE INDEX deal_board ON deal (workspace_id, stage_id, amount, id, amount_currency, owner_id, territory_id) WHERE deleted_at IS NULL;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await?;
        ddl::alter(manager, &COLUMNS).await?;
        let db = manager.get_connection();
        db.execute_unprepared(ONE_LINK).await?;
        db.execute_unprepared(BOARD).await?;
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
        db.execute_unprepared("DROP INDEX deal_board; DROP INDEX record_link_one_to; DROP INDEX record_link_one_from;").await?;
        ddl::drop_columns(manager, &COLUMNS).await?;
        ddl::drop(manager, TABLES).await
    }
}
