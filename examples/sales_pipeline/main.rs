//! Loads a sales pipeline from four CSV files into a running Kith, over GraphQL alone.
//!
//! ```text
//! cargo run --release -- serve --demo                                   # in one terminal
//! cargo run --release --example sales_pipeline -- path/to/the/folder    # in another
//! ```
//!
//! The folder has `accounts.csv`, `sales_teams.csv`, `products.csv` and `sales_pipeline.csv`. Accounts
//! become companies (parents by `subsidiary_of`), agents members, products the options of a custom
//! field, opportunities deals with stage, dates and value. Every record carries its name in the files
//! as an external id, and is written by `upsert`: running it twice changes nothing.

mod client;
mod files;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use client::{Client, Upsert};
use files::{Files, Opportunity};
use futures_util::{StreamExt, TryStreamExt, stream};
use rust_decimal::Decimal;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The system that external ids of these records belong to.
const SYSTEM: &str = "sales-pipeline";
/// Root mutations in one document, and documents under way at once.
const PER_DOCUMENT: usize = 10;
const AT_ONCE: usize = 4;

#[derive(Parser)]
struct Options {
    /// The folder with the CSV files
    folder: PathBuf,
    /// Where Kith listens
    #[arg(long, default_value = "http://127.0.0.1:4000")]
    url: String,
    /// Who loads
    #[arg(long, default_value = "ada@kith.example")]
    email: String,
    /// And their password
    #[arg(long, default_value = "kith-demo", env = "KITH_PASSWORD", hide_env_values = true)]
    password: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let begun = Instant::now();
    let files = Files::read(&options.folder)?;
    let client = Client::sign_in(&options.url, &options.email, &options.password).await?;
    let mut remarks = Remarks::default();

    add_fields(&client, &files).await?;
    let stages = pipeline(&client).await?;
    println!("{}", write(&client, "Member", "members", members(&files)).await?);
    println!("{}", write(&client, "Company", "companies", companies(&files, &mut remarks)).await?);
    println!("{} (parents)", write(&client, "Company", "companies", parents(&files, &mut remarks)).await?);
    println!("{}", write(&client, "Deal", "deals", deals(&files, &stages, &mut remarks)).await?);
    remarks.print();
    summary(&client).await?;
    println!("\nTook {:.1} s.", begun.elapsed().as_secs_f64());
    Ok(())
}

/// What could not be placed as it stood, counted by reason.
#[derive(Default)]
struct Remarks(BTreeMap<String, usize>);

impl Remarks {
    fn note(&mut self, reason: impl Into<String>) {
        *self.0.entry(reason.into()).or_default() += 1;
    }

    fn print(&self) {
        println!("\nWhat did not fit as it stood:");
        for (reason, count) in &self.0 {
            println!("  {count:>5}  {reason}");
        }
    }
}

fn key(id: &str) -> Value {
    json!({ "externalId": { "system": SYSTEM, "value": id } })
}

/// The fields that this data needs beyond the standard ones. A field that is there already stays.
async fn add_fields(client: &Client, files: &Files) -> Result<()> {
    let products: Vec<Value> = files
        .products
        .iter()
        .map(|product| json!({ "key": product.key(), "label": format!("{} ({}, list price {})", product.product, product.series, product.sales_price) }))
        .collect();
    let fields = [
        json!({ "object": "DEAL", "name": "product", "kind": "SELECT", "label": "Product", "indexed": true, "options": products }),
        json!({ "object": "DEAL", "name": "engagedOn", "kind": "DATE", "label": "Engaged on", "indexed": true }),
        json!({ "object": "MEMBER", "name": "manager", "kind": "TEXT", "label": "Manager" }),
        json!({ "object": "MEMBER", "name": "regionalOffice", "kind": "TEXT", "label": "Regional office" }),
    ];
    for field in fields {
        let document = "mutation ($input: CreateFieldInput!) { createField(input: $input) { userErrors { code message } } }";
        let payload = client.ask(document, json!({ "input": field })).await?;
        match payload["createField"]["userErrors"][0]["code"].as_str() {
            None | Some("TAKEN") => {}
            Some(_) => return Err(payload["createField"]["userErrors"].to_string().into()),
        }
    }
    Ok(())
}

/// The pipeline with the stages of the files, and the stages' ids by name.
async fn pipeline(client: &Client) -> Result<HashMap<String, String>> {
    write(
        client,
        "Pipeline",
        "pipelines",
        vec![Upsert { key: key("pipeline"), input: json!({ "name": "Hardware sales", "position": 2 }) }],
    )
    .await?;
    for (name, probability) in [("Prospecting", "20"), ("Engaging", "50")] {
        let input = json!({ "name": name, "probability": probability, "pipeline": { "key": key("pipeline") } });
        write(client, "Stage", "stages", vec![Upsert { key: key(name), input }]).await?;
    }
    let document = "query ($key: PipelineKey!) { pipeline(key: $key) { stages { nodes { id name } } } }";
    let data = client.ask(document, json!({ "key": key("pipeline") })).await?;
    let stages = data["pipeline"]["stages"]["nodes"].as_array().ok_or("the pipeline has no stages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(stages.iter().map(|stage| (text(&stage["name"]), text(&stage["id"]))).collect())
}

fn members(files: &Files) -> Vec<Upsert> {
    let member = |agent: &files::Agent| Upsert {
        key: key(&agent.sales_agent),
        input: json!({ "name": agent.sales_agent, "status": "INVITED", "custom": { "manager": agent.manager, "regionalOffice": agent.regional_office } }),
    };
    files.agents.iter().map(member).collect()
}

fn companies(files: &Files, remarks: &mut Remarks) -> Vec<Upsert> {
    let mut upserts = Vec::new();
    for account in &files.accounts {
        let (industry, corrected) = files::spelled(&account.sector);
        if corrected {
            remarks.note(format!("accounts in the sector `{}`: read as `{industry}`", account.sector));
        }
        let country = files::country(&account.office_location);
        if country.is_none() {
            remarks.note(format!("accounts at `{}`: no country of that name, so no address", account.office_location));
        }
        let million = account.revenue.parse::<Decimal>().map(|millions| (millions * Decimal::from(1_000_000)).normalize().to_string());
        upserts.push(Upsert {
            key: key(&account.account),
            input: json!({
                "name": account.account,
                "industry": industry,
                "foundedYear": account.year_established.parse::<i32>().ok(),
                "employeeCount": account.employees.parse::<i32>().ok(),
                "annualRevenue": million.ok().map(|amount| json!({ "amount": amount, "currency": "USD" })),
                "billingAddress": country.map(|code| json!({ "country": code })),
            }),
        });
    }
    upserts
}

fn parents(files: &Files, remarks: &mut Remarks) -> Vec<Upsert> {
    let mut upserts = Vec::new();
    for account in files.accounts.iter().filter(|account| !account.subsidiary_of.is_empty()) {
        if files.accounts.iter().any(|other| other.account == account.subsidiary_of) {
            upserts.push(Upsert {
                key: key(&account.account),
                input: json!({ "name": account.account, "parent": { "key": key(&account.subsidiary_of) } }),
            });
        } else {
            remarks.note(format!("accounts whose parent `{}` is no account: without parent", account.subsidiary_of));
        }
    }
    upserts
}

fn deals(files: &Files, stages: &HashMap<String, String>, remarks: &mut Remarks) -> Vec<Upsert> {
    let mut upserts = Vec::new();
    for line in &files.opportunities {
        let Some(stage) = stages.get(&line.deal_stage) else {
            remarks.note(format!("opportunities in the unknown stage `{}`: left out", line.deal_stage));
            continue;
        };
        upserts.push(Upsert { key: key(&line.opportunity_id), input: deal(files, line, stage, remarks) });
    }
    upserts
}

fn deal(files: &Files, line: &Opportunity, stage: &str, remarks: &mut Remarks) -> Value {
    let product = files.product(&line.product);
    match product {
        Some(product) if product.product != line.product => {
            remarks.note(format!("opportunities for `{}`: read as `{}`", line.product, product.product));
        }
        None => remarks.note(format!("opportunities for the unknown product `{}`: without product", line.product)),
        Some(_) => {}
    }
    if line.account.is_empty() {
        remarks.note("opportunities without account: deals without company");
    }
    if line.engage_date.is_empty() {
        remarks.note("opportunities without engage date: deals without `engagedOn`");
    }
    if line.close_value.is_empty() {
        remarks.note("opportunities without close date and value, all open: deals without amount");
    }
    let name = [product.map_or(line.product.as_str(), |product| product.product.as_str()), line.account.as_str()];
    let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
    let closed = files::day(&line.close_date);
    let mut input = json!({
        "name": name.join(" for "),
        "stage": { "id": stage },
        "owner": { "key": key(&line.sales_agent) },
        "amount": line.close_value.parse::<Decimal>().ok().map(|amount| json!({ "amount": amount.to_string(), "currency": "USD" })),
        "expectedCloseDate": closed,
        "custom": { "product": product.map(files::Product::key), "engagedOn": files::day(&line.engage_date) },
    });
    if let Some(day) = closed {
        // The files know the day only; noon is the same day in nearly every time zone.
        input["closedAt"] = json!(format!("{day}T12:00:00Z"));
    }
    if !line.account.is_empty() {
        input["company"] = json!({ "key": key(&line.account) });
    }
    input
}

/// Writes records, several to a document and several documents at once; says what came of it.
async fn write(client: &Client, ty: &str, plural: &str, upserts: Vec<Upsert>) -> Result<String> {
    let count = upserts.len();
    let before = client.count(plural, SYSTEM).await?;
    let mut rest = upserts.into_iter();
    let documents = std::iter::from_fn(|| {
        let chunk: Vec<Upsert> = rest.by_ref().take(PER_DOCUMENT).collect();
        (!chunk.is_empty()).then_some(chunk)
    });
    let documents: Vec<Vec<Upsert>> = documents.collect();
    stream::iter(documents).map(|chunk| client.upsert(ty, chunk)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let new = client.count(plural, SYSTEM).await? - before;
    Ok(format!("{plural}: {count} sent, {new} new"))
}

/// The pipeline by stage, as the server tells it.
async fn summary(client: &Client) -> Result<()> {
    let document = "query ($key: PipelineKey!) { pipeline(key: $key) { name deals { totalCount } stages { nodes { id name deals { totalCount } } } } }";
    let data = client.ask(document, json!({ "key": key("pipeline") })).await?;
    let pipeline = &data["pipeline"];
    println!("\n{}: {} deals", pipeline["name"].as_str().unwrap_or_default(), pipeline["deals"]["totalCount"]);
    for stage in pipeline["stages"]["nodes"].as_array().into_iter().flatten() {
        let worth = client.worth_of_stage(stage["id"].as_str().unwrap_or_default()).await?;
        println!(
            "  {:<12} {:>5}  worth {:>10} USD",
            stage["name"].as_str().unwrap_or_default(),
            stage["deals"]["totalCount"],
            worth.normalize()
        );
    }
    Ok(())
}
