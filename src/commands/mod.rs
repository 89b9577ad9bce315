//! What the commands do.

mod backup;
mod database;
mod doctor;
mod documents;
mod healthcheck;
mod keys;
mod log;
mod renewal;
mod serve;
mod verify;
mod workspaces;

pub use backup::{Backup, Restore, backup, restore};
pub use database::{expire_audit, migrate};
pub use doctor::doctor;
pub use documents::{RegisterDocuments, register_documents};
pub use healthcheck::{HealthCheck, healthcheck};
pub use keys::{rotate_encryption, rotate_signing_key};
pub use renewal::Source;
pub use serve::{Serve, demo, serve, work_alone};
pub use verify::verify;
pub use workspaces::{CreateWorkspace, create_workspace};

use kith::app::StartError;
use kith::config::Config;
use kith::records::write::Rejected;

/// The settings for what takes as long as it takes: requests have a deadline, an operator's commands do not.
fn patient(config: &Config) -> Config {
    let mut patient = config.clone();
    patient.limits.query_seconds = 7 * 24 * 3_600;
    patient
}

/// The login that owns the tables.
fn owner_of(config: &Config) -> (&'static str, &str) {
    let database = &config.database;
    if database.migrate_url.is_empty() {
        ("database.url (DATABASE_URL)", &database.url)
    } else {
        ("database.migrate_url (DATABASE_MIGRATE_URL)", &database.migrate_url)
    }
}

/// Why something was refused, in words for the operator.
fn told(rejected: Rejected) -> StartError {
    match rejected {
        Rejected::User { errors, .. } => {
            let why: Vec<String> = errors.into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message)).collect();
            StartError(why.join("\n"))
        }
        Rejected::Failed(error) => StartError(error.to_string()),
    }
}
