//! One SQL text for two databases.
//!
//! The capital type names stand for: `UUID` (SQLite: a 16-byte BLOB), `JSON` (`jsonb`; SQLite: text),
//! `TEXT` (PostgreSQL: collated by code point, so that both databases sort alike), `BOOL`, `DATE`
//! (SQLite: ISO text) and `BIGINT`, which also holds money and decimals (scaled) and instants
//! (microseconds).

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// A table and the rule by which PostgreSQL decides who sees a row of it.
pub struct Table {
    name: &'static str,
    sql: &'static str,
    policy: &'static str,
}

impl Table {
    /// A table whose rows belong to one workspace.
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sql, policy: "workspace_id = kith_workspace()" }
    }

    pub const fn with_policy(name: &'static str, sql: &'static str, policy: &'static str) -> Self {
        Self { name, sql, policy }
    }
}

pub async fn create(manager: &SchemaManager<'_>, tables: &[Table]) -> Result<(), DbErr> {
    let db = manager.get_connection();
    for table in tables {
        for statement in table.sql.split(";\n").filter(|part| !part.trim().is_empty()) {
            db.execute_unprepared(&for_backend(statement, db.get_database_backend())).await?;
        }
        if db.get_database_backend() == DbBackend::Postgres {
            let Table { name, policy, .. } = table;
            db.execute_unprepared(&format!(
                "ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY tenant ON {name} USING ({policy}) WITH CHECK ({policy});"
            ))
            .await?;
        }
    }
    Ok(())
}

pub async fn drop(manager: &SchemaManager<'_>, tables: &[Table]) -> Result<(), DbErr> {
    for table in tables.iter().rev() {
        manager.get_connection().execute_unprepared(&format!("DROP TABLE {}", table.name)).await?;
    }
    Ok(())
}

/// Adds columns: `table ADD COLUMN name TYPE …`.
pub async fn alter(manager: &SchemaManager<'_>, columns: &[&str]) -> Result<(), DbErr> {
    let db = manager.get_connection();
    for column in columns {
        db.execute_unprepared(&for_backend(&format!("ALTER TABLE {column}"), db.get_database_backend())).await?;
    }
    Ok(())
}

/// Takes the same columns away.
pub async fn drop_columns(manager: &SchemaManager<'_>, columns: &[&str]) -> Result<(), DbErr> {
    for column in columns.iter().rev() {
        let words: Vec<&str> = column.split(' ').collect();
        if let [table, _, _, name, ..] = words.as_slice() {
            manager.get_connection().execute_unprepared(&format!("ALTER TABLE {table} DROP COLUMN {name}")).await?;
        }
    }
    Ok(())
}

/// The functions that policies and queries use on PostgreSQL. SQLite gets `kith_fold` from the
/// server at connection time.
pub async fn create_functions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let sql = r#"
        CREATE FUNCTION kith_workspace() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
            AS $$ SELECT nullif(current_setting('kith.workspace', true), '')::uuid $$;
        CREATE FUNCTION kith_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
            AS $$ SELECT nullif(current_setting('kith.user', true), '')::uuid $$;
        CREATE FUNCTION kith_sign_in_email() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
            AS $$ SELECT nullif(current_setting('kith.sign_in_email', true), '') $$;
        -- Case and accents folded away: NFKD, combining marks dropped, lower case.
        CREATE FUNCTION kith_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
            AS $$ SELECT lower(regexp_replace(normalize($1, NFKD), U&'[\0300-\036F]', '', 'g') COLLATE "und-x-icu") COLLATE "C" $$;
    "#;
    manager.get_connection().execute_unprepared(sql).await?;
    Ok(())
}

pub async fn drop_functions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let sql = "DROP FUNCTION kith_fold(text); DROP FUNCTION kith_sign_in_email();
               DROP FUNCTION kith_user(); DROP FUNCTION kith_workspace();";
    manager.get_connection().execute_unprepared(sql).await?;
    Ok(())
}

/// Replaces the capital type names, word by word.
fn for_backend(sql: &str, backend: DbBackend) -> String {
    let types: &[(&str, &str)] = match backend {
        DbBackend::Postgres => &[(" UUID", " uuid"), (" JSON", " jsonb"), (" TEXT", " text COLLATE \"C\""), (" BOOL", " boolean")],
        _ => &[(" UUID", " uuid_blob"), (" JSON", " jsonb_text"), (" TEXT", " text"), (" BOOL", " boolean"), (" DATE", " date_text")],
    };
    types.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
}
