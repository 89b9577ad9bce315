//! `kith backup` and `kith restore`, for the embedded database. PostgreSQL has tools of its own: see docs/operations.md.

use std::path::{Path, PathBuf};

use clap::Args;
use kith::app::{self, StartError};
use kith::config::Config;
use kith::infra::db::Backend;

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
    let copied = db.copy_to(&options.to).await.map_err(|e| told(e.to_string()));
    db.close().await;
    copied?;
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
    // It is looked at before anything is put in its place.
    let copy = Config { database: kith::config::Database { url: url_of(&options.from)?, ..config.database.clone() }, ..config.clone() };
    let db = app::connect(&copy, "the backup", &copy.database.url).await?;
    let steps = app::applied_migrations(&db).await.map_err(|_| told("it is no backup of Kith's".into()))?;
    let sound = db.is_sound().await.map_err(|e| told(e.to_string()))?;
    db.close().await;
    if !sound {
        return Err(told("it is damaged".into()));
    }
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(|e| StartError(format!("{}: {e}", folder.display())))?;
    }
    // Whole or not at all.
    let beside = target.with_extension("restoring");
    std::fs::copy(&options.from, &beside).and_then(|_| std::fs::rename(&beside, &target)).map_err(|e| told(e.to_string()))?;
    println!("Restored {} at step {steps}. `kith serve` takes it from there.", target.display());
    Ok(())
}

fn url_of(file: &Path) -> Result<String, StartError> {
    let whole = std::fs::canonicalize(file).map_err(|e| StartError(format!("{}: {e}", file.display())))?;
    Ok(format!("sqlite://{}", whole.display()))
}
