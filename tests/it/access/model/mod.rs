//! Random roles, teams, territories, shares and records: what the engine returns, which fields of it and
//! what it refuses is what a model in memory says, on SQLite, on PostgreSQL, and on PostgreSQL with its
//! policies alone.
//!
//! `KITH_CASES` sets how many random offices each test builds; `KITH_SEED` where they begin.

mod build;
mod merging;
mod office;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

pub use self::build::Dice;
use self::build::build;
use self::office::*;
use crate::harness::{Actor, Server};

fn ids_of(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().filter(|node| !node.is_null()).map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

/// Compares everything that one member sees with the model.
async fn compare(office: &Office, member: usize, actor: &Actor<'_>, context: &str, writes: bool) {
    let visible = |object: &str| -> BTreeSet<String> {
        let these = (0..office.records.len()).filter(|record| office.records[*record].object == object && office.sees(member, *record));
        these.map(|record| office.records[record].id.clone()).collect()
    };
    let mut all = String::new();
    for record in &office.records {
        let _ = write!(all, "\"{}\" ", record.id);
    }
    let data = actor
        .ask(&format!(
            "{{ companies(first: 200) {{ totalCount nodes {{ id deals(first: 200) {{ totalCount nodes {{ id }} }} notes(first: 200) {{ nodes {{ id }} }} people(first: 200) {{ nodes {{ id }} }} }} }} \
             people(first: 200) {{ totalCount nodes {{ id }} }} \
             deals(first: 200, orderBy: [{{ company: {{ name: ASC }} }}]) {{ totalCount aggregate {{ count }} nodes {{ id description company {{ id }} viewerAccess {{ canUpdate }} }} }} \
             notes(first: 200) {{ totalCount nodes {{ id links(first: 200) {{ totalCount nodes {{ ... on Node {{ id }} }} }} }} }} \
             tasks(first: 200) {{ totalCount nodes {{ id }} }} \
             nodes(ids: [{all}]) {{ id }} \
             withDeals: companies(first: 200, filter: {{ deals: {{ some: {{}} }} }}) {{ nodes {{ id }} }} \
             withoutDeals: companies(first: 200, filter: {{ deals: {{ none: {{}} }} }}) {{ nodes {{ id }} }} \
             groups: dealGroups(by: [{{ company: {{ id: VALUE }} }}]) {{ nodes {{ count key {{ company {{ id }} }} deals(first: 200) {{ nodes {{ id }} }} }} }} \
             ofCompany: deals(first: 200, filter: {{ company: {{ isNull: false }} }}) {{ nodes {{ id }} }} }}"
        ))
        .await;
    for (plural, object) in [("companies", "company"), ("people", "person"), ("deals", "deal"), ("notes", "note"), ("tasks", "task")] {
        assert_eq!(ids_of(&data[plural]["nodes"]), visible(object), "{plural} {context}");
        assert_eq!(data[plural]["totalCount"], visible(object).len(), "count of {plural} {context}");
    }
    assert_eq!(data["deals"]["aggregate"]["count"], visible("deal").len(), "aggregate of deals {context}");
    let every: BTreeSet<String> = OBJECTS.iter().flat_map(|object| visible(object)).collect();
    assert_eq!(ids_of(&data["nodes"]), every, "nodes {context}");
    let index = |id: &Value| office.records.iter().position(|record| record.id == id.as_str().unwrap()).unwrap();
    let deals_of = |company: usize| -> BTreeSet<String> {
        let these = (0..office.records.len()).filter(|deal| office.records[*deal].company == Some(company) && office.sees(member, *deal));
        these.map(|deal| office.records[deal].id.clone()).collect()
    };
    for company in data["companies"]["nodes"].as_array().unwrap() {
        let at = index(&company["id"]);
        assert_eq!(ids_of(&company["deals"]["nodes"]), deals_of(at), "deals of a company {context}");
        assert_eq!(company["deals"]["totalCount"], deals_of(at).len(), "count of deals of a company {context}");
        let notes =
            (0..office.records.len()).filter(|note| office.records[*note].object == "note" && office.records[*note].about.contains(&at));
        let notes: BTreeSet<String> = notes.filter(|note| office.sees(member, *note)).map(|note| office.records[note].id.clone()).collect();
        assert_eq!(ids_of(&company["notes"]["nodes"]), notes, "notes of a company {context}");
        let people =
            (0..office.records.len()).filter(|person| office.records[*person].works_at.contains(&at) && office.sees(member, *person));
        let people: BTreeSet<String> = people.map(|person| office.records[person].id.clone()).collect();
        assert_eq!(ids_of(&company["people"]["nodes"]), people, "people of a company {context}");
    }
    for deal in data["deals"]["nodes"].as_array().unwrap() {
        let at = index(&deal["id"]);
        let company = office.records[at]
            .company
            .filter(|company| office.sees(member, *company))
            .map(|company| json!({ "id": office.records[company].id }));
        assert_eq!(deal["company"], company.unwrap_or(Value::Null), "company of a deal {context}");
        let described = match office.rights[member]["deal"].sight {
            Sight::Full => json!(format!("d{at:02}")),
            Sight::Masked => json!("d***"),
            Sight::Hidden => Value::Null,
        };
        assert_eq!(deal["description"], described, "description of a deal {context}");
        if writes {
            assert_eq!(deal["viewerAccess"]["canUpdate"], office.changes(member, at), "canUpdate {context}");
        }
    }
    let company_of = |at: usize| office.records[at].company.filter(|company| office.sees(member, *company));
    for group in data["groups"]["nodes"].as_array().unwrap() {
        let company = group["key"]["company"]["id"].as_str().map(|id| index(&json!(id)));
        let deals = (0..office.records.len())
            .filter(|at| office.records[*at].object == "deal" && office.sees(member, *at) && company_of(*at) == company);
        let deals: BTreeSet<String> = deals.map(|at| office.records[at].id.clone()).collect();
        assert_eq!(group["count"], deals.len(), "count of a group of deals {context}");
        assert_eq!(ids_of(&group["deals"]["nodes"]), deals, "deals of a group {context}");
    }
    let grouped: usize =
        data["groups"]["nodes"].as_array().unwrap().iter().map(|group| usize::try_from(group["count"].as_u64().unwrap()).unwrap()).sum();
    assert_eq!(grouped, visible("deal").len(), "groups of deals {context}");
    for note in data["notes"]["nodes"].as_array().unwrap() {
        let about = office.records[index(&note["id"])].about.iter().filter(|other| office.sees(member, **other));
        let about: BTreeSet<String> = about.map(|other| office.records[*other].id.clone()).collect();
        assert_eq!(ids_of(&note["links"]["nodes"]), about, "links of a note {context}");
        assert_eq!(note["links"]["totalCount"], about.len(), "count of links of a note {context}");
    }
    let by_description = actor.send("{ deals(filter: { description: { startsWith: \"d\" } }) { totalCount } }", json!({})).await;
    if office.rights[member]["deal"].sight == Sight::Full {
        assert_eq!(by_description["data"]["deals"]["totalCount"], visible("deal").len(), "filter by a field {context}");
    } else {
        assert_eq!(by_description["errors"][0]["extensions"]["code"], "FORBIDDEN", "filter by a field {context}");
    }
    // Every title begins with `r`, and nothing but a deal's description with `d`.
    let found = actor
        .ask(
            "{ all: search(query: \"r\", objects: [COMPANY, PERSON, DEAL, NOTE, ACTIVITY], first: 200) { totalCount nodes { record { ... on Node { id } } } } \
               described: search(query: \"d\", objects: [DEAL], first: 200) { totalCount nodes { record { ... on Node { id } } } } \
               deals(search: \"r\", first: 200) { totalCount nodes { id } } notes(search: \"r\", first: 200) { nodes { id } } }",
        )
        .await;
    let hits = |list: &Value| -> BTreeSet<String> {
        list["nodes"].as_array().unwrap().iter().map(|hit| hit["record"]["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(hits(&found["all"]), every, "search {context}");
    assert_eq!(found["all"]["totalCount"], every.len(), "count of a search {context}");
    let described = if office.rights[member]["deal"].sight == Sight::Full { visible("deal") } else { BTreeSet::new() };
    assert_eq!(hits(&found["described"]), described, "search of a field {context}");
    assert_eq!(found["described"]["totalCount"], described.len(), "count of a search of a field {context}");
    assert_eq!(ids_of(&found["deals"]["nodes"]), visible("deal"), "searched deals {context}");
    assert_eq!(ids_of(&found["notes"]["nodes"]), visible("note"), "searched notes {context}");
    let companies = visible("company");
    let with: BTreeSet<String> = companies.iter().filter(|id| !deals_of(index(&json!(id))).is_empty()).cloned().collect();
    assert_eq!(ids_of(&data["withDeals"]["nodes"]), with, "companies with deals {context}");
    assert_eq!(ids_of(&data["withoutDeals"]["nodes"]), companies.difference(&with).cloned().collect(), "companies without deals {context}");
    let of_company = (0..office.records.len())
        .filter(|deal| office.sees(member, *deal) && office.records[*deal].company.is_some_and(|company| office.sees(member, company)));
    assert_eq!(
        ids_of(&data["ofCompany"]["nodes"]),
        of_company.map(|deal| office.records[deal].id.clone()).collect(),
        "deals of a visible company {context}"
    );
    for (at, record) in office.records.iter().enumerate().filter(|(_, record)| record.object != "task") {
        let errors = actor.update(record.object, &record.id, json!({ "externalIds": [] })).await["userErrors"].clone();
        let code = match (office.sees(member, at), office.changes(member, at)) {
            (true, true) => Value::Null,
            (true, false) if writes => json!("NOT_WRITABLE"),
            _ => json!("NOT_FOUND"),
        };
        assert_eq!(errors[0]["code"], code, "update of {} {} {context}", record.object, record.id);
    }
}

async fn run(server: &Server, writes: bool) {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (first, cases) = (number("KITH_SEED", 1), number("KITH_CASES", 3));
    for seed in first..first + cases {
        let mut dice = Dice(seed.wrapping_mul(7_919));
        let (office, actors) = build(server, &mut dice).await;
        for (member, actor) in actors.iter().enumerate() {
            let context = format!("(KITH_SEED={seed}, member {member})");
            compare(&office, member, actor, &context, writes).await;
            if writes {
                merging::compare(&office, member, actor, &context).await;
            }
        }
    }
}

/// Few enough that some members have their records collected before a page is sorted, and others not.
fn few(config: &mut kith::config::Config) {
    config.database.few_rows = 4;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_shows_what_the_model_says() {
    run(&Server::on_sqlite_with(few).await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_shows_what_the_model_says() {
    run(&Server::on_postgres_with(few).await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_alone_show_what_the_model_says() {
    run(&Server::on_policies_alone().await, false).await;
}
