//! Sign-in by cookies, for browsers: the page's own code never sees a token.
//!
//! `__Host-` cookies belong to this host alone, travel over TLS (or to localhost) and are not readable
//! by scripts. Since a browser sends them with whatever page asks it to, a POST that relies on them
//! must carry the header [`CSRF`], which no page of another origin can add without being let.

use axum::http::{HeaderMap, header};

use crate::config::SameSite;
use crate::features::identity::{Lifetimes, Tokens};

/// The header that shows that a request was not forged by another page.
pub const CSRF: &str = "x-kith-csrf";

const ACCESS: &str = "__Host-kith-access";
const REFRESH: &str = "__Host-kith-refresh";
/// What a browser brings back from another issuer.
pub const ISSUER: &str = "__Host-kith-issuer";

fn cookie(name: &str, value: &str, seconds: u64, same_site: SameSite) -> String {
    let same_site = match same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite={same_site}")
}

/// The cookies of a session.
pub fn set(tokens: &Tokens, lifetimes: &Lifetimes, same_site: SameSite) -> [String; 2] {
    [
        cookie(ACCESS, &tokens.access, lifetimes.access_token.as_secs(), same_site),
        cookie(REFRESH, &tokens.refresh, lifetimes.refresh_token.as_secs(), same_site),
    ]
}

/// Takes the cookies of a session away.
pub fn clear(same_site: SameSite) -> [String; 2] {
    [cookie(ACCESS, "", 0, same_site), cookie(REFRESH, "", 0, same_site)]
}

/// The cookie of a browser on its way to another issuer. It comes back by a link from there, which a
/// strict cookie would not survive.
pub fn departing(value: &str) -> String {
    cookie(ISSUER, value, 900, SameSite::Lax)
}

/// A cookie of a request.
fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(given, value)| *given == name && !value.is_empty()).map(|(_, value)| value)
}

pub fn access(headers: &HeaderMap) -> Option<&str> {
    get(headers, ACCESS)
}

pub fn refresh(headers: &HeaderMap) -> Option<&str> {
    get(headers, REFRESH)
}

pub fn issuer(headers: &HeaderMap) -> Option<&str> {
    get(headers, ISSUER)
}
