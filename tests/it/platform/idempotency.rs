//! Requests that are sent again are not done again; operations that are atomic are done whole or not at all.

use axum::http::{HeaderMap, StatusCode};
use kith::infra::db::{Backend, Mode, Scope};
use serde_json::{Value, json};

use crate::harness::{Actor, Server, names, on_both};

const CREATE: &str = "mutation($n: String!) { createDeal(input: { name: $n }) { deal { id name } userErrors { code } } }";

async fn sent(actor: &Actor<'_>, key: &str, document: &str, variables: Value) -> (StatusCode, HeaderMap, Value) {
    let (status, headers, mut answer) = actor.post(json!({ "query": document, "variables": variables }), &[("idempotency-key", key)]).await;
    // What is left of a budget is another each time.
    answer.as_object_mut().unwrap().remove("extensions");
    (status, headers, answer)
}

fn replayed(headers: &HeaderMap) -> bool {
    headers.get("idempotent-replayed").is_some_and(|value| value == "true")
}

async fn count(actor: &Actor<'_>) -> Value {
    actor.ask("{ deals { totalCount } }").await["deals"]["totalCount"].take()
}

on_both! {
    async fn a_request_that_is_sent_again_is_not_done_again(server: &Server) {
        let admin = server.admin().await;
        let (status, headers, first) = sent(&admin, "k1", CREATE, json!({ "n": "a" })).await;
        assert_eq!((status, replayed(&headers), &first["data"]["createDeal"]["deal"]["name"]), (StatusCode::OK, false, &json!("a")));
        let (status, headers, again) = sent(&admin, "k1", CREATE, json!({ "n": "a" })).await;
        assert_eq!((status, replayed(&headers)), (StatusCode::OK, true));
        assert_eq!(again, first);
        assert_eq!(count(&admin).await, 1);
        // By the extension, which is the same.
        let body = json!({ "query": CREATE, "variables": { "n": "a" }, "extensions": { "idempotencyKey": "k1" } });
        assert_eq!(admin.post(body, &[]).await.2["data"], first["data"]);
        // Another body under the same key.
        let (status, _, other) = sent(&admin, "k1", CREATE, json!({ "n": "b" })).await;
        assert_eq!((status, &other["errors"][0]["extensions"]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("IDEMPOTENCY_KEY_REUSED")));
        // Another key, and another caller with the same key, are others.
        sent(&admin, "k2", CREATE, json!({ "n": "a" })).await;
        let ann = server.member(&admin, "Ann", "ADMIN").await;
        assert!(!replayed(&sent(&ann, "k1", CREATE, json!({ "n": "a" })).await.1));
        assert_eq!(count(&admin).await, 3);
        // After a day it is forgotten.
        let fresh = server.bearer(&api_key(&admin).await);
        assert!(!replayed(&sent(&fresh, "k9", CREATE, json!({ "n": "a" })).await.1));
        server.clock.advance(25 * 3_600 * 1_000_000);
        assert!(!replayed(&sent(&fresh, "k9", CREATE, json!({ "n": "a" })).await.1));
    }

    async fn what_was_refused_may_be_tried_again(server: &Server) {
        let admin = server.admin().await;
        let document = "mutation { createCompany(input: { name: \"x\", domains: [\"a.example\"] }) { company { name } userErrors { code } } }";
        let holder = admin.create("company", json!({ "name": "first", "domains": ["a.example"] })).await;
        let (_, _, refused) = sent(&admin, "k", document, json!({})).await;
        assert_eq!(refused["data"]["createCompany"]["userErrors"][0]["code"], "TAKEN");
        admin.ask_with("mutation($id: ID!) { purgeCompany(id: $id) { deletedId } }", json!({ "id": holder })).await;
        let (_, headers, done) = sent(&admin, "k", document, json!({})).await;
        assert_eq!((replayed(&headers), &done["data"]["createCompany"]["company"]["name"]), (false, &json!("x")));
    }

    async fn a_document_that_is_not_valid_leaves_its_key_free(server: &Server) {
        let admin = server.admin().await;
        sent(&admin, "k", "mutation { createTag(input: { name: \"iv\" }) { tag { nope } } }", json!({})).await;
        let (status, _, done) = sent(&admin, "k", "mutation { createTag(input: { name: \"iv\" }) { tag { name } } }", json!({})).await;
        assert_eq!((status, &done["data"]["createTag"]["tag"]["name"]), (StatusCode::OK, &json!("iv")));
    }

    async fn visitors_with_tokens_of_one_key_do_not_get_each_others_answers(server: &Server) {
        let admin = server.admin().await;
        let make = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret userErrors { path message } } }";
        let owner = admin.role("ADMIN").await;
        let key = admin.ask_with(make, json!({ "input": { "name": "k", "roles": [owner] } })).await["createApiKey"]["secret"].as_str().unwrap().to_owned();
        let key = server.bearer(&key);
        let token = "mutation { createEmbedToken(input: { restrictions: { scopes: [{ object: TAG, access: WRITE }] } }) { token userErrors { message } } }";
        let mut answers = Vec::new();
        for _ in 0..2 {
            let token = key.ask(token).await["createEmbedToken"]["token"].as_str().unwrap().to_owned();
            let document = "mutation { createTag(input: { name: \"same\" }) { tag { id } userErrors { code } } }";
            answers.push(sent(&server.bearer(&token), "k", document, json!({})).await);
        }
        assert!(answers.iter().all(|(_, headers, _)| !replayed(headers)), "{answers:?}");
        assert_ne!(answers[0].2, answers[1].2);
    }

    async fn what_is_done_is_answered_and_the_rest_is_run(server: &Server) {
        let admin = server.admin().await;
        let company = admin.create("company", json!({ "name": "first", "domains": ["a.example"] })).await;
        let document = "mutation { one: createDeal(input: { name: \"d\" }) { deal { id } } two: createCompany(input: { name: \"x\", domains: [\"a.example\"] }) { company { name } userErrors { code } } }";
        let (_, _, first) = sent(&admin, "k", document, json!({})).await;
        assert_eq!(first["data"]["two"]["userErrors"][0]["code"], "TAKEN");
        admin.ask_with("mutation($id: ID!) { purgeCompany(id: $id) { deletedId } }", json!({ "id": company })).await;
        let (_, headers, second) = sent(&admin, "k", document, json!({})).await;
        assert!(replayed(&headers));
        assert_eq!((&second["data"]["one"], &second["data"]["two"]["company"]["name"]), (&first["data"]["one"], &json!("x")));
        assert_eq!(count(&admin).await, 1);
    }

    async fn a_request_that_runs_keeps_others_out_until_its_lease_ends(server: &Server) {
        let admin = server.admin().await;
        sent(&admin, "k", CREATE, json!({ "n": "a" })).await;
        // As if a server had died in the middle.
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        let until = server.clock.now().0 + 60_000_000;
        tx.run("UPDATE idempotency_key SET leased_until = $1 WHERE workspace_id = $2 AND field = ''", vec![until.into(), admin.workspace.into()]).await.unwrap();
        tx.run("DELETE FROM idempotency_key WHERE workspace_id = $1 AND field <> ''", vec![admin.workspace.into()]).await.unwrap();
        tx.commit().await.unwrap();
        let (status, headers, turned) = sent(&admin, "k", CREATE, json!({ "n": "a" })).await;
        assert_eq!((status, &turned["errors"][0]["extensions"]["code"]), (StatusCode::CONFLICT, &json!("IDEMPOTENCY_IN_PROGRESS")));
        assert!(headers.contains_key("retry-after"));
        server.clock.advance(61_000_000);
        assert_eq!(sent(&admin, "k", CREATE, json!({ "n": "a" })).await.0, StatusCode::OK);
        assert_eq!(count(&admin).await, 2);
    }

    async fn fifty_at_once_are_done_once(server: &Server) {
        let admin = server.admin().await;
        let tries = (0..50).map(|_| sent(&admin, "k", CREATE, json!({ "n": "a" })));
        let answers = futures_util::future::join_all(tries).await;
        let (done, turned): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, ..)| *status == StatusCode::OK);
        assert!(!done.is_empty() && turned.iter().all(|(status, ..)| *status == StatusCode::CONFLICT));
        assert!(done.windows(2).all(|pair| pair[0].2 == pair[1].2));
        assert_eq!(count(&admin).await, 1);
    }

    async fn secrets_are_told_once(server: &Server) {
        let admin = server.admin().await;
        let document = "mutation { createApiKey(input: { name: \"k\" }) { secret userErrors { message } } }";
        let (_, _, first) = sent(&admin, "k", document, json!({})).await;
        assert!(first["data"]["createApiKey"]["secret"].is_string(), "{first}");
        let (_, _, again) = sent(&admin, "k", document, json!({})).await;
        assert_eq!((&again["errors"][0]["extensions"]["code"], &again["data"]), (&json!("ALREADY_ISSUED"), &Value::Null));
        assert!(!again.to_string().contains(first["data"]["createApiKey"]["secret"].as_str().unwrap()));
        // Other mutations of the workspace are answered again.
        let document = "mutation { createTeam(input: { name: \"T\" }) { team { id name } userErrors { code } } }";
        let (_, _, first) = sent(&admin, "t", document, json!({})).await;
        let (_, headers, again) = sent(&admin, "t", document, json!({})).await;
        assert!(replayed(&headers) && first == again && first["data"]["createTeam"]["team"]["name"] == "T");
        let kept = "SELECT count(*) FROM idempotency_key WHERE workspace_id = $1 AND answer LIKE '%secret%'";
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
        let row = tx.fetch_optional(kept, vec![admin.workspace.into()]).await.unwrap().unwrap();
        assert_eq!(row.int(0).unwrap(), Some(0));
    }

    async fn what_was_done_without_an_answer_is_not_done_again(server: &Server) {
        if server.app.db.backend() == Backend::Postgres {
            // There nobody but the owner can make an answer fail.
            return;
        }
        let admin = server.admin().await;
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        let fail = "CREATE TRIGGER no_answer BEFORE UPDATE ON idempotency_key WHEN new.answer IS NOT NULL BEGIN SELECT RAISE(FAIL, 'no'); END";
        tx.run(fail, vec![]).await.unwrap();
        tx.commit().await.unwrap();
        let document = "mutation { createTeam(input: { name: \"T\" }) { team { name } userErrors { code } } }";
        let (_, _, first) = sent(&admin, "t", document, json!({})).await;
        assert_eq!(first["data"]["createTeam"]["team"]["name"], "T");
        let (_, _, again) = sent(&admin, "t", document, json!({})).await;
        assert_eq!(again["errors"][0]["extensions"]["code"], "ALREADY_ISSUED", "{again}");
        let teams = admin.ask("{ teams { name } }").await;
        assert_eq!(teams["teams"].as_array().map(Vec::len), Some(1), "{teams}");
    }

    async fn a_key_that_is_no_key_is_refused(server: &Server) {
        let admin = server.admin().await;
        for key in ["", &"x".repeat(256)] {
            assert_eq!(sent(&admin, key, CREATE, json!({ "n": "a" })).await.0, StatusCode::BAD_REQUEST);
        }
        // A query has nothing to repeat.
        let (status, headers, _) = sent(&admin, "q", "{ deals { totalCount } }", json!({})).await;
        assert_eq!((status, replayed(&headers)), (StatusCode::OK, false));
    }

    async fn an_atomic_operation_is_done_whole_or_not_at_all(server: &Server) {
        let admin = server.admin().await;
        admin.create("company", json!({ "name": "holder", "domains": ["a.example"] })).await;
        let before = admin.ask("{ companies { totalCount } }").await["companies"]["totalCount"].take();
        let parts = "a: createDeal(input: { name: \"a\" }) { __typename deal { id } userErrors { code } } \
            b: createCompany(input: { name: \"x\", domains: [\"a.example\"] }) { company { id } userErrors { code path } } \
            c: createDeals(inputs: [{ name: \"c\" }]) { __typename committed results { deal { id } } userErrors { code } }";
        let undone = admin.ask(&format!("mutation @atomic {{ {parts} }}")).await;
        assert_eq!(undone, json!({
            "a": { "__typename": "DealPayload", "deal": null, "userErrors": [{ "code": "ROLLED_BACK" }] },
            "b": { "company": null, "userErrors": [{ "code": "TAKEN", "path": ["domains"] }] },
            "c": { "__typename": "DealsPayload", "committed": false, "results": [], "userErrors": [{ "code": "ROLLED_BACK" }] },
        }));
        assert_eq!((count(&admin).await, admin.ask("{ companies { totalCount } }").await["companies"]["totalCount"].take()), (json!(0), before));
        // Without the directive each part stands for itself.
        let apart = admin.ask(&format!("mutation {{ {parts} }}")).await;
        assert_eq!((&apart["a"]["userErrors"], &apart["c"]["committed"]), (&json!([]), &json!(true)));
        // Later parts build on earlier ones.
        let company = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).to_string();
        let whole = admin.ask_with(
            "mutation($c: ID!) @atomic { createCompany(input: { id: $c, name: \"New\" }) { company { name } userErrors { code } } \
                createDeal(input: { name: \"of new\", company: { id: $c } }) { deal { company { name } } userErrors { code } } \
                preview: createDeal(input: { name: \"never\" }, validateOnly: true) { deal { name } userErrors { code } } }",
            json!({ "c": company }),
        ).await;
        assert_eq!(whole["createDeal"], json!({ "deal": { "company": { "name": "New" } }, "userErrors": [] }));
        assert_eq!(whole["preview"]["deal"]["name"], "never");
        assert_eq!(names(&admin.ask("{ deals(orderBy: [{ name: ASC }]) { nodes { name } } }").await["deals"]["nodes"]), ["a", "c", "of new"]);
        let history = admin.ask_with("query($c: ID!) { company(id: $c) { version } }", json!({ "c": company })).await;
        assert_eq!(history["company"]["version"], 1);
    }

    async fn an_atomic_operation_is_of_records_alone(server: &Server) {
        let admin = server.admin().await;
        for document in [
            "mutation @atomic { createDeal(input: { name: \"a\" }) { deal { id } } createApiKey(input: { name: \"k\" }) { secret } }",
            "mutation @atomic { ...f } fragment f on Mutation { createField(input: { object: DEAL, name: \"x\", label: \"x\", kind: TEXT }) { field { id } } }",
            "query @atomic { deals { totalCount } }",
            "mutation { createDeal(input: { name: \"a\" }) @atomic { deal { id } } }",
        ] {
            assert_eq!(admin.refused(document).await.0, "BAD_REQUEST", "{document}");
        }
        assert_eq!(count(&admin).await, 0);
        // An error of the whole request undoes all, too.
        let ann = server.member(&admin, "Ann", "REP").await;
        let failed = ann.send("mutation @atomic { a: createDeal(input: { name: \"a\" }) { deal { id } } b: createPipeline(input: { name: \"p\" }) { pipeline { id } userErrors { code } } }", json!({})).await;
        assert!(failed["errors"].is_array() || failed["data"]["b"]["userErrors"][0]["code"].is_string(), "{failed}");
        assert_eq!(count(&admin).await, 0);
        // An atomic operation that is sent again is answered as a whole.
        let document = "mutation @atomic { a: createDeal(input: { name: \"a\" }) { deal { id } } b: createDeal(input: { name: \"b\" }) { deal { id } } }";
        let (_, _, first) = sent(&admin, "k", document, json!({})).await;
        let (_, headers, again) = sent(&admin, "k", document, json!({})).await;
        assert!(replayed(&headers) && first == again && first["data"]["b"]["deal"]["id"].is_string());
        assert_eq!(count(&admin).await, 2);
    }
}

async fn api_key(admin: &Actor<'_>) -> String {
    let made = admin.ask("mutation { createApiKey(input: { name: \"k\" }) { secret userErrors { message } } }").await;
    made["createApiKey"]["secret"].as_str().unwrap().to_owned()
}

/// What tells a secret is never kept: no payload of another mutation has a member that is called like one.
#[test]
fn every_payload_that_tells_a_secret_is_known() {
    let sdl = include_str!("../../../schema.graphql");
    let block =
        |head: &str| sdl.split("\n\n").find(|block| block.lines().any(|line| line.starts_with(head))).unwrap_or_default().to_owned();
    let mutations = block("type Mutation {");
    let mut told = Vec::new();
    // A root field stands one tab in; its type closes the line, after its arguments if it has some.
    let mut name = String::new();
    for line in mutations.lines().filter(|line| line.starts_with('\t') && !line.starts_with("\t\t")) {
        let text = line.trim();
        if text.starts_with('"') || text.is_empty() {
            continue;
        }
        if text.starts_with(|c: char| c.is_ascii_lowercase()) {
            name = text.split(['(', ':']).next().unwrap().to_owned();
        }
        let Some(payload) = text
            .rsplit_once(": ")
            .map(|(_, ty)| ty.trim_end_matches('!').to_owned())
            .filter(|_| text.starts_with(')') || !text.contains('('))
        else {
            continue;
        };
        let members = block(&format!("type {payload} "));
        let secret =
            ["\ttoken: ", "\tsecret: ", "\trecoveryCodes: ", "\tsession: ", "\tchallenge: "].iter().any(|member| members.contains(member));
        if secret {
            told.push(name.clone());
        }
    }
    told.sort();
    told.dedup();
    assert!(told.len() > 5, "{told:?}");
    let unknown: Vec<&String> = told.iter().filter(|name| !kith::graphql::repeat::SECRETS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
