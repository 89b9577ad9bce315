//! Keys that may do less than their roles, publishable keys, embed tokens, documents.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Actor, Server, names, on_both};

const CREATE: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id kind scopes { object access } \
    origins addresses documentsOnly allowsReads perMinute } userErrors { code path message } } }";
const EMBED: &str =
    "mutation($input: CreateEmbedTokenInput!) { createEmbedToken(input: $input) { token expiresAt userErrors { code path message } } }";
const APPLICATION: &str = "mutation($input: CreateApplicationInput!) { createApplication(input: $input) { application { id documents } userErrors { code path } } }";

async fn key<'a>(admin: &Actor<'a>, input: Value) -> (Actor<'a>, String) {
    let mut whole = json!({ "name": "k" });
    whole.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
    let made = admin.ask_with(CREATE, json!({ "input": whole })).await["createApiKey"].take();
    assert_eq!(made["userErrors"], json!([]), "{made:#}");
    let key = Actor { credential: Some(made["secret"].as_str().unwrap().to_owned()), ..admin.clone() };
    (key, made["apiKey"]["id"].as_str().unwrap().to_owned())
}

async fn embed<'a>(key: &Actor<'a>, input: Value) -> Actor<'a> {
    let made = key.ask_with(EMBED, json!({ "input": input })).await["createEmbedToken"].take();
    assert_eq!(made["userErrors"], json!([]), "{made:#}");
    Actor { credential: Some(made["token"].as_str().unwrap().to_owned()), ..key.clone() }
}

async fn deals(actor: &Actor<'_>) -> Vec<String> {
    names(&actor.ask("{ deals(orderBy: [{ name: ASC }]) { nodes { name } } }").await["deals"]["nodes"])
}

on_both! {
    async fn a_scope_leaves_nothing_but_its_objects(server: &Server) {
        let admin = server.admin().await;
        admin.create("deal", json!({ "name": "d", "company": { "create": { "name": "c" } } })).await;
        let (reader, _) = key(&admin, json!({ "restrictions": { "scopes": [{ "object": "DEAL", "access": "READ" }] } })).await;
        let data = reader.ask("{ deals { nodes { name company { name } } } companies { totalCount } viewer { settings } }").await;
        assert_eq!(data, json!({ "deals": { "nodes": [{ "name": "d", "company": null }] }, "companies": { "totalCount": 0 }, "viewer": { "settings": [] } }));
        assert_eq!(reader.refused("mutation { createDeal(input: { name: \"x\" }) { userErrors { code } } }").await.0, "FORBIDDEN");
        // A hop through what it does not see finds nothing.
        let hop = reader.ask("{ deals(filter: { company: { name: { eq: \"c\" } } }) { totalCount } }").await;
        assert_eq!(hop["deals"]["totalCount"], 0);
        // An owner's key with scopes keeps no setting that is not named.
        let owner = admin.role("OWNER").await;
        let (bound, _) = key(&admin, json!({ "roles": [owner], "restrictions": { "scopes": [{ "object": "DEAL", "access": "WRITE" }] } })).await;
        assert_eq!(bound.refused("{ roles { id } apiKeys { id } }").await.0, "FORBIDDEN");
        assert_eq!(bound.create("deal", json!({ "name": "e" })).await.len(), 36);
    }

    async fn a_row_filter_stands_in_every_way_to_a_record(server: &Server) {
        let admin = server.admin().await;
        let mine = admin.create("company", json!({ "name": "mine" })).await;
        let other = admin.create("company", json!({ "name": "other" })).await;
        let own = admin.create("deal", json!({ "name": "own", "amount": { "amount": "1", "currency": "EUR" }, "company": { "id": mine } })).await;
        let foreign = admin.create("deal", json!({ "name": "foreign", "amount": { "amount": "9", "currency": "EUR" }, "company": { "id": other } })).await;
        admin.create("note", json!({ "title": "about own", "links": { "connect": [{ "id": own }] } })).await;
        admin.create("note", json!({ "title": "about foreign", "links": { "connect": [{ "id": foreign }] } })).await;
        let filters = json!([{ "deals": { "company": { "name": { "eq": "mine" } } } }, { "companies": { "name": { "eq": "mine" } } }, { "notes": { "links": { "some": { "id": { "eq": own } } } } }]);
        let (bound, _) = key(&admin, json!({ "restrictions": { "rowFilters": filters } })).await;
        assert_eq!(deals(&bound).await, ["own"]);
        let document = format!("{{ deal(id: \"{foreign}\") {{ id }} node(id: \"{foreign}\") {{ id }} \
            hop: people(filter: {{ deals: {{ some: {{ name: {{ eq: \"foreign\" }} }} }} }}) {{ totalCount }} \
            count: deals {{ totalCount }} companies {{ nodes {{ name deals {{ totalCount nodes {{ name }} }} }} }} \
            notes {{ nodes {{ title links {{ totalCount }} }} }} explainAccess(record: \"{foreign}\") {{ canRead }} }}");
        let data = bound.ask(&document).await;
        assert_eq!(data, json!({ "deal": null, "node": null, "hop": { "totalCount": 0 }, "count": { "totalCount": 1 },
            "companies": { "nodes": [{ "name": "mine", "deals": { "totalCount": 1, "nodes": [{ "name": "own" }] } }] },
            "notes": { "nodes": [{ "title": "about own", "links": { "totalCount": 1 } }] }, "explainAccess": null }));
        // Writing: what is out of sight is not there, and nothing is written that would be.
        let change = bound.update("deal", &foreign, json!({ "name": "x" })).await;
        assert_eq!(change["userErrors"][0]["code"], "NOT_FOUND");
        let point = bound.mutate("createDeal", "deal", json!({ "name": "x", "company": { "id": other } })).await;
        assert_eq!(point["userErrors"][0]["code"], "NOT_FOUND");
        let astray = bound.send("mutation { createDeal(input: { name: \"astray\" }) { userErrors { code } } }", json!({})).await;
        assert_eq!(astray["errors"][0]["extensions"]["code"], "FORBIDDEN", "{astray}");
        let within = bound.mutate("createDeal", "deal", json!({ "name": "within", "company": { "id": mine } })).await;
        assert_eq!(within["userErrors"], json!([]));
        assert_eq!(deals(&bound).await, ["own", "within"]);
        assert_eq!(deals(&admin).await, ["foreign", "own", "within"]);
    }

    async fn a_row_filter_is_checked_when_it_is_made(server: &Server) {
        let admin = server.admin().await;
        let wrong = |filters: Value| admin.ask_with(CREATE, json!({ "input": { "name": "k", "restrictions": { "rowFilters": filters } } }));
        assert_eq!(wrong(json!([{ "deals": {} }])).await["createApiKey"]["userErrors"][0]["code"], "INVALID_VALUE");
        assert_eq!(wrong(json!([{ "deals": { "id": { "eq": "no id" } } }])).await["createApiKey"]["userErrors"][0]["path"], json!(["restrictions", "rowFilters", "0", "deals"]));
    }

    async fn a_key_works_where_it_is_for(server: &Server) {
        let admin = server.admin().await;
        let (bound, _) = key(&admin, json!({ "restrictions": { "origins": ["https://*.shop.test"] } })).await;
        let ask = |headers: Vec<(&'static str, &'static str)>| { let bound = bound.clone(); async move { bound.post(json!({ "query": "{ __typename }" }), &headers).await } };
        assert_eq!(ask(vec![("origin", "https://a.shop.test")]).await.0, StatusCode::OK);
        for headers in [vec![], vec![("origin", "https://shop.test")], vec![("origin", "https://a.shop.test.evil.test")]] {
            let (status, _, answer) = ask(headers).await;
            assert_eq!((status, answer["errors"][0]["extensions"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("FORBIDDEN")));
        }
        let audit = admin.ask("{ audit(filter: { actions: [REFUSED, KEY_USED] }) { nodes { action actorKind } } }").await;
        assert_eq!(audit["audit"]["nodes"][0], json!({ "action": "REFUSED", "actorKind": "API_KEY" }));
        assert!(audit["audit"]["nodes"].as_array().unwrap().contains(&json!({ "action": "KEY_USED", "actorKind": "API_KEY" })));
        let (here, _) = key(&admin, json!({ "restrictions": { "addresses": ["203.0.113.0/24"] } })).await;
        assert_eq!(here.post(json!({ "query": "{ __typename }" }), &[]).await.0, StatusCode::FORBIDDEN);
    }

    async fn a_publishable_key_sends_its_documents_and_creates(server: &Server) {
        let admin = server.admin().await;
        let contact = "mutation($name: String!) { createPerson(input: { lastName: $name }) { person { id } userErrors { code } } }";
        let list = "{ people { totalCount } }";
        let made = admin.ask_with(APPLICATION, json!({ "input": { "name": "site", "documents": [contact, list] } })).await;
        let application = made["createApplication"]["application"].clone();
        let page = [("origin", "https://site.test")];
        let input = json!({ "kind": "PUBLISHABLE", "applicationId": application["id"], "restrictions": { "origins": ["https://site.test"], "perMinute": 5 } });
        let (public, _) = key(&admin, input).await;
        assert!(public.credential.as_ref().unwrap().starts_with("kith_pub_"));
        let (_, _, answer) = public.post(json!({ "query": contact, "variables": { "name": "Visitor" } }), &page).await;
        assert_eq!(answer["data"]["createPerson"], json!({ "person": null, "userErrors": [] }));
        // By its hash too, and nothing else than what was registered.
        let hash = application["documents"].as_array().unwrap().iter().find(|hash| **hash == json!(kith::features::identity::hash_of(list))).unwrap();
        let (_, _, answer) = public.post(json!({ "query": "", "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } }), &page).await;
        assert_eq!(answer["data"], json!({ "people": { "totalCount": 0 } }));
        for document in ["{ deals { totalCount } }", "{ people  { totalCount } }", "{ __schema { types { name } } }"] {
            let (_, _, answer) = public.post(json!({ "query": document }), &page).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
        }
        let (status, headers, answer) = public.post(json!({ "query": list }), &page).await;
        assert_eq!((status, headers["retry-after"].to_str().unwrap(), answer["errors"][0]["extensions"]["code"].as_str()), (StatusCode::TOO_MANY_REQUESTS, "12", Some("RATE_LIMITED")));
        assert_eq!(admin.ask(list).await["people"]["totalCount"], 1);
        // What it needs is told when it is made.
        let wrong = admin.ask_with(CREATE, json!({ "input": { "name": "k", "kind": "PUBLISHABLE" } })).await;
        assert_eq!(wrong["createApiKey"]["userErrors"][0]["path"], json!(["applicationId"]));
        let wrong = admin.ask_with(CREATE, json!({ "input": { "name": "k", "kind": "PUBLISHABLE", "applicationId": application["id"] } })).await;
        assert_eq!(wrong["createApiKey"]["userErrors"][0]["path"], json!(["restrictions", "origins"]));
    }

    async fn documents_are_looked_at_and_priced_when_they_are_registered(server: &Server) {
        let admin = server.admin().await;
        const REGISTER: &str = "mutation($input: RegisterDocumentsInput!) { registerDocuments(input: $input) { application { documents } registered { hash cost } userErrors { code path message } } }";
        let made = admin.ask_with(APPLICATION, json!({ "input": { "name": "app" } })).await;
        let id = made["createApplication"]["application"]["id"].clone();
        let register = async |more: Value| {
            let mut input = json!({ "applicationId": id });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            admin.ask_with(REGISTER, json!({ "input": input })).await["registerDocuments"].clone()
        };
        let list = "query A($n: Int!) { deals(first: 50) { nodes { id } } }";
        let hash = kith::features::identity::hash_of(list);
        let wrong = register(json!({ "documents": ["{ __typename }", "{ nothing }", "{ deals( }", list] })).await;
        let paths: Vec<&Value> = wrong["userErrors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
        assert_eq!(paths, [&json!(["documents", "1"]), &json!(["documents", "2"]), &json!(["documents", "3"])], "{wrong}");
        assert_eq!(wrong["application"], Value::Null);
        // Apollo's manifest; an id that is no hash of the text is not taken.
        let list = "query A { deals(first: 50) { nodes { id } } } query B($n: Int) { people(first: $n) { totalCount } }";
        let apollo = |id: &str| json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [{ "id": id, "name": "A", "type": "query", "body": list }] });
        assert_eq!(register(json!({ "manifest": apollo(&hash) })).await["userErrors"][0]["path"], json!(["manifest"]));
        let hash = kith::features::identity::hash_of(list);
        let done = register(json!({ "manifest": apollo(&hash) })).await;
        assert_eq!(done["registered"], json!([{ "hash": hash, "cost": 52 }]), "{done}");
        let (_, _, answer) = admin.post(json!({ "documentId": format!("sha256:{hash}"), "operationName": "A" }), &[]).await;
        assert!(answer["errors"].is_array(), "a member's credential has no application: {answer}");
        let both = register(json!({ "manifest": apollo(&hash), "documents": [] })).await;
        assert_eq!(both["userErrors"][0]["path"], json!(["manifest"]));
        assert_eq!(register(json!({})).await["userErrors"][0]["path"], json!(["documents"]));
    }

    async fn a_restricted_key_gives_nobody_what_it_lacks(server: &Server) {
        let admin = server.admin().await;
        let owner = admin.role("OWNER").await;
        let (bound, _) = key(&admin, json!({ "roles": [owner], "restrictions": { "scopes": [{ "object": "DEAL", "access": "WRITE" }], "settings": ["API_KEYS", "MEMBERS", "ROLES", "AUDIT"] } })).await;
        assert_eq!(bound.ask("{ viewer { settings } }").await["viewer"]["settings"], json!(["AUDIT"]));
        for document in [
            "mutation { createApiKey(input: { name: \"more\" }) { secret } }",
            "mutation { inviteMember(input: { name: \"m\", email: \"m@test.example\" }) { token } }",
            "mutation { createRole(input: { name: \"more\" }) { role { id } } }",
        ] {
            assert_eq!(bound.refused(document).await.0, "FORBIDDEN", "{document}");
        }
        // Nor does one that works only in some places.
        let (there, _) = key(&admin, json!({ "roles": [owner], "restrictions": { "perMinute": 100 } })).await;
        assert_eq!(there.refused("mutation { createApiKey(input: { name: \"more\" }) { secret } }").await.0, "FORBIDDEN");
    }

    async fn what_a_key_makes_ends_with_it(server: &Server) {
        let admin = server.admin().await;
        let owner = admin.role("OWNER").await;
        let (maker, _) = key(&admin, json!({ "roles": [owner], "expiresAt": "2026-03-11T13:00:00Z" })).await;
        let (made, _) = key(&maker, json!({})).await;
        let (longer, _) = key(&maker, json!({ "expiresAt": "2027-03-11T13:00:00Z" })).await;
        assert!(deals(&made).await.is_empty() && deals(&longer).await.is_empty());
        server.clock.advance(61 * 60 * 1_000_000);
        for ended in [&maker, &made, &longer] {
            assert_eq!(ended.refused("{ viewer { settings } }").await.0, "UNAUTHENTICATED");
        }
    }

    async fn a_token_does_not_look_behind_the_filters_of_its_key(server: &Server) {
        let admin = server.admin().await;
        let (mine, other) = (admin.create("company", json!({ "name": "mine" })).await, admin.create("company", json!({ "name": "other" })).await);
        admin.create("deal", json!({ "name": "d1", "company": { "id": mine } })).await;
        admin.create("deal", json!({ "name": "d2", "company": { "id": other } })).await;
        let (bound, _) = key(&admin, json!({ "restrictions": { "rowFilters": [{ "companies": { "name": { "eq": "mine" } } }] } })).await;
        assert_eq!(deals(&bound).await, ["d1", "d2"]);
        let scopes = json!([{ "object": "DEAL", "access": "READ" }, { "object": "COMPANY", "access": "READ" }]);
        for (name, found) in [("mine", vec!["d1"]), ("other", vec![])] {
            let filters = json!([{ "deals": { "company": { "name": { "eq": name } } } }]);
            let token = embed(&bound, json!({ "restrictions": { "scopes": scopes, "rowFilters": filters } })).await;
            assert_eq!(deals(&token).await, found, "{name}");
            assert_eq!(names(&token.ask("{ companies { nodes { name } } }").await["companies"]["nodes"]), ["mine"]);
        }
        let bare = bound.ask_with(EMBED, json!({ "input": {} })).await;
        assert_eq!(bare["createEmbedToken"]["userErrors"][0]["path"], json!(["restrictions", "scopes"]));
    }

    async fn what_only_creates_points_at_nothing_unseen_and_keeps_to_its_filters(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "other" })).await;
        let create = "mutation($i: DealCreate!) { createDeal(input: $i) { userErrors { code } } }";
        let made = admin.ask_with(APPLICATION, json!({ "input": { "name": "site", "documents": [create] } })).await;
        let restrictions = json!({ "origins": ["https://site.test"], "rowFilters": [{ "deals": { "name": { "startsWith": "web " } } }] });
        let (form, _) = key(&admin, json!({ "kind": "PUBLISHABLE", "applicationId": made["createApplication"]["application"]["id"], "restrictions": restrictions })).await;
        let send = async |input: Value| form.post(json!({ "query": create, "variables": { "i": input } }), &[("origin", "https://site.test")]).await.2;
        let within = send(json!({ "name": "web 1" })).await;
        assert_eq!(within["data"]["createDeal"]["userErrors"], json!([]), "{within}");
        let astray = send(json!({ "name": "other" })).await;
        assert_eq!(astray["errors"][0]["extensions"]["code"], "FORBIDDEN", "{astray}");
        let point = send(json!({ "name": "web 2", "company": { "id": company } })).await;
        assert_eq!(point["data"]["createDeal"]["userErrors"][0]["code"], "NOT_FOUND", "{point}");
        assert_eq!(deals(&admin).await, ["web 1"]);
    }

    async fn a_row_filter_does_not_look_into_sealed_fields(server: &Server) {
        let admin = server.admin().await;
        let field = "mutation { createField(input: { object: PERSON, name: \"passport\", kind: TEXT, label: \"P\", encrypted: true }) { userErrors { code } } }";
        admin.ask(field).await;
        let filters = json!([{ "people": { "custom": { "passport": { "eq": "X1" } } } }]);
        let made = admin.ask_with(CREATE, json!({ "input": { "name": "k", "restrictions": { "rowFilters": filters } } })).await;
        assert_eq!(made["createApiKey"]["userErrors"][0]["code"], "INVALID_VALUE", "{made}");
        let many: Vec<Value> = (0..11).map(|n| json!({ "people": { "lastName": { "eq": n.to_string() } } })).collect();
        let made = admin.ask_with(CREATE, json!({ "input": { "name": "k", "restrictions": { "rowFilters": many } } })).await;
        assert_eq!(made["createApiKey"]["userErrors"][0]["path"], json!(["restrictions", "rowFilters"]));
    }

    async fn an_embed_token_is_less_than_its_key(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "c", "people": { "create": [{ "record": { "lastName": "Customer" } }] } })).await;
        admin.create("deal", json!({ "name": "theirs", "company": { "id": company } })).await;
        admin.create("deal", json!({ "name": "others" })).await;
        let (server_key, id) = key(&admin, json!({ "restrictions": { "scopes": [{ "object": "DEAL", "access": "WRITE" }, { "object": "COMPANY", "access": "READ" }] } })).await;
        let token = embed(&server_key, json!({ "restrictions": { "scopes": [{ "object": "DEAL", "access": "READ" }, { "object": "COMPANY", "access": "WRITE" }, { "object": "PERSON", "access": "READ" }], "rowFilters": [{ "deals": { "company": { "id": { "eq": company } } } }] } })).await;
        assert_eq!(deals(&token).await, ["theirs"]);
        assert_eq!(token.ask("{ people { totalCount } companies { totalCount } }").await, json!({ "people": { "totalCount": 0 }, "companies": { "totalCount": 1 } }));
        let rename = token.update("company", &company, json!({ "name": "x" })).await;
        assert_eq!(rename["userErrors"][0]["code"], "NOT_WRITABLE");
        assert_eq!(token.refused("mutation { createDeal(input: { name: \"x\" }) { userErrors { code } } }").await.0, "FORBIDDEN");
        // It makes neither tokens nor keys, and a member makes none either.
        assert_eq!(token.send(EMBED, json!({ "input": {} })).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
        assert_eq!(token.send(CREATE, json!({ "input": { "name": "k" } })).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
        assert_eq!(admin.send(EMBED, json!({ "input": {} })).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
        // A forged one is none.
        let forged = token.credential.as_ref().unwrap().replace("kith_embed_", "");
        assert_eq!(server.bearer(&forged).refused("{ viewer { settings } }").await.0, "UNAUTHENTICATED");
        // It ends with its time, and with its key.
        let short = embed(&server_key, json!({ "expiresInSeconds": 60, "restrictions": { "scopes": [{ "object": "DEAL", "access": "READ" }] } })).await;
        assert_eq!(deals(&short).await, ["others", "theirs"]);
        server.clock.advance(61 * 1_000_000);
        assert_eq!(short.refused("{ deals { totalCount } }").await.0, "UNAUTHENTICATED");
        admin.ask_with("mutation($id: ID!) { revokeApiKey(input: { id: $id }) { userErrors { code } } }", json!({ "id": id })).await;
        assert_eq!(token.refused("{ deals { totalCount } }").await.0, "UNAUTHENTICATED");
    }

    async fn a_portal_token_speaks_for_a_person(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "theirs" })).await;
        let person = admin.create("person", json!({ "lastName": "Customer", "companies": { "connect": [{ "id": company }] } })).await;
        admin.create("deal", json!({ "name": "theirs", "company": { "id": company } })).await;
        admin.create("deal", json!({ "name": "others" })).await;
        let portal = admin.role("PORTAL").await;
        let (server_key, _) = key(&admin, json!({ "roles": [portal] })).await;
        assert!(deals(&server_key).await.is_empty());
        let token = embed(&server_key, json!({ "personId": person })).await;
        assert_eq!(deals(&token).await, ["theirs"]);
        assert_eq!(token.ask("{ people { totalCount } companies { nodes { name } } }").await, json!({ "people": { "totalCount": 1 }, "companies": { "nodes": [{ "name": "theirs" }] } }));
    }
}

/// Somebody who judges challenges: "good" passes.
async fn judge() -> String {
    use axum::extract::Form;
    let judge = axum::Router::new().route(
        "/verify",
        axum::routing::post(async |Form(form): Form<std::collections::HashMap<String, String>>| {
            axum::Json(json!({ "success": form["response"] == "good" && form["secret"] == "s" }))
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, judge).await });
    format!("http://{address}/verify")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_judged_elsewhere() {
    let verify_url = judge().await;
    let server = Server::on_sqlite_with(|config| {
        config.challenge.verify_url = verify_url;
        config.challenge.secret = "s".into();
    })
    .await;
    let admin = server.admin().await;
    let (bound, _) = key(&admin, json!({ "restrictions": { "challenge": true } })).await;
    let ask = async |headers: &[(&str, &str)]| bound.post(json!({ "query": "{ __typename }" }), headers).await.0;
    assert_eq!(ask(&[("x-kith-challenge", "good")]).await, StatusCode::OK);
    assert_eq!(ask(&[("x-kith-challenge", "bad")]).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&[]).await, StatusCode::FORBIDDEN);
}
