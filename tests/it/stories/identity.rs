//! Signing in, staying in, getting out.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

async fn make_workspace(anonymous: &Actor<'_>, email: &str, password: &str) -> Value {
    let document = "mutation($email: String!, $password: String!) { createWorkspace(input: { name: \"W\", adminName: \"Ada\", email: $email, password: $password }) { workspaceId userErrors { code path } } }";
    anonymous.ask_with(document, json!({ "email": email, "password": password })).await["createWorkspace"].clone()
}

async fn sign_in(anonymous: &Actor<'_>, email: &str, password: &str) -> Value {
    let document = "mutation($email: String!, $password: String!) { signIn(input: { email: $email, password: $password }) { session { accessToken refreshToken expiresAt member { name email } workspace { name homeCurrency } } challenge { kind workspaces { id name } } userErrors { code message path } } }";
    anonymous.ask_with(document, json!({ "email": email, "password": password })).await["signIn"].clone()
}

async fn refresh(anonymous: &Actor<'_>, token: &Value) -> Value {
    anonymous.ask_with("mutation($t: String!) { refreshSession(input: { refreshToken: $t }) { session { accessToken refreshToken } userErrors { code } } }", json!({ "t": token })).await["refreshSession"].clone()
}

on_both! {
    async fn a_stranger_makes_a_workspace_and_signs_in(server: &Server) {
        let stranger = server.anonymous();
        assert_eq!(make_workspace(&stranger, "ada@x.example", "short").await["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["password"] }]));
        assert_eq!(make_workspace(&stranger, "ada@x.example", "long enough").await["userErrors"], json!([]));
        let session = sign_in(&stranger, "ADA@x.example", "long enough").await["session"].clone();
        assert_eq!(session["member"], json!({ "name": "Ada", "email": "ada@x.example" }));
        assert_eq!(session["workspace"], json!({ "name": "W", "homeCurrency": "EUR" }));
        assert_eq!(session["expiresAt"], "2026-03-11T12:15:00Z");
        let ada = server.bearer(session["accessToken"].as_str().unwrap());
        let data = ada.ask("{ viewer { member { name } workspace { name } apiKey { name } } pipelines { nodes { name stages { totalCount } } } }").await;
        assert_eq!(data["viewer"], json!({ "member": { "name": "Ada" }, "workspace": { "name": "W" }, "apiKey": null }));
        assert_eq!(data["pipelines"]["nodes"], json!([{ "name": "Sales", "stages": { "totalCount": 6 } }]));
        server.clock.advance(15 * 60 * 1_000_000);
        assert_eq!(ada.refused("{ viewer { workspace { name } } }").await.0, "UNAUTHENTICATED");
    }

    async fn wrong_address_and_wrong_password_look_alike(server: &Server) {
        let stranger = server.anonymous();
        make_workspace(&stranger, "ada@x.example", "long enough").await;
        let wrong_password = sign_in(&stranger, "ada@x.example", "wrong enough").await;
        let wrong_address = sign_in(&stranger, "bob@x.example", "long enough").await;
        assert_eq!(wrong_password, wrong_address);
        assert_eq!(wrong_password["session"], Value::Null);
        assert_eq!(wrong_password["userErrors"].as_array().unwrap().len(), 1);
    }

    async fn a_user_of_two_workspaces_chooses(server: &Server) {
        let stranger = server.anonymous();
        make_workspace(&stranger, "ada@x.example", "long enough").await;
        assert_eq!(make_workspace(&stranger, "ada@x.example", "another one").await["userErrors"][0]["code"], "TAKEN");
        let second = make_workspace(&stranger, "ada@x.example", "long enough").await["workspaceId"].clone();
        let challenge = sign_in(&stranger, "ada@x.example", "long enough").await["challenge"].clone();
        assert_eq!((challenge["kind"].as_str(), challenge["workspaces"].as_array().unwrap().len()), (Some("WORKSPACE"), 2));
        let document = "mutation($w: ID!) { signIn(input: { email: \"ada@x.example\", password: \"long enough\", workspaceId: $w }) { session { workspace { id } } } }";
        assert_eq!(stranger.ask_with(document, json!({ "w": second })).await["signIn"]["session"]["workspace"]["id"], second);
    }

    async fn a_refresh_token_works_once(server: &Server) {
        let stranger = server.anonymous();
        make_workspace(&stranger, "ada@x.example", "long enough").await;
        let first = sign_in(&stranger, "ada@x.example", "long enough").await["session"].clone();
        let second = refresh(&stranger, &first["refreshToken"]).await["session"].clone();
        let ada = server.bearer(second["accessToken"].as_str().unwrap());
        ada.ask("{ viewer { workspace { name } } }").await;
        // The old token again: it was copied, so the whole session ends.
        assert_eq!(refresh(&stranger, &first["refreshToken"]).await["userErrors"][0]["code"], "INVALID_VALUE");
        assert_eq!(refresh(&stranger, &second["refreshToken"]).await["session"], Value::Null);
        assert_eq!(ada.refused("{ viewer { workspace { name } } }").await.0, "UNAUTHENTICATED");
    }

    async fn signing_out_ends_the_session(server: &Server) {
        let stranger = server.anonymous();
        make_workspace(&stranger, "ada@x.example", "long enough").await;
        let session = sign_in(&stranger, "ada@x.example", "long enough").await["session"].clone();
        let ada = server.bearer(session["accessToken"].as_str().unwrap());
        assert_eq!(ada.ask("mutation { signOut { signedOut } }").await["signOut"]["signedOut"], true);
        assert_eq!(ada.refused("{ viewer { workspace { name } } }").await.0, "UNAUTHENTICATED");
        assert_eq!(refresh(&stranger, &session["refreshToken"]).await["session"], Value::Null);
    }

    async fn an_api_key_is_shown_once_and_can_be_revoked(server: &Server) {
        let admin = server.admin().await;
        let made = admin.ask("mutation { createApiKey(input: { name: \"sync\" }) { apiKey { id hint revokedAt } secret userErrors { code } } }").await["createApiKey"].clone();
        let secret = made["secret"].as_str().unwrap();
        let program = server.bearer(secret);
        let data = program.ask("mutation { createTag(input: { name: \"t\" }) { tag { createdBy { kind actorId member { name } } } } }").await;
        assert_eq!(data["createTag"]["tag"]["createdBy"], json!({ "kind": "API_KEY", "actorId": made["apiKey"]["id"], "member": null }));
        let listed = admin.ask("{ apiKeys { name lastUsedAt } }").await;
        assert_eq!(listed["apiKeys"], json!([{ "name": "sync", "lastUsedAt": "2026-03-11T12:00:00Z" }]));
        assert!(!admin.ask("{ apiKeys { name hint } }").await.to_string().contains(&secret[40..]));
        admin.ask_with("mutation($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { revokedAt } userErrors { code } } }", json!({ "id": made["apiKey"]["id"] })).await;
        assert_eq!(program.refused("{ tags { totalCount } }").await.0, "UNAUTHENTICATED");
        let turned = format!("{}x", &secret[..secret.len() - 1]);
        assert_eq!(server.bearer(&turned).refused("{ tags { totalCount } }").await.0, "UNAUTHENTICATED");
    }

    async fn strangers_see_nothing(server: &Server) {
        let stranger = server.anonymous();
        assert_eq!(stranger.ask("{ __typename }").await["__typename"], "Query");
        for document in ["{ deals { totalCount } }", "{ __schema { types { name } } }", "{ viewer { workspace { name } } }", "mutation { createTag(input: { name: \"x\" }) { tag { id } } }", "{ node(id: \"x\") { id } }"] {
            assert_eq!(stranger.refused(document).await.0, "UNAUTHENTICATED", "{document}");
        }
        for credential in ["", "x", "kith_key_x_y_z", "a.b.c"] {
            assert_eq!(server.bearer(credential).refused("{ __typename }").await.0, "UNAUTHENTICATED", "{credential}");
        }
    }

    async fn a_workspace_is_set_up(server: &Server) {
        let admin = server.admin().await;
        let payload = admin.ask("mutation { updateWorkspace(input: { timeZone: \"Asia/Tokyo\", homeCurrency: \"JPY\" }) { workspace { timeZone homeCurrency } userErrors { code } } }").await;
        assert_eq!(payload["updateWorkspace"]["workspace"], json!({ "timeZone": "Asia/Tokyo", "homeCurrency": "JPY" }));
        let refused = admin.ask("mutation { updateWorkspace(input: { timeZone: \"Mars\" }) { workspace { name } userErrors { code path } } }").await;
        assert_eq!(refused["updateWorkspace"]["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["timeZone"] }]));
    }
}
