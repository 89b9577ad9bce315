//! Duplicates and merges in the random office: who may be the same is named to those who see them and counted for
//! the others, and a merge asks for everything that it does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::office::*;
use crate::harness::Actor;

/// A number that all people of the office share.
pub(super) const NUMBER: &str = "+4930901820";

/// What one member is told of records that may be the same, and which he may make one.
pub(super) async fn compare(office: &Office, member: usize, actor: &Actor<'_>, context: &str) {
    duplicates(office, member, actor, context).await;
    for (object, many) in [("company", "Companies"), ("deal", "Deals"), ("note", "Notes")] {
        let these: Vec<usize> = (0..office.records.len()).filter(|at| office.records[*at].object == object).collect();
        for pair in these.windows(2) {
            merge(office, member, actor, [pair[0], pair[1]], many, context).await;
        }
    }
}

async fn duplicates(office: &Office, member: usize, actor: &Actor<'_>, context: &str) {
    let persons: Vec<usize> = (0..office.records.len()).filter(|at| office.records[*at].object == "person").collect();
    let seen: BTreeSet<String> = persons.iter().filter(|at| office.sees(member, **at)).map(|at| office.records[*at].id.clone()).collect();
    let asked = format!(
        "{{ personDuplicates(draft: {{ lastName: \"Nobody\", phones: [{{ number: \"{NUMBER}\" }}] }}, first: 50) {{ hidden nodes {{ person {{ id }} }} }} }}"
    );
    let told = actor.ask(&asked).await["personDuplicates"].take();
    let named: BTreeSet<String> =
        told["nodes"].as_array().unwrap().iter().map(|node| node["person"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(named, seen, "people with a number {context}");
    // Whoever sees no records as their owner's colleague learns nothing of others.
    let read = office.rights[member]["person"].read;
    let hidden = if read & OWN == 0 { 0 } else { persons.len() - seen.len() };
    assert_eq!(told["hidden"], hidden, "unseen people with a number {context}");
}

/// What is said first of a merge of the second record into the first.
async fn merge(office: &Office, member: usize, actor: &Actor<'_>, [into, from]: [usize; 2], many: &str, context: &str) {
    let document = format!(
        "mutation($into: ID!, $from: ID!) {{ merge{many}(into: $into, from: [$from], validateOnly: true) {{ userErrors {{ code path }} }} }}"
    );
    let variables = json!({ "into": office.records[into].id, "from": office.records[from].id });
    let told = actor.ask_with(&document, variables).await[format!("merge{many}")]["userErrors"].get(0).cloned().unwrap_or_default();
    let refused = |code: &str, path: Value| json!({ "code": code, "path": path });
    let lacks = |record: usize, may: bool| match (office.sees(member, record), may) {
        (false, _) => Some("NOT_FOUND"),
        (true, false) => Some("NOT_WRITABLE"),
        (true, true) => None,
    };
    let expected =
        match (lacks(into, office.changes(member, into)), lacks(from, office.changes(member, from) && office.deletes(member, from))) {
            (Some(code), _) => refused(code, json!(["into"])),
            (None, Some(code)) => refused(code, json!(["from", "0"])),
            (None, None) => Value::Null,
        };
    assert_eq!(told, expected, "merge of {} into {} {context}", office.records[from].id, office.records[into].id);
}
