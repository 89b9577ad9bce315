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
use crate::infra::db::{Backend, Mode, Tx, Value};
use crate::records::feed::{self, Entry, Event, Handler, Kind, head};

/// Rows that one statement writes.
const AT_ONCE: usize = 500;

impl Handler for Worker {
    async fn handle(&self, tx: &Tx, workspace: Uuid, after: i64, entries: &[Arc<Entry>]) -> Result<()> {
        let active = webhook::Entity::find()
            .filter(webhook::Column::WorkspaceId.eq(workspace))
            .filter(webhook::Column::Status.eq(Status::Active.as_str()))
            .order_by_asc(webhook::Column::Id);
        for hook in active.all(tx).await? {
            let first = entries.partition_point(|entry| entry.seq <= hook.from_seq);
            let (after, entries) = (after.max(hook.from_seq), &entries[first..]);
            if !entries.is_empty() {
                self.fan_out(tx, hook, after, entries, &[]).await?;
            }
        }
        Ok(())
    }
}

impl Worker {
    /// Writes a webhook's deliveries of some entries of the log; those that are there already and are of one of the states
    /// are due again.
    pub(super) async fn fan_out(&self, tx: &Tx, hook: webhook::Model, after: i64, entries: &[Arc<Entry>], again: &[State]) -> Result<()> {
        let hook = Arc::new(hook);
        let opened = match (self.open)(hook.clone()).await {
            Ok(opened) => opened,
            Err(Error::Refused(refused)) => return self.disable(tx, &hook, &refused.message).await,
            Err(fault) => return Err(fault),
        };
        let (ctx, catalog) = (&opened.viewer.ctx, &opened.viewer.catalog);
        let scopes = &opened.wanted.scopes;
        if !entries.iter().any(|entry| scopes.iter().any(|scope| scope.object.name == entry.object || !scope.filter.is_null())) {
            return Ok(());
        }
        let reading = self.hooks.db.begin(&ctx.scope(), Mode::Read).await?;
        let mut events = match feed::each(ctx, catalog, &reading, scopes, after, entries).await {
            Ok(events) => events,
            // Its filter names what is not there any more.
            Err(Error::Refused(refused)) => return self.disable(tx, &hook, &refused.message).await,
            Err(fault) => return Err(fault),
        };
        reading.commit().await?;
        self.add_lost(tx, (&hook, &opened), entries, &mut events).await?;
        let kinds: Vec<String> = serde_json::from_value(hook.kinds.clone())?;
        let wanted: Vec<&Event> =
            events.iter().filter(|event| kinds.is_empty() || kinds.iter().any(|kind| kind == change(event))).collect();
        let objects: HashMap<usize, &str> = scopes.iter().enumerate().map(|(index, scope)| (index, &*scope.object.name)).collect();
        for part in wanted.chunks(AT_ONCE) {
            self.enqueue(tx, &hook, &objects, part, again).await?;
        }
        Ok(())
    }

    /// Records that a subscriber who does not see everything was told of, and does not see any more: because they were given
    /// away, say, which the past does not tell, for it is seen with today's access.
    async fn add_lost(
        &self,
        tx: &Tx,
        (hook, opened): (&webhook::Model, &Opened),
        entries: &[Arc<Entry>],
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let ctx = &opened.viewer.ctx;
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
        Ok(())
    }

    async fn enqueue(
        &self,
        tx: &Tx,
        hook: &webhook::Model,
        objects: &HashMap<usize, &str>,
        events: &[&Event],
        again: &[State],
    ) -> Result<()> {
        let now = self.hooks.clock.now();
        let (mut rows, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), vec![hook.workspace_id.into(), hook.id.into(), now.0.into()]);
        for event in events {
            let mut bind = |value: Value| {
                values.push(value);
                format!("${}", values.len())
            };
            let row = [
                bind(event.seq.into()),
                bind(event.record.into()),
                bind(self.hooks.clock.new_id().into()),
                bind(i64::try_from(event.scope).unwrap_or(0).into()),
                bind(objects.get(&event.scope).copied().unwrap_or_default().into()),
                bind(kind(event.kind).into()),
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
            "INSERT INTO webhook_delivery (workspace_id, webhook_id, seq, record_id, id, scope, object, kind, change, state, attempts, tries, \
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

/// How a list sees it.
fn kind(kind: Kind) -> &'static str {
    kind.as_str()
}
