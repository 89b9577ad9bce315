//! What the nodes of one installation tell each other: "look again", and nothing more.
//!
//! With Redis the word travels by its publish/subscribe, without it by PostgreSQL's LISTEN/NOTIFY; on the embedded database
//! there is one node. A word can be lost with the connection, so whoever connects again forgets everything.

mod postgres;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{AsyncCommands as _, Client, RedisError};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

use postgres::Postgres;

use super::current::Current;

/// How long a word to the others may hold up whoever says it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a request waits for what it can do without.
const BRIEFLY: Duration = Duration::from_millis(100);
/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_secs(1);

/// What came from another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something changed: what kind of thing, and which.
    Changed { topic: String, id: Uuid },
    /// Words may have been missed.
    Anything,
}

/// The way to the other nodes; there may be none.
#[derive(Clone, Default)]
pub struct Bus {
    redis: Option<Arc<Redis>>,
    postgres: Option<Arc<Postgres>>,
}

struct Redis {
    ends: Current<Ends>,
    /// Tells this node's own words from those of others.
    node: Uuid,
    channel: String,
    prefix: String,
    heard: watch::Sender<u64>,
    /// Until when it is not asked for what one can do without, because it did not answer.
    passed_over: Mutex<Option<Instant>>,
    /// Wakes the listener when there is another Redis to listen to.
    renewed: Arc<Notify>,
    listener: OnceLock<AbortHandle>,
}

/// What connects to Redis, and a connection that is shared.
struct Ends {
    client: Client,
    publisher: ConnectionManager,
}

impl Ends {
    async fn connect(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(3)))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let publisher = client.get_connection_manager_with_config(config).await?;
        Ok(Self { client, publisher })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
    }
}

impl Redis {
    async fn run(&self, patience: Duration, script: &str, keys: &[String], arguments: &[String]) -> Option<i64> {
        let script = redis::Script::new(script);
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(format!("{}:{key}", self.prefix));
        }
        for argument in arguments {
            invocation.arg(argument);
        }
        let mut connection = self.ends.get().publisher.clone();
        match tokio::time::timeout(patience, invocation.invoke_async::<i64>(&mut connection)).await {
            Ok(Ok(number)) => Some(number),
            Ok(Err(error)) => {
                tracing::warn!("Redis did not count: {error}");
                None
            }
            Err(_) => {
                tracing::warn!("Redis did not count in time");
                None
            }
        }
    }

    fn is_passed_over(&self) -> bool {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    fn pass_over(&self) {
        *self.passed_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }
}

impl Bus {
    /// Connects; an empty URL means that there is nobody to talk to. Installations that share a
    /// Redis differ by their prefix.
    pub async fn connect(url: &str, prefix: &str, node: Uuid) -> Result<Self, RedisError> {
        if url.is_empty() {
            return Ok(Self::default());
        }
        let ends = Current::new(Ends::connect(url).await?);
        let (heard, _) = watch::channel(0);
        Ok(Self {
            postgres: None,
            redis: Some(Arc::new(Redis {
                ends,
                node,
                channel: format!("{prefix}:look-again"),
                prefix: prefix.to_owned(),
                heard,
                passed_over: Mutex::default(),
                renewed: Arc::default(),
                listener: OnceLock::new(),
            })),
        })
    }

    /// By way of the database, where there is no Redis.
    pub fn over_postgres(pool: sqlx::PgPool, node: Uuid) -> Self {
        Self { redis: None, postgres: Some(Arc::new(Postgres::new(pool, node))) }
    }

    /// Connects by another URL from now on, say one with a new password, if that works.
    pub async fn renew(&self, url: &str) -> Result<(), RedisError> {
        if let Some(redis) = &self.redis {
            redis.ends.set(Ends::connect(url).await?.into());
            redis.renewed.notify_one();
        }
        Ok(())
    }

    /// Tells the other nodes that something changed. They would find out later anyway, so that it
    /// could not be told is no error of the caller's.
    pub async fn tell(&self, topic: &str, id: Uuid) {
        if let Some(postgres) = &self.postgres {
            postgres.tell(topic, id).await;
        }
        let Some(redis) = &self.redis else { return };
        let word = format!("{} {topic} {id}", redis.node);
        let told: Result<(), RedisError> = redis.ends.get().publisher.clone().publish(&redis.channel, word).await;
        if let Err(error) = told {
            tracing::warn!("the other nodes were not told of {topic} {id}: {error}");
        }
    }

    /// Hands on what others tell, until `on` says that nobody listens any more. Returns when it
    /// listens, so that from then on nothing is missed unnoticed.
    pub async fn listen(&self, on: impl Fn(Heard) -> bool + Send + Sync + 'static) -> Result<(), RedisError> {
        if let Some(postgres) = &self.postgres {
            postgres.listen(on);
            return Ok(());
        }
        let Some(redis) = &self.redis else { return Ok(()) };
        let mut subscription = Some(subscribe(&redis.ends.get().client, &redis.channel).await?);
        let (ends, channel, node, heard) = (redis.ends.clone(), redis.channel.clone(), redis.node, redis.heard.clone());
        let renewed = redis.renewed.clone();
        let task = tokio::spawn(async move {
            loop {
                let attended = match subscription.take() {
                    Some(subscription) => tokio::select! {
                        attended = attend(subscription, node, &heard, &on) => attended,
                        () = renewed.notified() => Err(std::io::Error::other("there is another one").into()),
                    },
                    None => match subscribe(&ends.get().client, &channel).await {
                        Ok(fresh) => {
                            subscription = Some(fresh);
                            if !on(Heard::Anything) {
                                return;
                            }
                            continue;
                        }
                        Err(error) => Err(error),
                    },
                };
                match attended {
                    Ok(()) => return,
                    Err(error) => tracing::warn!("lost the word of the other nodes: {error}"),
                }
                // From now on something may be missed, or Redis may have forgotten what it was told.
                if !on(Heard::Anything) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let _ = redis.listener.set(task.abort_handle());
        Ok(())
    }

    /// Whether there is nobody to talk to.
    pub fn is_alone(&self) -> bool {
        self.redis.is_none() && self.postgres.is_none()
    }

    /// Counts what was heard so far; for those who wait for a word.
    pub fn heard(&self) -> Option<watch::Receiver<u64>> {
        self.redis.as_ref().map(|redis| redis.heard.subscribe())
    }

    /// Runs a script that gives a number, on names of this installation's own; none where there is no Redis, or it does not
    /// answer in time. Then it is not asked again for a moment, lest every request wait for it.
    pub async fn run(&self, script: &str, keys: &[String], arguments: &[String]) -> Option<i64> {
        let redis = self.redis.as_ref().filter(|redis| !redis.is_passed_over())?;
        let answer = redis.run(BRIEFLY, script, keys, arguments).await;
        if answer.is_none() {
            redis.pass_over();
        }
        answer
    }

    /// The same for what had better not be left out: it is asked in any case, and waited for.
    pub async fn run_surely(&self, script: &str, keys: &[String], arguments: &[String]) -> Option<i64> {
        self.redis.as_ref()?.run(PATIENCE, script, keys, arguments).await
    }

    /// Whether Redis answers; none where there is none.
    pub async fn ping(&self) -> Option<Result<(), RedisError>> {
        let redis = self.redis.as_ref()?;
        let mut connection = redis.ends.get().publisher.clone();
        Some(redis::cmd("PING").query_async::<()>(&mut connection).await)
    }
}

async fn subscribe(client: &Client, channel: &str) -> Result<PubSub, RedisError> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(channel).await?;
    Ok(subscription)
}

/// Listens on one connection; ends well only when nobody wants to hear more.
async fn attend(mut subscription: PubSub, node: Uuid, heard: &watch::Sender<u64>, on: &impl Fn(Heard) -> bool) -> Result<(), RedisError> {
    let mut words = subscription.on_message();
    while let Some(word) = words.next().await {
        let text: String = word.get_payload()?;
        let Some(change) = parse(&text, node) else { continue };
        if !on(change) {
            return Ok(());
        }
        heard.send_modify(|count| *count += 1);
    }
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into())
}

fn parse(text: &str, node: Uuid) -> Option<Heard> {
    let mut parts = text.split(' ');
    let (from, topic, id) = (parts.next()?, parts.next()?, parts.next()?);
    if from == node.to_string() {
        return None;
    }
    Some(Heard::Changed { topic: topic.to_owned(), id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_does_not_listen_to_itself() {
        let (me, other, id) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        assert_eq!(parse(&format!("{me} workspace {id}"), me), None);
        assert_eq!(parse(&format!("{other} workspace {id}"), me), Some(Heard::Changed { topic: "workspace".into(), id }));
        assert_eq!(parse("nonsense", me), None);
    }
}
