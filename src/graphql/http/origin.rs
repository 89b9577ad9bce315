//! Where a request came from: the peer, or what a proxy in front says of it.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;

use crate::config;
use crate::platform::Origin;

/// The other end of the connection; none where there is no network in between.
pub type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// As much of a user agent as is kept.
const LONGEST: usize = 255;

pub fn of(settings: &config::Server, headers: &HeaderMap, peer: Peer) -> Origin {
    let text = |name: &str| headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
    // What the nearest proxy added stands last, in the last header of that name; what stands before it,
    // anybody can have written.
    let named = Some(settings.client_address_header.as_str()).filter(|name| !name.is_empty()).and_then(text);
    let last = named.and_then(|list| list.rsplit(',').next()).and_then(|last| last.trim().parse::<std::net::IpAddr>().ok());
    let forwarded = last.map(|address| address.to_string());
    let address = forwarded.or_else(|| peer.map(|Extension(ConnectInfo(peer))| peer.ip().to_string()));
    let user_agent = text("user-agent").map(|agent| agent.chars().take(LONGEST).collect());
    Origin { address, user_agent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nearest_proxy_is_believed_and_only_where_there_is_one() {
        let mut settings = config::Config::load(None, |_| None).unwrap().server;
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        assert_eq!(of(&settings, &headers, None).address, None);
        settings.client_address_header = "x-forwarded-for".into();
        assert_eq!(of(&settings, &headers, None).address.as_deref(), Some("2.2.2.2"));
        headers.append("x-forwarded-for", "3.3.3.3".parse().unwrap());
        assert_eq!(of(&settings, &headers, None).address.as_deref(), Some("3.3.3.3"));
        headers.append("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(of(&settings, &headers, None).address, None);
    }
}
