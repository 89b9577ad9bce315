//! Work that is done later, or again and again.

use sea_orm_migration::prelude::*;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::with_policy("job", JOB, "workspace_id = kith_workspace() OR (SELECT kith_worker())")];

/// `workspace_id` is the nil UUID for what the installation as a whole has to do. A job with a `key` is enqueued once, ever:
/// what is scheduled has the time in it. Whoever holds the lease does it.
const JOB: &str = r#"
CREATE TABLE job (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    payload JSON NOT NULL,
    priority BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    error TEXT,
    lease UUID,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX job_key ON job (workspace_id, kind, key);
CREATE INDEX job_due ON job (priority, run_at) WHERE state = 'QUEUED';
CREATE INDEX job_created_at ON job (workspace_id, created_at, id);
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
