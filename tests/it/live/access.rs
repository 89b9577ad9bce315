//! Subscriptions tell nobody what they may not see.

use serde_json::json;

use super::{Feed, cursor, told};
use crate::harness::{Server, on_both};

const DEALS: &str = "subscription($after: Cursor) { dealChanges(after: $after) { kind id deal { name amount { amount } } changedFields } }";

on_both! {
    async fn a_rep_follows_their_own_records_only(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let mut feed = Feed::open(&rep, DEALS, json!({})).await;
        let hidden = admin.create("deal", json!({ "name": "the admin's" })).await;
        admin.update("deal", &hidden, json!({ "name": "still the admin's" })).await;
        let own = admin.create("deal", json!({ "name": "Rita's", "owner": { "id": rep.id().await } })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "Rita's".into()));
        // Given away, it leaves; its new state is not told.
        let me = admin.id().await;
        admin.update("deal", &own, json!({ "owner": { "id": me }, "name": "secret now" })).await;
        let left = feed.next().await;
        assert_eq!(left, json!({ "kind": "LEFT", "id": own, "deal": null, "changedFields": [] }));
        admin.update("deal", &own, json!({ "name": "more secret" })).await;
        feed.expect_only(&rep, "deal", json!({ "name": "her own" })).await;
    }

    async fn shares_bring_records_and_take_them(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let deal = admin.create("deal", json!({ "name": "shared" })).await;
        let mut feed = Feed::open(&rep, DEALS, json!({})).await;
        let share = "mutation($r: ID!, $m: ID!) { shareRecord(input: { record: $r, grantee: $m }) { share { id } userErrors { message } } }";
        let shared = admin.ask_with(share, json!({ "r": deal, "m": rep.id().await })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "shared".into()));
        let id = shared["shareRecord"]["share"]["id"].clone();
        admin.ask_with("mutation($id: ID!) { unshareRecord(input: { id: $id }) { userErrors { message } } }", json!({ "id": id })).await;
        assert_eq!(feed.next().await["kind"], "LEFT");
    }

    async fn a_change_of_role_moves_records(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let deal = admin.create("deal", json!({ "name": "the admin's" })).await;
        let mut feed = Feed::open(&rep, DEALS, json!({})).await;
        let before = cursor(&rep).await;
        let manager = admin.role("ADMIN").await;
        let set = "mutation($m: ID!, $r: [ID!]!) { setRoles(input: { holder: $m, roles: $r }) { userErrors { message } } }";
        admin.ask_with(set, json!({ "m": rep.id().await, "r": [manager] })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "the admin's".into()));
        // Whoever was away is told that more changed than the log tells.
        let mut later = Feed::open(&rep, DEALS, json!({ "after": before })).await;
        assert_eq!(later.next().await["kind"], "GAP");
        let low = admin.role("REP").await;
        admin.ask_with(set, json!({ "m": rep.id().await, "r": [low] })).await;
        let left = feed.next().await;
        assert_eq!((left["kind"].as_str(), left["id"].as_str()), (Some("LEFT"), Some(deal.as_str())));
    }

    async fn a_session_that_is_ended_ends_its_streams(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let mut feed = Feed::open(&rep, DEALS, json!({})).await;
        rep.ask("mutation { signOut { signedOut } }").await;
        assert!(feed.answer().await.is_null());
    }

    async fn whoever_lost_a_record_while_away_begins_anew(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let own = rep.create("deal", json!({ "name": "hers" })).await;
        let shared = admin.create("deal", json!({ "name": "shared" })).await;
        let share = "mutation($r: ID!, $m: ID!) { shareRecord(input: { record: $r, grantee: $m }) { share { id } userErrors { message } } }";
        // Given to somebody else: the log alone does not tell who saw it.
        let before = cursor(&rep).await;
        let me = admin.id().await;
        admin.update("deal", &own, json!({ "owner": { "id": me } })).await;
        let mut feed = Feed::open(&rep, DEALS, json!({ "after": before })).await;
        assert_eq!(feed.next().await["kind"], "GAP");
        // Shared meanwhile.
        let before = cursor(&rep).await;
        admin.ask_with(share, json!({ "r": shared, "m": rep.id().await })).await;
        let mut feed = Feed::open(&rep, DEALS, json!({ "after": before })).await;
        assert_eq!(feed.next().await["kind"], "GAP");
        // Nothing of that kind: what happened is told.
        let before = cursor(&rep).await;
        admin.update("deal", &shared, json!({ "name": "shared and changed" })).await;
        admin.create("deal", json!({ "name": "not hers" })).await;
        let mut feed = Feed::open(&rep, DEALS, json!({ "after": before })).await;
        assert_eq!(told(&feed.next().await), ("UPDATED".into(), "shared and changed".into()));
        feed.expect_only(&rep, "deal", json!({ "name": "hers again" })).await;
    }

    async fn what_is_seen_with_another_record_moves_with_it(server: &Server) {
        let admin = server.admin().await;
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let deal = admin.create("deal", json!({ "name": "the admin's" })).await;
        admin.create("note", json!({ "title": "about it", "links": { "connect": [{ "id": deal }] } })).await;
        let mut feed = Feed::open(&rep, "subscription { noteChanges { kind id } }", json!({})).await;
        let her = rep.id().await;
        admin.update("deal", &deal, json!({ "owner": { "id": her } })).await;
        assert_eq!(feed.next().await["kind"], "ENTERED");
        let me = admin.id().await;
        admin.update("deal", &deal, json!({ "owner": { "id": me } })).await;
        assert_eq!(feed.next().await["kind"], "LEFT");
    }

    async fn a_refusal_has_its_code_and_its_path(server: &Server) {
        let admin = server.admin().await;
        let bound = "mutation { createRole(input: { name: \"No amounts\", restricts: true, objects: [{ create: true, read: [ALL], update: [ALL], delete: [ALL] }], fields: [{ object: DEAL, field: \"amount\", sight: HIDDEN }] }) { role { id } userErrors { message } } }";
        let role = admin.ask(bound).await["createRole"]["role"]["id"].clone();
        let rep = server.member_with(&admin, "Rita", "REP", json!({})).await;
        let set = "mutation($m: ID!, $r: [ID!]!) { setRoles(input: { holder: $m, roles: $r }) { userErrors { message } } }";
        admin.ask_with(set, json!({ "m": rep.id().await, "r": [admin.role("REP").await, role] })).await;
        let by_amount = "subscription { dealChanges(filter: { amount: { amount: { gt: \"1\" } } }) { kind } }";
        let answer = Feed::open(&rep, by_amount, json!({})).await.answer().await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["argumentPath"][0], "filter", "{answer}");
        assert!(answer.get("data").is_none(), "{answer}");
    }
}
