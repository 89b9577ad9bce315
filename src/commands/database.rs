//! `kith migrate` and `kith expire-audit`.

use kith::app::{self, StartError};
use kith::config::Config;
use kith::infra::clock::Clock;
use kith::infra::db::{Mode, Scope};
use kith::platform::audit;

use super::{owner_of, patient};

pub async fn migrate(config: &Config, down: Option<u32>) -> Result<(), StartError> {
    let (setting, owner) = owner_of(config);
    let db = app::connect(&patient(config), setting, owner).await?;
    match down {
        Some(steps) => app::migrate_down(&db, steps).await?,
        None => app::migrate(&db).await?,
    }
    let role = url::Url::parse(&config.database.url).ok().filter(|url| url.scheme().starts_with("postgres"));
    if let (Some(role), false) = (role, config.database.migrate_url.is_empty()) {
        db.grant_to(role.username(), role.password())
            .await
            .map_err(|e| StartError(format!("cannot grant rights to `{}`: {e}", role.username())))?;
    }
    println!("The schema is at step {}.", app::applied_migrations(&db).await.map_err(|e| StartError(e.to_string()))?);
    db.close().await;
    Ok(())
}

pub async fn expire_audit(config: &Config) -> Result<(), StartError> {
    let keys = app::signing_keys(config)?;
    let (setting, owner) = owner_of(config);
    let db = app::connect(&patient(config), setting, owner).await?;
    let now = Clock::default().now();
    let days = &config.audit;
    let retention = audit::Retention::from([
        (audit::Class::SignIns, days.sign_in_days.into()),
        (audit::Class::Reads, days.read_days.into()),
        (audit::Class::Changes, days.change_days.into()),
    ]);
    let expired = async {
        let tx = db.begin(&Scope::default(), Mode::Write).await?;
        let workspaces = tx.fetch_all("SELECT id FROM workspace ORDER BY id", Vec::new()).await?;
        let mut closed = 0;
        for row in workspaces {
            let Some(workspace) = row.uuid(0)? else { continue };
            let sign = |closing: &audit::Closing| keys.sign_closing(closing, now);
            closed += usize::from(audit::expire(&tx, workspace, &retention, now, &sign).await?.is_some());
        }
        tx.commit().await?;
        Ok::<_, kith::error::Error>(closed)
    };
    let closed = expired.await.map_err(|e| StartError(format!("nothing was changed: {e}")))?;
    println!("Old entries were let go in {closed} workspaces.");
    db.close().await;
    Ok(())
}
