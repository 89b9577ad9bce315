//! Records that become one, and several again.

use serde_json::{Value, json};

use super::custom_objects::define;
use super::relations::relate;
use crate::access::Dice;
use crate::harness::{Actor, Server, on_both};

const COMPANY: &str = "id version name domains lifecycleStage employeeCount description annualRevenue { amount currency } parent { id name } tags { name } \
    deals(first: 50, orderBy: [{ name: ASC }]) { nodes { name } } people(first: 50) { edges { role title primary node { lastName } } } \
    notes(first: 50) { nodes { title } } subsidiaries { nodes { name } }";

async fn merge(admin: &Actor<'_>, what: &str, arguments: &str, selection: &str) -> Value {
    let document = format!("mutation {{ {what}({arguments}) {{ {selection} userErrors {{ code message path }} }} }}");
    admin.ask(&document).await[what].take()
}

async fn refusal(admin: &Actor<'_>, arguments: &str) -> (String, Value) {
    let refused = merge(admin, "mergeCompanies", arguments, "mergeId").await;
    assert_eq!(refused["mergeId"], Value::Null);
    (refused["userErrors"][0]["code"].as_str().unwrap_or_default().to_owned(), refused["userErrors"][0]["path"].clone())
}

/// Two companies with all that can hang on one.
async fn two(admin: &Actor<'_>) -> (String, String) {
    let tag = admin.create("tag", json!({ "name": "vip" })).await;
    let survivor = admin
        .create(
            "company",
            json!({ "name": "Acme", "domains": ["acme.example"], "lifecycleStage": "LEAD", "employeeCount": 5,
            "people": { "create": [{ "record": { "lastName": "Both" } }, { "record": { "lastName": "Ours" } }] } }),
        )
        .await;
    let both = admin.ask("{ people(filter: { lastName: { eq: \"Both\" } }) { nodes { id } } }").await["people"]["nodes"][0]["id"].take();
    let loser = admin
        .create("company", json!({ "name": "ACME Inc.", "domains": ["acme.test", "acme.test.example"], "lifecycleStage": "CUSTOMER", "description": "Rockets",
            "annualRevenue": { "amount": "10", "currency": "EUR" }, "tags": { "connect": [{ "id": tag }] },
            "deals": { "create": [{ "name": "d1" }, { "name": "d2" }] }, "subsidiaries": { "create": [{ "name": "Below" }] },
            "people": { "connect": [{ "id": both, "role": "Buyer", "primary": true }], "create": [{ "record": { "lastName": "Theirs" }, "role": "CEO" }] },
            "notes": { "create": [{ "record": { "title": "n" } }] } }))
        .await;
    (survivor, loser)
}

on_both! {
    async fn all_that_hangs_on_a_record_goes_to_the_survivor(server: &Server) {
        let admin = server.admin().await;
        let (into, from) = two(&admin).await;
        let preview = merge(&admin, "mergeCompanies", &format!("into: \"{into}\", from: [\"{from}\"], validateOnly: true"), &format!("mergeId changeSetId company {{ {COMPANY} }}")).await;
        let done = merge(&admin, "mergeCompanies", &format!("into: \"{into}\", from: [\"{from}\"]"),
            &format!("mergeId mergedIds changeSetId warnings {{ code }} __typename folded {{ recordId relation otherId }} company {{ {COMPANY} }}")).await;
        assert_eq!(done["userErrors"], json!([]));
        let company = &done["company"];
        assert_eq!((&company["name"], &company["lifecycleStage"], &company["employeeCount"], &company["description"]), (&json!("Acme"), &json!("CUSTOMER"), &json!(5), &json!("Rockets")));
        assert_eq!(company["domains"], json!(["acme.example", "acme.test", "acme.test.example"]));
        assert_eq!((&company["annualRevenue"]["amount"], &company["tags"]), (&json!("10.00"), &json!([{ "name": "vip" }])));
        assert_eq!(company["deals"]["nodes"], json!([{ "name": "d1" }, { "name": "d2" }]));
        assert_eq!((&company["subsidiaries"]["nodes"], &company["notes"]["nodes"]), (&json!([{ "name": "Below" }]), &json!([{ "title": "n" }])));
        let people: Vec<(&Value, &Value, &Value)> = company["people"]["edges"].as_array().unwrap().iter().map(|edge| (&edge["node"]["lastName"], &edge["role"], &edge["primary"])).collect();
        let mut people: Vec<String> = people.iter().map(|person| json!(person).to_string()).collect();
        people.sort();
        assert_eq!(people, [r#"["Both","Buyer",true]"#, r#"["Ours",null,false]"#, r#"["Theirs","CEO",false]"#]);
        assert_eq!((&done["__typename"], &done["mergedIds"]), (&json!("CompanyMergePayload"), &json!([from])));
        assert_eq!((done["folded"].as_array().unwrap().len(), &done["folded"][0]["relation"], &done["folded"][0]["recordId"]), (1, &json!("people"), &json!(from)));
        // What was shown first is what came of it, but for the id.
        assert_eq!((&preview["mergeId"], &preview["changeSetId"]), (&Value::Null, &Value::Null));
        for member in ["name", "domains", "deals", "people", "notes", "tags", "version", "subsidiaries"] {
            assert_eq!(preview["company"][member], company[member], "{member}");
        }
        // Its keys and its words are the survivor's now.
        let by_key = admin.ask("{ company(key: { domain: \"acme.test\" }) { id } search(query: \"acme\", objects: [COMPANY]) { nodes { title } } }").await;
        assert_eq!((&by_key["company"]["id"], &by_key["search"]["nodes"]), (&json!(into), &json!([{ "title": "Acme" }])));
    }

    async fn merged_ids_mean_the_survivor_for_ever(server: &Server) {
        let admin = server.admin().await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(admin.create("company", json!({ "name": name })).await);
        }
        server.clock.advance(1_000_000);
        for (into, from) in [(1, 0), (2, 1)] {
            let done = merge(&admin, "mergeCompanies", &format!("into: \"{}\", from: [\"{}\"]", ids[into], ids[from]), "mergeId").await;
            assert_eq!(done["userErrors"], json!([]));
        }
        let (a, c) = (&ids[0], &ids[2]);
        let found = admin.ask(&format!("{{ company(id: \"{a}\") {{ id name }} node(id: \"{a}\") {{ id }} nodes(ids: [\"{a}\", \"{c}\", \"{}\"]) {{ id }} then: company(id: \"{a}\", asOf: \"2026-03-11T12:00:00Z\") {{ name recordId }} }}", ids[1])).await;
        assert_eq!(found, json!({ "company": { "id": c, "name": "c" }, "node": { "id": c }, "nodes": [{ "id": c }, { "id": c }, { "id": c }], "then": { "name": "a", "recordId": a } }));
        let updated = admin.update("company", a, json!({ "name": "d" })).await;
        assert_eq!(updated["company"]["id"], json!(c));
        let deal = admin.create("deal", json!({ "name": "x", "company": { "id": a } })).await;
        let two = json!([{ "name": "y", "company": { "id": ids[1] } }, { "name": "z", "company": { "id": c } }]);
        let many = admin.ask_with("mutation($i: [DealCreate!]!) { createDeals(inputs: $i) { results { deal { company { id } } userErrors { message } } } }", json!({ "i": two })).await;
        assert_eq!(many["createDeals"]["results"].as_array().unwrap().iter().filter(|result| result["deal"]["company"]["id"] == json!(c)).count(), 2, "{many}");
        assert_eq!(admin.ask(&format!("{{ deal(id: \"{deal}\") {{ company {{ id }} }} }}")).await["deal"]["company"]["id"], json!(c));
        // The tombstone is not brought back by itself, and what is removed for good goes with its parts.
        let restored = merge(&admin, "restoreCompany", &format!("id: \"{a}\""), "company { id }").await;
        assert_eq!(restored["userErrors"][0]["code"], "RULE_REFUSED");
        assert_eq!(merge(&admin, "purgeCompany", &format!("id: \"{c}\""), "deletedId").await["userErrors"], json!([]));
        assert_eq!(admin.ask(&format!("{{ company(id: \"{a}\") {{ id }} companies(deleted: INCLUDE) {{ nodes {{ id }} }} }}")).await, json!({ "company": null, "companies": { "nodes": [] } }));
    }

    async fn values_are_chosen_as_the_caller_says(server: &Server) {
        let admin = server.admin().await;
        let a = admin.create("person", json!({ "lastName": "Ott", "jobTitle": "a", "doNotContact": true, "emails": [{ "address": "a@x.example", "primary": true }] })).await;
        server.clock.advance(1_000_000);
        let b = admin.create("person", json!({ "lastName": "Otter", "jobTitle": "bb", "department": "R", "emails": [{ "address": "b@x.example", "primary": true }] })).await;
        let choose = |choices: &str| format!("into: \"{b}\", from: [\"{a}\"], {choices}");
        for (choices, code, path) in [
            ("choices: [{ field: \"doNotContact\", strategy: SURVIVOR }]", "RULE_REFUSED", json!(["choices", "0", "field"])),
            ("choices: [{ field: \"fullName\", strategy: SURVIVOR }]", "NOT_WRITABLE", json!(["choices", "0", "field"])),
            ("choices: [{ field: \"nothing\", strategy: SURVIVOR }]", "INVALID_VALUE", json!(["choices", "0", "field"])),
            ("choices: [{ field: \"jobTitle\" }]", "INVALID_VALUE", json!(["choices", "0"])),
            ("choices: [{ field: \"jobTitle\", from: \"01890a5d-ac96-774b-bcce-b302099a8057\" }]", "INVALID_VALUE", json!(["choices", "0", "from"])),
            ("input: { lastName: null, emails: [] }", "REQUIRED", json!(["input", "lastName"])),
        ] {
            let refused = merge(&admin, "mergePeople", &choose(choices), "mergeId").await;
            assert_eq!((&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]), (&json!(code), &path), "{choices}");
        }
        let done = merge(&admin, "mergePeople", &choose(&format!("strategy: NEWEST, choices: [{{ field: \"jobTitle\", from: \"{a}\" }}, {{ field: \"lastName\", strategy: OLDEST }}], input: {{ nickname: \"N\" }}")),
            "person { lastName fullName jobTitle department doNotContact nickname email emails { address primary } }").await;
        assert_eq!(done, json!({ "person": { "lastName": "Ott", "fullName": "Ott", "jobTitle": "a", "department": "R", "doNotContact": true, "nickname": "N",
            "email": "b@x.example", "emails": [{ "address": "b@x.example", "primary": true }, { "address": "a@x.example", "primary": false }] }, "userErrors": [] }));
    }

    async fn what_nobody_has_is_still_nothing(server: &Server) {
        let admin = server.admin().await;
        let field = json!({ "object": "PERSON", "name": "interests", "label": "Interests", "kind": "MULTI_SELECT", "options": [{ "key": "a", "label": "A" }] });
        let made = admin.ask_with("mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message } } }", json!({ "input": field })).await;
        assert_eq!(made["createField"]["userErrors"], json!([]));
        let (a, b) = (admin.create("person", json!({ "lastName": "a" })).await, admin.create("person", json!({ "lastName": "b" })).await);
        let done = merge(&admin, "mergePeople", &format!("into: \"{a}\", from: [\"{b}\"], strategy: NEWEST"), "person { custom { interests { key } } customFields }").await;
        assert_eq!(done, json!({ "person": { "custom": { "interests": [] }, "customFields": { "interests": [] } }, "userErrors": [] }));
        // A part goes only with the whole.
        assert_eq!(merge(&admin, "purgePerson", &format!("id: \"{b}\""), "deletedId").await["userErrors"][0]["code"], "RULE_REFUSED");
    }

    async fn what_cannot_be_merged_is_refused(server: &Server) {
        let admin = server.admin().await;
        let a = admin.create("company", json!({ "name": "a" })).await;
        let b = admin.create("company", json!({ "name": "b", "parent": { "id": a } })).await;
        let c = admin.create("company", json!({ "name": "c", "parent": { "id": b } })).await;
        let deal = admin.create("deal", json!({ "name": "d" })).await;
        let gone = admin.create("company", json!({ "name": "gone" })).await;
        admin.ask(&format!("mutation {{ purgeCompany(id: \"{gone}\") {{ deletedId }} }}")).await;
        let foreign = server.admin().await.create("company", json!({ "name": "foreign" })).await;
        for (arguments, code, path) in [
            (format!("into: \"{a}\", from: [\"{a}\"]"), "INVALID_VALUE", json!(["from", "0"])),
            (format!("into: \"{a}\", from: []"), "INVALID_VALUE", json!(["from"])),
            (format!("into: \"{a}\", from: [\"{b}\", \"{b}\"]"), "INVALID_VALUE", json!(["from", "1"])),
            (format!("into: \"{a}\", from: [\"{gone}\"]"), "NOT_FOUND", json!(["from", "0"])),
            (format!("into: \"{a}\", from: [\"{foreign}\"]"), "NOT_FOUND", json!(["from", "0"])),
            (format!("into: \"{a}\", from: [\"{deal}\"]"), "NOT_FOUND", json!(["from", "0"])),
            (format!("into: \"{deal}\", from: [\"{a}\"]"), "NOT_FOUND", json!(["into"])),
            (format!("into: \"x\", from: [\"{a}\"]"), "INVALID_VALUE", json!(["into"])),
            // b would be above itself.
            (format!("into: \"{c}\", from: [\"{a}\"]"), "RULE_REFUSED", json!(["from", "parent"])),
        ] {
            assert_eq!(refusal(&admin, &arguments).await, (code.to_owned(), path), "{arguments}");
        }
        assert_eq!(merge(&admin, "mergeCompanies", &format!("into: \"{a}\", from: [\"{b}\"]"), "company { parent { id } }").await, json!({ "company": { "parent": null }, "userErrors": [] }));
        assert_eq!(refusal(&admin, &format!("into: \"{c}\", from: [\"{b}\"]")).await, ("INVALID_VALUE".to_owned(), json!(["from", "0"])));
        let rep = server.member(&admin, "Rep", "REP").await;
        let theirs = rep.create("company", json!({ "name": "theirs" })).await;
        let refused = merge(&rep, "mergeCompanies", &format!("into: \"{theirs}\", from: [\"{a}\"]"), "mergeId").await;
        assert!(["NOT_FOUND", "NOT_WRITABLE"].contains(&refused["userErrors"][0]["code"].as_str().unwrap()), "{refused}");
    }

    async fn what_was_changed_since_stays_when_a_merge_is_undone(server: &Server) {
        let admin = server.admin().await;
        let (into, from) = two(&admin).await;
        let done = merge(&admin, "mergeCompanies", &format!("into: \"{into}\", from: [\"{from}\"]"), "mergeId changeSetId").await;
        admin.update("company", &into, json!({ "description": "Later", "domains": ["acme.test"] })).await;
        admin.update("company", &into, json!({ "people": { "disconnect": [admin.ask("{ people(filter: { lastName: { eq: \"Theirs\" } }) { nodes { id } } }").await["people"]["nodes"][0]["id"].clone()] } })).await;
        let undo = format!("mergeId: {}", done["mergeId"]);
        let undone = merge(&admin, "unmergeCompany", &undo, "company { name description lifecycleStage domains } restored { id name domains description deals { totalCount } people { edges { role node { lastName } } } } conflicts { object recordId fields message }").await;
        assert_eq!(undone["userErrors"], json!([]));
        assert_eq!(undone["company"], json!({ "name": "Acme", "description": "Later", "lifecycleStage": "LEAD", "domains": ["acme.test"] }));
        let restored = &undone["restored"][0];
        assert_eq!((&restored["id"], &restored["domains"], &restored["description"], &restored["deals"]["totalCount"]), (&json!(from), &json!(["acme.test.example"]), &json!("Rockets"), &json!(2)));
        assert_eq!(restored["people"]["edges"], json!([{ "role": "Buyer", "node": { "lastName": "Both" } }]));
        let mut conflicts: Vec<(Value, Value)> = undone["conflicts"].as_array().unwrap().iter().map(|conflict| (conflict["recordId"].clone(), conflict["fields"].clone())).collect();
        conflicts.sort_by_key(|conflict| json!(conflict).to_string());
        let mut expected = vec![(json!(into), json!(["description", "domain", "domains"])), (json!(from), json!(["domains"])), (json!(into), json!(["people"]))];
        expected.sort_by_key(|conflict| json!(conflict).to_string());
        for (record, fields) in &mut conflicts {
            if record == &json!(into) && fields.as_array().unwrap().len() == 2 {
                *fields = json!(["description", "domain", "domains"]);
            }
        }
        assert_eq!(conflicts, expected);
        assert_eq!(merge(&admin, "unmergeCompany", &undo, "changeSetId").await["userErrors"][0]["code"], "RULE_REFUSED");
        let set = admin.ask(&format!("{{ changeSet(id: {}) {{ revertedBy }} }}", done["changeSetId"])).await;
        assert_eq!(set["changeSet"]["revertedBy"].as_array().unwrap().len(), 1);
        assert_eq!(merge(&admin, "unmergeCompany", "mergeId: \"01890a5d-ac96-774b-bcce-b302099a8057\"", "changeSetId").await["userErrors"][0]["code"], "NOT_FOUND");
    }

    async fn a_merge_is_undone_with_its_change_set_and_not_below_another_one(server: &Server) {
        let admin = server.admin().await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(admin.create("company", json!({ "name": name, "domains": [format!("{name}.example")] })).await);
        }
        let first = merge(&admin, "mergeCompanies", &format!("into: \"{}\", from: [\"{}\"]", ids[0], ids[1]), "mergeId").await;
        let document = format!("mutation @atomic {{ createTag(input: {{ name: \"t\" }}) {{ changeSetId }} mergeCompanies(into: \"{}\", from: [\"{}\"]) {{ mergeId changeSetId userErrors {{ message }} }} }}", ids[2], ids[0]);
        let second = admin.ask(&document).await["mergeCompanies"].take();
        assert_eq!(second["userErrors"], json!([]));
        let below = merge(&admin, "unmergeCompany", &format!("mergeId: {}", first["mergeId"]), "changeSetId").await;
        assert_eq!(below["userErrors"][0]["code"], "RULE_REFUSED");
        let reverted = admin.ask(&format!("mutation {{ revertChangeSet(input: {{ id: {} }}) {{ changeSetId skipped {{ message reason }} userErrors {{ message }} }} }}", second["changeSetId"])).await;
        assert_eq!((&reverted["revertChangeSet"]["skipped"], &reverted["revertChangeSet"]["userErrors"]), (&json!([]), &json!([])));
        assert_eq!(merge(&admin, "unmergeCompany", &format!("mergeId: {}", first["mergeId"]), "restored { domains }").await["restored"], json!([{ "domains": ["b.example"] }]));
        let all = admin.ask("{ companies(orderBy: [{ name: ASC }]) { nodes { name domains } } tags { totalCount } }").await;
        assert_eq!(all, json!({ "companies": { "nodes": [{ "name": "a", "domains": ["a.example"] }, { "name": "b", "domains": ["b.example"] }, { "name": "c", "domains": ["c.example"] }] }, "tags": { "totalCount": 0 } }));
    }

    async fn whoever_merges_and_undoes_is_back_where_they_were(server: &Server) {
        let admin = server.admin().await;
        let fields = json!([{ "name": "rooms", "kind": "INTEGER", "label": "Rooms" }, { "name": "code", "kind": "TEXT", "label": "Code", "unique": true }]);
        assert_eq!(define(&admin, json!({ "name": "house", "plural": "houses", "label": "House", "pluralLabel": "Houses", "fields": fields })).await["userErrors"], json!([]));
        relate(&admin, json!({ "from": "PERSON", "to": "HOUSE", "name": "houses", "label": "Houses", "inverseName": "seller", "inverseLabel": "Seller", "cardinality": "ONE_TO_MANY" })).await;
        let all = "{ companies(first: 50) { nodes { id name domains employeeCount lifecycleStage parent { id } tags { name } deals(first: 50) { nodes { id } } } }
            people(first: 50) { nodes { id lastName emails { address primary } reportsTo { id } doNotContact companies(first: 50, orderBy: [{ name: ASC }]) { edges { role title primary node { id } } } custom { houses(first: 50) { nodes { name } } } } }
            houses(first: 50) { nodes { id name rooms code seller { id } } } notes(first: 50) { nodes { title links(first: 50) { nodes { ... on Node { id } } } } } tags(first: 50) { nodes { name } } }";
        for seed in 1..4 {
            let mut dice = Dice(seed);
            let (mut companies, mut people, mut houses, mut tags) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for n in 0..5 {
                let some = |dice: &mut Dice, ids: &[String]| ids.get(dice.below(6)).map_or(Value::Null, |id| json!({ "id": id }));
                tags.push(admin.create("tag", json!({ "name": format!("{seed} {n}") })).await);
                let (parent, tag) = (some(&mut dice, &companies), json!([{ "id": tags[dice.below(n + 1)] }]));
                companies.push(admin.create("company", json!({ "name": format!("{seed}c{n}"), "domains": [format!("d{n}.s{seed}.example")], "parent": parent, "tags": { "connect": tag },
                    "employeeCount": dice.below(3), "deals": { "create": [{ "name": format!("{seed}d{n}") }] } })).await);
                let (boss, link) = (some(&mut dice, &people), json!([{ "id": companies[dice.below(n + 1)], "role": format!("r{n}"), "primary": dice.one_in(2) }]));
                people.push(admin.create("person", json!({ "lastName": format!("{seed}p{n}"), "reportsTo": boss, "doNotContact": dice.one_in(2),
                    "emails": [{ "address": format!("p{n}@s{seed}.example"), "primary": true }], "companies": { "connect": link } })).await);
                admin.create("note", json!({ "title": format!("{seed}n{n}"), "links": { "connect": [{ "id": people[dice.below(n + 1)] }, { "id": companies[dice.below(n + 1)] }] } })).await;
                let seller = some(&mut dice, &people);
                houses.push(admin.create("house", json!({ "name": format!("{seed}h{n}"), "code": format!("{seed}{n}"), "rooms": dice.below(9), "seller": seller })).await);
            }
            let before = admin.ask(all).await;
            let mut merges = Vec::new();
            for (many, one, ids) in [("Companies", "Company", &companies), ("People", "Person", &people), ("Houses", "House", &houses), ("Tags", "Tag", &tags), ("Companies", "Company", &companies)] {
                let (into, from) = (dice.below(5), dice.below(5));
                let strategy = ["SURVIVOR", "NEWEST", "LONGEST", "MAX", "UNION"][dice.below(5)];
                server.clock.advance(1_000_000);
                let done = merge(&admin, &format!("merge{many}"), &format!("into: \"{}\", from: [\"{}\"], strategy: {strategy}", ids[into], ids[from]), "mergeId").await;
                // A record with itself, one that is merged already, a cycle: nothing is changed then.
                if done["mergeId"].is_string() {
                    merges.push((one, done["mergeId"].clone()));
                }
            }
            assert!(merges.len() > 1, "seed {seed}");
            let merged = admin.ask(all).await;
            assert_ne!(merged, before);
            for (one, id) in merges.iter().rev() {
                server.clock.advance(1_000_000);
                let undone = merge(&admin, &format!("unmerge{one}"), &format!("mergeId: {id}"), "conflicts { fields message }").await;
                assert_eq!(undone, json!({ "conflicts": [], "userErrors": [] }), "seed {seed}");
            }
            let after = admin.ask(all).await;
            for (part, before) in before.as_object().unwrap() {
                for (before, after) in before["nodes"].as_array().unwrap().iter().zip(after[part]["nodes"].as_array().unwrap()) {
                    assert_eq!(after, before, "{part}, seed {seed}");
                }
                assert_eq!(after[part]["nodes"].as_array().unwrap().len(), before["nodes"].as_array().unwrap().len(), "{part}, seed {seed}");
            }
        }
    }
}
