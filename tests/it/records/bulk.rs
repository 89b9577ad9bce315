//! Bulk creates are written together, and behave as if they were not.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

const CREATE: &str = "mutation($inputs: [CompanyCreate!]!, $policy: BulkErrorPolicy!) { createCompanies(inputs: $inputs, onError: $policy) { committed results { company { name parent { name } domains } userErrors { code path } } userErrors { code } } }";

async fn companies(admin: &Actor<'_>, policy: &str, inputs: Value) -> Value {
    admin.ask_with(CREATE, json!({ "inputs": inputs, "policy": policy })).await["createCompanies"].take()
}

async fn count(admin: &Actor<'_>) -> Value {
    admin.ask("{ companies { totalCount } }").await["companies"]["totalCount"].take()
}

on_both! {
    async fn records_inside_the_items_are_made_and_linked(server: &Server) {
        let admin = server.admin().await;
        let inputs: Vec<Value> = (0..5)
            .map(|n| json!({ "name": format!("Company {n}"), "people": { "create": [{ "record": { "lastName": format!("Person {n}") }, "role": "Buyer" }, { "record": { "lastName": "Other" } }] } }))
            .collect();
        let made = companies(&admin, "ROLLBACK", json!(inputs)).await;
        assert_eq!(made["committed"], true, "{made:#}");
        let found = admin.ask("{ companies(orderBy: [{ name: ASC }]) { nodes { people(orderBy: [{ lastName: DESC }]) { edges { role node { lastName } } } } } }").await;
        for (n, company) in found["companies"]["nodes"].as_array().unwrap().iter().enumerate() {
            let people = json!([{ "role": "Buyer", "node": { "lastName": format!("Person {n}") } }, { "role": null, "node": { "lastName": "Other" } }]);
            assert_eq!(company["people"]["edges"], people);
        }
    }

    async fn items_of_one_call_see_each_other(server: &Server) {
        let admin = server.admin().await;
        let id = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).to_string();
        let made = companies(&admin, "ROLLBACK", json!([
            { "id": id, "name": "above", "domains": ["above.example"] },
            { "name": "by id", "parent": { "id": id } },
            { "name": "by key", "parent": { "key": { "domain": "above.example" } } },
            { "name": "nested", "parent": { "create": { "name": "new above" } } },
            { "name": "after" },
            // The same id again is the same record.
            { "id": id, "name": "again" },
        ])).await;
        let parents: Vec<&Value> = made["results"].as_array().unwrap().iter().map(|result| &result["company"]["parent"]["name"]).collect();
        assert_eq!(json!(parents), json!([null, "above", "above", "new above", null, null]), "{made}");
        assert_eq!((&made["committed"], count(&admin).await), (&json!(true), json!(6)));
        assert_eq!(made["results"][5]["company"]["name"], "above");
        // The log has them in their order, and search finds them.
        assert_eq!(admin.ask("{ search(query: \"after\", objects: [COMPANY]) { totalCount } companies(orderBy: [{ id: ASC }], search: \"by\") { totalCount } }").await, json!({ "search": { "totalCount": 1 }, "companies": { "totalCount": 2 } }));
    }

    async fn what_fails_late_is_told_of_its_item(server: &Server) {
        let admin = server.admin().await;
        admin.create("company", json!({ "name": "holder", "domains": ["a.example"] })).await;
        let nobody = uuid::Uuid::from_u128(7).to_string();
        let inputs = json!([
            { "name": "fine" },
            { "name": "taken", "domains": ["a.example"] },
            { "name": "first", "domains": ["b.example"] },
            { "name": "second", "domains": ["b.example"] },
            { "name": "lost", "parent": { "id": nobody } },
        ]);
        let codes = |made: &Value| made["results"].as_array().unwrap().iter().map(|result| (result["userErrors"][0]["code"].clone(), result["userErrors"][0]["path"].clone())).collect::<Vec<_>>();
        let failed = companies(&admin, "ROLLBACK", inputs.clone()).await;
        assert_eq!((&failed["committed"], count(&admin).await), (&json!(false), json!(1)));
        let told = codes(&failed);
        assert_eq!((&told[0].0, &told[4]), (&json!("ROLLED_BACK"), &(json!("NOT_FOUND"), json!(["parent", "id"]))), "{failed}");
        assert_eq!(told[1], (json!("TAKEN"), json!(["domains"])));
        assert!(told[2].0 == "TAKEN" || told[3].0 == "TAKEN", "{failed}");
        // One by one, the others are written.
        let skipped = companies(&admin, "SKIP_FAILED", inputs).await;
        let told: Vec<Value> = codes(&skipped).into_iter().map(|(code, _)| code).collect();
        assert_eq!((json!(told), count(&admin).await), (json!([null, "TAKEN", null, "TAKEN", "NOT_FOUND"]), json!(3)));
    }

    async fn a_thousand_deals_take_few_statements(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        let inputs: Vec<Value> = (0..250).map(|n| json!({ "name": format!("deal {n}"), "amount": { "amount": n.to_string(), "currency": "EUR" }, "company": { "id": company } })).collect();
        let before = server.app.db.statements();
        let document = "mutation($inputs: [DealCreate!]!) { createDeals(inputs: $inputs) { committed userErrors { code } } }";
        let made = admin.ask_with(document, json!({ "inputs": inputs })).await;
        assert_eq!(made["createDeals"]["committed"], true);
        let statements = server.app.db.statements() - before;
        let most = if server.is_postgres() { 20 } else { 80 };
        assert!(statements < most, "{statements} statements");
        assert_eq!(admin.ask("{ deals { totalCount aggregate { sum { amount { amount } } } } }").await["deals"], json!({ "totalCount": 250, "aggregate": { "sum": { "amount": { "amount": "31125.00" } } } }));
        let versions = admin.ask("{ deals(first: 1, orderBy: [{ name: DESC }]) { nodes { version status stage { name } history(first: 100) { nodes { field } } } } }").await;
        assert_eq!(versions["deals"]["nodes"][0]["version"], 1);
    }
}
