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
        let data = admin.ask("{ audit(filter: { actions: [AUDIT_READ, REFUSED] }, first: 1) { nodes { seq action actorId detail } hasMore } verifyAudit { intact checked } }").await;
        assert_eq!((&data["audit"]["nodes"][0]["action"], &data["audit"]["hasMore"]), (&json!("AUDIT_READ"), &json!(true)));
        assert_eq!(data["verifyAudit"]["intact"], true);
        let older = admin.ask_with("query($b: Int!) { audit(filter: { actions: [AUDIT_READ, REFUSED] }, before: $b) { nodes { action actorId detail } hasMore } }", json!({ "b": data["audit"]["nodes"][0]["seq"] })).await;
        assert_eq!(older["audit"], json!({ "nodes": [{ "action": "REFUSED", "actorId": ann_id(&older), "detail": "{\"message\":\"Your roles do not allow this; it needs MEMBERS.\"}" }], "hasMore": false }));
        assert_eq!(server.member(&admin, "Mia", "MANAGER").await.refused("{ audit { hasMore } }").await.0, "FORBIDDEN");
        // Another workspace sees nothing of it.
        assert_eq!(actions(&server.admin().await).await, ["SIGN_IN"]);
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
