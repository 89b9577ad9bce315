//! Live lists: what subscribers and `changes` are told, on both databases.

mod access;
mod changes;
mod feeds;
mod nodes;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, header};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::harness::{Actor, Server};

/// A subscription over server-sent events.
pub struct Feed {
    body: BodyDataStream,
    text: String,
}

/// Longer than anything takes that comes at all.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

impl Feed {
    /// Subscribes; the lists are followed when this returns.
    pub async fn open(actor: &Actor<'_>, document: &str, variables: Value) -> Self {
        Self::resume(actor, document, variables, None).await
    }

    pub async fn resume(actor: &Actor<'_>, document: &str, variables: Value, last: Option<&str>) -> Self {
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream")
            .header(header::AUTHORIZATION, format!("Bearer {}", actor.credential.as_ref().unwrap()));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let body = json!({ "query": document, "variables": variables }).to_string();
        let response = actor.server.respond(request.body(Body::from(body)).unwrap()).await;
        let mut feed = Self { body: response.into_body().into_data_stream(), text: String::new() };
        // Whoever asks has a seat before the first event can be missed: the stream's first poll takes it.
        feed.settle().await;
        feed
    }

    /// Lets the subscription take its seat.
    async fn settle(&mut self) {
        for _ in 0..200 {
            if let Ok(Some(Ok(bytes))) = tokio::time::timeout(std::time::Duration::from_millis(1), self.body.next()).await {
                self.text.push_str(&String::from_utf8_lossy(&bytes));
                return;
            }
        }
    }

    /// The next event: its `data` member of the one root field, and its id.
    pub async fn event(&mut self) -> (Value, Option<String>) {
        let (answer, id) = tokio::time::timeout(PATIENCE, self.read()).await.expect("an event within twenty seconds");
        assert!(answer.get("errors").is_none(), "{answer}");
        let data = answer["data"].as_object().unwrap();
        (data.values().next().unwrap().clone(), id)
    }

    pub async fn next(&mut self) -> Value {
        self.event().await.0
    }

    /// The next answer whatever it is; null at the end.
    pub async fn answer(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an answer within twenty seconds").0
    }

    async fn read(&mut self) -> (Value, Option<String>) {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
                match field("event").as_deref() {
                    Some("next") => return (serde_json::from_str(&field("data").unwrap()).unwrap(), field("id")),
                    Some("complete") => return (Value::Null, None),
                    _ => continue,
                }
            }
            match self.body.next().await {
                Some(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes.unwrap())),
                None => return (Value::Null, None),
            }
        }
    }

    /// Fails if something is told before what a last write brings; that write's record.
    pub async fn expect_only(&mut self, actor: &Actor<'_>, one: &str, input: Value) {
        let id = actor.create(one, input).await;
        let next = self.next().await;
        assert_eq!(next["id"], id.as_str(), "{next:#}");
    }
}

/// The kinds and names of events, as they come.
pub fn told(event: &Value) -> (String, String) {
    let name = event.as_object().unwrap().values().find_map(|member| member.get("name")).and_then(Value::as_str);
    (event["kind"].as_str().unwrap().to_owned(), name.unwrap_or_default().to_owned())
}

pub async fn cursor(actor: &Actor<'_>) -> String {
    actor.ask("{ changeCursor }").await["changeCursor"].as_str().unwrap().to_owned()
}

/// A server's workspace with two companies and a deal.
pub async fn small(server: &Server) -> (Actor<'_>, String, String) {
    let admin = server.admin().await;
    let alder = admin.create("company", json!({ "name": "Alder", "domains": ["alder.example"] })).await;
    let deal =
        admin.create("deal", json!({ "name": "first", "company": { "id": alder }, "amount": { "amount": "10", "currency": "EUR" } })).await;
    (admin, alder, deal)
}
