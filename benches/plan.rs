//! What planning a query and shaping its answer cost, without the database's share.
//!
//! `cargo bench --bench plan`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use kith::infra::clock::Clock;
use kith::infra::db::{Backend, Db, DbSettings, Mode, Scope};
use kith::objects::standard_catalog;
use kith::platform::{Access, Actor, Cause, Ctx};
use kith::records::read::{Plan, RootQuery};
use kith::records::selection::Selection;
use serde_json::{Map, Value, json};

fn fields(names: &[&str]) -> Selection {
    names.iter().fold(Selection::default(), |selection, name| selection.with(name, Selection::default()))
}

/// 50 deals by amount, with stage, company and owner.
fn page_of_deals() -> (Map<String, Value>, Selection) {
    let node = fields(&["id", "name", "probability", "expectedCloseDate"])
        .with("amount", fields(&["amount", "currency"]))
        .with("stage", fields(&["id", "name"]))
        .with("company", fields(&["id", "name"]))
        .with("owner", fields(&["id", "name"]));
    let arguments = json!({ "first": 50, "orderBy": [{ "amount": "DESC" }], "filter": { "status": { "eq": "OPEN" } } });
    (arguments.as_object().cloned().unwrap_or_default(), Selection::default().with("nodes", node))
}

fn ctx() -> Ctx {
    Ctx {
        workspace: uuid::Uuid::nil(),
        time_zone: chrono_tz::UTC,
        home_currency: "EUR".into(),
        actor: Actor::SYSTEM,
        member: None,
        user: None,
        access: Access::System,
        cause: Cause::Request,
        clock: Clock::default(),
        request_id: None,
        origin: Default::default(),
        hidden: Default::default(),
        secrets: None,
        opened: Default::default(),
        problems: Default::default(),
        tally: Default::default(),
        underway: Default::default(),
    }
}

fn planning(c: &mut Criterion) {
    let (ctx, catalog) = (ctx(), standard_catalog());
    let deal = catalog.object("deal").clone();
    let (arguments, selection) = page_of_deals();
    let query = RootQuery::List { object: &deal, variant: None };
    for backend in [Backend::Sqlite, Backend::Postgres] {
        c.bench_function(&format!("plan a page of deals for {backend:?}"), |b| {
            b.iter(|| black_box(Plan::new(&ctx, &catalog, backend, &query, &arguments, &selection, None)).is_ok());
        });
    }
}

/// The whole read path on SQLite in memory with an empty workspace: what is left is the statement's fixed cost.
fn empty_page(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().ok();
    let Some(runtime) = runtime else { return };
    let folder = std::env::temp_dir().join(format!("kith-bench-{}", std::process::id()));
    let db = runtime.block_on(async {
        let url = Db::sqlite_url(&folder).unwrap_or_default();
        let settings =
            DbSettings { url, max_connections: 2, statement_timeout: std::time::Duration::from_secs(10), slow: std::time::Duration::MAX };
        let db = Db::connect(&settings).await.ok()?;
        kith::app::migrate(&db).await.ok()?;
        Some(db)
    });
    let Some(db) = db else { return };
    let (ctx, catalog) = (ctx(), standard_catalog());
    let deal = catalog.object("deal").clone();
    let (arguments, selection) = page_of_deals();
    c.bench_function("plan, run and shape an empty page on SQLite", |b| {
        b.to_async(&runtime).iter(|| async {
            let query = RootQuery::List { object: &deal, variant: None };
            let plan = Plan::new(&ctx, &catalog, Backend::Sqlite, &query, &arguments, &selection, None).ok()?;
            let tx = db.begin(&Scope::workspace(ctx.workspace), Mode::Read).await.ok()?;
            let answer = plan.run(&tx).await.ok();
            tx.commit().await.ok()?;
            answer
        });
    });
    let _ = std::fs::remove_dir_all(folder);
}

criterion_group!(benches, planning, empty_page);
criterion_main!(benches);
