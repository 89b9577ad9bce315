//! Readers of the change log, and the first of them: webhooks and what is delivered to them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The server at work looks for what is due in every workspace; whatever it then does, it does within one.
const OF_WORKERS: &str = "workspace_id = kith_workspace() OR (SELECT kith_worker())";

const TABLES: &[Table] = &[
    Table::with_policy("log_reader", LOG_READER, OF_WORKERS),
    Table::new("log_failure", LOG_FAILURE),
    Table::with_policy("webhook", WEBHOOK, OF_WORKERS),
    Table::with_policy("webhook_delivery", WEBHOOK_DELIVERY, OF_WORKERS),
];

/// How far a reader is. After `failures` attempts at what comes next it waits until `retry_at`.
const LOG_READER: &str = r#"
CREATE TABLE log_reader (
    workspace_id UUID NOT NULL,
    reader TEXT NOT NULL,
    seq BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    last_error TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, reader),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

/// Entries of the log that a reader could not make anything of, set aside so that the rest goes on.
const LOG_FAILURE: &str = r#"
CREATE TABLE log_failure (
    workspace_id UUID NOT NULL,
    reader TEXT NOT NULL,
    seq BIGINT NOT NULL,
    error TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, reader, seq),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

/// `holder_kind` and `holder_id`: with whose access it sees what it is sent. `secrets` are sealed.
const WEBHOOK: &str = r#"
CREATE TABLE webhook (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    signature TEXT NOT NULL,
    secrets TEXT NOT NULL,
    document TEXT,
    variables JSON NOT NULL,
    scopes JSON NOT NULL,
    kinds JSON NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    holder_kind TEXT NOT NULL,
    holder_id UUID NOT NULL,
    from_seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

/// `done_at` is null exactly while the state is PENDING. The queue is found by the one, and whether an earlier delivery of the
/// record is pending by the other: so PostgreSQL cannot take the queue's index for that question, which it would as long as it
/// has no statistics, and read all of the queue for each row of it.
///
/// One event for one webhook. `seq` and `record_id` say which; of an event that no entry of the log tells (a record moved
/// because another one changed) `change` is null, and `seq` the last entry before. Whoever holds the lease sends it.
const WEBHOOK_DELIVERY: &str = r#"
CREATE TABLE webhook_delivery (
    workspace_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    record_id UUID NOT NULL,
    id UUID NOT NULL,
    object TEXT NOT NULL,
    kind TEXT NOT NULL,
    change TEXT,
    state TEXT NOT NULL,
    attempts JSON NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    lease UUID,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (workspace_id, webhook_id, record_id, seq),
    FOREIGN KEY (workspace_id, webhook_id) REFERENCES webhook (workspace_id, id)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at, workspace_id, webhook_id) WHERE done_at IS NULL;
CREATE INDEX webhook_delivery_queue ON webhook_delivery (workspace_id, webhook_id, next_at, seq) WHERE done_at IS NULL;
CREATE UNIQUE INDEX webhook_delivery_id ON webhook_delivery (workspace_id, id);
CREATE INDEX webhook_delivery_created_at ON webhook_delivery (workspace_id, created_at, id);
"#;

/// Whoever may change objects and fields may set up what is built on them.
const GIVE_POSTGRES: &str = r#"
    UPDATE role SET permissions = jsonb_set(permissions, '{settings}', (permissions -> 'settings') || '["INTEGRATIONS"]')
    WHERE built_in IN ('OWNER', 'ADMIN') AND permissions -> 'settings' ? 'DATA_MODEL';
"#;
const GIVE_SQLITE: &str = r#"
    UPDATE role SET permissions = json_insert(permissions, '$.settings[#]', 'INTEGRATIONS')
    WHERE built_in IN ('OWNER', 'ADMIN') AND permissions LIKE '%"DATA_MODEL"%';
"#;
const TAKE_POSTGRES: &str =
    "UPDATE role SET permissions = jsonb_set(permissions, '{settings}', (permissions -> 'settings') - 'INTEGRATIONS');";
const TAKE_SQLITE: &str = r#"
    UPDATE role SET permissions = replace(replace(permissions, ',"INTEGRATIONS"', ''), '"INTEGRATIONS",', '');
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        if postgres {
            let worker = "CREATE FUNCTION kith_worker() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
                              AS $$ SELECT coalesce(current_setting('kith.worker', true), '') = 'on' $$;";
            db.execute_unprepared(worker).await?;
        }
        ddl::create(manager, TABLES).await?;
        if postgres {
            let head = format!("ALTER POLICY tenant ON log_head USING ({OF_WORKERS});");
            db.execute_unprepared(&head).await?;
        }
        db.execute_unprepared(if postgres { GIVE_POSTGRES } else { GIVE_SQLITE }).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        db.execute_unprepared(if postgres { TAKE_POSTGRES } else { TAKE_SQLITE }).await?;
        if postgres {
            db.execute_unprepared("ALTER POLICY tenant ON log_head USING (workspace_id = kith_workspace());").await?;
        }
        ddl::drop(manager, TABLES).await?;
        if postgres {
            db.execute_unprepared("DROP FUNCTION kith_worker();").await?;
        }
        Ok(())
    }
}
