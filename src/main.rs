//! The command line.

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use kith::app::StartError;
use kith::config::{self, Config};
use kith::graphql::schema::WorkspaceSchema;
use kith::objects;

use commands::{Backup, CreateWorkspace, HealthCheck, RegisterDocuments, Restore, Serve, Source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A headless CRM: one binary, one GraphQL endpoint.
///
/// Without any setting it keeps its data in an embedded database under ./kith-data. Settings come
/// from kith.toml and the environment; `kith config` prints all of them with their defaults.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// A file of settings; ./kith.toml is read if it is there
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API
    Serve(Serve),
    /// Do the work beside the requests (webhooks), and serve nothing; any number of such processes may run
    Work,
    /// Bring the database's schema up to date, as its owner (DATABASE_MIGRATE_URL)
    Migrate {
        /// Take back so many steps instead
        #[arg(long, value_name = "STEPS")]
        down: Option<u32>,
    },
    /// Fill the database with a demo workspace, unless it has one
    Demo,
    /// Write a consistent copy of the embedded database while the server runs
    Backup(Backup),
    /// Put a copy in the place of an embedded database that is not there
    Restore(Restore),
    /// Look at everything that a server needs, and say what is wrong
    Doctor,
    /// Ask a server or worker that runs on this machine how it is
    Healthcheck(HealthCheck),
    /// Replay the change log and compare it with the tables: after a restore, or in doubt
    Verify,
    /// Make a workspace with its first administrator
    CreateWorkspace(CreateWorkspace),
    /// Register the documents that an application sends, from the manifest that its build wrote
    RegisterDocuments(RegisterDocuments),
    /// Make a new signing key in the data folder; what the present one signed stays good meanwhile
    RotateSigningKey,
    /// Seal second factors and the keys of encrypted fields anew with encryption.key; afterwards the keys in
    /// encryption.previous_keys can go. On PostgreSQL it needs DATABASE_MIGRATE_URL
    RotateEncryption,
    /// Let entries of the audit go that are older than the settings' days. On PostgreSQL it needs DATABASE_MIGRATE_URL
    ExpireAudit,
    /// Print the schema of a brand-new workspace
    Schema,
    /// Print all settings with their defaults, as a file to copy
    Config,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let source = Source::new(cli.config);
    let done = source.load().map_err(|e| StartError(e.to_string())).and_then(|config| {
        // Room for futures that lie deep in each other, above all in builds that are not optimised; what is not used costs nothing.
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(8 << 20).enable_all().build();
        runtime.map_err(|e| StartError(e.to_string()))?.block_on(run(cli.command, config, source))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("kith: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, config: Config, source: Source) -> Result<(), StartError> {
    match command {
        Command::Serve(options) => commands::serve(config, options, source).await,
        Command::Work => commands::work_alone(config, source).await,
        Command::Migrate { down } => commands::migrate(&config, down).await,
        Command::Demo => commands::demo(config).await,
        Command::Backup(options) => commands::backup(&config, options).await,
        Command::Restore(options) => commands::restore(&config, options).await,
        Command::Doctor => commands::doctor(config).await,
        Command::Healthcheck(options) => commands::healthcheck(&config, options).await,
        Command::Verify => commands::verify(config).await,
        Command::CreateWorkspace(options) => commands::create_workspace(config, options).await,
        Command::RegisterDocuments(options) => commands::register_documents(config, options).await,
        Command::RotateSigningKey => commands::rotate_signing_key(&config),
        Command::RotateEncryption => commands::rotate_encryption(&config).await,
        Command::ExpireAudit => commands::expire_audit(&config).await,
        Command::Schema => {
            print!("{}", WorkspaceSchema::build(&Arc::new(objects::standard_catalog())).sdl());
            Ok(())
        }
        Command::Config => {
            print!("{}", config::DEFAULTS);
            Ok(())
        }
    }
}
