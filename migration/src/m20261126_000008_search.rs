//! What search asks: words that the server makes, and an index of them.
//!
//! Entries that are there already have no words yet: they are stale, and the server fills them when it next looks at
//! their workspace.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::policies;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Under row-level security no policy lets `@@` use an index, so a function of the tables' owner asks it. It
/// takes the workspace from the setting; what it gives is looked at once more under the caller's policies before
/// anything of it is shown.
const POSTGRES: &str = r#"
    ALTER TABLE search_entry DROP COLUMN subtitle, DROP COLUMN "text",
        ADD COLUMN words text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN stale boolean NOT NULL DEFAULT true;
    ALTER TABLE search_entry ALTER COLUMN stale SET DEFAULT false;
    CREATE INDEX search_entry_words ON search_entry USING gin (array_to_tsvector(string_to_array(words, ' ')))
        WITH (gin_pending_list_limit = 1024);
    CREATE INDEX search_entry_stale ON search_entry (workspace_id, record_id) WHERE stale;
    CREATE FUNCTION kith_search(query text, most int) RETURNS TABLE (id uuid, object text, title text) LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
        SET search_path = public SET enable_seqscan = off SET enable_indexscan = off AS $$
    BEGIN
        RETURN QUERY SELECT e.record_id, e.object, e.title FROM search_entry e
            WHERE array_to_tsvector(string_to_array(e.words, ' ')) @@ query::tsquery AND e.workspace_id = kith_workspace() LIMIT most;
    END $$;
    CREATE FUNCTION kith_search_among(query text, ids uuid[], most int) RETURNS TABLE (id uuid, object text, title text) LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
        SET search_path = public AS $$
    BEGIN
        RETURN QUERY SELECT e.record_id, e.object, e.title FROM search_entry e WHERE e.workspace_id = kith_workspace() AND e.record_id = ANY (ids)
            AND array_to_tsvector(string_to_array(e.words, ' ')) @@ query::tsquery LIMIT most;
    END $$;
    -- About how many entries match, as the planner reckons it. EXPLAIN wants a volatile function.
    CREATE FUNCTION kith_search_estimate(query text) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public AS $$
    DECLARE plan json;
    BEGIN
        EXECUTE format('EXPLAIN (FORMAT JSON) SELECT 1 FROM search_entry WHERE array_to_tsvector(string_to_array(words, '' '')) @@ %L::tsquery', query) INTO plan;
        RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint;
    END $$;
"#;

const POSTGRES_DOWN: &str = r#"
    DROP FUNCTION kith_search_estimate(text); DROP FUNCTION kith_search_among(text, uuid[], int); DROP FUNCTION kith_search(text, int);
    ALTER TABLE search_entry DROP COLUMN words, DROP COLUMN stale,
        ADD COLUMN subtitle text COLLATE "C", ADD COLUMN "text" text COLLATE "C" NOT NULL DEFAULT '';
"#;

/// The full-text table knows an entry by a number, so entries get one. It keeps no text of its own. Its tokenizer
/// parts at ASCII signs only: the server made the words.
const SQLITE: &[&str] = &[
    "CREATE TABLE search_entry_new (
        place INTEGER PRIMARY KEY,
        workspace_id uuid_blob NOT NULL,
        record_id uuid_blob NOT NULL,
        object text NOT NULL,
        title text NOT NULL,
        words text NOT NULL,
        stale boolean NOT NULL DEFAULT FALSE,
        UNIQUE (workspace_id, record_id),
        FOREIGN KEY (workspace_id, record_id) REFERENCES record (workspace_id, id)
    )",
    "INSERT INTO search_entry_new (workspace_id, record_id, object, title, words, stale)
        SELECT workspace_id, record_id, object, title, '', TRUE FROM search_entry",
    "DROP TABLE search_entry",
    "ALTER TABLE search_entry_new RENAME TO search_entry",
    "CREATE INDEX search_entry_stale ON search_entry (workspace_id, record_id) WHERE stale",
    "CREATE VIRTUAL TABLE search_word USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii')",
    "CREATE TRIGGER search_entry_made AFTER INSERT ON search_entry BEGIN
        INSERT INTO search_word (rowid, words) VALUES (new.place, new.words);
    END",
    "CREATE TRIGGER search_entry_changed AFTER UPDATE OF words ON search_entry WHEN old.words <> new.words BEGIN
        UPDATE search_word SET words = new.words WHERE rowid = new.place;
    END",
    "CREATE TRIGGER search_entry_gone AFTER DELETE ON search_entry BEGIN
        DELETE FROM search_word WHERE rowid = old.place;
    END",
    "INSERT INTO search_word (rowid, words) SELECT place, words FROM search_entry",
];

const SQLITE_DOWN: &[&str] = &[
    "DROP TRIGGER search_entry_made",
    "DROP TRIGGER search_entry_changed",
    "DROP TRIGGER search_entry_gone",
    "DROP TABLE search_word",
    "CREATE TABLE search_entry_old (
        workspace_id uuid_blob NOT NULL,
        record_id uuid_blob NOT NULL,
        object text NOT NULL,
        title text NOT NULL,
        subtitle text,
        \"text\" text NOT NULL,
        PRIMARY KEY (workspace_id, record_id),
        FOREIGN KEY (workspace_id, record_id) REFERENCES record (workspace_id, id)
    )",
    "INSERT INTO search_entry_old (workspace_id, record_id, object, title, \"text\")
        SELECT workspace_id, record_id, object, title, '' FROM search_entry",
    "DROP TABLE search_entry",
    "ALTER TABLE search_entry_old RENAME TO search_entry",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, POSTGRES, SQLITE, ", custom_record, search_entry").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, POSTGRES_DOWN, SQLITE_DOWN, ", custom_record").await
    }
}

async fn run(manager: &SchemaManager<'_>, postgres: &str, sqlite: &[&str], analyzed: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared(postgres).await?;
        db.execute_unprepared(&policies::custom::analyze(analyzed)).await?;
        return Ok(());
    }
    for statement in sqlite {
        db.execute_unprepared(statement).await?;
    }
    Ok(())
}
