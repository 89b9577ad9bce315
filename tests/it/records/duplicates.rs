//! Records that may be the same: found by what they are known by, warned of and refused by rule.

use serde_json::{Value, json};

use super::custom_objects::define;
use crate::harness::{Actor, Server, on_both};

async fn like(admin: &Actor<'_>, one: &str, draft: Value) -> Vec<(String, u64, String)> {
    let ty = crate::harness::capital(one);
    let document = format!(
        "query($draft: {ty}Create!) {{ {one}Duplicates(draft: $draft) {{ hidden nodes {{ {one} {{ title }} score reasons {{ field method }} }} }} }}"
    );
    let found = admin.ask_with(&document, json!({ "draft": draft })).await[format!("{one}Duplicates")].take();
    let told = |node: &Value| {
        let reasons: Vec<String> = node["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| format!("{} {}", reason["field"].as_str().unwrap(), reason["method"].as_str().unwrap()))
            .collect();
        (node[one]["title"].as_str().unwrap().to_owned(), node["score"].as_u64().unwrap(), reasons.join(", "))
    };
    found["nodes"].as_array().unwrap().iter().map(told).collect()
}

fn told(title: &str, score: u64, reasons: &str) -> (String, u64, String) {
    (title.to_owned(), score, reasons.to_owned())
}

async fn rule(admin: &Actor<'_>, object: &str, action: &str, least: u8) {
    let document = format!(
        "mutation {{ setDuplicateRule(input: {{ object: {object}, action: {action}, leastScore: {least} }}) {{ duplicateRule {{ object action leastScore }} userErrors {{ message }} }} }}"
    );
    let made = admin.ask(&document).await["setDuplicateRule"].take();
    assert_eq!(made, json!({ "duplicateRule": { "object": object, "action": action, "leastScore": least }, "userErrors": [] }));
}

const CREATE: &str = "mutation($i: PersonCreate!, $known: [ID!]) { createPerson(input: $i, acknowledge: $known) { person { id } warnings { code message records } userErrors { code message path records } } }";

on_both! {
    async fn people_are_found_by_addresses_numbers_and_names(server: &Server) {
        let admin = server.admin().await;
        let first = json!({ "firstName": "Robert", "lastName": "Müller", "emails": [{ "address": "bob.mueller@acme.example", "primary": true }], "phones": [{ "number": "+41 44 668 18 00", "primary": true }], "birthday": "1980-01-02" });
        let id = admin.create("person", first).await;
        admin.create("person", json!({ "firstName": "Eva", "lastName": "Other", "emails": [{ "address": "eva@acme.example", "primary": true }] })).await;
        for (draft, expected) in [
            (json!({ "lastName": "x", "emails": [{ "address": "Bob.Mueller+news@Acme.example" }] }), vec![told("Robert Müller", 95, "emails EXACT")]),
            (json!({ "lastName": "x", "phones": [{ "number": "+41 44 6681800" }] }), vec![told("Robert Müller", 70, "phones EXACT")]),
            (json!({ "firstName": "Bob", "lastName": "Muller" }), vec![told("Robert Müller", 60, "fullName EXACT")]),
            (json!({ "firstName": "Müller", "lastName": "Robert" }), vec![told("Robert Müller", 60, "fullName EXACT")]),
            (json!({ "firstName": "Robert", "lastName": "Mülller", "emails": [{ "address": "r@sales.acme.example" }] }), vec![told("Robert Müller", 58, "fullName SIMILAR, emails EXACT")]),
            (json!({ "firstName": "Robert", "lastName": "Müller", "birthday": "1999-09-09" }), vec![]),
            (json!({ "firstName": "R", "lastName": "Müller", "birthday": "1980-01-02" }), vec![told("Robert Müller", 70, "birthday EXACT, fullName SIMILAR")]),
            (json!({ "firstName": "Someone", "lastName": "Else", "emails": [{ "address": "x@gmail.com" }] }), vec![]),
        ] {
            assert_eq!(like(&admin, "person", draft.clone()).await, expected, "{draft}");
        }
        let twin = admin.create("person", json!({ "firstName": "Robert", "lastName": "Muller" })).await;
        let of = admin.ask(&format!("{{ personDuplicates(id: \"{id}\") {{ hidden nodes {{ person {{ id }} score }} __typename }} }}")).await;
        assert_eq!(of["personDuplicates"], json!({ "hidden": 0, "nodes": [{ "person": { "id": twin }, "score": 60 }], "__typename": "PersonDuplicates" }));
    }

    async fn companies_and_own_objects_are_found_too(server: &Server) {
        let admin = server.admin().await;
        admin.create("company", json!({ "name": "Smith & Söhne GmbH", "domains": ["smith.co.uk"], "vatId": "CHE-123.456.789" })).await;
        admin.create("company", json!({ "name": "International Business Machines" })).await;
        for (draft, expected) in [
            (json!({ "name": "smith and sohne ag" }), vec![told("Smith & Söhne GmbH", 60, "name EXACT")]),
            (json!({ "name": "Quite other", "domains": ["shop.smith.co.uk"] }), vec![told("Smith & Söhne GmbH", 80, "domains EXACT")]),
            (json!({ "name": "Smith and Sohnee", "vatId": "CHE123456789" }), vec![told("Smith & Söhne GmbH", 95, "vatId EXACT, name SIMILAR")]),
            (json!({ "name": "I.B.M. Corp." }), vec![]),
        ] {
            assert_eq!(like(&admin, "company", draft.clone()).await, expected, "{draft}");
        }
        let fields = json!([{ "name": "phones", "kind": "PHONE", "label": "Phone" }]);
        assert_eq!(define(&admin, json!({ "name": "clinic", "plural": "clinics", "label": "Clinic", "pluralLabel": "Clinics", "fields": fields })).await["userErrors"], json!([]));
        admin.create("clinic", json!({ "name": "St. Anna", "phones": "+41446681800" })).await;
        assert_eq!(like(&admin, "clinic", json!({ "name": "St Anna", "phones": "+41446681800" })).await, [told("St. Anna", 88, "phones EXACT, name EXACT")]);
    }

    async fn a_rule_warns_and_another_one_refuses(server: &Server) {
        let admin = server.admin().await;
        let ada = json!({ "firstName": "Ada", "lastName": "Lovelace" });
        let first = admin.create("person", ada.clone()).await;
        let create = async |known: Value| admin.ask_with(CREATE, json!({ "i": ada, "known": known })).await["createPerson"].take();
        assert_eq!(create(Value::Null).await["warnings"], json!([]));
        rule(&admin, "PERSON", "WARN", 60).await;
        let warned = create(Value::Null).await;
        assert_eq!((&warned["userErrors"], &warned["warnings"][0]["code"]), (&json!([]), &json!("DUPLICATE")));
        assert_eq!(warned["warnings"][0]["records"].as_array().unwrap().len(), 2);
        let all = admin.ask("{ people { nodes { id } } }").await["people"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()).collect::<Vec<_>>();
        assert_eq!(create(json!(all)).await["warnings"], json!([]));
        rule(&admin, "PERSON", "BLOCK", 60).await;
        let refused = create(Value::Null).await;
        assert_eq!((&refused["person"], &refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]), (&Value::Null, &json!("DUPLICATE"), &json!([])));
        assert!(refused["userErrors"][0]["records"].as_array().unwrap().contains(&json!(first)));
        let many = "mutation($i: [PersonCreate!]!) { createPeople(inputs: $i, onError: SKIP_FAILED) { results { person { id } userErrors { code } } } }";
        let twice = json!([{ "firstName": "Grace", "lastName": "Hopper" }, { "firstName": "Grace", "lastName": "Hopper" }]);
        let made = admin.ask_with(many, json!({ "i": twice })).await["createPeople"]["results"].take();
        assert!(made[0]["person"]["id"].is_string() && made[1]["userErrors"][0]["code"] == "DUPLICATE", "{made}");
        let at_once = json!([{ "firstName": "Alan", "lastName": "Turing" }, { "firstName": "Alan", "lastName": "Turing" }]);
        let rolled_back = admin.ask_with(&many.replace(", onError: SKIP_FAILED", ""), json!({ "i": at_once })).await["createPeople"]["results"].take();
        assert_eq!((&rolled_back[0]["userErrors"][0]["code"], &rolled_back[1]["userErrors"][0]["code"]), (&json!("ROLLED_BACK"), &json!("DUPLICATE")));
        // Nested, the path says where.
        let company = json!({ "name": "c", "people": { "create": [{ "record": { "firstName": "Ada", "lastName": "Lovelace" } }] } });
        let nested = admin.mutate("createCompany", "company", company).await;
        assert_eq!(nested["userErrors"][0]["path"], json!(["people", "create", "0", "record"]));
        let rules = admin.ask("{ duplicateRules { object action } }").await["duplicateRules"].as_array().unwrap().clone();
        assert!(rules.contains(&json!({ "object": "PERSON", "action": "BLOCK" })) && rules.contains(&json!({ "object": "COMPANY", "action": "ALLOW" })) && !rules.iter().any(|rule| rule["object"] == "STAGE"));
    }

    async fn who_is_not_seen_is_only_counted(server: &Server) {
        let admin = server.admin().await;
        admin.create("person", json!({ "firstName": "Ada", "lastName": "Lovelace", "phones": [{ "number": "+41446681800" }] })).await;
        let rep = server.member(&admin, "Rep", "REP").await;
        let portal = server.member(&admin, "Guest", "PORTAL").await;
        let document = "{ personDuplicates(draft: { firstName: \"Ada\", lastName: \"Lovelace\" }) { hidden nodes { score } } }";
        let seen = rep.ask(document).await["personDuplicates"].take();
        let own = rep.ask("{ people { totalCount } }").await["people"]["totalCount"].as_u64().unwrap();
        assert_eq!(seen["nodes"].as_array().unwrap().len() as u64 + seen["hidden"].as_u64().unwrap(), 1);
        assert_eq!(seen["nodes"].as_array().unwrap().len() as u64, own);
        // Whoever sees only what they are linked to learns nothing of others.
        assert_eq!(portal.ask(document).await["personDuplicates"], json!({ "hidden": 0, "nodes": [] }));
        rule(&admin, "PERSON", "BLOCK", 60).await;
        // A rule holds for whoever makes records without seeing any, and tells them no more than that.
        let role = "mutation { createRole(input: { name: \"Intake\", objects: [{ object: PERSON, create: true }] }) { role { id } userErrors { message } } }";
        let role = admin.ask(role).await["createRole"]["role"]["id"].take();
        let key = admin.ask_with("mutation($role: ID!) { createApiKey(input: { name: \"k\", roles: [$role] }) { secret } }", json!({ "role": role })).await["createApiKey"]["secret"].take();
        let intake = Actor { credential: key.as_str().map(str::to_owned), ..admin.clone() };
        let refused = intake.ask_with("mutation($i: PersonCreate!) { createPerson(input: $i) { userErrors { code message records } } }", json!({ "i": { "firstName": "Ada", "lastName": "Lovelace" } })).await;
        assert_eq!(refused["createPerson"]["userErrors"], json!([{ "code": "DUPLICATE", "message": "It looks like a person that is there already: one at least.", "records": [] }]));
        assert_eq!(intake.refused(document).await.0, "FORBIDDEN");
        let refused = rep.ask_with(CREATE, json!({ "i": { "firstName": "Ada", "lastName": "Lovelace" } })).await["createPerson"].take();
        assert_eq!((&refused["userErrors"][0]["code"], refused["userErrors"][0]["records"].as_array().unwrap().len() as u64), (&json!("DUPLICATE"), own));
    }

    async fn what_is_no_question_is_refused(server: &Server) {
        let admin = server.admin().await;
        let id = admin.create("person", json!({ "lastName": "x" })).await;
        for arguments in ["first: 3", "draft: { lastName: \"x\" }, id: \"0190a5d0-0000-7000-8000-000000000000\"", "draft: {}, first: 51", "draft: { emails: [{ address: \"no\" }] }"] {
            assert_eq!(admin.refused(&format!("{{ personDuplicates({arguments}) {{ hidden }} }}")).await.0, "BAD_REQUEST", "{arguments}");
        }
        assert_eq!(admin.ask("{ personDuplicates(id: \"0190a5d0-0000-7000-8000-000000000000\") { hidden } }").await["personDuplicates"], Value::Null);
        assert_eq!(admin.ask(&format!("{{ personDuplicates(id: \"{id}\", first: 0) {{ hidden nodes {{ score }} }} }}")).await["personDuplicates"], json!({ "hidden": 0, "nodes": [] }));
        let refused = admin.ask("mutation { setDuplicateRule(input: { object: STAGE, action: WARN }) { userErrors { code path } } }").await;
        assert_eq!(refused["setDuplicateRule"]["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["object"] }]));
        let refused = admin.ask("mutation { setDuplicateRule(input: { object: DEAL, action: WARN, leastScore: 3 }) { userErrors { code path } } }").await;
        assert_eq!(refused["setDuplicateRule"]["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["leastScore"] }]));
    }
}
