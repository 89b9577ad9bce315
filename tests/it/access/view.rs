//! What a caller is shown of the schema: no more than their roles use, while every document that fits
//! the workspace's schema is valid for everybody.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

async fn root_fields(actor: &Actor<'_>, root: &str) -> Vec<String> {
    let data = actor.ask_with("query($n: String!) { __type(name: $n) { fields { name } } }", json!({ "n": root })).await;
    data["__type"]["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

async fn sdl(actor: &Actor<'_>, view: &str) -> (StatusCode, String) {
    let credential = actor.credential.clone().unwrap();
    let request = Request::get(format!("/schema.graphql{view}")).header("authorization", format!("Bearer {credential}"));
    let (status, _, body) = actor.server.send(request.body(Body::empty()).unwrap()).await;
    (status, body)
}

/// The names after these words or signs are those of types.
fn types_named(sdl: &str) -> (Vec<String>, Vec<String>) {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let (mut defined, mut named) = (Vec::new(), Vec::new());
    // Descriptions stand in quotes, on lines of their own; long ones between three.
    let mut described = false;
    for line in sdl.lines() {
        let begins = line.trim_start();
        described ^= begins == "\"\"\"";
        if described || begins.starts_with('"') {
            continue;
        }
        for kind in ["type ", "input ", "enum ", "interface ", "scalar ", "union "] {
            if let Some(rest) = line.strip_prefix(kind) {
                defined.push(word(rest));
                let interfaces = rest.split_once(" implements ").map_or("", |(_, rest)| rest.trim_end_matches(" {"));
                named.extend(interfaces.split(" & ").filter(|name| !name.is_empty()).map(word));
            }
        }
        if let Some((_, ty)) = line.strip_prefix('\t').and_then(|line| line.rsplit_once(": ")).filter(|(member, _)| !member.contains('"')) {
            named.push(word(ty.trim_start_matches('[')));
        }
    }
    (defined, named)
}

on_both! {
    async fn a_narrowed_schema_names_no_type_that_it_lacks(server: &Server) {
        let admin = server.admin().await;
        for role in ["ADMIN", "MANAGER", "REP", "READ_ONLY", "PORTAL", "INTEGRATION"] {
            let member = server.member(&admin, role, role).await;
            let (status, text) = sdl(&member, "").await;
            assert_eq!(status, StatusCode::OK);
            let (defined, named) = types_named(&text);
            assert!(defined.len() > 50 && named.len() > defined.len());
            let built_in = ["Int", "Float", "String", "Boolean", "ID", ""];
            let missing: Vec<&String> = named.iter().filter(|name| !defined.contains(name) && !built_in.contains(&name.as_str())).collect();
            assert!(missing.is_empty(), "{role}: {missing:?}");
            assert!(!defined.iter().any(|name| name.ends_with("Parts")), "{role}");
        }
    }

    async fn a_role_sees_the_schema_that_it_uses(server: &Server) {
        let admin = server.admin().await;
        let make = "mutation { createRole(input: { name: \"Deals\", objects: [{ object: DEAL, create: false, read: [ALL], update: [ALL] }], \
            fields: [{ object: DEAL, field: \"amount\", sight: HIDDEN }, { object: DEAL, field: \"nextStep\", sight: FULL, write: false }] }) { role { id } userErrors { message } } }";
        let role = admin.ask(make).await["createRole"]["role"]["id"].take();
        let member = server.member(&admin, "Deb", "REP").await;
        let set = "mutation($h: ID!, $r: ID!) { setRoles(input: { holder: $h, roles: [$r] }) { userErrors { code } } }";
        admin.ask_with(set, json!({ "h": member.id().await, "r": role })).await;
        let (queries, mutations) = (root_fields(&member, "Query").await, root_fields(&member, "Mutation").await);
        let has = |list: &[String], name: &str| list.iter().any(|field| field == name);
        assert!(has(&queries, "deals") && has(&queries, "viewer") && !has(&queries, "companies") && !has(&queries, "audit") && !has(&queries, "apiKeys"));
        assert!(has(&mutations, "updateDeal") && has(&mutations, "signOut") && !has(&mutations, "createDeal") && !has(&mutations, "deleteDeal") && !has(&mutations, "createRole"));
        let data = member.ask("{ deal: __type(name: \"Deal\") { fields { name } } update: __type(name: \"DealUpdate\") { inputFields { name } } \
            company: __type(name: \"Company\") { name } names: __type(name: \"ObjectName\") { enumValues { name } } }").await;
        assert_eq!((&data["company"], &data["names"]["enumValues"]), (&Value::Null, &json!([{ "name": "DEAL" }, { "name": "MEMBER" }])));
        let fields = |list: &Value| list.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let (shown, written) = (fields(&data["deal"]["fields"]), fields(&data["update"]["inputFields"]));
        assert!(has(&shown, "name") && has(&shown, "nextStep") && !has(&shown, "amount") && !has(&shown, "company"));
        assert!(has(&written, "name") && !has(&written, "nextStep") && !has(&written, "amount"));
        let (_, own) = sdl(&member, "").await;
        assert!(own.contains("type Deal ") && !own.contains("type Company ") && !own.contains("createApiKey"));
        // A document that an application was built with is valid all the same.
        let data = member.ask("{ deals { totalCount nodes { amount { amount } company { name } } } companies { totalCount } }").await;
        assert_eq!(data, json!({ "deals": { "totalCount": 0, "nodes": [] }, "companies": { "totalCount": 0 } }));
        let described = member.ask("{ objects { name fields { name } } }").await["objects"].take();
        let deal = described.as_array().unwrap().iter().find(|object| object["name"] == "deal").unwrap();
        assert!(!has(&fields(&deal["fields"]), "amount"));
        // Together with records it would be the one or the other.
        assert_eq!(member.refused("{ __schema { queryType { name } } deals { totalCount } }").await.0, "BAD_REQUEST");
        let all = admin.ask("{ __schema { queryType { name } } deals { totalCount } }").await;
        assert_eq!(all["deals"]["totalCount"], 0);
    }

    async fn the_whole_schema_is_for_code_generators(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member(&admin, "Rep", "REP").await;
        assert_eq!(sdl(&rep, "?view=workspace").await.0, StatusCode::FORBIDDEN);
        let (status, whole) = sdl(&admin, "?view=workspace").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(whole, sdl(&admin, "").await.1);
        assert!(sdl(&rep, "").await.1.len() < whole.len());
        // A key of scope SCHEMA, and of nothing else.
        let owner = admin.role("OWNER").await;
        let create = "mutation($r: ID!) { createApiKey(input: { name: \"ci\", roles: [$r], restrictions: { scopes: [], settings: [SCHEMA] } }) { secret userErrors { message } } }";
        let secret = admin.ask_with(create, json!({ "r": owner })).await["createApiKey"]["secret"].take();
        let ci = server.bearer(secret.as_str().unwrap());
        assert_eq!(sdl(&ci, "?view=workspace").await.1, whole);
        assert_eq!(ci.ask("{ deals { totalCount } }").await["deals"]["totalCount"], 0);
        assert_eq!(ci.refused("{ apiKeys { id } }").await.0, "FORBIDDEN");
    }
}
