//! Servers and actors for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use kith::app::{self, App};
use kith::config::Config;
use kith::features::workspaces::NewWorkspace;
use kith::graphql::http::{Server as HttpServer, router};
use kith::infra::clock::Clock;
use kith::infra::db::Mode;
use kith::platform::Cause;
use kith::records::verify::verify;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tower::ServiceExt;

/// The instant at which every test begins: 2026-03-11T12:00:00Z, a Wednesday.
pub const BEGIN: i64 = 1_773_230_400_000_000;

/// Declares tests that run on both databases.
macro_rules! on_both {
    ($(async fn $name:ident($server:ident: $ty:ty) $body:block)*) => {
        $(async fn $name($server: $ty) $body)*
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let server = $crate::harness::Server::on_sqlite().await;
                super::$name(&server).await;
                server.is_as_the_log_says().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let server = $crate::harness::Server::on_postgres().await;
                super::$name(&server).await;
                server.is_as_the_log_says().await;
            })*
        }
    };
}
pub(crate) use on_both;

/// A server with a database of its own.
pub struct Server {
    pub app: Arc<App>,
    pub clock: Clock,
    router: axum::Router,
    folder: tempfile::TempDir,
    /// The test cut the log itself.
    log_was_cut: AtomicBool,
}

impl Server {
    /// Says that the test cuts the log itself: it is not compared with the tables afterwards.
    pub fn cuts_the_log(&self) {
        self.log_was_cut.store(true, Ordering::Relaxed);
    }

    pub async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/kith.db", folder.path().display());
        Self::start(folder, url, String::new()).await
    }

    /// With other settings.
    pub async fn on_sqlite_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/kith.db", folder.path().display());
        Self::start_with(folder, url, String::new(), change).await
    }

    pub async fn on_postgres_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), postgres_database().await, redis(), change).await
    }

    pub async fn on_postgres() -> Self {
        Self::start(tempfile::tempdir().unwrap(), postgres_database().await, redis()).await
    }

    /// A server whose statements carry no row conditions: the policies alone decide.
    pub async fn on_policies_alone() -> Self {
        let url = postgres_database().await;
        Self::start_with(tempfile::tempdir().unwrap(), url, redis(), |config| config.database.row_conditions = false).await
    }

    /// Another node of the same installation: same database, same signing key, same Redis.
    pub async fn second_node(&self) -> Self {
        self.second_node_with(|_| {}).await
    }

    pub async fn second_node_with(&self, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(&self.app.config.server.data_dir).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_dir() {
                continue;
            }
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Self::start_with(folder, self.app.config.database.url.clone(), self.app.config.redis.url.clone(), change).await
    }

    /// Listens for real, until the test is over.
    pub async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// How the owner of the tables reaches the database.
    pub fn owner_url(&self) -> String {
        self.app.config.database.url.replace("kith_app@", "kith_owner@")
    }

    async fn start(folder: tempfile::TempDir, url: String, redis: String) -> Self {
        Self::start_with(folder, url, redis, |_| {}).await
    }

    async fn start_with(folder: tempfile::TempDir, url: String, redis: String, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::fixed_at(BEGIN);
        let mut config = Config::load(None, |_| None).unwrap();
        config.server.data_dir = folder.path().to_owned();
        config.database.url = url;
        config.database.max_connections = 8;
        config.redis.url = redis;
        config.redis.prefix = url::Url::parse(&config.database.url).unwrap().path().to_owned();
        // Tests ask for everything at once; what is too dear is tried where it is meant.
        (config.limits.cost, config.limits.credential_budget, config.limits.workspace_budget) = (1 << 30, 1 << 31, 1 << 31);
        config.auth.public_url = "https://kith.test".into();
        config.auth.app_urls = vec!["https://app.test/signed-in".into()];
        config.mail.url = format!("file://{}/mail", folder.path().display());
        change(&mut config);
        let app = App::start(config, clock.clone()).await.unwrap();
        let router = router(HttpServer::new(app.clone()));
        Self { app, clock, router, folder, log_was_cut: AtomicBool::new(false) }
    }

    /// What replaying the log finds wrong in all workspaces.
    pub async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for workspace in self.app.workspaces.all().await.unwrap() {
            let known = self.app.workspace(workspace).await.unwrap();
            let ctx = known.server_ctx(workspace, Cause::SetUp, &self.clock);
            let tx = self.app.db.begin(&ctx.system_scope(), Mode::Read).await.unwrap();
            faults.extend(verify(&tx, &ctx, &known.catalog).await.unwrap().told);
            tx.commit().await.unwrap();
        }
        faults
    }

    /// Whatever a test did: the log, replayed, gives the tables.
    pub async fn is_as_the_log_says(&self) {
        let faults = if self.log_was_cut.load(Ordering::Relaxed) { Vec::new() } else { self.faults().await };
        assert!(faults.is_empty(), "the tables are not as the log says: {faults:#?}");
    }

    /// A new workspace's administrator, signed in.
    pub async fn admin(&self) -> Actor<'_> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = NewWorkspace {
            name: format!("Workspace {n}"),
            time_zone: "Europe/Zurich".into(),
            home_currency: "EUR".into(),
            locale: "en".into(),
            admin_name: format!("Admin {n}"),
            admin_email: format!("admin{n}@test.example"),
            admin_password: "correct horse".into(),
        };
        let made = self.app.workspaces.create(new).await.unwrap();
        let tokens = self.app.identity.open_session(made.user, made.workspace, made.member, &Default::default()).await.unwrap();
        Actor { server: self, credential: Some(tokens.access), workspace: made.workspace }
    }

    /// Somebody who was invited by `admin` as a built-in role and signed in.
    pub async fn member(&self, admin: &Actor<'_>, name: &str, role: &str) -> Actor<'_> {
        self.member_with(admin, name, role, json!({})).await
    }

    pub async fn member_with(&self, admin: &Actor<'_>, name: &str, role: &str, more: Value) -> Actor<'_> {
        let role = admin.role(role).await;
        let email = format!("{}.{}@test.example", name.to_lowercase(), admin.workspace.simple());
        let mut input = json!({ "name": name, "email": email, "roles": [role] });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let invite = "mutation($input: InviteMemberInput!) { inviteMember(input: $input) { token userErrors { path message } } }";
        let invited = admin.ask_with(invite, json!({ "input": input })).await["inviteMember"].take();
        assert_eq!(invited["userErrors"], json!([]));
        let accept = "mutation($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { session { accessToken } userErrors { path message } } }";
        let input = json!({ "token": invited["token"], "password": "correct horse" });
        let accepted = self.anonymous().ask_with(accept, json!({ "input": input })).await["acceptInvitation"].take();
        assert_eq!(accepted["userErrors"], json!([]));
        Actor {
            server: self,
            credential: Some(accepted["session"]["accessToken"].as_str().unwrap().to_owned()),
            workspace: admin.workspace,
        }
    }

    /// The texts of the mails to an address, when there are as many as expected.
    pub async fn mails(&self, to: &str, count: usize) -> Vec<String> {
        let folder = self.folder.path().join("mail");
        // They are written by a task of their own, which is let run until they are there.
        for _ in 0..1_000_000 {
            let files = std::fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().path())
                .filter(|path| path.extension().is_some_and(|ext| ext == "eml"));
            let mails: Vec<String> =
                files.map(|path| std::fs::read_to_string(path).unwrap()).filter(|mail| mail.contains(&format!("To: {to}"))).collect();
            if mails.len() >= count && mails.iter().all(|mail| mail.ends_with('\n')) {
                return mails;
            }
            tokio::task::yield_now().await;
        }
        panic!("no mail to {to} was written");
    }

    pub fn anonymous(&self) -> Actor<'_> {
        Actor { server: self, credential: None, workspace: uuid::Uuid::nil() }
    }

    pub fn bearer(&self, credential: &str) -> Actor<'_> {
        Actor { server: self, credential: Some(credential.to_owned()), workspace: uuid::Uuid::nil() }
    }

    pub fn is_postgres(&self) -> bool {
        self.app.db.backend() == kith::infra::db::Backend::Postgres
    }

    pub async fn respond(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, String) {
        let response = self.respond(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Actor<'a> {
    pub server: &'a Server,
    pub credential: Option<String>,
    pub workspace: uuid::Uuid,
}

impl Actor<'_> {
    /// Sends a document and returns the whole answer.
    pub async fn send(&self, document: &str, variables: Value) -> Value {
        self.post(json!({ "query": document, "variables": variables }), &[]).await.2
    }

    /// Sends a request with these headers, and returns status, headers and answer.
    pub async fn post(&self, body: Value, headers: &[(&str, &str)]) -> (StatusCode, axum::http::HeaderMap, Value) {
        let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(credential) = &self.credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {credential}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, headers, body) = self.server.send(request.body(Body::from(body.to_string())).unwrap()).await;
        (status, headers, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")))
    }

    /// The id of a built-in role.
    pub async fn role(&self, built_in: &str) -> String {
        let roles = self.ask("{ roles { id builtIn } }").await["roles"].take();
        let found = roles.as_array().unwrap().iter().find(|role| role["builtIn"] == built_in);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The actor's own member.
    pub async fn id(&self) -> String {
        self.ask("{ viewer { member { id } } }").await["viewer"]["member"]["id"].as_str().unwrap().to_owned()
    }

    /// Sends a document that must succeed and returns its data.
    pub async fn ask(&self, document: &str) -> Value {
        self.ask_with(document, json!({})).await
    }

    pub async fn ask_with(&self, document: &str, variables: Value) -> Value {
        let mut answer = self.send(document, variables).await;
        assert!(answer.get("errors").is_none(), "{document}\n{answer:#}");
        answer["data"].take()
    }

    /// Sends a document that must be refused and returns the first error's code and message.
    pub async fn refused(&self, document: &str) -> (String, String) {
        let answer = self.send(document, json!({})).await;
        let error = &answer["errors"][0];
        assert!(error.is_object(), "{document}\n{answer:#}");
        (error["extensions"]["code"].as_str().unwrap_or_default().to_owned(), error["message"].as_str().unwrap_or_default().to_owned())
    }

    /// Runs a mutation of one root field that must work, and returns the record's id.
    pub async fn create(&self, one: &str, input: Value) -> String {
        let payload = self.mutate(&format!("create{}", capital(one)), one, input).await;
        assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
        payload[one]["id"].as_str().unwrap().to_owned()
    }

    /// Runs `create…` and returns its payload, whatever it says.
    pub async fn mutate(&self, mutation: &str, one: &str, input: Value) -> Value {
        let ty = capital(one);
        let document = format!(
            "mutation($input: {ty}Create!) {{ {mutation}(input: $input) {{ {one} {{ id version }} userErrors {{ code path message }} }} }}"
        );
        self.ask_with(&document, json!({ "input": input })).await[mutation].take()
    }

    /// Runs `update…` and returns its payload.
    pub async fn update(&self, one: &str, id: &str, input: Value) -> Value {
        let ty = capital(one);
        let document = format!(
            "mutation($id: ID!, $input: {ty}Update!) {{ update{ty}(id: $id, input: $input) {{ {one} {{ id version }} userErrors {{ code path message }} }} }}"
        );
        self.ask_with(&document, json!({ "id": id, "input": input })).await[format!("update{ty}")].take()
    }

    /// How many statements a document takes.
    pub async fn statements(&self, document: &str) -> usize {
        // The caller is known by then, so what is counted is the document alone.
        self.ask("{ __typename }").await;
        let before = self.server.app.db.statements();
        self.ask(document).await;
        self.server.app.db.statements() - before
    }
}

pub fn capital(one: &str) -> String {
    one[..1].to_uppercase() + &one[1..]
}

/// Every text under a key named `name`, in order.
pub fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// PostgreSQL's tests run with Redis, SQLite's without.
fn redis() -> String {
    std::env::var("KITH_TEST_REDIS").expect("KITH_TEST_REDIS names no server: run the tests with ./test")
}

const TEMPLATE: &str = "kith_template";

/// A database with the schema, and the URL by which the server's own role reaches it.
async fn postgres_database() -> String {
    let admin = std::env::var("KITH_TEST_POSTGRES").expect("KITH_TEST_POSTGRES names no server: run the tests with ./test");
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    // Test processes run side by side: the first one makes the template.
    sqlx::query("SELECT pg_advisory_lock(4711)").execute(&mut connection).await.unwrap();
    let (made,): (bool,) = sqlx::query_as("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate)")
        .bind(TEMPLATE)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !made {
        run(&mut connection, &format!("DROP DATABASE IF EXISTS {TEMPLATE}")).await;
        run(&mut connection, &format!("CREATE DATABASE {TEMPLATE}")).await;
        let mut config = Config::load(None, |_| None).unwrap();
        config.database.max_connections = 2;
        let db = app::connect(&config, "template", &with_database(&admin, TEMPLATE)).await.unwrap();
        app::migrate(&db).await.unwrap();
        db.grant_to("kith_app", None).await.unwrap();
        db.close().await;
        run(&mut connection, &format!("ALTER DATABASE {TEMPLATE} IS_TEMPLATE true")).await;
    }
    let name = format!("kith_test_{}", Clock::default().new_id().simple());
    run(&mut connection, &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
    sqlx::query("SELECT pg_advisory_unlock(4711)").execute(&mut connection).await.unwrap();
    with_database(&admin, &name).replace("kith_owner@", "kith_app@")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// The same server, another database.
pub fn with_database(url: &str, name: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_path(name);
    url.to_string()
}
