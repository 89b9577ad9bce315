//! The explorer at `/`: GraphiQL, its assets in the binary where the build had Node.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use super::Server;

/// What `explorer/build` made; empty where there was no Node.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/explorer"]
struct Assets;

const PAGE: &str = include_str!("../../../explorer/index.html");

pub fn routes() -> Router<Server> {
    Router::new().route("/", get(page)).route("/explorer/{file}", get(asset))
}

/// The page; where the assets are not built in, it takes the same versions from a CDN and says so.
async fn page() -> Html<String> {
    let base = if Assets::get("explorer.js").is_some() { "built-in" } else { "cdn" };
    Html(PAGE.replace("{{assets}}", base))
}

async fn asset(Path(file): Path<String>) -> Response {
    let Some(asset) = Assets::get(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match file.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("ttf") => "font/ttf",
        _ => "application/octet-stream",
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=3600")], asset.data).into_response()
}
