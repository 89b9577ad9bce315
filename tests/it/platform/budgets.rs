//! What requests cost, and what becomes of those that cost too much.

use axum::http::StatusCode;
use serde_json::json;

use crate::harness::Server;

const PAGE: &str = "{ companies(first: 10) { nodes { name deals(first: 5) { totalCount nodes { name } } } } }";

async fn says_what_it_cost(server: &Server) {
    let admin = server.admin().await;
    admin.create("company", json!({ "name": "Alder" })).await;
    let cost = admin.send(PAGE, json!({})).await["extensions"]["cost"].take();
    // A list, ten records, and for each a list, a count and five records.
    assert_eq!(cost["requested"], 2 + 10 * (1 + 2 + 5 + 5), "{cost}");
    // Little was there; a tenth is the least.
    assert_eq!(cost["actual"], 14, "{cost}");
    assert_eq!((&cost["bucket"]["maximum"], &cost["bucket"]["restoreRate"]), (&json!(10_000), &json!(500)));
    let estimate =
        admin.ask_with("query($d: String!) { costOf(document: $d) { requested maximum costliest } }", json!({ "d": PAGE })).await;
    assert_eq!(estimate["costOf"], json!({ "requested": 132, "maximum": 5_000, "costliest": "companies.nodes.deals.totalCount" }));
    let by_variable = "query($n: Int!) { companies(first: $n) { nodes { name } } }";
    for (first, requested) in [(3, 5), (150, 152)] {
        let answer = admin.send(by_variable, json!({ "n": first })).await;
        assert_eq!(answer["extensions"]["cost"]["requested"], requested, "{answer}");
    }
}

async fn refuses_what_costs_too_much(server: &Server) {
    let admin = server.admin().await;
    let (code, message) = admin.refused("{ dear: companies(first: 200) { nodes { many: deals(first: 200) { nodes { people(first: 10) { nodes { id } } } } } } deals { totalCount } }").await;
    assert_eq!(code, "BAD_REQUEST");
    assert!(message.contains("`dear.nodes.many.nodes.people`") && message.contains("5000 are allowed"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_it_cost() {
    says_what_it_cost(&Server::on_sqlite_with(usual).await).await;
    says_what_it_cost(&Server::on_postgres_with(usual).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_may_cost_too_much_is_refused_with_where() {
    refuses_what_costs_too_much(&Server::on_sqlite_with(usual).await).await;
}

/// As servers are by default; tests are let do more.
fn usual(config: &mut kith::config::Config) {
    config.limits = kith::config::Config::load(None, |_| None).unwrap().limits;
}

fn poor(config: &mut kith::config::Config) {
    usual(config);
    (config.limits.credential_budget, config.limits.credential_restore) = (300, 10);
}

async fn spends_it_and_waits(server: &Server) {
    let admin = server.admin().await;
    let wish = json!({ "query": "{ companies(first: 200) { nodes { name } } }" });
    // The clock stands still, and what was not needed comes back.
    for _ in 0..5 {
        assert_eq!(admin.post(wish.clone(), &[]).await.0, StatusCode::OK);
    }
    let dear = json!({ "query": "mutation($i: [CompanyCreate!]!) { createCompanies(inputs: $i) { committed } }", "variables": { "i": vec![json!({ "name": "c" }); 100] } });
    assert_eq!(admin.post(dear.clone(), &[]).await.0, StatusCode::OK);
    let (status, headers, answer) = loop {
        let found = admin.post(dear.clone(), &[]).await;
        if found.0 != StatusCode::OK {
            break found;
        }
    };
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("RATE_LIMITED")));
    let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=300).contains(&seconds), "{seconds}");
    // Another credential of the workspace is not held up.
    let rep = server.member(&admin, "Rita", "REP").await;
    assert_eq!(rep.post(wish, &[]).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_spent_their_budget_is_told_when_to_come_back() {
    let server = Server::on_sqlite_with(poor).await;
    spends_it_and_waits(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_budgets_by_redis() {
    let server = Server::on_postgres_with(|config| {
        poor(config);
        // It must not come back within the test.
        config.limits.credential_restore = 1;
    })
    .await;
    spends_it_and_waits(&server).await;
    let admin = server.admin().await;
    let other = server.second_node_with(poor).await;
    let there = other.bearer(admin.credential.as_ref().unwrap());
    let dear = json!({ "query": "mutation($i: [CompanyCreate!]!) { createCompanies(inputs: $i) { committed } }", "variables": { "i": vec![json!({ "name": "c" }); 200] } });
    assert_eq!(admin.post(dear.clone(), &[]).await.0, StatusCode::OK);
    assert_eq!(there.post(dear, &[]).await.0, StatusCode::TOO_MANY_REQUESTS);
}
