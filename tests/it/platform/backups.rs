//! What was backed up is there again, and goes on where it was.

use std::process::Command;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::harness::{Actor, Server, with_database};

const ALL: &str = "{ companies(first: 200) { nodes { id name version createdAt people { nodes { id title } } } } deals { nodes { id name amount { amount currency } company { id } } } tags { nodes { id name } } }";
const CHANGES: &str = "query($after: Cursor) { changes(scopes: [{ companies: {} }], after: $after) { nodes { kind record { title } } pageInfo { endCursor } } }";

async fn fill(admin: &Actor<'_>) {
    for n in 0..20 {
        let company = admin
            .create("company", json!({ "name": format!("Company {n}"), "people": { "create": [{ "record": { "lastName": "X" } }] } }))
            .await;
        admin
            .create("deal", json!({ "name": "Deal", "amount": { "amount": "1.10", "currency": "EUR" }, "company": { "id": company } }))
            .await;
    }
    admin.create("tag", json!({ "name": "Blue" })).await;
}

/// Everything is as it was when the copy was made, and the feed goes on from there.
async fn compare(admin: &Actor<'_>, restored: &Server, before: &Value, cursor: &Value) {
    let there = restored.bearer(admin.credential.as_ref().unwrap());
    assert_eq!(there.ask(ALL).await, *before);
    let told = there.ask_with(CHANGES, json!({ "after": cursor })).await;
    assert_eq!(told["changes"]["nodes"], json!([]));
    there.create("company", json!({ "name": "Afterwards" })).await;
    let told = there.ask_with(CHANGES, json!({ "after": told["changes"]["pageInfo"]["endCursor"] })).await;
    assert_eq!(told["changes"]["nodes"], json!([{ "kind": "ENTERED", "record": { "title": "Afterwards" } }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_embedded_database_is_whole_and_goes_on() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    fill(&admin).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    let (before, cursor) = (admin.ask(ALL).await, admin.ask("{ changeCursor }").await["changeCursor"].clone());
    // Others write meanwhile.
    let writing = async {
        for n in 0..20 {
            admin.create("tag", json!({ "name": format!("while {n}") })).await;
        }
    };
    server.app.db.copy_to(&file).await.unwrap();
    writing.await;
    let url = format!("sqlite://{}", file.display());
    let restored = server.second_node_with(|config| config.database.url = url).await;
    assert!(restored.app.db.is_sound().await.unwrap());
    compare(&admin, &restored, &before, &cursor).await;
    // It is not written over.
    assert!(server.app.db.copy_to(&file).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_postgresql_is_whole_and_goes_on_elsewhere() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    fill(&admin).await;
    let (before, cursor) = (admin.ask(ALL).await, admin.ask("{ changeCursor }").await["changeCursor"].clone());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump");
    let programs = std::env::var("KITH_TEST_POSTGRES_PROGRAMS").expect("run the tests with ./test");
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(format!("{programs}/{program}")).args(arguments).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    };
    run("pg_dump", &["-Fc", "-f", file.to_str().unwrap(), "-d", &server.owner_url()]);
    let name = format!("kith_restored_{}", server.clock.new_id().simple());
    let mut owner = PgConnection::connect(&std::env::var("KITH_TEST_POSTGRES").unwrap()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut owner).await.unwrap();
    run("pg_restore", &["-d", &with_database(&server.owner_url(), &name), file.to_str().unwrap()]);
    let url = with_database(&server.app.config.database.url, &name);
    let restored = server.second_node_with(|config| config.database.url = url).await;
    compare(&admin, &restored, &before, &cursor).await;
}
