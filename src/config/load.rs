//! How settings are read, and what is wrong with them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::{Config, DEFAULTS, Database, StreamsTo};

/// What cannot be started with, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

impl Config {
    /// The file that is read if it is there.
    pub const USUAL: &str = "kith.toml";

    /// Reads the settings; `file` must exist if it is given, `kith.toml` is read if it is there.
    pub fn load(file: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let mut settings: toml::Table = DEFAULTS.parse().map_err(|e| Wrong(format!("the built-in settings: {e}")))?;
        let usual = Path::new(Self::USUAL);
        if let Some(path) = file.or_else(|| usual.exists().then_some(usual)) {
            let text = std::fs::read_to_string(path).map_err(|e| Wrong(format!("{}: {e}", path.display())))?;
            let given: toml::Table = text.parse().map_err(|e| Wrong(format!("{}: {e}", path.display())))?;
            merge(&mut settings, given, "").map_err(|e| Wrong(format!("{}: {e}", path.display())))?;
        }
        for (variable, section, key) in VARIABLES {
            if let Some(text) = given(variable, &environment)? {
                let old = &settings[*section][*key];
                let value = parse(old, &text).map_err(|right| Wrong(format!("{variable}: `{text}` is not right: expected {right}.")))?;
                settings[*section][*key] = value;
            }
        }
        check_values(&settings)?;
        let config: Self = settings.try_into().map_err(|e: toml::de::Error| Wrong(e.message().to_owned()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Wrong> {
        let url = &self.database.url;
        let known = ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme));
        if !url.is_empty() && !known {
            let scheme = url.split(':').next().unwrap_or_default();
            return Err(Wrong(format!(
                "database.url (DATABASE_URL): the scheme `{scheme}` is not right: expected postgres://… or sqlite://…, or nothing for the embedded database."
            )));
        }
        if !self.database.row_conditions && !url.starts_with("postgres") {
            return Err(Wrong("database.row_conditions: false is not right: only PostgreSQL has policies that can do without.".into()));
        }
        let url = &self.redis.url;
        let known = ["redis:", "rediss:", "redis+unix:", "unix:"].iter().any(|scheme| url.starts_with(scheme));
        if !url.is_empty() && !known {
            let scheme = url.split(':').next().unwrap_or_default();
            return Err(Wrong(format!(
                "redis.url (REDIS_URL): the scheme `{scheme}` is not right: expected redis://…, rediss://… or redis+unix://…, or nothing."
            )));
        }
        self.check_replica()?;
        self.check_streams()?;
        if !(1..=1_000).contains(&self.database.max_connections) {
            return Err(Wrong(format!(
                "database.max_connections (DATABASE_MAX_CONNECTIONS): {} is not right: expected 1 to 1000.",
                self.database.max_connections
            )));
        }
        if !self.oidc.is_empty() && (self.auth.public_url.is_empty() || self.auth.app_urls.is_empty()) {
            return Err(Wrong(
                "oidc: auth.public_url (KITH_PUBLIC_URL) must say where this server is reached, and auth.app_urls (KITH_APP_URLS) where users go from there.".into(),
            ));
        }
        if self.server.tls_certificate.as_os_str().is_empty() != self.server.tls_key.as_os_str().is_empty() {
            return Err(Wrong("server: tls_certificate (KITH_TLS_CERTIFICATE) and tls_key (KITH_TLS_KEY) come together.".into()));
        }
        if self.auth.access_token_minutes == 0 || self.auth.refresh_token_days == 0 {
            return Err(Wrong("auth: tokens must live for at least 1 minute (access) and 1 day (refresh).".into()));
        }
        Ok(())
    }

    fn check_replica(&self) -> Result<(), Wrong> {
        let Database { url, read_url, read_lag_seconds, .. } = &self.database;
        if read_url.is_empty() {
            return Ok(());
        }
        if !read_url.starts_with("postgres") || !url.starts_with("postgres") {
            return Err(Wrong("database.read_url (DATABASE_READ_URL): expected postgres://… beside a database.url (DATABASE_URL) of PostgreSQL: no other database has replicas.".into()));
        }
        if self.redis.url.is_empty() {
            return Err(Wrong("database.read_url (DATABASE_READ_URL) wants redis.url (REDIS_URL): there the nodes tell each other who wrote what the replica may lack.".into()));
        }
        if !(1..=600).contains(read_lag_seconds) {
            return Err(Wrong(format!(
                "database.read_lag_seconds (DATABASE_READ_LAG_SECONDS): {read_lag_seconds} is not right: expected 1 to 600."
            )));
        }
        Ok(())
    }

    fn check_streams(&self) -> Result<(), Wrong> {
        let streams = &self.streams;
        match streams.to {
            StreamsTo::Redis if self.redis.url.is_empty() => {
                return Err(Wrong("streams.to (KITH_STREAMS_TO): \"redis\" wants redis.url (REDIS_URL).".into()));
            }
            StreamsTo::Nats if !["nats:", "tls:"].iter().any(|scheme| streams.nats_url.starts_with(scheme)) => {
                return Err(Wrong("streams.nats_url (KITH_NATS_URL): expected nats://… or tls://….".into()));
            }
            _ => {}
        }
        if streams.prefix.is_empty() || !streams.prefix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(Wrong("streams.prefix (KITH_STREAMS_PREFIX): expected letters, digits, - and _.".into()));
        }
        Ok(())
    }

    pub fn query_timeout(&self) -> Duration {
        Duration::from_secs(self.limits.query_seconds)
    }
}

/// Which variable overrides which setting.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("KITH_LISTEN", "server", "listen"),
    ("KITH_DATA_DIR", "server", "data_dir"),
    ("KITH_CORS_ORIGINS", "server", "cors_origins"),
    ("KITH_CLIENT_ADDRESS_HEADER", "server", "client_address_header"),
    ("KITH_TLS_CERTIFICATE", "server", "tls_certificate"),
    ("KITH_TLS_KEY", "server", "tls_key"),
    ("KITH_DRAIN_SECONDS", "server", "drain_seconds"),
    ("DATABASE_URL", "database", "url"),
    ("DATABASE_MIGRATE_URL", "database", "migrate_url"),
    ("DATABASE_READ_URL", "database", "read_url"),
    ("DATABASE_READ_LAG_SECONDS", "database", "read_lag_seconds"),
    ("DATABASE_MAX_CONNECTIONS", "database", "max_connections"),
    ("REDIS_URL", "redis", "url"),
    ("KITH_REDIS_PREFIX", "redis", "prefix"),
    ("KITH_ACCESS_TOKEN_MINUTES", "auth", "access_token_minutes"),
    ("KITH_REFRESH_TOKEN_DAYS", "auth", "refresh_token_days"),
    ("KITH_JWT_PRIVATE_KEY", "auth", "jwt_private_key"),
    ("KITH_JWT_PREVIOUS_KEYS", "auth", "jwt_previous_keys"),
    ("KITH_OPEN_WORKSPACE_CREATION", "auth", "open_workspace_creation"),
    ("KITH_PUBLIC_URL", "auth", "public_url"),
    ("KITH_APP_URLS", "auth", "app_urls"),
    ("KITH_COOKIE_SAME_SITE", "auth", "cookie_same_site"),
    ("KITH_MAIL_URL", "mail", "url"),
    ("KITH_MAIL_FROM", "mail", "from"),
    ("KITH_INVITATION_URL", "mail", "invitation_url"),
    ("KITH_MAGIC_LINK_URL", "mail", "magic_link_url"),
    ("KITH_PASSWORD_RESET_URL", "mail", "password_reset_url"),
    ("KITH_ENCRYPTION_KEY", "encryption", "key"),
    ("KITH_ENCRYPTION_PREVIOUS_KEYS", "encryption", "previous_keys"),
    ("KITH_CHALLENGE_URL", "challenge", "verify_url"),
    ("KITH_CHALLENGE_SECRET", "challenge", "secret"),
    ("KITH_BODY_BYTES", "limits", "body_bytes"),
    ("KITH_QUERY_SECONDS", "limits", "query_seconds"),
    ("KITH_SCHEMA_CACHE_MIB", "limits", "schema_cache_mib"),
    ("KITH_DOCUMENT_CACHE_MIB", "limits", "document_cache_mib"),
    ("KITH_BATCH", "limits", "batch"),
    ("KITH_COST", "limits", "cost"),
    ("KITH_CREDENTIAL_BUDGET", "limits", "credential_budget"),
    ("KITH_CREDENTIAL_RESTORE", "limits", "credential_restore"),
    ("KITH_WORKSPACE_BUDGET", "limits", "workspace_budget"),
    ("KITH_WORKSPACE_RESTORE", "limits", "workspace_restore"),
    ("KITH_WORK_IN_SERVE", "work", "in_serve"),
    ("KITH_WORK_LISTEN", "work", "listen"),
    ("KITH_BACKUP_KEY", "backup", "key"),
    ("KITH_FEED_DAYS", "retention", "feed_days"),
    ("KITH_DELIVERY_DAYS", "retention", "delivery_days"),
    ("KITH_JOB_DAYS", "retention", "job_days"),
    ("KITH_SESSION_DAYS", "retention", "session_days"),
    ("KITH_AUDIT_SIGN_IN_DAYS", "audit", "sign_in_days"),
    ("KITH_AUDIT_READ_DAYS", "audit", "read_days"),
    ("KITH_AUDIT_CHANGE_DAYS", "audit", "change_days"),
    ("KITH_WEBHOOK_TIMEOUT_SECONDS", "webhooks", "timeout_seconds"),
    ("KITH_WEBHOOK_ALLOWED_NETWORKS", "webhooks", "allowed_networks"),
    ("KITH_STREAMS_TO", "streams", "to"),
    ("KITH_NATS_URL", "streams", "nats_url"),
    ("KITH_STREAMS_PREFIX", "streams", "prefix"),
    ("KITH_STREAMS_KEEP_EVENTS", "streams", "keep_events"),
    ("KITH_METRICS_TOKEN", "telemetry", "metrics_token"),
    ("KITH_SLOW_STATEMENT_MS", "telemetry", "slow_statement_ms"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry", "otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "telemetry", "otlp_headers"),
    ("OTEL_SERVICE_NAME", "telemetry", "service_name"),
    ("KITH_TRACES_PER_MILLE", "telemetry", "traces_per_mille"),
    ("KITH_LOG_FORMAT", "log", "format"),
    ("KITH_LOG", "log", "filter"),
];

/// What the environment says of a setting: itself, or by the file that `<variable>_FILE` names, as secrets are mounted.
fn given(variable: &str, environment: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, Wrong> {
    let file = format!("{variable}_FILE");
    match (environment(variable), environment(&file)) {
        (Some(_), Some(_)) => Err(Wrong(format!("{variable} and {file} are both set: one of them says it."))),
        (Some(text), None) => Ok(Some(text)),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(Wrong(format!("{file}: {path}: {error}"))),
        },
        (None, None) => Ok(None),
    }
}

/// What serde would refuse without naming the key.
fn check_values(settings: &toml::Table) -> Result<(), Wrong> {
    for (section, table) in settings {
        for (key, value) in table.as_table().into_iter().flatten() {
            let wrong = |right: &str| {
                let variable = VARIABLES.iter().find(|(_, of, name)| of == section && name == key);
                let variable = variable.map(|(name, ..)| format!(" ({name})")).unwrap_or_default();
                Err(Wrong(format!("{section}.{key}{variable}: {value} is not right: expected {right}.")))
            };
            match (key.as_str(), value) {
                ("listen", toml::Value::String(text)) if !(section == "work" && text.is_empty()) && text.parse::<SocketAddr>().is_err() => {
                    return wrong("an address and a port, for example \"127.0.0.1:4000\"");
                }
                ("allowed_networks", toml::Value::Array(items)) if items.iter().any(|item| !is_network(item)) => {
                    return wrong("networks, for example [\"10.0.0.0/8\", \"127.0.0.1/32\"]");
                }
                ("cookie_same_site", toml::Value::String(text)) if !["strict", "lax", "none"].contains(&text.as_str()) => {
                    return wrong("\"strict\", \"lax\" or \"none\"");
                }
                ("to", toml::Value::String(text)) if !["nowhere", "redis", "nats"].contains(&text.as_str()) => {
                    return wrong("\"nowhere\", \"redis\" or \"nats\"");
                }
                ("traces_per_mille", toml::Value::Integer(number)) if !(0..=1_000).contains(number) => {
                    return wrong("a number from 0 to 1000");
                }
                ("format", toml::Value::String(text)) if text != "text" && text != "json" => return wrong("\"text\" or \"json\""),
                (_, toml::Value::Integer(number)) if u32::try_from(*number).is_err() => return wrong("a number from 0 to 4294967295"),
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_network(value: &toml::Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<IpNet>().is_ok())
}

/// Reads a variable as the type that the setting has.
fn parse(old: &toml::Value, text: &str) -> Result<toml::Value, &'static str> {
    Ok(match old {
        toml::Value::Integer(_) => toml::Value::Integer(text.parse().map_err(|_| "a whole number")?),
        toml::Value::Boolean(_) => toml::Value::Boolean(text.parse().map_err(|_| "true or false")?),
        toml::Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
        }
        _ => toml::Value::String(text.to_owned()),
    })
}

fn merge(into: &mut toml::Table, from: toml::Table, path: &str) -> Result<(), String> {
    for (key, value) in from {
        let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (into.get_mut(&key), value) {
            // Issuers have names of their own.
            (None, provider @ toml::Value::Table(_)) if path == "oidc" => drop(into.insert(key, provider)),
            (None, _) => {
                let known: Vec<&str> = into.keys().map(String::as_str).collect();
                return Err(format!("there is no setting `{at}`; there are {}.", known.join(", ")));
            }
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new, &at)?,
            (Some(old), new) if old.same_type(&new) => *old = new,
            (Some(old), new) => return Err(format!("{at}: {new} is not right: expected {}.", old.type_str())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variable: &str, value: &str) -> Result<Config, Wrong> {
        Config::load(None, |name| (name == variable).then(|| value.to_owned()))
    }

    #[test]
    fn the_defaults_are_good() {
        Config::load(None, |_| None).unwrap();
    }

    #[test]
    fn a_wrong_setting_is_told_with_what_would_be_right() {
        let wrong = load("DATABASE_MAX_CONNECTIONS", "many").unwrap_err().to_string();
        assert_eq!(wrong, "DATABASE_MAX_CONNECTIONS: `many` is not right: expected a whole number.");
        let wrong = load("DATABASE_URL", "mysql://x").unwrap_err().to_string();
        assert!(wrong.contains("expected postgres://"), "{wrong}");
        let wrong = load("KITH_LISTEN", "nowhere").unwrap_err().to_string();
        assert_eq!(
            wrong,
            "server.listen (KITH_LISTEN): \"nowhere\" is not right: expected an address and a port, for example \"127.0.0.1:4000\"."
        );
        assert!(load("KITH_LOG_FORMAT", "xml").unwrap_err().to_string().contains("\"text\" or \"json\""));
        assert!(load("DATABASE_MAX_CONNECTIONS", "-1").is_err());
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().display().to_string();
        let config = load("KITH_METRICS_TOKEN_FILE", &path).unwrap();
        assert_eq!(config.telemetry.metrics_token, "s3cret");
        assert!(load("KITH_METRICS_TOKEN_FILE", "/nowhere").unwrap_err().to_string().starts_with("KITH_METRICS_TOKEN_FILE: /nowhere"));
        let both = Config::load(None, |name| name.starts_with("KITH_METRICS_TOKEN").then(|| path.clone())).unwrap_err();
        assert!(both.to_string().contains("both set"), "{both}");
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[server]\nport = 1\n").unwrap();
        let wrong = Config::load(Some(file.path()), |_| None).unwrap_err().to_string();
        assert!(wrong.contains("no setting `server.port`"), "{wrong}");
    }
}
