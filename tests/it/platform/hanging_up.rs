//! Statements that nobody waits for any more.

use std::time::Duration;

use axum::http::header;
use kith::infra::db::{Mode, Scope};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::io::AsyncWriteExt as _;

use crate::harness::Server;

/// Looks until nothing waits for a lock or runs on behalf of Kith.
async fn until(watching: &mut PgConnection, busy: bool) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'kith_app' AND datname = current_database() AND state = 'active'";
    for _ in 0..2_000 {
        let count: i64 = sqlx::query(sql).fetch_one(&mut *watching).await.unwrap().get(0);
        if (count > 0) == busy {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it should {} by now", if busy { "run" } else { "have ended" });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_ends_its_statement() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    let mut owner = PgConnection::connect(&server.owner_url()).await.unwrap();
    let address = server.listen().await;
    // Whoever reads deals waits for this.
    sqlx::raw_sql("BEGIN; LOCK TABLE deal IN ACCESS EXCLUSIVE MODE").execute(&mut owner).await.unwrap();
    let mut watching = PgConnection::connect(&server.owner_url()).await.unwrap();
    let body = json!({ "query": "{ deals { nodes { name } } }" }).to_string();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: kith\r\n{}: application/json\r\n{}: Bearer {}\r\n{}: {}\r\n\r\n{body}",
        header::CONTENT_TYPE,
        header::AUTHORIZATION,
        admin.credential.as_ref().unwrap(),
        header::CONTENT_LENGTH,
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    until(&mut watching, true).await;
    drop(client);
    until(&mut watching, false).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut owner).await.unwrap();
    assert_eq!(admin.ask("{ deals { totalCount } }").await["deals"]["totalCount"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_the_embedded_database_ends_too() {
    let server = Server::on_sqlite().await;
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    // There is one connection that writes: whoever comes next could not write for ever.
    for _ in 0..3 {
        let tx = server.app.db.begin(&Scope::default(), Mode::Write).await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(50), tx.fetch_all(endless, Vec::new())).await;
        assert!(given_up.is_err());
        drop(tx);
    }
    let admin = server.admin().await;
    admin.create("company", json!({ "name": "Alder" })).await;
}
