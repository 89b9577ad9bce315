//! Sums, averages, extremes and counts over all records of a list.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

async fn deal(admin: &Actor<'_>, name: &str, amount: Option<(&str, &str)>, more: Value) -> String {
    let mut input = json!({ "name": name, "amount": amount.map(|(amount, currency)| json!({ "amount": amount, "currency": currency })) });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.create("deal", input).await
}

on_both! {
    async fn everything_is_reckoned_over_the_whole_list(server: &Server) {
        let admin = server.admin().await;
        for (name, amount, close) in [("a", Some("0.10"), json!("2026-05-01")), ("b", Some("0.20"), json!("2026-01-31")), ("c", Some("0.05"), Value::Null), ("d", None, Value::Null)] {
            deal(&admin, name, amount.map(|amount| (amount, "EUR")), json!({ "expectedCloseDate": close, "type": "NEW" })).await;
        }
        let data = admin.ask("{ deals(first: 1) { totalCount nodes { name } aggregate { count sum { amount { amount currency __typename } probability } avg { amount { amount } probability } \
            min { amount { amount } expectedCloseDate } max { amount { amount } expectedCloseDate createdAt } countDistinct { name type amount } __typename } } \
            only: deals(filter: { name: { in: [\"a\", \"b\"] } }) { aggregate { total: count sum { amount(in: \"EUR\") { amount } } } } \
            none: deals(filter: { name: { eq: \"x\" } }) { totalCount aggregate { count sum { amount { amount } } avg { probability } min { expectedCloseDate } countDistinct { name } } } }").await;
        assert_eq!(data["deals"]["aggregate"], json!({ "count": 4,
            "sum": { "amount": { "amount": "0.35", "currency": "EUR", "__typename": "Money" }, "probability": "40" }, "avg": { "amount": { "amount": "0.1167" }, "probability": "10" },
            "min": { "amount": { "amount": "0.05" }, "expectedCloseDate": "2026-01-31" }, "max": { "amount": { "amount": "0.20" }, "expectedCloseDate": "2026-05-01", "createdAt": "2026-03-11T12:00:00Z" },
            "countDistinct": { "name": 4, "type": 1, "amount": 3 }, "__typename": "DealAggregate" }));
        assert_eq!((&data["deals"]["totalCount"], data["deals"]["nodes"].as_array().unwrap().len()), (&json!(4), 1));
        assert_eq!(data["only"]["aggregate"], json!({ "total": 2, "sum": { "amount": { "amount": "0.30" } } }));
        assert_eq!(data["none"], json!({ "totalCount": 0, "aggregate": { "count": 0, "sum": { "amount": null }, "avg": { "probability": null }, "min": { "expectedCloseDate": null }, "countDistinct": { "name": 0 } } }));
    }

    async fn a_sum_may_be_wider_than_an_amount(server: &Server) {
        let admin = server.admin().await;
        for n in 0..3 {
            deal(&admin, &format!("d{n}"), Some(("922337203685477.5807", "EUR")), json!({})).await;
        }
        let data = admin.ask("{ deals { aggregate { sum { amount { amount } } avg { amount { amount } } } } }").await;
        assert_eq!(data["deals"]["aggregate"], json!({ "sum": { "amount": { "amount": "2767011611056432.7421" } }, "avg": { "amount": { "amount": "922337203685477.5807" } } }));
    }

    async fn currencies_are_not_added_up(server: &Server) {
        let admin = server.admin().await;
        deal(&admin, "a", Some(("10", "EUR")), json!({})).await;
        deal(&admin, "b", Some(("1000", "JPY")), json!({})).await;
        let answer = admin.send("{ deals { nodes { name } aggregate { count sum { amount { amount } probability } } } jpy: deals(filter: { amount: { currency: \"JPY\" } }) { aggregate { sum { amount { amount currency } } } } }", json!({})).await;
        assert_eq!(answer["data"]["deals"]["aggregate"], json!({ "count": 2, "sum": { "amount": null, "probability": "20" } }));
        assert_eq!(answer["data"]["jpy"]["aggregate"]["sum"]["amount"], json!({ "amount": "1000", "currency": "JPY" }));
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
        assert_eq!((&answer["errors"][0]["extensions"]["code"], &answer["errors"][0]["path"]), (&json!("BAD_REQUEST"), &json!(["deals"])));
        assert!(answer["errors"][0]["message"].as_str().unwrap().starts_with("Deal.amount: the amounts have several currencies"), "{answer}");
        let answer = admin.send("{ deals(filter: { amount: { currency: \"JPY\" } }) { aggregate { sum { amount(in: \"EUR\") { amount } } } } }", json!({})).await;
        assert_eq!(answer["data"]["deals"]["aggregate"]["sum"]["amount"], Value::Null);
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("in JPY"), "{answer}");
    }

    async fn a_board_is_one_request_and_one_statement(server: &Server) {
        let admin = server.admin().await;
        for n in 1..=5 {
            deal(&admin, &format!("d{n}"), Some((&n.to_string(), "EUR")), json!({})).await;
        }
        let board = "{ pipelines { nodes { stages(first: 10) { nodes { name deals(first: 2, orderBy: [{ amount: DESC }]) { totalCount aggregate { count sum { amount { amount } } } nodes { name } } } } } } }";
        let data = admin.ask(board).await;
        let stages = &data["pipelines"]["nodes"][0]["stages"]["nodes"];
        assert_eq!(stages.as_array().unwrap().len(), 6);
        assert_eq!(stages[0]["deals"], json!({ "totalCount": 5, "aggregate": { "count": 5, "sum": { "amount": { "amount": "15.00" } } }, "nodes": [{ "name": "d5" }, { "name": "d4" }] }));
        assert_eq!(stages[1]["deals"], json!({ "totalCount": 0, "aggregate": { "count": 0, "sum": { "amount": null } }, "nodes": [] }));
        assert_eq!(admin.statements(board).await, 1);
        // Lists whose edges carry a role have them too.
        let company = admin.create("company", json!({ "name": "c", "people": { "create": [{ "record": { "lastName": "x" } }, { "record": { "lastName": "y" } }] } })).await;
        let data = admin.ask_with("query($id: ID!) { company(id: $id) { people { aggregate { count countDistinct { lastName } } } } }", json!({ "id": company })).await;
        assert_eq!(data["company"]["people"]["aggregate"], json!({ "count": 2, "countDistinct": { "lastName": 2 } }));
    }

    async fn own_fields_are_reckoned_with(server: &Server) {
        let admin = server.admin().await;
        for (name, kind) in [("arr", "MONEY"), ("seats", "INTEGER"), ("plan", "TEXT"), ("since", "DATE"), ("factor", "DECIMAL")] {
            let document = "mutation($n: String!, $k: FieldKind!) { createField(input: { object: COMPANY, name: $n, kind: $k, label: $n, indexed: false }) { userErrors { code message } } }";
            assert_eq!(admin.ask_with(document, json!({ "n": name, "k": kind })).await["createField"]["userErrors"], json!([]));
        }
        for (name, seats, plan) in [("a", 3, "x"), ("b", 4, "X"), ("c", 4, "x")] {
            let custom = json!({ "arr": { "amount": format!("{seats}.5"), "currency": "CHF" }, "seats": seats, "plan": plan, "since": format!("2026-01-0{seats}"), "factor": "0.3333" });
            admin.create("company", json!({ "name": name, "custom": custom })).await;
        }
        let data = admin.ask("{ companies { aggregate { sum { custom { arr { amount currency } seats factor } } avg { custom { seats factor } } min { custom { since arr { amount } } } max { custom { seats since } } countDistinct { custom { plan seats } } } } }").await;
        assert_eq!(data["companies"]["aggregate"], json!({ "sum": { "custom": { "arr": { "amount": "12.50", "currency": "CHF" }, "seats": "11", "factor": "0.9999" } },
            "avg": { "custom": { "seats": "3.6667", "factor": "0.3333" } }, "min": { "custom": { "since": "2026-01-03", "arr": { "amount": "3.50" } } },
            "max": { "custom": { "seats": 4, "since": "2026-01-04" } }, "countDistinct": { "custom": { "plan": 2, "seats": 2 } } }));
    }

    async fn only_what_the_caller_sees_is_reckoned_with(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member(&admin, "Rep", "REP").await;
        deal(&admin, "hidden", Some(("100", "EUR")), json!({})).await;
        deal(&rep, "own", Some(("1", "EUR")), json!({})).await;
        let document = "{ deals { totalCount aggregate { count sum { amount { amount } } max { amount { amount } } countDistinct { amount } } } pipelines { nodes { deals { aggregate { count sum { amount { amount } } } } } } }";
        let data = rep.ask(document).await;
        assert_eq!(data["deals"], json!({ "totalCount": 1, "aggregate": { "count": 1, "sum": { "amount": { "amount": "1.00" } }, "max": { "amount": { "amount": "1.00" } }, "countDistinct": { "amount": 1 } } }));
        assert_eq!(data["pipelines"]["nodes"][0]["deals"]["aggregate"], json!({ "count": 1, "sum": { "amount": { "amount": "1.00" } } }));
        let hide = "mutation { createRole(input: { name: \"no amounts\", restricts: true, fields: [{ object: DEAL, field: \"amount\", sight: MASKED }] }) { role { id } } }";
        let role = admin.ask(hide).await["createRole"]["role"]["id"].take();
        let base = admin.role("REP").await;
        admin.ask_with("mutation($h: ID!, $r: [ID!]!) { setRoles(input: { holder: $h, roles: $r }) { userErrors { code } } }", json!({ "h": rep.id().await, "r": [base, role] })).await;
        let answer = rep.send(document, json!({})).await;
        assert_eq!(answer["data"]["deals"]["aggregate"], json!({ "count": 1, "sum": { "amount": null }, "max": { "amount": null }, "countDistinct": { "amount": null } }));
        assert_eq!(answer["extensions"]["hidden"], json!(["Deal.amount"]));
        assert!(answer.get("errors").is_none());
    }

    async fn random_sums_are_what_a_model_says(server: &Server) {
        let admin = server.admin().await;
        let mut dice = 42_u64;
        let mut roll = |n: u64| { dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407); (dice >> 33) % n };
        let mut amounts: Vec<Option<i64>> = Vec::new();
        let mut inputs = Vec::new();
        for n in 0..120 {
            let units = (roll(6) > 0).then(|| i64::try_from(roll(2_000_000_000)).unwrap() - 1_000_000_000);
            let amount = units.map(|units| json!({ "amount": rust_decimal::Decimal::new(units, 4).to_string(), "currency": "EUR" }));
            inputs.push(json!({ "name": format!("d{n}"), "amount": amount }));
            amounts.push(units);
        }
        let create = "mutation($i: [DealCreate!]!) { createDeals(inputs: $i) { committed } }";
        assert_eq!(admin.ask_with(create, json!({ "i": inputs })).await["createDeals"]["committed"], true);
        let known: Vec<i64> = amounts.iter().copied().flatten().collect();
        let decimal = |units: i64| rust_decimal::Decimal::new(units, 4);
        let sum: rust_decimal::Decimal = known.iter().map(|units| decimal(*units)).sum();
        let avg = (sum / rust_decimal::Decimal::from(known.len())).round_dp_with_strategy(4, rust_decimal::RoundingStrategy::MidpointNearestEven);
        let data = admin.ask("{ deals { aggregate { sum { amount { amount } } avg { amount { amount } } min { amount { amount } } max { amount { amount } } } } }").await;
        let told = |over: &str| data["deals"]["aggregate"][over]["amount"]["amount"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        assert_eq!((told("sum"), told("avg")), (sum, avg));
        assert_eq!((told("min"), told("max")), (decimal(*known.iter().min().unwrap()), decimal(*known.iter().max().unwrap())));
    }
}
