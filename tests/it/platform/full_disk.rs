//! A disk that is full: writes are refused clearly, reads go on, and afterwards everything does.

use kith::infra::db::{Mode, Scope};
use serde_json::json;

use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_and_reads_go_on() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    // SQLite may not grow any more.
    let pages = async |most: &str| {
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        tx.fetch_optional(&format!("PRAGMA max_page_count = {most}"), Vec::new()).await.unwrap();
        tx.commit().await.unwrap();
    };
    pages("1").await;
    let create = "mutation($text: String!) { createCompany(input: { name: \"x\", description: $text }) { userErrors { code } } }";
    let text = "lorem ipsum ".repeat(800);
    let mut written = 0;
    let refused = loop {
        let answer = admin.send(create, json!({ "text": text })).await;
        match answer.get("errors") {
            Some(errors) => break errors[0].clone(),
            None => written += 1,
        }
        assert!(written < 1_000, "the disk is never full");
    };
    assert_eq!(refused["extensions"]["code"], "STORAGE_FULL", "{refused}");
    assert_eq!(refused["message"], "The server has no room to write: nothing was changed. Reading goes on.");
    assert_eq!(admin.ask("{ companies { totalCount } }").await["companies"]["totalCount"], written);
    pages("1073741823").await;
    assert_eq!(admin.ask_with(create, json!({ "text": text })).await["createCompany"]["userErrors"], json!([]));
    server.is_as_the_log_says().await;
}
