//! What is sent: the events of a webhook's subscription, in an envelope.

use std::sync::Arc;

use chrono::SecondsFormat;
use entity::{Micros, webhook_delivery};

use super::Opened;
use crate::error::Result;
use crate::features::live::Viewer;
use crate::infra::db::Tx;
use crate::records::feed::{self, Entry, Event, Kind};

/// A delivery as the feed tells of it. What is not seen any more has left, whatever happened then.
pub(super) fn event(opened: &Opened, delivery: &webhook_delivery::Model, entry: Option<&Arc<Entry>>) -> Event {
    // The lists may be others by now: it is the object that counts. What is in none of them is not shown.
    let scopes = &opened.wanted.scopes;
    let scope = scopes.iter().position(|scope| scope.object.name == delivery.object);
    let kind = match delivery.kind.as_str() {
        "ENTERED" => Kind::Entered,
        "LEFT" => Kind::Left,
        _ => Kind::Updated,
    };
    Event {
        kind: if scope.is_some() { kind } else { Kind::Left },
        scope: scope.unwrap_or(usize::MAX),
        record: delivery.record_id,
        seq: delivery.seq,
        first: delivery.seq,
        entry: entry.cloned(),
        fields: entry.map(|entry| entry.fields.clone()).unwrap_or_default(),
        place: None,
    }
}

/// What is shown of events, one for each.
pub(super) async fn payloads(opened: &Opened, tx: &Tx, events: &[Event]) -> Result<Vec<String>> {
    let Viewer { ctx, catalog } = &opened.viewer;
    feed::show_each(ctx, catalog, tx, &opened.wanted.shown(None, ctx.now()), events).await
}

/// What the records of a list are called.
pub(super) fn subject(opened: &Opened, scope: usize) -> &str {
    opened.wanted.scopes.get(scope).map_or("record", |scope| scope.variant.map_or(scope.object.one.as_str(), |variant| variant.name))
}

/// What is sent.
pub(super) fn envelope(opened: &Opened, (object, what): (&str, &str), at: Micros, data: &str) -> Result<String> {
    let text = |text: &str| serde_json::to_string(text);
    let stamp = text(&at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))?;
    let note = match &opened.note {
        Some(why) => {
            let why = format!("The webhook's document does not fit the schema any more, so this is the usual payload: {why}");
            format!(",\"note\":{}", text(&why)?)
        }
        None => String::new(),
    };
    Ok(format!(
        "{{\"type\":{},\"timestamp\":{stamp},\"data\":{{{}:{data}}}{note}}}",
        text(&format!("{object}.{what}"))?,
        text(&opened.key)?
    ))
}
