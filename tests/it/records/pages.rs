//! Pages: nothing lost and nothing repeated, in both directions, while records come in.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

/// Walks a list to its end and returns the names.
async fn walk(admin: &Actor<'_>, order: &str, size: usize, backward: bool) -> Vec<String> {
    let mut cursor = Value::Null;
    let mut names = Vec::new();
    loop {
        let arguments = if backward { "last: $size, before: $cursor" } else { "first: $size, after: $cursor" };
        let document = format!(
            "query($size: Int, $cursor: Cursor) {{ deals(orderBy: {order}, {arguments}) {{ nodes {{ name }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        let data = admin.ask_with(&document, json!({ "size": size, "cursor": cursor })).await;
        let page = crate::harness::names(&data["deals"]["nodes"]);
        let info = &data["deals"]["pageInfo"];
        if backward {
            names.splice(0..0, page);
            cursor = info["startCursor"].clone();
        } else {
            names.extend(page);
            cursor = info["endCursor"].clone();
        }
        if info[if backward { "hasPreviousPage" } else { "hasNextPage" }] == false {
            return names;
        }
    }
}

async fn deals(admin: &Actor<'_>) {
    let amounts = [None, Some("5"), Some("5"), Some("10"), None, Some("-1"), Some("10"), Some("5"), None];
    let company = [admin.create("company", json!({ "name": "Zeta" })).await, admin.create("company", json!({ "name": "alpha" })).await];
    for (n, amount) in amounts.iter().enumerate() {
        let amount = amount.map(|amount| json!({ "amount": amount, "currency": "EUR" }));
        let company = company.get(n % 3).map(|id| json!({ "id": id }));
        let day = (n % 2 == 0).then(|| format!("2026-01-{:02}", 1 + n / 2));
        admin.create("deal", json!({ "name": format!("d{n}"), "amount": amount, "company": company, "expectedCloseDate": day })).await;
    }
}

const ORDERS: [&str; 11] = [
    "[]",
    "[{ amount: ASC }]",
    "[{ amount: DESC }]",
    "[{ amount: ASC_NULLS_FIRST }]",
    "[{ amount: DESC_NULLS_FIRST }]",
    "[{ amount: DESC }, { name: ASC }]",
    "[{ expectedCloseDate: DESC }, { amount: ASC }]",
    "[{ company: { name: ASC } }, { amount: DESC }]",
    "[{ company: { name: DESC } }]",
    "[{ name: DESC }]",
    "[{ stage: { position: ASC } }, { probability: DESC }, { createdAt: ASC }]",
];

on_both! {
    async fn an_index_of_a_custom_field_gives_the_order_of_its_values(server: &Server) {
        let admin = server.admin().await;
        let kinds = [
            ("TEXT", json!(["b", "É", "e", "a", "e"])),
            ("INTEGER", json!([3, -1, 20, 3, 0])),
            ("DATE", json!(["2026-02-01", "2025-12-31", "2026-02-01", "2026-10-05", "2026-01-01"])),
            ("DATE_TIME", json!(["2026-02-01T00:00:00Z", "2025-12-31T23:00:00Z", "2026-02-01T00:00:00Z", "2026-10-05T01:00:00Z", "2026-01-01T00:00:00Z"])),
            ("EMAIL", json!(["b@x.example", "a@x.example", "c@x.example", "a@x.example", "d@x.example"])),
        ];
        let create = "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message } } }";
        for (kind, _) in &kinds {
            for indexed in [true, false] {
                let name = format!("{}{}", kind.to_lowercase().replace('_', ""), if indexed { "Fast" } else { "" });
                let data = admin.ask_with(create, json!({ "input": { "object": "DEAL", "name": name, "kind": kind, "label": kind, "indexed": indexed } })).await;
                assert_eq!(data["createField"]["userErrors"], json!([]));
            }
        }
        for n in 0..8 {
            let mut custom = serde_json::Map::new();
            for (kind, values) in &kinds {
                // Every third one has no value.
                let value = if n % 3 == 2 { Value::Null } else { values[n % 5].clone() };
                let name = kind.to_lowercase().replace('_', "");
                custom.insert(format!("{name}Fast"), value.clone());
                custom.insert(name, value);
            }
            admin.create("deal", json!({ "name": format!("d{n}"), "custom": custom })).await;
        }
        for (kind, _) in &kinds {
            let name = kind.to_lowercase().replace('_', "");
            for direction in ["ASC", "DESC"] {
                let slow = walk(&admin, &format!("[{{ custom: {{ {name}: {direction} }} }}]"), 200, false).await;
                assert_eq!(slow.len(), 8);
                let fast = format!("[{{ custom: {{ {name}Fast: {direction} }} }}]");
                for (size, backward) in [(200, false), (1, false), (3, false), (3, true)] {
                    assert_eq!(walk(&admin, &fast, size, backward).await, slow, "{fast} {size} {backward}");
                }
            }
        }
    }

    async fn pages_of_any_size_make_the_same_list(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        for order in ORDERS {
            let whole = walk(&admin, order, 200, false).await;
            assert_eq!(whole.len(), 9, "{order}");
            for size in [1, 2, 4] {
                assert_eq!(walk(&admin, order, size, false).await, whole, "{order} forward by {size}");
                assert_eq!(walk(&admin, order, size, true).await, whole, "{order} backward by {size}");
            }
        }
    }

    async fn who_reaches_few_records_gets_the_same_pages(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let rep = server.member(&admin, "Rep", "REP").await;
        let mine = admin.id().await;
        for n in 0..3 {
            admin.create("deal", json!({ "name": format!("other{n}"), "amount": { "amount": "7", "currency": "EUR" } })).await;
        }
        let give = "mutation($filter: DealFilter!, $input: DealUpdate!) { updateDeals(filter: $filter, input: $input, limit: 100) { committed } }";
        let rep_id = rep.id().await;
        let input = json!({ "filter": { "name": { "startsWith": "d" }, "owner": { "id": { "eq": mine } } }, "input": { "owner": { "id": rep_id } } });
        assert_eq!(admin.ask_with(give, input).await["updateDeals"]["committed"], true);
        for order in ORDERS {
            let whole: Vec<String> = walk(&admin, order, 200, false).await.into_iter().filter(|name| !name.starts_with("other")).collect();
            assert_eq!(walk(&rep, order, 200, false).await, whole, "{order}");
            for size in [1, 4] {
                assert_eq!(walk(&rep, order, size, false).await, whole, "{order} forward by {size}");
                assert_eq!(walk(&rep, order, size, true).await, whole, "{order} backward by {size}");
            }
        }
    }

    async fn nulls_stand_where_they_are_told(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let first = async |order: &str| walk(&admin, order, 200, false).await[0].clone();
        assert_eq!(first("[{ amount: ASC }]").await, "d5");
        assert_eq!(first("[{ amount: ASC_NULLS_FIRST }]").await, "d0");
        assert_eq!(walk(&admin, "[{ amount: DESC }]", 200, false).await[6..], ["d8", "d4", "d0"]);
    }

    async fn a_page_is_stable_while_records_come_in(server: &Server) {
        let admin = server.admin().await;
        for n in 0..6 {
            admin.create("deal", json!({ "name": format!("m{n}") })).await;
        }
        let page = async |after: Value| {
            let document = "query($after: Cursor) { deals(first: 3, after: $after, orderBy: [{ name: ASC }]) { nodes { name } pageInfo { endCursor } } }";
            admin.ask_with(document, json!({ "after": after })).await
        };
        let one = page(Value::Null).await;
        for name in ["a", "m1b", "z"] {
            admin.create("deal", json!({ "name": name })).await;
        }
        let two = page(one["deals"]["pageInfo"]["endCursor"].clone()).await;
        assert_eq!(crate::harness::names(&one["deals"]["nodes"]), ["m0", "m1", "m2"]);
        assert_eq!(crate::harness::names(&two["deals"]["nodes"]), ["m3", "m4", "m5"]);
    }

    async fn nested_lists_page_by_themselves(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Alder" })).await;
        for n in 0..5 {
            admin.create("deal", json!({ "name": format!("d{n}"), "company": { "id": company } })).await;
        }
        let document = "query($after: Cursor) { companies { nodes { deals(first: 2, after: $after, orderBy: [{ name: DESC }]) { totalCount nodes { name } pageInfo { hasNextPage endCursor } } } } }";
        let mut after = Value::Null;
        let mut names = Vec::new();
        loop {
            let data = admin.ask_with(document, json!({ "after": after })).await;
            let deals = &data["companies"]["nodes"][0]["deals"];
            assert_eq!(deals["totalCount"], 5);
            names.extend(crate::harness::names(&deals["nodes"]));
            after = deals["pageInfo"]["endCursor"].clone();
            if deals["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(names, ["d4", "d3", "d2", "d1", "d0"]);
    }

    async fn a_cursor_that_was_tampered_with_is_refused(server: &Server) {
        let admin = server.admin().await;
        deals(&admin).await;
        let data = admin.ask("{ deals(first: 1, orderBy: [{ amount: DESC }]) { pageInfo { endCursor } } }").await;
        let cursor = data["deals"]["pageInfo"]["endCursor"].as_str().unwrap();
        let mut turned: Vec<char> = cursor.chars().collect();
        let last = turned.len() - 3;
        turned[last] = if turned[last] == 'A' { 'B' } else { 'A' };
        let turned: String = turned.into_iter().collect();
        for document in [
            format!("{{ deals(after: \"{turned}\", orderBy: [{{ amount: DESC }}]) {{ nodes {{ id }} }} }}"),
            format!("{{ deals(after: \"{cursor}\", orderBy: [{{ amount: ASC }}]) {{ nodes {{ id }} }} }}"),
            "{ deals(after: \"\") { nodes { id } } }".to_owned(),
            "{ deals(first: 1, last: 1) { nodes { id } } }".to_owned(),
            "{ deals(first: 201) { nodes { id } } }".to_owned(),
            "{ deals(first: -1) { nodes { id } } }".to_owned(),
        ] {
            assert_eq!(admin.refused(&document).await.0, "BAD_REQUEST", "{document}");
        }
    }
}
