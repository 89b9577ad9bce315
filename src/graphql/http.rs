//! HTTP: `/graphql`, the schema, inbound hooks, the explorer, health.

mod audit;
mod body;
mod charge;
mod explorer;
mod gate;
mod handlers;
mod health;
mod hooks;
mod identify;
mod incoming;
mod negotiate;
mod oidc;
mod origin;
mod reply;
mod respond;
mod run;
mod sdl;
mod sse;
mod standing;
mod ws;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, Method, header};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use crate::app::App;
use crate::features::webhooks::Worker;
use crate::graphql::document::Documents;
use crate::graphql::schema::Schemas;
use crate::graphql::webhooks;

/// What the handlers share.
#[derive(Clone)]
pub struct Server {
    pub app: Arc<App>,
    pub schemas: Arc<Schemas>,
    pub documents: Arc<Documents>,
}

impl Server {
    pub fn new(app: Arc<App>) -> Self {
        let schemas = Arc::new(Schemas::new(&app.standard, app.config.limits.schema_cache_mib));
        let documents = Arc::new(Documents::new(app.config.limits.document_cache_mib));
        app.worker.get_or_init(|| Worker::new(app.webhooks.clone(), webhooks::opener(&app, &schemas)));
        Self { app, schemas, documents }
    }
}

/// What is smaller travels in one packet anyway.
const SMALL: u64 = 1_400;

pub fn router(server: Server) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let limit = server.app.config.limits.body_bytes;
    let cors = cors(&server.app.config.server.cors_origins);
    Router::new()
        .route("/graphql", get(handlers::get).post(handlers::post))
        .route("/schema.graphql", get(sdl::sdl))
        .route("/audit.jsonl", get(audit::export))
        .route("/.well-known/jwks.json", get(health::jwks))
        .merge(health::routes())
        .merge(hooks::routes())
        .merge(explorer::routes())
        .merge(oidc::routes())
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(SMALL).and(NotForContentType::SSE)))
        .layer(RequestBodyLimitLayer::new(limit))
        .layer(axum::middleware::map_response(handlers::too_large_as_json))
        .layer(cors)
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(server)
}

/// What those ask who watch a process that serves nothing else.
pub fn probes(server: Server) -> Router {
    health::routes().with_state(server)
}

fn cors(origins: &[String]) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_NONE_MATCH,
            HeaderName::from_static("apollo-require-preflight"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static(crate::graphql::cookies::CSRF),
            HeaderName::from_static("x-kith-challenge"),
            HeaderName::from_static(crate::graphql::repeat::HEADER),
            HeaderName::from_static(crate::graphql::consistency::HEADER),
        ])
        .expose_headers(
            ["etag", "retry-after", "x-request-id", "kith-schema", crate::graphql::repeat::REPLAYED].map(HeaderName::from_static),
        )
        .max_age(Duration::from_secs(600));
    if origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(AllowOrigin::any());
    }
    // Cookies go to the origins that are named, never to any.
    let layer = layer.allow_credentials(true);
    layer.allow_origin(AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok())))
}
