//! Which event goes to which webhook: a reader of the change log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entity::webhook;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::Opened;
use super::deliver::Worker;
use super::model::{Change, State, Status};
use crate::error::{Error, Result};
use crate::infra::db::{Backend, Mode, Scope, Tx, Value};
use crate::platform::readers::Place;
use crate::records::feed::{self, Entry, Event, Handler, Kind, Look, head};

/// Rows that one statement writes.
const AT_ONCE: usize = 500;

/// What follows from entries of the log for one webhook.
pub struct Found {
    hook: Arc<webhook::Model>,
    events: Vec<(Event, String)>,
    /// Why it is not told of anything any more.
    over: Option<String>,
}

impl Handler for Worker {
    type Found = Vec<Found>;

    async fn look(&self, workspace: Uuid, place: &Place, entries: &[Arc<Entry>]) -> Result<Look<Vec<Found>>> {
        let tx = self.hooks.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let active = webhook::Entity::find()
            .filter(webhook::Column::WorkspaceId.eq(workspace))
            .filter(webhook::Column::Status.eq(Status::Active.as_str()))
            .order_by_asc(webhook::Column::Id);
        let active = active.all(&tx).await?;
        tx.commit().await?;
        let mut found = Vec::new();
        for hook in active {
            let first = entries.partition_point(|entry| entry.seq <= hook.from_seq);
            let (after, entries) = (place.seq.max(hook.from_seq), &entries[first..]);
            if entries.is_empty() {
                continue;
            }
            let hook = Arc::new(hook);
            match self.find(hook.clone(), after, entries).await {
                Ok(of_hook) => found.push(of_hook),
                // The others go on: it alone is not told, and its owner learns why.
                Err(error) if place.is_last_try() => {
                    let over = Some(format!("What happened could not be judged for it: {error}"));
                    found.push(Found { hook, events: Vec::new(), over });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Look::Found(found))
    }

    async fn write(&self, tx: &Tx, _: Uuid, found: Vec<Found>) -> Result<()> {
        for of_hook in found {
            self.write_down(tx, of_hook, &[]).await?;
        }
        Ok(())
    }
}

impl Worker {
    /// What follows from entries of the log for a webhook. What takes too long, or fails, may not the next time.
    pub(super) async fn find(&self, hook: Arc<webhook::Model>, after: i64, entries: &[Arc<Entry>]) -> Result<Found> {
        let ends = |hook, error: Error| match error {
            Error::Refused(refused) => Ok(Found { hook, events: Vec::new(), over: Some(refused.message) }),
            other => Err(other),
        };
        let opened = match (self.open)(hook.clone()).await {
            Ok(opened) => opened,
            Err(error) => return ends(hook, error),
        };
        let (ctx, catalog) = (&opened.viewer.ctx, &opened.viewer.catalog);
        let scopes = &opened.wanted.scopes;
        let all_told_by_the_log = |scope: &feed::Scope| scope.filter.is_null() && ctx.access.sees_all(&scope.object.name);
        let concerns = |entry: &Arc<Entry>| scopes.iter().any(|scope| scope.object.name == entry.object || !all_told_by_the_log(scope));
        if !entries.iter().any(concerns) {
            return Ok(Found { hook, events: Vec::new(), over: None });
        }
        let reading = self.hooks.db.begin(&ctx.scope(), Mode::Read).await?;
        let mut events = match feed::each(ctx, catalog, &reading, scopes, after, entries).await {
            Ok(events) => events,
            // Its filter names what is not there any more.
            Err(error) => return ends(hook, error),
        };
        reading.commit().await?;
        self.add_lost((&hook, &opened), entries, &mut events).await?;
        let kinds: Vec<String> = serde_json::from_value(hook.kinds.clone())?;
        events.retain(|event| kinds.is_empty() || kinds.iter().any(|kind| kind == change(event)));
        let object = |event: &Event| scopes.get(event.scope).map_or_else(String::new, |scope| scope.object.name.clone());
        let events = events.into_iter().map(|event| (event.clone(), object(&event))).collect();
        Ok(Found { hook, events, over: None })
    }

    /// Writes a webhook's deliveries; those that are there already and are of one of the states are due again.
    pub(super) async fn write_down(&self, tx: &Tx, found: Found, again: &[State]) -> Result<()> {
        if let Some(why) = &found.over {
            self.disable(tx, &found.hook, why).await?;
        }
        for part in found.events.chunks(AT_ONCE) {
            self.enqueue(tx, &found.hook, part, again).await?;
        }
        Ok(())
    }

    /// Records that a subscriber who does not see everything was told of, and does not see any more: because they were given
    /// away, say, which the past does not tell, for it is seen with today's access.
    async fn add_lost(&self, (hook, opened): (&webhook::Model, &Opened), entries: &[Arc<Entry>], events: &mut Vec<Event>) -> Result<()> {
        let ctx = &opened.viewer.ctx;
        let tx = self.hooks.db.begin(&Scope::workspace(hook.workspace_id), Mode::Read).await?;
        for (index, scope) in opened.wanted.scopes.iter().enumerate() {
            if ctx.access.sees_all(&scope.object.name) {
                continue;
            }
            let told: HashSet<Uuid> = events.iter().map(|event| event.record).collect();
            let untold = entries.iter().filter(|entry| entry.object == scope.object.name && !told.contains(&entry.record));
            let last: HashMap<Uuid, &Arc<Entry>> = untold.map(|entry| (entry.record, entry)).collect();
            if last.is_empty() {
                continue;
            }
            let marks: Vec<String> = (3..3 + last.len()).map(|n| format!("${n}")).collect();
            let sql = format!(
                "SELECT d.record_id FROM webhook_delivery d WHERE d.workspace_id = $1 AND d.webhook_id = $2 AND d.record_id IN ({}) \
                 AND d.kind <> 'LEFT' AND NOT EXISTS (SELECT 1 FROM webhook_delivery n WHERE n.workspace_id = $1 AND n.webhook_id = $2 \
                 AND n.record_id = d.record_id AND n.seq > d.seq)",
                marks.join(", ")
            );
            let ids = last.keys().map(|id| Value::from(*id));
            let values = [hook.workspace_id.into(), hook.id.into()].into_iter().chain(ids).collect();
            for row in tx.fetch_all(&sql, values).await? {
                if let Some(entry) = row.uuid(0)?.and_then(|id| last.get(&id)) {
                    events.push(Event { kind: Kind::Left, scope: index, ..Event::of_entry(entry) });
                }
            }
        }
        events.sort_by_key(|event| event.seq);
        Ok(tx.commit().await?)
    }

    async fn enqueue(&self, tx: &Tx, hook: &webhook::Model, events: &[(Event, String)], again: &[State]) -> Result<()> {
        let now = self.hooks.clock.now();
        let (mut rows, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), vec![hook.workspace_id.into(), hook.id.into(), now.0.into()]);
        for (event, object) in events {
            let mut bind = |value: Value| {
                values.push(value);
                format!("${}", values.len())
            };
            let row = [
                bind(event.seq.into()),
                bind(event.record.into()),
                bind(self.hooks.clock.new_id().into()),
                bind(object.clone().into()),
                bind(event.kind.as_str().into()),
                bind(event.entry.as_ref().map(|entry| entry.kind.clone()).into()),
            ];
            rows.push(format!("($1, $2, {}, 'PENDING', '[]', 0, $3, 0, $3)", row.join(", ")));
        }
        let states: Vec<String> = again.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let known = if states.is_empty() {
            "DO NOTHING".to_owned()
        } else {
            format!(
                "(workspace_id, webhook_id, seq, record_id) DO UPDATE SET state = 'PENDING', tries = 0, next_at = $3, done_at = NULL \
                 WHERE webhook_delivery.state IN ({})",
                states.join(", ")
            )
        };
        let sql = format!(
            "INSERT INTO webhook_delivery (workspace_id, webhook_id, seq, record_id, id, object, kind, change, state, attempts, tries, \
             next_at, lease_until, created_at) VALUES {} ON CONFLICT {known}",
            rows.join(", "),
        );
        let sql = if tx.backend() == Backend::Postgres { sql.replace("'[]'", "'[]'::jsonb") } else { sql };
        tx.run(&sql, values).await?;
        Ok(())
    }

    /// The last number of the log, for a webhook that begins now.
    pub(super) async fn head(tx: &Tx, workspace: Uuid) -> Result<i64> {
        head(tx, workspace).await
    }
}

/// What happened, as kinds are named when a webhook chooses among them.
fn change(event: &Event) -> &str {
    event.entry.as_ref().map_or(Change::Moved.as_str(), |entry| entry.kind.as_str())
}
