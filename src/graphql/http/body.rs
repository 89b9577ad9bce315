//! The answer's JSON.
//!
//! Records come as JSON that is finished ([`crate::graphql::records::raw`]); it goes into the body as it
//! stands. serde would parse it once more to be sure that it is JSON, and copy it twice.

use async_graphql::{Response as Answer, Value};
use async_graphql_value::RAW_VALUE_TOKEN;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::graphql::order::Order;

/// An answer whose members stand in some order or other: a refusal has none.
pub fn respond(answer: &Answer) -> Response {
    respond_in_order(answer, &Order::default())
}

pub fn respond_in_order(answer: &Answer, order: &Order) -> Response {
    let mut body = String::with_capacity(1_024);
    write(answer, order, &mut body);
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().extend(answer.http_headers.clone());
    response
}

fn write(answer: &Answer, order: &Order, out: &mut String) {
    out.push_str("{\"data\":");
    write_value(&answer.data, order, out);
    if !answer.errors.is_empty() {
        out.push_str(",\"errors\":");
        write_with_serde(&answer.errors, out);
    }
    if !answer.extensions.is_empty() {
        out.push_str(",\"extensions\":");
        write_with_serde(&answer.extensions, out);
    }
    out.push('}');
}

fn write_value(value: &Value, order: &Order, out: &mut String) {
    match value {
        Value::Object(members) => {
            if let (1, Some(Value::String(json))) = (members.len(), members.get(RAW_VALUE_TOKEN)) {
                out.push_str(json);
                return;
            }
            out.push('{');
            let mut first = true;
            let none = Order::default();
            let asked = order.members().filter_map(|(name, below)| Some((name, below, members.get(name)?)));
            // Scalars of free shape have members that nobody asked for.
            let others = members.iter().filter(|_| order.is_empty()).map(|(name, member)| (name, &none, member));
            for (name, below, member) in asked.chain(others) {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                write_with_serde(name.as_str(), out);
                out.push(':');
                write_value(member, below, out);
            }
            out.push('}');
        }
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, order, out);
            }
            out.push(']');
        }
        other => write_with_serde(other, out),
    }
}

/// Everything that is small.
fn write_with_serde(value: &(impl serde::Serialize + ?Sized), out: &mut String) {
    match serde_json::to_string(value) {
        Ok(json) => out.push_str(&json),
        Err(_) => out.push_str("null"),
    }
}
