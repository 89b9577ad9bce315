//! Inbound hooks: what other systems post becomes records, with its maker's access and nobody else's.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Actor, Server, on_both};

/// Makes a hook: its id and its secret.
async fn hook(actor: &Actor<'_>, input: Value) -> (String, String) {
    let create = "mutation($input: CreateInboundHookInput!) { createInboundHook(input: $input) { inboundHook { id path } secret userErrors { path message } } }";
    let made = actor.ask_with(create, json!({ "input": input })).await["createInboundHook"].clone();
    assert_eq!(made["userErrors"], json!([]));
    let id = made["inboundHook"]["id"].as_str().unwrap().to_owned();
    assert_eq!(made["inboundHook"]["path"], format!("/hooks/{id}"));
    (id, made["secret"].as_str().unwrap().to_owned())
}

async fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::post(format!("/hooks/{path}")).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, headers, body) = server.send(request.body(Body::from(body.to_owned())).unwrap()).await;
    (status, headers, serde_json::from_str(&body).unwrap_or_else(|_| json!(body)))
}

/// Signs as the Standard Webhooks specification says.
fn sign(secret: &str, id: &str, seconds: i64, body: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

const PERSON: &str = r#"{ "form": { "name": "Lovelace", "mail": "ada@lovelace.example" }, "answers": [{ "text": "Engines" }] }"#;

fn person() -> Value {
    json!({
        "name": "form", "type": "Person",
        "input": { "lastName": { "$from": "/form/name" }, "emails": [{ "address": { "$from": "/form/mail" } }],
                   "jobTitle": { "$from": "/form/job", "$else": "unknown" }, "department": { "$from": "/form/department" } }
    })
}

on_both! {
    async fn what_is_posted_becomes_a_record(server: &Server) {
        let admin = server.admin().await;
        let (id, secret) = hook(&admin, person()).await;
        for (path, headers) in [
            (id.clone(), vec![("authorization", format!("Bearer {secret}"))]),
            (id.clone(), vec![("x-kith-token", secret.clone())]),
            (format!("{id}?token={}", secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")), vec![]),
        ] {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let body = PERSON.replace("ada@", &format!("ada{}@", server.app.clock.new_id().simple()));
            let (status, _, answer) = post(server, &path, &headers, &body).await;
            assert_eq!((status, &answer["userErrors"]), (StatusCode::OK, &json!([])), "{answer}");
            let found = admin.ask_with("query($id: ID!) { person(id: $id) { lastName jobTitle department emails { address } createdBy { actorId } } viewer { member { id } } }", json!({ "id": answer["id"] })).await;
            assert_eq!(found["person"]["lastName"], "Lovelace");
            assert_eq!(found["person"]["jobTitle"], "unknown");
            assert_eq!(found["person"]["department"], Value::Null);
            assert_eq!(found["person"]["createdBy"]["actorId"], found["viewer"]["member"]["id"]);
        }
        let told = admin.ask("{ inboundHooks { name type lastAt lastOutcome paused verification } }").await["inboundHooks"][0].clone();
        assert_eq!(told, json!({ "name": "form", "type": "Person", "lastAt": "2026-03-11T12:00:00Z", "lastOutcome": "200", "paused": false, "verification": "TOKEN" }));
    }

    async fn a_key_finds_the_record_that_is_there(server: &Server) {
        let admin = server.admin().await;
        let (id, secret) = hook(&admin, json!({
            "name": "shop", "type": "Company", "key": { "externalId": { "system": "shop", "value": { "$from": "/customer" } } },
            "input": { "name": { "$from": "/name" }, "domains": [{ "$from": "/domain" }] }
        })).await;
        let token = [("x-kith-token", secret.as_str())];
        let (status, _, first) = post(server, &id, &token, r#"{ "customer": "c1", "name": "ACME", "domain": "acme.example" }"#).await;
        assert_eq!(status, StatusCode::OK, "{first}");
        let (_, _, again) = post(server, &id, &token, r#"{ "customer": "c1", "name": "ACME Inc.", "domain": "acme.example" }"#).await;
        assert_eq!((&again["id"], &again["version"]), (&first["id"], &json!(2)));
        let (status, _, other) = post(server, &id, &token, r#"{ "customer": "c2", "name": "Other", "domain": "acme.example" }"#).await;
        assert_eq!((status, &other["userErrors"][0]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("TAKEN")), "{other}");
        assert_eq!(admin.ask("{ inboundHooks { lastOutcome } }").await["inboundHooks"][0]["lastOutcome"], "422: TAKEN domains");
        assert_eq!(admin.ask("{ companies { totalCount } }").await["companies"]["totalCount"], 1);
    }

    async fn whoever_cannot_prove_it_is_turned_away(server: &Server) {
        let admin = server.admin().await;
        let (id, secret) = hook(&admin, person()).await;
        let refused = json!([{ "code": "UNAUTHENTICATED", "message": "There is no such hook, or the token or signature is not right." }]);
        let nobody = server.app.clock.new_id().to_string();
        for (path, headers) in [(id.as_str(), vec![]), (&id, vec![("x-kith-token", "whsec_no")]), (&nobody, vec![("x-kith-token", secret.as_str())]), ("nonsense", vec![])] {
            let (status, _, answer) = post(server, path, &headers, PERSON).await;
            assert_eq!((status, &answer["errors"]), (StatusCode::UNAUTHORIZED, &refused));
        }
        let rotated = admin.ask_with("mutation($id: ID!) { rotateInboundHookSecret(input: { id: $id }) { secret } }", json!({ "id": id })).await;
        assert_eq!(post(server, &id, &[("x-kith-token", &secret)], PERSON).await.0, StatusCode::UNAUTHORIZED);
        let secret = rotated["rotateInboundHookSecret"]["secret"].as_str().unwrap();
        assert_eq!(post(server, &id, &[("x-kith-token", secret)], PERSON).await.0, StatusCode::OK);
        assert_eq!(admin.ask("{ people { totalCount } }").await["people"]["totalCount"], 1);
        // Nobody may guess for long.
        let mut last = StatusCode::OK;
        for _ in 0..40 {
            last = post(server, &id, &[], PERSON).await.0;
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    }

    async fn a_signature_is_of_the_body_and_of_now(server: &Server) {
        let admin = server.admin().await;
        let mut input = person();
        input["verification"] = json!("SIGNATURE");
        let (id, secret) = hook(&admin, input).await;
        let now = server.app.clock.now().0 / 1_000_000;
        let send = async |seconds: i64, signature: &str| {
            let stamp = seconds.to_string();
            post(server, &id, &[("webhook-id", "msg_1"), ("webhook-timestamp", &stamp), ("webhook-signature", signature)], PERSON).await
        };
        assert_eq!(send(now, &sign(&secret, "msg_1", now, "{}")).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(send(now - 301, &sign(&secret, "msg_1", now - 301, PERSON)).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(post(server, &id, &[("x-kith-token", &secret)], PERSON).await.0, StatusCode::UNAUTHORIZED);
        let good = format!("v1a,xx {}", sign(&secret, "msg_1", now, PERSON));
        let (status, _, first) = send(now, &good).await;
        assert_eq!(status, StatusCode::OK, "{first}");
        // What is sent again under the same id is not done again.
        let (status, headers, again) = send(now + 60, &sign(&secret, "msg_1", now + 60, PERSON)).await;
        assert_eq!((status, &again["id"]), (StatusCode::OK, &first["id"]));
        assert_eq!(headers["idempotent-replayed"], "true");
    }

    async fn what_is_sent_twice_is_done_once(server: &Server) {
        let admin = server.admin().await;
        let (id, secret) = hook(&admin, person()).await;
        let headers = [("x-kith-token", secret.as_str()), ("idempotency-key", "k1")];
        let (_, _, first) = post(server, &id, &headers, PERSON).await;
        let (status, replayed, again) = post(server, &id, &headers, PERSON).await;
        assert_eq!((status, &again["id"]), (StatusCode::OK, &first["id"]));
        assert_eq!(replayed["idempotent-replayed"], "true");
        let (status, _, other) = post(server, &id, &headers, r#"{ "form": { "name": "Babbage" } }"#).await;
        assert_eq!((status, &other["errors"][0]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("IDEMPOTENCY_KEY_REUSED")), "{other}");
        assert_eq!(admin.ask("{ people { totalCount } }").await["people"]["totalCount"], 1);
    }

    async fn every_refusal_says_why(server: &Server) {
        let admin = server.admin().await;
        let (id, secret) = hook(&admin, person()).await;
        let token = [("x-kith-token", secret.as_str())];
        let (status, _, answer) = post(server, &id, &token, "not JSON").await;
        assert_eq!((status, &answer["errors"][0]["message"]), (StatusCode::BAD_REQUEST, &json!("The body is not JSON.")));
        let (status, _, answer) = post(server, &id, &token, r#"{ "form": { "name": 5 } }"#).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::BAD_REQUEST, &json!("BAD_REQUEST")), "{answer}");
        let (status, _, answer) = post(server, &id, &token, "{}").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert_eq!(answer["userErrors"][0]["code"], "REQUIRED");
        let pause = "mutation($id: ID!, $paused: Boolean!) { updateInboundHook(input: { id: $id, paused: $paused }) { inboundHook { paused } } }";
        admin.ask_with(pause, json!({ "id": id, "paused": true })).await;
        assert_eq!(post(server, &id, &token, PERSON).await.0, StatusCode::SERVICE_UNAVAILABLE);
        admin.ask_with(pause, json!({ "id": id, "paused": false })).await;
        let preview = admin.ask_with("query($id: ID!, $body: JSON!) { inboundHookPreview(id: $id, body: $body) }", json!({ "id": id, "body": { "form": { "name": "X" } } })).await["inboundHookPreview"].clone();
        assert_eq!(preview["variables"]["input"], json!({ "lastName": "X", "emails": [], "jobTitle": "unknown" }));
        let tried = admin.ask_with(preview["query"].as_str().unwrap(), preview["variables"].clone()).await;
        assert_eq!(tried["done"]["userErrors"], json!([]));
        let gone = admin.ask_with("mutation($id: ID!) { deleteInboundHook(input: { id: $id }) { deletedId } }", json!({ "id": id })).await;
        assert_eq!(gone["deleteInboundHook"]["deletedId"], id);
        assert_eq!(post(server, &id, &token, PERSON).await.0, StatusCode::UNAUTHORIZED);
    }

    async fn a_map_that_does_not_fit_is_refused_when_it_is_made(server: &Server) {
        let admin = server.admin().await;
        let create = "mutation($input: CreateInboundHookInput!) { createInboundHook(input: $input) { userErrors { path message } } }";
        for (input, path) in [
            (json!({ "name": "x", "type": "Activity", "input": {} }), "type"),
            (json!({ "name": "x", "type": "Nothing", "input": {} }), "type"),
            (json!({ "name": "x", "type": "Deal", "input": { "nmae": "x" } }), "input"),
            (json!({ "name": "x", "type": "Deal", "input": { "name": { "$form": "/x" } } }), "input"),
            (json!({ "name": "x", "type": "Deal", "input": { "name": "x" }, "key": { "domain": "x" } }), "key"),
            (json!({ "name": " ", "type": "Deal", "input": { "name": "x" } }), "name"),
        ] {
            let told = admin.ask_with(create, json!({ "input": input })).await["createInboundHook"]["userErrors"].clone();
            assert_eq!(told[0]["path"], json!([path]), "{input}: {told}");
        }
    }

    async fn a_hook_does_what_its_maker_may_and_no_more(server: &Server) {
        let admin = server.admin().await;
        let other = server.member(&admin, "Bea", "ADMIN").await;
        let (id, secret) = hook(&other, person()).await;
        let token = [("x-kith-token", secret.as_str())];
        assert_eq!(post(server, &id, &token, PERSON).await.0, StatusCode::OK);
        let holder = other.id().await;
        let reader = admin.role("READ_ONLY").await;
        let set = "mutation($holder: ID!, $roles: [ID!]!) { setRoles(input: { holder: $holder, roles: $roles }) { userErrors { message } } }";
        assert_eq!(admin.ask_with(set, json!({ "holder": holder, "roles": [reader] })).await["setRoles"]["userErrors"], json!([]));
        let (status, _, answer) = post(server, &id, &token, &PERSON.replace("ada@", "b@")).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!("FORBIDDEN")), "{answer}");
        assert_eq!(admin.update("member", &holder, json!({ "status": "SUSPENDED" })).await["userErrors"], json!([]));
        let (status, _, answer) = post(server, &id, &token, &PERSON.replace("ada@", "c@")).await;
        assert_eq!(status, StatusCode::GONE, "{answer}");
        assert_eq!(admin.ask("{ people { totalCount } }").await["people"]["totalCount"], 1);
    }

    async fn whoever_learns_the_secret_writes_as_themselves(server: &Server) {
        let admin = server.admin().await;
        let other = server.member(&admin, "Bea", "ADMIN").await;
        let (id, _) = hook(&admin, person()).await;
        let rotated = other.ask_with("mutation($id: ID!) { rotateInboundHookSecret(input: { id: $id }) { secret inboundHook { holderId } } }", json!({ "id": id })).await;
        assert_eq!(rotated["rotateInboundHookSecret"]["inboundHook"]["holderId"], other.id().await);
        let secret = rotated["rotateInboundHookSecret"]["secret"].as_str().unwrap();
        let (_, _, made) = post(server, &id, &[("x-kith-token", secret)], PERSON).await;
        let by = admin.ask_with("query($id: ID!) { person(id: $id) { createdBy { actorId } } }", json!({ "id": made["id"] })).await;
        assert_eq!(by["person"]["createdBy"]["actorId"], other.id().await);
        // A key that sees some rows only has none: it would write past its filter.
        let role = admin.role("ADMIN").await;
        let key = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret userErrors { message } } }";
        let input = json!({ "name": "narrow", "roles": [role], "restrictions": { "rowFilters": [{ "people": { "lastName": { "eq": "X" } } }] } });
        let made = admin.ask_with(key, json!({ "input": input })).await["createApiKey"].clone();
        assert_eq!(made["userErrors"], json!([]));
        let narrow = server.bearer(made["secret"].as_str().unwrap());
        let create = "mutation { createInboundHook(input: { name: \"x\", type: \"Note\", input: { title: \"x\" } }) { secret } }";
        assert_eq!(narrow.refused(create).await.0, "FORBIDDEN");
    }
}
