//! Making and changing webhooks: what they ask for is looked at, and what it would be can be tried.

use std::sync::Arc;

use entity::webhook;
use sea_orm::{ActiveModelTrait as _, EntityTrait, IntoActiveModel};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::Opened;
use super::deliver::Worker;
use super::model::{Attempt, KINDS, Signature, Status, WebhookInput};
use super::payload::{envelope, payloads, subject};
use super::send::post;
use super::service::{Made, Secrets, find, invalid};
use super::sign::Secret;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::features::live::account;
use crate::infra::db::Mode;
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::platform::readers::{self, Reader};
use crate::records::feed::{self, Event, Kind};
use crate::records::write::Rejected;

/// Webhooks of one workspace.
const MOST: usize = 100;
/// The longest document, in bytes.
const LONGEST: usize = 65_536;

/// What would be sent of a record.
pub struct Preview {
    pub body: String,
    pub attempt: Option<Attempt>,
}

impl Worker {
    /// Makes a webhook that sees what its maker sees.
    pub async fn create(&self, ctx: &Ctx, input: WebhookInput) -> Result<Made, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let (holder_kind, holder_id) = access::holder(ctx, "webhooks")?;
        let now = ctx.now();
        let signature = input.signature.unwrap_or(Signature::Hmac);
        let (id, secret) = (self.hooks.clock.new_id(), Secret::new(signature));
        let told = secret.told()?;
        let secrets = Secrets { all: vec![secret] }.seal(&self.hooks.vault, ctx.workspace, id)?;
        let mut row = webhook::Model {
            workspace_id: ctx.workspace,
            id,
            name: String::new(),
            url: String::new(),
            signature: signature.as_str().to_owned(),
            secrets,
            document: None,
            variables: json!({}),
            scopes: json!([]),
            kinds: json!([]),
            status: Status::Active.as_str().to_owned(),
            reason: None,
            holder_kind,
            holder_id,
            from_seq: 0,
            created_at: now,
            updated_at: now,
        };
        self.apply(&mut row, input, true)?;
        self.settle(&mut row).await?;
        let tx = self.hooks.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let count = "SELECT count(*) FROM webhook WHERE workspace_id = $1";
        let count = tx.fetch_optional(count, vec![ctx.workspace.into()]).await?.map(|row| row.int(0)).transpose()?.flatten();
        if count.unwrap_or(0) >= i64::try_from(MOST).unwrap_or(i64::MAX) {
            let error = UserError::new(UserErrorCode::Limit, &["name"], format!("A workspace has at most {MOST} webhooks."));
            return Err(error.into());
        }
        readers::open(&tx, ctx.workspace, Reader::Webhooks, now).await?;
        row.from_seq = Worker::head(&tx, ctx.workspace).await?;
        webhook::Entity::insert(row.clone().into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::WebhookChanged, id, json!({ "created": row.name, "url": without_query(&row.url) })).await?;
        tx.commit().await?;
        Ok(Made { webhook: row, secret: told })
    }

    /// Changes a webhook. What is sent from then on is what its present holder sees.
    pub async fn update(&self, ctx: &Ctx, id: Uuid, input: WebhookInput) -> Result<webhook::Model, Rejected> {
        access::require(ctx, Setting::Integrations)?;
        let tx = self.hooks.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let mut row = find(&tx, ctx.workspace, id).await?;
        let old = row.clone();
        let content = input.document.is_some() || input.scopes.is_some() || input.variables.is_some();
        if (content || input.url.is_some()) && ctx.actor.id != Some(row.holder_id) {
            // Whoever says where it goes, or what, shows what they see themselves.
            (row.holder_kind, row.holder_id) = access::holder(ctx, "webhooks")?;
        }
        let held_by_another = row.holder_id != old.holder_id;
        self.apply(&mut row, input, false)?;
        if content || held_by_another {
            self.settle(&mut row).await?;
        }
        row.updated_at = ctx.now();
        if Status::of(&row.status) == Status::Active {
            row.reason = None;
            if Status::of(&old.status) != Status::Active {
                // What happened meanwhile is sent if somebody asks for it (`replayWebhooks`).
                row.from_seq = Worker::head(&tx, ctx.workspace).await?;
            }
        }
        webhook::Entity::update(row.clone().into_active_model().reset_all()).exec(&tx).await.map_err(Error::from)?;
        let detail = json!({ "updated": row.name, "url": without_query(&row.url), "status": row.status });
        access::audit(&tx, ctx, Action::WebhookChanged, id, detail).await?;
        tx.commit().await?;
        Ok(row)
    }

    fn apply(&self, row: &mut webhook::Model, input: WebhookInput, new: bool) -> Result<(), Rejected> {
        if let Some(name) = input.name.map(|name| name.trim().to_owned()).or_else(|| new.then(String::new)) {
            if name.is_empty() || name.chars().count() > 100 {
                return Err(invalid("name", "A name has 1 to 100 characters."));
            }
            row.name = name;
        }
        if let Some(url) = input.url.or_else(|| new.then(String::new)) {
            let url = url.trim().to_owned();
            if let Some(why) = self.hooks.outbound.refuses(&url).or_else(|| (url.len() > 2_000).then_some("At most 2,000 characters.")) {
                return Err(invalid("url", why));
            }
            row.url = url;
        }
        if let Some(kinds) = input.kinds {
            if let Some(wrong) = kinds.iter().find(|kind| KINDS.iter().all(|known| known.as_str() != *kind)) {
                return Err(invalid("kinds", format!("There is no kind `{wrong}`.")));
            }
            row.kinds = json!(kinds);
        }
        match (input.document, input.scopes) {
            (Some(_), Some(_)) => return Err(invalid("scopes", "The document's arguments say which lists: give one or the other.")),
            (Some(document), None) if document.len() > LONGEST => {
                return Err(invalid("document", format!("A document has at most {LONGEST} bytes.")));
            }
            (Some(document), None) => row.document = Some(document),
            (None, Some(scopes)) => (row.document, row.scopes, row.variables) = (None, json!(scopes), json!({})),
            (None, None) => {}
        }
        if let Some(variables) = input.variables {
            if row.document.is_none() {
                return Err(invalid("variables", "Variables are a document's."));
            }
            row.variables = variables;
        }
        if let Some(status) = input.status {
            row.status = status.as_str().to_owned();
        }
        Ok(())
    }

    /// Looks whether a webhook's maker may ask for what it asks for, and notes which lists that are.
    async fn settle(&self, row: &mut webhook::Model) -> Result<(), Rejected> {
        let member = if row.document.is_some() { "document" } else { "scopes" };
        let opened = match (self.open)(Arc::new(row.clone())).await {
            Ok(opened) => opened,
            Err(Error::Refused(refused)) => return Err(invalid(member, refused.message)),
            Err(fault) => return Err(fault.into()),
        };
        if let Some(why) = opened.note {
            return Err(invalid(member, why));
        }
        let mut objects: Vec<&str> = opened.wanted.scopes.iter().map(|scope| scope.object.name.as_str()).collect();
        objects.sort_unstable();
        if objects.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(invalid(member, "Two of the lists are of the same object: make one of them, with `or`."));
        }
        // Each filter is asked once, of nothing: it may name what its maker does not see.
        let (ctx, catalog) = (&opened.viewer.ctx, &opened.viewer.catalog);
        let tx = self.hooks.db.begin(&ctx.scope(), Mode::Read).await?;
        for scope in &opened.wanted.scopes {
            match feed::is_in(ctx, catalog, &tx, scope, &[Uuid::nil()]).await {
                Err(Error::Refused(refused)) => return Err(invalid(member, refused.message)),
                asked => asked?,
            };
        }
        tx.commit().await?;
        if row.document.is_some() {
            let list = |scope: &feed::Scope| {
                let name = scope.variant.map_or(scope.object.plural.as_str(), |variant| variant.plural);
                let filter = if scope.filter.is_null() { json!({}) } else { scope.filter.clone() };
                Json::Object(Map::from_iter([(name.to_owned(), filter)]))
            };
            row.scopes = opened.wanted.scopes.iter().map(list).collect();
        }
        Ok(())
    }
}

impl Worker {
    /// What would be sent of a record, and, if it is to be sent, what came of that. Without a record, the one that was
    /// changed last.
    pub async fn preview(&self, ctx: &Ctx, hook: Arc<webhook::Model>, record: Option<Uuid>, send: bool) -> Result<Preview, Rejected> {
        access::holder(ctx, "webhooks")?;
        if ctx.actor.id != Some(hook.holder_id) {
            let why = "Only whoever made a webhook is shown what it is sent. Change its url or document, and it is yours.";
            return Err(Error::forbidden(why).into());
        }
        let opened = (self.open)(hook.clone()).await?;
        let body = match self.example(&opened, record).await? {
            Some(body) => body,
            None if record.is_some() => {
                let why = "There is no such record among those that the webhook is told of.";
                return Err(UserError::new(UserErrorCode::NotFound, &["recordId"], why).into());
            }
            None => envelope(&opened, ("webhook", "test"), self.hooks.clock.now(), "null")?,
        };
        if !send {
            return Ok(Preview { body, attempt: None });
        }
        let tx = self.hooks.db.begin(&ctx.system_scope(), Mode::Write).await?;
        access::audit(&tx, ctx, Action::WebhookChanged, hook.id, json!({ "tested": hook.name, "url": without_query(&hook.url) })).await?;
        tx.commit().await?;
        let secrets = Secrets::open(&self.hooks.vault, &hook)?;
        let (at, begun) = (self.hooks.clock.now(), std::time::Instant::now());
        let id = format!("msg_test_{}", self.hooks.clock.new_id().simple());
        let sent = post(&self.hooks, &hook, &secrets, &id, body.clone()).await;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut attempt = Attempt { at: at.0, millis, status: None, error: None, response: None };
        match sent {
            Ok(answer) => (attempt.status, attempt.response) = (Some(answer.status), Some(answer.body.chars().take(1_000).collect())),
            Err(why) => attempt.error = Some(why),
        }
        Ok(Preview { body, attempt: Some(attempt) })
    }

    async fn example(&self, opened: &Opened, record: Option<Uuid>) -> Result<Option<String>> {
        let (ctx, catalog) = (&opened.viewer.ctx, &opened.viewer.catalog);
        let tx = self.hooks.db.begin(&ctx.scope(), Mode::Read).await?;
        for (index, scope) in opened.wanted.scopes.iter().enumerate() {
            tx.see_all(true).await?;
            let of = "SELECT seq FROM change_log WHERE workspace_id = $1 AND object = $2 AND (record_id = $3 OR $3 IS NULL) ORDER BY seq DESC LIMIT 1";
            let last = tx.fetch_optional(of, vec![ctx.workspace.into(), scope.object.name.clone().into(), record.into()]).await?;
            let entry = match last.map(|row| row.int(0)).transpose()?.flatten() {
                Some(seq) => feed::entries_at(&tx, ctx.workspace, &[seq]).await?.pop().map(Arc::new),
                None => None,
            };
            tx.see_all(false).await?;
            let Some(entry) = entry else { continue };
            let event = Event { scope: index, ..Event::of_entry(&entry) };
            let among = [event.record];
            if event.kind == Kind::Left || !feed::is_in(ctx, catalog, &tx, scope, &among).await? {
                continue;
            }
            let data = payloads(opened, &tx, std::slice::from_ref(&event)).await?.pop().unwrap_or_default();
            tx.commit().await?;
            account(&self.hooks.db, &opened.viewer).await?;
            let what = entry.kind.to_ascii_lowercase();
            return envelope(opened, (subject(opened, index), &what), entry.at, &data).map(Some);
        }
        Ok(None)
    }
}

/// An address as the audit tells it: what comes after the path may be a secret.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}
