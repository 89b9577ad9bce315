//! Alive, and ready: what those ask who start, watch and balance servers.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Server;
use crate::app;

/// Alive: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The public keys of access tokens (RFC 7517), for services that check them themselves.
pub async fn jwks(State(server): State<Server>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(server.app.identity.jwks())).into_response()
}

/// Whether requests can be served: each part is really asked. Without Redis a node serves on, only
/// later to hear of the others, so its absence is told but takes nobody out of service.
pub async fn readyz(State(server): State<Server>) -> Response {
    let app = &server.app;
    let database = match app.db.ping().await {
        Ok(()) => "ok",
        Err(error) => {
            tracing::warn!("not ready: {error}");
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
    let ready = database == "ok" && migrations == "ok";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": ready, "database": database, "migrations": migrations, "redis": redis });
    (status, Json(body)).into_response()
}
