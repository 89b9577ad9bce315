//! Subscriptions: what comes, in which order, and where one goes on.

use serde_json::{Value, json};

use super::{Feed, cursor, small, told};
use crate::harness::{Server, on_both};

const DEALS: &str = "subscription($filter: DealFilter, $after: Cursor) { dealChanges(filter: $filter, after: $after) { kind id deal { name } changedFields actor { kind member { name } } at cursor __typename } }";

on_both! {
    async fn a_list_is_told_what_enters_changes_and_leaves(server: &Server) {
        let (admin, _, deal) = small(server).await;
        let filter = json!({ "filter": { "amount": { "amount": { "lt": "100" } } } });
        let mut feed = Feed::open(&admin, DEALS, filter).await;
        admin.update("deal", &deal, json!({ "name": "renamed" })).await;
        let event = feed.next().await;
        assert_eq!(told(&event), ("UPDATED".into(), "renamed".into()));
        assert_eq!(event["changedFields"], json!(["name"]));
        assert_eq!(event["actor"]["kind"], "MEMBER");
        assert!(event["actor"]["member"]["name"].as_str().unwrap().starts_with("Admin"), "{event}");
        assert_eq!((&event["at"], &event["__typename"]), (&json!("2026-03-11T12:00:00Z"), &json!("DealChange")));
        // Out of the filter, and back.
        admin.update("deal", &deal, json!({ "amount": { "amount": "1000", "currency": "EUR" } })).await;
        let left = feed.next().await;
        assert_eq!((left["kind"].as_str(), left["id"].as_str(), &left["deal"]), (Some("LEFT"), Some(deal.as_str()), &Value::Null));
        assert_eq!((&left["actor"], &left["changedFields"]), (&Value::Null, &json!([])));
        admin.update("deal", &deal, json!({ "name": "unseen" })).await;
        admin.update("deal", &deal, json!({ "amount": { "amount": "50", "currency": "EUR" } })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "unseen".into()));
        admin.ask_with("mutation($id: ID!) { deleteDeal(id: $id) { deletedId } }", json!({ "id": deal })).await;
        assert_eq!(feed.next().await["kind"], "LEFT");
        admin.ask_with("mutation($id: ID!) { restoreDeal(id: $id) { deal { id } } }", json!({ "id": deal })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "unseen".into()));
        admin.create("deal", json!({ "name": "dear", "amount": { "amount": "5000", "currency": "EUR" } })).await;
        feed.expect_only(&admin, "deal", json!({ "name": "cheap", "amount": { "amount": "5", "currency": "EUR" } })).await;
    }

    async fn without_a_filter_the_whole_list_is_followed(server: &Server) {
        let (admin, _, deal) = small(server).await;
        let mut feed = Feed::open(&admin, DEALS, json!({})).await;
        admin.update("deal", &deal, json!({ "name": "renamed" })).await;
        assert_eq!(told(&feed.next().await), ("UPDATED".into(), "renamed".into()));
        let delete = "mutation($id: ID!) { deleteDeal(id: $id) { deletedId } }";
        admin.ask_with(delete, json!({ "id": deal })).await;
        assert_eq!(feed.next().await["kind"], "LEFT");
        feed.expect_only(&admin, "deal", json!({ "name": "second" })).await;
        // What is validated only, and what is rolled back, is no news.
        admin.ask("mutation { createDeal(input: { name: \"never\" }, validateOnly: true) { deal { id } } }").await;
        admin.ask("mutation @atomic { a: createDeal(input: { name: \"never\" }) { deal { id } } b: createDeal(input: { name: \"\" }) { userErrors { code } } }").await;
        feed.expect_only(&admin, "deal", json!({ "name": "third" })).await;
    }

    async fn whoever_comes_back_is_told_what_happened_meanwhile(server: &Server) {
        let (admin, _, deal) = small(server).await;
        let filter = json!({ "amount": { "amount": { "lt": "100" } } });
        let after = cursor(&admin).await;
        let other = admin.create("deal", json!({ "name": "other", "amount": { "amount": "20", "currency": "EUR" } })).await;
        let gone = admin.create("deal", json!({ "name": "gone", "amount": { "amount": "30", "currency": "EUR" } })).await;
        admin.update("deal", &deal, json!({ "amount": { "amount": "500", "currency": "EUR" } })).await;
        admin.ask_with("mutation($id: ID!) { deleteDeal(id: $id) { deletedId } }", json!({ "id": gone })).await;
        admin.update("deal", &other, json!({ "name": "other, renamed" })).await;
        let mut feed = Feed::open(&admin, DEALS, json!({ "filter": filter, "after": after })).await;
        // One event for a record: what it is now, relative to what it was.
        assert_eq!(feed.next().await["kind"], "LEFT");
        let (event, id) = feed.event().await;
        assert_eq!(told(&event), ("ENTERED".into(), "other, renamed".into()));
        assert_eq!(id.as_deref(), event["cursor"].as_str());
        feed.expect_only(&admin, "deal", json!({ "name": "live", "amount": { "amount": "1", "currency": "EUR" } })).await;
        // Cut off after the first event, the rest comes again, and nothing else.
        let mut again = Feed::resume(&admin, DEALS, json!({ "filter": filter }), id.as_deref()).await;
        assert_eq!(told(&again.next().await), ("ENTERED".into(), "live".into()));
        again.expect_only(&admin, "deal", json!({ "name": "last", "amount": { "amount": "1", "currency": "EUR" } })).await;
    }

    async fn a_list_and_its_feed_join_without_a_hole(server: &Server) {
        let (admin, ..) = small(server).await;
        let data = admin.ask("{ changeCursor deals { nodes { name } } }").await;
        admin.create("deal", json!({ "name": "in between" })).await;
        let mut feed = Feed::open(&admin, DEALS, json!({ "after": data["changeCursor"] })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "in between".into()));
        feed.expect_only(&admin, "deal", json!({ "name": "afterwards" })).await;
    }

    async fn a_related_record_moves_others(server: &Server) {
        let (admin, alder, deal) = small(server).await;
        let filter = json!({ "company": { "name": { "startsWith": "Al" } } });
        let mut feed = Feed::open(&admin, DEALS, json!({ "filter": filter })).await;
        let after = cursor(&admin).await;
        admin.update("company", &alder, json!({ "name": "Birch" })).await;
        let left = feed.next().await;
        assert_eq!((left["kind"].as_str(), left["id"].as_str()), (Some("LEFT"), Some(deal.as_str())));
        let mut later = Feed::open(&admin, DEALS, json!({ "filter": filter, "after": after })).await;
        assert_eq!(later.next().await["kind"], "LEFT");
        admin.update("company", &alder, json!({ "name": "Alder again" })).await;
        let event = feed.next().await;
        assert_eq!(told(&event), ("ENTERED".into(), "first".into()));
        assert_eq!((&event["actor"], &event["changedFields"]), (&Value::Null, &json!([])));
        assert_eq!(told(&later.next().await).0, "ENTERED");
        // A link moves too.
        let people = "subscription { companyChanges(filter: { people: { some: {} } }) { kind company { name } } }";
        let mut linked = Feed::open(&admin, people, json!({})).await;
        admin.update("company", &alder, json!({ "people": { "create": [{ "record": { "lastName": "Keller" } }] } })).await;
        assert_eq!(told(&linked.next().await), ("ENTERED".into(), "Alder again".into()));
    }

    async fn time_moves_records(server: &Server) {
        let admin = server.admin().await;
        let document = "subscription { dealChanges(filter: { expectedCloseDate: { period: THIS_WEEK } }) { kind deal { name } } }";
        let key = admin.ask_with("mutation($r: [ID!]!) { createApiKey(input: { name: \"live\", roles: $r }) { secret userErrors { message } } }", json!({ "r": [admin.role("ADMIN").await] })).await;
        let machine = server.bearer(key["createApiKey"]["secret"].as_str().unwrap());
        let mut feed = Feed::open(&machine, document, json!({})).await;
        // The clock stands on a Wednesday.
        admin.create("deal", json!({ "name": "soon", "expectedCloseDate": "2026-03-17" })).await;
        admin.create("deal", json!({ "name": "now", "expectedCloseDate": "2026-03-12" })).await;
        assert_eq!(told(&feed.next().await), ("ENTERED".into(), "now".into()));
        // A token would have ended by then; a key has not.
        server.clock.advance(7 * 86_400 * 1_000_000);
        let mut moved = [told_kind(&feed.next().await), told_kind(&feed.next().await)];
        moved.sort();
        assert_eq!(moved, ["ENTERED", "LEFT"]);
    }

    async fn several_lists_come_in_one_order(server: &Server) {
        let (admin, alder, deal) = small(server).await;
        let document = "subscription { recordChanges(scopes: [{ deals: { amount: { amount: { lt: \"100\" } } } }, { companies: {} }]) { kind object id record { title ... on Deal { amount { amount } } } } }";
        let mut feed = Feed::open(&admin, document, json!({})).await;
        admin.ask_with(
            "mutation($c: ID!, $d: ID!) @atomic { updateCompany(id: $c, input: { name: \"Birch\" }) { company { id } } updateDeal(id: $d, input: { name: \"second\" }) { deal { id } } createPerson(input: { lastName: \"Keller\" }) { person { id } } }",
            json!({ "c": alder, "d": deal }),
        )
        .await;
        let first = feed.next().await;
        assert_eq!((&first["object"], &first["record"]["title"]), (&json!("COMPANY"), &json!("Birch")));
        let second = feed.next().await;
        assert_eq!((&second["object"], &second["record"]), (&json!("DEAL"), &json!({ "title": "second", "amount": { "amount": "10.00" } })));
        feed.expect_only(&admin, "company", json!({ "name": "Last" })).await;
    }

    async fn a_change_of_the_schema_is_told_and_events_go_on(server: &Server) {
        let (admin, _, deal) = small(server).await;
        let mut feed = Feed::open(&admin, DEALS, json!({})).await;
        admin.ask("mutation { createField(input: { object: DEAL, name: \"arr\", label: \"ARR\", kind: DECIMAL }) { userErrors { message } } }").await;
        let event = feed.next().await;
        assert_eq!((event["kind"].as_str(), &event["id"]), (Some("SCHEMA_CHANGED"), &Value::Null));
        admin.update("deal", &deal, json!({ "custom": { "arr": "7" } })).await;
        let event = feed.next().await;
        assert_eq!((event["kind"].as_str(), &event["changedFields"]), (Some("UPDATED"), &json!(["custom.arr"])));
    }

    async fn what_is_not_kept_is_told_as_a_gap(server: &Server) {
        let (admin, ..) = small(server).await;
        // A cursor of a server that was ahead: this one's data came from an older backup.
        let ahead = {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode("{\"s\":1000000}")
        };
        let mut feed = Feed::open(&admin, DEALS, json!({ "after": ahead })).await;
        let gap = feed.next().await;
        assert_eq!((gap["kind"].as_str(), &gap["id"], &gap["deal"]), (Some("GAP"), &Value::Null, &Value::Null));
        feed.expect_only(&admin, "deal", json!({ "name": "afterwards" })).await;
        let mut refused = Feed::open(&admin, DEALS, json!({ "after": "nonsense" })).await;
        assert_eq!(refused.answer().await["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }

    async fn own_objects_and_single_types_are_followed_too(server: &Server) {
        let admin = server.admin().await;
        admin.ask("mutation { createObject(input: { name: \"property\", plural: \"properties\", label: \"Property\", pluralLabel: \"Properties\", titleField: { name: \"street\", label: \"Street\" } }) { userErrors { path message } } }").await;
        let document = "subscription { propertyChanges(filter: { street: { startsWith: \"M\" } }) { kind id property { street } } }";
        let mut feed = Feed::open(&admin, document, json!({})).await;
        admin.create("property", json!({ "street": "Elm Street" })).await;
        feed.expect_only(&admin, "property", json!({ "street": "Main Street" })).await;
        let mut tasks = Feed::open(&admin, "subscription { taskChanges { kind id task { subject } } }", json!({})).await;
        admin.create("call", json!({ "subject": "a call" })).await;
        tasks.expect_only(&admin, "task", json!({ "subject": "a task" })).await;
    }
}

fn told_kind(event: &Value) -> String {
    event["kind"].as_str().unwrap().to_owned()
}
