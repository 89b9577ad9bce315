//! Writes: what they refuse, what they keep true.

use serde_json::{Value, json};

use crate::harness::{Server, on_both};

on_both! {
    async fn a_removal_that_is_only_validated_removes_nothing(server: &Server) {
        let admin = server.admin().await;
        let id = admin.create("company", json!({ "name": "stays" })).await;
        let pipeline = admin.ask("{ pipelines(first: 1) { nodes { id } } }").await["pipelines"]["nodes"][0]["id"].clone();
        for verb in ["delete", "purge"] {
            let document = format!("mutation($id: ID!) {{ {verb}Company(id: $id, validateOnly: true) {{ deletedId userErrors {{ code }} }} }}");
            let done = admin.ask_with(&document, json!({ "id": id })).await;
            assert_eq!(done[format!("{verb}Company")], json!({ "deletedId": id, "userErrors": [] }), "{verb}");
        }
        let many = admin.ask("mutation { deleteCompanies(filter: { name: { eq: \"stays\" } }, limit: 5, validateOnly: true) { committed results { deletedId } } }").await;
        assert_eq!(many["deleteCompanies"], json!({ "committed": false, "results": [{ "deletedId": id }] }));
        assert_eq!(admin.ask_with("query($id: ID!) { company(id: $id) { version } }", json!({ "id": id })).await["company"]["version"], 1);
        // What would be refused is refused.
        admin.create("deal", json!({ "name": "d" })).await;
        let refused = admin.ask_with("mutation($id: ID!) { deletePipeline(id: $id, validateOnly: true) { deletedId userErrors { code } } }", json!({ "id": pipeline })).await;
        assert_eq!(refused["deletePipeline"]["userErrors"][0]["code"], "RULE_REFUSED");
        admin.ask_with("mutation($id: ID!) { deleteCompany(id: $id) { deletedId } }", json!({ "id": id })).await;
        let back = admin.ask_with("mutation($id: ID!) { restoreCompany(id: $id, validateOnly: true) { company { name } } }", json!({ "id": id })).await;
        assert_eq!(back["restoreCompany"]["company"]["name"], "stays");
        assert_eq!(admin.ask_with("query($id: ID!) { company(id: $id) { id } }", json!({ "id": id })).await["company"], Value::Null);
    }

    async fn a_deal_is_created_in_six_round_trips(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "c" })).await;
        let document = format!("mutation {{ createDeal(input: {{ name: \"d\", company: {{ id: \"{company}\" }}, amount: {{ amount: \"5\", currency: \"EUR\" }} }}) \
            {{ deal {{ id name stage {{ name }} company {{ name }} }} userErrors {{ code }} }} }}");
        let statements = admin.statements(&document).await;
        // Begin and commit are two; then the default stage, the insert, the record read back, the log.
        // On SQLite a statement is no round trip, and the parts of the insert are statements of their own.
        assert_eq!(statements, if server.is_postgres() { 4 } else { 8 });
    }

    async fn a_reference_to_nothing_is_told_wherever_it_stands(server: &Server) {
        let admin = server.admin().await;
        let gone = admin.create("company", json!({ "name": "gone" })).await;
        admin.ask_with("mutation($id: ID!) { deleteCompany(id: $id) { userErrors { code } } }", json!({ "id": gone })).await;
        let nobody = "0198f0a0-0000-7000-8000-00000000dead";
        let missing = |path: &str, what: &str| json!({ "code": "NOT_FOUND", "path": [path, "id"], "message": format!("There is no such {what}.") });
        for input in [
            json!({ "name": "d", "company": { "id": nobody } }),
            json!({ "name": "d", "company": { "id": gone } }),
        ] {
            assert_eq!(admin.mutate("createDeal", "deal", input).await["userErrors"], json!([missing("company", "company")]));
        }
        for (input, errors) in [
            (json!({ "name": "d", "stage": { "id": nobody } }), json!([missing("stage", "stage")])),
            (json!({ "name": "d", "pipeline": { "id": nobody } }), json!([missing("pipeline", "pipeline")])),
            (json!({ "name": "d", "company": { "id": nobody }, "owner": { "id": nobody } }), json!([missing("company", "company"), missing("owner", "member")])),
        ] {
            let mut told = admin.mutate("createDeal", "deal", input.clone()).await["userErrors"].clone();
            told.as_array_mut().unwrap().sort_by_key(|error| error["path"][0].as_str().unwrap().to_owned());
            assert_eq!(told, errors, "{input}");
        }
        let deal = admin.create("deal", json!({ "name": "d" })).await;
        assert_eq!(admin.update("deal", &deal, json!({ "company": { "id": gone } })).await["userErrors"], json!([missing("company", "company")]));
        let bulk = "mutation($inputs: [DealCreate!]!) { createDeals(inputs: $inputs, onError: SKIP_FAILED) { results { deal { name } userErrors { code } } } }";
        let data = admin.ask_with(bulk, json!({ "inputs": [{ "name": "a" }, { "name": "b", "company": { "id": nobody } }, { "name": "c" }] })).await;
        assert_eq!(data["createDeals"]["results"], json!([
            { "deal": { "name": "a" }, "userErrors": [] }, { "deal": null, "userErrors": [{ "code": "NOT_FOUND" }] }, { "deal": { "name": "c" }, "userErrors": [] },
        ]));
        assert_eq!(admin.ask("{ deals { totalCount } }").await["deals"]["totalCount"], 3);
    }

    async fn children_are_written_through_their_parent(server: &Server) {
        let admin = server.admin().await;
        let other = admin.create("deal", json!({ "name": "other" })).await;
        let company = admin.create("company", json!({ "name": "c", "deals": { "create": [{ "name": "a" }, { "name": "b" }], "connect": [{ "id": other }] } })).await;
        let deals = async || admin.ask_with("query($id: ID!) { company(id: $id) { version deals(orderBy: [{ name: ASC }]) { nodes { id name } } } }", json!({ "id": company })).await["company"].clone();
        let now = deals().await;
        assert_eq!(crate::harness::names(&now["deals"]["nodes"]), ["a", "b", "other"]);
        let id = |n: usize| now["deals"]["nodes"][n]["id"].clone();
        let edits = json!({ "deals": { "update": [{ "id": id(0), "input": { "name": "A" } }], "delete": [id(1)], "disconnect": [id(2)] } });
        assert_eq!(admin.update("company", &company, edits).await["userErrors"], json!([]));
        let now = deals().await;
        assert_eq!((crate::harness::names(&now["deals"]["nodes"]), &now["version"]), (vec!["A".to_owned()], &json!(1)));
        assert_eq!(admin.ask_with("query($id: ID!) { deal(id: $id) { company { id } } }", json!({ "id": other })).await["deal"]["company"], Value::Null);
        // What belongs to another parent is not this one's to change; what goes wrong is told where it stands.
        for (edits, code, path) in [
            (json!({ "update": [{ "id": other, "input": { "name": "x" } }] }), "NOT_FOUND", json!(["deals", "update", "0"])),
            (json!({ "delete": [other] }), "NOT_FOUND", json!(["deals", "delete", "0"])),
            (json!({ "create": [{ "name": "ok" }, { "name": "" }] }), "INVALID_VALUE", json!(["deals", "create", "1", "name"])),
            (json!({ "create": [{ "name": "x", "company": { "id": company } }] }), "INVALID_VALUE", json!(["deals", "create", "0", "company"])),
            (json!({ "update": [{ "id": id(0), "input": { "probability": "101" } }] }), "INVALID_VALUE", json!(["deals", "update", "0", "input", "probability"])),
        ] {
            let payload = admin.update("company", &company, json!({ "deals": edits })).await;
            assert_eq!((&payload["userErrors"][0]["code"], &payload["userErrors"][0]["path"]), (&json!(code), &path), "{payload}");
        }
        let pipeline = admin.ask("{ pipelines { nodes { id stages { nodes { id name } } } } }").await["pipelines"]["nodes"][0].clone();
        let payload = admin.update("pipeline", pipeline["id"].as_str().unwrap(), json!({ "stages": { "disconnect": [pipeline["stages"]["nodes"][0]["id"]] } })).await;
        assert_eq!(payload["userErrors"][0]["code"], "REQUIRED", "{payload}");
        let payload = admin.update("pipeline", pipeline["id"].as_str().unwrap(), json!({ "stages": { "create": [{ "name": "Legal" }] } })).await;
        assert_eq!(payload["userErrors"], json!([]));
    }

    async fn linked_records_are_changed_and_deleted_through_the_link(server: &Server) {
        let admin = server.admin().await;
        let deal = admin.create("deal", json!({ "name": "d", "people": { "create": [{ "record": { "lastName": "A" }, "role": "Buyer" }, { "record": { "lastName": "B" } }] } })).await;
        let people = async || admin.ask_with("query($id: ID!) { deal(id: $id) { people { edges { role node { id lastName } } } } }", json!({ "id": deal })).await["deal"]["people"]["edges"].clone();
        let now = people().await;
        let a = now.as_array().unwrap().iter().find(|edge| edge["node"]["lastName"] == "A").unwrap()["node"]["id"].clone();
        let b = now.as_array().unwrap().iter().find(|edge| edge["node"]["lastName"] == "B").unwrap()["node"]["id"].clone();
        let stranger = admin.create("person", json!({ "lastName": "S" })).await;
        for edits in [json!({ "delete": [stranger] }), json!({ "update": [{ "id": stranger, "record": { "lastName": "T" } }] })] {
            assert_eq!(admin.update("deal", &deal, json!({ "people": edits })).await["userErrors"][0]["code"], "NOT_FOUND");
        }
        let edits = json!({ "people": { "update": [{ "id": a, "role": "Champion", "record": { "lastName": "A2" } }], "delete": [b] } });
        assert_eq!(admin.update("deal", &deal, edits).await["userErrors"], json!([]));
        let now = people().await;
        assert_eq!(now, json!([{ "role": "Champion", "node": { "id": a, "lastName": "A2" } }]));
        assert_eq!(admin.ask_with("query($id: ID!) { person(id: $id) { id } }", json!({ "id": b })).await["person"], Value::Null);
    }

    async fn a_deal_follows_its_stage(server: &Server) {
        let admin = server.admin().await;
        let stages = admin.ask("{ stages { nodes { id name } } }").await["stages"]["nodes"].clone();
        let stage = |name: &str| stages.as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap()["id"].clone();
        let deal = admin.create("deal", json!({ "name": "d" })).await;
        let look = async || admin.ask_with("query($id: ID!) { deal(id: $id) { status probability probabilityMode closedAt stageEnteredAt stage { name } } }", json!({ "id": deal })).await["deal"].clone();
        assert_eq!(look().await, json!({ "status": "OPEN", "probability": "10", "probabilityMode": "STAGE", "closedAt": null, "stageEnteredAt": "2026-03-11T12:00:00Z", "stage": { "name": "Qualification" } }));
        server.clock.advance(600_000_000);
        admin.update("deal", &deal, json!({ "probability": "42.5" })).await;
        assert_eq!(look().await["probabilityMode"], "MANUAL");
        admin.update("deal", &deal, json!({ "stage": { "id": stage("Proposal") } })).await;
        let moved = look().await;
        assert_eq!((moved["probability"].as_str(), moved["stageEnteredAt"].as_str()), (Some("42.5"), Some("2026-03-11T12:10:00Z")));
        admin.update("deal", &deal, json!({ "stage": { "id": stage("Won") } })).await;
        assert_eq!(look().await, json!({ "status": "WON", "probability": "100", "probabilityMode": "STAGE", "closedAt": "2026-03-11T12:10:00Z", "stageEnteredAt": "2026-03-11T12:10:00Z", "stage": { "name": "Won" } }));
        admin.update("deal", &deal, json!({ "stage": { "id": stage("Discovery") } })).await;
        assert_eq!(look().await["closedAt"], Value::Null);
        let other = admin.create("pipeline", json!({ "name": "Other" })).await;
        let foreign = admin.ask_with("query($id: ID!) { pipeline(id: $id) { stages { nodes { id name } } } }", json!({ "id": other })).await;
        let foreign = foreign["pipeline"]["stages"]["nodes"][0]["id"].clone();
        let payload = admin.update("deal", &deal, json!({ "pipeline": { "id": other }, "stage": { "id": stage("Won") } })).await;
        assert_eq!(payload["userErrors"], json!([{ "code": "RULE_REFUSED", "path": ["stage"], "message": "The stage belongs to another pipeline." }]));
        assert_eq!(admin.update("deal", &deal, json!({ "stage": { "id": foreign } })).await["userErrors"], json!([]));
    }

    async fn a_pipeline_keeps_a_won_and_a_lost_stage(server: &Server) {
        let admin = server.admin().await;
        let stages = admin.ask("{ stages { nodes { id name type probability } } }").await["stages"]["nodes"].clone();
        assert_eq!(crate::harness::names(&stages), ["Qualification", "Discovery", "Proposal", "Negotiation", "Won", "Lost"]);
        for name in ["Won", "Lost"] {
            let id = stages.as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap()["id"].clone();
            let data = admin.ask_with("mutation($id: ID!) { deleteStage(id: $id) { userErrors { code } } }", json!({ "id": id })).await;
            assert_eq!(data["deleteStage"]["userErrors"][0]["code"], "RULE_REFUSED");
            let payload = admin.update("stage", id.as_str().unwrap(), json!({ "type": "OPEN" })).await;
            assert_eq!(payload["userErrors"][0]["code"], "RULE_REFUSED");
        }
    }

    async fn stages_are_moved(server: &Server) {
        let admin = server.admin().await;
        let stages = admin.ask("{ stages { nodes { id name } } }").await["stages"]["nodes"].clone();
        let id = |n: usize| stages[n]["id"].clone();
        for _ in 0..15 {
            // Again and again into the same gap, until there is none left and all get new places.
            admin.ask_with("mutation($id: ID!, $after: ID) { moveStage(id: $id, after: $after) { userErrors { code } } }", json!({ "id": id(3), "after": id(0) })).await;
            admin.ask_with("mutation($id: ID!, $after: ID) { moveStage(id: $id, after: $after) { userErrors { code } } }", json!({ "id": id(2), "after": id(0) })).await;
        }
        admin.ask_with("mutation($id: ID!) { moveStage(id: $id) { userErrors { code } } }", json!({ "id": id(1) })).await;
        let order = crate::harness::names(&admin.ask("{ stages { nodes { name } } }").await["stages"]["nodes"]);
        assert_eq!(order, ["Discovery", "Qualification", "Proposal", "Negotiation", "Won", "Lost"]);
        let deals = admin.ask("{ stages { nodes { position } } }").await;
        let positions: Vec<i64> = deals["stages"]["nodes"].as_array().unwrap().iter().map(|stage| stage["position"].as_i64().unwrap()).collect();
        assert!(positions.windows(2).all(|pair| pair[0] < pair[1]), "{positions:?}");
    }

    async fn a_nested_create_is_one_write(server: &Server) {
        let admin = server.admin().await;
        let input = json!({ "name": "d", "company": { "create": { "name": "New", "domains": ["new.example"] } }, "people": { "create": [{ "record": { "firstName": "Ada", "lastName": "L" }, "role": "Champion", "primary": true }] } });
        let deal = admin.create("deal", input).await;
        let data = admin.ask_with("query($id: ID!) { deal(id: $id) { company { name } people { edges { role primary linkId node { fullName } } } } }", json!({ "id": deal })).await;
        assert_eq!(data["deal"]["company"]["name"], "New");
        let edge = &data["deal"]["people"]["edges"][0];
        assert_eq!((edge["role"].as_str(), edge["primary"].as_bool(), edge["node"]["fullName"].as_str()), (Some("Champion"), Some(true), Some("Ada L")));
        // The second one fails in its nested part: nothing of it stays.
        let payload = admin.mutate("createDeal", "deal", json!({ "name": "e", "company": { "create": { "name": "Other", "domains": ["new.example"] } } })).await;
        assert_eq!(payload["userErrors"][0]["path"], json!(["company", "create", "domains"]));
        assert_eq!(admin.ask("{ companies { totalCount } deals { totalCount } }").await, json!({ "companies": { "totalCount": 1 }, "deals": { "totalCount": 1 } }));
    }

    async fn the_same_id_again_is_the_same_record(server: &Server) {
        let admin = server.admin().await;
        let id = "0198f0a0-0000-7000-8000-000000000001";
        for _ in 0..2 {
            assert_eq!(admin.create("tag", json!({ "id": id, "name": "Blue" })).await, id);
        }
        let payload = admin.mutate("createNote", "note", json!({ "id": id, "title": "x" })).await;
        assert_eq!(payload["userErrors"][0]["code"], "TAKEN");
        assert_eq!(admin.ask("{ tags { totalCount } }").await["tags"]["totalCount"], 1);
    }

    async fn an_upsert_finds_by_key_and_changes_nothing_twice(server: &Server) {
        let admin = server.admin().await;
        let upsert = async |name: &str| {
            let document = "mutation($name: String!) { upsertCompany(key: { externalId: { system: \"erp\", value: \"7\" } }, input: { name: $name }) { company { name version externalIds { system value } } userErrors { code path message } } }";
            admin.ask_with(document, json!({ "name": name })).await["upsertCompany"]["company"].clone()
        };
        assert_eq!(upsert("Alder").await, json!({ "name": "Alder", "version": 1, "externalIds": [{ "system": "erp", "value": "7" }] }));
        assert_eq!(upsert("Alder").await["version"], 1);
        assert_eq!(upsert("Birch").await["version"], 2);
        assert_eq!(admin.ask("{ companies { totalCount } }").await["companies"]["totalCount"], 1);
    }

    async fn trying_a_write_leaves_no_trace(server: &Server) {
        let admin = server.admin().await;
        let document = "mutation { createCompany(input: { name: \"Alder\", domains: [\"alder.example\"] }, validateOnly: true) { company { id recordId name domain } userErrors { code } } }";
        let company = admin.ask(document).await["createCompany"]["company"].clone();
        let plain = company["recordId"].as_str().unwrap();
        assert_eq!(company, json!({ "id": format!("{plain}@preview"), "recordId": plain, "name": "Alder", "domain": "alder.example" }));
        assert_eq!(admin.ask("{ companies(deleted: INCLUDE) { totalCount } }").await["companies"]["totalCount"], 0);
        admin.create("company", json!({ "name": "Birch", "domains": ["alder.example"] })).await;
    }

    async fn a_bulk_write_is_all_or_what_works(server: &Server) {
        let admin = server.admin().await;
        let inputs = json!([{ "name": "a" }, { "name": "" }, { "name": "A" }, { "name": "c" }]);
        let document = "mutation($inputs: [TagCreate!]!, $policy: BulkErrorPolicy!) { createTags(inputs: $inputs, onError: $policy) { committed results { tag { name } userErrors { code } } } }";
        let all = admin.ask_with(document, json!({ "inputs": inputs, "policy": "ROLLBACK" })).await["createTags"].clone();
        assert_eq!(all["committed"], false);
        let codes: Vec<&str> = all["results"].as_array().unwrap().iter().map(|result| result["userErrors"][0]["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["ROLLED_BACK", "INVALID_VALUE", "TAKEN", "ROLLED_BACK"]);
        assert_eq!(admin.ask("{ tags { totalCount } }").await["tags"]["totalCount"], 0);
        let some = admin.ask_with(document, json!({ "inputs": inputs, "policy": "SKIP_FAILED" })).await["createTags"].clone();
        assert_eq!(some["committed"], true);
        assert_eq!(crate::harness::names(&admin.ask("{ tags { nodes { name } } }").await["tags"]["nodes"]), ["a", "c"]);
    }

    async fn a_bulk_write_by_filter_minds_its_limit(server: &Server) {
        let admin = server.admin().await;
        for n in 0..5 {
            admin.create("tag", json!({ "name": format!("t{n}") })).await;
        }
        let write = async |filter: Value, limit: i64| {
            let document = "mutation($filter: TagFilter!, $limit: Int!) { updateTags(filter: $filter, input: { color: \"#fff\" }, limit: $limit) { committed results { tag { name color } } userErrors { code path } } }";
            admin.ask_with(document, json!({ "filter": filter, "limit": limit })).await["updateTags"].clone()
        };
        for nothing in [json!({}), json!({ "name": {} }), json!({ "and": [{}] })] {
            assert_eq!(write(nothing, 10).await["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["filter"] }]));
        }
        let wide = json!({ "name": { "startsWith": "t" } });
        assert_eq!(write(wide.clone(), 4).await["userErrors"], json!([{ "code": "LIMIT", "path": ["limit"] }]));
        assert_eq!(admin.ask("{ tags(filter: { color: { isNull: false } }) { totalCount } }").await["tags"]["totalCount"], 0);
        let done = write(wide, 5).await;
        assert_eq!((done["committed"].as_bool(), done["results"].as_array().unwrap().len()), (Some(true), 5));
        let deleted = admin.ask("mutation { deleteTags(filter: { name: { in: [\"t0\", \"t1\"] } }, limit: 2) { committed results { deletedId } } }").await;
        assert_eq!(deleted["deleteTags"]["committed"], true);
        assert_eq!(admin.ask("{ tags { totalCount } }").await["tags"]["totalCount"], 3);
    }

    async fn parents_and_superiors_form_no_cycle(server: &Server) {
        let admin = server.admin().await;
        let a = admin.create("company", json!({ "name": "a" })).await;
        let b = admin.create("company", json!({ "name": "b", "parent": { "id": a } })).await;
        for (child, parent) in [(&a, &b), (&a, &a)] {
            let payload = admin.update("company", child, json!({ "parent": { "id": parent } })).await;
            assert_eq!(payload["userErrors"][0]["code"], "RULE_REFUSED");
        }
    }

    async fn contact_data_is_normalised_and_kept_as_typed(server: &Server) {
        let admin = server.admin().await;
        let input = json!({ "firstName": "Ada", "emails": [{ "address": "Ada@Example.COM" }, { "address": "a@b.example", "primary": true }], "phones": [{ "number": "(044) 668 18 00", "region": "CH" }] });
        let id = admin.create("person", input).await;
        let data = admin.ask_with("query($id: ID!) { person(id: $id) { fullName email phone emails { address normalized primary label } phones { number e164 } } \
            found: person(key: { email: \"ADA@example.com\" }) { id } has: people(filter: { emails: { has: \"ada@EXAMPLE.com\" }, phones: { has: \"+41 44 668 18 00\" } }) { totalCount } }", json!({ "id": id })).await;
        assert_eq!(data["person"]["email"], "a@b.example");
        assert_eq!(data["person"]["fullName"], "Ada");
        assert_eq!(data["person"]["emails"][0], json!({ "address": "Ada@Example.COM", "normalized": "ada@example.com", "primary": false, "label": "WORK" }));
        assert_eq!(data["person"]["phones"], json!([{ "number": "(044) 668 18 00", "e164": "+41446681800" }]));
        assert_eq!(data["found"]["id"], id);
        assert_eq!(data["has"]["totalCount"], 1);
        let payload = admin.mutate("createPerson", "person", json!({ "lastName": "x", "emails": [{ "address": "ada@example.com" }] })).await;
        assert_eq!(payload["userErrors"][0]["code"], "TAKEN");
    }

    async fn a_person_has_one_primary_company(server: &Server) {
        let admin = server.admin().await;
        let a = admin.create("company", json!({ "name": "a" })).await;
        let b = admin.create("company", json!({ "name": "b" })).await;
        let person = admin.create("person", json!({ "lastName": "x", "companies": { "connect": [{ "id": a, "primary": true, "role": "CTO" }, { "id": b }] } })).await;
        admin.update("person", &person, json!({ "companies": { "update": [{ "id": b, "primary": true }] } })).await;
        let look = "query($id: ID!) { person(id: $id) { version companies(orderBy: [{ name: ASC }]) { edges { role primary node { name } } } } }";
        let data = admin.ask_with(look, json!({ "id": person })).await;
        assert_eq!(data["person"]["companies"]["edges"], json!([{ "role": "CTO", "primary": false, "node": { "name": "a" } }, { "role": null, "primary": true, "node": { "name": "b" } }]));
        assert_eq!(data["person"]["version"], 1, "links are no fields of the record");
        admin.update("person", &person, json!({ "companies": { "disconnect": [a] } })).await;
        assert_eq!(admin.ask_with(look, json!({ "id": person })).await["person"]["companies"]["edges"].as_array().unwrap().len(), 1);
    }

    async fn purging_unlinks_what_points_there(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "a", "domains": ["a.example"], "tags": { "create": [{ "record": { "name": "t" } }] } })).await;
        let deal = admin.create("deal", json!({ "name": "d", "company": { "id": company } })).await;
        admin.create("note", json!({ "title": "n", "links": { "connect": [{ "id": company }] } })).await;
        let data = admin.ask_with("mutation($id: ID!) { purgeCompany(id: $id) { deletedId company { id } userErrors { code message } } }", json!({ "id": company })).await;
        assert_eq!(data["purgeCompany"], json!({ "deletedId": company, "company": null, "userErrors": [] }));
        let data = admin.ask_with("query($id: ID!) { deal(id: $id) { version company { id } } notes { nodes { links { totalCount } } } companies(deleted: INCLUDE) { totalCount } }", json!({ "id": deal })).await;
        assert_eq!(data, json!({ "deal": { "version": 2, "company": null }, "notes": { "nodes": [{ "links": { "totalCount": 0 } }] }, "companies": { "totalCount": 0 } }));
        admin.create("company", json!({ "name": "b", "domains": ["a.example"] })).await;
    }

    async fn bad_input_gets_one_clear_error_and_writes_nothing(server: &Server) {
        let admin = server.admin().await;
        let long = "x".repeat(300);
        let cases: [(&str, Value, &str, Value); 7] = [
            ("Company", json!({ "name": long }), "INVALID_VALUE", json!(["name"])),
            ("Company", json!({ "name": "a", "annualRevenue": { "amount": "922337203685478", "currency": "EUR" } }), "INVALID_VALUE", json!(["annualRevenue", "amount"])),
            ("Company", json!({ "name": "a", "annualRevenue": { "amount": "1", "currency": "euro" } }), "INVALID_VALUE", json!(["annualRevenue", "currency"])),
            ("Company", json!({ "id": "7", "name": "a" }), "INVALID_VALUE", json!(["id"])),
            ("Company", json!({ "name": "a", "parent": { "id": "none" } }), "INVALID_VALUE", json!(["parent", "id"])),
            ("Deal", json!({ "name": "a", "expectedCloseDate": "2026-02-30" }), "INVALID_VALUE", json!(["expectedCloseDate"])),
            ("Deal", json!({ "name": "a", "probability": "100.1" }), "INVALID_VALUE", json!(["probability"])),
        ];
        for (ty, input, code, path) in cases {
            let one = ty.to_lowercase();
            let payload = admin.mutate(&format!("create{ty}"), &one, input.clone()).await;
            let errors = payload["userErrors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{input}");
            assert_eq!((errors[0]["code"].as_str().unwrap(), &errors[0]["path"]), (code, &path), "{input}");
        }
        for document in [
            "mutation { createCompany(input: { name: 5 }) { company { id } } }",
            "mutation { createCompany(input: { name: \"a\", zip: 1 }) { company { id } } }",
            "mutation { createDeal(input: { name: \"a\", amount: { amount: 1.5, currency: \"EUR\" } }) { deal { id } } }",
            "{ companies(filter: { name: { near: \"x\" } }) { totalCount } }",
            "{ companies(filter: { id: { eq: \"x\" } }) { totalCount } }",
            "{ companies(filter: { annualRevenue: { amount: { gt: \"1e9\" } } }) { totalCount } }",
            "{ companies(filter: { name: { eq: \"a\\u0000b\" } }) { totalCount } }",
            "{ companies { nodes { x: name x: id } } }",
            "{ a: companies { totalCount } a: deals { totalCount } }",
            "{ company { name } }",
            "{ companies { nodes { name ",
        ] {
            assert_eq!(admin.refused(document).await.0, "BAD_REQUEST", "{document}");
        }
        assert_eq!(admin.ask("{ companies(deleted: INCLUDE) { totalCount } deals(deleted: INCLUDE) { totalCount } }").await, json!({ "companies": { "totalCount": 0 }, "deals": { "totalCount": 0 } }));
    }

    async fn a_verb_of_one_type_leaves_the_others_alone(server: &Server) {
        let admin = server.admin().await;
        let call = admin.create("call", json!({ "subject": "Hello" })).await;
        assert_eq!(admin.update("task", &call, json!({ "subject": "x" })).await["userErrors"][0]["code"], "NOT_FOUND");
        for verb in ["delete", "restore", "purge"] {
            let document = format!("mutation($id: ID!) {{ {verb}Task(id: $id) {{ deletedId userErrors {{ code }} }} }}");
            assert_eq!(admin.ask_with(&document, json!({ "id": call })).await[format!("{verb}Task")]["userErrors"][0]["code"], "NOT_FOUND");
        }
        assert_eq!(admin.mutate("createTask", "task", json!({ "id": call, "subject": "x" })).await["userErrors"][0]["code"], "TAKEN");
        assert_eq!(admin.ask("{ calls { nodes { subject version } } }").await["calls"]["nodes"], json!([{ "subject": "Hello", "version": 1 }]));
    }

    async fn a_root_field_in_several_places_is_one(server: &Server) {
        let admin = server.admin().await;
        let document = "mutation { createTag(input: { name: \"t\" }) { tag { id } } ...A } fragment A on Mutation { createTag(input: { name: \"t\" }) { tag { name } userErrors { code } } }";
        let payload = admin.ask(document).await["createTag"].clone();
        assert_eq!((payload["tag"]["name"].as_str(), &payload["userErrors"]), (Some("t"), &json!([])));
        let data = admin.ask("{ tags { totalCount } ... on Query { tags { nodes { name } } } viewer { member { name } } ...V } fragment V on Query { viewer { workspace { timeZone } } }").await;
        assert_eq!(data["tags"], json!({ "totalCount": 1, "nodes": [{ "name": "t" }] }));
        assert_eq!(data["viewer"]["workspace"]["timeZone"], "Europe/Zurich");
    }

    async fn an_upsert_keeps_its_key_whatever_else_is_given(server: &Server) {
        let admin = server.admin().await;
        for _ in 0..2 {
            let document = "mutation { a: upsertCompany(key: { domain: \"x.example\" }, input: { name: \"A\", domains: [\"y.example\"] }) { company { domains } userErrors { code } } \
                b: upsertCompany(key: { externalId: { system: \"s\", value: \"1\" } }, input: { name: \"B\", externalIds: null }) { company { externalIds { value } } userErrors { code } } \
                c: upsertPerson(key: { email: \"a@x.example\" }, input: { lastName: \"C\", emails: [{ address: \"b@x.example\" }] }) { person { emails { normalized } } userErrors { code } } }";
            let data = admin.ask(document).await;
            assert_eq!(data["a"]["userErrors"], json!([]));
            assert_eq!(data["c"]["userErrors"], json!([]));
        }
        assert_eq!(admin.ask("{ companies { totalCount } people { totalCount } }").await, json!({ "companies": { "totalCount": 2 }, "people": { "totalCount": 1 } }));
    }

    async fn a_value_given_twice_is_one_value(server: &Server) {
        let admin = server.admin().await;
        let input = json!({ "lastName": "x", "emails": [{ "address": "a@b.example" }, { "address": "A@b.example" }], "externalIds": [{ "system": "s", "value": "1" }, { "system": "s", "value": "1" }] });
        admin.create("person", input).await;
    }

    async fn a_pipeline_takes_its_stages_along(server: &Server) {
        let admin = server.admin().await;
        let pipeline = admin.create("pipeline", json!({ "name": "Other" })).await;
        let count = async || admin.ask("{ stages { totalCount } }").await["stages"]["totalCount"].clone();
        assert_eq!(count().await, 8);
        for (verb, left) in [("delete", 6), ("restore", 8), ("purge", 6)] {
            let document = format!("mutation($id: ID!) {{ {verb}Pipeline(id: $id) {{ userErrors {{ code message }} }} }}");
            let data = admin.ask_with(&document, json!({ "id": pipeline })).await;
            assert_eq!(data[format!("{verb}Pipeline")]["userErrors"], json!([]));
            assert_eq!(count().await, left, "{verb}");
        }
    }

    async fn a_record_comes_back_only_to_a_place_that_is_there(server: &Server) {
        let admin = server.admin().await;
        let stage = admin.create("stage", json!({ "name": "Extra", "pipeline": { "id": admin.ask("{ pipelines { nodes { id } } }").await["pipelines"]["nodes"][0]["id"] } })).await;
        let deal = admin.create("deal", json!({ "name": "d", "stage": { "id": stage } })).await;
        let verb = async |verb: &str, ty: &str, id: &str| {
            let document = format!("mutation($id: ID!) {{ {verb}{ty}(id: $id) {{ userErrors {{ code }} }} }}");
            admin.ask_with(&document, json!({ "id": id })).await[format!("{verb}{ty}")]["userErrors"].clone()
        };
        assert_eq!(verb("delete", "Stage", &stage).await[0]["code"], "RULE_REFUSED");
        verb("delete", "Deal", &deal).await;
        assert_eq!(verb("delete", "Stage", &stage).await, json!([]));
        assert_eq!(verb("restore", "Deal", &deal).await[0]["code"], "RULE_REFUSED");
        verb("restore", "Stage", &stage).await;
        assert_eq!(verb("restore", "Deal", &deal).await, json!([]));
        // x is below b, b below y. While b is deleted, y goes below x: b must not come back as it was.
        let y = admin.create("company", json!({ "name": "y" })).await;
        let b = admin.create("company", json!({ "name": "b", "parent": { "id": y } })).await;
        let x = admin.create("company", json!({ "name": "x", "parent": { "id": b } })).await;
        verb("delete", "Company", &b).await;
        assert_eq!(admin.update("company", &y, json!({ "parent": { "id": x } })).await["userErrors"], json!([]));
        assert_eq!(verb("restore", "Company", &b).await[0]["code"], "RULE_REFUSED");
    }

    async fn the_last_member_who_can_sign_in_stays(server: &Server) {
        let admin = server.admin().await;
        let make = "mutation($role: ID!) { createApiKey(input: { name: \"k\", roles: [$role] }) { secret } }";
        let secret = admin.ask_with(make, json!({ "role": admin.role("ADMIN").await })).await["createApiKey"]["secret"].as_str().unwrap().to_owned();
        let program = server.bearer(&secret);
        let id = admin.ask("{ viewer { member { id } } }").await["viewer"]["member"]["id"].as_str().unwrap().to_owned();
        for verb in ["delete", "purge"] {
            let document = format!("mutation($id: ID!) {{ {verb}Member(id: $id) {{ userErrors {{ code }} }} }}");
            assert_eq!(program.ask_with(&document, json!({ "id": id })).await[format!("{verb}Member")]["userErrors"][0]["code"], "RULE_REFUSED");
        }
        assert_eq!(program.update("member", &id, json!({ "status": "SUSPENDED" })).await["userErrors"][0]["code"], "RULE_REFUSED");
    }

    async fn links_to_deleted_records_do_not_count(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "a" })).await;
        admin.create("note", json!({ "title": "n", "links": { "connect": [{ "id": company }] } })).await;
        admin.ask_with("mutation($id: ID!) { deleteCompany(id: $id) { deletedId } }", json!({ "id": company })).await;
        let data = admin.ask("{ notes { nodes { links { totalCount nodes { id } } } } linked: notes(filter: { links: { some: {} } }) { totalCount } }").await;
        assert_eq!(data, json!({ "notes": { "nodes": [{ "links": { "totalCount": 0, "nodes": [] } }] }, "linked": { "totalCount": 0 } }));
        let stranger = admin.create("company", json!({ "name": "b" })).await;
        let note = admin.create("person", json!({ "lastName": "p" })).await;
        let payload = admin.update("person", &note, json!({ "companies": { "update": [{ "id": stranger, "role": "x" }] } })).await;
        assert_eq!(payload["userErrors"][0]["code"], "NOT_FOUND");
    }
}
