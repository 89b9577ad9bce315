//! What every record has, whatever its object: the spine, natural keys, links, indexed custom values, search.

use sea_orm_migration::prelude::*;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[
    Table::new("record", RECORD),
    Table::new("record_key", RECORD_KEY),
    Table::new("record_link", RECORD_LINK),
    Table::new("field_index", FIELD_INDEX),
    Table::new("search_entry", SEARCH_ENTRY),
];

const RECORD: &str = r#"
CREATE TABLE record (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    object TEXT NOT NULL,
    owner_id UUID,
    territory_id UUID,
    merged_into UUID,
    deleted_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id),
    FOREIGN KEY (workspace_id, merged_into) REFERENCES record (workspace_id, id)
);
CREATE INDEX record_object ON record (workspace_id, object, id);
"#;

const RECORD_KEY: &str = r#"
CREATE TABLE record_key (
    workspace_id UUID NOT NULL,
    object TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    record_id UUID NOT NULL,
    PRIMARY KEY (workspace_id, object, key, value),
    FOREIGN KEY (workspace_id, record_id) REFERENCES record (workspace_id, id)
);
CREATE INDEX record_key_record_id ON record_key (workspace_id, record_id);
"#;

const RECORD_LINK: &str = r#"
CREATE TABLE record_link (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    from_id UUID NOT NULL,
    to_id UUID NOT NULL,
    role TEXT,
    title TEXT,
    is_primary BOOL NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, kind, from_id, to_id),
    FOREIGN KEY (workspace_id, from_id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, to_id) REFERENCES record (workspace_id, id)
);
CREATE INDEX record_link_kind_to_id_from_id ON record_link (workspace_id, kind, to_id, from_id);
CREATE INDEX record_link_from_id ON record_link (workspace_id, from_id);
CREATE INDEX record_link_to_id ON record_link (workspace_id, to_id);
"#;

const FIELD_INDEX: &str = r#"
CREATE TABLE field_index (
    workspace_id UUID NOT NULL,
    field_id UUID NOT NULL,
    record_id UUID NOT NULL,
    "text" TEXT,
    number BIGINT,
    PRIMARY KEY (workspace_id, field_id, record_id),
    FOREIGN KEY (workspace_id, field_id) REFERENCES field_definition (workspace_id, id),
    FOREIGN KEY (workspace_id, record_id) REFERENCES record (workspace_id, id)
);
CREATE INDEX field_index_field_id_text_record_id ON field_index (workspace_id, field_id, text, record_id);
CREATE INDEX field_index_field_id_number_record_id ON field_index (workspace_id, field_id, number, record_id);
CREATE INDEX field_index_record_id ON field_index (workspace_id, record_id);
"#;

const SEARCH_ENTRY: &str = r#"
CREATE TABLE search_entry (
    workspace_id UUID NOT NULL,
    record_id UUID NOT NULL,
    object TEXT NOT NULL,
    title TEXT NOT NULL,
    subtitle TEXT,
    "text" TEXT NOT NULL,
    PRIMARY KEY (workspace_id, record_id),
    FOREIGN KEY (workspace_id, record_id) REFERENCES record (workspace_id, id)
);
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
