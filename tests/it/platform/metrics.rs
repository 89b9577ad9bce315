//! What Prometheus is told, and whom.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::harness::{Server, on_both};

async fn look(server: &Server, headers: &[(&str, &str)], peer: &str) -> (StatusCode, String) {
    let mut request = Request::get("/metrics");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer.parse::<std::net::SocketAddr>().unwrap()));
    let (status, _, text) = server.send(request).await;
    (status, text)
}

on_both! {
    async fn requests_are_counted_and_nobody_is_named(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Very Secret Ltd" })).await;
        admin.ask("{ companies { nodes { name } } }").await;
        admin.post(json!({ "query": "{ nothing }" }), &[]).await;
        let (status, text) = look(server, &[], "127.0.0.1:5000").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("kith_requests_total{operation=\"mutation\",code=\"OK\"} 1\n"), "{text}");
        assert!(text.contains("kith_requests_total{operation=\"none\",code=\"BAD_REQUEST\"} 1\n"), "{text}");
        assert!(text.contains("kith_request_seconds_count{operation=\"query\"}"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        for secret in ["Secret", "test.example", company.as_str(), &admin.workspace.to_string()] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    async fn whoever_is_not_on_this_machine_needs_the_token(server: &Server) {
        assert_eq!(look(server, &[], "203.0.113.9:1").await.0, StatusCode::FORBIDDEN);
        assert_eq!(look(server, &[("x-forwarded-for", "203.0.113.9")], "127.0.0.1:1").await.0, StatusCode::FORBIDDEN);
        assert_eq!(look(server, &[], "[::1]:1").await.0, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_it_alone_counts() {
    let server = Server::on_sqlite_with(|config| config.telemetry.metrics_token = "s3cret".into()).await;
    assert_eq!(look(&server, &[], "127.0.0.1:1").await.0, StatusCode::FORBIDDEN);
    assert_eq!(look(&server, &[("authorization", "Bearer wrong")], "127.0.0.1:1").await.0, StatusCode::FORBIDDEN);
    assert_eq!(look(&server, &[("authorization", "Bearer s3cret")], "203.0.113.9:1").await.0, StatusCode::OK);
}
