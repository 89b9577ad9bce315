//! Encrypted fields: sealed wherever they are kept, found by equality, opened for those who may.

use kith::infra::db::{Mode, Scope};
use serde_json::{Value, json};

use crate::harness::{Actor, Server, names, on_both};

const CREATE: &str = "mutation($input: CreateFieldInput!) { createField(input: $input) { field { id privacy encrypted filterOperators sortable } userErrors { code path } } }";

async fn add(admin: &Actor<'_>, more: Value) -> Value {
    let mut input = json!({ "object": "PERSON", "name": "passport", "kind": "TEXT", "label": "Passport", "encrypted": true });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.ask_with(CREATE, json!({ "input": input })).await["createField"].take()
}

/// Everything that the database holds of the workspace where a value could stand in the clear.
async fn everything(server: &Server, admin: &Actor<'_>) -> String {
    let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
    let text = |column: &str| if server.is_postgres() { format!("{column}::text") } else { column.to_owned() };
    let mut all = String::new();
    for (table, columns) in [
        ("person", vec![text("custom")]),
        ("change_log", vec![text("\"before\""), text("after")]),
        ("search_entry", vec!["title".into(), "words".into()]),
        ("record_key", vec!["value".into()]),
        ("field_index", vec!["coalesce(\"text\", '')".into()]),
        ("audit_entry", vec!["detail".into()]),
    ] {
        for column in columns {
            let rows =
                tx.fetch_all(&format!("SELECT {column} FROM {table} WHERE workspace_id = $1"), vec![admin.workspace.into()]).await.unwrap();
            for row in rows {
                all.push_str(row.text(0).unwrap().unwrap_or_default());
            }
        }
    }
    all
}

on_both! {
    async fn a_sealed_value_is_nowhere_in_the_clear_and_found_by_equality(server: &Server) {
        let admin = server.admin().await;
        let made = add(&admin, json!({ "unique": true, "indexed": true, "privacy": "PUBLIC" })).await;
        assert_eq!(made["field"], json!({ "id": made["field"]["id"], "privacy": "SENSITIVE", "encrypted": true, "filterOperators": ["eq", "ne", "in", "notIn", "isNull"], "sortable": false }));
        let ada = admin.create("person", json!({ "lastName": "Ada", "custom": { "passport": "X1234567Z" } })).await;
        admin.create("person", json!({ "lastName": "Bob", "custom": { "passport": "Y7654321A" } })).await;
        admin.create("person", json!({ "lastName": "Cid" })).await;
        admin.update("person", &ada, json!({ "custom": { "passport": "X1234567Q" } })).await;
        let stored = everything(server, &admin).await;
        for clear in ["X1234567", "x1234567", "Y7654321", "y7654321"] {
            assert!(!stored.contains(clear), "{clear} stands in the clear");
        }
        let find = async |filter: &str| {
            let document = format!("{{ people(filter: {{ custom: {{ passport: {filter} }} }}, orderBy: [{{ lastName: ASC }}]) {{ nodes {{ lastName }} }} }}");
            let nodes = admin.ask(&document).await["people"]["nodes"].take();
            nodes.as_array().unwrap().iter().map(|node| node["lastName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(find("{ eq: \"x1234567q\" }").await, ["Ada"]);
        assert_eq!(find("{ in: [\"X1234567Q\", \"Y7654321A\"] }").await, ["Ada", "Bob"]);
        assert_eq!(find("{ ne: \"X1234567Q\" }").await, ["Bob", "Cid"]);
        assert_eq!(find("{ notIn: [\"X1234567Q\"] }").await, ["Bob", "Cid"]);
        assert_eq!(find("{ isNull: true }").await, ["Cid"]);
        assert_eq!(find("{ eq: null }").await, ["Cid"]);
        assert_eq!(find("{ isNull: false }").await, ["Ada", "Bob"]);
        assert_eq!(find("{ eq: \"X1234567Z\" }").await, Vec::<String>::new());
        assert_eq!(admin.refused("{ people(filter: { custom: { passport: { contains: \"X\" } } }) { totalCount } }").await.0, "BAD_REQUEST");
        assert_eq!(admin.refused("{ people(filter: { customFields: [{ field: \"passport\", operator: \"gt\", value: \"A\" }] }) { totalCount } }").await.0, "BAD_REQUEST");
        assert_eq!(admin.refused("{ people(orderBy: [{ custom: { passport: ASC } }]) { totalCount } }").await.0, "BAD_REQUEST");
        // Opened on the way out, by its key, nested, untyped and in the payload of a write.
        let data = admin.ask("{ person(key: { custom: { passport: \"X1234567Q\" } }) { lastName custom { passport } customFields } people(orderBy: [{ lastName: ASC }]) { nodes { custom { passport } } } }").await;
        assert_eq!(data["person"], json!({ "lastName": "Ada", "custom": { "passport": "X1234567Q" }, "customFields": { "passport": "X1234567Q" } }));
        assert_eq!(data["people"]["nodes"], json!([{ "custom": { "passport": "X1234567Q" } }, { "custom": { "passport": "Y7654321A" } }, { "custom": { "passport": null } }]));
        let taken = admin.ask("mutation { createPerson(input: { lastName: \"D\", custom: { passport: \"y7654321a\" } }) { userErrors { code path message } } }").await;
        assert_eq!(taken["createPerson"]["userErrors"], json!([{ "code": "TAKEN", "path": ["custom", "passport"], "message": "Another person has this value already." }]));
    }

    async fn writing_the_same_value_again_changes_nothing(server: &Server) {
        let admin = server.admin().await;
        add(&admin, json!({})).await;
        let ada = admin.create("person", json!({ "lastName": "Ada", "custom": { "passport": "X1" } })).await;
        assert_eq!(admin.update("person", &ada, json!({ "custom": { "passport": "X1" } })).await["person"]["version"], 1);
        assert_eq!(admin.update("person", &ada, json!({ "custom": { "passport": "X2" } })).await["person"]["version"], 2);
        assert_eq!(admin.update("person", &ada, json!({ "custom": { "passport": null } })).await["person"]["version"], 3);
        let rotate = "mutation { rotateDataKey { rotated userErrors { code } } }";
        admin.update("person", &ada, json!({ "custom": { "passport": "old key" } })).await;
        assert_eq!(admin.ask(rotate).await["rotateDataKey"]["rotated"], true);
        let bob = admin.create("person", json!({ "lastName": "Bob", "custom": { "passport": "new key" } })).await;
        for (id, passport) in [(&ada, "old key"), (&bob, "new key")] {
            let data = admin.ask_with("query($id: ID!) { person(id: $id) { custom { passport } } }", json!({ "id": id })).await;
            assert_eq!(data["person"]["custom"]["passport"], passport);
        }
        let found = admin.ask("{ people(filter: { custom: { passport: { eq: \"OLD KEY\" } } }) { nodes { lastName } } }").await;
        assert_eq!(found["people"]["nodes"], json!([{ "lastName": "Ada" }]));
        let other = server.admin().await;
        assert_eq!(other.ask(rotate).await["rotateDataKey"]["userErrors"][0]["code"], "RULE_REFUSED");
    }

    async fn who_reads_a_sealed_value_stands_in_the_audit(server: &Server) {
        let admin = server.admin().await;
        add(&admin, json!({})).await;
        let ada = admin.create("person", json!({ "lastName": "Ada", "custom": { "passport": "X1" } })).await;
        admin.ask("{ people { nodes { lastName } } }").await;
        let entries = "{ audit(filter: { actions: [SENSITIVE_READ] }) { nodes { detail } } }";
        assert_eq!(admin.ask(entries).await["audit"]["nodes"], json!([]));
        admin.ask("{ people { nodes { lastName custom { passport } } } }").await;
        assert_eq!(admin.ask(entries).await["audit"]["nodes"], json!([{ "detail": format!("{{\"Person.custom.passport\":[\"{ada}\"]}}") }]));
        // Masked for some, hidden from others.
        let make = "mutation($n: String!, $s: FieldSight!) { createRole(input: { name: $n, restricts: true, fields: [{ object: PERSON, field: \"custom.passport\", sight: $s }] }) { role { id } userErrors { message } } }";
        let rep = server.member(&admin, "Rep", "READ_ONLY").await;
        let base = admin.role("READ_ONLY").await;
        for (sight, shown) in [("MASKED", json!("X***")), ("HIDDEN", Value::Null)] {
            let role = admin.ask_with(make, json!({ "n": sight, "s": sight })).await["createRole"]["role"]["id"].take();
            let set = "mutation($h: ID!, $r: [ID!]!) { setRoles(input: { holder: $h, roles: $r }) { userErrors { code } } }";
            admin.ask_with(set, json!({ "h": rep.id().await, "r": [base, role] })).await;
            let answer = rep.send("{ people { nodes { custom { passport } customFields } } }", json!({})).await;
            assert_eq!(answer["data"]["people"]["nodes"], json!([{ "custom": { "passport": shown }, "customFields": {} }]));
            assert_eq!(answer["extensions"]["hidden"], json!(["Person.custom.passport"]));
            assert_eq!(rep.refused("{ people(filter: { custom: { passport: { eq: \"X1\" } } }) { totalCount } }").await.0, "FORBIDDEN");
        }
    }

    async fn what_cannot_be_sealed_is_told(server: &Server) {
        let admin = server.admin().await;
        for more in [json!({ "kind": "INTEGER" }), json!({ "searchable": true }), json!({ "defaultValue": "x" })] {
            assert_eq!(add(&admin, more).await["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["encrypted"] }]));
        }
        assert_eq!(names(&admin.ask("{ fields(object: PERSON) { name custom } }").await["fields"]).iter().filter(|name| *name == "passport").count(), 0);
    }

    async fn the_key_of_the_installation_changes(server: &Server) {
        let admin = server.admin().await;
        add(&admin, json!({})).await;
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        let wrapped = async |tx: &kith::infra::db::Tx| {
            let rows = tx.fetch_all("SELECT wrapped FROM data_key WHERE workspace_id = $1", vec![admin.workspace.into()]).await.unwrap();
            rows.iter().map(|row| row.text(0).unwrap().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let old = wrapped(&tx).await;
        assert_eq!(old.len(), 2);
        let present = std::fs::read_to_string(server.app.config.server.data_dir.join("encryption.key")).unwrap();
        let fresh = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
        let both = kith::infra::vault::Vault::from_base64(&fresh, &[present]).unwrap();
        assert_eq!(kith::features::secrets::rewrap(&tx, &both).await.unwrap(), 2);
        assert_eq!(kith::features::secrets::rewrap(&tx, &both).await.unwrap(), 0);
        let alone = kith::infra::vault::Vault::from_base64(&fresh, &[]).unwrap();
        assert!(wrapped(&tx).await.iter().all(|text| alone.is_current(text) && !old.contains(text)));
    }
}
