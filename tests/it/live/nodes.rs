//! Subscribers of one node hear of what another one writes.

use serde_json::json;

use super::{Feed, told};
use crate::harness::Server;

async fn hears(server: Server) {
    let admin = server.admin().await;
    let other = server.second_node().await;
    let there = other.bearer(admin.credential.as_ref().unwrap());
    let mut feed = Feed::open(&there, "subscription { companyChanges { kind company { name } } }", json!({})).await;
    admin.create("company", json!({ "name": "From here" })).await;
    assert_eq!(told(&feed.next().await), ("ENTERED".into(), "From here".into()));
    there.create("company", json!({ "name": "From there" })).await;
    assert_eq!(told(&feed.next().await), ("ENTERED".into(), "From there".into()));
    // What a field is called is told too.
    admin.ask("mutation { createField(input: { object: COMPANY, name: \"rank\", label: \"Rank\", kind: INTEGER }) { userErrors { message } } }").await;
    assert_eq!(told(&feed.next().await).0, "SCHEMA_CHANGED");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_redis() {
    hears(Server::on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_database_where_there_is_no_redis() {
    hears(Server::on_postgres_with(|config| config.redis.url = String::new()).await).await;
}
