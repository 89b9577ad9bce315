//! The parameters of a request: `query`, `variables`, `operationName`, `extensions`, and `documentId` in the place of a
//! text, as JSON in a body or in the address.

use async_graphql::{Request, Value, Variables};
use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};

/// What a body holds.
pub enum Incoming {
    One(Box<Request>),
    /// Several requests in one, each answered by itself.
    Batch(Vec<Request>),
}

/// Reads a body.
pub fn of_body(body: &[u8]) -> Result<Incoming> {
    if body.is_empty() {
        return Err(Error::bad_request("The request has no body: send `{ \"query\": …, \"variables\": … }`."));
    }
    let parsed: Json = serde_json::from_slice(body).map_err(|e| {
        Error::bad_request(format!("The body is not JSON: something is wrong at line {}, column {}.", e.line(), e.column()))
    })?;
    match parsed {
        Json::Array(requests) => Ok(Incoming::Batch(requests.into_iter().map(of_json).collect::<Result<_>>()?)),
        one => Ok(Incoming::One(Box::new(of_json(one)?))),
    }
}

/// Reads a request as JSON.
pub fn of_json(given: Json) -> Result<Request> {
    let Json::Object(mut members) = given else {
        return Err(Error::bad_request("A request is an object: `{ \"query\": …, \"variables\": … }`."));
    };
    let query = text(&mut members, "query")?;
    let document = text(&mut members, "documentId")?;
    let operation = text(&mut members, "operationName")?;
    let variables = map(&mut members, "variables")?;
    let extensions = map(&mut members, "extensions")?;
    build(query, document, operation, variables, extensions)
}

/// Reads the parameters of an address.
pub fn of_address(query: &str) -> Result<Request> {
    let mut members = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if members.contains_key(name.as_ref()) {
            return Err(Error::bad_request(format!("The parameter `{}` is given twice.", name.chars().take(40).collect::<String>())));
        }
        let parsed = match name.as_ref() {
            // Some clients send what is not there as nothing.
            "variables" | "extensions" if value.is_empty() => Json::Null,
            "variables" | "extensions" => {
                serde_json::from_str(&value).map_err(|_| Error::bad_request(format!("The parameter `{name}` is not JSON.")))?
            }
            "operationName" if value.is_empty() => Json::Null,
            _ => Json::String(value.into_owned()),
        };
        members.insert(name.into_owned(), parsed);
    }
    of_json(Json::Object(members))
}

fn build(
    query: Option<String>,
    document: Option<String>,
    operation: Option<String>,
    variables: Option<Map<String, Json>>,
    extensions: Option<Map<String, Json>>,
) -> Result<Request> {
    let persisted = extensions.as_ref().is_some_and(|extensions| extensions.contains_key("persistedQuery"));
    if query.is_none() && document.is_none() && !persisted {
        return Err(Error::bad_request("The parameter `query` is missing. Open `/` for the explorer."));
    }
    let mut request = Request::new(query.unwrap_or_default());
    if let Some(variables) = variables {
        request = request.variables(Variables::from_json(Json::Object(variables)));
    }
    if let Some(operation) = operation {
        request = request.operation_name(operation);
    }
    for (name, value) in extensions.into_iter().flatten().filter(|(name, _)| name != DOCUMENT) {
        request.extensions.insert(name, Value::from_json(value).unwrap_or_default());
    }
    if let Some(document) = document {
        request.extensions.insert(DOCUMENT.to_owned(), Value::String(document));
    }
    Ok(request)
}

/// Where the id of a registered document is kept in a request; no client can write it there.
pub const DOCUMENT: &str = " documentId";

fn text(members: &mut Map<String, Json>, name: &str) -> Result<Option<String>> {
    match members.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::bad_request(format!("The parameter `{name}` is a text."))),
    }
}

fn map(members: &mut Map<String, Json>, name: &str) -> Result<Option<Map<String, Json>>> {
    match members.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(map)) => Ok(Some(map)),
        Some(_) => Err(Error::bad_request(format!("The parameter `{name}` is an object."))),
    }
}
