//! `kith healthcheck`: asks a running server or worker of this machine how it is, as containers want it.

use std::time::Duration;

use clap::Args;
use kith::app::StartError;
use kith::config::Config;

#[derive(Args)]
pub struct HealthCheck {
    /// Ask whether it is ready, and not only whether it is alive
    #[arg(long)]
    ready: bool,
    /// Ask a worker (work.listen), not a server (server.listen)
    #[arg(long)]
    work: bool,
}

const PATIENCE: Duration = Duration::from_secs(5);

pub async fn healthcheck(config: &Config, options: HealthCheck) -> Result<(), StartError> {
    let listen = if options.work { config.work.listen.clone() } else { config.server.listen.to_string() };
    let Some((host, port)) = listen.rsplit_once(':') else {
        return Err(StartError("work.listen (KITH_WORK_LISTEN) is empty: the worker answers nowhere.".into()));
    };
    // Who listens everywhere listens here.
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let tls = !options.work && !config.server.tls_certificate.as_os_str().is_empty();
    let (scheme, path) = (if tls { "https" } else { "http" }, if options.ready { "readyz" } else { "healthz" });
    let url = format!("{scheme}://{host}:{port}/{path}");
    // The certificate is for the name that clients use, not for this address; nothing secret is sent.
    // It is there already if somebody else put it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().tls_danger_accept_invalid_certs(true).build();
    let answer = client.map_err(|e| StartError(e.to_string()))?.get(&url).send().await;
    let answer = answer.map_err(|e| StartError(format!("{url}: {e}")))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    println!("{}", text.trim_end());
    if status.is_success() { Ok(()) } else { Err(StartError(format!("{url}: {status}"))) }
}
