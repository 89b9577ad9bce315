//! WebSocket: the protocol `graphql-transport-ws`, over which operations of all kinds run side by side.
//!
//! [`message`] reads and writes what travels; [`session`] is one connection. Close codes are the protocol's: 4400 for what
//! it does not know, 4401 for whoever is not (any more) let in, 4403 for whoever is refused or whose credential ran out,
//! 4406, 4408, 4409 and 4429; and 1013 for whoever reads too slowly.

mod message;
mod session;

use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::Server;
use super::origin::{self, Peer};
use super::respond::refusal;
use crate::error::Error;

pub const PROTOCOL: &str = "graphql-transport-ws";

/// Whether a request asks for a WebSocket.
pub fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What a connection keeps ready for reading and writing; the library's own default of 128 KiB each would be a gigabyte
/// for ten thousand connections.
const BUFFER: usize = 2 * 1_024;
/// What may wait to be written.
const MOST_WAITING: usize = 4 << 20;

pub fn accept(server: Server, mut headers: HeaderMap, peer: Peer, upgrade: WebSocketUpgrade) -> Response {
    if is_of_any_page(&server, &headers) {
        // Browsers send cookies along whichever page asks: where any may, they count for nothing.
        headers.remove(header::COOKIE);
    } else if !is_let_in(&server, &headers) {
        let error = Error::forbidden("Pages of this origin may not open a WebSocket here: see the setting server.cors_origins.");
        return refusal(StatusCode::FORBIDDEN, &error);
    }
    let origin = origin::of(&server.app.config.server, &headers, peer);
    let most = server.app.config.limits.socket_frame_bytes;
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(MOST_WAITING)
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| session::run(server, headers, origin, socket))
}

/// Whether a page is let in only because every page is.
fn is_of_any_page(server: &Server, headers: &HeaderMap) -> bool {
    server.app.config.server.cors_origins.iter().any(|allowed| allowed == "*") && !is_known(server, headers)
}

/// Whether the page that opens a connection may: one of this host, or of an origin that may call. What is no browser names
/// no origin.
fn is_let_in(server: &Server, headers: &HeaderMap) -> bool {
    is_known(server, headers)
}

fn is_known(server: &Server, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let Some(page) = text(header::ORIGIN) else { return true };
    let config = &server.app.config;
    if config.server.cors_origins.iter().any(|allowed| allowed == page) {
        return true;
    }
    let authority =
        |address: &str| url::Url::parse(address).ok().map(|url| url[url::Position::BeforeHost..url::Position::AfterPort].to_owned());
    let of_page = authority(page);
    of_page.is_some() && (of_page.as_deref() == text(header::HOST) || of_page == authority(&config.auth.public_url))
}
