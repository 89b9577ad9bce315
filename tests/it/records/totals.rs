//! Running totals: what the database adds up as deals are written is what counting them gives.

use kith::infra::db::{Mode, Scope};
use serde_json::{Value, json};

use crate::access::{Dice, as_owner};
use crate::harness::{Actor, Server, on_both};

/// Every list of deals twice: as totals tell it, and with a filter that lets all of them through, so that they are counted.
const TWICE: &str = "{ kept: deals { ...T } counted: deals(filter: { not: { id: { in: [] } } }) { ...T }
    pipelines { nodes { kept: deals { ...T } counted: deals(filter: { not: { id: { in: [] } } }) { ...T }
        stages(first: 20) { nodes { id name kept: deals(first: 1) { ...T nodes { id } } counted: deals(first: 1, filter: { not: { id: { in: [] } } }) { ...T nodes { id } } } } } } }
    fragment T on DealConnection { totalCount aggregate { count sum { amount { amount currency } } avg { amount { amount } } } }";

/// Asks for everything twice, compares, and gives how many deals there are.
async fn agree(actor: &Actor<'_>) -> i64 {
    let answer = actor.send(TWICE, json!({})).await;
    let compare = |of: &Value| assert_eq!(of["kept"], of["counted"], "{answer:#}");
    let data = &answer["data"];
    compare(data);
    for pipeline in data["pipelines"]["nodes"].as_array().unwrap() {
        compare(pipeline);
        pipeline["stages"]["nodes"].as_array().unwrap().iter().for_each(compare);
    }
    data["kept"]["totalCount"].as_i64().unwrap()
}

async fn stages(admin: &Actor<'_>) -> Vec<String> {
    let data = admin.ask("{ pipelines { nodes { stages(first: 20) { nodes { id } } } } }").await;
    let of = |list: &Value| list["nodes"].as_array().unwrap().clone();
    of(&data["pipelines"])
        .iter()
        .flat_map(|pipeline| of(&pipeline["stages"]))
        .map(|stage| stage["id"].as_str().unwrap().to_owned())
        .collect()
}

/// None, small, negative, as great as an amount can be; mostly in one currency.
fn amount(dice: &mut Dice) -> Value {
    let amounts = ["0", "0.01", "-12.3456", "4294967.295", "922337203685477.5807", "-922337203685477.5807", "17"];
    let currency = if dice.below(8) == 0 { "JPY" } else { "EUR" };
    match dice.below(5) {
        0 => Value::Null,
        1 if currency == "EUR" => json!({ "amount": amounts[dice.below(amounts.len())], "currency": currency }),
        _ => json!({ "amount": dice.below(5_000).to_string(), "currency": currency }),
    }
}

fn deal(dice: &mut Dice, stages: &[String]) -> Value {
    json!({ "name": format!("d{}", dice.below(1_000)), "amount": amount(dice), "stage": { "id": stages[dice.below(stages.len())] } })
}

/// One change of some kind, which may be refused.
async fn change(admin: &Actor<'_>, dice: &mut Dice, stages: &[String], deals: &mut Vec<String>) {
    let at = dice.below(deals.len().max(1));
    let Some(one) = deals.get(at).cloned() else {
        deals.push(admin.create("deal", deal(dice, stages)).await);
        return;
    };
    let other = deals[dice.below(deals.len())].clone();
    let (document, variables) = match dice.below(12) {
        0 | 1 => (
            "mutation($i: [DealCreate!]!) { createDeals(inputs: $i) { results { deal { id } } } }",
            json!({ "i": [deal(dice, stages), deal(dice, stages), deal(dice, stages)] }),
        ),
        2 | 3 => (
            "mutation($id: ID!, $i: DealUpdate!) { updateDeal(id: $id, input: $i) { deal { id } } }",
            json!({ "id": one, "i": { "amount": amount(dice) } }),
        ),
        4 => (
            "mutation($id: ID!, $i: DealUpdate!) { updateDeal(id: $id, input: $i) { deal { id } } }",
            json!({ "id": one, "i": { "stage": { "id": stages[dice.below(stages.len())] }, "name": "moved" } }),
        ),
        5 => (
            "mutation($s: ID!, $i: DealUpdate!) { updateDeals(filter: { stage: { id: { eq: $s } } }, input: $i, limit: 1000) { results { deal { id } } } }",
            json!({ "s": stages[dice.below(stages.len())], "i": { "amount": amount(dice) } }),
        ),
        6 => ("mutation($id: ID!) { deleteDeal(id: $id) { deletedId } }", json!({ "id": one })),
        7 => ("mutation($id: ID!) { restoreDeal(id: $id) { deal { id } } }", json!({ "id": one })),
        8 => ("mutation($id: ID!) { purgeDeal(id: $id) { deletedId } }", json!({ "id": one })),
        9 => (
            "mutation($id: ID!, $i: DealUpdate!) { updateDeal(id: $id, input: $i, validateOnly: true) { deal { id } } }",
            json!({ "id": one, "i": { "amount": amount(dice) } }),
        ),
        10 => (
            "mutation($id: ID!, $i: DealUpdate!) @atomic { updateDeal(id: $id, input: $i) { deal { id } } no: updateDeal(id: $id, input: { name: \"\" }) { deal { id } } }",
            json!({ "id": one, "i": { "amount": amount(dice) } }),
        ),
        _ => ("mutation($a: ID!, $b: ID!) { mergeDeals(into: $a, from: [$b]) { mergeId } }", json!({ "a": one, "b": other })),
    };
    let answer = admin.send(document, variables).await;
    if let Some(made) = answer["data"]["createDeals"]["results"].as_array() {
        deals.extend(made.iter().filter_map(|made| made["deal"]["id"].as_str()).map(str::to_owned));
    }
    if let Some(merge) = answer["data"]["mergeDeals"]["mergeId"].as_str().filter(|_| dice.below(2) == 0) {
        agree(admin).await;
        admin.send("mutation($m: ID!) { unmergeDeal(mergeId: $m) { changeSetId } }", json!({ "m": merge })).await;
    }
}

on_both! {
    async fn they_are_what_counting_gives_whatever_is_written(server: &Server) {
        let admin = server.admin().await;
        let pipeline = json!({ "name": "Second", "stages": { "create": [{ "name": "Open", "type": "OPEN" }, { "name": "Won", "type": "WON" }, { "name": "Lost", "type": "LOST" }] } });
        admin.create("pipeline", pipeline).await;
        let (stages, mut deals) = (stages(&admin).await, Vec::new());
        let mut dice = Dice(7);
        let mut most = 0;
        for _ in 0..150 {
            change(&admin, &mut dice, &stages, &mut deals).await;
            most = most.max(agree(&admin).await);
        }
        assert!(most > 20, "{most} deals are too few to tell anything");
    }

    async fn many_at_once_lose_none(server: &Server) {
        let admin = server.admin().await;
        let stages = stages(&admin).await;
        let id = admin.create("deal", json!({ "name": "moves", "amount": { "amount": "3", "currency": "EUR" } })).await;
        let (admin, stages, id) = (&admin, &stages, &id);
        futures_util::future::join_all((0..8_u64).map(|seed| async move {
            let mut dice = Dice(seed);
            for _ in 0..25 {
                admin.create("deal", deal(&mut dice, stages)).await;
                let to = json!({ "id": id, "i": { "stage": { "id": stages[dice.below(stages.len())] } } });
                admin.ask_with("mutation($id: ID!, $i: DealUpdate!) { updateDeal(id: $id, input: $i) { userErrors { code } } }", to).await;
            }
        })).await;
        assert_eq!(agree(admin).await, 201);
    }

    async fn whoever_does_not_see_every_deal_gets_what_they_see(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member(&admin, "Rep", "REP").await;
        admin.create("deal", json!({ "name": "hidden", "amount": { "amount": "100", "currency": "EUR" } })).await;
        rep.create("deal", json!({ "name": "own", "amount": { "amount": "1", "currency": "EUR" } })).await;
        assert_eq!((agree(&admin).await, agree(&rep).await), (2, 1));
        // A key that is for some deals only, of somebody who sees all.
        let key = "mutation { createApiKey(input: { name: \"own\", restrictions: { rowFilters: [{ deals: { name: { eq: \"own\" } } }] } }) { secret userErrors { message } } }";
        let made = admin.ask(key).await["createApiKey"].take();
        let narrow = server.bearer(made["secret"].as_str().unwrap_or_else(|| panic!("{made}")));
        assert_eq!(agree(&narrow).await, 1);
    }

    async fn they_are_read_where_the_list_is_whole(server: &Server) {
        let admin = server.admin().await;
        admin.create("deal", json!({ "name": "a", "amount": { "amount": "5", "currency": "EUR" } })).await;
        // As if they said something else.
        let db = as_owner(server).await;
        let add = async |n: i64| {
            let tx = db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
            tx.run("UPDATE deal_total SET records = records + $2 WHERE workspace_id = $1", vec![admin.workspace.into(), n.into()]).await.unwrap();
            tx.commit().await.unwrap();
        };
        add(2).await;
        let lists = "{ deals { totalCount aggregate { count avg { amount { amount } } } } filtered: deals(filter: { name: { eq: \"a\" } }) { totalCount } searched: deals(search: \"a\") { totalCount } \
            all: deals(deleted: INCLUDE) { totalCount } extreme: deals { totalCount aggregate { max { amount { amount } } } } nothing: deals(filter: { name: {} }) { totalCount } \
            past: deals(asOf: \"2026-03-11T12:00:00Z\") { totalCount } }";
        let data = admin.ask(lists).await;
        assert_eq!(data["deals"], json!({ "totalCount": 3, "aggregate": { "count": 3, "avg": { "amount": { "amount": "1.6667" } } } }));
        assert_eq!(data["nothing"], json!({ "totalCount": 3 }));
        for counted in ["filtered", "searched", "all", "extreme", "past"] {
            assert_eq!(data[counted]["totalCount"], 1, "{counted}");
        }
        assert_eq!(server.faults().await.len(), 1);
        add(-2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_total_are_put_together() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    let input = json!({ "i": (0..3).map(|n| json!({ "name": format!("d{n}") })).collect::<Vec<_>>() });
    for _ in 0..200 {
        admin.ask_with("mutation($i: [DealCreate!]!) { createDeals(inputs: $i) { committed } }", input.clone()).await;
    }
    let db = as_owner(&server).await;
    let tx = db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
    let row = tx
        .fetch_optional("SELECT count(*), sum(records)::bigint FROM deal_total WHERE workspace_id = $1", vec![admin.workspace.into()])
        .await
        .unwrap()
        .unwrap();
    let (parts, records) = (row.int(0).unwrap().unwrap(), row.int(1).unwrap().unwrap());
    tx.commit().await.unwrap();
    assert!(parts <= 64, "{parts} parts");
    assert_eq!(records, 600);
    server.is_as_the_log_says().await;
}
