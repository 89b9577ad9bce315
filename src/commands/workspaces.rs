//! `kith create-workspace`.

use clap::Args;
use kith::app::{App, StartError};
use kith::config::Config;
use kith::features::workspaces::NewWorkspace;
use kith::infra::clock::Clock;

use super::told;

#[derive(Args)]
pub struct CreateWorkspace {
    /// The workspace's name
    #[arg(long)]
    name: String,
    /// The administrator's name
    #[arg(long)]
    admin: String,
    /// The administrator's address, to sign in with
    #[arg(long)]
    email: String,
    /// The administrator's password
    #[arg(long, env = "KITH_ADMIN_PASSWORD", hide_env_values = true)]
    password: String,
    /// Where the workspace's days begin
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// The currency in which it reckons
    #[arg(long, default_value = "EUR")]
    currency: String,
}

pub async fn create_workspace(config: Config, options: CreateWorkspace) -> Result<(), StartError> {
    let app = App::start(config, Clock::default()).await?;
    let new = NewWorkspace {
        name: options.name,
        time_zone: options.time_zone,
        home_currency: options.currency,
        locale: "en".into(),
        admin_name: options.admin,
        admin_email: options.email,
        admin_password: options.password,
    };
    let made = app.workspaces.create(new).await;
    app.close().await;
    match made {
        Ok(made) => {
            println!("{}", made.workspace);
            Ok(())
        }
        Err(rejected) => Err(told(rejected)),
    }
}
