//! `kith register-documents`.

use std::path::PathBuf;

use clap::Args;
use kith::app::{App, StartError};
use kith::config::Config;
use kith::graphql::manifest;
use kith::graphql::schema::WorkspaceSchema;
use kith::infra::clock::Clock;
use kith::platform::Cause;
use kith::records::write::Rejected;
use uuid::Uuid;

use super::told;

#[derive(Args)]
pub struct RegisterDocuments {
    /// The id of the workspace
    #[arg(long)]
    workspace: Uuid,
    /// The application's name; it is made if it is not there
    #[arg(long)]
    application: String,
    /// Put these documents in the place of all it has, instead of adding them
    #[arg(long)]
    replace: bool,
    /// The manifest that the application's build wrote: a JSON object of texts by their SHA-256 (Relay, GraphQL Code
    /// Generator with `hashAlgorithm: "sha256"`), or Apollo's persisted query manifest
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
}

pub async fn register_documents(config: Config, options: RegisterDocuments) -> Result<(), StartError> {
    let wrong = |why: String| StartError(format!("{}: {why}", options.manifest.display()));
    let text = std::fs::read_to_string(&options.manifest).map_err(|e| wrong(e.to_string()))?;
    let manifest = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let documents = manifest::read(&manifest).map_err(wrong)?;
    let app = App::start(config, Clock::default()).await?;
    let registered = async {
        let known = app.workspace(options.workspace).await?;
        let schema = WorkspaceSchema::build(&known.catalog);
        let costs = manifest::price(schema.registry(), &app.config.limits, &documents)
            .map_err(|errors| Rejected::User { errors, conflict: None })?;
        let ctx = known.server_ctx(options.workspace, Cause::SetUp, &app.clock);
        let there = app.identity.applications(&ctx).await?.into_iter().find(|(row, _)| row.name == options.application.trim());
        let application = match there {
            Some((row, _)) => row.id,
            None => app.identity.create_application(&ctx, &options.application).await?.id,
        };
        app.identity.register_documents(&ctx, application, &documents, options.replace).await?;
        Ok((application, costs.into_iter().max().unwrap_or(0)))
    };
    let done: Result<_, Rejected> = registered.await;
    app.close().await;
    let (application, most) = done.map_err(told)?;
    println!("{} documents of application {application} are registered; the dearest costs {most}.", documents.len());
    Ok(())
}
