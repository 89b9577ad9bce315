//! Requests to addresses that users name: nowhere inside, no redirects, and not for ever.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::{Host, Url};

use super::web::tls;

/// As much of an answer is read.
const MOST_READ: usize = 4_096;

/// A client that does not reach what lies inside, unless it is allowed to.
#[derive(Clone)]
pub struct Outbound {
    /// Made when it is first needed.
    client: Arc<OnceLock<reqwest::Client>>,
    patience: Duration,
    allowed: Arc<Allowed>,
}

/// Which addresses are reached.
pub struct Allowed {
    /// Networks that are reached although they are private.
    pub networks: Vec<IpNet>,
}

/// What an endpoint answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The beginning of it.
    pub body: String,
    pub retry_after: Option<Duration>,
}

impl Outbound {
    pub fn new(networks: Vec<IpNet>, patience: Duration) -> Self {
        Self { client: Arc::default(), patience, allowed: Arc::new(Allowed { networks }) }
    }

    fn client(&self) -> Result<&reqwest::Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls().map_err(|e| e.to_string())?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(self.patience)
            .dns_resolver(Arc::new(Resolver(self.allowed.clone())))
            .pool_max_idle_per_host(16)
            .user_agent(concat!("Kith/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| e.to_string())?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Why an address is not one to send to; names are looked up only when something is sent.
    pub fn refuses(&self, url: &str) -> Option<&'static str> {
        let Ok(url) = Url::parse(url) else { return Some("An address looks like https://example.com/path.") };
        let inside = "The address lies inside: local and private networks are not reached.";
        match url.host() {
            _ if !matches!(url.scheme(), "https" | "http") => Some("An address begins with https:// or http://."),
            _ if !url.username().is_empty() || url.password().is_some() => {
                Some("An address has no user and no password: the signature says who sends.")
            }
            None => Some("An address has a host."),
            Some(Host::Ipv4(address)) if !self.allowed.allows(address.into()) => Some(inside),
            Some(Host::Ipv6(address)) if !self.allowed.allows(address.into()) => Some(inside),
            Some(Host::Domain(name)) if self.allowed.networks.is_empty() && is_local(name) => Some(inside),
            Some(_) => None,
        }
    }

    /// Posts JSON; what an endpoint answers, or why there is no answer.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: String) -> Result<Answer, String> {
        if let Some(why) = self.refuses(url) {
            return Err(why.to_owned());
        }
        let sent = self.client()?.post(url).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|e| told(&e))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut read = Vec::new();
        while read.len() < MOST_READ {
            match response.chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk[..chunk.len().min(MOST_READ - read.len())]),
                // What was answered counts, whatever becomes of the rest.
                Ok(None) | Err(_) => break,
            }
        }
        let body = String::from_utf8_lossy(&read).replace('\0', "");
        Ok(Answer { status, body, retry_after: retry_after.map(Duration::from_secs) })
    }
}

/// Names that mean this machine or its network, wherever they are asked for.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end))
}

/// In words, without the address.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "There was no answer in time.".to_owned();
    }
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        if let Some(Inside) = source.downcast_ref() {
            return Inside.to_string();
        }
        why = source;
    }
    if error.is_connect() { format!("No connection: {why}.") } else { format!("The request failed: {why}.") }
}

/// A name that leads inside.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("The name leads inside: local and private networks are not reached.")]
struct Inside;

/// Looks names up, and leaves out what may not be reached: what is connected to is what was looked at.
struct Resolver(Arc<Allowed>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let reached: Vec<SocketAddr> = found.into_iter().filter(|address| allowed.allows(address.ip())).collect();
            if reached.is_empty() {
                return Err(Box::new(Inside) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(reached.into_iter()) as Addrs)
        })
    }
}

impl Allowed {
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address)) || is_outside(address)
    }
}

/// Whether an address is one of the internet at large (IANA's registries of special-purpose addresses).
fn is_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast()
                || a == 0
                || a >= 240
                // Shared by carriers; assigned by protocols; for benchmarks.
                || a == 100 && (64..128).contains(&b)
                || a == 192 && b == 0 && c == 0
                || a == 198 && (b == 18 || b == 19))
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            // Global unicast, without what is only translated or documented.
            first & 0xe000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && matches!(address.segments()[1], 0..=0x1ff | 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(networks: &[&str]) -> Outbound {
        Outbound::new(networks.iter().map(|network| network.parse().unwrap()).collect(), Duration::from_secs(1))
    }

    #[test]
    fn what_lies_inside_is_not_reached() {
        let strict = outbound(&[]);
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:80/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0/",
            "http://10.1.2.3/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://[2002:7f00:1::]/",
            "http://[64:ff9b::7f00:1]/",
            "http://100.64.0.1/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://metadata.google.internal/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://user:password@example.com/",
            "nonsense",
        ] {
            assert!(strict.refuses(url).is_some(), "{url}");
        }
        for url in ["https://example.com/hook", "http://93.184.216.34/", "https://[2606:4700::1111]/"] {
            assert_eq!(strict.refuses(url), None, "{url}");
        }
        assert_eq!(outbound(&["127.0.0.0/8"]).refuses("http://127.0.0.1:8080/"), None);
        assert!(outbound(&["127.0.0.0/8"]).refuses("http://10.0.0.1/").is_some());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_reached() {
        let error = outbound(&["10.0.0.0/8"]).post("http://localhost:9/", HeaderMap::new(), String::new()).await.unwrap_err();
        assert!(error.contains("leads inside"), "{error}");
    }
}
