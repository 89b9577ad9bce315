//! What was changed of a record, by whom and when.

use serde_json::{Value, json};

use crate::harness::{Server, on_both};

const CHANGES: &str = "field from to kind version cause actor { kind member { name } }";

fn fields(nodes: &Value) -> Vec<&str> {
    nodes.as_array().unwrap().iter().map(|node| node["field"].as_str().unwrap()).collect()
}

on_both! {
    async fn each_changed_field_is_told_with_its_values(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "c" })).await;
        let deal = admin.create("deal", json!({ "name": "a", "amount": { "amount": "10.50", "currency": "EUR" } })).await;
        server.clock.advance(1_000_000);
        admin.update("deal", &deal, json!({ "name": "b", "amount": { "amount": "12", "currency": "EUR" }, "company": { "id": company } })).await;
        let document = format!("{{ deal(id: \"{deal}\") {{ history(fields: [\"name\", \"amount\", \"company\"]) {{ nodes {{ {CHANGES} at requestId __typename }} pageInfo {{ hasNextPage }} }} }} }}");
        let history = admin.ask(&document).await["deal"]["history"].take();
        let nodes = history["nodes"].as_array().unwrap();
        let told: Vec<(&Value, &Value, &Value, &Value, &Value)> = nodes.iter().map(|n| (&n["field"], &n["from"], &n["to"], &n["kind"], &n["version"])).collect();
        assert_eq!(json!(told), json!([
            ["amount", { "amount": "10.50", "currency": "EUR" }, { "amount": "12.00", "currency": "EUR" }, "UPDATED", 2],
            ["company", null, { "id": company }, "UPDATED", 2],
            ["name", "a", "b", "UPDATED", 2],
            ["amount", null, { "amount": "10.50", "currency": "EUR" }, "CREATED", 1],
            ["name", null, "a", "CREATED", 1],
        ]));
        assert!(nodes.iter().all(|node| node["actor"]["kind"] == "MEMBER" && node["actor"]["member"]["name"].is_string() && node["cause"] == "REQUEST" && node["__typename"] == "FieldChange"), "{history:#}");
        assert_eq!((&nodes[0]["at"], &nodes[4]["at"]), (&json!("2026-03-11T12:00:01Z"), &json!("2026-03-11T12:00:00Z")));
        assert_eq!(history["pageInfo"]["hasNextPage"], false);
    }

    async fn a_history_is_read_page_by_page(server: &Server) {
        let admin = server.admin().await;
        let note = admin.create("note", json!({ "title": "0" })).await;
        for n in 1..=4 {
            admin.update("note", &note, json!({ "title": n.to_string() })).await;
        }
        let (mut after, mut seen) = (Value::Null, Vec::new());
        loop {
            let document = "query($id: ID!, $after: Cursor) { note(id: $id) { history(first: 2, after: $after, fields: [\"title\"]) { edges { cursor node { to } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";
            let page = admin.ask_with(document, json!({ "id": note, "after": after })).await["note"]["history"].take();
            let edges = page["edges"].as_array().unwrap();
            seen.extend(edges.iter().map(|edge| edge["node"]["to"].as_str().unwrap().to_owned()));
            assert_eq!(page["pageInfo"]["endCursor"], edges.last().unwrap()["cursor"]);
            assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(seen, ["4", "3", "2", "1", "0"]);
        for wrong in ["first: 201", "first: -1", "after: \"x\"", "fields: [\"nothing\"]"] {
            assert_eq!(admin.refused(&format!("{{ note(id: \"{note}\") {{ history({wrong}) {{ nodes {{ to }} }} }} }}")).await.0, "BAD_REQUEST", "{wrong}");
        }
        let none = admin.ask(&format!("{{ note(id: \"{note}\") {{ history(fields: []) {{ nodes {{ to }} }} }} }}")).await;
        assert_eq!(none["note"]["history"]["nodes"], json!([]));
    }

    async fn what_is_not_seen_whole_has_no_history(server: &Server) {
        let admin = server.admin().await;
        let bea = server.member(&admin, "Bea", "REP").await;
        let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { path message } } }";
        let input = json!({ "name": "Blind", "restricts": true, "objects": [
            { "object": "COMPANY", "read": ["OWN"] }, { "create": true, "read": ["ALL"], "update": ["ALL"], "delete": ["ALL"] }], "fields": [
            { "object": "DEAL", "field": "amount", "sight": "HIDDEN" }, { "object": "DEAL", "field": "description", "sight": "MASKED" }] });
        let role = admin.ask_with(create, json!({ "input": input })).await["createRole"]["role"]["id"].take();
        let set = "mutation($h: ID!, $r: [ID!]!) { setRoles(input: { holder: $h, roles: $r }) { userErrors { code } } }";
        let roles = json!({ "h": bea.id().await, "r": [admin.role("REP").await, role] });
        assert_eq!(admin.ask_with(set, roles).await["setRoles"]["userErrors"], json!([]));
        let company = admin.create("company", json!({ "name": "not Bea's" })).await;
        let input = json!({ "name": "a", "owner": { "id": bea.id().await }, "company": { "id": company }, "description": "secret", "amount": { "amount": "1", "currency": "EUR" } });
        let deal = admin.create("deal", input).await;
        let document = format!("{{ deal(id: \"{deal}\") {{ history(first: 200) {{ nodes {{ field from to }} }} }} }}");
        let whole = admin.ask(&document).await["deal"]["history"]["nodes"].take();
        for name in ["amount", "description", "name", "owner"] {
            assert!(fields(&whole).contains(&name), "{name} is missing in {whole:#}");
        }
        let seen = bea.ask(&document).await["deal"]["history"]["nodes"].take();
        assert!(fields(&seen).contains(&"name") && !fields(&seen).contains(&"amount") && !fields(&seen).contains(&"description"), "{seen:#}");
        // What a reference led to is not told to whoever does not see every company.
        let to = |nodes: &Value| nodes.as_array().unwrap().iter().find(|node| node["field"] == "company").unwrap()["to"].clone();
        assert_eq!((to(&whole), to(&seen)), (json!({ "id": company }), Value::Null));
        let asked = format!("{{ deal(id: \"{deal}\") {{ history(fields: [\"amount\"]) {{ nodes {{ to }} }} }} }}");
        assert_eq!(bea.refused(&asked).await.0, "FORBIDDEN");
    }

    async fn a_removal_and_its_return_are_told(server: &Server) {
        let admin = server.admin().await;
        let note = admin.create("note", json!({ "title": "n" })).await;
        let by_id = json!({ "id": note });
        for name in ["deleteNote", "restoreNote"] {
            let done = admin.ask_with(&format!("mutation($id: ID!) {{ {name}(id: $id) {{ userErrors {{ code }} }} }}"), by_id.clone()).await;
            assert_eq!(done[name]["userErrors"], json!([]));
        }
        let history = admin.ask(&format!("{{ note(id: \"{note}\") {{ history(fields: [\"deletedAt\"]) {{ nodes {{ kind from to }} }} }} }}")).await;
        assert_eq!(history["note"]["history"]["nodes"], json!([
            { "kind": "RESTORED", "from": "2026-03-11T12:00:00Z", "to": null },
            { "kind": "DELETED", "from": null, "to": "2026-03-11T12:00:00Z" },
        ]));
    }

    async fn a_link_is_told_where_it_was_made(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "c" })).await;
        let person = admin.create("person", json!({ "lastName": "p" })).await;
        let link = json!({ "companies": { "connect": [{ "id": company, "role": "CFO" }] } });
        assert_eq!(admin.update("person", &person, link).await["userErrors"], json!([]));
        admin.update("person", &person, json!({ "companies": { "disconnect": [company] } })).await;
        let data = admin.ask(&format!("{{ person(id: \"{person}\") {{ history(fields: [\"companies\"]) {{ nodes {{ kind from to }} }} }} }}")).await;
        let nodes = &data["person"]["history"]["nodes"];
        let told: Vec<(&Value, &Value, &Value)> = nodes.as_array().unwrap().iter().map(|n| (&n["kind"], &n["from"]["id"], &n["to"]["id"])).collect();
        assert_eq!(json!(told), json!([["UNLINKED", company, null], ["LINKED", null, company]]), "{nodes:#}");
    }

    async fn a_sealed_value_is_opened_for_those_who_may_and_that_is_written_down(server: &Server) {
        let admin = server.admin().await;
        let field = "mutation { createField(input: { object: PERSON, name: \"passport\", kind: TEXT, label: \"Passport\", encrypted: true }) { userErrors { code } } }";
        assert_eq!(admin.ask(field).await["createField"]["userErrors"], json!([]));
        let person = admin.create("person", json!({ "lastName": "p", "custom": { "passport": "X1" } })).await;
        admin.update("person", &person, json!({ "custom": { "passport": "X2" } })).await;
        let history = admin.ask(&format!("{{ person(id: \"{person}\") {{ history(fields: [\"custom.passport\"]) {{ nodes {{ field from to }} }} }} }}")).await;
        assert_eq!(history["person"]["history"]["nodes"], json!([
            { "field": "custom.passport", "from": "X1", "to": "X2" },
            { "field": "custom.passport", "from": null, "to": "X1" },
        ]));
        let audit = admin.ask("{ audit(filter: { actions: [SENSITIVE_READ] }) { nodes { action } } }").await;
        assert!(!audit["audit"]["nodes"].as_array().unwrap().is_empty());
    }
}
