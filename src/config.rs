//! Settings: built-in defaults, `kith.toml`, environment, in that order.
//!
//! The defaults are the file [`DEFAULTS`], which is also the manual: every setting stands there with
//! what it does. A wrong setting is told with its key, its value and what would be right.

mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

pub use load::Wrong;

/// The defaults, as a file to copy and change.
pub const DEFAULTS: &str = include_str!("../kith.default.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub redis: Redis,
    pub auth: Auth,
    /// Other issuers with whom users can sign in, by the name that stands in the address.
    pub oidc: BTreeMap<String, OidcProvider>,
    pub mail: Mail,
    pub audit: Audit,
    pub encryption: Encryption,
    pub challenge: Challenge,
    pub limits: Limits,
    pub work: Work,
    pub retention: Retention,
    pub backup: Backup,
    pub webhooks: Webhooks,
    pub streams: Streams,
    pub telemetry: Telemetry,
    pub log: Log,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: std::net::SocketAddr,
    pub data_dir: PathBuf,
    pub cors_origins: Vec<String>,
    pub client_address_header: String,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub drain_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: String,
    pub migrate_url: String,
    pub read_url: String,
    pub read_lag_seconds: u64,
    pub max_connections: u32,
    pub row_conditions: bool,
    pub few_rows: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub url: String,
    pub prefix: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub access_token_minutes: u64,
    pub refresh_token_days: u64,
    pub jwt_private_key: String,
    pub jwt_previous_keys: Vec<String>,
    pub open_workspace_creation: bool,
    pub public_url: String,
    pub app_urls: Vec<String>,
    pub cookie_same_site: SameSite,
}

/// Whether a browser sends cookies with requests from pages of other sites.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    pub issuer: String,
    pub client_id: String,
    #[serde(default)]
    pub client_secret: String,
    /// What people read on the button.
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether a user is found by an address that the issuer verified.
    #[serde(default = "yes")]
    pub trust_email: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    pub url: String,
    pub from: String,
    pub invitation_url: String,
    pub magic_link_url: String,
    pub password_reset_url: String,
}

/// How many days the audit keeps what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub sign_in_days: u32,
    pub read_days: u32,
    pub change_days: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    pub key: String,
    pub previous_keys: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    pub verify_url: String,
    pub secret: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub body_bytes: usize,
    pub document_bytes: usize,
    pub tokens: usize,
    pub depth: usize,
    pub nodes: usize,
    pub aliases: usize,
    pub directives: usize,
    pub fragments: usize,
    pub root_fields: usize,
    pub mutations: usize,
    pub batch: usize,
    pub socket_init_seconds: u64,
    pub socket_operations: usize,
    pub socket_frame_bytes: usize,
    pub query_seconds: u64,
    pub cost: u64,
    pub credential_budget: u64,
    pub credential_restore: u64,
    pub workspace_budget: u64,
    pub workspace_restore: u64,
    pub schema_cache_mib: u32,
    pub document_cache_mib: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    pub in_serve: bool,
    pub listen: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    pub key: String,
}

/// How many days is kept what is over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub feed_days: u32,
    pub delivery_days: u32,
    pub job_days: u32,
    pub session_days: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    pub timeout_seconds: u64,
    pub allowed_networks: Vec<IpNet>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    pub to: StreamsTo,
    pub nats_url: String,
    pub prefix: String,
    pub keep_events: u64,
}

/// Where the change log is published.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum StreamsTo {
    Nowhere,
    Redis,
    Nats,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub metrics_token: String,
    pub slow_statement_ms: u64,
    pub otlp_endpoint: String,
    pub otlp_headers: String,
    pub service_name: String,
    pub traces_per_mille: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}
