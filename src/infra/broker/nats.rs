//! NATS JetStream. A message carries an id by which the server knows it again for two minutes, which is longer than anybody
//! publishes what somebody else has published.

use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::{self, Context, stream};
use async_nats::{ConnectOptions, HeaderMap, HeaderValue};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::Message;

/// How long the server knows a message again.
const KNOWN: Duration = Duration::from_secs(120);

pub struct Nats {
    context: Context,
    prefix: String,
    keep: i64,
}

impl Nats {
    pub(super) async fn connect(url: &str, prefix: &str, keep: u64) -> Result<Self, String> {
        // Whoever is away when the server starts may come later.
        let options = ConnectOptions::new().name("kith").retry_on_initial_connect();
        let client = options.connect(url).await.map_err(|e| e.to_string())?;
        Ok(Self { context: jetstream::new(client), prefix: prefix.to_owned(), keep: i64::try_from(keep).unwrap_or(i64::MAX) })
    }

    /// Makes the stream; one that is there stays as whoever made it wanted it.
    async fn make_stream(&self) -> Result<(), String> {
        let config = stream::Config {
            name: self.prefix.clone(),
            subjects: vec![format!("{}.>", self.prefix)],
            duplicate_window: KNOWN,
            max_messages: if self.keep == 0 { -1 } else { self.keep },
            ..stream::Config::default()
        };
        self.context.get_or_create_stream(config).await.map(drop).map_err(|e| e.to_string())
    }

    pub(super) async fn publish(&self, group: Uuid, messages: &[Message]) -> Result<(), String> {
        match self.try_publish(group, messages).await {
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                self.make_stream().await?;
                self.try_publish(group, messages).await.map_err(|e| e.to_string())
            }
            published => published.map_err(|e| e.to_string()),
        }
    }

    async fn try_publish(&self, group: Uuid, messages: &[Message]) -> Result<(), jetstream::context::PublishError> {
        let mut kept = Vec::with_capacity(messages.len());
        for message in messages {
            let mut headers = HeaderMap::new();
            headers.insert(async_nats::header::NATS_MESSAGE_ID, HeaderValue::from(format!("{group}:{}", message.number)));
            headers.insert("Content-Type", "application/cloudevents+json");
            let subject = format!("{}.{group}.{}", self.prefix, message.about);
            kept.push(self.context.publish_with_headers(subject, headers, message.body.clone().into()).await?);
        }
        // They went out one after another; the answers may come as they like.
        try_join_all(kept.into_iter().map(IntoFuture::into_future)).await.map(drop)
    }
}
