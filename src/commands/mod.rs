//! What the commands do.

mod backup;
mod database;
mod doctor;
mod documents;
mod keys;
mod serve;
mod workspaces;

pub use backup::{Backup, Restore, backup, restore};
pub use database::{expire_audit, migrate};
pub use doctor::doctor;
pub use documents::{RegisterDocuments, register_documents};
pub use keys::{rotate_encryption, rotate_signing_key};
pub use serve::{Serve, demo, serve, work_alone};
pub use workspaces::{CreateWorkspace, create_workspace};

use kith::app::StartError;
use kith::config::Config;
use kith::records::write::Rejected;

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
