//! What is needed to read records as they stood at an instant: the links that are no more, and quick ways into the log.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::new("past_link", PAST_LINK)];

/// A link as it was until `ended_at`. A reference that led elsewhere has a row too, with the record's own id in
/// the place of the link's and a kind like `deal.company`: so what once belonged to a record is found from there.
const PAST_LINK: &str = r#"
CREATE TABLE past_link (
    workspace_id UUID NOT NULL,
    kind TEXT NOT NULL,
    link_id UUID NOT NULL,
    from_id UUID NOT NULL,
    to_id UUID NOT NULL,
    role TEXT,
    title TEXT,
    is_primary BOOL NOT NULL,
    since BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, kind, link_id, ended_at),
    FOREIGN KEY (workspace_id, from_id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, to_id) REFERENCES record (workspace_id, id)
);
CREATE INDEX past_link_from_id ON past_link (workspace_id, from_id, kind);
CREATE INDEX past_link_to_id ON past_link (workspace_id, to_id, kind);
"#;

/// Since when a link says what it says; null where that is since it was made.
const COLUMNS: [&str; 1] = ["record_link ADD COLUMN since BIGINT"];

const INDEXES: &str = "
    CREATE INDEX change_log_restored ON change_log (workspace_id, at) WHERE kind = 'RESTORED';
    CREATE INDEX change_log_object_at ON change_log (workspace_id, object, at);";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await?;
        ddl::alter(manager, &COLUMNS).await?;
        manager.get_connection().execute_unprepared(INDEXES).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX change_log_object_at; DROP INDEX change_log_restored;").await?;
        ddl::drop_columns(manager, &COLUMNS).await?;
        ddl::drop(manager, TABLES).await
    }
}
