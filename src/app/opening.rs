//! What a server and the commands open: keys, the database, its schema.

use std::time::Duration;

use migration::{Migrator, MigratorTrait};

use super::StartError;
use crate::config::{Config, Database, Encryption, StreamsTo};
use crate::error::Result;
use crate::features::identity::SigningKeys;
use crate::infra::broker::Broker;
use crate::infra::bus::Bus;
use crate::infra::db::{Db, DbSettings, Mode, Replica, Scope};
use crate::infra::vault::Vault;
use crate::platform::replica::ReadReplica;

/// What signs access tokens.
pub fn signing_keys(config: &Config) -> Result<SigningKeys, StartError> {
    if config.auth.jwt_private_key.is_empty() {
        let folder = &config.server.data_dir;
        std::fs::create_dir_all(folder).map_err(|e| StartError(format!("{}: {e}", folder.display())))?;
        return SigningKeys::in_folder(folder).map_err(StartError);
    }
    SigningKeys::from_pems(&config.auth.jwt_private_key, &config.auth.jwt_previous_keys)
        .map_err(|e| StartError(format!("auth.jwt_private_key (KITH_JWT_PRIVATE_KEY): {e}")))
}

/// What seals secrets at rest.
pub fn vault(config: &Config) -> Result<Vault, StartError> {
    let Encryption { key, previous_keys } = &config.encryption;
    if !key.is_empty() {
        return Vault::from_base64(key, previous_keys).map_err(|e| StartError(format!("encryption.key (KITH_ENCRYPTION_KEY): {e}")));
    }
    let folder = &config.server.data_dir;
    std::fs::create_dir_all(folder).map_err(|e| StartError(format!("{}: {e}", folder.display())))?;
    Vault::in_folder(folder, previous_keys).map_err(|e| StartError(format!("encryption.key (KITH_ENCRYPTION_KEY): {e}")))
}

/// Opens a database by URL; an empty one means the embedded one.
pub async fn connect(config: &Config, setting: &str, url: &str) -> Result<Db, StartError> {
    let url = if url.is_empty() {
        let folder = &config.server.data_dir;
        Db::sqlite_url(folder).map_err(|e| StartError(format!("server.data_dir (KITH_DATA_DIR): {}: {e}", folder.display())))?
    } else {
        url.to_owned()
    };
    let db = Db::connect(&db_settings(config, url)).await;
    db.map_err(|e| StartError(format!("{setting}: cannot connect: {e}")))
}

/// The replica from which queries are read, if the settings name one.
pub(super) async fn replica(config: &Config, db: &Db, bus: &Bus) -> Result<Option<ReadReplica>, StartError> {
    let Database { read_url, read_lag_seconds, .. } = &config.database;
    if read_url.is_empty() {
        return Ok(None);
    }
    let opened = Replica::connect(&db_settings(config, read_url.clone()), db, Duration::from_secs(*read_lag_seconds)).await;
    let replica = opened.map_err(|e| StartError(format!("database.read_url (DATABASE_READ_URL): {e}")))?;
    Ok(Some(ReadReplica::new(replica, bus.clone(), *read_lag_seconds)))
}

pub(super) fn db_settings(config: &Config, url: String) -> DbSettings {
    let slow = match config.telemetry.slow_statement_ms {
        0 => Duration::MAX,
        millis => Duration::from_millis(millis),
    };
    let max_connections = config.database.max_connections;
    DbSettings { url, max_connections, statement_timeout: config.query_timeout(), slow }
}

/// Where the log is published, if it is.
pub async fn broker(config: &Config) -> Result<Option<Broker>, String> {
    let streams = &config.streams;
    let (prefix, keep) = (&streams.prefix, streams.keep_events);
    Ok(match streams.to {
        StreamsTo::Nowhere => None,
        StreamsTo::Redis => Some(Broker::redis(&config.redis.url, prefix, keep).await?),
        StreamsTo::Nats => Some(Broker::nats(&streams.nats_url, prefix, keep).await?),
    })
}

pub async fn migrate(db: &Db) -> Result<(), StartError> {
    Migrator::up(&db.for_migration(), None).await.map_err(|e| StartError(format!("migration failed: {e}")))
}

/// Takes steps back, newest first.
pub async fn migrate_down(db: &Db, steps: u32) -> Result<(), StartError> {
    Migrator::down(&db.for_migration(), Some(steps)).await.map_err(|e| StartError(format!("migration failed: {e}")))
}

pub(super) async fn check_migrated(db: &Db) -> Result<(), StartError> {
    if is_migrated(db).await {
        return Ok(());
    }
    Err(StartError("The database's schema is not up to date. Run `kith migrate` with DATABASE_MIGRATE_URL as its owner first.".into()))
}

/// Whether the database has taken all steps that this version knows.
pub async fn is_migrated(db: &Db) -> bool {
    applied_migrations(db).await.is_ok_and(|applied| applied >= Migrator::migrations().len())
}

/// How many steps the database has taken.
pub async fn applied_migrations(db: &Db) -> Result<usize> {
    let tx = db.begin(&Scope::default(), Mode::Read).await?;
    let row = tx.fetch_optional("SELECT count(*) FROM seaql_migrations", Vec::new()).await?;
    tx.commit().await?;
    let count = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
    Ok(usize::try_from(count).unwrap_or(0))
}
