//! The schema goes up, down and up again.

use kith::app;
use kith::config::Config;
use kith::infra::db::Db;
use migration::{Migrator, MigratorTrait};
use sqlx::Connection;

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

#[tokio::test]
async fn a_login_that_row_level_security_would_not_bind_is_refused() {
    let admin = std::env::var("KITH_TEST_POSTGRES").expect("KITH_TEST_POSTGRES names no server: run the tests with ./test");
    let config = Config::load(None, |_| None).unwrap();
    let db = app::connect(&config, "test", &admin).await.unwrap();
    let refused = db.check_login().await.unwrap_err().to_string();
    assert!(refused.contains("is a superuser"), "{refused}");
}
