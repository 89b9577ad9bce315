//! Where messages are published that others read at their own pace: Redis Streams, or NATS JetStream.
//!
//! Messages belong to groups and are numbered within them. A message that is published twice is kept once, and those of a
//! group are kept in order, whoever publishes them and however often.

mod nats;
mod redis;

use std::time::Duration;

use uuid::Uuid;

use self::nats::Nats;
use self::redis::Redis;

/// How long the broker may take for what is published together.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Message {
    /// Its place among those of its group, from 1.
    pub number: i64,
    /// What kind of thing it tells, in words of letters, digits and `_`, with dots between: `deal.updated`.
    pub about: String,
    pub body: String,
}

pub enum Broker {
    Redis(Redis),
    Nats(Box<Nats>),
}

impl Broker {
    /// Redis Streams: that of a group is `<prefix>:events:<group>`, and keeps about so many messages; 0: all.
    pub async fn redis(url: &str, prefix: &str, keep: u64) -> Result<Self, String> {
        Redis::connect(url, prefix, keep).await.map(Self::Redis).map_err(|e| e.to_string())
    }

    /// JetStream: a message's subject is `<prefix>.<group>.<about>`. The stream, which has the prefix as its name, is made
    /// if it is not there; about so many messages are kept in it, 0: all.
    pub async fn nats(url: &str, prefix: &str, keep: u64) -> Result<Self, String> {
        Nats::connect(url, prefix, keep).await.map(|nats| Self::Nats(Box::new(nats)))
    }

    /// Publishes messages of a group, in order. When it returns well the broker has them all.
    pub async fn publish(&self, group: Uuid, messages: &[Message]) -> Result<(), String> {
        let publishing = async {
            match self {
                Self::Redis(redis) => redis.publish(group, messages).await.map_err(|e| e.to_string()),
                Self::Nats(nats) => nats.publish(group, messages).await,
            }
        };
        tokio::time::timeout(PATIENCE, publishing).await.unwrap_or_else(|_| Err("It did not answer in time.".to_owned()))
    }
}
