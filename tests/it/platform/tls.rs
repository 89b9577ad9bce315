//! A server without a proxy in front of it.

use std::time::Duration;

use kith::graphql::http::{Server as HttpServer, router};
use kith::infra::listen::{Tls, serve};

use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_speaks_tls_1_3_and_nothing_older() {
    let server = Server::on_sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls = Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/healthz", listener.local_addr().unwrap().port());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, Some(tls), router(HttpServer::new(server.app.clone())), async move {
        let _ = stopped.await;
    }));
    let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(Duration::from_secs(20)).build().unwrap()
    };
    let answer = client(&[&rustls::version::TLS13]).get(&url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    drop(answer);
    assert!(client(&[&rustls::version::TLS12]).get(&url).send().await.is_err(), "TLS 1.2 is refused");
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
