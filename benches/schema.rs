//! What the schema of a workspace with many objects of its own costs: time, memory, and a thousand of them taking turns
//! in the cache.
//!
//! `cargo bench --bench schema`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kith::catalog::{Catalog, Field, Kind, Object, Own, Source};
use kith::graphql::schema::{Schemas, WorkspaceSchema};
use kith::objects::standard_catalog;
use uuid::Uuid;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: usize = 50;
const FIELDS: usize = 40;
const WORKSPACES: u128 = 1_000;

/// The standard objects, and fifty own ones of forty fields of all common kinds.
fn catalog(version: i64) -> Catalog {
    let kinds = [Kind::Text, Kind::Integer, Kind::Money, Kind::Date, Kind::Boolean, Kind::Select, Kind::DateTime, Kind::Decimal];
    let own = |n: usize| {
        let own = Own { id: Uuid::from_u128(n as u128), icon: None, color: None, archived_at: None };
        let (one, many) = (format!("object{n}"), format!("object{n}s"));
        Object::own(&one, [&many, "Object", "Objects", "field0"], "An object of the workspace's own.", own)
    };
    let field = |object: usize, n: usize| {
        let name = format!("field{n}");
        let mut field = Field::column(&name, kinds[n % kinds.len()], "Field", "A field of the workspace's own, with some words about it.");
        field.name = name;
        field.source = Source::Custom { id: Uuid::from_u128((object * 1_000 + n) as u128) };
        (format!("_object{object}"), field)
    };
    let fields = (0..OBJECTS).flat_map(|object| (0..FIELDS).map(move |n| field(object, n))).collect();
    standard_catalog().with_own(version, (0..OBJECTS).map(own).collect(), fields, Vec::new())
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let made = run();
    (made, begun.elapsed())
}

fn main() {
    let catalog = Arc::new(catalog(1));
    let mut times: Vec<Duration> = (0..20).map(|_| timed(|| black_box(WorkspaceSchema::build(&catalog))).1).collect();
    times.sort_unstable();
    println!("build: {:?} median, {:?} worst of 20", times[10], times[19]);
    let before = resident();
    let kept: Vec<WorkspaceSchema> = (0..10).map(|_| WorkspaceSchema::build(&catalog)).collect();
    println!("memory: {} KiB each, of 10", (resident() - before) / kept.len() as u64);
    drop(kept);
    let schemas = Schemas::new(&Arc::new(standard_catalog()), 128);
    let mut waits = Vec::new();
    for turn in 0..2 * WORKSPACES {
        let ((), wait) = timed(|| drop(black_box(schemas.of(Uuid::from_u128(turn % WORKSPACES), &catalog))));
        waits.push(wait);
    }
    waits.sort_unstable();
    let rebuilt = waits.iter().filter(|wait| **wait > Duration::from_micros(500)).count();
    let percent = |of: usize| waits[(waits.len() * of / 100).min(waits.len() - 1)];
    println!(
        "{WORKSPACES} workspaces, two turns: {rebuilt} built of {}, p50 {:?}, p99 {:?}; memory {} MiB",
        waits.len(),
        percent(50),
        percent(99),
        resident() / 1_024
    );
}
