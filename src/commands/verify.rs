//! `kith verify`: replays the change log and compares it with the tables.

use kith::app::{App, StartError};
use kith::config::Config;
use kith::error::Result;
use kith::infra::clock::Clock;
use kith::infra::db::Mode;
use kith::platform::Cause;
use kith::records::verify::{Report, verify as compare};
use uuid::Uuid;

pub async fn verify(config: Config) -> Result<(), StartError> {
    let app = App::start(super::patient(&config), Clock::default()).await?;
    let verified = all(&app).await;
    app.close().await;
    match verified.map_err(|e| StartError(e.to_string()))? {
        0 => Ok(()),
        faults => Err(StartError(format!("{faults} things are not as the change log says."))),
    }
}

async fn all(app: &App) -> Result<usize> {
    let mut faults = 0;
    for workspace in app.workspaces.all().await? {
        let report = one(app, workspace).await?;
        println!(
            "{workspace}: {} entries of the log, {} records, {} links: {}",
            report.entries,
            report.records,
            report.links,
            if report.faults == 0 { "as the log says".to_owned() } else { format!("{} FAULTS", report.faults) }
        );
        for what in &report.told {
            println!("  {what}");
        }
        faults += report.faults;
    }
    Ok(faults)
}

async fn one(app: &App, workspace: Uuid) -> Result<Report> {
    let known = app.workspace(workspace).await?;
    let ctx = known.server_ctx(workspace, Cause::SetUp, &app.clock);
    let tx = app.db.begin(&ctx.system_scope(), Mode::Read).await?;
    let report = compare(&tx, &ctx, &known.catalog).await?;
    tx.commit().await?;
    Ok(report)
}
