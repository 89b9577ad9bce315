//! In which form a request comes, and in which its answer is wanted (RFC 9110, section 12.5.1; GraphQL over HTTP).

use axum::http::{HeaderMap, header};

pub const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
pub const EVENT_STREAM: &str = "text/event-stream";

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`: the status tells whether the request could be executed.
    GraphqlResponse,
    /// `application/json`: whoever asks for it gets 200 for whatever GraphQL has an answer to.
    Json,
    /// `text/event-stream`, as graphql-sse's distinct connections have it.
    EventStream,
}

/// The form that a request wants most; none if it wants none that there is.
pub fn wanted(headers: &HeaderMap) -> Option<Media> {
    let mut given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if given.peek().is_none() {
        return Some(Media::Json);
    }
    let mut best: Option<(Media, u32)> = None;
    for range in given.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            GRAPHQL_RESPONSE => Media::GraphqlResponse,
            "application/json" | "application/*" | "*/*" | "" => Media::Json,
            EVENT_STREAM => Media::EventStream,
            _ => continue,
        };
        let mut charset = true;
        let mut quality = 1_000;
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("q", value)) => quality = thousandths(value),
                Some(("charset", value)) => charset = value.trim_matches('"').eq_ignore_ascii_case("utf-8"),
                _ => {}
            }
        }
        if charset && quality > 0 && best.is_none_or(|(_, known)| quality > known) {
            best = Some((media, quality));
        }
    }
    best.map(|(media, _)| media)
}

/// A weight as a number from 0 to 1,000; what is no weight counts as 1.
fn thousandths(value: &str) -> u32 {
    match value.trim().split_once('.') {
        None if value.trim() == "0" => 0,
        Some(("0", digits)) if digits.len() <= 3 => format!("{digits:0<3}").parse().unwrap_or(1_000),
        _ => 1_000,
    }
}

/// What a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Json,
    Multipart,
    Other,
}

pub fn sent(headers: &HeaderMap) -> Sent {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset") || ["utf-8", "utf8"].iter().any(|known| value.trim_matches('"').eq_ignore_ascii_case(known))
    });
    match essence.as_str() {
        "multipart/form-data" => Sent::Multipart,
        // A form of another page cannot say that it is JSON without being let.
        _ if utf8 && (essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")) => Sent::Json,
        _ => Sent::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        wanted(&headers)
    }

    #[test]
    fn the_form_that_is_wanted_most_is_given() {
        assert_eq!(wanted(&HeaderMap::new()), Some(Media::Json));
        assert_eq!(of("*/*"), Some(Media::Json));
        assert_eq!(of("application/graphql-response+json, application/json;q=0.9"), Some(Media::GraphqlResponse));
        assert_eq!(of("application/graphql-response+json;q=0.5, application/json;q=0.55"), Some(Media::Json));
        assert_eq!(of("application/graphql-response+json; charset=utf-8"), Some(Media::GraphqlResponse));
        assert_eq!(of("text/event-stream, */*;q=0.1"), Some(Media::EventStream));
        assert_eq!(of("text/html"), None);
        assert_eq!(of("application/json;q=0"), None);
    }
}
