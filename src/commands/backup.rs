//! `kith backup` and `kith restore`, for the embedded database. PostgreSQL has tools of its own: see docs/operations.md.

use std::path::{Path, PathBuf};

use clap::Args;
use kith::app::{self, StartError};
use kith::config::Config;
use kith::infra::db::Backend;
use kith::infra::sealed_file;

#[derive(Args)]
pub struct Backup {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args)]
pub struct Restore {
    /// A file that `kith backup` wrote
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

/// Writes a consistent copy while the server runs.
pub async fn backup(config: &Config, options: Backup) -> Result<(), StartError> {
    let told = |why: String| StartError(format!("{}: {why}", options.to.display()));
    if options.to.exists() {
        return Err(told("it is there already".into()));
    }
    let db = app::connect(&super::patient(config), "database.url (DATABASE_URL)", &config.database.url).await?;
    if db.backend() == Backend::Postgres {
        return Err(StartError("PostgreSQL is backed up with pg_dump or by its WAL: see docs/operations.md.".into()));
    }
    let key = sealing_key(config)?;
    let plain = if key.is_some() { options.to.with_extension("copying") } else { options.to.clone() };
    let copied = db.copy_to(&plain).await.map_err(|e| told(e.to_string()));
    db.close().await;
    copied?;
    if let Some(key) = key {
        let sealed = sealed_file::seal(&key, &plain, &options.to);
        std::fs::remove_file(&plain).map_err(|e| told(e.to_string()))?;
        sealed.map_err(|e| told(e.to_string()))?;
    }
    let bytes = std::fs::metadata(&options.to).map_or(0, |file| file.len());
    println!("Wrote {} ({bytes} bytes). The keys in the data folder are not in it: keep them too, elsewhere.", options.to.display());
    Ok(())
}

/// Puts a copy in the place of a database that is not there.
pub async fn restore(config: &Config, options: Restore) -> Result<(), StartError> {
    let told = |why: String| StartError(format!("{}: {why}", options.from.display()));
    if !config.database.url.is_empty() && !config.database.url.starts_with("sqlite:") {
        return Err(StartError("PostgreSQL is restored with its own tools: see docs/operations.md.".into()));
    }
    let target = match config.database.url.strip_prefix("sqlite://") {
        Some(path) => PathBuf::from(path.split('?').next().unwrap_or(path)),
        None => config.server.data_dir.join("kith.db"),
    };
    if target.exists() {
        return Err(StartError(format!("{}: there is a database already; move it away first.", target.display())));
    }
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(|e| StartError(format!("{}: {e}", folder.display())))?;
    }
    // Whole or not at all: it is looked at before anything is put in its place.
    let beside = target.with_extension("restoring");
    let _ = std::fs::remove_file(&beside);
    let taken = take(config, &options.from, &beside).and_then(|()| url_of(&beside));
    let steps = match taken {
        Ok(url) => look(config, url).await,
        Err(error) => Err(error),
    };
    let steps = match steps {
        Ok(steps) => steps,
        Err(StartError(why)) => {
            let _ = std::fs::remove_file(&beside);
            return Err(told(why));
        }
    };
    std::fs::rename(&beside, &target).map_err(|e| told(e.to_string()))?;
    println!("Restored {} at step {steps}. `kith serve` takes it from there.", target.display());
    Ok(())
}

/// What backups are sealed with, if they are.
fn sealing_key(config: &Config) -> Result<Option<[u8; 32]>, StartError> {
    let text = &config.backup.key;
    let key = (!text.is_empty()).then(|| sealed_file::key(text)).transpose();
    key.map_err(|e| StartError(format!("backup.key (KITH_BACKUP_KEY): {e}")))
}

/// Puts a plain copy of a backup beside the place of the database.
fn take(config: &Config, from: &Path, beside: &Path) -> Result<(), StartError> {
    let told = |e: std::io::Error| StartError(e.to_string());
    if !sealed_file::is_sealed(from).map_err(told)? {
        return std::fs::copy(from, beside).map(drop).map_err(told);
    }
    let Some(key) = sealing_key(config)? else {
        return Err(StartError("it is sealed: backup.key (KITH_BACKUP_KEY) opens it".into()));
    };
    sealed_file::open(&key, from, beside).map_err(told)
}

/// Whether it is a sound database of Kith's, and how many steps it took.
async fn look(config: &Config, url: String) -> Result<usize, StartError> {
    let copy = Config { database: kith::config::Database { url, ..config.database.clone() }, ..config.clone() };
    let db = app::connect(&copy, "the backup", &copy.database.url).await?;
    let steps = app::applied_migrations(&db).await;
    let sound = db.is_sound().await;
    db.close().await;
    let steps = steps.map_err(|_| StartError("it is no backup of Kith's".into()))?;
    match sound {
        Ok(true) => Ok(steps),
        Ok(false) => Err(StartError("it is damaged".into())),
        Err(error) => Err(StartError(error.to_string())),
    }
}

fn url_of(file: &Path) -> Result<String, StartError> {
    let whole = std::fs::canonicalize(file).map_err(|e| StartError(format!("{}: {e}", file.display())))?;
    Ok(format!("sqlite://{}", whole.display()))
}
