//! SQLite has no policies: there, every statement must carry its conditions itself. This reads every
//! statement that a bounded caller's requests make, parsed, and wants for each table of a workspace
//! its workspace, and for each table of records out of reach the row condition.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sqlparser::ast::{ObjectName, TableFactor, Visit, Visitor};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::parser::Parser;
use tracing::field::{Field, Visit as Fields};
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::harness::Server;

/// Keeps the statements that the database layer tells of.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

struct Message<'a>(&'a mut String);

impl Fields for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "kith::sql" {
            let mut text = String::new();
            event.record(&mut Message(&mut text));
            self.0.lock().unwrap().push(text);
        }
    }
}

/// Tables and their aliases, in a whole statement.
#[derive(Default)]
struct Tables(Vec<(String, String)>);

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name: ObjectName(parts), alias, args: None, .. } = factor {
            let table = parts.last().unwrap().to_string();
            let alias = alias.as_ref().map_or_else(|| table.clone(), |alias| alias.name.to_string());
            self.0.push((table, alias));
        }
        ControlFlow::Continue(())
    }
}

/// Tables that belong to no workspace, or whose key is the workspace.
const WITHOUT_WORKSPACE: [&str; 4] = ["user_account", "workspace", "sign_in_attempt", "seaql_migrations"];
/// What the rep of this test does not reach whole.
const BOUNDED: [&str; 3] = ["deal", "note", "activity"];

#[tokio::test]
async fn every_statement_on_sqlite_carries_its_conditions() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let rep = server.member(&admin, "Rep", "REP").await;
    let company = admin.create("company", json!({ "name": "c" })).await;
    let deal = rep.create("deal", json!({ "name": "d", "company": { "id": company } })).await;
    rep.ask("{ __typename }").await;
    let heard = Heard::default();
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
    for document in [
        "{ deals(orderBy: [{ company: { name: ASC } }], filter: { stage: { name: { ne: \"x\" } }, people: { none: {} } }) { totalCount nodes { name owner { name } company { name deals { totalCount nodes { name } } notes { nodes { title } } } } } }".to_owned(),
        "{ companies(filter: { deals: { every: { name: { eq: \"d\" } }, count: { gte: 0 } } }) { nodes { deals(orderBy: [{ amount: DESC }]) { nodes { id notes { totalCount } } } activities { nodes { id } } } } }".to_owned(),
        "{ notes { nodes { title links { totalCount nodes { ... on Deal { name } } } } } activities { nodes { subject } } members { nodes { ownedDeals { totalCount } assignedActivities { totalCount } } } }".to_owned(),
        format!("{{ node(id: \"{deal}\") {{ ... on Deal {{ name viewerAccess {{ canUpdate canDelete }} }} }} deal(key: {{ externalId: {{ system: \"s\", value: \"v\" }} }}) {{ id }} }}"),
    ] {
        rep.ask(&document).await;
    }
    let reads = heard.0.lock().unwrap().len();
    assert!(reads >= 7, "{reads} statements");
    rep.update("deal", &deal, json!({ "name": "e", "company": null })).await;
    rep.create("note", json!({ "title": "n", "links": { "connect": [{ "id": deal }] } })).await;
    rep.ask("mutation { updateDeals(filter: { name: { eq: \"e\" } }, input: { description: \"x\" }, limit: 5) { committed } }").await;
    drop(guard);
    let statements = heard.0.lock().unwrap().clone();
    let mut wrong = Vec::new();
    for (index, sql) in statements.iter().enumerate() {
        let parsed = Parser::parse_sql(&SQLiteDialect {}, sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
        let mut tables = Tables::default();
        let _ = parsed.visit(&mut tables);
        for (table, alias) in tables.0.into_iter().filter(|(table, _)| !WITHOUT_WORKSPACE.contains(&table.as_str())) {
            let own = [
                format!("{alias}.workspace_id = $1"),
                format!("\"{table}\".\"workspace_id\" = "),
                format!("{alias}.workspace_id = {alias}"),
            ];
            let unnamed =
                table == alias && (sql.contains("workspace_id = $") || sql.contains("workspace_id = ?") || sql.starts_with("INSERT"));
            let paired = sql.contains(&format!("{alias}.workspace_id = ")) || sql.contains("VALUES ($1");
            if !own.iter().any(|text| sql.contains(text)) && !unnamed && !paired {
                wrong.push(format!("no workspace for {table} {alias}: {sql}"));
            }
            // What a bounded caller reads through the planner; writes by id follow a read that was bounded.
            let follows = sql.contains(&format!("l{alias}.kind = '{table}_link'"));
            if index < reads && BOUNDED.contains(&table.as_str()) && !follows && !sql.contains(&format!("{alias}.owner_id =")) {
                wrong.push(format!("no row condition for {table} {alias}: {sql}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
