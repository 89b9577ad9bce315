//! The answer's JSON.
//!
//! Records come as JSON that is finished ([`crate::graphql::records::raw`]); it goes into the body as it
//! stands. serde would parse it once more to be sure that it is JSON, and copy it twice.

use async_graphql::Value;
use async_graphql_value::RAW_VALUE_TOKEN;

use super::reply::Reply;
use crate::graphql::order::Order;

/// Writes what a request is answered. A request that was not executed has no `data`.
pub fn write(reply: &Reply, out: &mut String) {
    let none = Order::default();
    let order = reply.document.as_ref().map_or(&none, |document| &document.order);
    let answer = &reply.answer;
    out.push('{');
    if reply.is_executed() {
        out.push_str("\"data\":");
        write_value(&answer.data, order, out);
    }
    if !answer.errors.is_empty() {
        out.push_str(if reply.is_executed() { ",\"errors\":" } else { "\"errors\":" });
        write_with_serde(&answer.errors, out);
    }
    if !answer.extensions.is_empty() {
        out.push_str(",\"extensions\":");
        write_with_serde(&answer.extensions, out);
    }
    out.push('}');
}

/// What was asked for, and nothing of how it was answered.
pub fn write_data(reply: &Reply, out: &mut String) {
    let none = Order::default();
    write_value(&reply.answer.data, reply.document.as_ref().map_or(&none, |document| &document.order), out);
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
