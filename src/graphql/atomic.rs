//! `@atomic`: all root fields of a mutation in one transaction.
//!
//! The first one begins it; each runs in it; the end of the operation appends to the log and commits. As soon as one is
//! refused, everything is undone, what follows is not run, and the other payloads say `ROLLED_BACK`.

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection};
use async_graphql::{Name, Response, Value};

use super::payload::{Call, write_errors};
use super::records::raw;
use super::request::Request;
use super::types::{Roots, Verb};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::{Backend, Mode, Tx};
use crate::platform::changelog::{Change, ChangeSet};
use crate::records::selection::collect;
use crate::records::write::Unit;

pub const DIRECTIVE: &str = "atomic";

/// The transaction of an operation.
#[derive(Default)]
pub struct Atomic {
    tx: Option<Tx>,
    changes: Vec<Change>,
    /// What the log calls all of it.
    set: Option<ChangeSet>,
    is_undone: bool,
    moves_access: bool,
    /// What fields that were done are answered if all is undone, by their names in the answer.
    undone: Vec<(String, String)>,
}

/// Whether the operation that runs says that it is atomic.
pub fn is_asked(document: &ExecutableDocument, operation: Option<&str>) -> bool {
    let asks = |found: &async_graphql::parser::types::OperationDefinition| {
        found.ty == OperationType::Mutation && found.directives.iter().any(|directive| directive.node.name.node == DIRECTIVE)
    };
    match &document.operations {
        DocumentOperations::Single(only) => asks(&only.node),
        DocumentOperations::Multiple(all) => {
            all.iter().any(|(name, found)| operation.is_none_or(|wanted| wanted == name.as_str()) && asks(&found.node))
        }
    }
}

/// Refuses root fields that have transactions of their own: of credentials, of the catalog, of everything that is no record.
pub fn check(document: &ExecutableDocument, operation: Option<&str>, roots: &Roots) -> Result<()> {
    let Some(found) = super::order::chosen(document, operation) else { return Ok(()) };
    for item in &found.node.selection_set.node.items {
        if let Selection::Field(field) = &item.node {
            let name = field.node.name.node.as_str();
            if name != "__typename" && !roots.mutations.contains_key(name) {
                return Err(Error::bad_request(format!(
                    "`{name}` does not go into an operation that is @atomic: only mutations of records do."
                )));
            }
        }
    }
    Ok(())
}

impl Atomic {
    /// Carries one root field out.
    pub(super) async fn run(&mut self, call: &Call<'_>, verb: Verb) -> Result<String> {
        if self.is_undone {
            return Ok(rolled_back(call, verb));
        }
        let done = self.carry_out(call, verb).await;
        if done.is_err() {
            self.undo().await;
        }
        done
    }

    async fn carry_out(&mut self, call: &Call<'_>, verb: Verb) -> Result<String> {
        let app = &call.request.app;
        let tx = match self.tx.take() {
            Some(tx) => tx,
            None => begin(call).await?,
        };
        let validate_only = call.validates_only();
        if validate_only {
            tx.run("SAVEPOINT preview", Vec::new()).await?;
        }
        let mut unit = Unit::new(&call.signed.ctx, &call.signed.known.catalog, &tx, &app.rules);
        // One set, at one instant.
        unit.set = *self.set.get_or_insert(unit.set);
        unit.now = unit.set.at;
        unit.before = self.changes.len();
        let (payload, keep) = call.carry_out(&mut unit, &tx, verb).await?;
        if !keep {
            drop(unit);
            self.tx = Some(tx);
            self.undo().await;
            return Ok(payload);
        }
        if validate_only {
            drop(unit);
            tx.run("ROLLBACK TO SAVEPOINT preview", Vec::new()).await?;
        } else {
            self.changes.append(&mut unit.take_changes());
            call.keep(&tx, &payload).await?;
            self.moves_access |= call.moves_access();
        }
        self.undone.push((call.field.to_owned(), rolled_back(call, verb)));
        self.tx = Some(tx);
        Ok(payload)
    }

    async fn undo(&mut self) {
        self.is_undone = true;
        self.changes.clear();
        if let Some(tx) = self.tx.take() {
            // What cannot be rolled back was not committed either.
            drop(tx.rollback().await);
        }
    }

    /// Ends the operation: commits what was done, or says of every field that it was undone.
    pub async fn end(mut self, request: &Request, response: &mut Response) -> Result<()> {
        if !response.errors.is_empty() && !self.is_undone {
            self.undo().await;
        }
        if self.is_undone {
            if let Value::Object(members) = &mut response.data {
                for (field, payload) in self.undone {
                    members.insert(Name::new(field), raw(payload));
                }
            }
            return Ok(());
        }
        let Some(tx) = self.tx.take() else { return Ok(()) };
        let signed = request.signed()?;
        let count = self.changes.len();
        let mut unit = Unit::new(&signed.ctx, &signed.known.catalog, &tx, &request.app.rules);
        unit.set = self.set.unwrap_or(unit.set);
        unit.take_over(self.changes);
        unit.finish().await?;
        tx.commit().await?;
        request.app.statistics.count(&request.app.db, count);
        if self.moves_access {
            request.app.forget_access(signed.ctx.workspace).await;
        }
        Ok(())
    }
}

/// Atomic operations of one workspace run one after the other: two that change the same records in another order would wait
/// for each other for ever.
async fn begin(call: &Call<'_>) -> Result<Tx> {
    let tx = call.request.app.db.begin(&call.signed.ctx.scope(), Mode::Write).await?;
    if tx.backend() == Backend::Postgres {
        let workspace = call.signed.ctx.workspace.to_string();
        tx.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", vec![workspace.into()]).await?;
    }
    Ok(tx)
}

/// The payload of a field that was undone, or not run, because another one was refused.
fn rolled_back(call: &Call<'_>, verb: Verb) -> String {
    let error = UserError::new(UserErrorCode::RolledBack, &[], "Another part of the operation was refused, so nothing was written.");
    let mut out = String::from("{");
    for (index, field) in collect(&[call.selection], |_| true).iter().enumerate() {
        out.push_str(if index > 0 { ",\"" } else { "\"" });
        out.push_str(field.key);
        out.push_str("\":");
        match field.name {
            "userErrors" => write_errors(std::slice::from_ref(&error), field, &mut out),
            "warnings" | "results" | "mergedIds" | "folded" | "restored" | "conflicts" => out.push_str("[]"),
            "committed" => out.push_str("false"),
            "__typename" => out.push_str(&format!("\"{}\"", call.payload_type(verb))),
            _ => out.push_str("null"),
        }
    }
    out.push('}');
    out
}
