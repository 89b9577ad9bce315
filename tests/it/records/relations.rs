//! Relations that a workspace defines: typed at both ends, filtered and sorted through, kept on delete.

use serde_json::{Value, json};

use super::custom_objects::define;
use crate::harness::{Actor, Server, on_both};

const CREATE: &str = "mutation($input: CreateRelationInput!) { createRelation(input: $input) { relation { id name path many target hasRole } inverse { name path many target } userErrors { code path message } } }";

pub async fn relate(admin: &Actor<'_>, input: Value) -> Value {
    let made = admin.ask_with(CREATE, json!({ "input": input })).await["createRelation"].take();
    assert_eq!(made["userErrors"], json!([]), "{made:#}");
    made
}

fn one_to_many() -> Value {
    json!({ "from": "HOUSE", "to": "VIEWING", "name": "viewings", "inverseName": "house", "label": "Viewings", "inverseLabel": "House", "cardinality": "ONE_TO_MANY" })
}

/// Houses and viewings, of which a house has many; viewings and people, many of each; houses and companies.
async fn estate(admin: &Actor<'_>, on_delete: &str) {
    for (name, plural, field) in [("house", "houses", "rooms"), ("viewing", "viewings", "minutes")] {
        let fields = json!([{ "name": field, "kind": "INTEGER", "label": field }]);
        let made = define(admin, json!({ "name": name, "plural": plural, "label": name, "pluralLabel": plural, "fields": fields })).await;
        assert_eq!(made["userErrors"], json!([]));
    }
    let mut input = one_to_many();
    input["onDelete"] = json!(on_delete);
    relate(admin, input).await;
    relate(admin, json!({ "from": "VIEWING", "to": "PERSON", "name": "visitors", "inverseName": "viewings", "label": "Visitors", "inverseLabel": "Viewings",
        "cardinality": "MANY_TO_MANY", "hasRole": true, "maxFrom": 2 })).await;
    relate(admin, json!({ "from": "COMPANY", "to": "HOUSE", "name": "houses", "inverseName": "agency", "label": "Houses", "inverseLabel": "Agency", "cardinality": "ONE_TO_MANY" })).await;
}

async fn houses(admin: &Actor<'_>) -> [String; 2] {
    let input = json!({ "name": "Mill", "rooms": 3, "agency": { "create": { "name": "Agency" } },
        "viewings": { "create": [{ "name": "v1", "minutes": 30 }, { "name": "v2", "minutes": 50 }] } });
    [admin.create("house", input).await, admin.create("house", json!({ "name": "Barn", "rooms": 5 })).await]
}

fn names(list: &Value) -> Vec<String> {
    crate::harness::names(&list["nodes"])
}

on_both! {
    async fn both_ends_are_typed(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let [mill, barn] = houses(&admin).await;
        let data = admin.ask_with("query($id: ID!) { house(id: $id) { name agency { name custom { houses { nodes { name } } } } viewings(orderBy: [{ minutes: DESC }], first: 1) { totalCount nodes { name house { name rooms } } aggregate { sum { minutes } } pageInfo { hasNextPage } } } }", json!({ "id": mill })).await;
        assert_eq!(data["house"], json!({ "name": "Mill", "agency": { "name": "Agency", "custom": { "houses": { "nodes": [{ "name": "Mill" }] } } },
            "viewings": { "totalCount": 2, "nodes": [{ "name": "v2", "house": { "name": "Mill", "rooms": 3 } }], "aggregate": { "sum": { "minutes": "80" } }, "pageInfo": { "hasNextPage": true } } }));
        let data = admin.ask("{ byHouse: viewings(filter: { house: { rooms: { eq: 3 } } }, orderBy: [{ house: { rooms: DESC } }, { minutes: ASC }]) { nodes { name } } \
            nowhere: viewings(filter: { house: { isNull: true } }) { totalCount } somewhere: viewings(filter: { house: { isNull: false } }) { totalCount } \
            busy: houses(filter: { viewings: { some: { minutes: { gt: 40 } } } }) { nodes { name } } idle: houses(filter: { viewings: { none: {} } }) { nodes { name } } \
            counted: houses(filter: { viewings: { count: { gte: 2 } } }) { nodes { name } } \
            agencies: companies(filter: { custom: { houses: { some: { name: { eq: \"mill\" } } } } }) { nodes { name } } \
            hops: viewings(filter: { house: { agency: { name: { startsWith: \"ag\" } } } }) { totalCount } }").await;
        assert_eq!((names(&data["byHouse"]), &data["nowhere"]["totalCount"], &data["somewhere"]["totalCount"]), (vec!["v1".into(), "v2".into()], &json!(0), &json!(2)));
        assert_eq!((names(&data["busy"]), names(&data["idle"]), names(&data["counted"]), names(&data["agencies"])), (vec!["Mill".into()], vec!["Barn".into()], vec!["Mill".into()], vec!["Agency".into()]));
        assert_eq!(data["hops"]["totalCount"], 2);
        let sorted = admin.ask("{ a: houses(orderBy: [{ agency: { name: ASC } }]) { nodes { name } } b: houses(orderBy: [{ agency: { name: ASC_NULLS_FIRST } }]) { nodes { name } } }").await;
        assert_eq!((names(&sorted["a"]), names(&sorted["b"])), (vec!["Mill".into(), "Barn".into()], vec!["Barn".into(), "Mill".into()]));
        let _ = barn;
    }

    async fn a_link_with_a_role_carries_it_on_the_edge(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        houses(&admin).await;
        let [ada, bob, cy] = [admin.create("person", json!({ "lastName": "Ada" })).await, admin.create("person", json!({ "lastName": "Bob" })).await, admin.create("person", json!({ "lastName": "Cy" })).await];
        let viewing = admin.create("viewing", json!({ "name": "v", "visitors": { "connect": [{ "id": ada, "role": "buyer" }, { "id": bob }] } })).await;
        let data = admin.ask_with("query($id: ID!, $ada: ID!) { viewing(id: $id) { visitors { edges { role node { fullName } } } } person(id: $ada) { custom { viewings { totalCount edges { role node { name } } } } } }", json!({ "id": viewing, "ada": ada })).await;
        assert_eq!(data["viewing"]["visitors"]["edges"], json!([{ "role": "buyer", "node": { "fullName": "Ada" } }, { "role": null, "node": { "fullName": "Bob" } }]));
        assert_eq!(data["person"]["custom"]["viewings"], json!({ "totalCount": 1, "edges": [{ "role": "buyer", "node": { "name": "v" } }] }));
        // Two at most.
        let third = admin.update("viewing", &viewing, json!({ "visitors": { "connect": [{ "id": cy }] } })).await;
        assert_eq!((&third["userErrors"][0]["code"], &third["userErrors"][0]["path"]), (&json!("LIMIT"), &json!(["visitors", "connect", "0"])));
        // From the other end, under `custom` of the standard object.
        let swap = admin.update("viewing", &viewing, json!({ "visitors": { "disconnect": [bob] } })).await;
        assert_eq!(swap["userErrors"], json!([]));
        let linked = admin.update("person", &cy, json!({ "custom": { "viewings": { "connect": [{ "id": viewing, "role": "friend" }] } } })).await;
        assert_eq!(linked["userErrors"], json!([]));
        let found = admin.ask("{ people(filter: { custom: { viewings: { some: { name: { eq: \"v\" } } } } }, orderBy: [{ lastName: ASC }]) { nodes { lastName } } }").await;
        assert_eq!(found["people"]["nodes"], json!([{ "lastName": "Ada" }, { "lastName": "Cy" }]));
    }

    async fn what_is_linked_already_is_no_change(server: &Server) {
        let admin = server.admin().await;
        let (company, other) = (admin.create("company", json!({ "name": "A" })).await, admin.create("company", json!({ "name": "B" })).await);
        let person = admin.create("person", json!({ "lastName": "P" })).await;
        let kinds = async || {
            let tx = server.app.db.begin(&kith::infra::db::Scope::workspace(admin.workspace), kith::infra::db::Mode::Read).await.unwrap();
            let rows = tx.fetch_all("SELECT kind FROM change_log WHERE workspace_id = $1 AND kind = 'LINKED'", vec![admin.workspace.into()]);
            rows.await.unwrap().len()
        };
        let link = async |of: &str, said: Value| {
            let mut item = json!({ "id": person });
            item.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
            admin.update("company", of, json!({ "people": { "connect": [item] } })).await;
        };
        link(&company, json!({ "role": "Boss", "primary": true })).await;
        assert_eq!(kinds().await, 1);
        for said in [json!({}), json!({ "role": "Boss" }), json!({ "primary": true }), json!({ "role": "Boss", "primary": true })] {
            link(&company, said).await;
        }
        assert_eq!(kinds().await, 1);
        link(&company, json!({ "role": "Aide" })).await;
        link(&other, json!({ "primary": true })).await;
        // It is the first one's no more.
        link(&company, json!({ "primary": true })).await;
        assert_eq!(kinds().await, 4);
        let document = "query($id: ID!) { person(id: $id) { companies(first: 5) { edges { primary role node { name } } } } }";
        let answer = admin.ask_with(document, json!({ "id": person })).await;
        let mut edges = answer["person"]["companies"]["edges"].as_array().unwrap().clone();
        edges.sort_by_key(|edge| edge["node"]["name"].to_string());
        let is = json!([{ "primary": true, "role": "Aide", "node": { "name": "A" } }, { "primary": false, "role": null, "node": { "name": "B" } }]);
        assert_eq!(json!(edges), is);
    }

    async fn an_end_with_one_record_is_replaced_moved_and_cleared(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let [mill, barn] = houses(&admin).await;
        let viewing = admin.ask("{ viewings(filter: { name: { eq: \"v1\" } }) { nodes { id } } }").await["viewings"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let of = async |id: &str| admin.ask_with("query($id: ID!) { viewing(id: $id) { house { name } } }", json!({ "id": id })).await["viewing"]["house"].clone();
        assert_eq!(admin.update("viewing", &viewing, json!({ "house": { "id": barn } })).await["userErrors"], json!([]));
        assert_eq!(of(&viewing).await, json!({ "name": "Barn" }));
        // From the many end it moves.
        assert_eq!(admin.update("house", &mill, json!({ "viewings": { "connect": [{ "id": viewing }] } })).await["userErrors"], json!([]));
        assert_eq!(of(&viewing).await, json!({ "name": "Mill" }));
        assert_eq!(admin.ask_with("query($id: ID!) { house(id: $id) { viewings { totalCount } } }", json!({ "id": barn })).await["house"]["viewings"]["totalCount"], 0);
        // The house that it left says so, as of its own version.
        admin.update("house", &barn, json!({ "rooms": 6 })).await;
        admin.update("house", &barn, json!({ "viewings": { "connect": [{ "id": viewing }] } })).await;
        admin.update("house", &mill, json!({ "viewings": { "connect": [{ "id": viewing }] } })).await;
        let left = admin.ask_with("query($id: ID!) { house(id: $id) { history(fields: [\"viewings\"], first: 1) { nodes { kind from version } } } }", json!({ "id": barn })).await;
        assert_eq!(left["house"]["history"]["nodes"], json!([{ "kind": "UNLINKED", "from": { "id": viewing }, "version": 2 }]));
        assert_eq!(admin.update("viewing", &viewing, json!({ "house": null })).await["userErrors"], json!([]));
        assert_eq!(of(&viewing).await, Value::Null);
        let made = admin.create("viewing", json!({ "name": "new", "house": { "create": { "name": "Tower" } } })).await;
        assert_eq!(of(&made).await, json!({ "name": "Tower" }));
        let nowhere = admin.update("viewing", &viewing, json!({ "house": { "id": viewing } })).await;
        assert_eq!((&nowhere["userErrors"][0]["code"], &nowhere["userErrors"][0]["path"]), (&json!("NOT_FOUND"), &json!(["house", "id"])));
        let history = admin.ask_with("query($id: ID!) { viewing(id: $id) { history(fields: [\"house\"]) { nodes { field from to } } } }", json!({ "id": viewing })).await;
        assert_eq!(history["viewing"]["history"]["nodes"][0]["from"], json!({ "id": mill }));
    }

    async fn one_record_has_one_link_whoever_writes_at_the_same_time(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let [mill, barn] = houses(&admin).await;
        let viewing = admin.create("viewing", json!({ "name": "x" })).await;
        let write = |house: String| {
            let (admin, viewing) = (&admin, &viewing);
            async move { admin.update("viewing", viewing, json!({ "house": { "id": house } })).await }
        };
        let houses = [&mill, &barn, &mill, &barn, &mill, &barn];
        for done in futures_util::future::join_all(houses.map(|house| write(house.clone()))).await {
            assert!(done["userErrors"] == json!([]) || done["userErrors"][0]["code"] == "CONFLICT", "{done:#}");
        }
        let both = admin.ask_with("query($f: ViewingFilter!) { houses { nodes { viewings(filter: $f) { totalCount } } } }", json!({ "f": { "name": { "eq": "x" } } })).await;
        let counts: i64 = both["houses"]["nodes"].as_array().unwrap().iter().map(|house| house["viewings"]["totalCount"].as_i64().unwrap()).sum();
        assert_eq!(counts, 1);
    }

    async fn what_is_linked_is_kept_refused_or_taken_along(server: &Server) {
        for (rule, viewings) in [("UNLINK", 2), ("CASCADE", 0)] {
            let admin = server.admin().await;
            estate(&admin, rule).await;
            let [mill, _] = houses(&admin).await;
            let delete = "mutation($id: ID!) { deleteHouse(id: $id) { deletedId userErrors { code } } }";
            assert_eq!(admin.ask_with(delete, json!({ "id": mill })).await["deleteHouse"]["deletedId"], json!(mill), "{rule}");
            let left = admin.ask("{ viewings { totalCount nodes { house { name } } } }").await;
            assert_eq!(left["viewings"]["totalCount"], viewings, "{rule}");
            assert!(left["viewings"]["nodes"].as_array().unwrap().iter().all(|viewing| viewing["house"].is_null()));
            admin.ask_with("mutation($id: ID!) { restoreHouse(id: $id) { userErrors { code } } }", json!({ "id": mill })).await;
            let back = admin.ask("{ viewings { totalCount nodes { house { name } } } }").await;
            assert_eq!(back["viewings"], json!({ "totalCount": 2, "nodes": [{ "house": { "name": "Mill" } }, { "house": { "name": "Mill" } }] }), "{rule}");
            let purge = "mutation($id: ID!) { purgeHouse(id: $id) { deletedId userErrors { code message } } }";
            assert_eq!(admin.ask_with(purge, json!({ "id": mill })).await["purgeHouse"]["userErrors"], json!([]), "{rule}");
            assert_eq!(admin.ask("{ viewings(deleted: INCLUDE) { totalCount } }").await["viewings"]["totalCount"], viewings, "{rule}");
        }
        let admin = server.admin().await;
        estate(&admin, "RESTRICT").await;
        let [mill, barn] = houses(&admin).await;
        for (verb, id, refused) in [("delete", &mill, true), ("purge", &mill, true), ("delete", &barn, false)] {
            let document = format!("mutation($id: ID!) {{ {verb}House(id: $id) {{ userErrors {{ code }} }} }}");
            let done = admin.ask_with(&document, json!({ "id": id })).await[format!("{verb}House")].take();
            assert_eq!(done["userErrors"] == json!([{ "code": "RULE_REFUSED" }]), refused, "{verb} {done:#}");
        }
        assert_eq!(admin.ask("{ houses { totalCount } }").await["houses"]["totalCount"], 1);
    }

    async fn only_what_is_seen_is_led_to(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let [mill, _] = houses(&admin).await;
        let rep = server.member(&admin, "Rep", "REP").await;
        let mine = rep.create("viewing", json!({ "name": "mine" })).await;
        // Not seen, so not there to be linked.
        assert_eq!(rep.update("viewing", &mine, json!({ "house": { "id": mill } })).await["userErrors"][0]["code"], "NOT_FOUND");
        assert_eq!(admin.update("viewing", &mine, json!({ "house": { "id": mill } })).await["userErrors"], json!([]));
        let data = rep.ask("{ viewings { nodes { name house { name } } } led: viewings(filter: { house: { rooms: { gt: 0 } } }) { totalCount } empty: viewings(filter: { house: { isNull: true } }) { totalCount } }").await;
        assert_eq!(data, json!({ "viewings": { "nodes": [{ "name": "mine", "house": null }] }, "led": { "totalCount": 0 }, "empty": { "totalCount": 1 } }));
        // A viewing of somebody else's is not moved.
        let theirs = admin.create("viewing", json!({ "name": "theirs" })).await;
        let share = "mutation($record: ID!, $to: ID!) { shareRecord(input: { record: $record, grantee: $to, level: READ }) { userErrors { message } } }";
        admin.ask_with(share, json!({ "record": theirs, "to": rep.id().await })).await;
        let own = rep.create("house", json!({ "name": "own" })).await;
        let refused = rep.update("house", &own, json!({ "viewings": { "connect": [{ "id": theirs }] } })).await;
        assert_eq!((&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]), (&json!("NOT_WRITABLE"), &json!(["viewings", "connect", "0", "id"])));
    }

    async fn where_a_record_leads_is_a_change_of_it(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let [mill, barn] = houses(&admin).await;
        let viewing = admin.create("viewing", json!({ "name": "x" })).await;
        let write = "mutation($id: ID!, $house: ID!, $v: Int) { updateViewing(id: $id, input: { house: { id: $house } }, expectedVersion: $v) { viewing { version } userErrors { code } } }";
        let first = admin.ask_with(write, json!({ "id": viewing, "house": mill, "v": 1 })).await;
        assert_eq!(first["updateViewing"], json!({ "viewing": { "version": 2 }, "userErrors": [] }));
        let second = admin.ask_with(write, json!({ "id": viewing, "house": barn, "v": 1 })).await;
        assert_eq!(second["updateViewing"]["userErrors"][0]["code"], "CONFLICT");
    }

    async fn a_credential_does_not_link_its_way_out_of_its_rows(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let [mill, _] = houses(&admin).await;
        let viewing = admin.create("viewing", json!({ "name": "v", "house": { "id": mill } })).await;
        let key = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret userErrors { message path } } }";
        let scopes: Vec<Value> = ["HOUSE", "VIEWING"].iter().map(|object| json!({ "object": object, "access": "WRITE" })).collect();
        let filters = json!([{ "houses": { "name": { "eq": "Mill" } } }, { "viewings": { "house": { "name": { "eq": "Mill" } } } }]);
        let made = admin.ask_with(key, json!({ "input": { "name": "k", "restrictions": { "scopes": scopes, "rowFilters": filters } } })).await["createApiKey"].take();
        assert_eq!(made["userErrors"], json!([]));
        let narrow = Actor { credential: made["secret"].as_str().map(str::to_owned), ..admin.clone() };
        assert_eq!(narrow.ask("{ houses { totalCount } viewings { totalCount } }").await, json!({ "houses": { "totalCount": 1 }, "viewings": { "totalCount": 3 } }));
        for document in [
            format!("mutation {{ updateViewing(id: \"{viewing}\", input: {{ house: null }}) {{ userErrors {{ code }} }} }}"),
            format!("mutation {{ updateHouse(id: \"{mill}\", input: {{ viewings: {{ disconnect: [\"{viewing}\"] }} }}) {{ userErrors {{ code }} }} }}"),
            "mutation { createViewing(input: { name: \"out\" }) { userErrors { code } } }".to_owned(),
        ] {
            assert_eq!(narrow.refused(&document).await.0, "FORBIDDEN", "{document}");
        }
        let made = format!("mutation {{ updateHouse(id: \"{mill}\", input: {{ viewings: {{ create: [{{ name: \"in\" }}] }} }}) {{ userErrors {{ code message path }} }} }}");
        assert_eq!(narrow.ask(&made).await["updateHouse"]["userErrors"], json!([]));
        assert_eq!(narrow.ask("{ viewings { totalCount } }").await["viewings"]["totalCount"], 4);
    }

    async fn nobody_takes_what_is_linked_to_a_record_that_is_not_theirs(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        relate(&admin, json!({ "from": "HOUSE", "to": "VIEWING", "name": "best", "inverseName": "bestOf", "label": "Best", "inverseLabel": "Best of", "cardinality": "ONE_TO_ONE" })).await;
        let rep = server.member(&admin, "Rep", "REP").await;
        let theirs = rep.create("viewing", json!({ "name": "theirs" })).await;
        let house = admin.create("house", json!({ "name": "hidden", "best": { "id": theirs } })).await;
        let refused = rep.mutate("createHouse", "house", json!({ "name": "own", "best": { "id": theirs } })).await;
        assert_eq!((&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]), (&json!("TAKEN"), &json!(["best"])));
        assert_eq!(admin.ask_with("query($id: ID!) { house(id: $id) { best { name } } }", json!({ "id": house })).await["house"]["best"]["name"], "theirs");
    }

    async fn the_most_holds_whoever_links_at_the_same_time(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        relate(&admin, json!({ "from": "PERSON", "to": "HOUSE", "name": "watched", "inverseName": "watchers", "label": "Watched", "inverseLabel": "Watchers", "cardinality": "MANY_TO_MANY", "maxTo": 3 })).await;
        let [house, _] = houses(&admin).await;
        let mut people = Vec::new();
        for n in 0..8 {
            people.push(admin.create("person", json!({ "lastName": format!("P{n}") })).await);
        }
        let link = |person: String| {
            let (admin, house) = (&admin, &house);
            async move { admin.update("person", &person, json!({ "custom": { "watched": { "connect": [{ "id": house }] } } })).await }
        };
        let done = futures_util::future::join_all(people.into_iter().map(link)).await;
        assert_eq!(done.iter().filter(|done| done["userErrors"] == json!([])).count(), 3, "{done:#?}");
        assert!(done.iter().all(|done| done["userErrors"] == json!([]) || done["userErrors"][0]["code"] == "LIMIT"));
    }

    async fn one_name_is_given_once_whoever_defines_at_the_same_time(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        let mut input = one_to_many();
        (input["name"], input["inverseName"]) = (json!("more"), json!("other"));
        let made = futures_util::future::join_all((0..5).map(|_| admin.ask_with(CREATE, json!({ "input": input.clone() })))).await;
        assert_eq!(made.iter().filter(|made| made["createRelation"]["userErrors"] == json!([])).count(), 1, "{made:#?}");
    }

    async fn what_makes_no_sense_is_refused(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        for (change, code, path) in [
            (json!({ "name": "viewings" }), "TAKEN", "name"), (json!({ "name": "rooms" }), "TAKEN", "name"), (json!({ "name": "owner" }), "TAKEN", "name"),
            (json!({ "name": "a b" }), "INVALID_VALUE", "name"), (json!({ "inverseName": "house" }), "TAKEN", "inverseName"), (json!({ "to": "ACTIVITY" }), "INVALID_VALUE", "to"),
            (json!({ "maxTo": 3 }), "INVALID_VALUE", "maxTo"), (json!({ "cardinality": "MANY_TO_MANY", "onDelete": "CASCADE" }), "INVALID_VALUE", "onDelete"),
            (json!({ "to": "HOUSE", "name": "twin", "inverseName": "twin" }), "INVALID_VALUE", "inverseName"), (json!({ "label": " " }), "INVALID_VALUE", "label"),
        ] {
            let mut input = one_to_many();
            (input["name"], input["inverseName"]) = (json!("more"), json!("other"));
            input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let refused = admin.ask_with(CREATE, json!({ "input": input })).await["createRelation"].take();
            assert_eq!((&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]), (&json!(code), &json!([path])), "{change}");
        }
        let (code, _) = server.member(&admin, "Rep", "REP").await.refused("mutation { createRelation(input: { from: HOUSE, to: DEAL, name: \"x\", inverseName: \"y\", label: \"X\", inverseLabel: \"Y\", cardinality: ONE_TO_ONE }) { userErrors { code } } }").await;
        assert_eq!(code, "FORBIDDEN");
    }

    async fn a_record_relates_to_others_of_its_own_object(server: &Server) {
        let admin = server.admin().await;
        estate(&admin, "UNLINK").await;
        relate(&admin, json!({ "from": "HOUSE", "to": "HOUSE", "name": "annexes", "inverseName": "main", "label": "Annexes", "inverseLabel": "Main house", "cardinality": "ONE_TO_MANY" })).await;
        let main = admin.create("house", json!({ "name": "main", "annexes": { "create": [{ "name": "a" }, { "name": "b", "annexes": { "create": [{ "name": "b1" }] } }] } })).await;
        let data = admin.ask_with("query($id: ID!) { house(id: $id) { annexes { nodes { name main { name } annexes { nodes { name main { main { name } } } } } } } }", json!({ "id": main })).await;
        assert_eq!(data["house"]["annexes"]["nodes"], json!([{ "name": "a", "main": { "name": "main" }, "annexes": { "nodes": [] } },
            { "name": "b", "main": { "name": "main" }, "annexes": { "nodes": [{ "name": "b1", "main": { "main": { "name": "main" } } }] } }]));
        let archive = "mutation($id: ID!, $archived: Boolean!) { archiveRelation(input: { id: $id, archived: $archived }) { relation { name } userErrors { message } } }";
        let objects = admin.ask("{ objects { name relations { id name } } }").await["objects"].take();
        let house = objects.as_array().unwrap().iter().find(|object| object["name"] == "house").unwrap();
        let id = house["relations"].as_array().unwrap().iter().find(|relation| relation["name"] == "annexes").unwrap()["id"].clone();
        assert_eq!(admin.ask_with(archive, json!({ "id": id, "archived": true })).await["archiveRelation"], json!({ "relation": null, "userErrors": [] }));
        assert_eq!(admin.refused("{ houses { nodes { annexes { totalCount } } } }").await.0, "BAD_REQUEST");
        admin.ask_with(archive, json!({ "id": id, "archived": false })).await;
        assert_eq!(admin.ask_with("query($id: ID!) { house(id: $id) { annexes { totalCount } } }", json!({ "id": main })).await["house"]["annexes"]["totalCount"], 2);
    }
}
