//! The composition root: everything is built here, once, and owned. There are no globals, so two
//! servers run in one test process.

mod opening;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use entity::Micros;
use quick_cache::sync::Cache;
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::config::{Config, StreamsTo};
use crate::error::{Error, Result};
use crate::features::access::{self, AccessControl, Holding};
use crate::features::data_model::{self, DataModel};
use crate::features::identity::{self, Caller, Guard, Hasher, Identity, Lifetimes};
use crate::features::inbound::InboundHooks;
use crate::features::live::Live;
use crate::features::secrets::SecretKeys;
use crate::features::webhooks::{self, Webhooks};
use crate::features::workspaces::Workspaces;
use crate::infra::bus::{Bus, Heard};
use crate::infra::clock::Clock;
use crate::infra::db::{Backend, Db, Mode, Scope, Statistics};
use crate::infra::mail::Mailer;
use crate::infra::outbound::Outbound;
use crate::infra::signals::Topic;
use crate::infra::telemetry::{Looked, Metrics};
use crate::infra::web::Web;
use crate::objects;
use crate::platform::access::Policy;
use crate::platform::budget::Budgets;
use crate::platform::limits::Buckets;
use crate::platform::readers::Reader;
use crate::platform::secrets::Secrets;
use crate::platform::work;
use crate::platform::{Access, Actor, ActorKind, Cause, Ctx, Hidden, House, Opened, Origin, Problems};
use crate::records::search::refresh;
use crate::records::write::RuleBook;

pub use opening::{applied_migrations, broker, connect, is_migrated, migrate, migrate_down, signing_keys, vault};

pub struct App {
    pub config: Config,
    pub db: Db,
    pub bus: Bus,
    pub clock: Clock,
    pub identity: Identity,
    pub workspaces: Workspaces,
    pub access: AccessControl,
    pub data_model: DataModel,
    /// How much was written, so that PostgreSQL plans for it.
    pub statistics: Statistics,
    pub secrets: SecretKeys,
    pub standard: Arc<Catalog>,
    pub rules: Arc<RuleBook>,
    /// What somebody may do only so often.
    pub buckets: Buckets,
    /// What a credential and a workspace may have done.
    pub budgets: Budgets,
    pub web: Web,
    pub live: Live,
    pub webhooks: Webhooks,
    pub inbound: InboundHooks,
    /// Whoever works on webhooks; it is given by who knows the schema.
    pub worker: OnceLock<Arc<webhooks::Worker>>,
    pub mailer: Mailer,
    pub metrics: Arc<Metrics>,
    /// The last hour for which this process enqueued what is done every hour.
    pub scheduled: AtomicI64,
    /// Whether the server is about to go: it answers, and tells those who balance that others should.
    pub draining: AtomicBool,
    /// Whether the server is going down, for those who hold connections open.
    pub stopping: watch::Sender<bool>,
    known: Cache<Uuid, Arc<Known>>,
    /// What callers may see and do, by workspace, member or key, and what bounds the credential; as of when.
    policies: Cache<(Uuid, Uuid, u128), (Micros, Arc<Policy>)>,
}

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

/// What keeps a server from starting, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl App {
    /// Connects to the database that the settings name. An embedded one is made and migrated; on
    /// PostgreSQL the login is checked and the schema must be there.
    pub async fn start(config: Config, clock: Clock) -> Result<Arc<Self>, StartError> {
        let db = connect(&config, "database.url (DATABASE_URL)", &config.database.url).await?;
        match db.backend() {
            Backend::Sqlite => migrate(&db).await?,
            Backend::Postgres => {
                db.check_login().await.map_err(|e| StartError(e.to_string()))?;
                opening::check_migrated(&db).await?;
            }
        }
        let keys = signing_keys(&config)?;
        let lifetimes = Lifetimes {
            access_token: Duration::from_secs(config.auth.access_token_minutes * 60),
            refresh_token: Duration::from_secs(config.auth.refresh_token_days * 86_400),
        };
        let standard = Arc::new(objects::standard_catalog());
        let rules = Arc::new(objects::rule_book());
        let hasher = Hasher::default();
        let guard = Guard::new(db.clone(), clock.clone());
        let node = Uuid::from_u128(rand::random());
        let bus = match db.postgres().filter(|_| config.redis.url.is_empty()) {
            Some(pool) => Bus::over_postgres(pool, node),
            None => Bus::connect(&config.redis.url, &config.redis.prefix, node)
                .await
                .map_err(|e| StartError(format!("redis.url (REDIS_URL): cannot connect: {e}")))?,
        };
        let vault = vault(&config)?;
        let secrets = SecretKeys { db: db.clone(), clock: clock.clone(), vault: vault.clone() };
        let mailer = Mailer::new(&config.mail.url, &config.mail.from).map_err(StartError)?;
        let web = Web::default();
        let (magic_link, password_reset) = (config.mail.magic_link_url.clone(), config.mail.password_reset_url.clone());
        let auth = &config.auth;
        let identity = Identity::new(identity::Parts {
            db: db.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
            keys,
            lifetimes,
            hasher: hasher.clone(),
            guard: guard.clone(),
            vault: vault.clone(),
            mailer: mailer.clone(),
            links: identity::Links { magic_link, password_reset },
            issuers: identity::Issuers::new(config.oidc.clone(), &auth.public_url, auth.app_urls.clone(), web.clone()),
        });
        let data_model = DataModel { db: db.clone(), secrets: secrets.clone(), standard: standard.clone() };
        let metrics = Arc::<Metrics>::default();
        let outbound = Outbound::new(config.webhooks.allowed_networks.clone(), Duration::from_secs(config.webhooks.timeout_seconds));
        let invitation_url = config.mail.invitation_url.clone();
        let app = Arc::new(Self {
            identity,
            access: AccessControl {
                db: db.clone(),
                clock: clock.clone(),
                hasher: hasher.clone(),
                guard: guard.clone(),
                rules: rules.clone(),
                data_model: data_model.clone(),
                mailer: mailer.clone(),
                invitation_url,
            },
            buckets: Buckets::default(),
            budgets: Budgets::new(bus.clone()),
            web,
            live: Live::open(db.clone(), &db.signals, config.retention.feed_days),
            inbound: InboundHooks { db: db.clone(), clock: clock.clone(), vault: vault.clone() },
            webhooks: Webhooks { db: db.clone(), clock: clock.clone(), vault, outbound, metrics: metrics.clone() },
            worker: OnceLock::new(),
            mailer: mailer.clone(),
            metrics: metrics.clone(),
            scheduled: AtomicI64::new(0),
            draining: AtomicBool::new(false),
            stopping: watch::channel(false).0,
            workspaces: Workspaces {
                db: db.clone(),
                clock: clock.clone(),
                rules: rules.clone(),
                standard: standard.clone(),
                hasher,
                guard,
            },
            statistics: Statistics::default(),
            data_model,
            secrets,
            known: Cache::new(1_000),
            policies: Cache::new(10_000),
            config,
            db,
            bus,
            clock,
            standard,
            rules,
        });
        let listener = Arc::downgrade(&app);
        let listening = app.bus.listen(move |heard| match listener.upgrade() {
            Some(app) => {
                app.hear(&heard);
                true
            }
            None => false,
        });
        listening.await.map_err(|e| StartError(format!("redis.url (REDIS_URL): cannot listen: {e}")))?;
        tell_others(&app);
        Ok(app)
    }

    /// Another node changed something: what is remembered of it is not true any more.
    fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Changed { topic, id } if topic == WORKSPACE => {
                self.known.remove(id);
                self.db.signals.tell(Topic::Catalog, *id, false);
            }
            Heard::Changed { topic, id } if topic == ACCESS => {
                self.policies.retain(|(workspace, ..), _| workspace != id);
                self.identity.forget_all();
                self.db.signals.tell(Topic::Access, *id, false);
            }
            Heard::Changed { topic, id } if topic == RECORDS => self.db.signals.tell(Topic::Records, *id, false),
            Heard::Changed { topic, id } if topic == "documents" => self.identity.forget_documents(*id),
            Heard::Changed { id, .. } => self.identity.forget(*id),
            Heard::Anything => {
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
        self.known.insert(id, known.clone());
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

    /// What there is to do, in all workspaces.
    pub async fn look(&self) -> Result<Looked> {
        let tx = self.db.begin(&Scope::worker(), Mode::Read).await?;
        let looked = work::look(&tx, self.clock.now()).await?;
        tx.commit().await?;
        let here = self.look_here();
        let mut looked = Looked { database: true, statements: here.statements, connections: here.connections, ..looked };
        if self.config.streams.to == StreamsTo::Nowhere {
            // It had a place once; nobody waits for it.
            looked.lag.retain(|(reader, _)| reader != Reader::Streams.as_str());
        }
        Ok(looked)
    }

    /// What this process knows without asking the database.
    pub fn look_here(&self) -> Looked {
        Looked { statements: self.db.statements(), connections: self.db.connections(), ..Looked::default() }
    }

    /// Forgets what is remembered of a workspace, here and on the other nodes, because it was changed.
    pub async fn forget_workspace(&self, id: Uuid) {
        self.known.remove(&id);
        self.db.signals.tell(Topic::Catalog, id, true);
        self.bus.tell(WORKSPACE, id).await;
    }

    /// Forgets what is remembered of everybody's rights, here and on the other nodes, because roles,
    /// teams or shares were changed.
    pub async fn forget_access(&self, workspace: Uuid) {
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
        self.policies.insert(key, (now, policy.clone()));
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
        };
        Ok((ctx, known))
    }
}

/// Tells the other nodes of records that changed on this one; of many changes at once, once for each workspace.
fn tell_others(app: &Arc<App>) {
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
