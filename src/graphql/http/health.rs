//! Alive, and ready: what those ask who start, watch and balance servers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Server;
use super::origin::Peer;
use super::respond::refusal;
use crate::app;
use crate::error::Error;
use crate::infra::db::Standing;
use crate::infra::telemetry::Looked;

/// What those ask who start, watch and balance servers.
pub fn routes() -> Router<Server> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

/// Alive: the process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The public keys of access tokens (RFC 7517), for services that check them themselves.
pub async fn jwks(State(server): State<Server>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(server.app.identity.jwks())).into_response()
}

/// Whether requests can be served: each part is really asked. Without Redis a node serves on, only
/// later to hear of the others, so its absence is told but takes nobody out of service.
async fn readyz(State(server): State<Server>) -> Response {
    let app = &server.app;
    let database = match in_time(app.db.ping()).await {
        Some(Ok(())) => "ok",
        Some(Err(error)) => {
            tracing::warn!("not ready: {error}");
            "not reachable"
        }
        None => {
            tracing::warn!("not ready: the database does not answer");
            "not reachable"
        }
    };
    let migrations = if database == "ok" && app::is_migrated(&app.db).await { "ok" } else { "not up to date" };
    let redis = match app.bus.ping().await {
        None => "not configured",
        Some(Ok(())) => "ok",
        Some(Err(error)) => {
            tracing::warn!("Redis does not answer: {error}");
            "not reachable"
        }
    };
    // Without it queries are read from the database.
    let replica = match app.replica.as_ref().map(|of| of.replica.standing().0) {
        None => "not configured",
        Some(Standing::Serves) => "ok",
        Some(Standing::Behind) => "behind",
        Some(Standing::Away) => "not reachable",
    };
    // A reader that is behind is told, and takes nobody out of service: requests do not wait for it.
    let looked = if database == "ok" { in_time(app.look()).await } else { None };
    let lag: serde_json::Map<_, _> = match looked {
        Some(Ok(looked)) => looked.lag.into_iter().map(|(reader, lag)| (reader.to_ascii_lowercase(), json!(lag))).collect(),
        _ => serde_json::Map::new(),
    };
    // Whoever is going takes nothing new, and answers what comes all the same.
    let stays = !app.draining.load(Ordering::Relaxed);
    let ready = stays && database == "ok" && migrations == "ok";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body =
        json!({ "ready": ready, "database": database, "migrations": migrations, "redis": redis, "replica": replica, "logReaderLag": lag });
    (status, Json(body)).into_response()
}

/// What is counted and timed, for Prometheus. With a token in the settings whoever brings it may look; without one, whoever
/// is on this machine.
async fn metrics(State(server): State<Server>, headers: HeaderMap, peer: Peer) -> Response {
    let tokens = server.app.renewable.tokens.get();
    let token = tokens.metrics.as_str();
    let brought = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|name| headers.contains_key(*name));
    let near = peer.is_none_or(|Extension(ConnectInfo(peer))| peer.ip().to_canonical().is_loopback()) && !proxied;
    let may = if token.is_empty() { near } else { brought.is_some_and(|brought| digest(brought) == digest(token)) };
    if !may {
        let error = Error::forbidden("Set telemetry.metrics_token, and bring it as `Authorization: Bearer …`.");
        return refusal(StatusCode::FORBIDDEN, &error);
    }
    // What the process knows by itself is told also when the database is away.
    let looked = in_time(server.app.look()).await.and_then(Result::ok).unwrap_or_else(|| server.app.look_here());
    let redis = server.app.bus.ping().await.map(|answer| answer.is_ok());
    match server.app.metrics.text(&Looked { redis, ..looked }) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!("metrics: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// How long whoever asks is let wait for the database: less than they wait themselves.
const PATIENCE: Duration = Duration::from_secs(2);

async fn in_time<T>(asking: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, asking).await.ok()
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
