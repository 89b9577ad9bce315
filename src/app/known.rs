//! What is remembered between requests: workspaces, and what callers may see and do. Nodes tell each other what to forget.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entity::Micros;
use uuid::Uuid;

use super::App;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::features::access::{self, Holding};
use crate::features::data_model;
use crate::features::identity::Caller;
use crate::infra::bus::Heard;
use crate::infra::clock::Clock;
use crate::infra::db::{Mode, Scope};
use crate::infra::signals::Topic;
use crate::platform::access::Policy;
use crate::platform::secrets::Secrets;
use crate::platform::{Access, Actor, ActorKind, Cause, Ctx, Hidden, House, Opened, Origin, Problems};
use crate::records::search::refresh;

/// What is remembered of a workspace between requests.
#[derive(Clone)]
pub struct Known {
    pub name: String,
    pub time_zone: chrono_tz::Tz,
    pub home_currency: String,
    pub catalog: Arc<Catalog>,
    /// The keys of its encrypted fields.
    pub secrets: Option<Arc<Secrets>>,
    at: Micros,
}

impl Known {
    /// The server itself, at work in this workspace.
    pub fn server_ctx(&self, workspace: Uuid, cause: Cause, clock: &Clock) -> Ctx {
        let house = House { workspace, time_zone: self.time_zone, home_currency: self.home_currency.clone() };
        Ctx::server(house, cause, clock.clone())
    }
}

/// What nodes call a workspace's settings and catalog when they tell each other of a change.
const WORKSPACE: &str = "workspace";
/// And who may see and do what in it.
const ACCESS: &str = "access";
/// And its records.
const RECORDS: &str = "records";

/// How long a workspace's settings are trusted on a node that did not change them itself.
const TRUSTED: Duration = Duration::from_secs(2);

impl App {
    /// Another node changed something: what is remembered of it is not true any more.
    pub(super) fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Changed { topic, id } if topic == WORKSPACE => {
                self.forgot.fetch_add(1, Ordering::Relaxed);
                self.known.remove(id);
                self.db.signals.tell(Topic::Catalog, *id, false);
            }
            Heard::Changed { topic, id } if topic == ACCESS => {
                self.forgot.fetch_add(1, Ordering::Relaxed);
                self.policies.retain(|(workspace, ..), _| workspace != id);
                self.identity.forget_all();
                self.db.signals.tell(Topic::Access, *id, false);
            }
            Heard::Changed { topic, id } if topic == RECORDS => self.db.signals.tell(Topic::Records, *id, false),
            Heard::Changed { topic, id } if topic == "documents" => self.identity.forget_documents(*id),
            Heard::Changed { id, .. } => self.identity.forget(*id),
            Heard::Anything => {
                self.forgot.fetch_add(1, Ordering::Relaxed);
                self.known.clear();
                self.policies.clear();
                self.identity.forget_all();
                self.db.signals.tell(Topic::Everything, Uuid::nil(), false);
            }
        }
    }

    /// A workspace's settings and catalog, as of now or a moment ago.
    pub async fn workspace(&self, id: Uuid) -> Result<Arc<Known>> {
        let now = self.clock.now();
        let trusted = i64::try_from(TRUSTED.as_micros()).unwrap_or(0);
        let old = self.known.get(&id);
        if let Some(known) = old.as_ref().filter(|known| now.0 - known.at.0 < trusted) {
            return Ok(known.clone());
        }
        let forgot = self.forgot.load(Ordering::Relaxed);
        let tx = self.db.begin(&Scope::workspace(id), Mode::Read).await?;
        let row = data_model::current_version(&tx, id).await?.ok_or_else(|| Error::unauthenticated("The workspace is gone."))?;
        let is_new = old.as_ref().is_none_or(|known| known.catalog.version != row.catalog_version);
        let catalog = match old.filter(|known| known.catalog.version == row.catalog_version) {
            Some(known) => known.catalog.clone(),
            None => self.data_model.catalog(&tx, id, row.catalog_version).await?,
        };
        let sealed = catalog.objects().any(|object| object.kept_in_document().any(|field| field.settings.encrypted));
        let secrets = if sealed { self.secrets.load(&tx, id).await? } else { None };
        let search_is_stale = is_new && refresh::is_due(&tx, id).await?;
        tx.commit().await?;
        let time_zone = row.time_zone.parse().unwrap_or(chrono_tz::UTC);
        let known = Arc::new(Known { name: row.name, time_zone, home_currency: row.home_currency, catalog, secrets, at: now });
        // What was changed while it was read is not remembered as it was before.
        if self.forgot.load(Ordering::Relaxed) == forgot {
            self.known.insert(id, known.clone());
        }
        if search_is_stale {
            self.refresh_search(id, &known);
        }
        Ok(known)
    }

    /// Makes what search knows of a workspace's records anew where it is out of date, beside everything else.
    fn refresh_search(&self, workspace: Uuid, known: &Arc<Known>) {
        let (db, catalog) = (self.db.clone(), known.catalog.clone());
        let ctx = known.server_ctx(workspace, Cause::SetUp, &self.clock);
        tokio::spawn(async move {
            let refresh = async || -> Result<()> {
                loop {
                    let tx = db.begin(&ctx.system_scope(), Mode::Write).await?;
                    let more = refresh::refresh(&tx, &ctx, &catalog).await?;
                    tx.commit().await?;
                    if !more {
                        return Ok(());
                    }
                }
            };
            if let Err(error) = refresh().await {
                tracing::warn!("what search knows of workspace {workspace} could not be made anew: {error}");
            }
        });
    }

    /// Forgets what is remembered of a workspace, here and on the other nodes, because it was changed.
    pub async fn forget_workspace(&self, id: Uuid) {
        self.forgot.fetch_add(1, Ordering::Relaxed);
        self.known.remove(&id);
        self.db.signals.tell(Topic::Catalog, id, true);
        self.bus.tell(WORKSPACE, id).await;
    }

    /// Forgets what is remembered of everybody's rights, here and on the other nodes, because roles,
    /// teams or shares were changed.
    pub async fn forget_access(&self, workspace: Uuid) {
        self.forgot.fetch_add(1, Ordering::Relaxed);
        self.policies.retain(|(of, ..), _| *of != workspace);
        self.identity.forget_all();
        self.db.signals.tell(Topic::Access, workspace, true);
        self.bus.tell(ACCESS, workspace).await;
    }

    /// What a caller may see and do, as of now or a moment ago.
    async fn policy(&self, caller: &Caller, catalog: &Catalog) -> Result<Arc<Policy>> {
        let Some(holder) = caller.actor.id else { return Ok(Arc::default()) };
        let bound = caller.bound.as_deref();
        let (key, now) = ((caller.workspace, holder, bound.map_or(0, |bound| bound.fingerprint)), self.clock.now());
        let trusted = i64::try_from(TRUSTED.as_micros()).unwrap_or(0);
        let old = self.policies.get(&key);
        if let Some((_, policy)) = old.as_ref().filter(|(at, _)| now.0 - at.0 < trusted) {
            return Ok(policy.clone());
        }
        let forgot = self.forgot.load(Ordering::Relaxed);
        let tx = self.db.begin(&Scope::workspace(caller.workspace), Mode::Read).await?;
        let restrictions = bound.map(|bound| &bound.restrictions);
        let holding = Holding { holder, member: caller.member, restrictions };
        let mut policy = access::policy(&tx, caller.workspace, catalog, holding).await?;
        policy.left_to_database = !self.config.database.row_conditions;
        if let Some((_, old)) = old {
            policy.extents = old.extents.clone();
        }
        let policy = Arc::new(policy);
        tx.commit().await?;
        if self.forgot.load(Ordering::Relaxed) == forgot {
            self.policies.insert(key, (now, policy.clone()));
        }
        Ok(policy)
    }

    /// The context that a member's own request would have now; for whoever asks what they may do.
    pub async fn ctx_of_member(&self, asking: &Ctx, catalog: &Catalog, member: Uuid) -> Result<Ctx> {
        let tx = self.db.begin(&asking.system_scope(), Mode::Read).await?;
        let policy =
            access::policy(&tx, asking.workspace, catalog, Holding { holder: member, member: Some(member), restrictions: None }).await?;
        tx.commit().await?;
        let actor = Actor { kind: ActorKind::Member, id: Some(member) };
        Ok(Ctx { actor, member: Some(member), access: Access::Caller(Arc::new(policy)), ..asking.clone() })
    }

    /// The context of a caller's request.
    pub async fn ctx(&self, caller: &Caller, cause: Cause, request_id: Option<String>) -> Result<(Ctx, Arc<Known>)> {
        let known = self.workspace(caller.workspace).await?;
        let policy = self.policy(caller, &known.catalog).await?;
        let ctx = Ctx {
            workspace: caller.workspace,
            time_zone: known.time_zone,
            home_currency: known.home_currency.clone(),
            actor: caller.actor,
            member: caller.member,
            user: caller.user,
            access: Access::Caller(policy),
            cause,
            clock: self.clock.clone(),
            request_id,
            origin: Origin::default(),
            hidden: Hidden::default(),
            secrets: known.secrets.clone(),
            opened: Opened::default(),
            problems: Problems::default(),
            tally: Default::default(),
            underway: Default::default(),
        };
        Ok((ctx, known))
    }
}

/// Tells the other nodes of records that changed on this one; of many changes at once, once for each workspace.
pub(super) fn tell_others(app: &Arc<App>) {
    let (mut heard, bus) = (app.db.signals.listen(), app.bus.clone());
    if bus.is_alone() {
        return;
    }
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        while let Some(signals) = heard.next_few().await {
            if app.strong_count() == 0 {
                return;
            }
            // Of many commits of one workspace one word is enough.
            let ours = signals.iter().filter(|signal| signal.ours && signal.topic == Topic::Records);
            for workspace in ours.map(|signal| signal.of).collect::<BTreeSet<Uuid>>() {
                bus.tell(RECORDS, workspace).await;
            }
        }
    });
}
