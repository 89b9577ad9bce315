//! Traces: what a collector is told of a request, and what it is not.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use kith::infra::traces::{Collector, Traces};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::harness::Server;

type Taken = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A collector on a port of this machine, and what it was sent.
async fn collector() -> (String, Taken) {
    let taken = Taken::default();
    let take = async |State(taken): State<Taken>, headers: HeaderMap, body: Bytes| taken.lock().unwrap().push((headers, body));
    let routes = Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}"), taken)
}

fn spans(taken: &Taken) -> Vec<Span> {
    let sent = taken.lock().unwrap().clone();
    let requests = sent.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap());
    requests.flat_map(|request| request.resource_spans).flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
}

fn text<'s>(attributes: &'s [KeyValue], key: &str) -> &'s str {
    let found = attributes.iter().find(|attribute| attribute.key == key).and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    if let Some(any_value::Value::StringValue(text)) = found { text } else { "" }
}

#[tokio::test]
async fn a_request_is_a_span_and_each_statement_one_below_it() {
    let server = Server::on_sqlite().await;
    let (endpoint, taken) = collector().await;
    let collector = Collector { endpoint: &endpoint, headers: "x-team=crm", service: "kith-test", per_mille: 1_000 };
    let traces = Traces::begin(&collector).unwrap();
    let admin = server.admin().await;
    let listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(traces.layer()));
    let document = "mutation Make($name: String!) { createCompany(input: { name: $name }) { company { id } userErrors { code } } }";
    let body = json!({ "query": document, "operationName": "Make", "variables": { "name": "Hush Hush Limited" } });
    let theirs = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{theirs}-b7ad6b7169203331-01");
    assert_eq!(admin.post(body, &[("traceparent", &parent)]).await.2["errors"], json!(null));
    let wrong = json!({ "query": "{ nonsense }" });
    admin.post(wrong, &[]).await;
    drop(listening);
    traces.end().await;

    let spans = spans(&taken);
    let made = spans.iter().find(|span| text(&span.attributes, "graphql.operation.name") == "Make").expect("a span of the mutation");
    assert_eq!((made.name.as_str(), text(&made.attributes, "graphql.operation.type")), ("GraphQL Operation", "mutation"));
    assert_eq!(made.trace_id, hex::decode(theirs).unwrap(), "the caller's trace goes on");
    let below: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == made.span_id).collect();
    let statements: Vec<&str> = below.iter().map(|span| text(&span.attributes, "db.query.text")).collect();
    assert!(
        statements.iter().any(|sql| sql.starts_with("INSERT INTO company") || sql.contains("INSERT INTO change_log")),
        "{statements:?}"
    );
    assert!(
        below
            .iter()
            .all(|span| text(&span.attributes, "db.system.name") == "sqlite" && span.end_time_unix_nano >= span.start_time_unix_nano)
    );
    let refused = spans.iter().find(|span| text(&span.attributes, "error.type") == "BAD_REQUEST").expect("a span of what was refused");
    assert_eq!(refused.status.as_ref().map(|status| status.code), Some(2), "an error");
    // Whose it is, and nothing of what was written.
    for (headers, body) in taken.lock().unwrap().iter() {
        assert_eq!(headers["x-team"], "crm");
        let body = String::from_utf8_lossy(body).to_lowercase();
        assert!(body.contains("kith-test"));
        for told in ["hush hush", "nonsense", "test.example"] {
            assert!(!body.contains(told), "`{told}` was told");
        }
    }
}
