//! The demo workspace, and the example queries against it.

use std::path::Path;

use kith::features::demo;
use serde_json::{Value, json};

use crate::harness::{Server, on_both};

/// What an example needs to be run: values for its variables, taken from the demo.
async fn variables(ask: &crate::harness::Actor<'_>) -> Value {
    let data = ask.ask("{ companies(first: 1) { nodes { id } } deals(first: 1, filter: { status: { eq: OPEN } }) { nodes { id version } } pipelines(first: 1) { nodes { id stages(last: 2) { nodes { id } } } } people(first: 1) { nodes { id } } }").await;
    json!({
        "companyId": data["companies"]["nodes"][0]["id"],
        "dealId": data["deals"]["nodes"][0]["id"],
        "version": data["deals"]["nodes"][0]["version"],
        "pipelineId": data["pipelines"]["nodes"][0]["id"],
        "stageId": data["pipelines"]["nodes"][0]["stages"]["nodes"][0]["id"],
        "personId": data["people"]["nodes"][0]["id"],
    })
}

on_both! {
    async fn the_demo_is_filled_once_and_serves_the_examples(server: &Server) {
        assert!(demo::fill(&server.app.workspaces, &server.app.data_model, &server.app.access).await.unwrap());
        assert!(!demo::fill(&server.app.workspaces, &server.app.data_model, &server.app.access).await.unwrap());
        let document = format!("mutation {{ signIn(input: {{ email: \"{}\", password: \"{}\" }}) {{ session {{ accessToken }} }} }}", demo::EMAIL, demo::PASSWORD);
        let session = server.anonymous().ask(&document).await;
        let ada = server.bearer(session["signIn"]["session"]["accessToken"].as_str().unwrap());
        let data = ada.ask("{ companies { totalCount } people { totalCount } deals { totalCount } activities { totalCount } notes { totalCount } pipelines { totalCount } }").await;
        let counts: Vec<i64> = ["companies", "people", "deals", "activities", "notes", "pipelines"].iter().map(|list| data[*list]["totalCount"].as_i64().unwrap()).collect();
        assert_eq!(counts, [300, 1_500, 1_200, 6_000, 600, 2]);
        // Everybody who can sign in sees what their role shows, and no more.
        let mut seen = Vec::new();
        for (email, _) in demo::PEOPLE {
            let document = format!("mutation {{ signIn(input: {{ email: \"{email}\", password: \"{}\" }}) {{ session {{ accessToken }} }} }}", demo::PASSWORD);
            let session = server.anonymous().ask(&document).await;
            let actor = server.bearer(session["signIn"]["session"]["accessToken"].as_str().unwrap());
            seen.push(actor.ask("{ deals { totalCount } }").await["deals"]["totalCount"].as_i64().unwrap());
        }
        assert!(seen[0] > seen[1] && seen[1] == seen[2] && seen[1] > seen[3] && seen[3] > 0 && seen[0] < 1_200, "{seen:?}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/queries");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 12);
        for file in files {
            let document = std::fs::read_to_string(&file).unwrap();
            let answer = ada.send(&document, variables(&ada).await).await;
            assert!(answer.get("errors").is_none(), "{}: {answer:#}", file.display());
            for (field, payload) in answer["data"].as_object().unwrap() {
                assert!(!payload.is_null(), "{}: {field} is null", file.display());
                if let Some(errors) = payload.get("userErrors") {
                    assert_eq!(*errors, json!([]), "{}", file.display());
                }
            }
        }
    }
}
