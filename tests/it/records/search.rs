//! Searching: words, beginnings, errors of typing, addresses and numbers; ranked, paged, and within what a caller sees.

use serde_json::{Value, json};

use super::custom_objects::define;
use crate::harness::{Actor, Server, on_both};

async fn titles(actor: &Actor<'_>, query: &str) -> Vec<String> {
    let data = actor.ask_with("query($q: String!) { search(query: $q) { nodes { title } } }", json!({ "q": query })).await;
    list(&data["search"]["nodes"])
}

fn list(nodes: &Value) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node["title"].as_str().unwrap().to_owned()).collect()
}

async fn people(admin: &Actor<'_>) {
    let company = admin
        .create("company", json!({ "name": "Müller & Söhne", "domains": ["mueller.example"], "description": "Schreinerei in Köln" }))
        .await;
    admin
        .create(
            "person",
            json!({
                "firstName": "Ada", "lastName": "Lovelace", "emails": [{ "address": "ada.lovelace@Analytical.example" }],
                "phones": [{ "number": "+49 30 90182055" }], "companies": { "connect": [{ "id": company }] },
            }),
        )
        .await;
    admin.create("person", json!({ "firstName": "John", "lastName": "O'Brien" })).await;
    admin.create("deal", json!({ "name": "Lovelace engine" })).await;
    admin.create("note", json!({ "title": "Call", "body": "She wants **brass** gears, délivrés en mai." })).await;
}

on_both! {
    async fn a_record_is_found_by_what_people_type(server: &Server) {
        let admin = server.admin().await;
        people(&admin).await;
        for (typed, found) in [
            ("muller", vec!["Müller & Söhne"]),
            ("SOHNE mull", vec!["Müller & Söhne"]),
            ("köln schrein", vec!["Müller & Söhne"]),
            ("mueller.example", vec!["Müller & Söhne"]),
            ("https://www.mueller.example", vec!["Müller & Söhne"]),
            ("lovel", vec!["Lovelace engine", "Ada Lovelace"]),
            ("ada lov", vec!["Ada Lovelace"]),
            ("ada.lovelace@analytical.example", vec!["Ada Lovelace"]),
            ("analytical.example", vec!["Ada Lovelace"]),
            ("+49 (0)30 90182055", vec!["Ada Lovelace"]),
            ("030/901 820 55", vec!["Ada Lovelace"]),
            ("90182055", vec!["Ada Lovelace"]),
            ("tel:+493090182055", vec!["Ada Lovelace"]),
            ("lovelace 030 90182055", vec!["Ada Lovelace"]),
            ("brass gear", vec!["Call"]),
            ("delivres", vec!["Call"]),
            ("o'brien", vec!["John O'Brien"]),
            ("obrien", vec!["John O'Brien"]),
            // A letter or two wrong, too many, too few, turned round.
            ("lovelase", vec!["Ada Lovelace", "Lovelace engine"]),
            ("jhon", vec!["John O'Brien"]),
            ("enginne", vec!["Lovelace engine"]),
            ("ada lvelace", vec!["Ada Lovelace"]),
            ("zebra", vec![]),
            ("lovelace zebra", vec![]),
            ("  ", vec![]),
            ("?!", vec![]),
        ] {
            let mut titles = titles(&admin, typed).await;
            if typed != "lovel" {
                titles.sort();
            }
            assert_eq!(titles, found, "{typed}");
        }
    }

    async fn a_search_is_true_of_the_last_write(server: &Server) {
        let admin = server.admin().await;
        let id = admin.create("deal", json!({ "name": "Quartz" })).await;
        assert_eq!(titles(&admin, "quartz").await, ["Quartz"]);
        admin.update("deal", &id, json!({ "name": "Basalt", "description": "once quartz" })).await;
        assert_eq!(titles(&admin, "basalt").await, ["Basalt"]);
        assert_eq!(titles(&admin, "quartz").await, ["Basalt"]);
        admin.update("deal", &id, json!({ "description": null })).await;
        assert_eq!(titles(&admin, "quartz").await, [""; 0]);
        let verb = async |verb: &str| admin.ask_with(&format!("mutation($id: ID!) {{ {verb}Deal(id: $id) {{ userErrors {{ code }} }} }}"), json!({ "id": id })).await;
        verb("delete").await;
        assert_eq!(titles(&admin, "basalt").await, [""; 0]);
        verb("restore").await;
        assert_eq!(titles(&admin, "basalt").await, ["Basalt"]);
        verb("purge").await;
        assert_eq!(titles(&admin, "basalt").await, [""; 0]);
        // What was rolled back is not found.
        admin.ask("mutation { createDeal(input: { name: \"Granite\" }, validateOnly: true) { userErrors { code } } }").await;
        assert_eq!(titles(&admin, "granite").await, [""; 0]);
    }

    async fn hits_say_what_they_are_and_what_matched(server: &Server) {
        let admin = server.admin().await;
        people(&admin).await;
        let document = "{ search(query: \"lovelace\", objects: [PERSON]) { totalCount totalIsEstimate \
            nodes { __typename object title score record { __typename title ... on Person { firstName emails { address } } } highlights { field label parts { text isMatch } } } } }";
        let found = admin.ask(document).await["search"].take();
        assert_eq!(found, json!({
            "totalCount": 1, "totalIsEstimate": false,
            "nodes": [{
                "__typename": "SearchResult", "object": "PERSON", "title": "Ada Lovelace", "score": 0.818,
                "record": { "__typename": "Person", "title": "Ada Lovelace", "firstName": "Ada", "emails": [{ "address": "ada.lovelace@Analytical.example" }] },
                "highlights": [
                    { "field": "fullName", "label": "Full name", "parts": [{ "text": "Ada ", "isMatch": false }, { "text": "Lovelace", "isMatch": true }] },
                    { "field": "emails", "label": "E-mail addresses", "parts": [{ "text": "ada.lovelace", "isMatch": true }, { "text": "@Analytical.example", "isMatch": false }] },
                ],
            }],
        }));
        let number = admin.ask("{ search(query: \"030 90182055\") { edges { cursor node { highlights { field parts { text isMatch } } } } } }").await;
        assert_eq!(number["search"]["edges"][0]["node"]["highlights"], json!([{ "field": "phones", "parts": [{ "text": "+493090182055", "isMatch": true }] }]));
    }

    async fn hits_are_ranked_and_paged(server: &Server) {
        let admin = server.admin().await;
        for name in ["New acme", "Acme", "Acmeville", "Acme north", "Zeta"] {
            admin.create("company", json!({ "name": name, "description": "was part of acme" })).await;
        }
        let expected = ["Acme", "Acme north", "Acmeville", "New acme", "Zeta"];
        assert_eq!(titles(&admin, "acme").await, expected);
        let (mut seen, mut after, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let page = admin.ask_with("query($after: Cursor) { search(query: \"acme\", first: 2, after: $after) { totalCount nodes { title } pageInfo { hasNextPage endCursor } } }", json!({ "after": after })).await["search"].take();
            assert_eq!(page["totalCount"], 5);
            seen.extend(list(&page["nodes"]));
            pages += 1;
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        assert_eq!((seen.as_slice(), pages), (expected.map(str::to_owned).as_slice(), 3));
        // The title that is what was typed comes first, however many begin so.
        let many: Vec<Value> = (0..1000).map(|n| json!({ "name": format!("Zeppelin {n}") })).collect();
        for inputs in [json!(many), json!([{ "name": "Zeppelin" }])] {
            let made = admin.ask_with("mutation($inputs: [TagCreate!]!) { createTags(inputs: $inputs) { committed } }", json!({ "inputs": inputs })).await;
            assert_eq!(made["createTags"]["committed"], true);
        }
        assert_eq!(titles(&admin, "zeppelin").await[0], "Zeppelin");
        for (arguments, path) in [("first: 500", "first"), ("after: \"x\"", "after")] {
            let refused = admin.send(&format!("{{ search(query: \"acme\", {arguments}) {{ totalCount }} }}"), json!({})).await;
            assert_eq!((&refused["errors"][0]["extensions"]["code"], &refused["data"]["search"]), (&json!("BAD_REQUEST"), &Value::Null), "{path}");
        }
        let long = admin.send("query($q: String!) { search(query: $q) { totalCount } }", json!({ "q": "a".repeat(501) })).await;
        assert_eq!(long["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }

    async fn lists_are_searched_too(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        for (name, amount) in [("Acme renewal", "3"), ("Rebuild acme", "5"), ("Acme", "4"), ("Other", "9")] {
            admin.create("deal", json!({ "name": name, "amount": { "amount": amount, "currency": "EUR" }, "company": { "id": company } })).await;
        }
        let names = async |arguments: &str| {
            let data = admin.ask(&format!("{{ deals({arguments}) {{ totalCount aggregate {{ sum {{ amount {{ amount }} }} }} nodes {{ title }} pageInfo {{ endCursor hasNextPage }} }} }}")).await;
            data["deals"].clone()
        };
        let found = names("search: \"acme\"").await;
        assert_eq!((list(&found["nodes"]), &found["totalCount"], &found["aggregate"]["sum"]["amount"]["amount"]), (vec!["Acme".into(), "Acme renewal".into(), "Rebuild acme".into()], &json!(3), &json!("12.00")));
        assert_eq!(list(&names("search: \"acme\", orderBy: [{ amount: DESC }]").await["nodes"]), ["Rebuild acme", "Acme", "Acme renewal"]);
        assert_eq!(list(&names("search: \"acme\", filter: { amount: { amount: { lt: \"5\" } } }").await["nodes"]), ["Acme", "Acme renewal"]);
        assert_eq!(list(&names("search: \" \"").await["nodes"]).len(), 4);
        assert_eq!(list(&names("search: \"??\"").await["nodes"]).len(), 0);
        // Pages of a searched list go on where they ended, and back.
        let first = names("search: \"acme\", first: 2").await;
        let rest = names(&format!("search: \"acme\", first: 2, after: {}", first["pageInfo"]["endCursor"])).await;
        assert_eq!((list(&first["nodes"]), list(&rest["nodes"])), (vec!["Acme".into(), "Acme renewal".into()], vec!["Rebuild acme".into()]));
        assert_eq!(list(&names("search: \"acme\", last: 2").await["nodes"]), ["Acme renewal", "Rebuild acme"]);
        // A cursor of another search is told apart.
        let (code, _) = admin.refused(&format!("{{ deals(search: \"rebuild\", after: {}) {{ totalCount }} }}", first["pageInfo"]["endCursor"])).await;
        assert_eq!(code, "BAD_REQUEST");
        // Lists inside a record, and the types of an interface.
        let data = admin.ask(&format!("{{ company(id: \"{company}\") {{ deals(search: \"renew\") {{ totalCount nodes {{ title }} }} all: deals(search: \"acme\") {{ totalCount }} }} }}")).await;
        assert_eq!(data["company"], json!({ "deals": { "totalCount": 1, "nodes": [{ "title": "Acme renewal" }] }, "all": { "totalCount": 3 } }));
        admin.create("task", json!({ "subject": "Acme offer" })).await;
        admin.create("call", json!({ "subject": "Acme call" })).await;
        let data = admin.ask("{ tasks(search: \"acme\") { nodes { title } } activities(search: \"acme\") { totalCount } }").await;
        assert_eq!(data, json!({ "tasks": { "nodes": [{ "title": "Acme offer" }] }, "activities": { "totalCount": 2 } }));
    }

    async fn own_objects_and_fields_are_searched(server: &Server) {
        let admin = server.admin().await;
        define(&admin, json!({ "name": "property", "plural": "properties", "label": "Property", "pluralLabel": "Properties", "titleField": { "name": "address", "label": "Address" }, "fields": [{ "name": "finish", "kind": "SELECT", "label": "Finish", "options": [{ "key": "oak", "label": "Solid oak" }], "searchable": true }, { "name": "remark", "kind": "TEXT", "label": "Remark" }] })).await;
        admin.create("property", json!({ "address": "Hauptstrasse 5", "finish": "oak", "remark": "cellar" })).await;
        assert_eq!(titles(&admin, "hauptstr").await, ["Hauptstrasse 5"]);
        assert_eq!(titles(&admin, "solid").await, ["Hauptstrasse 5"]);
        assert_eq!(titles(&admin, "cellar").await, [""; 0]);
        let hit = admin.ask("{ search(query: \"oak\", objects: [PROPERTY]) { nodes { object record { ... on Property { address } } highlights { field } } } }").await;
        assert_eq!(hit["search"]["nodes"][0], json!({ "object": "PROPERTY", "record": { "address": "Hauptstrasse 5" }, "highlights": [{ "field": "finish" }] }));
        // A field that becomes searchable finds the records that are there.
        let objects = admin.ask("{ objects { name fields { id name } } }").await["objects"].take();
        let property = objects.as_array().unwrap().iter().find(|object| object["name"] == "property").unwrap();
        let remark = property["fields"].as_array().unwrap().iter().find(|field| field["name"] == "remark").unwrap()["id"].clone();
        let update = "mutation($id: ID!) { updateField(input: { id: $id, searchable: true }) { userErrors { message } } }";
        assert_eq!(admin.ask_with(update, json!({ "id": remark })).await["updateField"]["userErrors"], json!([]));
        for _ in 0..200 {
            if titles(&admin, "cellar").await == ["Hauptstrasse 5"] {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the field was never searched");
    }

    async fn a_search_shows_what_its_caller_reaches(server: &Server) {
        let admin = server.admin().await;
        let [ann, ben] = [server.member(&admin, "Ann", "REP").await, server.member(&admin, "Ben", "REP").await];
        let of_ann = ann.create("deal", json!({ "name": "Quartz of Ann" })).await;
        let of_ben = ben.create("deal", json!({ "name": "Quartz of Ben" })).await;
        for index in 0..5 {
            admin.create("deal", json!({ "name": format!("Quartz {index}") })).await;
        }
        let note = |deal: &str| json!({ "title": "Quartz note", "links": { "connect": [{ "id": deal }] } });
        admin.create("note", note(&of_ann)).await;
        admin.create("note", note(&of_ben)).await;
        let counted = async |actor: &Actor<'_>| {
            let data = actor.ask("{ search(query: \"quartz\") { totalCount nodes { title record { id } } } deals(search: \"quartz\") { totalCount } misspelt: search(query: \"qaurtz\") { totalCount } }").await;
            let mut titles = list(&data["search"]["nodes"]);
            titles.sort();
            (titles, data["search"]["totalCount"].clone(), data["deals"]["totalCount"].clone(), data["misspelt"]["totalCount"].clone())
        };
        assert_eq!(counted(&ann).await, (vec!["Quartz note".into(), "Quartz of Ann".into()], json!(2), json!(1), json!(2)));
        assert_eq!(counted(&admin).await.1, 9);
        // What is shared is found, from the next request on.
        let share = "mutation($record: ID!, $grantee: ID!) { shareRecord(input: { record: $record, grantee: $grantee }) { userErrors { message } } }";
        assert_eq!(ben.ask_with(share, json!({ "record": of_ben, "grantee": ann.id().await })).await["shareRecord"]["userErrors"], json!([]));
        assert_eq!(counted(&ann).await.2, 2);
        // And what is handed over.
        admin.update("deal", &of_ann, json!({ "owner": { "id": ben.id().await } })).await;
        assert_eq!(counted(&ann).await.2, 1);
        assert_eq!(counted(&ben).await.2, 2);
    }

    async fn a_hidden_field_is_not_searched(server: &Server) {
        let admin = server.admin().await;
        people(&admin).await;
        let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { message path } } }";
        let fields = json!([{ "object": "PERSON", "field": "emails", "sight": "MASKED" }, { "object": "PERSON", "field": "phones", "sight": "HIDDEN" }]);
        let role = admin.ask_with(create, json!({ "input": { "name": "Blind", "restricts": true, "fields": fields } })).await["createRole"].take();
        assert_eq!(role["userErrors"], json!([]));
        let viewer = admin.role("MANAGER").await;
        let blind = server.member_with(&admin, "Bea", "MANAGER", json!({ "roles": [viewer, role["role"]["id"]] })).await;
        for (typed, sees) in [("analytical", false), ("analytical.example", false), ("ada.lovelace@analytical.example", false), ("+493090182055", false), ("ada", true), ("ada lovelase", true)] {
            let found = titles(&blind, typed).await.contains(&"Ada Lovelace".to_owned());
            assert_eq!(found, sees, "{typed}");
            let list = blind.ask_with("query($q: String) { people(search: $q) { totalCount } }", json!({ "q": typed })).await;
            assert_eq!(list["people"]["totalCount"], i32::from(sees), "{typed}");
            assert!(titles(&admin, typed).await.contains(&"Ada Lovelace".to_owned()), "{typed}");
        }
        // Nor does what is missing tell of it: misspelt titles are shown by what the caller sees alone.
        admin.create("person", json!({ "firstName": "Zora", "lastName": "Analytocal" })).await;
        for typed in ["analytical", "analyticul"] {
            assert_eq!(titles(&blind, typed).await, ["Zora Analytocal"], "{typed}");
        }
        let hit = blind.ask("{ search(query: \"lovelace\", objects: [PERSON]) { nodes { highlights { field } } } }").await;
        assert_eq!(hit["search"]["nodes"][0]["highlights"], json!([{ "field": "fullName" }]));
    }
}
