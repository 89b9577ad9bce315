//! `changes`: the feed as a query.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

const CHANGES: &str = "query($scopes: [SyncScope!]!, $after: Cursor, $first: Int!) { changes(scopes: $scopes, after: $after, first: $first) { edges { cursor node { kind id object record { title } } } pageInfo { hasNextPage endCursor } } }";

/// An app that works offline: what it knows, and where it is in the feed.
#[derive(Default)]
struct Replica {
    known: BTreeMap<String, String>,
    cursor: Option<String>,
    gaps: usize,
}

impl Replica {
    async fn sync(&mut self, actor: &Actor<'_>, scopes: &Value, first: usize) -> usize {
        let mut events = 0;
        loop {
            let data = actor.ask_with(CHANGES, json!({ "scopes": scopes, "after": self.cursor, "first": first })).await;
            let page = &data["changes"];
            for edge in page["edges"].as_array().unwrap() {
                let node = &edge["node"];
                events += 1;
                match node["kind"].as_str().unwrap() {
                    "ENTERED" | "UPDATED" => {
                        let title = node["record"]["title"].as_str().unwrap();
                        self.known.insert(node["id"].as_str().unwrap().to_owned(), title.to_owned());
                    }
                    "LEFT" => drop(self.known.remove(node["id"].as_str().unwrap())),
                    _ => {
                        self.gaps += 1;
                        self.known.clear();
                    }
                }
            }
            self.cursor = Some(page["pageInfo"]["endCursor"].as_str().unwrap().to_owned());
            if page["pageInfo"]["hasNextPage"] == false {
                return events;
            }
        }
    }
}

async fn there(actor: &Actor<'_>) -> BTreeMap<String, String> {
    let data = actor.ask("{ deals(first: 200, filter: { probability: { lt: \"60\" } }) { nodes { id title } } companies(first: 200) { nodes { id title } } }").await;
    let nodes = ["deals", "companies"].into_iter().flat_map(|list| data[list]["nodes"].as_array().unwrap().clone());
    nodes.map(|node| (node["id"].as_str().unwrap().to_owned(), node["title"].as_str().unwrap().to_owned())).collect()
}

on_both! {
    async fn what_was_missed_too_long_ago_is_a_gap(server: &Server) {
        let admin = server.admin().await;
        let made = admin.ask("mutation { createApiKey(input: { name: \"sync\" }) { secret } }").await["createApiKey"].clone();
        let app = server.bearer(made["secret"].as_str().unwrap());
        let (scopes, mut replica) = (json!([{ "companies": {} }]), Replica::default());
        replica.sync(&app, &scopes, 50).await;
        app.create("company", json!({ "name": "One" })).await;
        let days = |days: i64| server.clock.advance(days * 86_400_000_000);
        days(89);
        replica.sync(&app, &scopes, 50).await;
        assert_eq!((replica.gaps, replica.known.len()), (0, 1));
        // Nothing happened for long: there is nothing to miss.
        days(200);
        replica.sync(&app, &scopes, 50).await;
        assert_eq!(replica.gaps, 0);
        app.create("company", json!({ "name": "Two" })).await;
        days(91);
        replica.sync(&app, &scopes, 50).await;
        assert_eq!((replica.gaps, replica.known.len()), (1, 2));
    }

    async fn a_replica_becomes_what_the_lists_are(server: &Server) {
        let admin = server.admin().await;
        let scopes = json!([{ "deals": { "probability": { "lt": "60" } } }, { "companies": {} }]);
        let mut companies = Vec::new();
        let mut deals = Vec::new();
        for n in 0..9 {
            companies.push(admin.create("company", json!({ "name": format!("Company {n}") })).await);
            deals.push(admin.create("deal", json!({ "name": format!("Deal {n}"), "probability": (n * 10).to_string() })).await);
        }
        let mut replica = Replica::default();
        // Changes while the lists are loaded come after them.
        let data = admin.ask_with(CHANGES, json!({ "scopes": scopes, "after": null, "first": 4 })).await;
        for edge in data["changes"]["edges"].as_array().unwrap() {
            assert_eq!(edge["node"]["kind"], "ENTERED");
            replica.known.insert(edge["node"]["id"].as_str().unwrap().to_owned(), edge["node"]["record"]["title"].as_str().unwrap().to_owned());
        }
        replica.cursor = data["changes"]["pageInfo"]["endCursor"].as_str().map(str::to_owned);
        admin.update("deal", &deals[0], json!({ "name": "renamed while loading" })).await;
        admin.update("deal", &deals[1], json!({ "probability": "90" })).await;
        replica.sync(&admin, &scopes, 4).await;
        assert_eq!(replica.known, there(&admin).await);
        // Nothing happened: nothing comes.
        assert_eq!(replica.sync(&admin, &scopes, 4).await, 0);
        admin.update("deal", &deals[1], json!({ "probability": "10" })).await;
        admin.update("deal", &deals[2], json!({ "probability": "70" })).await;
        admin.ask_with("mutation($id: ID!) { deleteDeal(id: $id) { deletedId } }", json!({ "id": deals[3] })).await;
        admin.ask_with("mutation($id: ID!) { purgeCompany(id: $id) { deletedId } }", json!({ "id": companies[3] })).await;
        for n in 0..7 {
            admin.update("company", &companies[n % 2], json!({ "name": format!("Company, change {n}") })).await;
        }
        let merge = "mutation($a: ID!, $b: ID!) { mergeCompanies(into: $a, from: [$b]) { userErrors { message } } }";
        admin.ask_with(merge, json!({ "a": companies[4], "b": companies[5] })).await;
        replica.sync(&admin, &scopes, 3).await;
        assert_eq!(replica.known, there(&admin).await);
        assert_eq!(replica.gaps, 0);
    }

    async fn whoever_may_see_less_begins_anew(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "ADMIN", json!({})).await;
        admin.create("deal", json!({ "name": "the admin's", "probability": "10" })).await;
        let scopes = json!([{ "deals": { "probability": { "lt": "60" } } }, { "companies": {} }]);
        let mut replica = Replica::default();
        replica.sync(&rep, &scopes, 50).await;
        assert_eq!(replica.known, there(&rep).await);
        assert_eq!(replica.known.len(), 1);
        let set = "mutation($m: ID!, $r: [ID!]!) { setRoles(input: { holder: $m, roles: $r }) { userErrors { message } } }";
        admin.ask_with(set, json!({ "m": rep.id().await, "r": [admin.role("REP").await] })).await;
        replica.sync(&rep, &scopes, 50).await;
        assert_eq!((replica.gaps, replica.known.len()), (1, 0));
        assert_eq!(replica.known, there(&rep).await);
    }

    async fn a_page_resumes_from_any_of_its_cursors(server: &Server) {
        let admin = server.admin().await;
        for n in 0..5 {
            admin.create("company", json!({ "name": format!("Company {n}") })).await;
        }
        let scopes = json!([{ "companies": {} }]);
        let page = async |after: &Value| {
            let data = admin.ask_with(CHANGES, json!({ "scopes": scopes, "after": after, "first": 100 })).await;
            data["changes"]["edges"].as_array().unwrap().clone()
        };
        let all = page(&Value::Null).await;
        let rest = page(&all[1]["cursor"]).await;
        assert_eq!(rest.iter().map(|edge| &edge["node"]).collect::<Vec<_>>(), all[2..].iter().map(|edge| &edge["node"]).collect::<Vec<_>>());
        let loaded = all[4]["cursor"].clone();
        for n in 0..4 {
            admin.create("company", json!({ "name": format!("Later {n}") })).await;
        }
        let later = page(&loaded).await;
        assert_eq!(later.len(), 4, "{later:#?}");
        assert_eq!(page(&later[2]["cursor"]).await, later[3..].to_vec());
    }

    async fn wrong_arguments_are_refused(server: &Server) {
        let admin = server.admin().await;
        for arguments in ["scopes: []", "scopes: [{ deals: {} }], first: 0", "scopes: [{ deals: {} }], first: 1001", "scopes: [{ deals: {} }], after: \"x\""] {
            let (code, _) = admin.refused(&format!("{{ changes({arguments}) {{ nodes {{ kind }} }} }}")).await;
            assert_eq!(code, "BAD_REQUEST", "{arguments}");
        }
    }

    async fn what_comes_and_goes_while_the_lists_are_loaded_leaves_no_trace(server: &Server) {
        let admin = server.admin().await;
        for n in 0..4 {
            admin.create("company", json!({ "name": format!("Company {n}") })).await;
        }
        let scopes = json!([{ "companies": {} }]);
        let data = admin.ask_with(CHANGES, json!({ "scopes": scopes, "after": null, "first": 2 })).await;
        let mut replica = Replica { cursor: data["changes"]["pageInfo"]["endCursor"].as_str().map(str::to_owned), ..Replica::default() };
        for edge in data["changes"]["edges"].as_array().unwrap() {
            replica.known.insert(edge["node"]["id"].as_str().unwrap().to_owned(), edge["node"]["record"]["title"].as_str().unwrap().to_owned());
        }
        let brief = admin.create("company", json!({ "name": "Brief" })).await;
        let page = admin.ask_with(CHANGES, json!({ "scopes": scopes, "after": replica.cursor, "first": 1 })).await;
        for edge in page["changes"]["edges"].as_array().unwrap() {
            replica.known.insert(edge["node"]["id"].as_str().unwrap().to_owned(), edge["node"]["record"]["title"].as_str().unwrap().to_owned());
        }
        replica.cursor = page["changes"]["pageInfo"]["endCursor"].as_str().map(str::to_owned);
        admin.ask_with("mutation($id: ID!) { deleteCompany(id: $id) { deletedId } }", json!({ "id": brief })).await;
        replica.sync(&admin, &scopes, 10).await;
        assert_eq!(replica.known, there(&admin).await);
    }

    // An event's cursor lies before everything that was not told yet, also where one event tells of several entries.
    async fn a_cursor_within_a_batch_skips_nothing(server: &Server) {
        let admin = server.admin().await;
        let deal = admin.create("deal", json!({ "name": "leaves", "probability": "10" })).await;
        let other = admin.create("deal", json!({ "name": "stays", "probability": "10" })).await;
        let scopes = json!([{ "deals": { "probability": { "lt": "60" } } }]);
        let begun = admin.ask("{ changeCursor }").await["changeCursor"].clone();
        admin.update("deal", &deal, json!({ "probability": "90" })).await;
        admin.update("deal", &other, json!({ "name": "stays, renamed" })).await;
        admin.update("deal", &deal, json!({ "name": "left" })).await;
        let page = async |after: &Value| {
            let data = admin.ask_with(CHANGES, json!({ "scopes": scopes, "after": after, "first": 100 })).await;
            data["changes"]["edges"].as_array().unwrap().clone()
        };
        let all = page(&begun).await;
        assert_eq!(all.iter().map(|edge| edge["node"]["kind"].as_str().unwrap()).collect::<Vec<_>>(), ["UPDATED", "LEFT"]);
        let rest = page(&all[0]["cursor"]).await;
        assert!(rest.iter().any(|edge| edge["node"]["kind"] == "LEFT"), "{rest:#?}");
        assert!(page(&all[1]["cursor"]).await.is_empty());
    }
}
