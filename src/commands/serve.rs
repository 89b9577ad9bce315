//! `kith serve` and `kith demo`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use kith::app::{App, StartError};
use kith::config::Config;
use kith::features::demo as filling;
use kith::graphql::http::{Server, probes, router};
use kith::infra::clock::Clock;
use kith::infra::listen::Tls;
use kith::infra::traces::Traces;
use kith::work;

use super::log::start_log;
use super::renewal::{Hangups, Source, keep_renewing};

#[derive(Args)]
pub struct Serve {
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

pub async fn serve(mut config: Config, options: Serve, source: Source) -> Result<(), StartError> {
    let traces = start_log(&config)?;
    config.server.listen = options.listen.unwrap_or(config.server.listen);
    let source = Source { data_dir: options.data_dir.clone(), ..source };
    config.server.data_dir = options.data_dir.unwrap_or(config.server.data_dir);
    let with_demo = options.demo;
    let listen = config.server.listen;
    let (certificate, key) = (config.server.tls_certificate.clone(), config.server.tls_key.clone());
    let tls = (!certificate.as_os_str().is_empty()).then_some(Tls { certificate, key });
    let hangups = Hangups::listen();
    let app = App::start(config, Clock::default()).await?;
    if with_demo {
        println!("{}", fill(&app).await?);
    }
    let listener = bind("server.listen (KITH_LISTEN)", &listen.to_string()).await?;
    let address = listener.local_addr().map_err(|e| StartError(e.to_string()))?;
    println!("{}", welcome(address, tls.is_some(), with_demo));
    let server = Server::new(app.clone());
    let working = app.config.work.in_serve.then(|| tokio::spawn(work::run(app.clone())));
    let server = router(server);
    let renewing = tokio::spawn(keep_renewing(app.clone(), source, hangups));
    let stopping = app.clone();
    let asked = async move {
        if asked_to_stop().await == Asked::ByTheSystem {
            stopping.draining.store(true, Ordering::Relaxed);
            let drained = Duration::from_secs(stopping.config.server.drain_seconds);
            // Whoever asks again does not want to wait.
            let _ = tokio::time::timeout(drained, asked_to_stop()).await;
        }
        // Whoever holds a connection open is told to go elsewhere.
        stopping.stopping.send_replace(true);
    };
    let served = kith::infra::listen::serve(listener, tls, server, asked).await;
    if let Some(working) = working {
        // A delivery or a job under way comes to its end, or is taken over when its lease is over.
        let _ = tokio::time::timeout(Duration::from_secs(30), working).await;
    }
    renewing.abort();
    close(&app, traces).await;
    served.map_err(|e| StartError(format!("server: {e}")))
}

/// `kith work`: no requests, only the work beside them.
pub async fn work_alone(config: Config, source: Source) -> Result<(), StartError> {
    let traces = start_log(&config)?;
    let hangups = Hangups::listen();
    let app = App::start(config, Clock::default()).await?;
    let server = Server::new(app.clone());
    let answering = match app.config.work.listen.as_str() {
        "" => None,
        address => Some(tokio::spawn(answer(bind("work.listen (KITH_WORK_LISTEN)", address).await?, server))),
    };
    println!("Kith works beside the requests: webhooks, streams and jobs.");
    let renewing = tokio::spawn(keep_renewing(app.clone(), source, hangups));
    let stopping = app.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        stopping.stopping.send_replace(true);
    });
    work::run(app.clone()).await;
    if let Some(answering) = answering {
        answering.abort();
    }
    renewing.abort();
    close(&app, traces).await;
    Ok(())
}

async fn bind(setting: &str, address: &str) -> Result<tokio::net::TcpListener, StartError> {
    let listener = tokio::net::TcpListener::bind(address).await;
    listener.map_err(|e| StartError(format!("{setting}: cannot listen on {address}: {e}")))
}

/// Tells how the process is, until it stops.
async fn answer(listener: tokio::net::TcpListener, server: Server) {
    let service = probes(server).into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!("work.listen: {error}");
    }
}

/// Gives the connections to the database back; whoever still holds one is not waited for longer than a moment.
async fn close(app: &App, traces: Option<Traces>) {
    if tokio::time::timeout(Duration::from_secs(5), app.close()).await.is_err() {
        tracing::warn!("the database was not let go of in time");
    }
    if let Some(traces) = traces {
        traces.end().await;
    }
}

fn welcome(address: SocketAddr, with_tls: bool, with_demo: bool) -> String {
    let base = format!("http{}://{address}", if with_tls { "s" } else { "" });
    let mut text =
        format!("\nKith listens on {base}\n  explorer  {base}/\n  API       {base}/graphql\n  schema    {base}/schema.graphql\n");
    if with_demo {
        text.push_str(&format!(
            "\nSign in as {} with the password {}. Try:\n\n  curl -s {base}/graphql -H 'content-type: application/json' \\\n    -d '{{\"query\":\"mutation {{ signIn(input: {{ email: \\\"{}\\\", password: \\\"{}\\\" }}) {{ session {{ accessToken member {{ name }} workspace {{ name }} }} userErrors {{ message }} }} }}\"}}'\n",
            filling::EMAIL, filling::PASSWORD, filling::EMAIL, filling::PASSWORD
        ));
        let others: Vec<String> = filling::PEOPLE.iter().map(|(email, role)| format!("{email} ({role})")).collect();
        text.push_str(&format!("\nOthers with the same password, to see what their roles show: {}\n", others.join(", ")));
    }
    text
}

/// Fills a demo workspace and says so.
pub async fn demo(config: Config) -> Result<(), StartError> {
    let app = App::start(config, Clock::default()).await?;
    println!("{}", fill(&app).await?);
    app.close().await;
    Ok(())
}

async fn fill(app: &Arc<App>) -> Result<&'static str, StartError> {
    match filling::fill(&app.workspaces, &app.data_model, &app.access).await {
        Ok(true) => Ok("Filled a demo workspace."),
        Ok(false) => Ok("The demo workspace is there already."),
        Err(e) => Err(StartError(format!("the demo workspace could not be filled: {e}"))),
    }
}

/// Who wants the server to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Somebody at a terminal, with Ctrl-C.
    ByHand,
    /// Whoever runs us, with SIGTERM.
    ByTheSystem,
}

/// Waits until somebody wants the server to stop: requests under way are answered first.
async fn asked_to_stop() -> Asked {
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
    let asked = tokio::select! {
        () = interrupt => Asked::ByHand,
        () = terminate => Asked::ByTheSystem,
    };
    tracing::info!("stopping: requests under way are answered first");
    asked
}
