//! `/schema.graphql`: the schema in GraphQL's own language.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::identify::{identify, turned_away};
use super::negotiate::Media;
use super::origin::{self, Peer};
use super::respond::{refusal, respond};
use super::{Server, gate};
use crate::features::access::require;
use crate::graphql::view::View;
use crate::platform::access::Setting;

#[derive(serde::Deserialize)]
pub struct SdlParameters {
    /// `workspace` for the whole of it.
    view: Option<String>,
}

/// What the caller is shown of the schema, or with the setting SCHEMA the whole of it; strangers see that
/// of a brand-new workspace.
pub async fn sdl(State(server): State<Server>, peer: Peer, headers: HeaderMap, Query(wanted): Query<SdlParameters>) -> Response {
    let from = origin::of(&server.app.config.server, &headers, peer);
    let (signed, whole) = match identify(&server, &headers, &from, None, false).await {
        Ok(found) => found,
        Err(turned) => return respond(&turned_away(turned), Media::Json),
    };
    if let Some(Err(error)) = signed.as_ref().map(|signed| gate::not_documents_only(&signed.caller)) {
        return refusal(StatusCode::FORBIDDEN, &error);
    }
    let schema = match (&signed, wanted.view.as_deref()) {
        (Some(signed), Some("workspace")) => match require(&signed.ctx, Setting::Schema) {
            Ok(()) => whole,
            Err(error) => return refusal(StatusCode::FORBIDDEN, &error),
        },
        (Some(signed), _) => server.schemas.view(signed.ctx.workspace, &signed.known.catalog, &View::of(&signed.ctx.access)),
        (None, _) => whole,
    };
    let tag = format!("\"{}\"", schema.hash());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "application/graphql; charset=utf-8".to_owned()),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    (headers, schema.sdl().to_owned()).into_response()
}
