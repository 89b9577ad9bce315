//! Filters against an oracle in memory: whatever the filter, the database and the oracle agree, and
//! `not` is the exact complement.

use kith::infra::text::fold;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

/// Companies with every kind of gap: null, empty, equal but for case and accents.
fn records() -> Vec<Value> {
    let names = ["Müller", "muller", "MULLER AG", "Øre", "Zoë", "zoe", "Alpha", "beta", "Été", "ete 2", "100%", "a_b"];
    let legal = [None, Some("Müller Holding"), Some("zoe"), None, Some(""), Some("É")];
    let counts = [None, Some(0), Some(5), Some(-0), Some(100), Some(5)];
    let ratings = [None, Some("HOT"), Some("WARM"), None, Some("COLD")];
    let amounts = [None, Some("0"), Some("10.5"), Some("-3"), Some("922337203685477.5807")];
    names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let amount = amounts[n % amounts.len()].map(|amount| json!({ "amount": amount, "currency": if n % 2 == 0 { "EUR" } else { "CHF" } }));
            json!({ "name": name, "legalName": legal[n % legal.len()], "employeeCount": counts[n % counts.len()], "rating": ratings[n % ratings.len()], "annualRevenue": amount })
        })
        .collect()
}

fn text_operator() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["muller", "Müller", "É", "zoe", "a", "", "100%", "_", "Z"]);
    let operand = prop_oneof![8 => word.clone().prop_map(|word| json!(word)), 1 => Just(Value::Null)];
    prop_oneof![
        operand.clone().prop_map(|v| json!({ "eq": v })),
        operand.prop_map(|v| json!({ "ne": v })),
        word.clone().prop_map(|v| json!({ "contains": v })),
        word.clone().prop_map(|v| json!({ "startsWith": v })),
        word.clone().prop_map(|v| json!({ "endsWith": v })),
        word.clone().prop_map(|v| json!({ "gte": v })),
        prop::collection::vec(word.clone(), 0..3).prop_map(|v| json!({ "in": v })),
        prop::collection::vec(word, 0..3).prop_map(|v| json!({ "notIn": v })),
        any::<bool>().prop_map(|v| json!({ "isNull": v })),
        Just(json!({})),
    ]
}

fn number_operator() -> impl Strategy<Value = Value> {
    let number = prop::sample::select(vec![-1, 0, 5, 100]);
    let name = prop::sample::select(vec!["eq", "ne", "lt", "lte", "gt", "gte"]);
    prop_oneof![
        (name, number.clone()).prop_map(|(name, n)| json!({ name: n })),
        (number.clone(), number.clone()).prop_map(|(a, b)| json!({ "between": { "from": a, "to": b } })),
        prop::collection::vec(number, 0..3).prop_map(|list| json!({ "notIn": list })),
        Just(json!({ "eq": null })),
        any::<bool>().prop_map(|v| json!({ "isNull": v })),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    let rating = prop::sample::select(vec!["HOT", "COLD"]);
    let leaf = prop_oneof![
        text_operator().prop_map(|op| json!({ "name": op })),
        text_operator().prop_map(|op| json!({ "legalName": op })),
        number_operator().prop_map(|op| json!({ "employeeCount": op })),
        rating.clone().prop_map(|v| json!({ "rating": { "ne": v } })),
        rating.prop_map(|v| json!({ "rating": { "in": [v] } })),
        prop::sample::select(vec!["lt", "gte", "eq"]).prop_map(|op| json!({ "annualRevenue": { "amount": { op: "10.5" } } })),
        Just(json!({ "annualRevenue": { "currency": "CHF" } })),
        Just(json!({})),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({ "and": list })),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({ "or": list })),
            inner.prop_map(|one| json!({ "not": one })),
        ]
    })
}

/// The oracle: what a filter means, in a dozen lines per kind.
fn matches(record: &Value, filter: &Value) -> bool {
    filter.as_object().unwrap().iter().all(|(name, condition)| match name.as_str() {
        "and" => condition.as_array().unwrap().iter().all(|one| matches(record, one)),
        "or" => condition.as_array().unwrap().iter().any(|one| matches(record, one)),
        "not" => !matches(record, condition),
        "annualRevenue" => condition.as_object().unwrap().iter().all(|(part, test)| match part.as_str() {
            "currency" => record["annualRevenue"]["currency"] == *test,
            _ => operators(&amount(&record["annualRevenue"]["amount"]), test, &amount),
        }),
        field => operators(&comparable(&record[field]), condition, &comparable),
    })
}

/// A text without case and accents; anything else as it is.
fn comparable(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| json!(fold(text)))
}

fn amount(value: &Value) -> Value {
    value.as_str().map_or(Value::Null, |text| json!(kith::records::value::parse_decimal(text).unwrap()))
}

fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a < b,
        (Value::Number(a), Value::Number(b)) => a.as_i64() < b.as_i64(),
        _ => false,
    }
}

fn operators(value: &Value, condition: &Value, as_value: &dyn Fn(&Value) -> Value) -> bool {
    let there = !value.is_null();
    condition.as_object().unwrap().iter().all(|(operator, operand)| {
        let other = as_value(operand);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match operator.as_str() {
            "eq" => *value == other,
            "ne" => *value != other,
            "isNull" => there != operand.as_bool().unwrap(),
            "in" => operand.as_array().unwrap().iter().any(|one| *value == as_value(one)),
            "notIn" => !operand.as_array().unwrap().iter().any(|one| *value == as_value(one)),
            "lt" => there && less(value, &other),
            "lte" => there && !less(&other, value),
            "gt" => there && less(&other, value),
            "gte" => there && !less(value, &other),
            "between" => there && !less(value, &as_value(&operand["from"])) && !less(&as_value(&operand["to"]), value),
            "contains" => there && text(value).contains(&text(&other)),
            "startsWith" => there && text(value).starts_with(&text(&other)),
            "endsWith" => there && text(value).ends_with(&text(&other)),
            other => unreachable!("{other}"),
        }
    })
}

async fn found(admin: &Actor<'_>, filter: &Value) -> Vec<String> {
    let document = "query($filter: CompanyFilter) { companies(filter: $filter, first: 200) { totalCount nodes { name } } }";
    let data = admin.ask_with(document, json!({ "filter": filter })).await;
    let names = crate::harness::names(&data["companies"]["nodes"]);
    assert_eq!(data["companies"]["totalCount"], names.len());
    names
}

on_both! {
    async fn filters_agree_with_the_oracle(server: &Server) {
        let admin = server.admin().await;
        let records = records();
        for record in &records {
            admin.create("company", record.clone()).await;
        }
        let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        for _ in 0..150 {
            let filter = filter().new_tree(&mut runner).unwrap().current();
            let expected = |wanted: bool| -> Vec<String> {
                records.iter().filter(|record| matches(record, &filter) == wanted).map(|record| record["name"].as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(found(&admin, &filter).await, expected(true), "{filter}");
            let complement = json!({ "not": filter });
            assert_eq!(found(&admin, &complement).await, expected(false), "{complement}");
        }
    }

    async fn an_exact_comparison_knows_case_and_accents(server: &Server) {
        let admin = server.admin().await;
        for name in ["Müller", "muller", "Muller"] {
            admin.create("company", json!({ "name": name })).await;
        }
        assert_eq!(found(&admin, &json!({ "name": { "eqExact": "Muller" } })).await, ["Muller"]);
        assert_eq!(found(&admin, &json!({ "name": { "eq": "MÜLLER" } })).await.len(), 3);
    }

    async fn relations_are_followed_over_several_hops(server: &Server) {
        let admin = server.admin().await;
        let alder = admin.create("company", json!({ "name": "Alder" })).await;
        let birch = admin.create("company", json!({ "name": "Birch", "parent": { "id": alder } })).await;
        admin.create("person", json!({ "lastName": "Keller", "companies": { "connect": [{ "id": birch, "role": "Buyer" }] } })).await;
        admin.create("person", json!({ "lastName": "Novak", "companies": { "connect": [{ "id": birch }] } })).await;
        admin.create("deal", json!({ "name": "First", "company": { "id": birch } })).await;
        admin.create("deal", json!({ "name": "Second" })).await;
        let deals = async |filter: Value| {
            let data = admin.ask_with("query($f: DealFilter) { deals(filter: $f) { nodes { name } } }", json!({ "f": filter })).await;
            crate::harness::names(&data["deals"]["nodes"])
        };
        let parent = json!({ "company": { "parent": { "name": { "eq": "alder" } } } });
        assert_eq!(deals(parent.clone()).await, ["First"]);
        assert_eq!(deals(json!({ "not": parent })).await, ["Second"]);
        assert_eq!(deals(json!({ "company": { "people": { "some": { "lastName": { "startsWith": "kel" } } } } })).await, ["First"]);
        assert_eq!(deals(json!({ "company": { "people": { "every": { "lastName": { "startsWith": "kel" } } } } })).await, Vec::<String>::new());
        assert_eq!(deals(json!({ "company": { "people": { "count": { "gte": 2 } } } })).await, ["First"]);
        assert_eq!(deals(json!({ "company": { "isNull": true } })).await, ["Second"]);
        assert_eq!(deals(json!({ "people": { "none": {} } })).await, ["First", "Second"]);
    }

    async fn relative_dates_follow_the_workspaces_days(server: &Server) {
        // It is Wednesday, 2026-03-11, 13:00 in Zurich.
        let admin = server.admin().await;
        for day in ["2026-03-08", "2026-03-09", "2026-03-11", "2026-03-15", "2026-03-16", "2025-12-31"] {
            admin.create("deal", json!({ "name": day, "expectedCloseDate": day })).await;
        }
        let deals = async |condition: Value| {
            let data = admin.ask_with("query($f: DateFilter) { deals(filter: { expectedCloseDate: $f }) { nodes { name } } }", json!({ "f": condition })).await;
            crate::harness::names(&data["deals"]["nodes"])
        };
        assert_eq!(deals(json!({ "period": "THIS_WEEK" })).await, ["2026-03-09", "2026-03-11", "2026-03-15"]);
        assert_eq!(deals(json!({ "period": "TODAY" })).await, ["2026-03-11"]);
        assert_eq!(deals(json!({ "period": "LAST_QUARTER" })).await, ["2025-12-31"]);
        assert_eq!(deals(json!({ "within": { "last": 2, "unit": "DAY" } })).await, ["2026-03-09", "2026-03-11"]);
        assert_eq!(deals(json!({ "within": { "next": 1, "unit": "WEEK" } })).await, ["2026-03-11", "2026-03-15", "2026-03-16"]);
    }
}
