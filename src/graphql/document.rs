//! A document, read and looked at before it is executed; hot ones are kept.
//!
//! What is found out here depends on the text alone, so a text that was good once is neither read nor measured again.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet, VariableDefinition};
use async_graphql::{Name, Positioned, ServerError, Value};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::atomic;
use super::check::{check, check_text};
use super::errors::server_error;
use super::merge::merge_roots;
use super::order::{self, Order};
use super::parse::parse;
use super::schema::WorkspaceSchema;
use super::validate::{validate, variables};
use crate::config::Limits;
use crate::error::Error;

/// A document and the operation of it that runs.
pub struct Document {
    /// As it was written.
    pub parsed: ExecutableDocument,
    /// As it is executed.
    merged: ExecutableDocument,
    pub kind: OperationType,
    /// Of a mutation: whether its root fields share a transaction.
    pub atomic: bool,
    pub introspection: Introspection,
    pub order: Order,
    /// What variables are if they are not given.
    defaults: Vec<(Name, Value)>,
    /// Bytes of its text.
    size: usize,
    /// The schemas that it was found to fit, the latest last.
    fits: Mutex<Vec<u64>>,
}

/// A document is sent to few schemas: its workspace's, as it changes.
const REMEMBERED: usize = 8;

/// Whether a document asks about the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introspection {
    None,
    /// And for nothing else.
    Only,
    Mixed,
}

/// Why a text is not executed.
pub type Unfit = Box<ServerError>;

fn unfit(error: &Error) -> Unfit {
    Box::new(server_error(error))
}

impl Document {
    /// Reads a text; `trusted` ones were registered by an application.
    pub fn read(text: &str, operation: Option<&str>, limits: &Limits, trusted: bool) -> Result<Self, Unfit> {
        check_text(text).map_err(|e| unfit(&e))?;
        let tokens = if trusted { limits.body_bytes } else { limits.tokens };
        let parsed = parse(text, tokens)?;
        check(&parsed, limits, trusted).map_err(|e| unfit(&e))?;
        let mut merged = parsed.clone();
        merge_roots(&mut merged).map_err(|e| unfit(&e))?;
        let chosen = order::chosen(&parsed, operation);
        let kind = chosen.map(|found| found.node.ty).ok_or_else(|| {
            unfit(&Error::bad_request(match operation {
                Some(_) => "The document has no operation of that name (`operationName`).",
                None => "The document has several operations: say which one with `operationName`.",
            }))
        })?;
        if let (OperationType::Subscription, Some(found)) = (kind, order::chosen(&merged, operation)) {
            one_root(&found.node.selection_set.node).map_err(|e| unfit(&e))?;
        }
        Ok(Self {
            kind,
            atomic: kind == OperationType::Mutation && atomic::is_asked(&parsed, operation),
            introspection: introspection(&parsed),
            order: Order::of(&parsed, operation),
            defaults: default_values(chosen.map_or(&[][..], |found| &found.node.variable_definitions)),
            size: text.len(),
            fits: Mutex::default(),
            parsed,
            merged,
        })
    }

    /// The document as it is executed: equal root fields are one.
    pub const fn merged(&self) -> &ExecutableDocument {
        &self.merged
    }

    /// What is wrong with the document or with what a request gives to its variables, by a schema.
    pub fn check(&self, schema: &WorkspaceSchema, request: &async_graphql::Request) -> Result<(), Vec<ServerError>> {
        let fits = |known: &Mutex<Vec<u64>>| known.lock().unwrap_or_else(PoisonError::into_inner).contains(&schema.id);
        if !fits(&self.fits) {
            let errors = validate(schema.registry(), &self.parsed);
            if !errors.is_empty() {
                return Err(errors);
            }
            let mut known = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.remove(0);
            }
            known.push(schema.id);
        }
        let Some(operation) = order::chosen(&self.parsed, request.operation_name.as_deref()) else { return Ok(()) };
        variables::check(schema.registry(), &operation.node, &request.variables).map_err(|error| vec![error])
    }

    /// The request as it is executed: with the document, and with what its variables are if they are not given.
    /// async-graphql 7.2 forgets defaults in `@skip` and `@include`, so they are given like values of the caller.
    pub fn put_into(&self, mut request: async_graphql::Request) -> async_graphql::Request {
        for (name, value) in &self.defaults {
            request.variables.entry(name.clone()).or_insert_with(|| value.clone());
        }
        request.set_parsed_query(self.merged.clone());
        request
    }
}

fn default_values(definitions: &[Positioned<VariableDefinition>]) -> Vec<(Name, Value)> {
    let default = |definition: &Positioned<VariableDefinition>| {
        Some((definition.node.name.node.clone(), definition.node.default_value.clone()?.node))
    };
    definitions.iter().filter_map(default).collect()
}

/// A subscription has one root field, on which no condition is put (GraphQL, section "Single Root Field").
fn one_root(set: &SelectionSet) -> Result<(), Error> {
    match &set.items[..] {
        [only] => match &only.node {
            Selection::Field(field) if field.node.name.node.starts_with("__") => {
                Err(Error::bad_request("A subscription subscribes to something: introspection is a query."))
            }
            Selection::Field(field) if field.node.directives.iter().any(|d| matches!(d.node.name.node.as_str(), "skip" | "include")) => {
                Err(Error::bad_request("The root field of a subscription has no `@skip` and no `@include`."))
            }
            _ => Ok(()),
        },
        _ => Err(Error::bad_request("A subscription has exactly one root field.")),
    }
}

/// Whether any operation of a document, which was checked, asks about the schema.
fn introspection(document: &ExecutableDocument) -> Introspection {
    let (mut schema, mut data) = (false, false);
    let mut sets: Vec<&SelectionSet> = document.operations.iter().map(|(_, found)| &found.node.selection_set.node).collect();
    let mut spread: Vec<&str> = Vec::new();
    while let Some(set) = sets.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => match field.node.name.node.as_str() {
                    "__schema" | "__type" => schema = true,
                    "__typename" => {}
                    _ => data = true,
                },
                Selection::InlineFragment(fragment) => sets.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(of) => {
                    let name = of.node.fragment_name.node.as_str();
                    if let Some(fragment) = document.fragments.get(name).filter(|_| !spread.contains(&name)) {
                        spread.push(name);
                        sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    match (schema, data) {
        (false, _) => Introspection::None,
        (true, false) => Introspection::Only,
        (true, true) => Introspection::Mixed,
    }
}

/// Documents that were good.
pub struct Documents(Cache<[u8; 32], Arc<Document>, Weight>);

/// A document takes about so many bytes for each of its text.
const BYTES_OF_A_BYTE: u64 = 24;

#[derive(Clone)]
struct Weight;

impl Weighter<[u8; 32], Arc<Document>> for Weight {
    fn weight(&self, _: &[u8; 32], document: &Arc<Document>) -> u64 {
        u64::try_from(document.size).unwrap_or(u64::MAX).saturating_mul(BYTES_OF_A_BYTE).saturating_add(512)
    }
}

impl Documents {
    pub fn new(mebibytes: u32) -> Self {
        let bytes = u64::from(mebibytes) << 20;
        let fitting = usize::try_from(bytes / 16_384).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(fitting.clamp(1, 100_000), bytes, Weight))
    }

    /// Reads a text, or finds it read.
    pub fn read(&self, text: &str, operation: Option<&str>, limits: &Limits, trusted: bool) -> Result<Arc<Document>, Unfit> {
        let mut hash = Sha256::new();
        hash.update([u8::from(trusted), u8::from(operation.is_some())]);
        hash.update(operation.unwrap_or_default().len().to_le_bytes());
        hash.update(operation.unwrap_or_default());
        hash.update(text);
        let key = hash.finalize().into();
        if let Some(known) = self.0.get(&key) {
            return Ok(known);
        }
        let document = Arc::new(Document::read(text, operation, limits, trusted)?);
        self.0.insert(key, document.clone());
        Ok(document)
    }
}
