//! Webhooks: who is told what, in which order, how often, and how it is signed.

mod deliveries;
mod receiver;
mod setting_up;

use kith::config::Config;
use serde_json::{Value, json};

use crate::harness::{Actor, Server};

use receiver::Receiver;

/// Declares tests that run on both databases, with servers that may send to this machine.
macro_rules! on_both {
    ($(async fn $name:ident($server:ident: $ty:ty) $body:block)*) => {
        $(async fn $name($server: $ty) $body)*
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&$crate::harness::Server::on_sqlite_with($crate::webhooks::reaching_home).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&$crate::harness::Server::on_postgres_with($crate::webhooks::reaching_home).await).await;
            })*
        }
    };
}
use on_both;

pub fn reaching_home(config: &mut Config) {
    config.webhooks.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    config.webhooks.timeout_seconds = 2;
    // Days pass in these tests.
    config.auth.access_token_minutes = 1_000_000;
}

const CREATE: &str = "mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id status scopes effectiveDocument kinds signature } secret userErrors { code path message } } }";

/// Makes a webhook to a receiver: its id and its secret.
pub async fn hook(actor: &Actor<'_>, receiver: &Receiver, more: Value) -> (String, String) {
    let mut input = json!({ "name": "hook", "url": receiver.url });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = actor.ask_with(CREATE, json!({ "input": input })).await["createWebhook"].clone();
    assert_eq!(made["userErrors"], json!([]));
    (made["webhook"]["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

/// Reads the log on and sends what is due.
pub async fn work(server: &Server) {
    server.app.worker.get().unwrap().work().await.unwrap();
    while kith::work::work_once(&server.app).await.unwrap() {}
}

/// What became of a webhook's deliveries, the newest first: event, state, attempts.
pub async fn deliveries(actor: &Actor<'_>) -> Vec<(String, String, usize)> {
    let list = "{ webhookDeliveries(first: 100) { nodes { event state attempts { status error response } } } }";
    let nodes = actor.ask(list).await["webhookDeliveries"]["nodes"].clone();
    let text = |node: &Value, name: &str| node[name].as_str().unwrap().to_owned();
    nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (text(node, "event"), text(node, "state"), node["attempts"].as_array().unwrap().len()))
        .collect()
}

/// Lets time pass.
pub fn pass(server: &Server, seconds: i64) {
    server.clock.advance(seconds * 1_000_000);
}
