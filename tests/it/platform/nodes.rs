//! Several nodes over one database: what one changes, the others know at once.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::harness::{Actor, Server};

/// Waits until a node has heard one more word.
async fn hears(node: &Server, word: impl Future<Output = ()>) {
    let mut heard = node.app.bus.heard().unwrap();
    heard.mark_unchanged();
    word.await;
    tokio::time::timeout(Duration::from_secs(10), heard.changed()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_by_every_node() {
    let one = Server::on_postgres().await;
    let two = one.second_node().await;
    let admin = one.admin().await;
    let made = admin.ask("mutation { createApiKey(input: { name: \"k\" }) { secret apiKey { id } } }").await["createApiKey"].clone();
    let key = two.bearer(made["secret"].as_str().unwrap());
    key.ask("{ deals { totalCount } }").await;
    // The clock stands still, so that nothing is forgotten by itself.
    hears(&two, async {
        admin
            .ask_with(
                "mutation($id: ID!) { revokeApiKey(input: { id: $id }) { userErrors { code } } }",
                json!({ "id": made["apiKey"]["id"] }),
            )
            .await;
    })
    .await;
    assert_eq!(key.refused("{ deals { totalCount } }").await.0, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_field_is_known_to_every_node() {
    let one = Server::on_postgres().await;
    let two = one.second_node().await;
    let admin = one.admin().await;
    let there = Actor { server: &two, ..admin.clone() };
    let document = "{ companies { nodes { custom { fleet } } } }";
    assert_eq!(there.refused(document).await.0, "BAD_REQUEST");
    hears(&two, async {
        let input = json!({ "object": "COMPANY", "name": "fleet", "kind": "INTEGER", "label": "Fleet" });
        admin
            .ask_with(
                "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { code } } }",
                json!({ "input": input }),
            )
            .await;
    })
    .await;
    there.ask(document).await;
}

#[tokio::test]
async fn readiness_tells_of_every_part() {
    for (server, redis) in [(Server::on_sqlite().await, "not configured"), (Server::on_postgres().await, "ok")] {
        let (status, _, body) = server.send(Request::get("/readyz").body(Body::empty()).unwrap()).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status.as_u16(), told),
            (
                200,
                json!({ "ready": true, "database": "ok", "migrations": "ok", "redis": redis, "replica": "not configured", "logReaderLag": {} })
            )
        );
    }
}
