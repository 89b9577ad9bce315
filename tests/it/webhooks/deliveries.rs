//! What is delivered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kith::infra::db::{Mode, Scope};
use serde_json::json;
use sha2::Sha256;

use super::{Receiver, deliveries, hook, on_both, pass, work};
use crate::harness::Server;

/// Whether some signature of a message is by this secret, as the specification verifies it.
fn is_signed(received: &super::receiver::Received, secret: &str) -> bool {
    let header = |name: &str| received.headers[name].to_str().unwrap().to_owned();
    let content = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), received.text);
    header("webhook-signature").split(' ').any(|signature| {
        let (version, signature) = signature.split_once(',').unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        if let Some(key) = secret.strip_prefix("whpk_") {
            let key = VerifyingKey::from_bytes(&STANDARD.decode(key).unwrap().try_into().unwrap()).unwrap();
            return version == "v1a" && key.verify(content.as_bytes(), &Signature::from_slice(&signature).unwrap()).is_ok();
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap()).unwrap();
        mac.update(content.as_bytes());
        version == "v1" && mac.verify_slice(&signature).is_ok()
    })
}

on_both! {
    async fn what_happens_to_a_record_is_delivered_in_order_and_signed(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        admin.create("company", json!({ "name": "Before" })).await;
        let (_, secret) = hook(&admin, &receiver, json!({ "scopes": [{ "companies": {} }] })).await;
        let id = admin.create("company", json!({ "name": "Acme" })).await;
        admin.update("company", &id, json!({ "name": "Acme Ltd" })).await;
        admin.create("person", json!({ "lastName": "Nobody asked" })).await;
        admin.ask(&format!("mutation {{ deleteCompany(id: \"{id}\") {{ deletedId }} }}")).await;
        admin.ask(&format!("mutation {{ restoreCompany(id: \"{id}\") {{ company {{ id }} }} }}")).await;
        admin.ask(&format!("mutation {{ deleteCompany(id: \"{id}\") {{ deletedId }} purgeCompany(id: \"{id}\") {{ deletedId }} }}")).await;
        work(server).await;
        let received = receiver.take();
        let types: Vec<&str> = received.iter().map(|received| received.body["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["company.created", "company.updated", "company.deleted", "company.restored", "company.deleted", "company.purged"]);
        assert!(received.iter().all(|received| is_signed(received, &secret) && received.body["timestamp"] == "2026-03-11T12:00:00Z"));
        let ids: std::collections::HashSet<&String> = received.iter().map(|received| &received.id).collect();
        assert_eq!(ids.len(), 6);
        // Nothing is sent twice.
        work(server).await;
        assert!(receiver.take().is_empty());
        assert!(deliveries(&admin).await.iter().all(|(_, state, attempts)| state == "DELIVERED" && *attempts == 1));
    }

    async fn the_usual_payload_is_all_of_a_record(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        admin.ask("mutation { createField(input: { object: DEAL, name: \"arr\", label: \"ARR\", kind: MONEY }) { userErrors { message } } }").await;
        hook(&admin, &receiver, json!({})).await;
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        admin.create("deal", json!({ "name": "Big", "amount": { "amount": "12.50", "currency": "EUR" }, "company": { "id": company }, "custom": { "arr": { "amount": "1", "currency": "EUR" } } })).await;
        admin.create("task", json!({ "subject": "Call them" })).await;
        work(server).await;
        let received = receiver.take();
        let of = |kind: &str| received.iter().find(|received| received.body["type"] == kind).unwrap_or_else(|| panic!("no {kind}")).body["data"]["recordChanges"].clone();
        let deal = of("deal.created");
        assert_eq!((&deal["kind"], &deal["object"], &deal["actor"]["kind"]), (&json!("ENTERED"), &json!("DEAL"), &json!("MEMBER")));
        assert!(deal["changedFields"].as_array().unwrap().contains(&json!("amount")));
        let record = &deal["record"];
        assert_eq!((&record["__typename"], &record["title"], &record["version"]), (&json!("Deal"), &json!("Big"), &json!(1)));
        assert_eq!(record["amount"], json!({ "amount": "12.50", "currency": "EUR" }));
        assert_eq!(record["company"], json!({ "id": company, "title": "Acme" }));
        assert_eq!(record["custom"]["arr"], json!({ "amount": "1.00", "currency": "EUR" }));
        assert_eq!(of("activity.created")["record"]["subject"], "Call them");
    }

    async fn a_document_says_which_records_and_what_of_them(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let document = "subscription Big($least: Decimal!) { dealChanges(filter: { amount: { amount: { gte: $least } } }) { kind id deal { name company { name } } } }";
        hook(&admin, &receiver, json!({ "document": document, "variables": { "least": "100" } })).await;
        let money = |amount: &str| json!({ "name": "Deal", "amount": { "amount": amount, "currency": "EUR" } });
        let big = admin.create("deal", money("100")).await;
        let small = admin.create("deal", money("99")).await;
        work(server).await;
        let received = receiver.take();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].body["data"], json!({ "dealChanges": { "kind": "ENTERED", "id": big, "deal": { "name": "Deal", "company": null } } }));
        admin.update("deal", &small, json!({ "amount": { "amount": "200", "currency": "EUR" } })).await;
        work(server).await;
        admin.update("deal", &big, json!({ "amount": { "amount": "1", "currency": "EUR" } })).await;
        admin.update("deal", &big, json!({ "name": "Not told" })).await;
        work(server).await;
        let told: Vec<(String, String)> = receiver.take().iter().map(|received| {
            let change = &received.body["data"]["dealChanges"];
            (change["kind"].as_str().unwrap().to_owned(), change["id"].as_str().unwrap().to_owned())
        }).collect();
        // Of two changes that are read together it is known where they led.
        assert_eq!(told[0], ("ENTERED".to_owned(), small));
        assert_eq!(told.last().unwrap(), &("LEFT".to_owned(), big));
    }

    async fn only_the_kinds_that_are_asked_for_are_told(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }], "kinds": ["DELETED"] })).await;
        let id = admin.create("tag", json!({ "name": "Blue" })).await;
        admin.ask(&format!("mutation {{ deleteTag(id: \"{id}\") {{ deletedId }} }}")).await;
        work(server).await;
        assert_eq!(receiver.types(), ["tag.deleted"]);
    }

    async fn what_fails_is_tried_again_by_the_schedule_and_holds_its_record_back(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }] })).await;
        let id = admin.create("tag", json!({ "name": "One" })).await;
        receiver.answer([500]);
        work(server).await;
        assert_eq!(receiver.types(), ["tag.created"]);
        // Another record goes on; the second change of this one waits for the first.
        admin.update("tag", &id, json!({ "name": "Two" })).await;
        admin.create("tag", json!({ "name": "Other" })).await;
        work(server).await;
        assert_eq!(receiver.types(), ["tag.created"]);
        pass(server, 4);
        work(server).await;
        assert!(receiver.take().is_empty(), "five seconds have not passed");
        pass(server, 2);
        receiver.answer([503]);
        work(server).await;
        assert_eq!(receiver.types(), ["tag.created"]);
        pass(server, 331);
        work(server).await;
        assert_eq!(receiver.types(), ["tag.created", "tag.updated"]);
        let states = deliveries(&admin).await;
        assert_eq!(states.iter().map(|(_, state, attempts)| (state.as_str(), *attempts)).collect::<Vec<_>>(), [("DELIVERED", 1), ("DELIVERED", 1), ("DELIVERED", 3)]);
    }

    async fn an_endpoint_may_say_when_to_come_again(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }] })).await;
        admin.create("tag", json!({ "name": "One" })).await;
        receiver.answer_with(429, vec![("retry-after", "120")]);
        work(server).await;
        receiver.take();
        pass(server, 119);
        work(server).await;
        assert!(receiver.take().is_empty());
        pass(server, 2);
        work(server).await;
        assert_eq!(receiver.types(), ["tag.created"]);
    }

    async fn an_endpoint_that_never_works_is_switched_off_and_its_owner_told(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let (id, _) = hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }] })).await;
        admin.create("tag", json!({ "name": "One" })).await;
        receiver.answer(vec![500; 10]);
        for _ in 0..10 {
            work(server).await;
            pass(server, 27 * 3_600);
        }
        assert_eq!(receiver.take().len(), 10);
        let webhook = admin.ask("{ webhooks { status disabledReason } }").await["webhooks"][0].clone();
        assert_eq!(webhook["status"], "DISABLED");
        assert!(webhook["disabledReason"].as_str().unwrap().contains("10 attempts"), "{webhook}");
        assert_eq!(deliveries(&admin).await, [("CREATED".to_owned(), "FAILED".to_owned(), 10)]);
        assert_eq!(server.mails(admin.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].as_str().unwrap(), 1).await.len(), 1);
        let audit = admin.ask("{ audit(filter: { actions: [WEBHOOK_CHANGED] }) { nodes { actorKind } } }").await;
        assert_eq!(audit["audit"]["nodes"][0]["actorKind"], "SYSTEM");
        // What happened meanwhile is sent when it is asked for, with what failed.
        admin.create("tag", json!({ "name": "Two" })).await;
        work(server).await;
        admin.ask(&format!("mutation {{ updateWebhook(input: {{ id: \"{id}\", status: ACTIVE }}) {{ userErrors {{ message }} }} }}")).await;
        admin.create("tag", json!({ "name": "Three" })).await;
        work(server).await;
        assert_eq!(receiver.types(), ["tag.created"]);
        let replay = format!("mutation {{ replayWebhooks(input: {{ webhookId: \"{id}\", from: \"2026-03-11T00:00:00Z\" }}) {{ pending userErrors {{ message }} }} }}");
        assert_eq!(admin.ask(&replay).await["replayWebhooks"], json!({ "pending": 2, "userErrors": [] }));
        work(server).await;
        assert_eq!(receiver.take().len(), 2);
        assert_eq!(admin.ask(&replay).await["replayWebhooks"]["pending"], 0);
        let all = replay.replace("from:", "delivered: true, from:");
        assert_eq!(admin.ask(&all).await["replayWebhooks"]["pending"], 3);
    }

    async fn gone_is_gone(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }] })).await;
        admin.create("tag", json!({ "name": "One" })).await;
        receiver.answer([410]);
        work(server).await;
        pass(server, 3_600);
        work(server).await;
        assert_eq!(receiver.take().len(), 1);
        assert_eq!(admin.ask("{ webhooks { status } }").await["webhooks"][0]["status"], "DISABLED");
    }

    async fn redirects_are_not_followed_and_what_streams_for_ever_is_not_read(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }] })).await;
        admin.create("tag", json!({ "name": "One" })).await;
        receiver.answer_with(302, vec![("location", "/hook")]);
        work(server).await;
        assert_eq!(receiver.take().len(), 1);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endless = format!("http://{}/", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(|| async {
            let more = futures_util::stream::repeat_with(|| Ok::<_, std::convert::Infallible>("x".repeat(1_000)));
            axum::body::Body::from_stream(more)
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let input = json!({ "name": "endless", "url": endless, "scopes": [{ "people": {} }] });
        admin.ask_with(super::CREATE, json!({ "input": input })).await;
        admin.create("person", json!({ "lastName": "X" })).await;
        work(server).await;
        let list = "{ webhookDeliveries(filter: { states: [DELIVERED] }) { nodes { attempts { status response } } } }";
        let nodes = admin.ask(list).await["webhookDeliveries"]["nodes"].clone();
        assert_eq!(nodes[0]["attempts"][0]["status"], 200);
        assert_eq!(nodes[0]["attempts"][0]["response"].as_str().unwrap().len(), 1_000);
    }

    async fn two_secrets_sign_while_one_replaces_the_other(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let (id, old) = hook(&admin, &receiver, json!({ "scopes": [{ "tags": {} }], "signature": "ED25519" })).await;
        assert!(old.starts_with("whpk_"));
        let rotate = format!("mutation {{ rotateWebhookSecret(input: {{ id: \"{id}\", graceHours: 1 }}) {{ secret userErrors {{ message }} }} }}");
        let new = admin.ask(&rotate).await["rotateWebhookSecret"]["secret"].as_str().unwrap().to_owned();
        admin.create("tag", json!({ "name": "One" })).await;
        work(server).await;
        let received = receiver.take();
        assert!(is_signed(&received[0], &old) && is_signed(&received[0], &new) && old != new);
        pass(server, 3_601);
        admin.create("tag", json!({ "name": "Two" })).await;
        work(server).await;
        let received = receiver.take();
        assert!(!is_signed(&received[0], &old) && is_signed(&received[0], &new));
    }

    async fn a_subscriber_is_told_what_they_may_see_when_it_is_sent(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let role = "mutation { createRole(input: { name: \"Integrator\", settings: [INTEGRATIONS], objects: [{ object: DEAL, create: true, read: [OWN], update: [OWN], delete: [] }, { object: PIPELINE, read: [ALL] }, { object: STAGE, read: [ALL] }], fields: [{ object: DEAL, field: \"nextStep\", sight: HIDDEN }] }) { role { id } userErrors { message path } } }";
        let made = admin.ask(role).await;
        let role = made["createRole"]["role"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let rep = server.member_with(&admin, "Rep", "REP", json!({ "roles": [role] })).await;
        hook(&rep, &receiver, json!({})).await;
        admin.create("deal", json!({ "name": "Not theirs" })).await;
        let own = rep.create("deal", json!({ "name": "Theirs" })).await;
        admin.update("deal", &own, json!({ "nextStep": "secret" })).await;
        work(server).await;
        let received = receiver.take();
        assert_eq!(received.len(), 2, "{received:?}");
        assert!(received.iter().all(|received| received.body["data"]["recordChanges"]["id"] == json!(own)));
        assert!(!received.iter().any(|received| received.text.contains("secret")), "{received:?}");
        // Given to somebody else between the change and the delivery, it has left.
        admin.update("deal", &own, json!({ "name": "Renamed", "owner": { "id": admin.id().await } })).await;
        work(server).await;
        let received = receiver.take();
        assert_eq!(received[0].body["data"]["recordChanges"]["kind"], "LEFT");
        assert!(!received[0].text.contains("Renamed"));
        // Whoever is not there any more is told nothing.
        let rep_id = rep.id().await;
        let other = rep.create("deal", json!({ "name": "Theirs too" })).await;
        admin.update("member", &rep_id, json!({ "status": "SUSPENDED" })).await;
        work(server).await;
        assert!(receiver.take().is_empty(), "{other}");
        let webhook = admin.ask("{ webhooks { status disabledReason } }").await["webhooks"][0].clone();
        assert_eq!(webhook, json!({ "status": "DISABLED", "disabledReason": "The member who made it is not active any more." }));
    }

    async fn a_document_that_does_not_fit_any_more_gives_way_to_the_usual_payload(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        hook(&admin, &receiver, json!({ "document": "subscription { dealChanges(filter: { name: { eq: \"Big\" } }) { deal { name } } }" })).await;
        // As after an upgrade whose schema lacks a field that was deprecated for long.
        let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
        tx.run("UPDATE webhook SET document = replace(document, 'deal { name }', 'deal { gone }')", Vec::new()).await.unwrap();
        tx.commit().await.unwrap();
        admin.create("deal", json!({ "name": "Small" })).await;
        admin.create("deal", json!({ "name": "Big" })).await;
        work(server).await;
        let received = receiver.take();
        assert_eq!(received.len(), 1, "the filter still holds");
        let body = &received[0].body;
        assert!(body["note"].as_str().unwrap().contains("\"gone\""), "{body}");
        assert_eq!(body["data"]["recordChanges"]["record"]["title"], "Big");
    }

    async fn a_webhook_that_cannot_be_judged_does_not_hold_the_others_up_for_long(server: &Server) {
        let admin = server.admin().await;
        let (broken, whole) = (Receiver::listen().await, Receiver::listen().await);
        let (id, _) = hook(&admin, &broken, json!({ "scopes": [{ "tags": {} }] })).await;
        hook(&admin, &whole, json!({ "name": "whole", "scopes": [{ "tags": {} }] })).await;
        admin.create("tag", json!({ "name": "One" })).await;
        let kinds = async |kinds: &str| {
            let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
            tx.run(&format!("UPDATE webhook SET kinds = '{kinds}' WHERE id = $1"), vec![id.parse::<uuid::Uuid>().unwrap().into()]).await.unwrap();
            tx.commit().await.unwrap();
        };
        kinds("{}").await;
        work(server).await;
        assert!(whole.take().is_empty());
        let reader = admin.ask("{ logReaders { name lag failures setAside { seq } } }").await["logReaders"][0].clone();
        assert_eq!(reader, json!({ "name": "WEBHOOKS", "lag": 1, "failures": 1, "setAside": [] }));
        for seconds in [1, 5, 30, 120, 300] {
            pass(server, seconds);
            work(server).await;
        }
        assert_eq!(whole.types(), ["tag.created"]);
        let list = admin.ask("{ webhooks { name status disabledReason } logReaders { lag failures setAside { seq } } }").await;
        assert_eq!(list["webhooks"][0]["status"], "DISABLED");
        assert!(list["webhooks"][0]["disabledReason"].as_str().unwrap().starts_with("What happened could not be judged"));
        assert_eq!((&list["webhooks"][1]["status"], &list["logReaders"][0]), (&json!("ACTIVE"), &json!({ "lag": 0, "failures": 0, "setAside": [] })));
        // What it missed is sent when it is mended and somebody asks for it.
        kinds("[]").await;
        admin.ask(&format!("mutation {{ updateWebhook(input: {{ id: \"{id}\", status: ACTIVE }}) {{ userErrors {{ message }} }} replayWebhooks(input: {{ webhookId: \"{id}\", from: \"2026-03-11T00:00:00Z\" }}) {{ pending }} }}")).await;
        work(server).await;
        assert_eq!(broken.types(), ["tag.created"]);
    }

    async fn what_a_webhook_is_not_told_of_any_more_is_told_as_gone(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let (id, _) = hook(&admin, &receiver, json!({ "scopes": [{ "companies": {} }, { "tags": {} }] })).await;
        let tag = admin.create("tag", json!({ "name": "One" })).await;
        receiver.answer([500]);
        work(server).await;
        receiver.take();
        let narrow = format!("mutation {{ updateWebhook(input: {{ id: \"{id}\", scopes: [{{ companies: {{}} }}] }}) {{ userErrors {{ message }} }} }}");
        admin.ask(&narrow).await;
        pass(server, 6);
        work(server).await;
        let body = receiver.take()[0].body["data"]["recordChanges"].clone();
        assert_eq!((&body["kind"], &body["id"], &body["record"]), (&json!("LEFT"), &json!(tag), &serde_json::Value::Null));
    }
}
