//! Records in groups: by values, records, spans of days, several keys.

use serde_json::{Value, json};

use super::custom_objects::define;
use crate::harness::{Actor, Server, on_both};

/// Seven deals in two currencies, three stages, two companies and one without.
async fn deals(admin: &Actor<'_>) {
    let [acme, zeta] = [
        admin.create("company", json!({ "name": "acme", "industry": "Mining" })).await,
        admin.create("company", json!({ "name": "Zeta", "industry": "Energy" })).await,
    ];
    let stages = admin.ask("{ stages(first: 3) { nodes { id } } }").await["stages"]["nodes"].take();
    let deals = [
        ("a", Some("100"), "EUR", 0, Some(&acme), Some("2026-01-05")),
        ("b", Some("50.50"), "EUR", 0, Some(&acme), Some("2026-01-31")),
        ("c", Some("7"), "EUR", 1, Some(&zeta), Some("2026-03-01")),
        ("d", None, "EUR", 1, None, None),
        ("e", Some("1"), "EUR", 2, None, Some("2026-03-02")),
        ("f", Some("2"), "CHF", 2, Some(&zeta), Some("2025-12-31")),
        ("g", Some("3"), "EUR", 2, Some(&zeta), Some("2026-03-31")),
    ];
    for (name, amount, currency, stage, company, day) in deals {
        let amount = amount.map(|amount| json!({ "amount": amount, "currency": currency }));
        let company = company.map(|id| json!({ "id": id }));
        let input =
            json!({ "name": name, "amount": amount, "stage": { "id": stages[stage]["id"] }, "company": company, "expectedCloseDate": day });
        admin.create("deal", input).await;
    }
}

async fn groups(admin: &Actor<'_>, arguments: &str, selection: &str) -> Value {
    admin.ask(&format!("{{ dealGroups({arguments}) {{ nodes {{ {selection} }} }} }}")).await["dealGroups"]["nodes"].take()
}

on_both! {
    async fn a_group_is_its_key_and_what_its_records_are_together(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let found = groups(&admin, "by: [{ stage: VALUE }]", "key { grouped stage { position } company { name } } count").await;
        assert_eq!(found, json!([
            { "key": { "grouped": ["stage"], "stage": { "position": 1024 }, "company": null }, "count": 2 },
            { "key": { "grouped": ["stage"], "stage": { "position": 2048 }, "company": null }, "count": 2 },
            { "key": { "grouped": ["stage"], "stage": { "position": 3072 }, "company": null }, "count": 3 },
        ]));
        let sums = groups(&admin, "by: [{ stage: VALUE }], filter: { amount: { currency: \"EUR\" } }", "count sum { amount { amount currency } } avg { amount { amount } } max { expectedCloseDate } countDistinct { name }").await;
        assert_eq!(sums[0]["sum"], json!({ "amount": { "amount": "150.50", "currency": "EUR" } }));
        assert_eq!(sums[0]["avg"]["amount"]["amount"], "75.25");
        assert_eq!(sums[0]["countDistinct"]["name"], 2);
        assert_eq!(sums[2]["max"]["expectedCloseDate"], "2026-03-31");
        // Amounts of several currencies are not added up: the group says null, and why.
        let mixed = admin.send("{ dealGroups(by: [{ stage: VALUE }]) { nodes { sum { amount { amount } } } } }", json!({})).await;
        assert_eq!(mixed["data"]["dealGroups"]["nodes"][2]["sum"], json!({ "amount": null }));
        assert!(mixed["errors"][0]["message"].as_str().unwrap().contains("currencies"));
    }

    async fn records_are_grouped_by_what_they_lead_to(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let found = groups(&admin, "by: [{ company: { id: VALUE } }]", "key { grouped company { name } } count").await;
        assert_eq!(found, json!([
            { "key": { "grouped": ["company.id"], "company": { "name": "acme" } }, "count": 2 },
            { "key": { "grouped": ["company.id"], "company": { "name": "Zeta" } }, "count": 3 },
            { "key": { "grouped": ["company.id"], "company": null }, "count": 2 },
        ]));
        let found = groups(&admin, "by: [{ company: { industry: VALUE } }], orderBy: [{ count: DESC }, { key: ASC }]", "key { grouped companyKey { industry } company { name } } count").await;
        assert_eq!(found, json!([
            { "key": { "grouped": ["company.industry"], "companyKey": { "industry": "Energy" }, "company": null }, "count": 3 },
            { "key": { "grouped": ["company.industry"], "companyKey": { "industry": "Mining" }, "company": null }, "count": 2 },
            { "key": { "grouped": ["company.industry"], "companyKey": { "industry": null }, "company": null }, "count": 2 },
        ]));
        let found = groups(&admin, "by: [{ company: { id: VALUE } }, { stage: VALUE }], first: 2", "key { company { name } stage { position } } count").await;
        assert_eq!(found, json!([
            { "key": { "company": { "name": "acme" }, "stage": { "position": 1024 } }, "count": 2 },
            { "key": { "company": { "name": "Zeta" }, "stage": { "position": 2048 } }, "count": 1 },
        ]));
    }

    async fn spans_of_days_are_those_of_the_workspace(server: &Server) {
        // Five to midnight in Zurich, where the workspace is.
        server.clock.advance((10 * 60 + 55) * 60_000_000);
        let admin = server.admin().await;
        deals(&admin).await;
        for (unit, spans) in [
            ("MONTH", json!([["2025-12-01", "2025-12-31", 1], ["2026-01-01", "2026-01-31", 2], ["2026-03-01", "2026-03-31", 3], [null, null, 1]])),
            ("QUARTER", json!([["2025-10-01", "2025-12-31", 1], ["2026-01-01", "2026-03-31", 5], [null, null, 1]])),
            ("YEAR", json!([["2025-01-01", "2025-12-31", 1], ["2026-01-01", "2026-12-31", 5], [null, null, 1]])),
            ("WEEK", json!([["2025-12-29", "2026-01-04", 1], ["2026-01-05", "2026-01-11", 1], ["2026-01-26", "2026-02-01", 1], ["2026-02-23", "2026-03-01", 1],
                ["2026-03-02", "2026-03-08", 1], ["2026-03-30", "2026-04-05", 1], [null, null, 1]])),
        ] {
            let found = groups(&admin, &format!("by: [{{ expectedCloseDate: {unit} }}]"), "key { expectedCloseDate { from to } } count").await;
            let flat: Vec<Value> = found.as_array().unwrap().iter().map(|group| {
                let span = &group["key"]["expectedCloseDate"];
                json!([span["from"], span["to"], group["count"]])
            }).collect();
            assert_eq!(json!(flat), spans, "{unit}");
        }
        let months = groups(&admin, "by: [{ expectedCloseDate: MONTH }], includeEmpty: true, filter: { expectedCloseDate: { isNull: false } }", "key { expectedCloseDate { from } } count sum { amount { amount } }").await;
        let counts: Vec<i64> = months.as_array().unwrap().iter().map(|group| group["count"].as_i64().unwrap()).collect();
        assert_eq!(counts, [1, 2, 0, 3]);
        server.clock.advance(10 * 60_000_000);
        admin.create("company", json!({ "name": "late" })).await;
        let days = admin.ask("{ companyGroups(by: [{ createdAt: DAY }]) { nodes { key { createdAt { from } } count } } }").await;
        assert_eq!(days["companyGroups"]["nodes"], json!([{ "key": { "createdAt": { "from": "2026-03-11" } }, "count": 2 }, { "key": { "createdAt": { "from": "2026-03-12" } }, "count": 1 }]));
    }

    async fn groups_are_sorted_left_out_and_paged(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let eur = "filter: { amount: { currency: \"EUR\" } }";
        let found = groups(&admin, &format!("by: [{{ stage: VALUE }}], {eur}, orderBy: [{{ sum: {{ amount: ASC }} }}]"), "key { stage { position } }").await;
        assert_eq!(found.to_string().matches("position").count(), 3);
        assert_eq!(found[0]["key"]["stage"]["position"], 3072);
        let found = groups(&admin, &format!("by: [{{ stage: VALUE }}], {eur}, having: {{ sum: {{ amount: {{ gte: \"7\" }} }}, count: {{ lt: 2 }} }}"), "count sum { amount { amount } }").await;
        assert_eq!(found, json!([{ "count": 1, "sum": { "amount": { "amount": "7.00" } } }]));
        let mut seen = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = admin.ask_with("query($after: Cursor) { dealGroups(by: [{ name: VALUE }], orderBy: [{ max: { amount: DESC } }], first: 3, after: $after) { totalCount edges { node { key { name } id } } pageInfo { hasNextPage endCursor } } }", json!({ "after": cursor })).await["dealGroups"].take();
            assert_eq!(page["totalCount"], 7);
            seen.extend(page["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["key"]["name"].as_str().unwrap().to_owned()));
            cursor = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c", "g", "f", "e", "d"]);
        let empty = admin.ask("{ dealGroups(by: [{ name: VALUE }], first: 0) { totalCount nodes { count } } none: dealGroups(by: [{ name: VALUE }], filter: { or: [] }) { totalCount nodes { count } } }").await;
        assert_eq!(empty, json!({ "dealGroups": { "totalCount": 7, "nodes": [] }, "none": { "totalCount": 0, "nodes": [] } }));
    }

    async fn a_group_has_its_first_records(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let found = groups(&admin, "by: [{ stage: VALUE }]", "id count deals(first: 1, orderBy: [{ amount: DESC }]) { totalCount nodes { name company { name } } pageInfo { hasNextPage } }").await;
        assert_eq!(found[0]["deals"], json!({ "totalCount": 2, "nodes": [{ "name": "a", "company": { "name": "acme" } }], "pageInfo": { "hasNextPage": true } }));
        assert_eq!(found[1]["deals"]["nodes"][0]["name"], "c");
        assert_ne!(found[0]["id"], found[1]["id"]);
        let found = groups(&admin, "by: [{ company: { industry: VALUE } }], filter: { name: { ne: \"a\" } }", "deals(orderBy: [{ name: DESC }]) { nodes { name } aggregate { count } }").await;
        let names: Vec<Vec<String>> = found.as_array().unwrap().iter().map(|group| crate::harness::names(&group["deals"]["nodes"])).collect();
        assert_eq!(names, [vec!["g", "f", "c"], vec!["b"], vec!["e", "d"]]);
        assert_eq!(found[2]["deals"]["aggregate"]["count"], 2);
    }

    async fn empty_groups_are_shown_when_asked_for(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let stages = admin.ask("{ stages { totalCount } }").await["stages"]["totalCount"].as_i64().unwrap();
        let found = groups(&admin, "by: [{ stage: VALUE }], includeEmpty: true", "key { stage { name } } count deals { nodes { name } }").await;
        assert_eq!(i64::try_from(found.as_array().unwrap().len()).unwrap(), stages);
        assert_eq!((&found[3]["count"], &found[3]["deals"]["nodes"]), (&json!(0), &json!([])));
        let found = groups(&admin, "by: [{ status: VALUE }], includeEmpty: true, filter: { amount: { currency: \"EUR\" } }", "key { status } count sum { amount { amount } }").await;
        assert!(found.as_array().unwrap().len() > 2, "{found:#}");
        assert_eq!(found.as_array().unwrap().iter().filter(|group| group["count"] == 0).count(), found.as_array().unwrap().len() - 1);
        for (arguments, code) in [
            ("by: [{ name: VALUE }], includeEmpty: true", "BAD_REQUEST"), ("by: [{ stage: VALUE }, { status: VALUE }], includeEmpty: true", "BAD_REQUEST"),
            ("by: []", "BAD_REQUEST"), ("by: [{ amount: VALUE }]", "BAD_REQUEST"), ("by: [{ stage: VALUE, status: VALUE }]", "BAD_REQUEST"),
            ("by: [{ stage: VALUE }], first: 1000", "BAD_REQUEST"), ("by: [{ stage: VALUE }], after: \"x\"", "BAD_REQUEST"),
        ] {
            assert_eq!(admin.refused(&format!("{{ dealGroups({arguments}) {{ nodes {{ count }} }} }}")).await.0, code, "{arguments}");
        }
    }

    async fn own_fields_and_objects_are_grouped_too(server: &Server) {
        let admin = server.admin().await;
        let field = "mutation { createField(input: { object: DEAL, name: \"tier\", kind: SELECT, label: \"Tier\", options: [{ key: \"gold\", label: \"Gold\" }, { key: \"tin\" }] }) { userErrors { message } } }";
        assert_eq!(admin.ask(field).await["createField"]["userErrors"], json!([]));
        for (name, tier) in [("a", "tin"), ("b", "gold"), ("c", "tin")] {
            admin.create("deal", json!({ "name": name, "custom": { "tier": tier } })).await;
        }
        let found = groups(&admin, "by: [{ custom: { tier: VALUE } }]", "key { grouped custom { tier { key label } } } count").await;
        assert_eq!(found, json!([{ "key": { "grouped": ["custom.tier"], "custom": { "tier": { "key": "gold", "label": "Gold" } } }, "count": 1 },
            { "key": { "grouped": ["custom.tier"], "custom": { "tier": { "key": "tin", "label": "tin" } } }, "count": 2 }]));
        define(&admin, json!({ "name": "house", "plural": "houses", "label": "House", "pluralLabel": "Houses", "fields": [{ "name": "rooms", "kind": "INTEGER", "label": "Rooms" }, { "name": "price", "kind": "MONEY", "label": "Price" }] })).await;
        for (name, rooms, price) in [("x", 3, "10"), ("y", 3, "20"), ("z", 5, "40")] {
            admin.create("house", json!({ "name": name, "rooms": rooms, "price": { "amount": price, "currency": "EUR" } })).await;
        }
        let found = admin.ask("{ houseGroups(by: [{ rooms: VALUE }], having: { sum: { price: { lt: \"40\" } } }) { nodes { key { rooms } count sum { price { amount } } houses { nodes { name } } } } }").await;
        assert_eq!(found["houseGroups"]["nodes"], json!([{ "key": { "rooms": 3 }, "count": 2, "sum": { "price": { "amount": "30.00" } }, "houses": { "nodes": [{ "name": "x" }, { "name": "y" }] } }]));
    }

    async fn what_is_hidden_makes_no_groups(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let rep = server.member(&admin, "Rep", "REP").await;
        assert_eq!(groups(&rep, "by: [{ stage: VALUE }]", "count").await, json!([]));
        let mine = rep.create("deal", json!({ "name": "mine", "amount": { "amount": "5", "currency": "EUR" } })).await;
        assert_eq!(groups(&rep, "by: [{ status: VALUE }]", "count deals { nodes { id } }").await, json!([{ "count": 1, "deals": { "nodes": [{ "id": mine }] } }]));
        let role = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { message } } }";
        let input = json!({ "name": "Blind", "objects": [{ "object": "DEAL", "read": ["ALL"] }, { "object": "MEMBER", "read": ["ALL"] }],
            "fields": [{ "object": "DEAL", "field": "amount", "sight": "HIDDEN" }, { "object": "DEAL", "field": "owner", "sight": "HIDDEN" }] });
        let made = admin.ask_with(role, json!({ "input": input })).await["createRole"].take();
        assert_eq!(made["userErrors"], json!([]));
        let set = "mutation($holder: ID!, $roles: [ID!]!) { setRoles(input: { holder: $holder, roles: $roles }) { userErrors { message } } }";
        admin.ask_with(set, json!({ "holder": rep.id().await, "roles": [made["role"]["id"]] })).await;
        // Stages and companies are not theirs to see: all deals are in one group, of none.
        assert_eq!(groups(&rep, "by: [{ stage: VALUE }]", "key { stage { name } } count").await, json!([{ "key": { "stage": null }, "count": 8 }]));
        assert_eq!(groups(&rep, "by: [{ company: { id: VALUE } }]", "count sum { amount { amount } }").await, json!([{ "count": 8, "sum": { "amount": null } }]));
        for arguments in ["by: [{ owner: VALUE }]", "by: [{ stage: VALUE }], having: { sum: { amount: { gt: \"1\" } } }", "by: [{ stage: VALUE }], orderBy: [{ max: { amount: ASC } }]"] {
            assert_eq!(rep.refused(&format!("{{ dealGroups({arguments}) {{ nodes {{ count }} }} }}")).await.0, "FORBIDDEN", "{arguments}");
        }
    }
}
