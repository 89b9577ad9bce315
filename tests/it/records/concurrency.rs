//! Several writers at once, and writers that vanish.

use serde_json::json;

use crate::harness::{Server, on_both};

on_both! {
    async fn concurrent_updates_with_a_version_lose_nothing(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "a", "employeeCount": 0 })).await;
        // Each of the four adds five, and tries again whenever somebody else was faster.
        let writers = (0..4).map(|_| {
            let (admin, company) = (admin.clone(), company.clone());
            async move {
                let mut done = 0;
                while done < 5 {
                    let now = admin.ask_with("query($id: ID!) { company(id: $id) { version employeeCount } }", json!({ "id": company })).await["company"].clone();
                    let document = "mutation($id: ID!, $v: Int!, $n: Int!) { updateCompany(id: $id, expectedVersion: $v, input: { employeeCount: $n }) { conflict { fields baseVersion } userErrors { code } } }";
                    let variables = json!({ "id": company, "v": now["version"], "n": now["employeeCount"].as_i64().unwrap() + 1 });
                    let payload = admin.ask_with(document, variables).await["updateCompany"].clone();
                    if payload["userErrors"] == json!([]) {
                        done += 1;
                    } else {
                        assert_eq!(payload["userErrors"][0]["code"], "CONFLICT");
                        assert_eq!(payload["conflict"]["fields"], json!(["employeeCount"]));
                    }
                }
            }
        });
        futures_util::future::join_all(writers).await;
        let data = admin.ask_with("query($id: ID!) { company(id: $id) { version employeeCount } }", json!({ "id": company })).await;
        assert_eq!(data["company"], json!({ "version": 21, "employeeCount": 20 }));
    }

    async fn changes_of_other_fields_are_merged_on_request(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "a" })).await;
        admin.update("company", &company, json!({ "industry": "Water" })).await;
        let update = async |input: serde_json::Value| {
            let document = "mutation($id: ID!, $input: CompanyUpdate!) { updateCompany(id: $id, expectedVersion: 1, onConflict: MERGE_FIELDS, input: $input) { company { name industry } conflict { fields current { industry } } userErrors { code } } }";
            admin.ask_with(document, json!({ "id": company, "input": input })).await["updateCompany"].clone()
        };
        assert_eq!(update(json!({ "name": "b" })).await["company"], json!({ "name": "b", "industry": "Water" }));
        let refused = update(json!({ "industry": "Food" })).await;
        assert_eq!(refused["userErrors"][0]["code"], "CONFLICT");
        assert_eq!(refused["conflict"], json!({ "fields": ["industry", "name"], "current": { "industry": "Water" } }));
    }

    async fn of_two_creations_with_the_same_key_one_wins(server: &Server) {
        let admin = server.admin().await;
        let attempts = (0..6).map(|n| {
            let admin = admin.clone();
            async move { admin.mutate("createCompany", "company", json!({ "name": format!("c{n}"), "domains": ["same.example"] })).await }
        });
        let payloads = futures_util::future::join_all(attempts).await;
        let won = payloads.iter().filter(|payload| payload["userErrors"] == json!([])).count();
        assert_eq!(won, 1, "{payloads:#?}");
        assert!(payloads.iter().all(|payload| payload["userErrors"] == json!([]) || payload["userErrors"][0]["code"] == "TAKEN"));
    }

    async fn a_client_that_goes_away_in_a_bulk_write_leaves_nothing_half(server: &Server) {
        let admin = server.admin().await;
        let inputs: Vec<_> = (0..300).map(|n| json!({ "name": format!("t{n}") })).collect();
        let document = "mutation($inputs: [TagCreate!]!) { createTags(inputs: $inputs) { committed } }";
        for patience in [5, 20, 60] {
            let write = admin.send(document, json!({ "inputs": inputs }));
            // The request's future is dropped wherever it is by then.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(patience), write).await;
        }
        let count = admin.ask("{ tags { totalCount } }").await["tags"]["totalCount"].as_i64().unwrap();
        assert!(count == 0 || count == 300, "{count}");
        admin.create("tag", json!({ "name": "after" })).await;
    }
}
