//! Where a field says `indexed`, PostgreSQL serves its operators from an index, as the server's own
//! role and under its policies.

use kith::catalog::{Kind, Via};
use kith::infra::db::{Mode, Scope};
use kith::platform::{Access, Actor, Cause, Ctx};
use kith::records::read::{Plan, RootQuery};
use kith::records::selection::Selection;
use serde_json::{Map, Value, json};

use sqlx::Connection;

use crate::harness::{Server, with_database};

/// Operators that an index can serve, with an operand of the kind.
fn operators(kind: Kind) -> Vec<Value> {
    let of = |operand: Value| ["eq", "lt", "lte", "gt", "gte"].iter().map(|op| json!({ *op: operand })).collect::<Vec<_>>();
    match kind {
        Kind::Text | Kind::Email => [
            of(json!("m")),
            vec![json!({ "startsWith": "ab" }), json!({ "in": ["a", "b"] }), json!({ "between": { "from": "a", "to": "b" } })],
        ]
        .concat(),
        Kind::Integer => [of(json!(5)), vec![json!({ "in": [1, 2] }), json!({ "between": { "from": 1, "to": 2 } })]].concat(),
        Kind::Percent | Kind::Decimal => of(json!("5")),
        Kind::Money => of(json!("5")).into_iter().map(|op| json!({ "amount": op })).collect(),
        Kind::Date => {
            [of(json!("2026-01-01")), vec![json!({ "period": "THIS_MONTH" }), json!({ "within": { "last": 3, "unit": "DAY" } })]].concat()
        }
        Kind::DateTime => [of(json!("2026-01-01T00:00:00Z")), vec![json!({ "period": "TODAY" })]].concat(),
        Kind::Enum(of) => vec![json!({ "eq": of.values[0].0 }), json!({ "in": [of.values[0].0] })],
        _ => Vec::new(),
    }
}

/// Custom fields of every kind that can be indexed.
const INDEXABLE: [(&str, Kind); 8] = [
    ("TEXT", Kind::Text),
    ("EMAIL", Kind::Email),
    ("INTEGER", Kind::Integer),
    ("DECIMAL", Kind::Decimal),
    ("MONEY", Kind::Money),
    ("DATE", Kind::Date),
    ("DATE_TIME", Kind::DateTime),
    ("RATING", Kind::Integer),
];

/// Adds one indexed custom field of each kind to the deals.
async fn add_indexed_fields(admin: &crate::harness::Actor<'_>) {
    for (kind, _) in INDEXABLE {
        let input = json!({ "object": "DEAL", "name": format!("x{}", kind.to_lowercase().replace('_', "")), "kind": kind, "label": kind, "indexed": true });
        let data = admin
            .ask_with(
                "mutation($input: CreateFieldInput!) { createField(input: $input) { userErrors { message } } }",
                json!({ "input": input }),
            )
            .await;
        assert_eq!(data["createField"]["userErrors"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_of_an_indexed_field_finds_an_index() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    add_indexed_fields(&admin).await;
    let catalog = server.app.workspace(admin.workspace).await.unwrap().catalog.clone();
    let ctx = Ctx {
        workspace: admin.workspace,
        time_zone: chrono_tz::UTC,
        home_currency: "EUR".into(),
        actor: Actor::SYSTEM,
        member: None,
        user: None,
        access: Access::System,
        cause: Cause::Request,
        clock: server.clock.clone(),
        request_id: None,
        origin: Default::default(),
        hidden: Default::default(),
        secrets: None,
        opened: Default::default(),
        problems: Default::default(),
        tally: Default::default(),
        underway: Default::default(),
    };
    pretend_to_be_large(&server, &admin).await;
    let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
    // What matters is that an index can be used at all.
    tx.run("SET LOCAL enable_seqscan = off", Vec::new()).await.unwrap();
    // A count has no order, so that only the filter decides which index is best.
    let selection = Selection::default().with("totalCount", Selection::default());
    let mut without = Vec::new();
    let mut explain = async |object: &kith::catalog::Object, column: &str, filter: Value| {
        let mut arguments = Map::new();
        arguments.insert("filter".into(), filter.clone());
        let plan =
            Plan::new(&ctx, &catalog, tx.backend(), &RootQuery::List { object, variant: None }, &arguments, &selection, None).unwrap();
        let rows = tx.fetch_all(&format!("EXPLAIN {}", plan.sql), plan.values.clone()).await.unwrap();
        let text: Vec<String> = rows.iter().map(|row| row.text(0).unwrap().unwrap_or_default().to_owned()).collect();
        let served =
            text.iter().any(|line| line.contains("Index Cond") && (line.contains(column) || line.contains(&format!("{column}_fold"))));
        if !served {
            without.push(format!("{} {filter}:\n{}", object.name, text.join("\n")));
        }
    };
    let deal = catalog.object("deal").clone();
    for (kind, standard) in INDEXABLE {
        let name = format!("x{}", kind.to_lowercase().replace('_', ""));
        for operator in operators(standard).into_iter().filter(|operator| {
            standard != Kind::Date || !operator.to_string().contains("period") && !operator.to_string().contains("within")
        }) {
            explain(&deal, "field_id", json!({ "custom": { &name: operator } })).await;
        }
    }
    for object in catalog.objects() {
        for field in object.fields.values().filter(|field| field.indexed) {
            for operator in operators(field.kind) {
                explain(object, field.column_name().unwrap(), json!({ &field.name: operator })).await;
            }
        }
        for relation in object.relations.values() {
            if let Via::Column(column) = &relation.via {
                explain(object, column.as_str(), json!({ &relation.name: { "id": { "eq": uuid::Uuid::nil() } } })).await;
            }
        }
    }
    assert!(without.is_empty(), "{} without an index:\n{}", without.len(), without.join("\n\n"));
}

/// What search asks, a function of the tables' owner asks for the server's role: there the index of words serves it.
#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_by_their_index() {
    let server = Server::on_postgres().await;
    let admin = server.admin().await;
    add_indexed_fields(&admin).await;
    pretend_to_be_large(&server, &admin).await;
    let owner = std::env::var("KITH_TEST_POSTGRES").unwrap();
    let url = url::Url::parse(&server.app.config.database.url).unwrap();
    let mut connection = sqlx::PgConnection::connect(&with_database(&owner, url.path())).await.unwrap();
    let body: (String,) =
        sqlx::query_as("SELECT prosrc FROM pg_proc WHERE proname = 'kith_search'").fetch_one(&mut connection).await.unwrap();
    let condition = "array_to_tsvector(string_to_array(e.words, ' ')) @@ query::tsquery";
    assert!(body.0.contains(condition), "{}", body.0);
    sqlx::raw_sql("SET enable_seqscan = off; SET enable_indexscan = off").execute(&mut connection).await.unwrap();
    for query in ["'_tacme'", "'_tacme':*", "(('_tacme':* | '_wacme':*) & ('_xdeal' & ('_o1' | '_o2')))"] {
        let asked = condition.replace("query::tsquery", "$1::text::tsquery");
        // Without the workspace, which has an index of its own: what matters is that this one can be used.
        let sql = format!("EXPLAIN SELECT e.record_id FROM search_entry e WHERE {asked} LIMIT 1000");
        let plan: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(query).fetch_all(&mut connection).await.unwrap();
        let plan = plan.into_iter().map(|(line,)| line).collect::<Vec<_>>().join("\n");
        assert!(plan.contains("Bitmap Index Scan on search_entry_words"), "{query}:\n{plan}");
    }
}

/// The planner shall choose as it would with a million rows in each table.
async fn pretend_to_be_large(server: &Server, admin: &crate::harness::Actor<'_>) {
    for (one, input) in [
        ("company", json!({ "name": "x" })),
        ("person", json!({ "lastName": "x" })),
        ("deal", json!({ "name": "x", "custom": { "xtext": "x", "xinteger": 1 } })),
        ("task", json!({ "subject": "x" })),
        ("note", json!({ "title": "x" })),
        ("tag", json!({ "name": "x" })),
        ("territory", json!({ "name": "x" })),
    ] {
        admin.create(one, input).await;
    }
    let owner = std::env::var("KITH_TEST_POSTGRES").unwrap();
    let url = url::Url::parse(&server.app.config.database.url).unwrap();
    let mut connection = sqlx::PgConnection::connect(&with_database(&owner, url.path())).await.unwrap();
    // An index over a part of a table is taken for small whatever is pretended: here it is one over the whole.
    let partial: Vec<(String, String)> =
        sqlx::query_as("SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '% WHERE %'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for (name, definition) in partial {
        let whole = definition.split(" WHERE ").next().unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP INDEX {name}; {whole}"))).execute(&mut connection).await.unwrap();
    }
    let sql = "UPDATE pg_class SET reltuples = 1000000, relpages = 1 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}
