//! Signing in with another issuer: a small one, which signs with a key of its own and checks what the
//! standard asks of a client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Form, State};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use kith::config::{Config, OidcProvider};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Actor, BEGIN, Server};

/// An issuer and whom it says signs in.
#[derive(Clone)]
struct Issuer {
    url: String,
    key: SigningKey,
    /// Claims of the id token that the next code gives.
    claims: Arc<Mutex<Value>>,
    /// Challenge and nonce, by code.
    codes: Arc<Mutex<HashMap<String, (String, String)>>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Self { url, key: SigningKey::from_bytes(&[7; 32]), claims: Arc::default(), codes: Arc::default() };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }

    fn says(&self, claims: Value) {
        *self.claims.lock().unwrap() = claims;
    }

    fn settings(&self) -> impl FnOnce(&mut Config) + use<> {
        let issuer = self.url.clone();
        move |config| {
            let provider = OidcProvider {
                issuer,
                client_id: "kith".into(),
                client_secret: "s3cret".into(),
                label: "Small".into(),
                scopes: Vec::new(),
                trust_email: true,
            };
            config.oidc.insert("small".into(), provider);
        }
    }

    /// What a user does at the issuer's page: the address that the browser is sent back with.
    fn approve(&self, departure: &str) -> (String, String) {
        let query: HashMap<String, String> = url::Url::parse(departure).unwrap().query_pairs().into_owned().collect();
        assert_eq!(
            (query["response_type"].as_str(), query["client_id"].as_str(), query["code_challenge_method"].as_str()),
            ("code", "kith", "S256")
        );
        assert_eq!(query["redirect_uri"], "https://kith.test/auth/oidc/small/callback");
        assert_eq!(query["scope"], "openid email profile");
        let code = format!("code-{}", self.codes.lock().unwrap().len());
        self.codes.lock().unwrap().insert(code.clone(), (query["code_challenge"].clone(), query["nonce"].clone()));
        (code, query["state"].clone())
    }
}

async fn configuration(State(issuer): State<Issuer>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", issuer.url);
    Json(json!({
        "issuer": issuer.url, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(issuer): State<Issuer>) -> Json<Value> {
    let x = URL_SAFE_NO_PAD.encode(issuer.key.verifying_key().as_bytes());
    Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1", "x": x }] }))
}

async fn token(
    State(issuer): State<Issuer>,
    headers: axum::http::HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let basic = base64::engine::general_purpose::STANDARD.encode("kith:s3cret");
    assert_eq!(headers["authorization"], format!("Basic {basic}"));
    let Some((challenge, nonce)) = issuer.codes.lock().unwrap().remove(&form["code"]) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    };
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes())), challenge, "PKCE");
    let now = BEGIN / 1_000_000;
    let mut claims = json!({ "iss": issuer.url, "aud": "kith", "iat": now, "exp": now + 300, "nonce": nonce });
    claims.as_object_mut().unwrap().extend(issuer.claims.lock().unwrap().as_object().unwrap().clone());
    let header = jsonwebtoken::Header { kid: Some("1".into()), ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA) };
    let der = issuer.key.to_pkcs8_der().unwrap();
    let id_token = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_ed_der(der.as_bytes())).unwrap();
    (StatusCode::OK, Json(json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": id_token })))
}

/// A browser: where it is sent, and the cookie it was given.
async fn go(server: &Server, path: &str, cookie: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).header("cookie", cookie).body(Body::empty()).unwrap();
    let (status, headers, _) = server.send(request).await;
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    (status, text("location"), text("set-cookie").split(';').next().unwrap_or_default().to_owned())
}

/// From the button to the page of the application: the fragment that it gets.
async fn journey(server: &Server, issuer: &Issuer) -> String {
    let (status, departure, cookie) = go(server, "/auth/oidc/small", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{departure}");
    let (code, state) = issuer.approve(&departure);
    let (_, arrival, _) = go(server, &format!("/auth/oidc/small/callback?code={code}&state={state}"), &cookie).await;
    arrival.strip_prefix("https://app.test/signed-in#").unwrap_or_else(|| panic!("sent to `{arrival}`")).to_owned()
}

async fn complete(anonymous: &Actor<'_>, token: &str) -> Value {
    let document = "mutation($t: String!) { completeSignIn(input: { token: $t }) { session { member { email } } userErrors { code } } }";
    anonymous.ask_with(document, json!({ "t": token })).await["completeSignIn"].take()
}

async fn a_verified_address_signs_in(server: &Server, issuer: &Issuer) {
    let admin = server.admin().await;
    let email = admin.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].as_str().unwrap().to_owned();
    let options = server.anonymous().ask("{ signInOptions { issuers { name label url } } }").await;
    assert_eq!(
        options["signInOptions"]["issuers"],
        json!([{ "name": "small", "label": "Small", "url": "https://kith.test/auth/oidc/small" }])
    );
    issuer.says(json!({ "sub": "1", "email": email.to_uppercase(), "email_verified": true }));
    let arrived = journey(server, issuer).await;
    let token = arrived.strip_prefix("token=").unwrap_or_else(|| panic!("{arrived}"));
    assert_eq!(complete(&server.anonymous(), token).await["session"]["member"]["email"], email);
    assert_eq!(complete(&server.anonymous(), token).await["session"], Value::Null);
    // From now on the subject is known, whatever its address becomes.
    issuer.says(json!({ "sub": "1", "email": "new@test.example", "email_verified": false }));
    assert!(journey(server, issuer).await.starts_with("token="));
    let audit = admin.ask("{ audit(filter: { actions: [ISSUER_LINKED] }) { nodes { detail } } }").await;
    assert_eq!(audit["audit"]["nodes"], json!([{ "detail": "{\"provider\":\"small\"}" }]));
    // Whom nobody knows, and an address that was not verified.
    issuer.says(json!({ "sub": "2", "email": "nobody@test.example", "email_verified": true }));
    assert_eq!(journey(server, issuer).await, "error=unknown_user");
    issuer.says(json!({ "sub": "3", "email": email, "email_verified": false }));
    assert_eq!(journey(server, issuer).await, "error=unknown_user");
    // A token of another audience, or for another nonce.
    issuer.says(json!({ "sub": "1", "aud": "other" }));
    assert_eq!(journey(server, issuer).await, "error=issuer_failed");
    issuer.says(json!({ "sub": "1", "nonce": "other" }));
    assert_eq!(journey(server, issuer).await, "error=issuer_failed");
    issuer.says(json!({ "sub": "1", "exp": BEGIN / 1_000_000 - 1 }));
    assert_eq!(journey(server, issuer).await, "error=issuer_failed");
}

async fn a_browser_brings_back_what_it_left_with(server: &Server, issuer: &Issuer) {
    let (_, departure, cookie) = go(server, "/auth/oidc/small?redirect=https://app.test/signed-in", "").await;
    let (code, state) = issuer.approve(&departure);
    let back = format!("/auth/oidc/small/callback?code={code}&state={state}");
    // Another browser does not finish it, nor this one with another's state.
    assert_eq!(go(server, &back, "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(go(server, "/auth/oidc/small/callback?code=x&state=forged", &cookie).await.0, StatusCode::BAD_REQUEST);
    let denied = format!("/auth/oidc/small/callback?error=access_denied&state={state}");
    assert_eq!(go(server, &denied, &cookie).await.1, "https://app.test/signed-in#error=access_denied");
    // Once.
    assert_eq!(go(server, &back, &cookie).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(go(server, "/auth/oidc/small?redirect=https://evil.test/", "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(go(server, "/auth/oidc/unknown", "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_on_sqlite() {
    let issuer = Issuer::start().await;
    let server = Server::on_sqlite_with(issuer.settings()).await;
    a_verified_address_signs_in(&server, &issuer).await;
    a_browser_brings_back_what_it_left_with(&server, &issuer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_on_postgres() {
    let issuer = Issuer::start().await;
    let server = Server::on_postgres_with(issuer.settings()).await;
    a_verified_address_signs_in(&server, &issuer).await;
    a_browser_brings_back_what_it_left_with(&server, &issuer).await;
}
