//! The change log as others read it: on Redis Streams and on NATS JetStream.

use std::path::Path;

use futures_util::StreamExt as _;
use kith::catalog::Catalog;
use kith::config::{Config, StreamsTo};
use kith::features::streams::{Streams, schemas::schema};
use kith::objects::standard_catalog;
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Actor, Server};

/// Servers of other tests use the same brokers: each has a prefix of its own.
fn to(config: &mut Config, to: StreamsTo) {
    config.streams.to = to;
    config.streams.prefix = format!("t{}", Uuid::from_u128(rand::random()).simple());
    config.streams.nats_url = std::env::var("KITH_TEST_NATS").expect("KITH_TEST_NATS names no server: run the tests with ./test");
    if config.redis.url.is_empty() {
        config.redis.url = std::env::var("KITH_TEST_REDIS").unwrap();
    }
}

async fn publisher(server: &Server) -> Streams {
    kith::work::streams(&server.app).await.unwrap()
}

async fn publish(streams: &Streams) {
    while streams.once().await.unwrap() {}
}

/// A little of everything that the log can tell; the record of whose events are looked at.
async fn happen(admin: &Actor<'_>) -> String {
    let field = "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message } } }";
    for input in [
        json!({ "object": "DEAL", "name": "arr", "kind": "MONEY", "label": "ARR" }),
        json!({ "object": "DEAL", "name": "pin", "kind": "TEXT", "label": "PIN", "encrypted": true }),
        json!({ "object": "DEAL", "name": "reviewer", "kind": "REFERENCE", "label": "Reviewer" }),
    ] {
        assert_eq!(admin.ask_with(field, json!({ "input": input })).await["createField"]["userErrors"], json!([]));
    }
    let person = admin.create("person", json!({ "lastName": "Lovelace", "emails": [{ "address": "ada@lovelace.example" }] })).await;
    let deal = admin
        .create(
            "deal",
            json!({
                "name": "Engine", "amount": { "amount": "1200.5", "currency": "CHF" }, "expectedCloseDate": "2026-12-01",
                "company": { "create": { "name": "Analytical", "domains": ["analytical.example"] } },
                "people": { "connect": [{ "id": person, "role": "Buyer" }] },
                "custom": { "arr": { "amount": "7", "currency": "JPY" }, "pin": "s3cret", "reviewer": person }
            }),
        )
        .await;
    admin.update("deal", &deal, json!({ "amount": { "amount": "0.0001", "currency": "EUR" }, "company": null })).await;
    for verb in ["delete", "restore", "delete", "purge"] {
        let done = admin
            .ask_with(&format!("mutation($id: ID!) {{ it: {verb}Deal(id: $id) {{ userErrors {{ message }} }} }}"), json!({ "id": deal }))
            .await;
        assert_eq!(done["it"]["userErrors"], json!([]), "{verb}");
    }
    deal
}

/// Whether events are all of a log, in order, and as the schemas say.
fn check(catalog: &Catalog, workspace: Uuid, events: &[Value]) {
    for (number, event) in (1..).zip(events) {
        assert_eq!(event["id"], format!("{workspace}:{number}"));
        assert_eq!(event["sequence"], format!("{number:020}"));
        let object = catalog.by_enum(event["data"]["object"].as_str().unwrap()).unwrap();
        let schema = schema(object);
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{event:#}");
    }
}

/// What the log tells of the deal of [`happen`].
fn check_deal(deal: &str, events: &[Value]) {
    let of_deal: Vec<&Value> = events.iter().filter(|event| event["subject"] == deal).collect();
    let kinds: Vec<&str> = of_deal.iter().map(|event| event["data"]["kind"].as_str().unwrap()).filter(|kind| *kind != "LINKED").collect();
    assert_eq!(kinds, ["CREATED", "UPDATED", "DELETED", "RESTORED", "DELETED", "PURGED"]);
    let created = &of_deal[0]["data"];
    assert_eq!(of_deal[0]["type"], "kith.deal.created");
    assert_eq!(created["after"]["amount"], json!({ "amount": "1200.50", "currency": "CHF" }));
    assert_eq!(created["after"]["custom.arr"], json!({ "amount": "7", "currency": "JPY" }));
    assert_eq!(created["after"]["expectedCloseDate"], "2026-12-01");
    assert_eq!(created["hidden"], json!(["custom.pin"]));
    assert_eq!(of_deal.iter().find(|event| event["data"]["kind"] == "UPDATED").unwrap()["data"]["after"]["company"], Value::Null);
    assert!(!events.iter().any(|event| event.to_string().contains("s3cret")), "what is encrypted is not told");
}

async fn of_redis(server: &Server, workspace: Uuid) -> Vec<Value> {
    let mut connection =
        redis::Client::open(server.app.config.redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let key = format!("{}:events:{workspace}", server.app.config.streams.prefix);
    let entries: Vec<(String, Vec<String>)> = redis::cmd("XRANGE").arg(key).arg("-").arg("+").query_async(&mut connection).await.unwrap();
    let event = |(id, fields): (String, Vec<String>)| {
        let event: Value = serde_json::from_str(&fields[3]).unwrap();
        assert_eq!(id, format!("{}-0", event["id"].as_str().unwrap().split(':').next_back().unwrap()));
        assert_eq!(event["type"], format!("kith.{}", fields[1]));
        event
    };
    entries.into_iter().map(event).collect()
}

async fn of_nats(server: &Server, workspace: Uuid) -> Vec<Value> {
    let (url, prefix) = (&server.app.config.streams.nats_url, &server.app.config.streams.prefix);
    let context = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let mut stream = context.get_stream(prefix).await.unwrap();
    let count = usize::try_from(stream.info().await.unwrap().state.messages).unwrap();
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let messages: Vec<_> = messages.take(count).collect().await;
    let event = |message: async_nats::jetstream::Message| {
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        let about = event["type"].as_str().unwrap().strip_prefix("kith.").unwrap();
        assert_eq!(message.subject.as_str(), format!("{prefix}.{workspace}.{about}"));
        event
    };
    messages.into_iter().map(|message| event(message.unwrap())).collect()
}

/// Two publish at once, and once more from the beginning; `of` reads what the broker has.
async fn has_every_change_once(server: &Server, of: impl AsyncFn(&Server, Uuid) -> Vec<Value>) {
    let admin = server.admin().await;
    let streams = [publisher(server).await, publisher(server).await];
    let deal = happen(&admin).await;
    tokio::join!(publish(&streams[0]), publish(&streams[1]));
    let events = of(server, admin.workspace).await;
    check(&server.app.workspace(admin.workspace).await.unwrap().catalog, admin.workspace, &events);
    check_deal(&deal, &events);
    let rewind = "mutation { rewindLogReader(input: { name: STREAMS, position: 0 }) { reader { lag } userErrors { message } } }";
    let rewound = admin.ask(rewind).await["rewindLogReader"].clone();
    assert_eq!(rewound["reader"]["lag"], events.len());
    publish(&streams[0]).await;
    assert_eq!(of(server, admin.workspace).await.len(), events.len(), "it is all there already");
    assert_eq!(admin.ask("{ logReaders { name lag } }").await["logReaders"], json!([{ "name": "STREAMS", "lag": 0 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_has_every_change_once_whoever_publishes() {
    has_every_change_once(&Server::on_sqlite_with(|config| to(config, StreamsTo::Redis)).await, of_redis).await;
    has_every_change_once(&Server::on_postgres_with(|config| to(config, StreamsTo::Redis)).await, of_redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_has_every_change_once_whoever_publishes() {
    has_every_change_once(&Server::on_sqlite_with(|config| to(config, StreamsTo::Nats)).await, of_nats).await;
    has_every_change_once(&Server::on_postgres_with(|config| to(config, StreamsTo::Nats)).await, of_nats).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_waited_for_and_nothing_is_set_aside() {
    let server = Server::on_sqlite_with(|config| to(config, StreamsTo::Redis)).await;
    let admin = server.admin().await;
    admin.create("company", json!({ "name": "Patient" })).await;
    // Something that is no stream stands where the stream should: Redis refuses.
    let key = format!("{}:events:{}", server.app.config.streams.prefix, admin.workspace);
    let mut connection =
        redis::Client::open(server.app.config.redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let _: () = connection.set(&key, "in the way").await.unwrap();
    let streams = publisher(&server).await;
    for _ in 0..20 {
        publish(&streams).await;
        server.clock.advance(10_000_000);
    }
    let reader = admin.ask("{ logReaders { position lastError setAside { seq } } }").await["logReaders"][0].clone();
    assert_eq!(reader["position"], 0);
    assert_eq!(reader["setAside"], json!([]));
    assert!(reader["lastError"].as_str().unwrap().contains("WRONGTYPE"), "{reader}");
    let _: () = connection.del(&key).await.unwrap();
    publish(&streams).await;
    let events = of_redis(&server, admin.workspace).await;
    check(&server.app.standard, admin.workspace, &events);
    assert!(!events.is_empty());
}

#[test]
fn the_catalogue_of_events_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events");
    let bless = std::env::var_os("KITH_BLESS").is_some();
    let mut expected = vec!["README.md".to_owned()];
    for object in standard_catalog().objects() {
        let text = serde_json::to_string_pretty(&schema(object)).unwrap() + "\n";
        let name = format!("{}.json", object.name);
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(&name), &text).unwrap();
        }
        let kept = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(kept == text, "docs/events/{name} is stale: run `KITH_BLESS=1 ./test catalogue_of_events` and look at the difference");
        expected.push(name);
    }
    let mut there: Vec<String> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    there.sort_unstable();
    expected.sort_unstable();
    assert_eq!(there, expected, "docs/events");
}
