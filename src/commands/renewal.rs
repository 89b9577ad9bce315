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
    /// From a file that the command line names, or the usual one if it is there now: then it has to stay.
    pub fn new(file: Option<PathBuf>) -> Self {
        let usual = || Some(PathBuf::from(Config::USUAL)).filter(|file| file.exists());
        Self { file: file.or_else(usual), data_dir: None }
    }

    pub fn load(&self) -> Result<Config, Wrong> {
        let mut config = Config::load(self.file.as_deref(), |name| std::env::var(name).ok())?;
        if let Some(folder) = &self.data_dir {
            config.server.data_dir.clone_from(folder);
        }
        Ok(config)
    }
}

/// When the system asks to read the settings again (SIGHUP). Without it the process would end of that.
pub struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    pub fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Takes over what rotates, every half minute and on SIGHUP, for as long as the process runs.
pub async fn keep_renewing(app: Arc<App>, source: Source, mut hangups: Hangups) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = hangups.next() => {}
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
                Ok(()) => tracing::info!("{setting} changed and is taken over"),
                Err(error) => tracing::warn!("{setting} changed and cannot be used; the old one stays: {error}"),
            }
        }
    }
}
