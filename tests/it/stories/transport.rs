//! HTTP around GraphQL: methods, limits, the schema, health.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use kith::infra::db::{Mode, Scope};
use serde_json::{Value, json};

use crate::harness::Server;

fn post(body: String) -> Request<Body> {
    Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn queries_go_over_get_and_mutations_do_not() {
    let server = Server::on_sqlite().await;
    let get = |query: &str| {
        Request::get(format!("/graphql?query={}", query.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D")))
            .body(Body::empty())
            .unwrap()
    };
    let (status, _, body) = server.send(get("{ __typename }")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"data":{"__typename":"Query"}}"#));
    let (status, headers, _) = server.send(get("mutation { signOut { signedOut } }")).await;
    assert_eq!((status, headers[header::ALLOW].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
}

#[tokio::test]
async fn members_stand_in_the_order_of_the_document() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let document = "query { ...late viewer { workspace { homeCurrency name } hasSecondFactor __typename member { id } } first: deals(first: 1) { totalCount } \
        roles { builtIn } z: __typename ... on Query { viewer { api: __typename workspace { timeZone } } } a: viewer { member { name } } } \
        fragment late on Query { companies(first: 1) { totalCount } teams { name } }";
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", admin.credential.as_ref().unwrap()));
    let (_, _, body) = server.send(request.body(Body::from(json!({ "query": document }).to_string())).unwrap()).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert!(answer.get("errors").is_none(), "{body}");
    let keys = [
        "\"companies\"",
        "\"teams\"",
        "\"viewer\"",
        "\"homeCurrency\"",
        "\"name\"",
        "\"timeZone\"",
        "\"hasSecondFactor\"",
        "\"Viewer\"",
        "\"member\"",
        "\"api\"",
        "\"first\"",
        "\"roles\"",
        "\"z\"",
        "\"a\"",
    ];
    let mut at = 0;
    for key in keys {
        at += body[at..].find(key).unwrap_or_else(|| panic!("{key} is not where it was asked for: {body}"));
    }
}

#[tokio::test]
async fn hostile_documents_are_refused_quickly() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let mut doubling = String::from("{ ...f0 }");
    for n in 0..31 {
        let _ = write!(doubling, " fragment f{n} on Query {{ ...f{0} ...f{0} }}", n + 1);
    }
    doubling.push_str(" fragment f31 on Query { __typename }");
    let deep =
        format!("{}{}", "{ companies { nodes { parent ".to_string() + &"{ parent ".repeat(40), "{ id } ".to_owned() + &"} ".repeat(43));
    let literal = format!(
        "mutation {{ signIn(input: {{ email: {}1{}, password: \"x\" }}) {{ session {{ id }} }} }}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    assert_eq!(server.anonymous().refused(&literal).await.0, "BAD_REQUEST");
    for document in [doubling, deep, "{ ...a } fragment a on Query { ...a }".to_owned()] {
        assert_eq!(admin.refused(&document).await.0, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn too_much_is_told_before_it_is_read() {
    let server = Server::on_sqlite().await;
    let (status, ..) = server.send(post(json!({ "query": "x".repeat(10 << 20) }).to_string())).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = format!("{{\"query\":\"{{ __typename }}\",\"variables\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let (status, ..) = server.send(post(deep)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_schema_comes_with_a_tag() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let request = |tag: Option<&str>, bearer: Option<&str>| {
        let mut request = Request::get("/schema.graphql");
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        request.body(Body::empty()).unwrap()
    };
    let (status, headers, body) = server.send(request(None, None)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("type Deal implements"));
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(server.send(request(Some(&tag), None)).await.0, StatusCode::NOT_MODIFIED);
    admin
        .ask("mutation { createField(input: { object: DEAL, name: \"arr\", kind: MONEY, label: \"ARR\" }) { userErrors { code } } }")
        .await;
    let (_, headers, body) = server.send(request(None, admin.credential.as_deref())).await;
    assert!(body.contains("arr: MoneyFilter"));
    assert_ne!(headers[header::ETAG].to_str().unwrap(), tag);
}

#[tokio::test]
async fn a_fault_is_an_id_and_nothing_else() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Write).await.unwrap();
    tx.run("ALTER TABLE deal RENAME TO elsewhere", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let answer = admin.send("{ deals { nodes { name } } }", json!({})).await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "INTERNAL");
    let id = error["extensions"]["faultId"].as_str().unwrap();
    assert_eq!(error["message"], format!("Something went wrong on the server. Its log has the details under {id}."));
}

#[tokio::test]
async fn a_database_that_is_away_is_told_and_worth_another_try() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    admin.ask("{ __typename }").await;
    server.app.db.close().await;
    let answer = admin.send("{ deals { totalCount } }", json!({})).await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "UNAVAILABLE");
    assert!(error["message"].as_str().unwrap().starts_with("The server cannot reach its database at present."));
    // Nobody could even be found out to call.
    server.app.identity.forget_all();
    let (status, headers, told) = admin.post(json!({ "query": "{ deals { totalCount } }" }), &[]).await;
    assert_eq!((status, &told["errors"][0]["extensions"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE")));
    assert_eq!(headers["retry-after"], "1");
    let (status, _, body) = server.send(Request::get("/readyz").body(Body::empty()).unwrap()).await;
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &told["ready"], &told["database"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false), &json!("not reachable")));
    let (status, ..) = server.send(Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let _: Value = answer;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_ended_on_either_database() {
    use kith::infra::db::{Db, DbSettings, is_timeout};
    let postgres = Server::on_postgres().await.app.config.database.url.clone();
    let count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n";
    for url in ["sqlite::memory:".to_owned(), postgres] {
        let settings = DbSettings {
            url,
            max_connections: 2,
            statement_timeout: std::time::Duration::from_millis(100),
            slow: std::time::Duration::MAX,
        };
        let db = Db::connect(&settings).await.unwrap();
        for _ in 0..2 {
            let tx = db.begin(&Scope::default(), Mode::Read).await.unwrap();
            assert!(tx.fetch_all("SELECT 1", Vec::new()).await.is_ok());
            assert!(is_timeout(&tx.fetch_all(count, Vec::new()).await.unwrap_err()));
        }
    }
}
