//! Changes that were made together: each row of the log says of which set it is, and whether that set undid another one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [&str; 2] = ["change_log ADD COLUMN change_set_id UUID", "change_log ADD COLUMN reverts UUID"];

const INDEXES: &str = "
    CREATE INDEX change_log_change_set_id ON change_log (workspace_id, change_set_id, seq);
    CREATE INDEX change_log_reverts ON change_log (workspace_id, reverts) WHERE reverts IS NOT NULL;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::alter(manager, &COLUMNS).await?;
        manager.get_connection().execute_unprepared(INDEXES).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX change_log_reverts; DROP INDEX change_log_change_set_id;").await?;
        ddl::drop_columns(manager, &COLUMNS).await
    }
}
