//! The log's order is the order of commits, without gaps.

use kith::infra::db::{Mode, Scope};
use serde_json::json;

use crate::harness::{Actor, Server, on_both};

async fn sequence(actor: &Actor<'_>) -> Vec<i64> {
    let tx = actor.server.app.db.begin(&Scope::workspace(actor.workspace), Mode::Read).await.unwrap();
    let rows = tx.fetch_all("SELECT seq FROM change_log WHERE workspace_id = $1 ORDER BY seq", vec![actor.workspace.into()]).await.unwrap();
    tx.commit().await.unwrap();
    rows.iter().map(|row| row.int(0).unwrap().unwrap()).collect()
}

fn is_gapless(sequence: &[i64]) -> bool {
    sequence.iter().zip(1..).all(|(seq, expected)| *seq == expected)
}

on_both! {
    async fn writers_at_once_leave_no_gap(server: &Server) {
        let admin = server.admin().await;
        let writers = (0..8).map(|writer| {
            let admin = admin.clone();
            async move {
                for n in 0..5 {
                    admin.create("tag", json!({ "name": format!("{writer}-{n}") })).await;
                }
            }
        });
        futures_util::future::join_all(writers).await;
        let sequence = sequence(&admin).await;
        assert!(is_gapless(&sequence), "{sequence:?}");
    }

    async fn what_was_seen_once_is_never_preceded_later(server: &Server) {
        // A reader's cursor is one number: nothing may appear at or before it afterwards.
        let admin = server.admin().await;
        let writing = async {
            let writers = (0..4).map(|writer| {
                let admin = admin.clone();
                async move {
                    for n in 0..8 {
                        admin.create("tag", json!({ "name": format!("{writer}-{n}") })).await;
                    }
                }
            });
            futures_util::future::join_all(writers).await;
        };
        let reading = async {
            for _ in 0..40 {
                let sequence = sequence(&admin).await;
                assert!(is_gapless(&sequence), "a reader saw {sequence:?}");
            }
        };
        futures_util::future::join(writing, reading).await;
    }

    async fn a_refused_write_uses_no_number(server: &Server) {
        let admin = server.admin().await;
        admin.create("tag", json!({ "name": "Blue" })).await;
        let before = sequence(&admin).await;
        let payload = admin.mutate("createTag", "tag", json!({ "name": "BLUE" })).await;
        assert_eq!(payload["userErrors"][0]["code"], "TAKEN");
        assert_eq!(sequence(&admin).await, before);
    }

    async fn a_change_says_what_who_and_when(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Alder" })).await;
        server.clock.advance(1_000_000);
        admin.update("company", &company, json!({ "name": "Birch", "employeeCount": 12 })).await;
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
        let text = if server.is_postgres() { "::text" } else { "" };
        let sql = format!("SELECT kind, version, \"before\"{text}, \"after\"{text}, actor_kind, at FROM change_log WHERE workspace_id = $1 AND record_id = $2 ORDER BY seq DESC LIMIT 1");
        let id: uuid::Uuid = company.parse().unwrap();
        let row = tx.fetch_optional(&sql, vec![admin.workspace.into(), id.into()]).await.unwrap().unwrap();
        assert_eq!(row.text(0).unwrap(), Some("UPDATED"));
        assert_eq!(row.int(1).unwrap(), Some(2));
        let parse = |index: usize| serde_json::from_str::<serde_json::Value>(row.text(index).unwrap().unwrap()).unwrap();
        assert_eq!(parse(2), json!({ "name": "Alder", "employeeCount": null }));
        assert_eq!(parse(3), json!({ "name": "Birch", "employeeCount": 12 }));
        assert_eq!(row.text(4).unwrap(), Some("MEMBER"));
        assert_eq!(row.int(5).unwrap(), Some(crate::harness::BEGIN + 1_000_000));
    }
}

/// Somebody who took a number and commits late.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_committer_is_not_overtaken_in_the_feed() {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    let first = admin.create("company", json!({ "name": "First" })).await;
    let cursor = admin.ask("{ changeCursor }").await["changeCursor"].clone();
    let changes =
        "query($after: Cursor) { changes(scopes: [{ companies: {} }], after: $after) { nodes { id kind } pageInfo { endCursor } } }";
    let told = async |after: &serde_json::Value| {
        let page = admin.ask_with(changes, json!({ "after": after })).await["changes"].clone();
        let nodes: Vec<String> = page["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
        (nodes, page["pageInfo"]["endCursor"].clone())
    };
    let mut late = PgConnection::connect(&server.owner_url()).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut late).await.unwrap();
    let write = format!(
        "UPDATE company SET name = 'Late', version = version + 1 WHERE id = '{first}';
         WITH head AS (UPDATE log_head SET seq = seq + 1 WHERE workspace_id = '{of}' RETURNING seq)
         INSERT INTO change_log (workspace_id, seq, object, record_id, kind, version, \"before\", \"after\", actor_kind, cause, at)
         SELECT '{of}', seq, 'company', '{first}', 'UPDATED', 2, '{{\"name\":\"First\"}}', '{{\"name\":\"Late\"}}', 'SYSTEM', 'REQUEST', {at} FROM head",
        of = admin.workspace,
        at = server.clock.now().0,
    );
    sqlx::raw_sql(AssertSqlSafe(write)).execute(&mut late).await.unwrap();
    let overtaking = admin.create("company", json!({ "name": "Second" }));
    tokio::pin!(overtaking);
    // Whoever writes meanwhile waits for the number; readers see neither, and go on from where they are.
    let (nodes, cursor) = tokio::select! {
        told = async { let mut last = (Vec::new(), cursor); for _ in 0..20 { last = told(&last.1).await; assert!(last.0.is_empty()); } last } => told,
        _ = &mut overtaking => panic!("a write came before a number that was taken earlier"),
    };
    assert!(nodes.is_empty());
    sqlx::raw_sql("COMMIT").execute(&mut late).await.unwrap();
    let second = overtaking.await;
    let (nodes, _) = told(&cursor).await;
    assert_eq!(nodes, [first, second]);
}
