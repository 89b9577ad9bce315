//! Fields that a workspace adds: typed at once, filtered, sorted, unique, archived.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

async fn add(admin: &Actor<'_>, input: Value) -> Value {
    let document = "mutation($input: CreateFieldInput!) { createField(input: $input) { field { id name graphqlType inputPath filterOperators } userErrors { code path message } } }";
    admin.ask_with(document, json!({ "input": input })).await["createField"].clone()
}

async fn add_good(admin: &Actor<'_>, input: Value) -> String {
    let payload = add(admin, input).await;
    assert_eq!(payload["userErrors"], json!([]));
    payload["field"]["id"].as_str().unwrap().to_owned()
}

on_both! {
    async fn a_field_is_typed_with_the_next_request(server: &Server) {
        let admin = server.admin().await;
        let payload = add(&admin, json!({ "object": "COMPANY", "name": "fleet", "kind": "INTEGER", "label": "Fleet", "indexed": true })).await;
        assert_eq!(payload["field"]["inputPath"], json!(["custom", "fleet"]));
        for (name, fleet) in [("a", json!(3)), ("b", Value::Null), ("c", json!(30)), ("d", json!(12))] {
            admin.create("company", json!({ "name": name, "custom": { "fleet": fleet } })).await;
        }
        let data = admin.ask("{ big: companies(filter: { custom: { fleet: { gte: 12 } } }, orderBy: [{ custom: { fleet: DESC } }]) { nodes { name custom { fleet } customFields } } \
            sorted: companies(orderBy: [{ custom: { fleet: ASC } }]) { nodes { name } } \
            none: companies(filter: { custom: { fleet: { isNull: true } } }) { nodes { name } } \
            others: companies(filter: { not: { custom: { fleet: { gte: 12 } } } }) { nodes { name } } \
            untyped: companies(filter: { customFields: [{ field: \"fleet\", operator: \"lt\", value: 12 }] }) { nodes { name } } }").await;
        assert_eq!(data["big"]["nodes"], json!([{ "name": "c", "custom": { "fleet": 30 }, "customFields": { "fleet": 30 } }, { "name": "d", "custom": { "fleet": 12 }, "customFields": { "fleet": 12 } }]));
        let names = |key: &str| crate::harness::names(&data[key]["nodes"]);
        assert_eq!(names("sorted"), ["a", "d", "c", "b"]);
        assert_eq!((names("none"), names("others"), names("untyped")), (vec!["b".into()], vec!["a".into(), "b".into()], vec!["a".into()]));
        // Another workspace knows nothing of it.
        let other = server.admin().await;
        assert_eq!(other.refused("{ companies { nodes { custom { fleet } } } }").await.0, "BAD_REQUEST");
    }

    async fn every_kind_is_kept_filtered_and_sorted(server: &Server) {
        let admin = server.admin().await;
        let other = admin.create("company", json!({ "name": "Other" })).await;
        let cases: [(&str, Value, Value, Value, Option<&str>); 15] = [
            ("TEXT", json!("Écru"), json!("Écru"), json!({ "eq": "ecru" }), None),
            ("LONG_TEXT", json!("one\ntwo"), json!("one\ntwo"), json!({ "contains": "TWO" }), None),
            ("INTEGER", json!(-5), json!(-5), json!({ "between": { "from": -6, "to": -5 } }), None),
            ("DECIMAL", json!("12.5"), json!("12.5"), json!({ "gt": "12.4999" }), None),
            ("MONEY", json!({ "amount": "7", "currency": "JPY" }), json!({ "amount": "7", "currency": "JPY" }), json!({ "amount": { "eq": "7" }, "currency": "JPY" }), Some("{ amount currency }")),
            ("BOOLEAN", json!(true), json!(true), json!({ "eq": true }), None),
            ("DATE", json!("2026-02-28"), json!("2026-02-28"), json!({ "lt": "2026-03-01" }), None),
            ("DATE_TIME", json!("2026-02-28T10:00:00.5+01:00"), json!("2026-02-28T09:00:00.500Z"), json!({ "period": "LAST_MONTH" }), None),
            ("SELECT", json!("gold"), json!({ "key": "gold", "label": "Gold" }), json!({ "in": ["gold"] }), Some("{ key label }")),
            ("MULTI_SELECT", json!(["gold", "tin"]), json!([{ "key": "gold" }, { "key": "tin" }]), json!({ "hasAll": ["tin", "gold"] }), Some("{ key }")),
            ("EMAIL", json!("Ada@Example.com"), json!("ada@example.com"), json!({ "endsWith": "EXAMPLE.com" }), None),
            ("PHONE", json!("+41 44 668 18 00"), json!("+41446681800"), json!({ "eq": "+41446681800" }), None),
            ("URL", json!("example.com/x"), json!("https://example.com/x"), json!({ "contains": "example" }), None),
            ("JSON", json!({ "a": [1, null] }), json!({ "a": [1, null] }), json!({ "isNull": false }), None),
            ("REFERENCE", json!(other), json!({ "id": other, "title": "Other" }), json!({ "eq": other }), Some("{ id title }")),
        ];
        for (n, (kind, ..)) in cases.iter().enumerate() {
            let options = kind.ends_with("SELECT").then(|| json!([{ "key": "gold", "label": "Gold" }, { "key": "tin", "label": "Tin" }]));
            let indexed = !matches!(*kind, "LONG_TEXT" | "MULTI_SELECT" | "JSON" | "REFERENCE");
            for (suffix, indexed) in [("", false), ("Fast", indexed)] {
                add_good(&admin, json!({ "object": "COMPANY", "name": format!("f{n}{suffix}"), "kind": kind, "label": kind, "options": options, "indexed": indexed })).await;
            }
        }
        admin.create("company", json!({ "name": "Empty" })).await;
        let custom: serde_json::Map<String, Value> = cases.iter().enumerate().flat_map(|(n, (_, value, ..))| [(format!("f{n}"), value.clone()), (format!("f{n}Fast"), value.clone())]).collect();
        let id = admin.create("company", json!({ "name": "Full", "custom": custom })).await;
        for (n, (kind, _, expected, filter, selection)) in cases.iter().enumerate() {
            for name in [format!("f{n}"), format!("f{n}Fast")] {
                let document = format!("query($id: ID!, $filter: CompanyFilter) {{ company(id: $id) {{ custom {{ {name} {} }} }} \
                    companies(filter: $filter) {{ nodes {{ name }} }} all: companies(filter: {{ not: $filter }}) {{ totalCount }} }}", selection.unwrap_or(""));
                let document = document.replace("{ not: $filter }", "{ not: $not }").replace("$filter: CompanyFilter)", "$filter: CompanyFilter, $not: CompanyFilter)");
                let filter = json!({ "custom": { &name: filter } });
                let data = admin.ask_with(&document, json!({ "id": id, "filter": filter, "not": filter })).await;
                assert_eq!(data["company"]["custom"][&name], *expected, "{kind} {name}");
                assert_eq!(crate::harness::names(&data["companies"]["nodes"]), ["Full"], "{kind} {filter}");
                assert_eq!(data["all"]["totalCount"], 2, "{kind} {filter}");
            }
        }
    }

    async fn limits_of_a_field_are_kept(server: &Server) {
        let admin = server.admin().await;
        add_good(&admin, json!({ "object": "DEAL", "name": "code", "kind": "TEXT", "label": "Code", "unique": true, "maxLength": 5, "pattern": "[A-Z]+" })).await;
        add_good(&admin, json!({ "object": "DEAL", "name": "stars", "kind": "RATING", "label": "Stars", "min": "1", "max": "5", "required": true })).await;
        let create = async |custom: Value| admin.mutate("createDeal", "deal", json!({ "name": "d", "custom": custom })).await["userErrors"].clone();
        assert_eq!(create(json!({ "code": "ABC", "stars": 3 })).await, json!([]));
        assert_eq!(create(json!({ "code": "abc", "stars": 3 })).await[0]["path"], json!(["custom", "code"]));
        assert_eq!(create(json!({ "code": "ABCDEF", "stars": 3 })).await[0]["code"], "INVALID_VALUE");
        assert_eq!(create(json!({ "code": "ABC", "stars": 3 })).await[0]["code"], "TAKEN");
        assert_eq!(create(json!({ "code": "X", "stars": 6 })).await[0]["message"], "Stars must be from 1 to 5.");
        assert_eq!(create(json!({ "code": "X" })).await[0]["code"], "REQUIRED");
        let found = admin.ask("{ deal(key: { custom: { code: \"ABC\" } }) { custom { stars } } }").await;
        assert_eq!(found["deal"]["custom"]["stars"], 3);
    }

    async fn a_definition_that_makes_no_sense_is_refused(server: &Server) {
        let admin = server.admin().await;
        let field = |name: &str, kind: &str, more: Value| {
            let mut input = json!({ "object": "DEAL", "name": name, "kind": kind, "label": "x" });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        for (input, path) in [
            (field("Big", "TEXT", json!({})), "name"),
            (field("a b", "TEXT", json!({})), "name"),
            (field("__x", "TEXT", json!({})), "name"),
            (field("id", "TEXT", json!({})), "name"),
            (field("a", "SELECT", json!({})), "options"),
            (field("a", "TEXT", json!({ "pattern": "(" })), "pattern"),
            (field("a", "INTEGER", json!({ "defaultValue": "x" })), "defaultValue"),
            (field("a", "JSON", json!({ "unique": true })), "unique"),
            (field("a", "JSON", json!({ "indexed": true })), "indexed"),
        ] {
            assert_eq!(add(&admin, input.clone()).await["userErrors"][0]["path"], json!([path]), "{input}");
        }
        add_good(&admin, field("a", "TEXT", json!({}))).await;
        assert_eq!(add(&admin, field("a", "TEXT", json!({}))).await["userErrors"][0]["code"], "TAKEN");
    }

    async fn an_archived_field_keeps_its_place_and_takes_no_values(server: &Server) {
        let admin = server.admin().await;
        let id = add_good(&admin, json!({ "object": "DEAL", "name": "old", "kind": "TEXT", "label": "Old" })).await;
        admin.create("deal", json!({ "name": "d", "custom": { "old": "x" } })).await;
        admin.ask_with("mutation($id: ID!) { archiveField(input: { id: $id }) { field { archived writable } userErrors { code } } }", json!({ "id": id })).await;
        let data = admin.ask("{ deals { nodes { custom { old } } } __type(name: \"DealCustom\") { fields(includeDeprecated: true) { name isDeprecated } } }").await;
        assert_eq!(data["deals"]["nodes"][0]["custom"]["old"], Value::Null);
        assert_eq!(data["__type"]["fields"][1], json!({ "name": "old", "isDeprecated": true }));
        let payload = admin.mutate("createDeal", "deal", json!({ "name": "e", "customFields": [{ "field": "old", "value": "y" }] })).await;
        assert_eq!(payload["userErrors"][0]["code"], "NOT_WRITABLE");
        admin.ask_with("mutation($id: ID!) { archiveField(input: { id: $id, archived: false }) { userErrors { code } } }", json!({ "id": id })).await;
        assert_eq!(admin.ask("{ deals { nodes { custom { old } } } }").await["deals"]["nodes"][0]["custom"]["old"], "x");
    }

    async fn options_that_records_may_have_are_archived_not_lost(server: &Server) {
        let admin = server.admin().await;
        let id = add_good(&admin, json!({ "object": "DEAL", "name": "tier", "kind": "SELECT", "label": "Tier", "options": [{ "key": "a" }, { "key": "b" }] })).await;
        admin.create("deal", json!({ "name": "d", "custom": { "tier": "a" } })).await;
        admin.ask_with("mutation($id: ID!) { updateField(input: { id: $id, options: [{ key: \"b\", label: \"B\" }] }) { userErrors { code message } } }", json!({ "id": id })).await;
        let data = admin.ask("{ deals { nodes { custom { tier { key label archived } } } } }").await;
        assert_eq!(data["deals"]["nodes"][0]["custom"]["tier"], json!({ "key": "a", "label": "a", "archived": true }));
        let payload = admin.mutate("createDeal", "deal", json!({ "name": "e", "custom": { "tier": "a" } })).await;
        assert_eq!(payload["userErrors"][0]["code"], "INVALID_VALUE");
    }

    async fn the_description_serves_a_form_builder(server: &Server) {
        let admin = server.admin().await;
        let data = admin.ask("{ objects { name plural label fields { name label help kind graphqlType inputType inputPath filterOperators options { key } required readable writable privacy } relations { name target many hasRole } } }").await;
        let deal = data["objects"].as_array().unwrap().iter().find(|object| object["name"] == "deal").unwrap();
        let field = |name: &str| deal["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap();
        assert_eq!(field("status")["writable"], false);
        assert_eq!(field("status")["options"], json!([{ "key": "OPEN" }, { "key": "WON" }, { "key": "LOST" }]));
        assert_eq!((field("amount")["graphqlType"].as_str(), field("amount")["inputType"].as_str()), (Some("Money"), Some("MoneyInput")));
        assert_eq!(field("name")["required"], true);
    }

    async fn any_json_can_be_kept_and_read_in_lists(server: &Server) {
        let admin = server.admin().await;
        add_good(&admin, json!({ "object": "COMPANY", "name": "j", "kind": "JSON", "label": "J" })).await;
        add_good(&admin, json!({ "object": "COMPANY", "name": "r", "kind": "REFERENCE", "label": "R" })).await;
        for value in [json!("text"), json!(5), json!(true), json!([1, "a"]), json!({ "a": { "b": null } })] {
            let parent = admin.create("company", json!({ "name": "p", "custom": { "j": value } })).await;
            admin.create("company", json!({ "name": "c", "parent": { "id": parent }, "custom": { "j": value } })).await;
            let data = admin.ask_with("query($id: ID!) { company(id: $id) { custom { j } customFields subsidiaries { nodes { parent { custom { j } } custom { j } } } } }", json!({ "id": parent })).await;
            assert_eq!(data["company"]["custom"]["j"], value);
            assert_eq!(data["company"]["subsidiaries"]["nodes"][0], json!({ "parent": { "custom": { "j": value } }, "custom": { "j": value } }));
        }
        let mut deep = json!(1);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        let payload = admin.mutate("createCompany", "company", json!({ "name": "x", "custom": { "j": deep } })).await;
        assert_eq!(payload["userErrors"][0]["path"], json!(["custom", "j"]));
        let payload = admin.mutate("createCompany", "company", json!({ "name": "x", "custom": { "r": uuid::Uuid::nil() } })).await;
        assert_eq!(payload["userErrors"][0]["code"], "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_rating_is_one_to_five_unless_said_otherwise() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    add_good(&admin, json!({ "object": "COMPANY", "name": "stars", "kind": "RATING", "label": "Stars" })).await;
    add_good(&admin, json!({ "object": "COMPANY", "name": "points", "kind": "RATING", "label": "Points", "min": "0", "max": "10" })).await;
    for (field, value, good) in [
        ("stars", 0, false),
        ("stars", 1, true),
        ("stars", 5, true),
        ("stars", 6, false),
        ("points", 0, true),
        ("points", 10, true),
        ("points", 11, false),
    ] {
        let done = admin.mutate("createCompany", "company", json!({ "name": "x", "custom": { field: value } })).await;
        assert_eq!(done["userErrors"] == json!([]), good, "{field} {value}: {done:#}");
    }
}
