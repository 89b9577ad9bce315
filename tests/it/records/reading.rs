//! Shapes of answers, and what they cost.

use std::fmt::Write as _;

use serde_json::json;

use crate::harness::{Server, on_both};

on_both! {
    async fn a_root_field_is_one_statement_whatever_it_selects(server: &Server) {
        let admin = server.admin().await;
        for n in 0..4 {
            let company = admin.create("company", json!({ "name": format!("c{n}"), "people": { "create": [{ "record": { "lastName": format!("p{n}") } }] } })).await;
            admin.create("deal", json!({ "name": format!("d{n}"), "company": { "id": company } })).await;
            admin.create("task", json!({ "subject": "t", "links": { "connect": [{ "id": company }] } })).await;
        }
        for document in [
            "{ deals { nodes { name } } }",
            "{ deals(orderBy: [{ company: { name: ASC } }], filter: { company: { people: { some: { lastName: { contains: \"p\" } } } } }) \
               { totalCount nodes { name stage { name pipeline { name } } company { name people { totalCount nodes { fullName } } activities { nodes { subject links { nodes { id title } } } } } owner { name } tags { name } } } }",
            "{ activities { totalCount nodes { __typename subject ... on Task { dueAt } links { nodes { ... on Company { name } } } } } }",
            "{ pipelines { nodes { stages { nodes { name deals { totalCount nodes { name } } } } } } }",
        ] {
            assert_eq!(admin.statements(document).await, 1, "{document}");
        }
        assert_eq!(admin.statements("{ deals { nodes { name } } companies { totalCount } }").await, 2);
    }

    async fn fragments_aliases_and_directives_mean_what_graphql_says(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Alder", "domains": ["alder.example"] })).await;
        admin.create("deal", json!({ "name": "d", "company": { "id": company } })).await;
        let document = "query($yes: Boolean = true, $no: Boolean!) { \
            deals { nodes { ...A company { id } ...B name @include(if: $no) title @skip(if: $yes) } } } \
            fragment A on Deal { company { name } also: name } fragment B on AnyRecord { __typename ... on Deal { company { domain } } ... on Person { fullName } }";
        let data = admin.ask_with(document, json!({ "no": false })).await;
        let expected = json!({ "company": { "name": "Alder", "id": company, "domain": "alder.example" }, "also": "d", "__typename": "Deal" });
        assert_eq!(data["deals"]["nodes"][0], expected);
        let keys: Vec<&String> = data["deals"]["nodes"][0].as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 3);
    }

    async fn records_of_any_object_are_found_by_id(server: &Server) {
        let admin = server.admin().await;
        let call = admin.create("call", json!({ "subject": "Hello", "durationSeconds": 60 })).await;
        let tag = admin.create("tag", json!({ "name": "Blue" })).await;
        let document = "query($a: ID!, $b: ID!) { node(id: $a) { __typename id ... on Activity { subject } ... on Call { durationSeconds } } \
            nodes(ids: [$b, \"no uuid\", $a, $b]) { id __typename ... on AnyRecord { title object version } } }";
        let data = admin.ask_with(document, json!({ "a": call, "b": tag })).await;
        assert_eq!(data["node"], json!({ "__typename": "Call", "id": call, "subject": "Hello", "durationSeconds": 60 }));
        let blue = json!({ "id": tag, "__typename": "Tag", "title": "Blue", "object": "TAG", "version": 1 });
        assert_eq!(data["nodes"], json!([blue, null, { "id": call, "__typename": "Call", "title": "Hello", "object": "ACTIVITY", "version": 1 }, blue]));
    }

    async fn types_of_one_table_have_lists_of_their_own(server: &Server) {
        let admin = server.admin().await;
        admin.create("task", json!({ "subject": "t", "dueAt": "2026-03-12T08:00:00+02:00" })).await;
        admin.create("call", json!({ "subject": "c" })).await;
        let data = admin.ask("{ tasks { totalCount nodes { subject dueAt status } } activities(orderBy: [{ subject: ASC }]) { nodes { kind status } } }").await;
        assert_eq!(data["tasks"], json!({ "totalCount": 1, "nodes": [{ "subject": "t", "dueAt": "2026-03-12T06:00:00Z", "status": "OPEN" }] }));
        assert_eq!(data["activities"]["nodes"], json!([{ "kind": "CALL", "status": "PLANNED" }, { "kind": "TASK", "status": "OPEN" }]));
    }

    async fn a_deleted_record_is_nowhere_and_can_come_back(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Alder", "domains": ["alder.example"] })).await;
        admin.create("deal", json!({ "name": "d", "company": { "id": company } })).await;
        let look = "{ companies { totalCount nodes { name } } byKey: company(key: { domain: \"alder.example\" }) { name } \
            deals { nodes { company { name } } } filtered: deals(filter: { company: { name: { eq: \"alder\" } } }) { totalCount } \
            deleted: companies(deleted: ONLY) { nodes { name deletedAt } } }";
        let there = admin.ask(look).await;
        admin.ask_with("mutation($id: ID!) { deleteCompany(id: $id) { deletedId userErrors { code } } }", json!({ "id": company })).await;
        let gone = admin.ask(look).await;
        assert_eq!(gone["companies"], json!({ "totalCount": 0, "nodes": [] }));
        assert_eq!(gone["byKey"], json!(null));
        assert_eq!(gone["deals"]["nodes"], json!([{ "company": null }]));
        assert_eq!(gone["filtered"]["totalCount"], 0);
        assert_eq!(gone["deleted"]["nodes"], json!([{ "name": "Alder", "deletedAt": "2026-03-11T12:00:00Z" }]));
        admin.ask_with("mutation($id: ID!) { restoreCompany(id: $id) { company { version } userErrors { code } } }", json!({ "id": company })).await;
        assert_eq!(admin.ask(look).await, there);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_fields_are_no_trouble_on_sqlite() {
    three_hundred_fields_in_a_nested_row_are_no_trouble(&Server::on_sqlite_with(unbounded).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_fields_are_no_trouble_on_postgres() {
    three_hundred_fields_in_a_nested_row_are_no_trouble(&Server::on_postgres_with(unbounded).await).await;
}

/// Documents as long as anybody likes.
fn unbounded(config: &mut kith::config::Config) {
    (config.limits.tokens, config.limits.aliases) = (100_000, 1_000);
}

async fn three_hundred_fields_in_a_nested_row_are_no_trouble(server: &Server) {
    let admin = server.admin().await;
    admin
        .create(
            "company",
            json!({ "name": "Alder", "people": { "create": [{ "record": { "lastName": "Keller", "jobTitle": "Buyer" } }] } }),
        )
        .await;
    let mut fields = String::new();
    for n in 0..150 {
        let _ = write!(fields, "a{n}: lastName b{n}: jobTitle c{n}: createdAt ");
    }
    // The same column is read once; relations with arguments of their own make different columns.
    for n in 0..120 {
        let _ = write!(
            fields,
            "n{n}: notes(first: {}) {{ totalCount }} t{n}: deals(filter: {{ name: {{ eq: \"{n}\" }} }}) {{ totalCount }} ",
            n % 7
        );
    }
    let document = format!("{{ companies {{ nodes {{ people {{ nodes {{ {fields} }} }} }} }} }}");
    let data = admin.ask(&document).await;
    let person = &data["companies"]["nodes"][0]["people"]["nodes"][0];
    assert_eq!(person["a149"], "Keller");
    assert_eq!(person["b0"], "Buyer");
    assert_eq!(person["t119"]["totalCount"], 0);
}
