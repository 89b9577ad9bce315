//! The log, replayed, gives the tables; and where it does not, `kith verify` says so. (Every test on both databases is
//! looked at afterwards: see the harness.)

use kith::infra::db::{Mode, Scope};
use serde_json::json;

use crate::harness::{Server, on_both};

on_both! {
    async fn what_was_tampered_with_is_found(server: &Server) {
        let admin = server.admin().await;
        let person = admin.create("person", json!({ "lastName": "Lovelace" })).await;
        let company = admin.create("company", json!({ "name": "Analytical", "domains": ["analytical.example"], "people": { "connect": [{ "id": person }] } })).await;
        server.is_as_the_log_says().await;
        let is_found = async |change: &str, back: &str, told: &str| {
            for (sql, faulty) in [(change, true), (back, false)] {
                let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
                let touched = tx.run(sql, vec![admin.workspace.into(), uuid::Uuid::parse_str(&company).unwrap().into()]).await.unwrap();
                assert_eq!(touched, 1, "{sql}");
                tx.commit().await.unwrap();
                let faults = server.faults().await;
                assert_eq!(faults.iter().any(|fault| fault.contains(told)), faulty, "{sql}: {faults:?}");
                assert_eq!(faults.is_empty(), !faulty, "{sql}: {faults:?}");
            }
        };
        let of_company = "WHERE workspace_id = $1 AND id = $2";
        is_found(&format!("UPDATE company SET name = 'Synthetic' {of_company}"), &format!("UPDATE company SET name = 'Analytical' {of_company}"), "`name` is not what").await;
        is_found(&format!("UPDATE company SET version = 7 {of_company}"), &format!("UPDATE company SET version = 1 {of_company}"), "version is 7").await;
        let of_key = "WHERE workspace_id = $1 AND record_id = $2";
        is_found(&format!("UPDATE record_key SET value = 'x' {of_key}"), &format!("UPDATE record_key SET value = 'analytical.example' {of_key}"), "natural keys").await;
        is_found(&format!("UPDATE search_entry SET title = 'x' {of_key}"), &format!("UPDATE search_entry SET title = 'Analytical' {of_key}"), "search").await;
        is_found("UPDATE record_link SET kind = 'x' WHERE workspace_id = $1 AND from_id = $2", "UPDATE record_link SET kind = 'company_person' WHERE workspace_id = $1 AND from_id = $2", "a link `x`").await;
        is_found("UPDATE record SET object = 'deal' WHERE workspace_id = $1 AND id = $2", "UPDATE record SET object = 'company' WHERE workspace_id = $1 AND id = $2", "table of all records").await;
    }
}
