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
}
