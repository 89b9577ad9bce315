//! The schema goes up, down and up again.

use kith::app;
use kith::config::Config;
use kith::infra::db::{Db, Mode, Scope};
use migration::{Migrator, MigratorTrait};
use serde_json::json;
use sqlx::Connection;

use crate::harness::Server;

async fn up_and_down(db: Db) {
    let steps = u32::try_from(Migrator::migrations().len()).unwrap();
    app::migrate(&db).await.unwrap();
    app::migrate_down(&db, steps).await.unwrap();
    app::migrate(&db).await.unwrap();
    assert_eq!(app::applied_migrations(&db).await.unwrap(), Migrator::migrations().len());
    db.close().await;
}

#[tokio::test]
async fn on_sqlite_every_step_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::load(None, |_| None).unwrap();
    config.server.data_dir = folder.path().to_owned();
    up_and_down(app::connect(&config, "test", "").await.unwrap()).await;
}

#[tokio::test]
async fn on_postgres_every_step_can_be_taken_back() {
    let admin = std::env::var("KITH_TEST_POSTGRES").expect("KITH_TEST_POSTGRES names no server: run the tests with ./test");
    let name = format!("kith_migrations_{}", std::process::id());
    let mut connection = sqlx::PgConnection::connect(&admin).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    let config = Config::load(None, |_| None).unwrap();
    let url = crate::harness::with_database(&admin, &name);
    up_and_down(app::connect(&config, "test", &url).await.unwrap()).await;
}

/// From each earlier schema with records in it: the steps are taken back and then taken again.
async fn keeps_records(server: &Server) {
    let admin = server.admin().await;
    let company = admin
        .create(
            "company",
            json!({ "name": "Old", "domains": ["old.example"], "people": { "create": [{ "record": { "lastName": "Timer" } }] } }),
        )
        .await;
    admin.create("deal", json!({ "name": "Deal", "amount": { "amount": "1.10", "currency": "EUR" }, "company": { "id": company } })).await;
    let all = "{ companies { nodes { id name version domains people { nodes { fullName } } deals { nodes { name amount { amount } } } } } deals { totalCount aggregate { sum { amount { amount } } } } }";
    let before = admin.ask(all).await;
    let config = Config {
        database: kith::config::Database { url: server.owner_url(), ..server.app.config.database.clone() },
        ..server.app.config.clone()
    };
    let steps = u32::try_from(Migrator::migrations().len()).unwrap();
    // The first ones make the tables that records are in.
    for back in 1..=steps - 4 {
        let owner = app::connect(&config, "test", &config.database.url).await.unwrap();
        app::migrate_down(&owner, back).await.unwrap();
        app::migrate(&owner).await.unwrap();
        if server.is_postgres() {
            owner.grant_to("kith_app", None).await.unwrap();
        }
        owner.close().await;
        let again = server.second_node().await;
        let found = again.bearer(admin.credential.as_ref().unwrap()).send(all, json!({})).await;
        // Sessions are younger than some steps; then it is the tables that are looked at.
        if found["data"].is_object() {
            assert_eq!(found["data"], before, "{back} steps back");
        }
        let tx = again.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
        let row = tx.fetch_optional("SELECT name FROM company WHERE workspace_id = $1", vec![admin.workspace.into()]).await.unwrap();
        assert_eq!(row.unwrap().text(0).unwrap(), Some("Old"), "{back} steps back");
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_records_come_through_every_step() {
    keeps_records(&Server::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_records_come_through_every_step() {
    keeps_records(&Server::on_postgres().await).await;
}

/// A step that fails in its midst leaves nothing behind, and an older version refuses a newer schema.
async fn all_or_nothing(config: &Config, url: &str) {
    let open = async || app::connect(config, "test", url).await.unwrap();
    let migrate = async || {
        let db = open().await;
        let done = app::migrate(&db).await;
        db.close().await;
        done
    };
    let steps = async || {
        let db = open().await;
        let steps = app::applied_migrations(&db).await.unwrap();
        db.close().await;
        steps
    };
    let run = async |sql: &str| {
        let db = open().await;
        let tx = db.begin(&Scope::default(), Mode::Write).await.unwrap();
        let done = tx.run(sql, Vec::new()).await;
        match &done {
            Ok(_) => tx.commit().await.unwrap(),
            Err(_) => drop(tx),
        }
        db.close().await;
        done
    };
    migrate().await.unwrap();
    let db = open().await;
    app::migrate_down(&db, 2).await.unwrap();
    db.close().await;
    let before = steps().await;
    // What the next step makes last has a name that is taken.
    run("CREATE INDEX inbound_hook_id ON job (id)").await.unwrap();
    assert!(migrate().await.is_err());
    assert_eq!(steps().await, before);
    assert!(run("UPDATE inbound_hook SET name = 'x'").await.is_err(), "half a step is there");
    run("DROP INDEX inbound_hook_id").await.unwrap();
    migrate().await.unwrap();
    run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000099_later', 0)").await.unwrap();
    let newer = steps().await;
    assert!(migrate().await.is_err());
    let db = open().await;
    assert!(app::migrate_down(&db, 1).await.is_err());
    db.close().await;
    assert_eq!(steps().await, newer);
}

#[tokio::test]
async fn on_sqlite_a_step_is_taken_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::load(None, |_| None).unwrap();
    config.server.data_dir = folder.path().to_owned();
    all_or_nothing(&config, "").await;
}

#[tokio::test]
async fn on_postgres_a_step_is_taken_whole_or_not_at_all() {
    let admin = std::env::var("KITH_TEST_POSTGRES").expect("KITH_TEST_POSTGRES names no server: run the tests with ./test");
    let name = format!("kith_whole_{}", std::process::id());
    let mut connection = sqlx::PgConnection::connect(&admin).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    let config = Config::load(None, |_| None).unwrap();
    all_or_nothing(&config, &crate::harness::with_database(&admin, &name)).await;
}

#[tokio::test]
async fn a_login_that_row_level_security_would_not_bind_is_refused() {
    let admin = std::env::var("KITH_TEST_POSTGRES").expect("KITH_TEST_POSTGRES names no server: run the tests with ./test");
    let config = Config::load(None, |_| None).unwrap();
    let db = app::connect(&config, "test", &admin).await.unwrap();
    let refused = db.check_login().await.unwrap_err().to_string();
    assert!(refused.contains("is a superuser"), "{refused}");
}
