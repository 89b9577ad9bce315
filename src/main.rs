//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use kith::app::{self, App, StartError};
use kith::config::{Config, LogFormat};
use kith::features::demo;
use kith::features::identity::reseal;
use kith::features::secrets::rewrap;
use kith::features::workspaces::NewWorkspace;
use kith::graphql::http::{Server, router};
use kith::graphql::schema::WorkspaceSchema;
use kith::infra::clock::Clock;
use kith::infra::db::{Mode, Scope};
use kith::infra::listen::Tls;
use kith::objects;
use kith::platform::audit;
use kith::records::write::Rejected;

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
    /// Bring the database's schema up to date, as its owner (DATABASE_MIGRATE_URL)
    Migrate {
        /// Take back so many steps instead
        #[arg(long, value_name = "STEPS")]
        down: Option<u32>,
    },
    /// Fill the database with a demo workspace, unless it has one
    Demo,
    /// Make a workspace with its first administrator
    CreateWorkspace(CreateWorkspace),
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

#[derive(Args)]
struct Serve {
    /// Fill the database with a demo workspace first, unless it has one
    #[arg(long)]
    demo: bool,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the embedded database and the signing key are kept
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Args)]
struct CreateWorkspace {
    /// The workspace's name
    #[arg(long)]
    name: String,
    /// The administrator's name
    #[arg(long)]
    admin: String,
    /// The administrator's address, to sign in with
    #[arg(long)]
    email: String,
    /// The administrator's password
    #[arg(long, env = "KITH_ADMIN_PASSWORD", hide_env_values = true)]
    password: String,
    /// Where the workspace's days begin
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// The currency in which it reckons
    #[arg(long, default_value = "EUR")]
    currency: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done =
        Config::load(cli.config.as_deref(), |name| std::env::var(name).ok()).map_err(|e| StartError(e.to_string())).and_then(|config| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(|e| StartError(e.to_string()))?.block_on(run(cli.command, config))
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("kith: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, mut config: Config) -> Result<(), StartError> {
    match command {
        Command::Serve(options) => {
            start_log(&config)?;
            config.server.listen = options.listen.unwrap_or(config.server.listen);
            config.server.data_dir = options.data_dir.unwrap_or(config.server.data_dir);
            serve(config, options.demo).await
        }
        Command::Migrate { down } => migrate(&config, down).await,
        Command::Demo => {
            let app = App::start(config, Clock::default()).await?;
            println!("{}", fill(&app).await?);
            app.db.close().await;
            Ok(())
        }
        Command::CreateWorkspace(options) => create_workspace(config, options).await,
        Command::RotateSigningKey => {
            if !config.auth.jwt_private_key.is_empty() {
                return Err(StartError(
                    "The key comes from KITH_JWT_PRIVATE_KEY: change it there, and name the present one in auth.jwt_previous_keys.".into(),
                ));
            }
            kith::features::identity::SigningKeys::rotate(&config.server.data_dir).map_err(StartError)?;
            println!("The next start signs with a new key.");
            Ok(())
        }
        Command::ExpireAudit => expire_audit(&config).await,
        Command::RotateEncryption => rotate_encryption(&config).await,
        Command::Schema => {
            print!("{}", WorkspaceSchema::build(&Arc::new(objects::standard_catalog())).sdl().0);
            Ok(())
        }
        Command::Config => {
            print!("{}", kith::config::DEFAULTS);
            Ok(())
        }
    }
}

fn start_log(config: &Config) -> Result<(), StartError> {
    let filter = config.log.filter.parse::<tracing_subscriber::EnvFilter>();
    let filter = filter.map_err(|e| StartError(format!("log.filter (KITH_LOG): `{}` is not right: {e}", config.log.filter)))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

async fn serve(config: Config, with_demo: bool) -> Result<(), StartError> {
    let listen = config.server.listen;
    let (certificate, key) = (config.server.tls_certificate.clone(), config.server.tls_key.clone());
    let tls = (!certificate.as_os_str().is_empty()).then_some(Tls { certificate, key });
    let app = App::start(config, Clock::default()).await?;
    if with_demo {
        println!("{}", fill(&app).await?);
    }
    let listener = tokio::net::TcpListener::bind(listen).await;
    let listener = listener.map_err(|e| StartError(format!("server.listen (KITH_LISTEN): cannot listen on {listen}: {e}")))?;
    let address = listener.local_addr().map_err(|e| StartError(e.to_string()))?;
    println!("{}", welcome(address, tls.is_some(), with_demo));
    let server = router(Server::new(app.clone()));
    let stopping = app.clone();
    let asked = async move {
        asked_to_stop().await;
        // Whoever holds a connection open is told to go elsewhere.
        stopping.stopping.send_replace(true);
    };
    let served = kith::infra::listen::serve(listener, tls, server, asked).await;
    app.db.close().await;
    served.map_err(|e| StartError(format!("server: {e}")))
}

fn welcome(address: SocketAddr, with_tls: bool, with_demo: bool) -> String {
    let base = format!("http{}://{address}", if with_tls { "s" } else { "" });
    let mut text =
        format!("\nKith listens on {base}\n  explorer  {base}/\n  API       {base}/graphql\n  schema    {base}/schema.graphql\n");
    if with_demo {
        text.push_str(&format!(
            "\nSign in as {} with the password {}. Try:\n\n  curl -s {base}/graphql -H 'content-type: application/json' \\\n    -d '{{\"query\":\"mutation {{ signIn(input: {{ email: \\\"{}\\\", password: \\\"{}\\\" }}) {{ session {{ accessToken member {{ name }} workspace {{ name }} }} userErrors {{ message }} }} }}\"}}'\n",
            demo::EMAIL, demo::PASSWORD, demo::EMAIL, demo::PASSWORD
        ));
        let others: Vec<String> = demo::PEOPLE.iter().map(|(email, role)| format!("{email} ({role})")).collect();
        text.push_str(&format!("\nOthers with the same password, to see what their roles show: {}\n", others.join(", ")));
    }
    text
}

async fn fill(app: &Arc<App>) -> Result<&'static str, StartError> {
    match demo::fill(&app.workspaces, &app.data_model, &app.access).await {
        Ok(true) => Ok("Filled a demo workspace."),
        Ok(false) => Ok("The demo workspace is there already."),
        Err(e) => Err(StartError(format!("the demo workspace could not be filled: {e}"))),
    }
}

/// Ctrl-C, or SIGTERM from whoever runs us: requests under way are answered first.
async fn asked_to_stop() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    let terminate = async {
        if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            signal.recv().await;
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("stopping: requests under way are answered first");
}

async fn migrate(config: &Config, down: Option<u32>) -> Result<(), StartError> {
    let (setting, owner) = owner_of(config);
    let db = app::connect(config, setting, owner).await?;
    match down {
        Some(steps) => app::migrate_down(&db, steps).await?,
        None => app::migrate(&db).await?,
    }
    let role = url::Url::parse(&config.database.url).ok().filter(|url| url.scheme().starts_with("postgres"));
    if let (Some(role), false) = (role, config.database.migrate_url.is_empty()) {
        db.grant_to(role.username(), role.password())
            .await
            .map_err(|e| StartError(format!("cannot grant rights to `{}`: {e}", role.username())))?;
    }
    println!("The schema is at step {}.", app::applied_migrations(&db).await.map_err(|e| StartError(e.to_string()))?);
    db.close().await;
    Ok(())
}

async fn rotate_encryption(config: &Config) -> Result<(), StartError> {
    let vault = app::vault(config)?;
    let (setting, owner) = owner_of(config);
    let db = app::connect(config, setting, owner).await?;
    let resealed = async {
        let tx = db.begin(&Scope::default(), Mode::Write).await?;
        let keys = rewrap(&tx, &vault).await?;
        let factors = reseal(&tx, &vault).await?;
        tx.commit().await?;
        Ok::<_, kith::error::Error>((keys, factors))
    };
    let (keys, factors) = resealed.await.map_err(|e| StartError(format!("nothing was changed: {e}")))?;
    println!("Sealed anew: {keys} keys of encrypted fields, {factors} second factors.");
    db.close().await;
    Ok(())
}

async fn expire_audit(config: &Config) -> Result<(), StartError> {
    let keys = app::signing_keys(config)?;
    let (setting, owner) = owner_of(config);
    let db = app::connect(config, setting, owner).await?;
    let now = Clock::default().now();
    let days = &config.audit;
    let retention = audit::Retention::from([
        (audit::Class::SignIns, days.sign_in_days.into()),
        (audit::Class::Reads, days.read_days.into()),
        (audit::Class::Changes, days.change_days.into()),
    ]);
    let expired = async {
        let tx = db.begin(&Scope::default(), Mode::Write).await?;
        let workspaces = tx.fetch_all("SELECT id FROM workspace ORDER BY id", Vec::new()).await?;
        let mut closed = 0;
        for row in workspaces {
            let Some(workspace) = row.uuid(0)? else { continue };
            let sign = |closing: &audit::Closing| keys.sign_closing(closing, now);
            closed += usize::from(audit::expire(&tx, workspace, &retention, now, &sign).await?.is_some());
        }
        tx.commit().await?;
        Ok::<_, kith::error::Error>(closed)
    };
    let closed = expired.await.map_err(|e| StartError(format!("nothing was changed: {e}")))?;
    println!("Old entries were let go in {closed} workspaces.");
    db.close().await;
    Ok(())
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

async fn create_workspace(config: Config, options: CreateWorkspace) -> Result<(), StartError> {
    let app = App::start(config, Clock::default()).await?;
    let new = NewWorkspace {
        name: options.name,
        time_zone: options.time_zone,
        home_currency: options.currency,
        locale: "en".into(),
        admin_name: options.admin,
        admin_email: options.email,
        admin_password: options.password,
    };
    let made = app.workspaces.create(new).await;
    app.db.close().await;
    match made {
        Ok(made) => {
            println!("{}", made.workspace);
            Ok(())
        }
        Err(Rejected::User { errors, .. }) => {
            let why: Vec<String> = errors.into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message)).collect();
            Err(StartError(why.join("\n")))
        }
        Err(Rejected::Failed(error)) => Err(StartError(error.to_string())),
    }
}
