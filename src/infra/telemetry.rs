//! What is counted and timed, in the form that Prometheus reads (OpenMetrics). No name, address or id of anybody is in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::clock::Clock;

/// Upper bounds of how long something takes, in seconds.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Request {
    /// `query`, `mutation`, `subscription`; `none` where there was nothing to execute.
    pub operation: &'static str,
    /// The code of its first error, or `OK`.
    pub code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Operation {
    pub operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Outcome {
    pub outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Of {
    pub of: String,
}

type Seconds = Family<Operation, Histogram, fn() -> Histogram>;

/// Everything that is counted; one for each server.
pub struct Metrics {
    registry: Registry,
    pub requests: Family<Request, Counter>,
    pub seconds: Seconds,
    pub cost: Counter,
    pub streams: Gauge,
    pub sockets: Gauge,
    pub attempts: Family<Outcome, Counter>,
    pub attempt_seconds: Histogram,
    pub jobs_done: Family<Of, Counter>,
    statements: Counter,
    connections: Family<Of, Gauge>,
    database: Gauge,
    redis: Gauge,
    replica: Gauge,
    replica_lag: Gauge<f64, AtomicU64>,
    lag: Family<Of, Gauge>,
    jobs: Family<Of, Gauge>,
    deliveries: Gauge,
    oldest: Gauge,
    memory: Gauge<u64, AtomicU64>,
}

/// What is asked of the database when somebody looks.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Whether the database answered.
    pub database: bool,
    /// Likewise Redis, where there is one.
    pub redis: Option<bool>,
    /// Whether queries are read from the replica, where there is one, and how far it is behind.
    pub replica: Option<(bool, Duration)>,
    pub statements: usize,
    /// Connections to the database that are open, and how many of them do nothing.
    pub connections: (u32, usize),
    /// Entries that each reader of the log has before it, in all workspaces.
    pub lag: Vec<(String, i64)>,
    /// Jobs, by state.
    pub jobs: Vec<(String, i64)>,
    /// Deliveries that are due, and for how many seconds the oldest is.
    pub deliveries: (i64, i64),
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kith");
        let metrics = Self {
            requests: Family::default(),
            seconds: Seconds::new_with_constructor(histogram),
            cost: Counter::default(),
            streams: Gauge::default(),
            sockets: Gauge::default(),
            attempts: Family::default(),
            attempt_seconds: histogram(),
            jobs_done: Family::default(),
            statements: Counter::default(),
            connections: Family::default(),
            database: Gauge::default(),
            redis: Gauge::default(),
            replica: Gauge::default(),
            replica_lag: Gauge::default(),
            lag: Family::default(),
            jobs: Family::default(),
            deliveries: Gauge::default(),
            oldest: Gauge::default(),
            memory: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "GraphQL requests, by operation and the code of their first error", metrics.requests.clone());
        registry.register("request_seconds", "How long requests took", metrics.seconds.clone());
        registry.register("request_cost", "What requests cost", metrics.cost.clone());
        registry.register("subscriptions", "Subscriptions under way", metrics.streams.clone());
        registry.register("sockets", "WebSockets that are open", metrics.sockets.clone());
        registry.register("webhook_attempts", "Attempts at deliveries, by outcome", metrics.attempts.clone());
        registry.register("webhook_attempt_seconds", "How long attempts took", metrics.attempt_seconds.clone());
        registry.register("jobs_done", "Jobs that this process did, by how they went", metrics.jobs_done.clone());
        registry.register("statements", "Statements that this process ran", metrics.statements.clone());
        registry.register("database_connections", "Connections to the database that this process holds", metrics.connections.clone());
        registry.register("database_up", "Whether the database answers", metrics.database.clone());
        registry.register("redis_up", "Whether Redis answers; 1 where none is configured", metrics.redis.clone());
        registry.register("replica_up", "Whether queries are read from the replica; 1 where none is configured", metrics.replica.clone());
        registry.register("replica_lag_seconds", "How far the replica is behind, as of a moment ago", metrics.replica_lag.clone());
        let started = Gauge::<i64, std::sync::atomic::AtomicI64>::default();
        started.set(Clock::default().now().0 / 1_000_000);
        registry.register("start_time_seconds", "When this process started, since the beginning of 1970", started);
        registry.register("build", "Which version this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("log_reader_lag", "Entries that readers of the log have before them", metrics.lag.clone());
        registry.register("jobs", "Jobs, by state", metrics.jobs.clone());
        registry.register("webhook_deliveries_due", "Deliveries that are due", metrics.deliveries.clone());
        registry.register("webhook_oldest_due_seconds", "For how long the oldest delivery is due", metrics.oldest.clone());
        registry.register("resident_memory_bytes", "Memory of this process", metrics.memory.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// A request that was answered.
    pub fn answered(&self, operation: &'static str, code: Option<&str>, took: Duration) {
        let code = code.unwrap_or("OK").to_owned();
        self.requests.get_or_create(&Request { operation, code }).inc();
        self.seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    /// An attempt at a delivery.
    pub fn attempted(&self, well: bool, took: Duration) {
        self.attempts.get_or_create(&Outcome { outcome: if well { "delivered" } else { "failed" } }).inc();
        self.attempt_seconds.observe(took.as_secs_f64());
    }

    /// Everything, as text.
    pub fn text(&self, looked: &Looked) -> Result<String, std::fmt::Error> {
        self.statements.inner().store(u64::try_from(looked.statements).unwrap_or(u64::MAX), Ordering::Relaxed);
        let (open, idle) = (i64::from(looked.connections.0), i64::try_from(looked.connections.1).unwrap_or(0));
        for (of, number) in [("idle", idle), ("used", (open - idle).max(0))] {
            self.connections.get_or_create(&Of { of: of.to_owned() }).set(number);
        }
        self.database.set(i64::from(looked.database));
        self.redis.set(i64::from(looked.redis.unwrap_or(true)));
        let (serves, behind) = looked.replica.unwrap_or((true, Duration::ZERO));
        self.replica.set(i64::from(serves));
        self.replica_lag.set(behind.as_secs_f64());
        for (family, numbers) in [(&self.lag, &looked.lag), (&self.jobs, &looked.jobs)] {
            // What is not there any more is not told any more.
            family.clear();
            for (of, number) in numbers {
                family.get_or_create(&Of { of: of.clone() }).set(*number);
            }
        }
        // What nobody could ask stays as it was.
        if looked.database {
            self.deliveries.set(looked.deliveries.0);
            self.oldest.set(looked.deliveries.1);
        }
        self.memory.set(resident());
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Bytes of memory that this process has; 0 where nobody tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}
