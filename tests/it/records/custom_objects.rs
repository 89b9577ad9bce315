//! Objects that a workspace defines: full citizens with the next request.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, names, on_both};

pub async fn define(admin: &Actor<'_>, input: Value) -> Value {
    let document = "mutation($input: CreateObjectInput!) { createObject(input: $input) { object { id object name plural graphqlType custom archived icon titleField fields { name custom inputPath } } userErrors { code path message } } }";
    admin.ask_with(document, json!({ "input": input })).await["createObject"].take()
}

fn property() -> Value {
    json!({
        "name": "property", "plural": "properties", "label": "Property", "pluralLabel": "Properties", "icon": "home", "color": "#0a0",
        "description": "A house or flat for sale.", "titleField": { "name": "address", "label": "Address" },
        "fields": [
            { "name": "reference", "kind": "TEXT", "label": "Reference", "unique": true },
            { "name": "price", "kind": "MONEY", "label": "Price", "indexed": true },
            { "name": "bedrooms", "kind": "INTEGER", "label": "Bedrooms", "indexed": true, "min": "0" },
            { "name": "status", "kind": "SELECT", "label": "Status", "options": [{ "key": "free", "label": "Free" }, { "key": "sold" }], "defaultValue": "free" },
            { "name": "listed", "kind": "DATE", "label": "Listed" },
            { "name": "garden", "kind": "BOOLEAN", "label": "Garden" },
        ],
    })
}

async fn with_properties(admin: &Actor<'_>) -> Vec<String> {
    let made = define(admin, property()).await;
    assert_eq!(made["userErrors"], json!([]), "{made:#}");
    let mut ids = Vec::new();
    for (address, reference, price, bedrooms) in
        [("Äckerweg 1", "A1", Some("900000"), 4), ("zum Tor 2", "B2", None, 2), ("Bahnhof 3", "C3", Some("450000.50"), 2)]
    {
        let price = price.map(|amount| json!({ "amount": amount, "currency": "EUR" }));
        let input = json!({ "address": address, "reference": reference, "price": price, "bedrooms": bedrooms, "listed": "2026-01-05" });
        ids.push(admin.create("property", input).await);
    }
    ids
}

on_both! {
    async fn an_object_may_be_called_as_the_code_calls_a_part_of_a_root(server: &Server) {
        let admin = server.admin().await;
        for name in ["auditQuery", "workMutation", "teamQuery"] {
            let made = define(&admin, json!({ "name": name, "plural": format!("{name}s"), "label": "X", "pluralLabel": "Xs", "titleField": { "name": "name", "label": "Name" } })).await;
            assert_eq!(made["userErrors"], json!([]));
            admin.create(name, json!({ "name": "one" })).await;
        }
        let data = admin.ask("{ auditQueries: auditQuerys { nodes { name } } workMutations { totalCount } teamQuerys { nodes { name } } teams { name } audit(first: 1) { nodes { seq } } }").await;
        admin.ask("{ __schema { types { name fields { name type { name } } } } }").await;
        assert_eq!((&data["auditQueries"]["nodes"], &data["workMutations"]["totalCount"]), (&json!([{ "name": "one" }]), &json!(1)));
        assert_eq!(data["audit"]["nodes"].as_array().unwrap().len(), 1);
    }

    async fn an_object_is_typed_with_the_next_request(server: &Server) {
        let admin = server.admin().await;
        let made = define(&admin, property()).await;
        let object = &made["object"];
        assert_eq!((&object["object"], &object["name"], &object["graphqlType"], &object["custom"], &object["titleField"]),
            (&json!("PROPERTY"), &json!("property"), &json!("Property"), &json!(true), &json!("address")));
        assert_eq!(object["fields"].as_array().unwrap().iter().find(|field| field["name"] == "price").unwrap()["inputPath"], json!(["price"]));
        let input = json!({ "address": "Äckerweg 1", "price": { "amount": "900000", "currency": "EUR" }, "bedrooms": 4 });
        let id = admin.create("property", input).await;
        let data = admin.ask_with("query($id: ID!) { property(id: $id) { __typename id object title address price { amount currency } bedrooms status { key label } listed garden version owner { name } custom { id } customFields tags { name } viewerAccess { canUpdate } createdBy { kind } } }", json!({ "id": id })).await;
        let found = &data["property"];
        assert_eq!((&found["__typename"], &found["object"], &found["title"], &found["address"]), (&json!("Property"), &json!("PROPERTY"), &json!("Äckerweg 1"), &json!("Äckerweg 1")));
        assert_eq!((&found["price"], &found["bedrooms"], &found["status"]), (&json!({ "amount": "900000.00", "currency": "EUR" }), &json!(4), &json!({ "key": "free", "label": "Free" })));
        assert_eq!((&found["listed"], &found["version"], &found["viewerAccess"]["canUpdate"]), (&Value::Null, &json!(1), &json!(true)));
        assert_eq!(found["customFields"]["bedrooms"], 4);
        assert_eq!(found["custom"], json!({ "id": format!("{id}:custom") }));
        // Another workspace knows nothing of it.
        let other = server.admin().await;
        assert_eq!(other.refused("{ properties { totalCount } }").await.0, "BAD_REQUEST");
        assert!(!other.ask("{ objects { name } }").await.to_string().contains("property"));
    }

    async fn its_lists_are_filtered_sorted_and_added_up(server: &Server) {
        let admin = server.admin().await;
        with_properties(&admin).await;
        let data = admin.ask("{ byAddress: properties(orderBy: [{ address: ASC }]) { nodes { address } totalCount } \
            byPrice: properties(orderBy: [{ price: DESC }], first: 2) { nodes { address } pageInfo { hasNextPage endCursor } } \
            small: properties(filter: { bedrooms: { lte: 2 }, price: { isNull: false } }) { nodes { address } } \
            found: properties(filter: { address: { contains: \"acker\" }, status: { eq: \"free\" }, listed: { lt: \"2026-02-01\" } }) { nodes { address } } \
            either: properties(filter: { or: [{ reference: { eq: \"b2\" } }, { not: { bedrooms: { lt: 4 } } }] }, orderBy: [{ bedrooms: ASC }]) { nodes { address } } \
            untyped: properties(filter: { customFields: [{ field: \"bedrooms\", operator: \"gt\", value: 3 }] }) { nodes { address } } \
            all: properties { aggregate { count sum { bedrooms price { amount currency } } avg { bedrooms } max { listed } countDistinct { bedrooms } } } }").await;
        assert_eq!(names_of(&data["byAddress"]), ["Äckerweg 1", "Bahnhof 3", "zum Tor 2"]);
        assert_eq!(data["byAddress"]["totalCount"], 3);
        assert_eq!(names_of(&data["byPrice"]), ["Äckerweg 1", "Bahnhof 3"]);
        assert_eq!((names_of(&data["small"]), names_of(&data["found"])), (vec!["Bahnhof 3".into()], vec!["Äckerweg 1".into()]));
        assert_eq!(names_of(&data["either"]), ["zum Tor 2", "Äckerweg 1"]);
        assert_eq!(names_of(&data["untyped"]), ["Äckerweg 1"]);
        assert_eq!(data["all"]["aggregate"], json!({ "count": 3, "sum": { "bedrooms": "8", "price": { "amount": "1350000.50", "currency": "EUR" } },
            "avg": { "bedrooms": "2.6667" }, "max": { "listed": "2026-01-05" }, "countDistinct": { "bedrooms": 2 } }));
        let next = data["byPrice"]["pageInfo"]["endCursor"].clone();
        let rest = admin.ask_with("query($after: Cursor) { properties(orderBy: [{ price: DESC }], after: $after) { nodes { address } pageInfo { hasPreviousPage } } }", json!({ "after": next })).await;
        assert_eq!((names_of(&rest["properties"]), &rest["properties"]["pageInfo"]["hasPreviousPage"]), (vec!["zum Tor 2".into()], &json!(true)));
    }

    async fn its_records_are_written_like_any_other(server: &Server) {
        let admin = server.admin().await;
        let ids = with_properties(&admin).await;
        let changed = admin.update("property", &ids[0], json!({ "bedrooms": 5, "garden": true })).await;
        assert_eq!((&changed["property"]["version"], &changed["userErrors"]), (&json!(2), &json!([])));
        let bad = admin.update("property", &ids[0], json!({ "bedrooms": -1, "address": null, "status": "haunted" })).await;
        let paths: Vec<&Value> = bad["userErrors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
        assert_eq!(paths, [&json!(["address"]), &json!(["bedrooms"]), &json!(["status"])], "{bad:#}");
        let (code, message) = admin.refused("mutation { createProperty(input: { bedrooms: 1 }) { property { id } } }").await;
        assert!(code == "BAD_REQUEST" && message.contains("address"), "{message}");
        let taken = admin.mutate("createProperty", "property", json!({ "address": "x", "reference": "a1" })).await;
        assert_eq!((&taken["userErrors"][0]["code"], &taken["userErrors"][0]["path"]), (&json!("TAKEN"), &json!(["reference"])));
        let upsert = "mutation($r: String!, $input: PropertyCreate!) { upsertProperty(key: { reference: $r }, input: $input) { property { id bedrooms reference } userErrors { message } } }";
        let same = admin.ask_with(upsert, json!({ "r": "A1", "input": { "address": "Äckerweg 1", "bedrooms": 6 } })).await;
        assert_eq!((&same["upsertProperty"]["property"]["id"], &same["upsertProperty"]["property"]["bedrooms"]), (&json!(ids[0]), &json!(6)));
        let new = admin.ask_with(upsert, json!({ "r": "D4", "input": { "address": "Dorf 4" } })).await;
        assert_eq!(new["upsertProperty"]["property"]["reference"], "D4");
        let many = "mutation { createProperties(inputs: [{ address: \"m1\" }, { address: \"m2\", bedrooms: 1 }]) { results { property { address } } committed } updateProperties(filter: { bedrooms: { eq: 2 } }, input: { garden: false }, limit: 10) { results { property { address } } } }";
        let many = admin.ask(many).await;
        assert_eq!((many["createProperties"]["results"].as_array().unwrap().len(), many["updateProperties"]["results"].as_array().unwrap().len()), (2, 2));
        let gone = admin.ask_with("mutation($id: ID!) { deleteProperty(id: $id) { deletedId } }", json!({ "id": ids[1] })).await;
        assert_eq!(gone["deleteProperty"]["deletedId"], json!(ids[1]));
        assert_eq!(admin.ask("{ properties { totalCount } }").await["properties"]["totalCount"], 5);
        admin.ask_with("mutation($id: ID!) { restoreProperty(id: $id) { property { id } } }", json!({ "id": ids[1] })).await;
        assert_eq!(admin.ask("{ property(key: { reference: \"B2\" }) { address } }").await["property"]["address"], "zum Tor 2");
        let purged = admin.ask_with("mutation($id: ID!) { purgeProperty(id: $id) { deletedId userErrors { message } } }", json!({ "id": ids[1] })).await;
        assert_eq!(purged["purgeProperty"]["deletedId"], json!(ids[1]));
        let history = admin.ask_with("query($id: ID!) { property(id: $id) { history(fields: [\"bedrooms\"]) { nodes { field from to version } } } }", json!({ "id": ids[0] })).await;
        assert_eq!(history["property"]["history"]["nodes"], json!([
            { "field": "bedrooms", "from": 5, "to": 6, "version": 3 }, { "field": "bedrooms", "from": 4, "to": 5, "version": 2 }, { "field": "bedrooms", "from": null, "to": 4, "version": 1 }]));
    }

    async fn a_required_field_with_a_default_may_be_left_out(server: &Server) {
        let admin = server.admin().await;
        let fields = json!([{ "name": "floors", "kind": "INTEGER", "label": "Floors", "required": true, "defaultValue": 1 }]);
        let made = define(&admin, json!({ "name": "house", "plural": "houses", "label": "House", "pluralLabel": "Houses", "fields": fields })).await;
        assert_eq!(made["userErrors"], json!([]));
        let made = admin.ask("mutation { createHouse(input: { name: \"x\", customFields: null }) { house { floors } userErrors { message } } }").await;
        assert_eq!(made["createHouse"], json!({ "house": { "floors": 1 }, "userErrors": [] }));
    }

    async fn its_records_stand_among_all_others(server: &Server) {
        let admin = server.admin().await;
        let ids = with_properties(&admin).await;
        let note = admin.create("note", json!({ "title": "Viewed", "links": { "connect": [{ "id": ids[0] }] } })).await;
        let data = admin.ask_with("query($id: ID!, $note: ID!) { node(id: $id) { __typename ... on AnyRecord { title object } ... on Property { bedrooms } } \
            nodes(ids: [$note, $id]) { id } note(id: $note) { links { nodes { title object ... on Property { price { amount } } } } } }", json!({ "id": ids[0], "note": note })).await;
        assert_eq!(data["node"], json!({ "__typename": "Property", "title": "Äckerweg 1", "object": "PROPERTY", "bedrooms": 4 }));
        assert_eq!(data["nodes"], json!([{ "id": note }, { "id": ids[0] }]));
        assert_eq!(data["note"]["links"]["nodes"], json!([{ "title": "Äckerweg 1", "object": "PROPERTY", "price": { "amount": "900000.00" } }]));
        // A record of one object is none of another.
        define(&admin, json!({ "name": "viewing", "plural": "viewings", "label": "Viewing", "pluralLabel": "Viewings" })).await;
        let viewing = admin.create("viewing", json!({ "name": "first" })).await;
        let data = admin.ask_with("query($id: ID!) { property(id: $id) { id } viewing(id: $id) { name } properties(first: 1) { totalCount } viewings { totalCount } }", json!({ "id": viewing })).await;
        assert_eq!(data, json!({ "property": null, "viewing": { "name": "first" }, "properties": { "totalCount": 3 }, "viewings": { "totalCount": 1 } }));
        let wrong = admin.update("property", &viewing, json!({ "bedrooms": 1 })).await;
        assert_eq!(wrong["userErrors"][0]["code"], "NOT_FOUND");
    }

    async fn roles_name_it(server: &Server) {
        let admin = server.admin().await;
        let ids = with_properties(&admin).await;
        let rep = server.member(&admin, "Rep", "REP").await;
        assert_eq!(rep.ask("{ properties { totalCount } }").await["properties"]["totalCount"], 0);
        assert_eq!(rep.ask_with("query($id: ID!) { node(id: $id) { id } }", json!({ "id": ids[0] })).await["node"], Value::Null);
        let mine = rep.create("property", json!({ "address": "mine" })).await;
        assert_eq!(rep.ask("{ properties { nodes { id } totalCount } }").await["properties"], json!({ "nodes": [{ "id": mine }], "totalCount": 1 }));
        assert_eq!(rep.update("property", &ids[0], json!({ "bedrooms": 1 })).await["userErrors"][0]["code"], "NOT_FOUND");
        let role = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id objects { object read } fields { object field } } userErrors { path message } } }";
        let input = json!({ "name": "Estate", "objects": [{ "object": "PROPERTY", "read": ["ALL"], "update": ["OWN"] }, { "object": "MEMBER", "read": ["ALL"] }],
            "fields": [{ "object": "PROPERTY", "field": "price", "sight": "HIDDEN" }] });
        let mut made = admin.ask_with(role, json!({ "input": input })).await["createRole"].take();
        assert_eq!(made["userErrors"], json!([]));
        assert_eq!(made["role"]["fields"], json!([{ "object": "PROPERTY", "field": "price" }]));
        let set = "mutation($holder: ID!, $roles: [ID!]!) { setRoles(input: { holder: $holder, roles: $roles }) { userErrors { message } } }";
        admin.ask_with(set, json!({ "holder": rep.id().await, "roles": [made["role"]["id"].take()] })).await;
        let seen = rep.send("{ properties(orderBy: [{ address: ASC }]) { nodes { address price { amount } } } }", json!({})).await;
        assert_eq!(seen["data"]["properties"]["nodes"][0], json!({ "address": "Äckerweg 1", "price": null }));
        assert_eq!(seen["extensions"]["hidden"], json!(["Property.price"]));
        assert_eq!(rep.refused("{ properties(orderBy: [{ price: ASC }]) { nodes { address } } }").await.0, "FORBIDDEN");
        assert_eq!(rep.update("property", &ids[0], json!({ "bedrooms": 1 })).await["userErrors"][0]["code"], "NOT_WRITABLE");
        assert_eq!(rep.update("property", &mine, json!({ "bedrooms": 1 })).await["userErrors"], json!([]));
        // Shared records are seen, whatever the object.
        let guest = server.member(&admin, "Guest", "REP").await;
        let share = "mutation($record: ID!, $to: ID!) { shareRecord(input: { record: $record, grantee: $to, level: READ }) { userErrors { message } } }";
        admin.ask_with(share, json!({ "record": ids[1], "to": guest.id().await })).await;
        assert_eq!(guest.ask("{ properties { nodes { id } } }").await["properties"]["nodes"], json!([{ "id": ids[1] }]));
    }

    async fn names_that_the_schema_has_are_refused(server: &Server) {
        let admin = server.admin().await;
        define(&admin, property()).await;
        for (name, plural, code) in [
            ("deal", "deals", "TAKEN"), ("dealFilter", "dealFilters", "TAKEN"), ("Big", "bigs", "INVALID_VALUE"), ("a b", "abs", "INVALID_VALUE"),
            ("viewer", "viewers", "TAKEN"), ("property", "properties2", "TAKEN"), ("propertyOrder", "propertyOrders", "TAKEN"), ("house", "house", "INVALID_VALUE"),
            ("webhook", "webhooks", "TAKEN"), ("query", "queries", "TAKEN"), ("createDeal", "createDeals", "TAKEN"), ("", "x", "INVALID_VALUE"), ("__x", "xs", "INVALID_VALUE"),
        ] {
            let refused = define(&admin, json!({ "name": name, "plural": plural, "label": "L", "pluralLabel": "Ls" })).await;
            assert_eq!(refused["userErrors"][0]["code"], code, "{name}: {refused:#}");
        }
        for field in ["id", "version", "createdAt", "owner", "customFields", "custom", "and", "title", "address", "history"] {
            let mut input = property();
            input["name"] = json!("house");
            input["plural"] = json!("houses");
            input["fields"] = json!([{ "name": field, "kind": "TEXT", "label": "x" }]);
            let refused = define(&admin, input).await;
            assert_eq!(refused["userErrors"][0]["path"], json!(["fields", "0", "name"]), "{field}: {refused:#}");
        }
        let rep = server.member(&admin, "Rep", "REP").await;
        let document = "mutation { createObject(input: { name: \"x\", plural: \"xs\", label: \"X\", pluralLabel: \"Xs\" }) { userErrors { message } } }";
        assert_eq!(rep.refused(document).await.0, "FORBIDDEN");
        // Nothing of all that was written.
        assert_eq!(admin.ask("{ objects { name custom } }").await["objects"].as_array().unwrap().iter().filter(|object| object["custom"] == true).count(), 1);
    }

    async fn an_archived_object_is_empty_until_it_comes_back(server: &Server) {
        let admin = server.admin().await;
        let ids = with_properties(&admin).await;
        let note = admin.create("note", json!({ "title": "n", "links": { "connect": [{ "id": ids[0] }] } })).await;
        let id = admin.ask("{ objects { id name } }").await["objects"].as_array().unwrap().iter().find(|object| object["name"] == "property").unwrap()["id"].clone();
        let archive = "mutation($id: ID!, $archived: Boolean!) { archiveObject(input: { id: $id, archived: $archived }) { object { archived } userErrors { message } } }";
        let done = admin.ask_with(archive, json!({ "id": id, "archived": true })).await;
        assert_eq!(done["archiveObject"], json!({ "object": { "archived": true }, "userErrors": [] }));
        let schema = admin.ask("{ __type(name: \"Query\") { fields { name isDeprecated } } }").await["__type"]["fields"].to_string();
        assert!(!schema.contains("properties"), "introspection leaves out what is deprecated, unless asked");
        let read = "query($id: ID!, $note: ID!) { property(id: $id) { id } node(id: $id) { id } properties { totalCount } note(id: $note) { links { totalCount nodes { id } } } }";
        let data = admin.ask_with(read, json!({ "id": ids[0], "note": note })).await;
        assert_eq!(data, json!({ "property": null, "node": null, "properties": { "totalCount": 0 }, "note": { "links": { "totalCount": 0, "nodes": [] } } }));
        let refused = admin.mutate("createProperty", "property", json!({ "address": "x" })).await;
        assert_eq!(refused["userErrors"][0]["code"], "NOT_WRITABLE");
        assert_eq!(admin.update("property", &ids[0], json!({ "bedrooms": 1 })).await["userErrors"][0]["code"], "NOT_FOUND");
        admin.ask_with(archive, json!({ "id": id, "archived": false })).await;
        let data = admin.ask_with(read, json!({ "id": ids[0], "note": note })).await;
        assert_eq!((&data["properties"]["totalCount"], &data["note"]["links"]["totalCount"]), (&json!(3), &json!(1)));
    }

    async fn what_people_call_it_can_change(server: &Server) {
        let admin = server.admin().await;
        let made = define(&admin, property()).await;
        let update = "mutation($input: UpdateObjectInput!) { updateObject(input: $input) { object { label icon titleField } userErrors { code path } } }";
        let id = made["object"]["id"].clone();
        let done = admin.ask_with(update, json!({ "input": { "id": id, "label": "Home", "icon": null } })).await;
        assert_eq!(done["updateObject"]["object"], json!({ "label": "Home", "icon": null, "titleField": "address" }));
        let refused = admin.ask_with(update, json!({ "input": { "id": id, "titleField": "reference" } })).await;
        assert_eq!(refused["updateObject"]["userErrors"][0], json!({ "code": "INVALID_VALUE", "path": ["titleField"] }));
        let add = "mutation { createField(input: { object: PROPERTY, name: \"nickname\", kind: TEXT, label: \"Nickname\", required: true, indexed: true }) { userErrors { message } } }";
        assert_eq!(admin.ask(add).await["createField"]["userErrors"], json!([]));
        let done = admin.ask_with(update, json!({ "input": { "id": id, "titleField": "nickname" } })).await;
        assert_eq!(done["updateObject"]["object"]["titleField"], "nickname");
        let made = admin.create("property", json!({ "address": "a", "nickname": "Castle" })).await;
        assert_eq!(admin.ask_with("query($id: ID!) { property(id: $id) { title } }", json!({ "id": made })).await["property"]["title"], "Castle");
    }
}

fn names_of(list: &Value) -> Vec<String> {
    list["nodes"].as_array().unwrap().iter().map(|node| node["address"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_names_that_an_object_gives_are_known_before() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    define(&admin, json!({ "name": "zebra", "plural": "zebras", "label": "Zebra", "pluralLabel": "Zebras",
        "fields": [{ "name": "stripes", "kind": "INTEGER", "label": "Stripes", "unique": true }, { "name": "price", "kind": "MONEY", "label": "Price" }] }))
    .await;
    let types = admin.ask("{ __schema { types { name } queryType { fields { name } } } }").await["__schema"].take();
    let known = kith::catalog::types_of("zebra", "zebras");
    let given: Vec<String> = names(&types["types"]).into_iter().filter(|name| name.starts_with("Zebra")).collect();
    assert!(given.len() > 15, "{given:?}");
    let unknown: Vec<&String> = given.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "SUFFIXES in catalog/names.rs lacks what these end with: {unknown:?}");
}

#[tokio::test]
async fn types_that_only_own_fields_bring_are_taken_too() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let kinds = admin.ask("{ __type(name: \"FieldKind\") { enumValues { name } } }").await["__type"]["enumValues"].take();
    for (n, kind) in names(&kinds).iter().enumerate() {
        let field = "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message } } }";
        let mut input = json!({ "object": "COMPANY", "name": format!("f{n}"), "kind": kind, "label": "F" });
        if kind.ends_with("SELECT") {
            input["options"] = json!([{ "key": "a" }]);
        }
        if kind == "FORMULA" {
            input["formula"] = json!("length(name)");
        }
        if kind == "ROLL_UP" {
            input["rollUp"] = json!({ "relation": "deals", "operation": "COUNT" });
        }
        if kind == "TEXT" {
            input["encrypted"] = json!(true);
        }
        assert_eq!(admin.ask_with(field, json!({ "input": input })).await["createField"]["userErrors"], json!([]), "{kind}");
    }
    let types = admin.ask("{ __schema { types { name } } }").await["__schema"]["types"].take();
    let types: Vec<String> =
        names(&types).into_iter().filter(|name| !name.starts_with("__") && !name.starts_with("CompanyCustom")).collect();
    assert!(types.len() > 300);
    for name in types.iter().filter(|name| !name.contains('_') && name.len() <= 40) {
        let one = name[..1].to_lowercase() + &name[1..];
        let refused = define(&admin, json!({ "name": one, "plural": format!("{one}Ss"), "label": "X", "pluralLabel": "Xs" })).await;
        assert_eq!(refused["userErrors"][0]["code"], "TAKEN", "{name} could be taken over: add it to KEPT_FREE in catalog/names.rs");
    }
}

#[test]
fn an_object_keeps_its_name_when_a_later_version_brings_one_of_the_same() {
    let standard = kith::objects::standard_catalog();
    let own = kith::catalog::Own { id: uuid::Uuid::from_u128(1), icon: None, color: None, archived_at: None };
    let namesake = kith::catalog::Object::own("stage", ["stages", "Stage", "Stages", "name"], "A theatre's.", own);
    let catalog = standard.with_own(1, vec![namesake], Vec::new(), Vec::new());
    assert!(catalog.find("stage").is_none() && catalog.find("_stage").is_some());
    assert!(!catalog.object("deal").relations.contains_key("stage"));
    assert!(standard.find("stage").is_some());
}
