//! What was changed together, and undoing it.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

const REVERT: &str = "mutation($id: ID!, $only: Boolean) { revertChangeSet(input: { id: $id, validateOnly: $only }) { changeSetId reverted { kind recordId } skipped { reason message fields operation { kind recordId } } userErrors { code path } } }";

async fn write(actor: &Actor<'_>, document: &str, variables: Value) -> (Value, String) {
    let data = actor.ask_with(document, variables).await;
    let payload = data.as_object().unwrap().values().next().unwrap().clone();
    let set = payload["changeSetId"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned();
    (payload, set)
}

async fn revert(actor: &Actor<'_>, set: &str) -> Value {
    actor.ask_with(REVERT, json!({ "id": set, "only": false })).await["revertChangeSet"].take()
}

fn kinds(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn a_write_says_what_it_is_called_and_can_be_read_back(server: &Server) {
        let admin = server.admin().await;
        let (payload, set) = write(&admin, "mutation { createCompany(input: { name: \"Acme\", people: { create: [{ record: { lastName: \"Lovelace\" } }] } }) { company { id people { nodes { id } } } changeSetId userErrors { path message } } }", json!({})).await;
        let company = &payload["company"]["id"];
        let person = &payload["company"]["people"]["nodes"][0]["id"];
        let found = admin.ask_with("query($id: ID!) { changeSet(id: $id) { id actorKind cause reverts revertedBy operations { object recordId kind version fields } } }", json!({ "id": set })).await["changeSet"].take();
        assert_eq!((&found["actorKind"], &found["cause"], &found["reverts"], &found["revertedBy"]), (&json!("MEMBER"), &json!("REQUEST"), &Value::Null, &json!([])));
        let operations = found["operations"].as_array().unwrap();
        let of = |kind: &str| operations.iter().filter(|of| of["kind"] == kind).map(|of| of["recordId"].clone()).collect::<Vec<_>>();
        assert!(of("CREATED").contains(company) && of("CREATED").contains(person));
        assert_eq!(of("LINKED").len(), 1);
        assert!(operations[0]["fields"].as_array().unwrap().contains(&json!("name")));
        // What was not written is called nothing.
        let preview = admin.ask("mutation { createCompany(input: { name: \"x\" }, validateOnly: true) { changeSetId } createDeal(input: { name: \"\" }) { changeSetId userErrors { code } } }").await;
        assert_eq!((&preview["createCompany"]["changeSetId"], &preview["createDeal"]["changeSetId"]), (&Value::Null, &Value::Null));
        assert_eq!(admin.ask("{ changeSet(id: \"nothing\") { id } }").await["changeSet"], Value::Null);
        // A bulk call is one, and so is an atomic operation.
        let bulk = admin.ask("mutation { createDeals(inputs: [{ name: \"a\" }, { name: \"b\" }]) { changeSetId results { changeSetId } } }").await["createDeals"].take();
        assert!(bulk["changeSetId"].is_string() && bulk["results"][0]["changeSetId"] == bulk["changeSetId"]);
        let atomic = admin.ask("mutation @atomic { a: createDeal(input: { name: \"a\" }) { changeSetId } b: createDeal(input: { name: \"b\" }) { changeSetId } }").await;
        assert_eq!(atomic["a"], atomic["b"]);
        let both = admin.ask_with("query($id: ID!) { changeSet(id: $id) { operations { kind } } }", json!({ "id": atomic["a"]["changeSetId"] })).await;
        assert_eq!(kinds(&both["changeSet"]["operations"]), ["CREATED", "CREATED"]);
    }

    async fn what_was_made_goes_and_what_was_deleted_comes_back(server: &Server) {
        let admin = server.admin().await;
        let (payload, made) = write(&admin, "mutation { createCompany(input: { name: \"Acme\", domains: [\"acme.example\"], people: { create: [{ record: { lastName: \"Lovelace\" } }] } }) { company { id } changeSetId } }", json!({})).await;
        let id = payload["company"]["id"].clone();
        let preview = admin.ask_with(REVERT, json!({ "id": made, "only": true })).await["revertChangeSet"].take();
        assert_eq!((&preview["changeSetId"], kinds(&preview["reverted"]).len()), (&Value::Null, 2));
        assert_eq!(admin.ask("{ companies { totalCount } people { totalCount } }").await, json!({ "companies": { "totalCount": 1 }, "people": { "totalCount": 1 } }));
        let undone = revert(&admin, &made).await;
        assert_eq!((kinds(&undone["reverted"]), &undone["skipped"]), (vec!["CREATED".into(), "CREATED".into()], &json!([])));
        assert_eq!(admin.ask("{ companies { totalCount } people { totalCount } }").await, json!({ "companies": { "totalCount": 0 }, "people": { "totalCount": 0 } }));
        // Undoing that brings them back, with their link.
        let again = revert(&admin, undone["changeSetId"].as_str().unwrap()).await;
        assert_eq!(again["skipped"], json!([]));
        let back = admin.ask_with("query($id: ID!) { company(id: $id) { name domains people { totalCount } } }", json!({ "id": id })).await;
        assert_eq!(back["company"], json!({ "name": "Acme", "domains": ["acme.example"], "people": { "totalCount": 1 } }));
        let told = admin.ask_with("query($id: ID!) { changeSet(id: $id) { revertedBy } }", json!({ "id": made })).await;
        assert_eq!(told["changeSet"]["revertedBy"], json!([undone["changeSetId"]]));
        // A record that was purged is not brought back.
        let (_, deleted) = write(&admin, "mutation($id: ID!) { deleteCompany(id: $id) { changeSetId } }", json!({ "id": id })).await;
        admin.ask_with("mutation($id: ID!) { purgeCompany(id: $id) { deletedId } }", json!({ "id": id })).await;
        let nothing = revert(&admin, &deleted).await;
        assert_eq!((&nothing["changeSetId"], &nothing["skipped"][0]["reason"]), (&Value::Null, &json!("NOT_REVERTIBLE")));
        assert_eq!(revert(&admin, "00000000-0000-7000-8000-000000000000").await["userErrors"], json!([{ "code": "NOT_FOUND", "path": ["id"] }]));
    }

    async fn fields_get_the_values_that_they_had_unless_they_were_changed_since(server: &Server) {
        let admin = server.admin().await;
        admin.ask("mutation { createField(input: { object: PERSON, name: \"score\", label: \"Score\", kind: DECIMAL }) { userErrors { message } } }").await;
        let boss = admin.create("person", json!({ "lastName": "Boss" })).await;
        let id = admin.create("person", json!({
            "firstName": "Ada", "lastName": "Lovelace", "emails": [{ "address": "ada@a.example" }], "phones": [{ "number": "+41446681800" }], "birthday": "1815-12-10",
            "custom": { "score": "1.5" }, "reportsTo": { "id": boss },
        })).await;
        let read = "query($id: ID!) { person(id: $id) { firstName jobTitle emails { address primary } phones { e164 } birthday custom { score } reportsTo { id } address { city } } }";
        let before = admin.ask_with(read, json!({ "id": id })).await;
        let (_, set) = write(&admin, "mutation($id: ID!, $input: PersonUpdate!) { updatePerson(id: $id, input: $input) { changeSetId userErrors { path message } } }", json!({ "id": id, "input": {
            "firstName": "Bea", "jobTitle": "Boss", "emails": [{ "address": "bea@b.example" }], "phones": [], "birthday": null, "custom": { "score": "2" }, "reportsTo": null, "address": { "city": "Bern" },
        } })).await;
        let undone = revert(&admin, &set).await;
        assert_eq!(undone["skipped"], json!([]), "{undone}");
        assert_eq!(admin.ask_with(read, json!({ "id": id })).await, before);
        // Done again, and one field changed by somebody else: that one stays.
        let (_, set) = write(&admin, "mutation($id: ID!) { updatePerson(id: $id, input: { firstName: \"Bea\", jobTitle: \"Chef\" }) { changeSetId } }", json!({ "id": id })).await;
        admin.update("person", &id, json!({ "jobTitle": "Cook" })).await;
        let undone = revert(&admin, &set).await;
        assert_eq!((&undone["skipped"][0]["reason"], &undone["skipped"][0]["fields"]), (&json!("OVERTAKEN"), &json!(["jobTitle"])));
        let now = admin.ask_with("query($id: ID!) { person(id: $id) { firstName jobTitle } }", json!({ "id": id })).await;
        assert_eq!(now["person"], json!({ "firstName": "Ada", "jobTitle": "Cook" }));
        // What was made and changed since stays.
        let (payload, set) = write(&admin, "mutation { createDeal(input: { name: \"d\" }) { deal { id } changeSetId } }", json!({})).await;
        admin.update("deal", payload["deal"]["id"].as_str().unwrap(), json!({ "description": "later" })).await;
        let undone = revert(&admin, &set).await;
        assert_eq!((&undone["changeSetId"], &undone["skipped"][0]["reason"]), (&Value::Null, &json!("OVERTAKEN")));
        // A bulk change goes back in one.
        for n in 0..3 {
            admin.create("company", json!({ "name": format!("c{n}"), "industry": "old" })).await;
        }
        let (_, set) = write(&admin, "mutation { updateCompanies(filter: { industry: { eq: \"old\" } }, input: { industry: \"new\" }, limit: 10) { changeSetId } }", json!({})).await;
        assert_eq!(kinds(&revert(&admin, &set).await["reverted"]).len(), 3);
        assert_eq!(admin.ask("{ companies(filter: { industry: { eq: \"old\" } }) { totalCount } }").await["companies"]["totalCount"], 3);
    }

    async fn links_are_cut_and_made_again(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        let person = admin.create("person", json!({ "lastName": "P" })).await;
        let links = async || {
            let data = admin.ask_with("query($id: ID!) { company(id: $id) { people { edges { role title primary node { id } } } } }", json!({ "id": company })).await;
            data["company"]["people"]["edges"].clone()
        };
        let edit = async |edit: Value| {
            let document = "mutation($id: ID!, $input: CompanyUpdate!) { updateCompany(id: $id, input: $input) { changeSetId userErrors { path message } } }";
            write(&admin, document, json!({ "id": company, "input": { "people": edit } })).await.1
        };
        let made = edit(json!({ "connect": [{ "id": person, "role": "Buyer", "title": "Head", "primary": true }] })).await;
        let full = links().await;
        let said = edit(json!({ "update": [{ "id": person, "role": "User" }] })).await;
        assert_eq!(links().await[0]["role"], "User");
        assert_eq!(revert(&admin, &said).await["skipped"], json!([]));
        assert_eq!(links().await, full);
        let cut = edit(json!({ "disconnect": [person] })).await;
        assert_eq!(links().await, json!([]));
        assert_eq!(revert(&admin, &cut).await["skipped"], json!([]));
        assert_eq!(links().await, full);
        assert_eq!(revert(&admin, &made).await["skipped"], json!([]));
        assert_eq!(links().await, json!([]));
    }

    async fn a_change_set_shows_and_undoes_what_its_reader_may(server: &Server) {
        let admin = server.admin().await;
        let [ann, ben] = [server.member(&admin, "Ann", "REP").await, server.member(&admin, "Ben", "REP").await];
        let (payload, set) = write(&ben, "mutation { createDeal(input: { name: \"of Ben\" }) { deal { id } changeSetId } }", json!({})).await;
        let query = "query($id: ID!) { changeSet(id: $id) { operations { recordId } } }";
        assert_eq!(ann.ask_with(query, json!({ "id": set })).await["changeSet"], Value::Null);
        assert_eq!(revert(&ann, &set).await["userErrors"][0]["code"], "NOT_FOUND");
        assert_eq!(ben.ask_with(query, json!({ "id": set })).await["changeSet"]["operations"][0]["recordId"], payload["deal"]["id"]);
        // Seen, and not hers to change.
        let share = "mutation($record: ID!, $grantee: ID!) { shareRecord(input: { record: $record, grantee: $grantee }) { userErrors { message } } }";
        ben.ask_with(share, json!({ "record": payload["deal"]["id"], "grantee": ann.id().await })).await;
        let refused = revert(&ann, &set).await;
        assert_eq!((&refused["changeSetId"], &refused["skipped"][0]["reason"]), (&Value::Null, &json!("REFUSED")), "{refused}");
        assert_eq!(admin.ask("{ deals { totalCount } }").await["deals"]["totalCount"], 1);
    }
}
