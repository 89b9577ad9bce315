//! Reading the settings again while a process runs, for secrets that rotate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kith::app::App;
use kith::config::{Config, Wrong};

/// How often files with secrets are looked at.
const EVERY: Duration = Duration::from_secs(30);

/// Where the settings come from.
#[derive(Clone, Debug)]
pub struct Source {
    pub file: Option<PathBuf>,
    /// What the command line says in place of the settings.
    pub data_dir: Option<PathBuf>,
}

impl Source {
    pub fn load(&self) -> Result<Config, Wrong> {
        let mut config = Config::load(self.file.as_deref(), |name| std::env::var(name).ok())?;
        if let Some(folder) = &self.data_dir {
            config.server.data_dir.clone_from(folder);
        }
        Ok(config)
    }
}

/// Takes over what rotates, every half minute and on SIGHUP, for as long as the process runs.
pub async fn keep_renewing(app: Arc<App>, source: Source) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = asked() => {}
        }
        let fresh = match source.load() {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::warn!("the settings were read again and are not right; what is in use stays: {error}");
                continue;
            }
        };
        for (setting, renewed) in app.renew(&fresh).await {
            match renewed {
                Ok(()) => tracing::info!("{setting} changed and is used from now on"),
                Err(error) => tracing::warn!("{setting} changed and cannot be used; the old one stays: {error}"),
            }
        }
    }
}

/// Ends when the system asks to read the settings again.
#[cfg(unix)]
async fn asked() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(mut asked) => drop(asked.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn asked() {
    std::future::pending().await
}
