//! A small GraphQL client.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::Result;

pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// A record to be written, and the key to find it by.
pub struct Upsert {
    pub key: Value,
    pub input: Value,
}

impl Client {
    pub async fn sign_in(url: &str, email: &str, password: &str) -> Result<Self> {
        let mut client = Self { http: reqwest::Client::new(), url: format!("{}/graphql", url.trim_end_matches('/')), token: String::new() };
        let document = "mutation ($email: String!, $password: String!) { signIn(input: { email: $email, password: $password }) { session { accessToken } userErrors { message } } }";
        let data = client.ask(document, json!({ "email": email, "password": password })).await?;
        match data["signIn"]["session"]["accessToken"].as_str() {
            Some(token) => token.clone_into(&mut client.token),
            None => return Err(format!("cannot sign in: {}", data["signIn"]["userErrors"]).into()),
        }
        Ok(client)
    }

    /// Sends a document; errors of the request as a whole are errors here.
    pub async fn ask(&self, document: &str, variables: Value) -> Result<Value> {
        let mut request = self.http.post(&self.url).json(&json!({ "query": document, "variables": variables }));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let mut answer: Value = request.send().await?.json().await?;
        match answer.get("errors") {
            Some(errors) => Err(errors.to_string().into()),
            None => Ok(answer["data"].take()),
        }
    }

    /// How many records carry an id of the system.
    pub async fn count(&self, plural: &str, system: &str) -> Result<i64> {
        let document = format!("{{ {plural}(filter: {{ externalIds: {{ system: \"{system}\" }} }}) {{ totalCount }} }}");
        let data = self.ask(&document, json!({})).await?;
        Ok(data[plural]["totalCount"].as_i64().unwrap_or(0))
    }

    /// Upserts some records of one type in one document.
    pub async fn upsert(&self, ty: &str, upserts: Vec<Upsert>) -> Result<()> {
        let (mut head, mut body, mut variables) = (String::new(), String::new(), Map::new());
        for (n, upsert) in upserts.into_iter().enumerate() {
            let _ = write!(head, "$k{n}: {ty}Key!, $i{n}: {ty}Create!, ");
            let _ = write!(body, "u{n}: upsert{ty}(key: $k{n}, input: $i{n}) {{ userErrors {{ code message path }} }} ");
            variables.insert(format!("k{n}"), upsert.key);
            variables.insert(format!("i{n}"), upsert.input);
        }
        let data = self.ask(&format!("mutation ({head}) {{ {body} }}"), Value::Object(variables.clone())).await?;
        for (alias, payload) in data.as_object().into_iter().flatten() {
            if payload["userErrors"] != json!([]) {
                let key = &variables[&alias.replace('u', "k")];
                return Err(format!("{ty} {key}: {}", payload["userErrors"]).into());
            }
        }
        Ok(())
    }

    /// The sum of the amounts in a stage, page by page.
    pub async fn worth_of_stage(&self, stage: &str) -> Result<Decimal> {
        let document = "query ($stage: ID!, $after: Cursor) { deals(first: 200, after: $after, filter: { stage: { id: { eq: $stage } } }) { nodes { amount { amount } } pageInfo { hasNextPage endCursor } } }";
        let (mut sum, mut after) = (Decimal::ZERO, Value::Null);
        loop {
            let data = self.ask(document, json!({ "stage": stage, "after": after })).await?;
            for deal in data["deals"]["nodes"].as_array().into_iter().flatten() {
                if let Some(amount) = deal["amount"]["amount"].as_str() {
                    sum += amount.parse::<Decimal>()?;
                }
            }
            if data["deals"]["pageInfo"]["hasNextPage"] != true {
                return Ok(sum);
            }
            after = data["deals"]["pageInfo"]["endCursor"].clone();
        }
    }
}
