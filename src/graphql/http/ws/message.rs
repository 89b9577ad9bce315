//! The messages of `graphql-transport-ws`.

use async_graphql::Request;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use serde_json::{Map, Value as Json};

use crate::error::Error;
use crate::graphql::http::body;
use crate::graphql::http::incoming;
use crate::graphql::http::reply::Reply;

/// What a client says.
pub enum Said {
    Init(Map<String, Json>),
    Ping(Option<Json>),
    Pong,
    Subscribe {
        id: String,
        request: Box<Request>,
    },
    /// A request that is none, although the message is well formed: told as an error of the operation.
    Unfit {
        id: String,
        why: Error,
    },
    Complete {
        id: String,
    },
}

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close(pub u16, pub String);

impl Close {
    pub fn new(code: u16, why: impl Into<String>) -> Self {
        Self(code, why.into())
    }

    pub fn frame(self) -> Message {
        // A reason has 123 bytes at most.
        let reason: String = self.1.chars().take(100).collect();
        Message::Close(Some(CloseFrame { code: self.0, reason: reason.into() }))
    }
}

fn malformed(why: &str) -> Close {
    Close::new(4400, why)
}

/// Reads a message.
pub fn read(text: &str) -> Result<Said, Close> {
    let parsed: Json = serde_json::from_str(text).map_err(|_| malformed("Invalid message: not JSON"))?;
    let Json::Object(mut message) = parsed else { return Err(malformed("Invalid message: not an object")) };
    let kind = message.remove("type");
    let Some(kind) = kind.as_ref().and_then(Json::as_str) else { return Err(malformed("Invalid message: it has no type")) };
    let payload = message.remove("payload");
    let object = |payload: Option<Json>| match payload {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(members)) => Ok(Some(members)),
        Some(_) => Err(malformed("Invalid message: the payload is not an object")),
    };
    match kind {
        "connection_init" => Ok(Said::Init(object(payload)?.unwrap_or_default())),
        "ping" => Ok(Said::Ping(object(payload)?.map(Json::Object))),
        "pong" => object(payload).map(|_| Said::Pong),
        "subscribe" => {
            let id = id(&mut message)?;
            let Some(members) = object(payload)? else { return Err(malformed("Invalid message: subscribe has a payload")) };
            let named = ["query", "documentId", "extensions"].iter().any(|name| members.get(*name).is_some_and(|value| !value.is_null()));
            let typed = |name: &str, is: fn(&Json) -> bool| members.get(name).is_none_or(|value| value.is_null() || is(value));
            if !named
                || !typed("query", Json::is_string)
                || !typed("operationName", Json::is_string)
                || !typed("variables", Json::is_object)
                || !typed("extensions", Json::is_object)
            {
                return Err(malformed("Invalid message: the payload is not a request"));
            }
            Ok(match incoming::of_json(Json::Object(members)) {
                Ok(request) => Said::Subscribe { id, request: Box::new(request) },
                Err(why) => Said::Unfit { id, why },
            })
        }
        "complete" => Ok(Said::Complete { id: id(&mut message)? }),
        _ => Err(malformed("Invalid message: of a type that clients do not send")),
    }
}

fn id(message: &mut Map<String, Json>) -> Result<String, Close> {
    match message.remove("id") {
        Some(Json::String(id)) if !id.is_empty() => Ok(id),
        _ => Err(malformed("Invalid message: it has no id")),
    }
}

pub fn ack() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#))
}

pub fn pong(payload: Option<&Json>) -> Message {
    Message::Text(match payload {
        None => Utf8Bytes::from_static(r#"{"type":"pong"}"#),
        Some(payload) => format!("{{\"type\":\"pong\",\"payload\":{payload}}}").into(),
    })
}

fn begin(id: &str, kind: &str) -> String {
    format!("{{\"id\":{},\"type\":\"{kind}\"", Json::String(id.to_owned()))
}

/// A part of an answer.
pub fn next(id: &str, reply: &Reply) -> Message {
    let mut text = begin(id, "next");
    text.push_str(",\"payload\":");
    body::write(reply, &mut text);
    text.push('}');
    Message::Text(text.into())
}

/// That an operation was not begun, or cannot go on.
pub fn error(id: &str, reply: &Reply) -> Message {
    let mut text = begin(id, "error");
    text.push_str(",\"payload\":");
    text.push_str(&serde_json::to_string(&reply.answer.errors).unwrap_or_else(|_| "[]".to_owned()));
    text.push('}');
    Message::Text(text.into())
}

pub fn complete(id: &str) -> Message {
    let mut text = begin(id, "complete");
    text.push('}');
    Message::Text(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_does_not_know_is_malformed() {
        let malformed = [
            "",
            "nonsense",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"next","id":"1","payload":{}}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":"x"}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"ping","payload":"x"}"#,
            r#"{"type":"connection_init","payload":[]}"#,
        ];
        for text in malformed {
            assert_eq!(read(text).err().map(|close| close.0), Some(4400), "{text}");
        }
        assert!(matches!(read(r#"{"type":"connection_init"}"#), Ok(Said::Init(_))));
        assert!(matches!(read(r#"{"type":"subscribe","id":"1","payload":{"query":"{a}"}}"#), Ok(Said::Subscribe { .. })));
    }
}
