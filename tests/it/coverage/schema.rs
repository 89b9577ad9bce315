//! The schema at the root of the repository is current, and teaches.

use std::path::Path;
use std::sync::Arc;

use kith::graphql::schema::WorkspaceSchema;
use kith::objects::standard_catalog;
use serde_json::Value;

use crate::harness::Server;

#[test]
fn schema_graphql_is_current() {
    let built = WorkspaceSchema::build(&Arc::new(standard_catalog()));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == built.sdl(), "schema.graphql is stale: run `cargo run -- schema > schema.graphql` and look at the difference");
}

#[tokio::test]
async fn everything_in_the_schema_has_a_description() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let document = "{ __schema { types { name kind description \
        fields { name description args { name description } } inputFields { name description } enumValues { name description } } } }";
    let data = admin.ask(document).await;
    let mut missing = Vec::new();
    for ty in data["__schema"]["types"].as_array().unwrap() {
        let name = ty["name"].as_str().unwrap();
        // Introspection and the built-in scalars explain themselves.
        if name.starts_with("__") || name == "ID" {
            continue;
        }
        let mut check = |what: String, of: &Value| {
            if of["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
                missing.push(what);
            }
        };
        check(name.to_owned(), ty);
        for kind in ["fields", "inputFields", "enumValues"] {
            for member in ty[kind].as_array().into_iter().flatten() {
                let path = format!("{name}.{}", member["name"].as_str().unwrap());
                check(path.clone(), member);
                for argument in member["args"].as_array().into_iter().flatten() {
                    check(format!("{path}({})", argument["name"].as_str().unwrap()), argument);
                }
            }
        }
    }
    assert!(missing.is_empty(), "without description: {missing:#?}");
}

#[test]
fn every_function_of_formulas_is_in_the_manual() {
    let manual = include_str!("../../../docs/formulas.md");
    for (form, help) in kith::catalog::formula::FUNCTIONS {
        assert!(manual.contains(&format!("| `{form}` | {help} |")), "docs/formulas.md lacks {form}");
    }
}
