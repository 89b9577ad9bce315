//! A rep, a manager, a customer: what each sees, changes and is refused.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, names, on_both};

/// Two teams, one above the other, with a manager and two reps, each with a deal.
struct Office<'a> {
    admin: Actor<'a>,
    manager: Actor<'a>,
    ann: Actor<'a>,
    ben: Actor<'a>,
    stranger: Actor<'a>,
    /// Deals by name: of Ann, Ben and the stranger.
    deals: [String; 3],
}

async fn office(server: &Server) -> Office<'_> {
    let admin = server.admin().await;
    let manager = server.member(&admin, "Mia", "MANAGER").await;
    let ann = server.member(&admin, "Ann", "REP").await;
    let ben = server.member(&admin, "Ben", "REP").await;
    let stranger = server.member(&admin, "Sam", "REP").await;
    let create = "mutation($input: CreateTeamInput!) { createTeam(input: $input) { team { id } userErrors { message } } }";
    let top =
        admin.ask_with(create, json!({ "input": { "name": "Top", "members": [{ "member": manager.id().await, "manages": true }] } })).await;
    let members = json!([{ "member": ann.id().await }, { "member": ben.id().await }]);
    let below = json!({ "input": { "name": "Below", "parentId": top["createTeam"]["team"]["id"], "members": members } });
    assert_eq!(admin.ask_with(create, below).await["createTeam"]["userErrors"], json!([]));
    let deals = [
        ann.create("deal", json!({ "name": "of Ann" })).await,
        ben.create("deal", json!({ "name": "of Ben" })).await,
        stranger.create("deal", json!({ "name": "of Sam" })).await,
    ];
    Office { admin, manager, ann, ben, stranger, deals }
}

async fn sees(actor: &Actor<'_>) -> Vec<String> {
    names(&actor.ask("{ deals(orderBy: [{ name: ASC }]) { nodes { name } } }").await["deals"]["nodes"])
}

on_both! {
    async fn each_sees_what_their_role_reaches(server: &Server) {
        let office = office(server).await;
        assert_eq!(sees(&office.admin).await, ["of Ann", "of Ben", "of Sam"]);
        assert_eq!(sees(&office.manager).await, ["of Ann", "of Ben"]);
        assert_eq!(sees(&office.ann).await, ["of Ann", "of Ben"]);
        assert_eq!(sees(&office.stranger).await, ["of Sam"]);
        // A hidden record is a missing one: by id, by node, by count, in nested lists and through filters.
        let id = office.deals[2].as_str();
        let document = format!("{{ deal(id: \"{id}\") {{ name }} node(id: \"{id}\") {{ id }} nodes(ids: [\"{id}\"]) {{ id }} \
            deals(filter: {{ id: {{ eq: \"{id}\" }} }}) {{ totalCount }} \
            pipelines {{ nodes {{ deals {{ totalCount nodes {{ name }} }} }} }} \
            some: pipelines(filter: {{ deals: {{ some: {{ name: {{ eq: \"of Sam\" }} }} }} }}) {{ totalCount }} \
            count: pipelines(filter: {{ deals: {{ count: {{ gte: 3 }} }} }}) {{ totalCount }} \
            members(filter: {{ ownedDeals: {{ some: {{}} }} }}, orderBy: [{{ name: ASC }}]) {{ nodes {{ name }} }} }}");
        let data = office.ann.ask(&document).await;
        assert_eq!((&data["deal"], &data["node"], &data["nodes"], &data["deals"]["totalCount"]), (&Value::Null, &Value::Null, &json!([null]), &json!(0)));
        assert_eq!(data["pipelines"]["nodes"][0]["deals"]["totalCount"], 2);
        assert_eq!((&data["some"]["totalCount"], &data["count"]["totalCount"]), (&json!(0), &json!(0)));
        assert_eq!(names(&data["members"]["nodes"]), ["Ann", "Ben"]);
    }

    async fn each_changes_what_their_role_reaches(server: &Server) {
        let office = office(server).await;
        let [own, mate, foreign] = [&office.deals[0], &office.deals[1], &office.deals[2]];
        let change = async |actor: &Actor<'_>, id: &str| actor.update("deal", id, json!({ "name": "x" })).await["userErrors"].clone();
        assert_eq!(change(&office.ann, own).await, json!([]));
        assert_eq!(change(&office.ann, mate).await[0]["code"], "NOT_WRITABLE");
        assert_eq!(change(&office.ann, foreign).await[0]["code"], "NOT_FOUND");
        assert_eq!(change(&office.manager, mate).await, json!([]));
        for verb in ["delete", "purge"] {
            let document = format!("mutation($id: ID!) {{ {verb}Deal(id: $id) {{ userErrors {{ code }} }} }}");
            let data = office.ann.ask_with(&document, json!({ "id": mate })).await;
            assert_eq!(data[format!("{verb}Deal")]["userErrors"][0]["code"], "NOT_WRITABLE");
            let data = office.ann.ask_with(&document, json!({ "id": foreign })).await;
            assert_eq!(data[format!("{verb}Deal")]["userErrors"][0]["code"], "NOT_FOUND");
        }
        // In bulk a hidden record does not count, and one that may only be seen is refused.
        let bulk = "mutation { updateDeals(filter: { name: { startsWith: \"of\" } }, input: { description: \"d\" }, limit: 10, onError: SKIP_FAILED) { results { deal { id } userErrors { code } } } }";
        let results = office.ben.ask(bulk).await["updateDeals"]["results"].clone();
        assert_eq!(results.as_array().unwrap().len(), 0, "both were renamed");
        let (code, message) = office.ann.refused("mutation { createPipeline(input: { name: \"p\" }) { userErrors { code } } }").await;
        assert_eq!((code.as_str(), message.as_str()), ("FORBIDDEN", "Your roles do not allow you to create pipelines."));
        let access = office.ann.ask("{ deals(orderBy: [{ createdAt: ASC }]) { nodes { viewerAccess { canRead canUpdate canDelete hidden } } } }").await;
        assert_eq!(access["deals"]["nodes"], json!([
            { "viewerAccess": { "canRead": true, "canUpdate": true, "canDelete": true, "hidden": [] } },
            { "viewerAccess": { "canRead": true, "canUpdate": false, "canDelete": false, "hidden": [] } },
        ]));
    }

    async fn a_record_that_is_given_away_is_gone(server: &Server) {
        let office = office(server).await;
        let payload = office.ann.update("deal", &office.deals[0], json!({ "owner": { "id": office.stranger.id().await } })).await;
        assert_eq!(payload, json!({ "deal": null, "userErrors": [] }));
        assert_eq!(sees(&office.ann).await, ["of Ben"]);
        assert_eq!(sees(&office.stranger).await, ["of Ann", "of Sam"]);
    }

    async fn what_is_hidden_cannot_be_pointed_at_or_found_by_its_key(server: &Server) {
        let office = office(server).await;
        let company = office.admin.create("company", json!({ "name": "c", "domains": ["c.example"] })).await;
        office.admin.update("deal", &office.deals[2], json!({ "externalIds": [{ "system": "s", "value": "1" }] })).await;
        let found = office.ann.ask("{ deal(key: { externalId: { system: \"s\", value: \"1\" } }) { name } }").await;
        assert_eq!(found["deal"], Value::Null);
        let note = office.ann.mutate("createNote", "note", json!({ "title": "n", "links": { "connect": [{ "id": office.deals[2] }] } })).await;
        assert_eq!(note["userErrors"][0]["code"], "NOT_FOUND");
        let company = office.ann.update("company", &company, json!({ "name": "d" })).await;
        assert_eq!(company["userErrors"][0]["code"], "NOT_WRITABLE");
        // Uniqueness holds against what is hidden, without telling what holds the value.
        let taken = office.ann.mutate("createDeal", "deal", json!({ "name": "n", "externalIds": [{ "system": "s", "value": "1" }] })).await;
        assert_eq!(taken["userErrors"][0]["code"], "TAKEN");
        let upsert = "mutation { upsertDeal(key: { externalId: { system: \"s\", value: \"1\" } }, input: { name: \"mine\" }) { deal { id } userErrors { code } } }";
        assert_eq!(office.ann.ask(upsert).await["upsertDeal"]["userErrors"][0]["code"], "TAKEN");
        let same = office.ann.mutate("createDeal", "deal", json!({ "id": office.deals[2], "name": "n" })).await;
        assert_eq!(same["userErrors"][0]["code"], "TAKEN");
    }

    async fn notes_follow_what_they_are_about(server: &Server) {
        let office = office(server).await;
        for (deal, title) in [(&office.deals[0], "about Ann's"), (&office.deals[2], "about Sam's")] {
            office.admin.create("note", json!({ "title": title, "links": { "connect": [{ "id": deal }] } })).await;
        }
        office.admin.create("note", json!({ "title": "about nothing" })).await;
        let titles = async |actor: &Actor<'_>| {
            let data = actor.ask("{ notes(orderBy: [{ title: ASC }]) { nodes { title links { totalCount } } } deals { nodes { notes { nodes { title } } } } }").await;
            let list: Vec<String> = data["notes"]["nodes"].as_array().unwrap().iter().map(|note| note["title"].as_str().unwrap().to_owned()).collect();
            (list, data["deals"]["nodes"][0]["notes"]["nodes"].clone())
        };
        assert_eq!(titles(&office.ann).await, (vec!["about Ann's".to_owned()], json!([{ "title": "about Ann's" }])));
        assert_eq!(titles(&office.stranger).await, (vec!["about Sam's".to_owned()], json!([{ "title": "about Sam's" }])));
        assert_eq!(titles(&office.admin).await.0, ["about Ann's", "about nothing", "about Sam's"]);
    }

    async fn access_is_explained(server: &Server) {
        let office = office(server).await;
        let explain = "query($r: ID!, $m: ID) { explainAccess(record: $r, member: $m, field: \"amount\") { canRead canUpdate canDelete reasons { right way } roles { name } fieldSight fieldWritable } }";
        let of = async |asking: &Actor<'_>, record: &str, member: Value| asking.ask_with(explain, json!({ "r": record, "m": member })).await["explainAccess"].clone();
        let ann = json!(office.ann.id().await);
        let owner = |right: &str| json!({ "right": right, "way": "OWNER" });
        assert_eq!(of(&office.admin, &office.deals[0], ann.clone()).await, json!({ "canRead": true, "canUpdate": true, "canDelete": true,
            "reasons": [owner("READ"), owner("UPDATE"), owner("DELETE")], "roles": [{ "name": "Rep" }], "fieldSight": "FULL", "fieldWritable": true }));
        assert_eq!(of(&office.admin, &office.deals[1], ann.clone()).await["reasons"], json!([owner("READ")]));
        let none = of(&office.admin, &office.deals[2], ann.clone()).await;
        assert_eq!((&none["canRead"], &none["reasons"]), (&json!(false), &json!([])));
        let note = office.stranger.create("note", json!({ "title": "n", "links": { "connect": [{ "id": office.deals[2] }] } })).await;
        assert_eq!(of(&office.admin, &note, ann.clone()).await["reasons"], json!([]));
        office.admin.ask_with("mutation($d: ID!, $g: ID!) { shareRecord(input: { record: $d, grantee: $g }) { userErrors { code } } }", json!({ "d": office.deals[2], "g": ann })).await;
        assert_eq!(of(&office.admin, &office.deals[2], ann.clone()).await["reasons"], json!([{ "right": "READ", "way": "SHARE" }]));
        assert_eq!(of(&office.admin, &note, ann.clone()).await["reasons"], json!([{ "right": "READ", "way": "FOLLOWS" }]));
        assert_eq!(of(&office.admin, &note, Value::Null).await["reasons"][0], json!({ "right": "READ", "way": "ALL" }));
        // Of oneself one learns what one sees; of others only with the right to ask.
        assert_eq!(of(&office.ben, &office.deals[2], Value::Null).await, Value::Null);
        assert_eq!(of(&office.ben, &office.deals[0], Value::Null).await["canRead"], true);
        let document = format!("{{ explainAccess(record: \"{}\", member: {ann}) {{ canRead }} }}", office.deals[0]);
        assert_eq!(office.ben.refused(&document).await.0, "FORBIDDEN");
    }

    async fn the_description_shows_what_the_caller_may_use(server: &Server) {
        let admin = server.admin().await;
        let person = admin.create("person", json!({ "lastName": "C" })).await;
        let portal = server.member_with(&admin, "Cus", "PORTAL", json!({ "personId": person })).await;
        let data = portal.ask("{ objects { name creatable updatable deletable } fields(object: NOTE) { name } }").await;
        let names: Vec<&str> = data["objects"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["company", "person", "deal", "pipeline", "stage"]);
        assert_eq!(data["objects"][2], json!({ "name": "deal", "creatable": false, "updatable": false, "deletable": false }));
        assert_eq!(data["fields"], json!([]));
    }

    async fn a_share_opens_one_record(server: &Server) {
        let office = office(server).await;
        let share = "mutation($input: ShareRecordInput!) { shareRecord(input: $input) { share { id level granteeKind } userErrors { code path } } }";
        let ann = office.ann.id().await;
        let mine = async |record: &str, level: &str| office.stranger.ask_with(share, json!({ "input": { "record": record, "grantee": ann, "level": level } })).await["shareRecord"].clone();
        assert_eq!(mine(&office.deals[0], "READ").await["userErrors"][0]["code"], "NOT_FOUND");
        let made = mine(&office.deals[2], "READ").await;
        assert_eq!((&made["userErrors"], &made["share"]["granteeKind"]), (&json!([]), &json!("MEMBER")));
        assert_eq!(sees(&office.ann).await, ["of Ann", "of Ben", "of Sam"]);
        assert_eq!(sees(&office.ben).await, ["of Ann", "of Ben"]);
        assert_eq!(office.ann.update("deal", &office.deals[2], json!({ "name": "x" })).await["userErrors"][0]["code"], "NOT_WRITABLE");
        mine(&office.deals[2], "EDIT").await;
        assert_eq!(office.ann.update("deal", &office.deals[2], json!({ "name": "shared" })).await["userErrors"], json!([]));
        let shares = office.ann.ask_with("query($id: ID!) { recordShares(record: $id) { id level } }", json!({ "id": office.deals[2] })).await;
        assert_eq!(shares["recordShares"][0]["level"], "EDIT");
        office.stranger.ask_with("mutation($id: ID!) { unshareRecord(input: { id: $id }) { userErrors { code } } }", json!({ "id": shares["recordShares"][0]["id"] })).await;
        assert_eq!(sees(&office.ann).await, ["of Ann", "of Ben"]);
        let shares = office.ann.ask_with("query($id: ID!) { recordShares(record: $id) { id } }", json!({ "id": office.deals[2] })).await;
        assert_eq!(shares["recordShares"], json!([]));
    }

    async fn a_portal_user_sees_what_is_linked_to_them(server: &Server) {
        let admin = server.admin().await;
        let person = admin.create("person", json!({ "lastName": "Customer" })).await;
        let company = admin.create("company", json!({ "name": "Theirs", "people": { "connect": [{ "id": person }] } })).await;
        let other = admin.create("company", json!({ "name": "Other" })).await;
        admin.create("deal", json!({ "name": "by company", "company": { "id": company } })).await;
        admin.create("deal", json!({ "name": "by person", "people": { "connect": [{ "id": person }] } })).await;
        admin.create("deal", json!({ "name": "foreign", "company": { "id": other } })).await;
        admin.create("note", json!({ "title": "internal", "links": { "connect": [{ "id": company }] } })).await;
        let portal = server.member_with(&admin, "Cus", "PORTAL", json!({ "personId": person })).await;
        let data = portal.ask("{ deals(orderBy: [{ name: ASC }]) { nodes { name stage { name } owner { name } } } companies { nodes { name } } people { nodes { lastName } } notes { totalCount } members { totalCount } }").await;
        assert_eq!(data["deals"]["nodes"], json!([{ "name": "by company", "stage": { "name": "Qualification" }, "owner": null }, { "name": "by person", "stage": { "name": "Qualification" }, "owner": null }]));
        assert_eq!((&data["companies"]["nodes"], &data["people"]["nodes"]), (&json!([{ "name": "Theirs" }]), &json!([{ "lastName": "Customer" }])));
        // Of those who work there they see nobody; themselves they see.
        assert_eq!((&data["notes"]["totalCount"], &data["members"]["totalCount"]), (&json!(0), &json!(1)));
        assert_eq!(portal.ask("{ viewer { member { name } } }").await["viewer"]["member"]["name"], "Cus");
        assert_eq!(portal.refused("mutation { createDeal(input: { name: \"x\" }) { userErrors { code } } }").await.0, "FORBIDDEN");
    }

    async fn a_field_that_is_hidden_tells_nothing(server: &Server) {
        let office = office(server).await;
        office.admin.update("deal", &office.deals[0], json!({ "amount": { "amount": "5", "currency": "EUR" }, "description": "secret plan" })).await;
        let person = office.admin.create("person", json!({ "lastName": "P", "emails": [{ "address": "ada@example.com" }] })).await;
        let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { path message } } }";
        let input = json!({ "name": "No money", "restricts": true, "fields": [
            { "object": "DEAL", "field": "amount", "sight": "HIDDEN" },
            { "object": "DEAL", "field": "description", "sight": "MASKED", "write": true },
            { "object": "PERSON", "field": "emails", "sight": "HIDDEN" },
        ] });
        let role = office.admin.ask_with(create, json!({ "input": input })).await["createRole"].clone();
        assert_eq!(role["userErrors"], json!([]));
        let set = "mutation($holder: ID!, $roles: [ID!]!) { setRoles(input: { holder: $holder, roles: $roles }) { roles { name } userErrors { path message } } }";
        let rep = office.admin.role("REP").await;
        let done = office.admin.ask_with(set, json!({ "holder": office.ann.id().await, "roles": [rep, role["role"]["id"]] })).await;
        assert_eq!(done["setRoles"]["userErrors"], json!([]));
        let answer = office.ann.send("query($id: ID!, $p: ID!) { deal(id: $id) { name amount { amount } description viewerAccess { hidden masked readOnly } } person(id: $p) { emails { address } email } }", json!({ "id": office.deals[0], "p": person })).await;
        assert_eq!(answer["data"]["deal"], json!({ "name": "of Ann", "amount": null, "description": "s***", "viewerAccess": { "hidden": ["amount"], "masked": ["description"], "readOnly": ["amount"] } }));
        assert_eq!(answer["data"]["person"], json!({ "emails": [], "email": null }));
        assert_eq!(answer["extensions"]["hidden"], json!(["Deal.amount", "Deal.description", "Person.email", "Person.emails"]));
        for document in [
            "{ deals(filter: { amount: { amount: { gt: \"1\" } } }) { totalCount } }",
            "{ deals(orderBy: [{ amount: ASC }]) { nodes { id } } }",
            "{ deals(filter: { description: { contains: \"plan\" } }) { totalCount } }",
            "{ companies(filter: { deals: { some: { amount: { amount: { gt: \"1\" } } } } }) { totalCount } }",
            "{ people(filter: { email: { eq: \"ada@example.com\" } }) { totalCount } }",
            "{ person(key: { email: \"ada@example.com\" }) { id } }",
        ] {
            assert_eq!(office.ann.refused(document).await.0, "FORBIDDEN", "{document}");
        }
        // Nor does its past, and no merge carries it over.
        let before = "asOf: \"2026-03-11T12:00:00Z\"";
        server.clock.advance(60_000_000);
        office.admin.update("deal", &office.deals[0], json!({ "amount": { "amount": "7", "currency": "EUR" }, "description": "other plan" })).await;
        let then = office.ann.send(&format!("{{ deal(id: \"{}\", {before}) {{ name amount {{ amount }} description }} }}", office.deals[0]), json!({})).await;
        assert_eq!(then["data"]["deal"], json!({ "name": "of Ann", "amount": null, "description": "s***" }));
        for document in [
            format!("{{ deals(filter: {{ amount: {{ amount: {{ gt: \"1\" }} }} }}, {before}) {{ totalCount }} }}"),
            format!("{{ deals(orderBy: [{{ amount: ASC }}], {before}) {{ nodes {{ id }} }} }}"),
            format!("{{ dealGroups(by: [{{ stage: VALUE }}], having: {{ sum: {{ amount: {{ gt: \"1\" }} }} }}, {before}) {{ nodes {{ count }} }} }}"),
        ] {
            assert_eq!(office.ann.refused(&document).await.0, "FORBIDDEN", "{document}");
        }
        let own = office.ann.create("deal", json!({ "name": "mine" })).await;
        let merge = format!("mutation {{ mergeDeals(into: \"{own}\", from: [\"{}\"]) {{ mergeId userErrors {{ code message }} }} }}", office.deals[0]);
        let merged = office.ann.ask(&merge).await["mergeDeals"].take();
        assert_eq!(merged["userErrors"], json!([]));
        assert_eq!(office.admin.ask(&format!("{{ deal(id: \"{own}\") {{ amount {{ amount }} description }} }}")).await["deal"], json!({ "amount": null, "description": "other plan" }));
        office.admin.ask(&format!("mutation {{ unmergeDeal(mergeId: {}) {{ changeSetId }} }}", merged["mergeId"])).await;
        let payload = office.ann.update("deal", &office.deals[0], json!({ "amount": null, "description": "mine" })).await;
        assert_eq!(payload["userErrors"], json!([{ "code": "NOT_WRITABLE", "path": ["amount"], "message": "Your roles do not let you write Deal.amount." }]));
    }

    async fn a_role_that_makes_no_sense_is_refused(server: &Server) {
        let admin = server.admin().await;
        let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { userErrors { path code } } }";
        for (input, path) in [
            (json!({ "name": "" }), json!(["name"])),
            (json!({ "name": "Rep" }), json!(["name"])),
            (json!({ "name": "x", "objects": [{ "object": "DEAL", "read": ["OWN"], "update": ["ALL"] }] }), json!(["objects", "deal"])),
            (json!({ "name": "x", "fields": [{ "object": "DEAL", "field": "name", "sight": "HIDDEN" }] }), json!(["fields", "0", "field"])),
            (json!({ "name": "x", "fields": [{ "object": "DEAL", "field": "nothing", "sight": "HIDDEN" }] }), json!(["fields", "0", "field"])),
        ] {
            let payload = admin.ask_with(create, json!({ "input": input })).await["createRole"].clone();
            assert_eq!(payload["userErrors"][0]["path"], path, "{input}");
        }
    }

    async fn the_last_owner_stays(server: &Server) {
        let admin = server.admin().await;
        let manager = server.member(&admin, "Mia", "ADMIN").await;
        let set = "mutation($holder: ID!, $roles: [ID!]!) { setRoles(input: { holder: $holder, roles: $roles }) { userErrors { code message } } }";
        let (owner, rep) = (admin.role("OWNER").await, admin.role("REP").await);
        let refused = async |actor: &Actor<'_>, holder: String, roles: Value| actor.ask_with(set, json!({ "holder": holder, "roles": roles })).await["setRoles"]["userErrors"][0]["code"].clone();
        assert_eq!(refused(&admin, admin.id().await, json!([rep])).await, "RULE_REFUSED");
        assert_eq!(refused(&manager, manager.id().await, json!([owner])).await, "RULE_REFUSED");
        assert_eq!(refused(&manager, admin.id().await, json!([rep])).await, "RULE_REFUSED");
        let ann = server.member(&admin, "Ann", "REP").await;
        for document in [
            "mutation { createRole(input: { name: \"x\" }) { userErrors { code } } }",
            "mutation { createTeam(input: { name: \"x\" }) { userErrors { code } } }",
            "mutation { inviteMember(input: { name: \"x\", email: \"x@x.example\" }) { userErrors { code } } }",
            "mutation { createApiKey(input: { name: \"x\" }) { userErrors { code } } }",
            "mutation { createField(input: { object: DEAL, name: \"x\", kind: TEXT, label: \"x\" }) { userErrors { code } } }",
            "mutation { updateWorkspace(input: { name: \"x\" }) { userErrors { code } } }",
            "{ apiKeys { id } }",
        ] {
            assert_eq!(ann.refused(document).await.0, "FORBIDDEN", "{document}");
        }
    }

    async fn who_may_invite_may_not_give_more_than_they_have(server: &Server) {
        let admin = server.admin().await;
        let create = "mutation { createRole(input: { name: \"Office\", settings: [MEMBERS], objects: [{ object: MEMBER, read: [ALL] }] }) { role { id } } }";
        let office = admin.ask(create).await["createRole"]["role"]["id"].clone();
        let holder = server.member(&admin, "Off", "REP").await;
        let set = "mutation($h: ID!, $r: ID!) { setRoles(input: { holder: $h, roles: [$r] }) { userErrors { code } } }";
        admin.ask_with(set, json!({ "h": holder.id().await, "r": office })).await;
        let invite = async |n: u8, role: Value| {
            let document = "mutation($i: InviteMemberInput!) { inviteMember(input: $i) { token userErrors { code path } } }";
            holder.ask_with(document, json!({ "i": { "name": "x", "email": format!("x{n}@x.example"), "roles": [role] } })).await["inviteMember"]["userErrors"].clone()
        };
        for (n, role) in [(1, "OWNER"), (2, "ADMIN")] {
            assert_eq!(invite(n, json!(admin.role(role).await)).await, json!([{ "code": "RULE_REFUSED", "path": ["roles"] }]));
        }
        assert_eq!(invite(3, json!(admin.role("REP").await)).await, json!([]));
        assert_eq!(invite(4, office.clone()).await, json!([]));
    }

    async fn a_restriction_is_not_shaken_off(server: &Server) {
        let admin = server.admin().await;
        admin.create("company", json!({ "name": "c" })).await;
        let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { message } } }";
        let make = async |input: Value| admin.ask_with(create, json!({ "input": input })).await["createRole"]["role"]["id"].clone();
        let bound = make(json!({ "name": "No companies", "restricts": true, "objects": [{ "object": "COMPANY" }] })).await;
        let office = make(json!({ "name": "Office", "settings": ["MEMBERS", "API_KEYS"] })).await;
        let all = admin.role("READ_ONLY").await;
        let holder = server.member(&admin, "Off", "REP").await;
        let set = "mutation($h: ID!, $r: [ID!]!) { setRoles(input: { holder: $h, roles: $r }) { userErrors { code } } }";
        admin.ask_with(set, json!({ "h": holder.id().await, "r": [all, bound, office] })).await;
        let key = holder.ask_with("mutation($r: ID!) { createApiKey(input: { name: \"k\", roles: [$r] }) { secret } }", json!({ "r": all })).await;
        let key = server.bearer(key["createApiKey"]["secret"].as_str().unwrap());
        let invite = "mutation($r: ID!) { inviteMember(input: { name: \"s\", email: \"s@x.example\", roles: [$r] }) { token } }";
        let token = holder.ask_with(invite, json!({ "r": all })).await["inviteMember"]["token"].clone();
        let accept = "mutation($t: String!) { acceptInvitation(input: { token: $t, password: \"correct horse\" }) { session { accessToken } } }";
        let sock = server.anonymous().ask_with(accept, json!({ "t": token })).await["acceptInvitation"]["session"]["accessToken"].clone();
        for actor in [&holder, &key, &server.bearer(sock.as_str().unwrap())] {
            assert_eq!(actor.ask("{ companies { totalCount } }").await["companies"]["totalCount"], 0);
        }
        // Nor does inviting anew take over somebody who was invited with more.
        let admins = admin.role("ADMIN").await;
        let first = admin.ask_with("mutation($r: ID!) { inviteMember(input: { name: \"f\", email: \"f@x.example\", roles: [$r] }) { token userErrors { code } } }", json!({ "r": admins })).await;
        assert_eq!(first["inviteMember"]["userErrors"], json!([]));
        let again = holder.ask("mutation { inviteMember(input: { name: \"f\", email: \"f@x.example\" }) { token userErrors { code } } }").await;
        assert_eq!(again["inviteMember"], json!({ "token": null, "userErrors": [{ "code": "RULE_REFUSED" }] }));
    }

    async fn who_works_here_is_no_matter_of_the_record_alone(server: &Server) {
        let office = office(server).await;
        let create = "mutation { createRole(input: { name: \"Clerk\", objects: [{ object: MEMBER, create: true, read: [ALL], update: [ALL], delete: [ALL] }, { object: DEAL, read: [TEAM_TREE] }] }) { role { id } } }";
        let clerk = office.admin.ask(create).await["createRole"]["role"]["id"].clone();
        let set = "mutation($h: ID!, $r: ID!) { setRoles(input: { holder: $h, roles: [$r] }) { userErrors { code } } }";
        let me = office.ben.id().await;
        office.admin.ask_with(set, json!({ "h": me, "r": clerk })).await;
        let ann = office.ann.id().await;
        for (field, value) in [("manager", json!({ "id": me })), ("status", json!("SUSPENDED")), ("kind", json!("SERVICE")), ("email", json!("x@x.example"))] {
            let payload = office.ben.update("member", &ann, json!({ field: value })).await;
            assert_eq!((&payload["userErrors"][0]["code"], &payload["userErrors"][0]["path"]), (&json!("NOT_WRITABLE"), &json!([field])), "{payload}");
        }
        assert_eq!(office.ben.update("member", &ann, json!({ "jobTitle": "Rep" })).await["userErrors"], json!([]));
        let delete = "mutation($id: ID!) { deleteMember(id: $id) { userErrors { code } } }";
        assert_eq!(office.ben.ask_with(delete, json!({ "id": ann })).await["deleteMember"]["userErrors"][0]["code"], "RULE_REFUSED");
        // An admin changes no owner.
        let second = server.member(&office.admin, "Own", "OWNER").await.id().await;
        let admin = server.member(&office.admin, "Adm", "ADMIN").await;
        assert_eq!(admin.update("member", &second, json!({ "status": "SUSPENDED" })).await["userErrors"][0]["code"], "RULE_REFUSED");
        assert_eq!(admin.ask_with(delete, json!({ "id": second })).await["deleteMember"]["userErrors"][0]["code"], "RULE_REFUSED");
        assert_eq!(office.admin.update("member", &second, json!({ "status": "SUSPENDED" })).await["userErrors"], json!([]));
    }

    async fn a_link_is_a_field_at_both_ends(server: &Server) {
        let office = office(server).await;
        let person = office.ann.create("person", json!({ "lastName": "P" })).await;
        let other = office.ben.create("person", json!({ "lastName": "Q" })).await;
        office.ben.update("deal", &office.deals[1], json!({ "people": { "connect": [{ "id": other, "primary": true }, { "id": person }] } })).await;
        office.admin.update("deal", &office.deals[2], json!({ "people": { "connect": [{ "id": person }] } })).await;
        // Ann sees Ben's deal, but may not change it: nor make her person its primary one.
        let connect = json!({ "deals": { "connect": [{ "id": office.deals[1], "primary": true }] } });
        assert_eq!(office.ann.update("person", &person, connect).await["userErrors"][0]["code"], "NOT_WRITABLE");
        // What she does not see she does not unlink, and is told of it what is told of nothing.
        for verb in ["disconnect", "delete"] {
            let mut told = Vec::new();
            for id in [office.deals[2].as_str(), "0198f0a0-0000-7000-8000-00000000dead"] {
                told.push(office.ann.update("person", &person, json!({ "deals": { verb: [id] } })).await["userErrors"].clone());
            }
            assert_eq!(told[0], told[1], "{verb}");
        }
        let people = "query($d: ID!) { deal(id: $d) { people { totalCount } } }";
        assert_eq!(office.admin.ask_with(people, json!({ "d": office.deals[2] })).await["deal"]["people"]["totalCount"], 1);
    }

    async fn what_is_hidden_is_hidden_from_both_sides_and_from_cursors(server: &Server) {
        let office = office(server).await;
        let company = office.admin.create("company", json!({ "name": "c" })).await;
        office.ann.update("deal", &office.deals[0], json!({ "company": { "id": company } })).await;
        let task = office.ann.create("task", json!({ "subject": "t" })).await;
        let create = "mutation { createRole(input: { name: \"Blind\", restricts: true, fields: [{ object: DEAL, field: \"company\", sight: HIDDEN }, { object: ACTIVITY, field: \"occurredAt\", sight: HIDDEN }] }) { role { id } userErrors { path message } } }";
        let role = office.admin.ask(create).await["createRole"].clone();
        assert_eq!(role["userErrors"], json!([]), "{role}");
        let set = "mutation($h: ID!, $r: [ID!]!) { setRoles(input: { holder: $h, roles: $r }) { userErrors { code } } }";
        office.admin.ask_with(set, json!({ "h": office.ann.id().await, "r": [office.admin.role("REP").await, role["role"]["id"]] })).await;
        let document = "query($c: ID!, $d: ID!) { company(id: $c) { deals { totalCount nodes { id } } } companies(filter: { deals: { some: { id: { eq: $d } } } }) { totalCount } deal(id: $d) { company { name } } activities { edges { cursor node { id } } } }";
        let data = office.ann.ask_with(document, json!({ "c": company, "d": office.deals[0] })).await;
        assert_eq!((&data["company"]["deals"]["totalCount"], &data["companies"]["totalCount"], &data["deal"]["company"]), (&json!(0), &json!(0), &Value::Null));
        let edge = &data["activities"]["edges"][0];
        assert_eq!(edge["node"]["id"], json!(task));
        use base64::Engine as _;
        let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(edge["cursor"].as_str().unwrap()).unwrap();
        assert!(!String::from_utf8_lossy(&cursor).contains("1773"), "the cursor tells the time");
    }

    async fn an_invitation_is_good_once(server: &Server) {
        let admin = server.admin().await;
        let invite = "mutation { inviteMember(input: { name: \"Eve\", email: \"eve@x.example\" }) { token member { status } userErrors { code } } }";
        let first = admin.ask(invite).await["inviteMember"]["token"].clone();
        let second = admin.ask(invite).await["inviteMember"].clone();
        assert_eq!(second["member"]["status"], "INVITED");
        let accept = async |token: &Value, password: &str| {
            let document = "mutation($t: String!, $p: String!) { acceptInvitation(input: { token: $t, password: $p }) { session { member { name } } userErrors { code path } } }";
            server.anonymous().ask_with(document, json!({ "t": token, "p": password })).await["acceptInvitation"].clone()
        };
        assert_eq!(accept(&first, "correct horse").await["userErrors"][0]["code"], "RULE_REFUSED");
        assert_eq!(accept(&json!("nonsense"), "correct horse").await["userErrors"][0]["code"], "RULE_REFUSED");
        assert_eq!(accept(&second["token"], "short").await["userErrors"][0]["path"], json!(["password"]));
        assert_eq!(accept(&second["token"], "correct horse").await["session"]["member"]["name"], "Eve");
        assert_eq!(accept(&second["token"], "correct horse").await["userErrors"][0]["code"], "RULE_REFUSED");
    }
}
