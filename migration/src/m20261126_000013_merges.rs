//! Which records were merged into which, so that it can be undone; and what is done about duplicates.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::new("merge_ledger", MERGE_LEDGER), Table::new("duplicate_rule", DUPLICATE_RULE)];

/// What a merge did to fields, links and references stands in the change log: so many changes of its change set, from
/// the one with that number. `shares` are the ids of the grants that the survivor got with it, `folded` the links of which it had the like.
const MERGE_LEDGER: &str = r#"
CREATE TABLE merge_ledger (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    change_set_id UUID NOT NULL,
    first_change BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    object TEXT NOT NULL,
    survivor_id UUID NOT NULL,
    loser_ids JSON NOT NULL,
    shares JSON NOT NULL,
    folded JSON NOT NULL,
    merged_at BIGINT NOT NULL,
    undone_by UUID,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
CREATE INDEX merge_ledger_change_set_id ON merge_ledger (workspace_id, change_set_id);
"#;

const DUPLICATE_RULE: &str = r#"
CREATE TABLE duplicate_rule (
    workspace_id UUID NOT NULL,
    object TEXT NOT NULL,
    action TEXT NOT NULL,
    least_score INTEGER NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, object),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const MERGED: &str = "CREATE INDEX record_merged_into ON record (workspace_id, merged_into) WHERE merged_into IS NOT NULL;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await?;
        manager.get_connection().execute_unprepared(MERGED).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX record_merged_into;").await?;
        ddl::drop(manager, TABLES).await
    }
}
