//! Records as they stood: what the API says of an instant is what it said then.

use kith::infra::db::{Mode, Scope};
use serde_json::{Value, json};

use super::custom_objects::define;
use super::relations::relate;
use crate::access::{Dice, as_owner};
use crate::harness::{Actor, Server, on_both};

const SECOND: i64 = 1_000_000;

/// Everything that is compared; `$$` stands for ` asOf: …` in an argument list.
const ALL: &str = "{
  byId: deals(first: 100$$) { totalCount nodes { recordId ...deal } }
  byAmount: deals(first: 3, orderBy: [{ amount: DESC }, { name: ASC }]$$) { totalCount aggregate { count sum { amount(in: \"EUR\") { amount } } max { expectedCloseDate } } nodes { recordId name } pageInfo { hasNextPage } }
  byCompany: deals(first: 100, orderBy: [{ company: { name: ASC } }]$$) { nodes { recordId company { name } } }
  byCompanyGroups: dealGroups(by: [{ company: { name: VALUE } }]$$) { nodes { count key { company { name } } } }
  byOwn: deals(first: 100, orderBy: [{ custom: { color: ASC } }, { custom: { arr: DESC } }]$$) { nodes { recordId } }
  dear: deals(first: 100, filter: { amount: { amount: { gt: \"500\" } }, custom: { color: { ne: \"red\" } } }$$) { totalCount nodes { recordId } }
  ofAcme: deals(first: 100, filter: { company: { name: { startsWith: \"A\" } } }$$) { nodes { recordId } }
  deleted: deals(first: 100, deleted: ONLY$$) { nodes { recordId deletedAt } }
  groups: dealGroups(by: [{ company: { id: VALUE } }], orderBy: [{ count: DESC }, { key: ASC }]$$) { totalCount nodes { count key { company { recordId name } } sum { amount(in: \"EUR\") { amount } } deals(first: 2, orderBy: [{ name: DESC }]) { nodes { name } } } }
  companies(first: 100, orderBy: [{ name: ASC }]$$) { nodes { recordId name version domains updatedBy { kind actorId } custom { total { amount } } deals(first: 100, orderBy: [{ name: ASC }]) { totalCount aggregate { max { probability } } nodes { recordId name } } people(first: 100) { edges { role title primary node { recordId fullName } } } } }
  withPeople: companies(first: 100, filter: { people: { some: { lastName: { contains: \"e\" } } } }$$) { nodes { recordId } }
  people(first: 100$$) { nodes { recordId fullName emails { address primary } companies(first: 100) { nodes { name } } history(first: 5) { nodes { field to kind } } } }
  byMail: people(first: 100, filter: { emails: { has: \"p1@test.example\" } }$$) { nodes { recordId } }
  notes(first: 100$$) { nodes { recordId title links(first: 100) { nodes { __typename ... on Node { id } } } } }
  houses(first: 100, orderBy: [{ rooms: DESC }]$$) { nodes { recordId rooms seller { fullName } } }
}
fragment deal on Deal { recordId name version amount { amount currency } probability expectedCloseDate updatedAt updatedBy { kind } description stage { name } company { recordId name } owner { name } custom { arr { amount currency } color { key } } customFields }";

fn as_of(at: &str) -> String {
    ALL.replace("$$", &format!(", asOf: \"{at}\""))
}

/// Without what marks an id as one of another time.
fn plain(mut answer: Value, at: &str) -> Value {
    let text = answer.to_string().replace(&format!("@{at}"), "");
    answer = serde_json::from_str(&text).unwrap();
    answer
}

/// An administrator whose credential outlives the test's hours.
async fn lasting(server: &Server) -> Actor<'_> {
    let admin = server.admin().await;
    let role = admin.role("ADMIN").await;
    let make = "mutation($role: ID!) { createApiKey(input: { name: \"k\", roles: [$role] }) { secret } }";
    let made = admin.ask_with(make, json!({ "role": role })).await["createApiKey"].take();
    Actor { credential: made["secret"].as_str().map(str::to_owned), ..admin }
}

async fn model(admin: &Actor<'_>) {
    for (name, more) in [
        ("arr", json!({ "kind": "MONEY" })),
        (
            "color",
            json!({ "kind": "SELECT", "options": [{ "key": "red", "label": "Red" }, { "key": "blue", "label": "Blue" }], "indexed": true }),
        ),
    ] {
        let mut input = json!({ "object": "DEAL", "name": name, "label": name });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = admin
            .ask_with(
                "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message path } } }",
                json!({ "input": input }),
            )
            .await;
        assert_eq!(made["createField"]["userErrors"], json!([]));
    }
    let total = json!({ "object": "COMPANY", "name": "total", "label": "Total", "kind": "ROLL_UP", "rollUp": { "relation": "deals", "operation": "SUM", "field": "amount" } });
    let made = admin
        .ask_with(
            "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message path } } }",
            json!({ "input": total }),
        )
        .await;
    assert_eq!(made["createField"]["userErrors"], json!([]));
    let fields = json!([{ "name": "rooms", "kind": "INTEGER", "label": "Rooms" }]);
    let made =
        define(admin, json!({ "name": "house", "plural": "houses", "label": "House", "pluralLabel": "Houses", "fields": fields })).await;
    assert_eq!(made["userErrors"], json!([]));
    relate(admin, json!({ "from": "PERSON", "to": "HOUSE", "name": "houses", "label": "Houses", "inverseName": "seller", "inverseLabel": "Seller", "cardinality": "ONE_TO_MANY" })).await;
}

fn some(dice: &mut Dice, ids: &[String]) -> Value {
    if ids.is_empty() || dice.one_in(6) { Value::Null } else { json!(ids[dice.below(ids.len())]) }
}

/// Remembers a record, unless it was refused because what it leads to is deleted.
fn made(ids: &mut Vec<String>, record: &Value) {
    ids.extend(record["id"].as_str().map(str::to_owned));
}

/// One random write.
async fn write(admin: &Actor<'_>, dice: &mut Dice, ids: &mut [Vec<String>; 5], n: usize) {
    let [companies, people, deals, notes, houses] = ids;
    let reference = |id: Value| if id.is_null() { Value::Null } else { json!({ "id": id }) };
    let euros =
        |dice: &mut Dice| if dice.one_in(5) { Value::Null } else { json!({ "amount": dice.below(1000).to_string(), "currency": "EUR" }) };
    let pick = |dice: &mut Dice, ids: &[String]| if ids.is_empty() { None } else { Some(ids[dice.below(ids.len())].clone()) };
    let name = format!("{}{n}", ["Acme", "Bolt", "Ámber"][dice.below(3)]);
    match dice.below(17) {
        0 => made(companies, &admin.mutate("createCompany", "company", json!({ "name": name, "domains": [format!("d{n}.example")] })).await["company"]),
        1 => made(people, &admin.mutate("createPerson", "person", json!({ "lastName": (["Meier", "Ott"][dice.below(2)]), "emails": [{ "address": format!("p{}@test.example", people.len()), "primary": true }] })).await["person"]),
        2 | 3 => {
            let company = reference(some(dice, companies));
            made(deals, &admin.mutate("createDeal", "deal", json!({ "name": name, "amount": euros(dice), "company": company, "custom": { "color": (["red", "blue"][dice.below(2)]) } })).await["deal"]);
        }
        4 => made(notes, &admin.mutate("createNote", "note", json!({ "title": name })).await["note"]),
        5 => {
            let seller = reference(some(dice, people));
            made(houses, &admin.mutate("createHouse", "house", json!({ "name": name, "rooms": dice.below(9), "seller": seller })).await["house"]);
        }
        6 | 7 => {
            let Some(deal) = pick(dice, deals) else { return };
            let (company, arr) = (reference(some(dice, companies)), euros(dice));
            let input = match dice.below(4) {
                0 => json!({ "name": name, "probability": dice.below(100).to_string() }),
                1 => json!({ "company": company }),
                2 => json!({ "amount": euros(dice), "custom": { "arr": arr, "color": ([json!("red"), Value::Null][dice.below(2)].clone()) } }),
                _ => json!({ "expectedCloseDate": format!("2026-0{}-11", 1 + dice.below(9)), "description": name }),
            };
            let _ = admin.update("deal", &deal, input).await;
        }
        8 => {
            let Some(company) = pick(dice, companies) else { return };
            let _ = admin.update("company", &company, json!({ "name": name, "domains": [] })).await;
        }
        9 | 10 => {
            let (Some(company), Some(person)) = (pick(dice, companies), pick(dice, people)) else { return };
            let edit = match dice.below(3) {
                0 => json!({ "disconnect": [person] }),
                1 => json!({ "update": [{ "id": person, "role": name, "primary": dice.one_in(2) }] }),
                _ => json!({ "connect": [{ "id": person, "role": "Buyer", "primary": dice.one_in(2) }] }),
            };
            let _ = admin.update("company", &company, json!({ "people": edit })).await;
        }
        11 => {
            let (Some(note), Some(deal)) = (pick(dice, notes), pick(dice, deals)) else { return };
            let verb = ["connect", "disconnect"][dice.below(2)];
            let item = if verb == "connect" { json!([{ "id": deal }]) } else { json!([deal]) };
            let _ = admin.update("note", &note, json!({ "links": { verb: item } })).await;
        }
        12 => {
            let Some(house) = pick(dice, houses) else { return };
            let seller = reference(some(dice, people));
            let _ = admin.update("house", &house, json!({ "rooms": dice.below(9), "seller": seller })).await;
        }
        15 => {
            let (many, among) = [("Companies", &*companies), ("People", people), ("Deals", deals)][dice.below(3)];
            let (Some(into), Some(from)) = (pick(dice, among), pick(dice, among)) else { return };
            admin.send(&format!("mutation {{ merge{many}(into: \"{into}\", from: [\"{from}\"]) {{ mergeId }} }}"), json!({})).await;
        }
        one @ (13 | 14) => {
            let (object, among) = [("Deal", &*deals), ("Company", companies), ("Person", people), ("Note", notes)][dice.below(4)];
            let Some(id) = pick(dice, among) else { return };
            let verb = if one == 13 { "delete" } else { "restore" };
            admin.send(&format!("mutation {{ {verb}{object}(id: \"{id}\") {{ userErrors {{ code }} }} }}"), json!({})).await;
        }
        _ => {
            let Some(person) = pick(dice, people) else { return };
            let _ = admin.update("person", &person, json!({ "firstName": name, "emails": [{ "address": format!("p{}@test.example", dice.below(4) + 100 * dice.below(2)), "primary": true }] })).await;
        }
    }
}

async fn replay(server: &Server, seed: u64) {
    let admin = lasting(server).await;
    model(&admin).await;
    let mut dice = Dice(seed);
    let mut ids: [Vec<String>; 5] = Default::default();
    let mut told = Vec::new();
    for n in 0..160 {
        server.clock.advance(SECOND);
        write(&admin, &mut dice, &mut ids, n).await;
        if n % 16 == 11 {
            let at = server.clock.now().to_utc().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            told.push((at, admin.ask(&ALL.replace("$$", "")).await));
        }
        // Some of it happened long before the rest, some just before.
        if n % 20 == 19 {
            server.clock.advance(3600 * SECOND);
        }
    }
    let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
    let sql = "SELECT count(DISTINCT kind), count(*) FROM change_log WHERE workspace_id = $1 UNION ALL SELECT 0, count(*) FROM past_link WHERE workspace_id = $1";
    let rows = tx.fetch_all(sql, vec![admin.workspace.into()]).await.unwrap();
    let count = |row: usize, column: usize| rows[row].int(column).unwrap().unwrap();
    assert!(
        count(0, 0) >= 5 && count(0, 1) > 100 && count(1, 1) > 2,
        "too little happened: {} kinds, {} changes, {} past links",
        count(0, 0),
        count(0, 1),
        count(1, 1)
    );
    drop(tx);
    for (at, then) in told {
        let now = plain(admin.ask(&as_of(&at)).await, &at);
        for (part, then) in then.as_object().unwrap() {
            assert_eq!(&now[part], then, "{part} as of {at}, seed {seed}");
        }
    }
}

on_both! {
    async fn what_is_told_of_an_instant_is_what_was_told_then(server: &Server) {
        let seed = std::env::var("KITH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let cases = std::env::var("KITH_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2);
        for seed in seed..seed + cases {
            replay(server, seed).await;
        }
    }

    async fn a_record_of_the_past_has_an_id_of_its_own(server: &Server) {
        let admin = lasting(server).await;
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        let deal = admin.create("deal", json!({ "name": "a", "company": { "id": company } })).await;
        server.clock.advance(3600 * SECOND);
        admin.update("deal", &deal, json!({ "name": "b" })).await;
        admin.send(&format!("mutation {{ deleteDeal(id: \"{deal}\") {{ userErrors {{ code }} }} }}"), json!({})).await;
        let document = format!("{{ deal(id: \"{deal}\", asOf: \"2026-03-11T12:30:00+00:00\") {{ id recordId name version deletedAt company {{ id }} custom {{ id }} viewerAccess {{ canUpdate }} }} }}");
        let then = admin.ask(&document).await["deal"].take();
        assert_eq!(then, json!({
            "id": format!("{deal}@2026-03-11T12:30:00Z"), "recordId": deal, "name": "a", "version": 1, "deletedAt": null,
            "company": { "id": format!("{company}@2026-03-11T12:30:00Z") }, "custom": { "id": format!("{deal}:custom@2026-03-11T12:30:00Z") },
            "viewerAccess": { "canUpdate": true },
        }));
    }

    async fn an_instant_that_cannot_be_told_of_is_refused(server: &Server) {
        let admin = lasting(server).await;
        let deal = admin.create("deal", json!({ "name": "a" })).await;
        let one = |at: &str| format!("{{ deal(id: \"{deal}\", asOf: \"{at}\") {{ name }} }}");
        let (code, message) = admin.refused(&one("2026-03-11T11:00:00Z")).await;
        assert_eq!((code.as_str(), message.as_str()), ("NOT_YET_CREATED", "The record was not there yet: it was created at 2026-03-11T12:00:00Z."));
        assert_eq!(admin.refused(&one("2026-03-11T12:00:01Z")).await.0, "BAD_REQUEST");
        assert_eq!(admin.refused("{ deals(asOf: \"2026-03-11T12:00:00Z\", search: \"a\") { nodes { name } } }").await.0, "BAD_REQUEST");
        assert_eq!(admin.ask("{ deals(asOf: \"2026-03-11T11:59:59Z\") { totalCount nodes { name } } }").await["deals"], json!({ "totalCount": 0, "nodes": [] }));
        let stranger = server.admin().await;
        assert_eq!(stranger.ask(&one("2026-03-11T11:00:00Z")).await["deal"], Value::Null);
        // As if the beginning of the log had been removed.
        server.clock.advance(60 * SECOND);
        admin.update("deal", &deal, json!({ "name": "b" })).await;
        let db = as_owner(server).await;
        let tx = db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        server.cuts_the_log();
        let sql = "DELETE FROM change_log WHERE workspace_id = $1 AND seq < (SELECT max(seq) FROM change_log c WHERE c.workspace_id = $1)";
        tx.run(sql, vec![admin.workspace.into()]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(admin.refused(&one("2026-03-11T12:00:30Z")).await, ("HISTORY_EXPIRED".to_owned(), "The history of that time is not kept any more; it begins at 2026-03-11T12:01:00Z.".to_owned()));
        assert_eq!(admin.ask(&one("2026-03-11T12:01:00Z")).await["deal"]["name"], "b");
    }
}
