//! Listening for requests: plain behind a proxy, or with TLS 1.3.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;

/// A certificate with its chain, and its key, as PEM files.
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How long requests under way have to be answered when the server goes down.
const GRACE: Duration = Duration::from_secs(20);
/// How often it is looked whether the certificate was renewed.
const RENEWAL: Duration = Duration::from_secs(60);

/// Serves until `stop` returns, and then answers what is under way.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), String> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let Some(tls) = tls else {
        let (told, mut heard) = tokio::sync::watch::channel(false);
        let served = axum::serve(listener, service).with_graceful_shutdown(async move {
            stop.await;
            told.send_replace(true);
        });
        let too_long = async {
            // Whoever told is gone only when everything was answered.
            if heard.wait_for(|told| *told).await.is_ok() {
                tokio::time::sleep(GRACE).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        return tokio::select! {
            served = served.into_future() => served.map_err(|e| e.to_string()),
            () = too_long => {
                tracing::warn!("some requests were not answered in time");
                Ok(())
            }
        };
    };
    let config = RustlsConfig::from_config(Arc::new(load(&tls)?));
    let renewing = tokio::spawn(renew(tls, config.clone()));
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(GRACE));
    });
    let listener = listener.into_std().map_err(|e| e.to_string())?;
    let server = axum_server::from_tcp_rustls(listener, config).map_err(|e| e.to_string())?;
    let served = server.handle(handle).serve(service).await.map_err(|e| e.to_string());
    renewing.abort();
    served
}

fn load(tls: &Tls) -> Result<ServerConfig, String> {
    let told = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let chain = CertificateDer::pem_file_iter(&tls.certificate).map_err(|e| told(&tls.certificate, &e))?;
    let chain: Vec<CertificateDer<'static>> = chain.collect::<Result<_, _>>().map_err(|e| told(&tls.certificate, &e))?;
    if chain.is_empty() {
        return Err(told(&tls.certificate, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| told(&tls.key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.map_err(|e| e.to_string())?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(|e| told(&tls.certificate, &e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes a renewed certificate over, without a restart.
async fn renew(tls: Tls, config: RustlsConfig) {
    let written = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let newest = || written(&tls.certificate).max(written(&tls.key));
    let mut known = newest();
    loop {
        tokio::time::sleep(RENEWAL).await;
        let now = newest();
        if now == known {
            continue;
        }
        match load(&tls) {
            Ok(renewed) => {
                config.reload_from_config(Arc::new(renewed));
                known = now;
                tracing::info!("the certificate was renewed");
            }
            // It may be half written.
            Err(error) => tracing::warn!("the certificate could not be renewed: {error}"),
        }
    }
}
