//! Workspaces, the people and programs that sign in, what a workspace defines itself, and the change log.

use sea_orm_migration::prelude::*;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[
    Table::with_policy("workspace", WORKSPACE, "id = kith_workspace()"),
    Table::with_policy("user_account", USER_ACCOUNT, "id = kith_user() OR email = kith_sign_in_email()"),
    Table::with_policy("membership", MEMBERSHIP, "workspace_id = kith_workspace() OR user_id = kith_user()"),
    Table::new("session", SESSION),
    Table::new("api_key", API_KEY),
    Table::new("object_definition", OBJECT_DEFINITION),
    Table::new("field_definition", FIELD_DEFINITION),
    Table::new("log_head", LOG_HEAD),
    Table::new("change_log", CHANGE_LOG),
];

const WORKSPACE: &str = r#"
CREATE TABLE workspace (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    home_currency TEXT NOT NULL,
    locale TEXT NOT NULL,
    catalog_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id)
);
"#;

const USER_ACCOUNT: &str = r#"
CREATE TABLE user_account (
    id UUID NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (email)
);
"#;

const MEMBERSHIP: &str = r#"
CREATE TABLE membership (
    user_id UUID NOT NULL,
    workspace_id UUID NOT NULL,
    member_id UUID NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, workspace_id),
    FOREIGN KEY (user_id) REFERENCES user_account (id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
CREATE INDEX membership_member_id ON membership (workspace_id, member_id);
"#;

const SESSION: &str = r#"
CREATE TABLE session (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    member_id UUID NOT NULL,
    token_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_because TEXT,
    address TEXT,
    user_agent TEXT,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id),
    FOREIGN KEY (user_id) REFERENCES user_account (id)
);
CREATE INDEX session_member_id ON session (workspace_id, member_id);
"#;

const API_KEY: &str = r#"
CREATE TABLE api_key (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_by UUID,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const OBJECT_DEFINITION: &str = r#"
CREATE TABLE object_definition (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    plural TEXT NOT NULL,
    label TEXT NOT NULL,
    plural_label TEXT NOT NULL,
    description TEXT,
    created_at BIGINT NOT NULL,
    archived_at BIGINT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const FIELD_DEFINITION: &str = r#"
CREATE TABLE field_definition (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    object TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    help TEXT,
    position BIGINT NOT NULL,
    is_required BOOL NOT NULL,
    is_unique BOOL NOT NULL,
    is_indexed BOOL NOT NULL,
    is_searchable BOOL NOT NULL,
    privacy TEXT NOT NULL,
    settings JSON NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    archived_at BIGINT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, object, name),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const LOG_HEAD: &str = r#"
CREATE TABLE log_head (
    workspace_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (workspace_id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const CHANGE_LOG: &str = r#"
CREATE TABLE change_log (
    workspace_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    object TEXT NOT NULL,
    record_id UUID NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    "before" JSON NOT NULL,
    after JSON NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id UUID,
    cause TEXT NOT NULL,
    request_id TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, seq),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
CREATE INDEX change_log_record_id_seq ON change_log (workspace_id, record_id, seq);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create_functions(manager).await?;
        ddl::create(manager, TABLES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, TABLES).await?;
        ddl::drop_functions(manager).await
    }
}
