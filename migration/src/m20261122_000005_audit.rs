//! The audit, and what keeps passwords from being guessed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[
    Table::new("audit_head", AUDIT_HEAD),
    Table::new("audit_entry", AUDIT_ENTRY),
    // Digests only: nothing that one caller could learn of another.
    Table::with_policy("sign_in_attempt", SIGN_IN_ATTEMPT, "true"),
];

const AUDIT_HEAD: &str = r#"
CREATE TABLE audit_head (
    workspace_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

// Each entry's hash covers the entry and the hash before it.
const AUDIT_ENTRY: &str = r#"
CREATE TABLE audit_entry (
    workspace_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id UUID,
    subject_id UUID,
    detail TEXT NOT NULL,
    address TEXT,
    user_agent TEXT,
    request_id TEXT,
    hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id, seq),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
CREATE INDEX audit_entry_actor_id ON audit_entry (workspace_id, actor_id, seq);
CREATE INDEX audit_entry_action ON audit_entry (workspace_id, action, seq);
CREATE INDEX audit_entry_subject_id ON audit_entry (workspace_id, subject_id, seq);
"#;

const SIGN_IN_ATTEMPT: &str = r#"
CREATE TABLE sign_in_attempt (
    key TEXT NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (key)
);
CREATE INDEX sign_in_attempt_updated_at ON sign_in_attempt (updated_at);
"#;

/// On PostgreSQL the server's role lacks the right; SQLite has no roles.
const APPEND_ONLY: [&str; 2] = [
    "CREATE TRIGGER audit_entry_stays BEFORE UPDATE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    "CREATE TRIGGER audit_entry_is_kept BEFORE DELETE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await?;
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Sqlite {
            for trigger in APPEND_ONLY {
                db.execute_unprepared(trigger).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, TABLES).await
    }
}
