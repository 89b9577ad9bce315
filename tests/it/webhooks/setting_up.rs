//! Making and trying webhooks.

use serde_json::{Value, json};

use super::{CREATE, Receiver, hook, on_both};
use crate::harness::Server;

on_both! {
    async fn what_makes_no_sense_is_refused(server: &Server) {
        let admin = server.admin().await;
        let refused = async |more: Value| {
            let mut input = json!({ "name": "hook", "url": "https://example.com/hook" });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let made = admin.ask_with(CREATE, json!({ "input": input })).await["createWebhook"].clone();
            assert_eq!(made["webhook"], Value::Null, "{made}");
            (made["userErrors"][0]["path"][0].as_str().unwrap().to_owned(), made["userErrors"][0]["message"].as_str().unwrap().to_owned())
        };
        assert_eq!(refused(json!({ "url": "http://169.254.169.254/latest" })).await.0, "url");
        assert_eq!(refused(json!({ "url": "https://me:secret@example.com/" })).await.0, "url");
        assert_eq!(refused(json!({ "url": "javascript:alert(1)" })).await.0, "url");
        assert_eq!(refused(json!({ "name": " " })).await.0, "name");
        for document in [
            "{ deals { totalCount } }",
            "subscription { nothing }",
            "subscription { dealChanges { deal { nothing } } }",
            "subscription { dealChanges(filter: { nothing: 1 }) { kind } }",
            "subscription($a: Decimal!) { dealChanges(filter: { amount: { amount: { gt: $a } } }) { kind } }",
            "subscription { dealChanges { kind } personChanges { kind } }",
            "subscription {",
        ] {
            let (path, message) = refused(json!({ "document": document })).await;
            assert_eq!(path, "document", "{document}: {message}");
        }
        assert_eq!(refused(json!({ "document": "subscription { dealChanges { kind } }", "scopes": [{ "deals": {} }] })).await.0, "scopes");
        assert_eq!(refused(json!({ "variables": { "a": 1 } })).await.0, "variables");
        let twice = json!({ "scopes": [{ "deals": { "status": { "eq": "OPEN" } } }, { "deals": { "status": { "eq": "WON" } } }] });
        assert!(refused(twice).await.1.contains("same object"));
        let rep = server.member(&admin, "Rep", "REP").await;
        let input = json!({ "input": { "name": "hook", "url": "https://example.com/" } });
        let (_, _, answer) = rep.post(json!({ "query": CREATE, "variables": input }), &[]).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
    }

    async fn it_can_be_tried_before_anything_happens(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let (id, _) = hook(&admin, &receiver, json!({ "document": "subscription { dealChanges(filter: { probability: { gte: \"0\" } }) { id deal { name } } }" })).await;
        let send = "mutation($id: ID!, $record: ID) { sendTestWebhook(input: { id: $id, recordId: $record }) { body attempt { status response } userErrors { code path } } }";
        let sent = admin.ask_with(send, json!({ "id": id })).await["sendTestWebhook"].clone();
        assert_eq!((&sent["attempt"]["status"], &sent["attempt"]["response"]), (&json!(200), &json!("thanks")));
        let deal = admin.create("deal", json!({ "name": "Big" })).await;
        let preview = "query($id: ID!, $record: ID) { webhookPreview(id: $id, recordId: $record) { body } }";
        let shown = admin.ask_with(preview, json!({ "id": id, "record": deal })).await;
        let body: Value = serde_json::from_str(shown["webhookPreview"]["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["data"], json!({ "dealChanges": { "id": deal, "deal": { "name": "Big" } } }));
        let person = admin.create("person", json!({ "lastName": "X" })).await;
        assert_eq!(admin.ask_with(preview, json!({ "id": id, "record": person })).await["webhookPreview"], Value::Null);
        let sent = admin.ask_with(send, json!({ "id": id, "record": person })).await["sendTestWebhook"].clone();
        assert_eq!(sent["userErrors"], json!([{ "code": "NOT_FOUND", "path": ["recordId"] }]));
        let received = receiver.take();
        assert_eq!(received.len(), 1);
        assert!(received[0].id.starts_with("msg_test_"));
        // Tests are no deliveries.
        assert!(super::deliveries(&admin).await.is_empty());
        admin.ask(&format!("mutation {{ deleteWebhook(input: {{ id: \"{id}\" }}) {{ deletedId userErrors {{ message }} }} }}")).await;
        assert_eq!(admin.ask("{ webhooks { id } }").await["webhooks"], json!([]));
    }

    async fn nobody_borrows_another_ones_eyes(server: &Server) {
        let admin = server.admin().await;
        let receiver = Receiver::listen().await;
        let role = "mutation { createRole(input: { name: \"Integrator\", settings: [INTEGRATIONS], objects: [{ object: TAG, read: [ALL], create: true }] }) { role { id } } }";
        let role = admin.ask(role).await["createRole"]["role"]["id"].as_str().unwrap().to_owned();
        let other = server.member_with(&admin, "Other", "REP", json!({ "roles": [role] })).await;
        let (id, _) = hook(&admin, &receiver, json!({})).await;
        let deal = admin.create("deal", json!({ "name": "Confidential" })).await;
        assert_eq!(other.refused(&format!("{{ webhookPreview(id: \"{id}\", recordId: \"{deal}\") {{ body }} }}")).await.0, "FORBIDDEN");
        assert_eq!(other.refused(&format!("mutation {{ sendTestWebhook(input: {{ id: \"{id}\" }}) {{ body }} }}")).await.0, "FORBIDDEN");
        // Sent elsewhere, it shows what whoever says so sees.
        let elsewhere = Receiver::listen().await;
        let take = format!("mutation {{ updateWebhook(input: {{ id: \"{id}\", url: \"{}\" }}) {{ webhook {{ holderId }} userErrors {{ message }} }} }}", elsewhere.url);
        let taken = other.ask(&take).await["updateWebhook"].clone();
        assert_eq!(taken["webhook"]["holderId"], json!(other.id().await), "{taken}");
        admin.create("tag", json!({ "name": "Public" })).await;
        super::work(server).await;
        let received = elsewhere.take();
        assert_eq!(received.len(), 1, "{received:?}");
        assert!(received[0].text.contains("Public") && receiver.take().is_empty());
        // Each webhook follows what its own maker sees, whoever came first.
        let both = Receiver::listen().await;
        hook(&admin, &both, json!({ "name": "admin's" })).await;
        admin.create("deal", json!({ "name": "For admins" })).await;
        super::work(server).await;
        assert_eq!(both.types(), ["deal.created"]);
        assert!(elsewhere.take().is_empty());
        // A credential that sees some rows only has none.
        let owner = admin.role("OWNER").await;
        let make = format!("mutation {{ createApiKey(input: {{ name: \"k\", roles: [\"{owner}\"], restrictions: {{ rowFilters: [{{ deals: {{ name: {{ eq: \"x\" }} }} }}], settings: [INTEGRATIONS] }} }}) {{ secret userErrors {{ message }} }} }}");
        let made = admin.ask(&make).await["createApiKey"].clone();
        let key = server.bearer(made["secret"].as_str().unwrap_or_else(|| panic!("{made}")));
        let (_, _, answer) = key.post(json!({ "query": CREATE, "variables": { "input": { "name": "h", "url": both.url } } }), &[]).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
    }

    async fn another_workspace_sees_nothing_of_it(server: &Server) {
        let (admin, other) = (server.admin().await, server.admin().await);
        let receiver = Receiver::listen().await;
        let (id, _) = hook(&admin, &receiver, json!({})).await;
        other.create("tag", json!({ "name": "Theirs" })).await;
        admin.create("tag", json!({ "name": "Ours" })).await;
        super::work(server).await;
        let received = receiver.take();
        assert_eq!(received.len(), 1);
        assert!(received[0].text.contains("Ours"));
        assert_eq!(other.ask("{ webhooks { id } webhookDeliveries { nodes { id } } }").await, json!({ "webhooks": [], "webhookDeliveries": { "nodes": [] } }));
        assert_eq!(other.ask(&format!("{{ webhook(id: \"{id}\") {{ id }} }}")).await["webhook"], Value::Null);
        assert_eq!(other.ask(&format!("{{ webhookPreview(id: \"{id}\") {{ body }} }}")).await["webhookPreview"], Value::Null);
    }
}
