//! The audit: what stands in it, who reads it, and that it cannot be changed unnoticed.

use kith::infra::db::{Mode, Scope};
use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

async fn actions(admin: &Actor<'_>) -> Vec<String> {
    let data = admin.ask("{ audit(first: 200) { nodes { action } } }").await;
    data["audit"]["nodes"].as_array().unwrap().iter().rev().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn what_happened_stands_in_order(server: &Server) {
        let admin = server.admin().await;
        let ann = server.member(&admin, "Ann", "REP").await;
        assert_eq!(ann.refused("mutation { createTeam(input: { name: \"x\" }) { userErrors { code } } }").await.0, "FORBIDDEN");
        admin.ask("mutation { createTeam(input: { name: \"x\" }) { userErrors { code } } }").await;
        admin.ask("mutation { createRole(input: { name: \"x\" }) { userErrors { code } } }").await;
        let deal = admin.create("deal", json!({ "name": "d" })).await;
        let share = "mutation($d: ID!, $g: ID!) { shareRecord(input: { record: $d, grantee: $g }) { userErrors { code } } }";
        admin.ask_with(share, json!({ "d": deal, "g": ann.id().await })).await;
        admin.ask("mutation { updateWorkspace(input: { name: \"New\" }) { userErrors { code } } }").await;
        admin.ask("mutation { createField(input: { object: DEAL, name: \"x\", kind: TEXT, label: \"x\" }) { userErrors { code } } }").await;
        let key = admin.ask("mutation { createApiKey(input: { name: \"k\" }) { apiKey { id } } }").await["createApiKey"]["apiKey"]["id"].clone();
        admin.ask_with("mutation($id: ID!) { revokeApiKey(input: { id: $id }) { userErrors { code } } }", json!({ "id": key })).await;
        ann.ask("mutation { signOut { signedOut } }").await;
        assert_eq!(actions(&admin).await, [
            "SIGN_IN", "ROLES_GIVEN", "INVITATION_SENT", "INVITATION_ACCEPTED", "SIGN_IN", "REFUSED", "TEAM_CHANGED", "ROLE_CHANGED", "RECORD_SHARED",
            "WORKSPACE_CHANGED", "DATA_MODEL_CHANGED", "ROLES_GIVEN", "KEY_CREATED", "KEY_REVOKED", "SIGN_OUT",
        ]);
        // Reading it is an entry itself, and it pages.
        let data = admin.ask("{ audit(filter: { actions: [AUDIT_READ, REFUSED] }, first: 1) { nodes { seq action actorId detail } pageInfo { hasNextPage endCursor } } verifyAudit { intact checked } }").await;
        assert_eq!((&data["audit"]["nodes"][0]["action"], &data["audit"]["pageInfo"]["hasNextPage"]), (&json!("AUDIT_READ"), &json!(true)));
        assert_eq!(data["verifyAudit"]["intact"], true);
        let older = admin.ask_with("query($b: Cursor!) { audit(filter: { actions: [AUDIT_READ, REFUSED] }, after: $b) { nodes { action actorId detail } pageInfo { hasNextPage hasPreviousPage } } }", json!({ "b": data["audit"]["pageInfo"]["endCursor"] })).await;
        assert_eq!(older["audit"], json!({ "nodes": [{ "action": "REFUSED", "actorId": ann_id(&older), "detail": "{\"message\":\"Your roles do not allow this; it needs MEMBERS.\"}" }], "pageInfo": { "hasNextPage": false, "hasPreviousPage": true } }));
        assert_eq!(server.member(&admin, "Mia", "MANAGER").await.refused("{ audit { nodes { seq } } }").await.0, "FORBIDDEN");
        // Another workspace sees nothing of it.
        assert_eq!(actions(&server.admin().await).await, ["SIGN_IN"]);
    }

    async fn the_audit_is_taken_elsewhere_line_by_line(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member(&admin, "Rep", "REP").await;
        let get = async |actor: &Actor<'_>, path: &str| {
            let credential = actor.credential.clone().unwrap();
            let request = axum::http::Request::get(path).header("authorization", format!("Bearer {credential}"));
            server.send(request.body(axum::body::Body::empty()).unwrap()).await
        };
        assert_eq!(get(&rep, "/audit.jsonl").await.0, axum::http::StatusCode::FORBIDDEN);
        let (status, headers, body) = get(&admin, "/audit.jsonl").await;
        assert_eq!((status.as_u16(), headers["content-type"].to_str().unwrap()), (200, "application/jsonl"));
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seqs: Vec<i64> = lines.iter().map(|line| line["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=i64::try_from(lines.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!((&lines[0]["action"], &lines.last().unwrap()["action"]), (&json!("SIGN_IN"), &json!("AUDIT_EXPORTED")));
        assert_eq!(lines[0]["at"], "2026-03-11T12:00:00.000000Z");
        let (.., rest) = get(&admin, &format!("/audit.jsonl?after={}", lines.len())).await;
        assert_eq!(rest.lines().count(), 1, "{rest}");
    }

    async fn a_part_of_the_chain_is_verified(server: &Server) {
        let admin = server.admin().await;
        for name in ["a", "b", "c", "d"] {
            admin.ask_with("mutation($n: String!) { createTeam(input: { name: $n }) { userErrors { code } } }", json!({ "n": name })).await;
        }
        let verify = async |range: &str| admin.ask(&format!("{{ verifyAudit{range} {{ intact checked brokenAt }} }}")).await["verifyAudit"].take();
        assert_eq!(verify("(from: 2, to: 4)").await, json!({ "intact": true, "checked": 3, "brokenAt": null }));
        assert_eq!(verify("").await, json!({ "intact": true, "checked": 5, "brokenAt": null }));
        assert_eq!(verify("(from: 90)").await["intact"], false);
    }

    async fn an_entry_cannot_be_changed_or_removed(server: &Server) {
        let admin = server.admin().await;
        for sql in ["UPDATE audit_entry SET action = 'x' WHERE workspace_id = $1", "DELETE FROM audit_entry WHERE workspace_id = $1"] {
            let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
            assert!(tx.run(sql, vec![admin.workspace.into()]).await.is_err(), "{sql}");
        }
        assert_eq!(actions(&admin).await, ["SIGN_IN"]);
    }

    async fn who_fails_again_and_again_waits(server: &Server) {
        let admin = server.admin().await;
        let email = admin.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].clone();
        let sign_in = async |email: &Value, password: &str| {
            let document = "mutation($e: String!, $p: String!) { signIn(input: { email: $e, password: $p }) { session { member { name } } userErrors { code message } } }";
            server.anonymous().ask_with(document, json!({ "e": email, "p": password })).await["signIn"].clone()
        };
        let wrong = json!([{ "code": "INVALID_VALUE", "message": "The address or the password is wrong." }]);
        let nobody = json!("nobody@x.example");
        for _ in 0..5 {
            assert_eq!(sign_in(&email, "wrong").await["userErrors"], wrong);
            assert_eq!(sign_in(&nobody, "wrong").await["userErrors"], wrong);
        }
        // Now the right password waits too, and it is told alike of an address that nobody has.
        let wait = json!([{ "code": "LIMIT", "message": "Too many attempts. Try again in 2 seconds." }]);
        assert_eq!(sign_in(&email, "correct horse").await["userErrors"], wait);
        assert_eq!(sign_in(&nobody, "wrong").await["userErrors"], wait);
        server.clock.advance(2_000_000);
        assert_eq!(sign_in(&email, "wrong").await["userErrors"], wrong);
        assert_eq!(sign_in(&email, "correct horse").await["userErrors"][0]["message"], "Too many attempts. Try again in 3 seconds.");
        server.clock.advance(3_000_000);
        assert_eq!(sign_in(&email, "correct horse").await["userErrors"], json!([]));
        assert_eq!(actions(&admin).await.iter().filter(|action| *action == "SIGN_IN_FAILED").count(), 6);
    }

    async fn who_is_suspended_is_out_at_once_and_their_keys_with_them(server: &Server) {
        let admin = server.admin().await;
        let mia = server.member(&admin, "Mia", "ADMIN").await;
        let secret = mia.ask("mutation { createApiKey(input: { name: \"k\" }) { secret } }").await["createApiKey"]["secret"].clone();
        let key = server.bearer(secret.as_str().unwrap());
        key.ask("{ deals { totalCount } }").await;
        let id = mia.id().await;
        assert_eq!(admin.update("member", &id, json!({ "status": "SUSPENDED" })).await["userErrors"], json!([]));
        assert_eq!(mia.refused("{ deals { totalCount } }").await.0, "UNAUTHENTICATED");
        assert_eq!(key.refused("{ deals { totalCount } }").await.0, "UNAUTHENTICATED");
    }

    async fn a_review_tells_who_may_do_what(server: &Server) {
        let admin = server.admin().await;
        let ann = server.member(&admin, "Ann", "REP").await;
        admin.ask("mutation { createApiKey(input: { name: \"key\" }) { secret } }").await;
        let review = admin.ask("{ accessReview { name isApiKey active lastUsedAt roles { name } shares } }").await["accessReview"].clone();
        let of = |name: &str| review.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap().clone();
        assert_eq!(of("Ann"), json!({ "name": "Ann", "isApiKey": false, "active": true, "lastUsedAt": "2026-03-11T12:00:00Z", "roles": [{ "name": "Rep" }], "shares": 0 }));
        assert_eq!(of("key"), json!({ "name": "key", "isApiKey": true, "active": true, "lastUsedAt": null, "roles": [{ "name": "Integration" }], "shares": 0 }));
        assert_eq!(ann.refused("{ accessReview { name } }").await.0, "FORBIDDEN");
    }

    async fn sessions_are_listed_and_ended(server: &Server) {
        let admin = server.admin().await;
        let email = admin.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].clone();
        let document = "mutation($e: String!, $p: String!) { signIn(input: { email: $e, password: $p }) { session { accessToken } } }";
        let second = server.anonymous().ask_with(document, json!({ "e": email, "p": "correct horse" })).await["signIn"]["session"]["accessToken"].clone();
        let second = server.bearer(second.as_str().unwrap());
        let sessions = admin.ask("{ sessions { id current } }").await["sessions"].clone();
        assert_eq!(sessions.as_array().unwrap().len(), 2);
        let other = sessions.as_array().unwrap().iter().find(|session| session["current"] == false).unwrap()["id"].clone();
        let revoke = "mutation($id: ID!) { revokeSession(input: { id: $id }) { revokedId userErrors { code } } }";
        assert_eq!(admin.ask_with(revoke, json!({ "id": other })).await["revokeSession"], json!({ "revokedId": other, "userErrors": [] }));
        assert_eq!(second.refused("{ viewer { workspace { name } } }").await.0, "UNAUTHENTICATED");
        assert_eq!(admin.ask_with(revoke, json!({ "id": other })).await["revokeSession"]["userErrors"][0]["code"], "NOT_FOUND");
        // A new password ends the others.
        let third = server.anonymous().ask_with(document, json!({ "e": email, "p": "correct horse" })).await["signIn"]["session"]["accessToken"].clone();
        let change = "mutation($p: String!, $n: String!) { changePassword(input: { present: $p, new: $n }) { changed userErrors { path } } }";
        assert_eq!(admin.ask_with(change, json!({ "p": "wrong", "n": "battery staple" })).await["changePassword"]["userErrors"][0]["path"], json!(["present"]));
        assert_eq!(admin.ask_with(change, json!({ "p": "correct horse", "n": "short" })).await["changePassword"]["userErrors"][0]["path"], json!(["new"]));
        assert_eq!(admin.ask_with(change, json!({ "p": "correct horse", "n": "battery staple" })).await["changePassword"]["changed"], true);
        assert_eq!(server.bearer(third.as_str().unwrap()).refused("{ viewer { workspace { name } } }").await.0, "UNAUTHENTICATED");
        admin.ask("{ viewer { workspace { name } } }").await;
        assert_eq!(server.anonymous().ask_with(document, json!({ "e": email, "p": "correct horse" })).await["signIn"]["session"], Value::Null);
    }

    async fn old_entries_go_from_the_beginning_and_the_rest_is_verified(server: &Server) {
        use kith::platform::audit::{Class, Retention, expire};
        const DAY: i64 = 86_400 * 1_000_000;
        let admin = server.admin().await;
        let other = server.admin().await;
        admin.ask("mutation { createTeam(input: { name: \"old\" }) { userErrors { code } } }").await;
        let email = admin.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].clone();
        server.clock.advance(200 * DAY);
        let document = "mutation($e: String!) { signIn(input: { email: $e, password: \"correct horse\" }) { session { accessToken } } }";
        let token = server.anonymous().ask_with(document, json!({ "e": email })).await["signIn"]["session"]["accessToken"].clone();
        let admin = Actor { credential: token.as_str().map(str::to_owned), ..admin };
        let keys = kith::app::signing_keys(&server.app.config).unwrap();
        let run = async |signs: i64, changes: i64| {
            let db = as_owner(server).await;
            let tx = db.begin(&Scope::default(), Mode::Write).await.unwrap();
            let retention = Retention::from([(Class::SignIns, signs), (Class::Changes, changes)]);
            let sign = |closing: &kith::platform::audit::Closing| keys.sign_closing(closing, server.clock.now());
            let closing = expire(&tx, admin.workspace, &retention, server.clock.now(), &sign).await.unwrap();
            tx.commit().await.unwrap();
            closing.map(|closing| closing.through)
        };
        // The team of 200 days ago is kept for 300, and what came after it with it.
        assert_eq!(run(100, 300).await, Some(1));
        let verify = "{ verifyAudit { intact checked brokenAt closedThrough closingSigned } }";
        assert_eq!(admin.ask(verify).await["verifyAudit"], json!({ "intact": true, "checked": 3, "brokenAt": null, "closedThrough": 1, "closingSigned": true }));
        assert_eq!(run(100, 300).await, None);
        assert_eq!(run(100, 100).await, Some(2));
        assert_eq!(admin.ask(verify).await["verifyAudit"], json!({ "intact": true, "checked": 3, "brokenAt": null, "closedThrough": 2, "closingSigned": true }));
        assert_eq!(actions(&admin).await, ["SIGN_IN", "AUDIT_EXPIRED", "AUDIT_EXPIRED"]);
        // The server itself still removes nothing, and the other workspace's audit is whole.
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        assert!(tx.run("DELETE FROM audit_entry WHERE workspace_id = $1", vec![admin.workspace.into()]).await.is_err());
        drop(tx);
        let whole = server.app.db.begin(&Scope::workspace(other.workspace), Mode::Read).await.unwrap();
        assert_eq!(kith::platform::audit::verify(&whole, other.workspace, None, None).await.unwrap().checked, 1);
    }
}

fn ann_id(page: &Value) -> Value {
    page["audit"]["nodes"][0]["actorId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_the_servers_back_is_found() {
    use sqlx::Connection;
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    for name in ["a", "b", "c"] {
        admin.ask_with("mutation($n: String!) { createTeam(input: { name: $n }) { userErrors { code } } }", json!({ "n": name })).await;
    }
    let owner = std::env::var("KITH_TEST_POSTGRES").unwrap();
    let url = url::Url::parse(&server.app.config.database.url).unwrap();
    let mut connection = sqlx::PgConnection::connect(&crate::harness::with_database(&owner, url.path())).await.unwrap();
    let verdict = async || admin.ask("{ verifyAudit { intact checked brokenAt } }").await["verifyAudit"].clone();
    assert_eq!(verdict().await, json!({ "intact": true, "checked": 4, "brokenAt": null }));
    sqlx::raw_sql("UPDATE audit_entry SET detail = '{}' WHERE seq = 3").execute(&mut connection).await.unwrap();
    assert_eq!(verdict().await, json!({ "intact": false, "checked": 2, "brokenAt": 3 }));
    sqlx::raw_sql("DELETE FROM audit_entry WHERE seq >= 3").execute(&mut connection).await.unwrap();
    assert_eq!(verdict().await, json!({ "intact": false, "checked": 2, "brokenAt": 3 }));
}

/// The database as the login that owns the tables sees it.
pub async fn as_owner(server: &Server) -> kith::infra::db::Db {
    if !server.is_postgres() {
        return server.app.db.clone();
    }
    let owner = std::env::var("KITH_TEST_POSTGRES").unwrap();
    let path = url::Url::parse(&server.app.config.database.url).unwrap().path().to_owned();
    kith::app::connect(&server.app.config, "owner", &crate::harness::with_database(&owner, &path)).await.unwrap()
}
