//! `examples/custom_objects`, document by document: a small business that Kith has never heard of.

use serde_json::{Value, json};

use crate::harness::{Server, names, on_both};

const DOCUMENTS: [&str; 5] = [
    include_str!("../../../examples/custom_objects/01_objects.graphql"),
    include_str!("../../../examples/custom_objects/02_relations.graphql"),
    include_str!("../../../examples/custom_objects/03_computed.graphql"),
    include_str!("../../../examples/custom_objects/04_fill.graphql"),
    include_str!("../../../examples/custom_objects/05_ask.graphql"),
];

on_both! {
    async fn an_estate_agent_models_their_world_and_asks_it(server: &Server) {
        let admin = server.admin().await;
        for document in &DOCUMENTS[..4] {
            for (name, payload) in admin.ask(document).await.as_object().unwrap() {
                assert_eq!(payload["userErrors"], json!([]), "{name}");
            }
        }
        let data = admin.ask(DOCUMENTS[4]).await;
        let board: Vec<Value> = data["board"]["nodes"].as_array().unwrap().iter().map(|group| json!([group["key"]["status"]["key"], group["count"]])).collect();
        assert_eq!(json!(board), json!([["listed", 1], ["reserved", 1], ["sold", 0]]));
        assert_eq!(data["board"]["nodes"][1], json!({ "key": { "status": { "key": "reserved", "label": "Reserved" } }, "count": 1,
            "sum": { "askingPrice": { "amount": "640000.00", "currency": "EUR" } },
            "properties": { "nodes": [{ "address": "Mill Lane 1", "rooms": 5, "seller": { "name": "Harbour Estates" } }] } }));
        let mill = &data["offers"]["nodes"][0];
        assert_eq!(mill["offers"], json!({ "totalCount": 2, "aggregate": { "max": { "price": { "amount": "635000.00" } } } }));
        assert_eq!(mill["viewings"]["nodes"][0]["visitors"]["edges"], json!([{ "role": "buyer", "node": { "fullName": "Nora Lind" } }]));
        assert_eq!(data["worth"], json!({
            "nodes": [
                { "address": "Mill Lane 1", "perRoom": { "amount": "128000.00", "currency": "EUR" }, "bestOffer": { "amount": "635000.00" }, "gap": { "amount": "5000.00" }, "viewed": 2, "interest": "high" },
                { "address": "Barn Road 7", "perRoom": { "amount": "103333.33", "currency": "EUR" }, "bestOffer": { "amount": "295000.00" }, "gap": { "amount": "15000.00" }, "viewed": 0, "interest": "none" },
            ],
            "aggregate": { "sum": { "gap": { "amount": "20000.00" } } },
        }));
        assert_eq!(data["interest"]["nodes"][0], json!({ "key": { "interest": "high" }, "count": 1, "avg": { "perRoom": { "amount": "128000.00" } } }));
        assert_eq!(data["found"]["nodes"], json!([{ "title": "Mill Lane 1", "object": "PROPERTY", "score": 0.35 }]));
        assert_eq!(data["unseen"]["nodes"], json!([{ "address": "Barn Road 7" }]));
        assert_eq!(names(&data["near"]["nodes"]), ["Lind, second", "Lind, first"]);
        assert_eq!(data["byMonth"]["nodes"][1], json!({ "key": { "listedOn": { "from": "2026-02-01", "to": "2026-02-28" } }, "count": 1 }));
    }
}
