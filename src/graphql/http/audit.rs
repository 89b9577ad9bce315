//! `/audit.jsonl`: the audit, oldest first, an entry a line, for keeping elsewhere.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::Server;
use super::gate;
use super::identify::{identify, turned_away};
use super::negotiate::Media;
use super::origin::{self, Peer};
use super::respond::{refusal, respond};
use crate::app::App;
use crate::error::{Error, Result};
use crate::features::access::require;
use crate::graphql::errors::status_of;
use crate::infra::db::Mode;
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::{self, Action, Event};

#[derive(Deserialize)]
pub struct Wanted {
    /// Entries after the one with this number.
    #[serde(default)]
    after: i64,
}

/// Entries read in one go.
const BATCH: u64 = 1_000;

pub async fn export(State(server): State<Server>, peer: Peer, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    let from = origin::of(&server.app.config.server, &headers, peer);
    let signed = match identify(&server, &headers, &from, None, false).await {
        Ok((Some(signed), _)) => signed,
        Ok((None, _)) => return refusal(axum::http::StatusCode::UNAUTHORIZED, &Error::unauthenticated("Sign in first.")),
        Err(turned) => return respond(&turned_away(turned), Media::Json),
    };
    let begun = match gate::not_documents_only(&signed.caller) {
        Ok(()) => begin(&server.app, &signed.ctx, wanted.after).await,
        refused => refused,
    };
    if let Err(error) = begun {
        return refusal(status_of(error.code()), &error);
    }
    let app = server.app.clone();
    let batches = stream::try_unfold((app, signed.ctx, wanted.after), |(app, ctx, after)| async move {
        let (lines, last) = batch(&app, &ctx, after).await?;
        Ok::<_, Error>(last.map(|last| (Bytes::from(lines), (app, ctx, last))))
    });
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(batches)).into_response()
}

/// That somebody took the audit with them stands in it.
async fn begin(app: &Arc<App>, ctx: &Ctx, after: i64) -> Result<()> {
    require(ctx, Setting::Audit)?;
    let tx = app.db.begin(&ctx.system_scope(), Mode::Write).await?;
    audit::append(&tx, &Event::of(ctx, Action::AuditExported, None, json!({ "after": after }))).await?;
    tx.commit().await?;
    Ok(())
}

/// The next entries as lines, and the number of the last of them.
async fn batch(app: &Arc<App>, ctx: &Ctx, after: i64) -> Result<(String, Option<i64>)> {
    let tx = app.db.begin(&ctx.system_scope(), Mode::Read).await?;
    let rows = audit::following(&tx, ctx.workspace, after, BATCH).await?;
    tx.commit().await?;
    let mut lines = String::new();
    for row in &rows {
        let detail: serde_json::Value = serde_json::from_str(&row.detail)?;
        let line = json!({
            "seq": row.seq, "at": row.at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true), "action": row.action,
            "actorKind": row.actor_kind, "actorId": row.actor_id, "subjectId": row.subject_id, "detail": detail,
            "address": row.address, "userAgent": row.user_agent, "requestId": row.request_id, "hash": row.hash,
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok((lines, rows.last().map(|row| row.seq)))
}
