//! Narrowed credentials, applications with their documents, second factors, sign-in by link and by
//! other issuers, keys of encrypted fields.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[
    Table::new("application", APPLICATION),
    Table::new("trusted_document", TRUSTED_DOCUMENT),
    // What has expired is nobody's, so that whoever comes by can sweep it up.
    Table::with_policy(
        "sign_in_token",
        SIGN_IN_TOKEN,
        "token_hash = kith_token() OR user_id = kith_user() OR expires_at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    ),
    Table::with_policy("recovery_code", RECOVERY_CODE, "user_id = kith_user()"),
    Table::with_policy("oidc_identity", OIDC_IDENTITY, "identity_hash = kith_token() OR user_id = kith_user()"),
    Table::new("data_key", DATA_KEY),
];

// A client that was written for Kith: a web site, a widget. Its documents may be all that its keys can send.
const APPLICATION: &str = r#"
CREATE TABLE application (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by UUID,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const TRUSTED_DOCUMENT: &str = r#"
CREATE TABLE trusted_document (
    workspace_id UUID NOT NULL,
    application_id UUID NOT NULL,
    hash TEXT NOT NULL,
    document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, application_id, hash),
    FOREIGN KEY (workspace_id, application_id) REFERENCES application (workspace_id, id)
);
"#;

// What was sent by mail, or handed to a browser that is on its way to another issuer; only hashes.
const SIGN_IN_TOKEN: &str = r#"
CREATE TABLE sign_in_token (
    token_hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    user_id UUID,
    detail JSON NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (token_hash),
    FOREIGN KEY (user_id) REFERENCES user_account (id)
);
CREATE INDEX sign_in_token_user_id ON sign_in_token (user_id, kind);
CREATE INDEX sign_in_token_expires_at ON sign_in_token (expires_at);
"#;

const RECOVERY_CODE: &str = r#"
CREATE TABLE recovery_code (
    user_id UUID NOT NULL,
    code_hash TEXT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (user_id, code_hash),
    FOREIGN KEY (user_id) REFERENCES user_account (id)
);
"#;

// Whom another issuer's subject is here; found by a digest of both.
const OIDC_IDENTITY: &str = r#"
CREATE TABLE oidc_identity (
    identity_hash TEXT NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    user_id UUID NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (identity_hash),
    FOREIGN KEY (user_id) REFERENCES user_account (id)
);
CREATE INDEX oidc_identity_user_id ON oidc_identity (user_id);
"#;

// The keys of a workspace's encrypted fields, each wrapped by the installation's key.
const DATA_KEY: &str = r#"
CREATE TABLE data_key (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    purpose TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

const COLUMNS: [&str; 7] = [
    "session ADD COLUMN parent_id UUID",
    "api_key ADD COLUMN kind TEXT NOT NULL DEFAULT 'SECRET'",
    "api_key ADD COLUMN application_id UUID",
    "api_key ADD COLUMN restrictions JSON NOT NULL DEFAULT '{}'",
    "user_account ADD COLUMN totp_secret TEXT",
    "user_account ADD COLUMN totp_since BIGINT",
    "user_account ADD COLUMN totp_last_step BIGINT",
];

const TOKEN_FUNCTION: &str = r"
    CREATE FUNCTION kith_token() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT nullif(current_setting('kith.token', true), '') $$;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(TOKEN_FUNCTION).await?;
        }
        ddl::create(manager, TABLES).await?;
        ddl::alter(manager, &COLUMNS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_columns(manager, &COLUMNS).await?;
        ddl::drop(manager, TABLES).await?;
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared("DROP FUNCTION kith_token()").await?;
        }
        Ok(())
    }
}
