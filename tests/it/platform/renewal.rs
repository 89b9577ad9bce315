//! Secrets that rotate while the server runs.

use axum::http::StatusCode;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use std::sync::atomic::Ordering;

use kith::config::Config;
use kith::features::identity::SigningKeys;
use kith::infra::db::{Mode, Scope};
use kith::infra::vault::Vault;
use serde_json::json;

use crate::harness::{Actor, Server, on_both};

type Renewed = Vec<(&'static str, Result<(), String>)>;

async fn renew(server: &Server, change: impl FnOnce(&mut Config)) -> Renewed {
    let mut fresh = server.app.config.clone();
    change(&mut fresh);
    server.app.renew(&fresh).await
}

fn pem(seed: u8) -> String {
    SigningKey::from_bytes(&[seed; 32]).to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

/// How every token begins that a key signs.
fn header_of(pem: &str) -> String {
    let keys = SigningKeys::from_pems(pem, &[]).unwrap();
    let token = keys.sign_for("test", &json!({})).unwrap();
    token.split('.').next().unwrap().to_owned()
}

async fn knows(actor: &Actor<'_>) -> bool {
    actor.send("{ viewer { member { id } } }", json!({})).await["errors"].is_null()
}

async fn sign_in<'s>(server: &'s Server, email: &str) -> Actor<'s> {
    let document =
        "mutation($email: String!) { signIn(input: { email: $email, password: \"correct horse\" }) { session { accessToken } } }";
    let answer = server.anonymous().ask_with(document, json!({ "email": email })).await;
    server.bearer(answer["signIn"]["session"]["accessToken"].as_str().unwrap())
}

on_both! {
    async fn what_did_not_change_is_left_alone(server: &Server) {
        assert_eq!(renew(server, |_| {}).await, vec![]);
    }

    async fn keys_that_sign_change_and_sessions_stay(server: &Server) {
        let admin = server.admin().await;
        let done = renew(server, |config| config.auth.jwt_private_key = pem(1)).await;
        assert_eq!(done, vec![("auth.jwt_private_key", Ok(()))]);
        assert!(!knows(&admin).await, "what another key signed, which is not among those before");
        let first = sign_in(server, "admin0@test.example").await;
        let next = |config: &mut Config| {
            config.auth.jwt_private_key = pem(2);
            config.auth.jwt_previous_keys = vec![pem(1)];
        };
        assert_eq!(renew(server, next).await, vec![("auth.jwt_private_key", Ok(()))]);
        // Until all nodes know the new one, the old one signs.
        assert_eq!(server.app.identity.jwks()["keys"].as_array().map(Vec::len), Some(2));
        let second = sign_in(server, "admin0@test.example").await;
        assert!(knows(&first).await && knows(&second).await);
        // What is no key is told, and what is in use stays.
        let done = renew(server, |config| config.auth.jwt_private_key = "no key".into()).await;
        assert!(matches!(&done[..], [("auth.jwt_private_key", Err(_))]), "{done:?}");
        assert!(knows(&second).await);
    }

    async fn mail_goes_another_way(server: &Server) {
        let admin = server.admin().await;
        let folder = tempfile::tempdir().unwrap();
        let done = renew(server, |config| config.mail.url = format!("file://{}", folder.path().display())).await;
        assert_eq!(done, vec![("mail.url", Ok(()))]);
        let document = "mutation { inviteMember(input: { name: \"Eve\", email: \"eve@test.example\" }) { userErrors { message } } }";
        assert_eq!(admin.ask(document).await["inviteMember"]["userErrors"], json!([]));
        while std::fs::read_dir(folder.path()).unwrap().count() == 0 {
            tokio::task::yield_now().await;
        }
        // Once is enough.
        assert_eq!(renew(server, |config| config.mail.url = format!("file://{}", folder.path().display())).await, vec![]);
    }

    async fn what_seals_changes_and_what_is_sealed_opens(server: &Server) {
        let vault = &server.app.vault;
        let sealed = vault.seal("test", b"secret").unwrap();
        let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        assert_eq!(renew(server, |config| config.encryption.key = key.into()).await, vec![("encryption.key", Ok(()))]);
        // What a node seals that has read it before, and what was sealed with the old one. It seals with it itself when all have.
        let by_another_node = Vault::from_base64(key, &[]).unwrap().seal("test", b"secret").unwrap();
        assert_eq!(vault.open("test", &by_another_node).unwrap(), b"secret");
        assert!(vault.is_current(&sealed) && vault.open("test", &sealed).is_ok());
        // A file that is just being written.
        let done = renew(server, |config| config.encryption.key = String::new()).await;
        assert!(matches!(&done[..], [("encryption.key", Err(_))]), "{done:?}");
        let done = renew(server, |config| config.encryption.key = "short".into()).await;
        assert!(matches!(&done[..], [("encryption.key", Err(_))]), "{done:?}");
    }

    async fn keys_that_come_together_are_both_used_in_the_end(server: &Server) {
        server.app.renewable.grace.store(0, Ordering::Relaxed);
        renew(server, |config| config.auth.jwt_private_key = pem(1)).await;
        let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let both = |config: &mut Config| {
            config.auth.jwt_private_key = pem(2);
            config.auth.jwt_previous_keys = vec![pem(1)];
            config.encryption.key = key.into();
        };
        assert_eq!(renew(server, both).await.len(), 2);
        server.admin().await;
        let by_new = Vault::from_base64(key, &[]).unwrap().seal("test", b"x").unwrap();
        for _ in 0..1_000_000 {
            let signer = sign_in(server, "admin0@test.example").await.credential.unwrap();
            if server.app.vault.is_current(&by_new) && signer.starts_with(&header_of(&pem(2))) {
                return;
            }
        }
        panic!("the new keys are not used");
    }

    async fn a_new_token_for_the_metrics_counts_at_once(server: &Server) {
        let look = async |token: &str| {
            let request = axum::http::Request::get("/metrics").header("authorization", format!("Bearer {token}"));
            server.send(request.body(axum::body::Body::empty()).unwrap()).await.0
        };
        assert_eq!(renew(server, |config| config.telemetry.metrics_token = "one".into()).await, vec![("telemetry.metrics_token", Ok(()))]);
        assert_eq!((look("one").await, look("two").await), (StatusCode::OK, StatusCode::FORBIDDEN));
        renew(server, |config| config.telemetry.metrics_token = "two".into()).await;
        assert_eq!((look("one").await, look("two").await), (StatusCode::FORBIDDEN, StatusCode::OK));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_changes_for_connections_that_are_opened_from_then_on() {
    let server = Server::on_postgres().await;
    let url = server.app.config.database.url.clone();
    let sep = if url.contains('?') { '&' } else { '?' };
    let setting = async || {
        let tx = server.app.db.begin(&Scope::default(), Mode::Read).await.unwrap();
        let row = tx.fetch_optional("SELECT current_setting('work_mem')", vec![]).await.unwrap().unwrap();
        // Not committed: the connection is closed, and the next one is new.
        row.text(0).unwrap().unwrap().to_owned()
    };
    let before = setting().await;
    let done = renew(&server, |config| config.database.url = format!("{url}{sep}dbname=nowhere-at-all")).await;
    assert!(matches!(&done[..], [("database.url", Err(_))]), "{done:?}");
    assert_eq!(setting().await, before);
    let done = renew(&server, |config| config.database.url = format!("{url}{sep}options=-c%20work_mem%3D7MB")).await;
    assert_eq!(done, vec![("database.url", Ok(()))]);
    let mut latest = String::new();
    for _ in 0..100 {
        latest = setting().await;
        if latest == "7MB" {
            break;
        }
    }
    assert_eq!(latest, "7MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_to_redis_is_tried_before_it_is_gone() {
    let server = Server::on_postgres().await;
    let url = server.app.config.redis.url.clone();
    let done = renew(&server, |config| config.redis.url = "redis://127.0.0.1:1".into()).await;
    assert!(matches!(&done[..], [("redis.url", Err(_))]), "{done:?}");
    assert!(matches!(server.app.bus.ping().await, Some(Ok(()))));
    let sep = if url.contains('?') { '&' } else { '?' };
    let done = renew(&server, |config| config.redis.url = format!("{url}{sep}protocol=resp3")).await;
    assert_eq!(done, vec![("redis.url", Ok(()))]);
    assert!(matches!(server.app.bus.ping().await, Some(Ok(()))));
}
