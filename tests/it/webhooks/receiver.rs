//! An endpoint that listens for real, and answers as a test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

/// Something that was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

/// What is answered next; then 200 for ever.
pub type Answers = VecDeque<(u16, Vec<(&'static str, &'static str)>)>;

#[derive(Clone, Default)]
pub struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Answers>>,
    pub url: String,
}

impl Receiver {
    pub async fn listen() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, ..Self::default() };
        let app = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// Answers so, each once.
    pub fn answer(&self, answers: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(answers.into_iter().map(|status| (status, Vec::new())));
    }

    pub fn answer_with(&self, status: u16, headers: Vec<(&'static str, &'static str)>) {
        self.answers.lock().unwrap().push_back((status, headers));
    }

    /// What came since somebody last asked.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    /// The types of what came.
    pub fn types(&self) -> Vec<String> {
        self.take().into_iter().map(|received| received.body["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let body = serde_json::from_str(&text).unwrap();
    receiver.received.lock().unwrap().push(Received { id, headers, text, body });
    let answer = receiver.answers.lock().unwrap().pop_front();
    let (status, headers) = answer.unwrap_or((200, Vec::new()));
    let mut response = (StatusCode::from_u16(status).unwrap(), "thanks").into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
