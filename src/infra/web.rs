//! Requests that the server itself makes: to other issuers, to whoever judges challenges.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::{Error, Result};

/// Longer than this nobody waits at the door.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client, made when it is first needed: reading the machine's certificates takes a while.
#[derive(Clone, Default)]
pub struct Web {
    client: Arc<OnceLock<reqwest::Client>>,
}

impl Web {
    /// Follows no redirects: what was asked for is what answers.
    pub fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = client(PATIENCE).map_err(|e| Error::fault(format!("no client for outgoing requests: {e}")))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// The machine's certificates, and what both ends speak.
pub(super) fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(tls.with_root_certificates(roots).with_no_client_auth())
}

/// A client that follows no redirects and waits no longer than `patience`.
pub(super) fn client(patience: Duration) -> Result<reqwest::Client, Box<dyn std::error::Error>> {
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls()?).redirect(reqwest::redirect::Policy::none()).timeout(patience);
    Ok(client.build()?)
}
