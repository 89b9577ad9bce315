//! Another workspace's data is invisible and cannot be pointed at.

use kith::infra::db::{Mode, Scope};
use serde_json::{Value, json};

use crate::harness::{Server, on_both};

on_both! {
    async fn a_foreign_record_is_not_there(server: &Server) {
        let (ours, theirs) = (server.admin().await, server.admin().await);
        let company = theirs.create("company", json!({ "name": "Theirs", "domains": ["theirs.example"] })).await;
        let query = "query($id: ID!) { company(id: $id) { name } node(id: $id) { id } nodes(ids: [$id]) { id } \
                     byKey: company(key: { domain: \"theirs.example\" }) { name } companies(filter: { id: { eq: $id } }) { totalCount nodes { name } } }";
        let data = ours.ask_with(query, json!({ "id": company })).await;
        assert_eq!(data, json!({ "company": null, "node": null, "nodes": [null], "byKey": null, "companies": { "totalCount": 0, "nodes": [] } }));
    }

    async fn a_foreign_record_cannot_be_pointed_at(server: &Server) {
        let (ours, theirs) = (server.admin().await, server.admin().await);
        let company = theirs.create("company", json!({ "name": "Theirs" })).await;
        let payload = ours.mutate("createDeal", "deal", json!({ "name": "x", "company": { "id": company } })).await;
        assert_eq!(payload["userErrors"][0]["code"], "NOT_FOUND");
        assert_eq!(payload["userErrors"][0]["path"], json!(["company", "id"]));
        let payload = ours.mutate("createNote", "note", json!({ "title": "x", "links": { "connect": [{ "id": company }] } })).await;
        assert_eq!(payload["userErrors"][0]["code"], "NOT_FOUND");
    }

    async fn a_foreign_record_cannot_be_changed(server: &Server) {
        let (ours, theirs) = (server.admin().await, server.admin().await);
        let company = theirs.create("company", json!({ "name": "Theirs" })).await;
        for verb in ["delete", "restore", "purge"] {
            let document = format!("mutation($id: ID!) {{ {verb}Company(id: $id) {{ deletedId userErrors {{ code }} }} }}");
            let data = ours.ask_with(&document, json!({ "id": company })).await;
            assert_eq!(data[format!("{verb}Company")]["userErrors"][0]["code"], "NOT_FOUND");
        }
        assert_eq!(ours.update("company", &company, json!({ "name": "Ours" })).await["userErrors"][0]["code"], "NOT_FOUND");
        assert_eq!(theirs.ask("{ companies { nodes { name } } }").await["companies"]["nodes"], json!([{ "name": "Theirs" }]));
    }

    async fn the_same_unique_value_may_exist_in_both(server: &Server) {
        for admin in [server.admin().await, server.admin().await] {
            admin.create("company", json!({ "name": "Same", "domains": ["same.example"] })).await;
        }
    }

    async fn an_own_id_of_another_workspace_tells_nothing(server: &Server) {
        let (ours, theirs) = (server.admin().await, server.admin().await);
        let id = theirs.create("tag", json!({ "name": "x" })).await;
        // Keys begin with the workspace, so the id is free here: no oracle for foreign ids.
        assert_eq!(ours.create("tag", json!({ "id": id, "name": "y" })).await, id);
        assert_eq!(theirs.ask("{ tags { nodes { name } } }").await["tags"]["nodes"], json!([{ "name": "x" }]));
    }
}

/// The planner's predicates are for speed; on PostgreSQL the policies hold without them.
#[tokio::test(flavor = "multi_thread")]
async fn policies_hide_foreign_rows_of_every_table() {
    let server = Server::on_postgres().await;
    let (ours, theirs) = (server.admin().await, server.admin().await);
    for admin in [&ours, &theirs] {
        admin
            .create("company", json!({ "name": "x", "domains": ["x.example"], "tags": { "create": [{ "record": { "name": "t" } }] } }))
            .await;
        admin.create("note", json!({ "title": "n" })).await;
    }
    let tx = server.app.db.begin(&Scope::workspace(ours.workspace), Mode::Read).await.unwrap();
    let sql = "SELECT c.relname::text, c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'seaql_migrations' ORDER BY 1";
    let tables = tx.fetch_all(sql, Vec::new()).await.unwrap();
    assert!(tables.len() > 15);
    for table in &tables {
        let name = table.text(0).unwrap().unwrap();
        assert_eq!(table.bool(1).unwrap(), Some(true), "{name} has no row-level security");
        let column = if name == "workspace" { "id" } else { "workspace_id" };
        // What belongs to users, who may be several workspaces', is theirs alone; attempts are digests.
        match name {
            "sign_in_attempt" => continue,
            "user_account" | "sign_in_token" | "recovery_code" | "oidc_identity" => {
                let row = tx.fetch_optional(&format!("SELECT count(*) FROM {name}"), Vec::new()).await.unwrap().unwrap();
                assert_eq!(row.int(0).unwrap(), Some(0), "{name} shows users to whoever asks");
                continue;
            }
            _ => {}
        }
        let sql = format!("SELECT count(*), count(*) FILTER (WHERE {column} <> $1) FROM {name}");
        let row = tx.fetch_optional(&sql, vec![ours.workspace.into()]).await.unwrap().unwrap();
        assert_eq!(row.int(1).unwrap(), Some(0), "{name} shows foreign rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_workspace_nothing_is_visible() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    admin.create("company", json!({ "name": "x" })).await;
    let tx = server.app.db.begin(&Scope::default(), Mode::Read).await.unwrap();
    for table in ["company", "record", "change_log", "workspace", "user_account", "session"] {
        let row = tx.fetch_optional(&format!("SELECT count(*) FROM {table}"), Vec::new()).await.unwrap().unwrap();
        assert_eq!(row.int(0).unwrap(), Some(0), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_refuse_foreign_writes() {
    let server = Server::on_postgres().await;
    let (ours, theirs) = (server.admin().await, server.admin().await);
    let tx = server.app.db.begin(&Scope::workspace(ours.workspace), Mode::Write).await.unwrap();
    let sql = "INSERT INTO record (workspace_id, id, object, created_at) VALUES ($1, $2, 'tag', 0)";
    let refused = tx.run(sql, vec![theirs.workspace.into(), uuid::Uuid::nil().into()]).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_change_log_can_only_be_appended_to() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    for sql in ["UPDATE change_log SET cause = 'x' WHERE workspace_id = $1", "DELETE FROM change_log WHERE workspace_id = $1"] {
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        let refused = tx.run(sql, vec![admin.workspace.into()]).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"));
    }
    let _: Value = admin.ask("{ viewer { workspace { name } } }").await;
}
