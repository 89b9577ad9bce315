//! Who may see and do what: roles, teams, shares; and the row policies that repeat it in PostgreSQL.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};
use crate::policies;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[
    Table::new("role", ROLE),
    Table::new("member_role", MEMBER_ROLE),
    Table::new("team", TEAM),
    Table::new("team_member", TEAM_MEMBER),
    Table::new("member_reach", MEMBER_REACH),
    Table::new("record_grant", RECORD_GRANT),
    Table::with_policy("invitation", INVITATION, "workspace_id = kith_workspace() OR token_hash = kith_invitation()"),
];

const ROLE: &str = r#"
CREATE TABLE role (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    built_in TEXT,
    restricts BOOL NOT NULL,
    permissions JSON NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

// A role belongs to a member or to an API key.
const MEMBER_ROLE: &str = r#"
CREATE TABLE member_role (
    workspace_id UUID NOT NULL,
    holder_id UUID NOT NULL,
    role_id UUID NOT NULL,
    PRIMARY KEY (workspace_id, holder_id, role_id),
    FOREIGN KEY (workspace_id, role_id) REFERENCES role (workspace_id, id)
);
CREATE INDEX member_role_role_id ON member_role (workspace_id, role_id, holder_id);
"#;

const TEAM: &str = r#"
CREATE TABLE team (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    parent_id UUID,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id),
    FOREIGN KEY (workspace_id, parent_id) REFERENCES team (workspace_id, id)
);
"#;

const TEAM_MEMBER: &str = r#"
CREATE TABLE team_member (
    workspace_id UUID NOT NULL,
    team_id UUID NOT NULL,
    member_id UUID NOT NULL,
    manages BOOL NOT NULL,
    PRIMARY KEY (workspace_id, team_id, member_id),
    FOREIGN KEY (workspace_id, team_id) REFERENCES team (workspace_id, id),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX team_member_member_id ON team_member (workspace_id, member_id, team_id);
"#;

// Whose records a member reaches besides their own: 1 by a common team, 2 by the tree below.
const MEMBER_REACH: &str = r#"
CREATE TABLE member_reach (
    workspace_id UUID NOT NULL,
    viewer_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    level BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, viewer_id, owner_id),
    FOREIGN KEY (workspace_id, viewer_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id)
);
"#;

// A record that a member or team was given, whoever owns it.
const RECORD_GRANT: &str = r#"
CREATE TABLE record_grant (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    object TEXT NOT NULL,
    record_id UUID NOT NULL,
    grantee_id UUID NOT NULL,
    grantee_kind TEXT NOT NULL,
    may_edit BOOL NOT NULL,
    expires_at BIGINT,
    reason TEXT,
    created_at BIGINT NOT NULL,
    created_by UUID,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, record_id, grantee_id),
    FOREIGN KEY (workspace_id, record_id) REFERENCES record (workspace_id, id)
);
CREATE INDEX record_grant_grantee_id ON record_grant (workspace_id, grantee_id, object, record_id);
"#;

const INVITATION: &str = r#"
CREATE TABLE invitation (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    member_id UUID NOT NULL,
    email TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by UUID,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (token_hash),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX invitation_member_id ON invitation (workspace_id, member_id);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(policies::INVITATION_FUNCTION).await?;
        }
        ddl::create(manager, TABLES).await?;
        policies::create(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        policies::drop(manager).await?;
        ddl::drop(manager, TABLES).await?;
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared("DROP FUNCTION kith_invitation()").await?;
        }
        Ok(())
    }
}
