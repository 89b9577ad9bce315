//! The composition root: everything is built here, once, and owned. There are no globals, so two
//! servers run in one test process.

mod known;
mod opening;
mod renewal;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use entity::Micros;
use quick_cache::sync::Cache;
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::config::{Config, StreamsTo};
use crate::error::Result;
use crate::features::access::AccessControl;
use crate::features::data_model::DataModel;
use crate::features::identity::{self, Guard, Hasher, Identity, Lifetimes};
use crate::features::inbound::InboundHooks;
use crate::features::live::Live;
use crate::features::secrets::SecretKeys;
use crate::features::webhooks::{self, Webhooks};
use crate::features::workspaces::Workspaces;
use crate::infra::bus::Bus;
use crate::infra::clock::Clock;
use crate::infra::db::{Backend, Db, Mode, Scope, Standing, Statistics};
use crate::infra::mail::Mailer;
use crate::infra::outbound::Outbound;
use crate::infra::telemetry::{Looked, Metrics};
use crate::infra::vault::Vault;
use crate::infra::web::Web;
use crate::objects;
use crate::platform::access::Policy;
use crate::platform::budget::Budgets;
use crate::platform::limits::Buckets;
use crate::platform::readers::Reader;
use crate::platform::replica::ReadReplica;
use crate::platform::work;
use crate::records::write::RuleBook;

use known::tell_others;
use renewal::Renewable;

pub use known::Known;
pub use opening::{applied_migrations, broker, connect, is_migrated, migrate, migrate_down, signing_keys, vault};

pub struct App {
    pub config: Config,
    pub db: Db,
    /// From which queries are read, if there is one.
    pub replica: Option<ReadReplica>,
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
    pub vault: Vault,
    /// Secrets that may change while the server runs.
    pub renewable: Renewable,
    pub metrics: Arc<Metrics>,
    /// The last hour for which this process enqueued what is done every hour.
    pub scheduled: AtomicI64,
    /// Whether the server is about to go: it answers, and tells those who balance that others should.
    pub draining: AtomicBool,
    /// Whether the server is going down, for those who hold connections open.
    pub stopping: watch::Sender<bool>,
    known: Cache<Uuid, Arc<Known>>,
    /// Counts how often something was forgotten.
    forgot: AtomicU64,
    /// What callers may see and do, by workspace, member or key, and what bounds the credential; as of when.
    policies: Cache<(Uuid, Uuid, u128), (Micros, Arc<Policy>)>,
}

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
        let replica = opening::replica(&config, &db, &bus).await?;
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
            webhooks: Webhooks { db: db.clone(), clock: clock.clone(), vault: vault.clone(), outbound, metrics: metrics.clone() },
            worker: OnceLock::new(),
            mailer: mailer.clone(),
            vault,
            renewable: Renewable::new(&config),
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
            forgot: AtomicU64::new(0),
            policies: Cache::new(10_000),
            config,
            db,
            replica,
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

    /// What there is to do, in all workspaces.
    pub async fn look(&self) -> Result<Looked> {
        let tx = self.db.begin(&Scope::worker(), Mode::Read).await?;
        let looked = work::look(&tx, self.clock.now()).await?;
        tx.commit().await?;
        let here = self.look_here();
        let mut looked =
            Looked { database: true, statements: here.statements, connections: here.connections, replica: here.replica, ..looked };
        if self.config.streams.to == StreamsTo::Nowhere {
            // It had a place once; nobody waits for it.
            looked.lag.retain(|(reader, _)| reader != Reader::Streams.as_str());
        }
        Ok(looked)
    }

    /// What this process knows without asking the database.
    pub fn look_here(&self) -> Looked {
        let replica = self.replica.as_ref().map(|of| of.replica.standing()).map(|(how, behind)| (how == Standing::Serves, behind));
        Looked { statements: self.db.statements(), connections: self.db.connections(), replica, ..Looked::default() }
    }

    /// Gives all connections to databases back.
    pub async fn close(&self) {
        if let Some(of) = &self.replica {
            of.replica.close().await;
        }
        self.db.close().await;
    }
}
