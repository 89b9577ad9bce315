//! Mutations of records: the write, and the payload that tells what came of it.

use std::fmt::Write as _;

use async_graphql::{Context, Value};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::records::{one, raw};
use super::request::{self, Request, Signed};
use super::selection;
use super::types::{Mutation, Of, Verb};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::{Mode, Tx};
use crate::objects::stage;
use crate::records::selection::{Merged, Selection, collect};
use crate::records::write::{Conflict, ErrorPolicy, OnConflict, Outcome, Rejected, Unit, Written};
use crate::records::{self, query};

/// How often a write is tried when the database asks for it (deadlock, two creations at once).
const TRIES: usize = 3;

pub async fn write(ctx: &Context<'_>, mutation: &Mutation) -> Result<Value> {
    let request = request::of(ctx);
    let arguments = selection::arguments(ctx);
    let selection = selection::below(ctx)?;
    let call = Call { request, signed: request.signed()?, of: &mutation.of, arguments: &arguments, selection: &selection };
    for _ in 1..TRIES {
        match call.run(mutation.verb).await {
            Err(Error::Fault(fault)) if fault.retry => {}
            done => return done.map(raw),
        }
    }
    call.run(mutation.verb).await.map(raw)
}

/// One mutation: what was asked, by whom, of which object.
struct Call<'a> {
    request: &'a Request,
    signed: &'a Signed,
    of: &'a Of,
    arguments: &'a Map<String, Json>,
    selection: &'a Selection,
}

impl Call<'_> {
    async fn run(&self, verb: Verb) -> Result<String> {
        let tx = self.request.app.db.begin(&self.signed.ctx.scope(), Mode::Write).await?;
        let mut unit = Unit::new(&self.signed.ctx, &self.signed.known.catalog, &tx, &self.request.app.rules);
        let validate_only = self.flag("validateOnly");
        let (payload, keep) = match verb {
            Verb::CreateMany | Verb::UpdateMany | Verb::DeleteMany => self.many(&mut unit, &tx, verb, validate_only).await?,
            verb => self.single(&mut unit, &tx, verb, validate_only).await?,
        };
        if keep && !validate_only {
            let changes = unit.mark();
            // The log comes last: nothing runs between it and the commit.
            unit.finish().await?;
            tx.commit().await?;
            self.request.app.statistics.count(&self.request.app.db, changes);
            if matches!(self.of.object.name.as_str(), "member" | "territory") {
                // Whoever was suspended, got another superior or another territory, is looked at anew.
                self.request.app.forget_access(self.signed.ctx.workspace).await;
            }
        } else {
            tx.rollback().await?;
        }
        Ok(payload)
    }

    async fn single(&self, unit: &mut Unit<'_>, tx: &Tx, verb: Verb, validate_only: bool) -> Result<(String, bool)> {
        let outcome = self.outcome(unit, verb).await?;
        unit.lower().await?;
        let removed = matches!(verb, Verb::Delete | Verb::Purge);
        let mut out = String::new();
        let fields = collect(&[self.selection], |_| true);
        let keep = outcome.is_ok();
        self.payload(tx, &fields, &outcome, removed, validate_only, &mut out).await?;
        Ok((out, keep))
    }

    /// Carries the verb out.
    async fn outcome(&self, unit: &mut Unit<'_>, verb: Verb) -> Result<Outcome> {
        let object = &self.of.object;
        let variant = self.of.variant;
        let input = self.input();
        let outcome = match verb {
            Verb::Create => unit.create(object, variant, input).await,
            Verb::Upsert => unit.upsert(object, variant, self.argument("key"), input).await,
            _ => match self.id("id") {
                Err(error) => Err(error.into()),
                Ok(id) => match verb {
                    Verb::Update => unit.update(object, variant, id, input, self.expected()).await,
                    Verb::Delete => unit.delete(object, variant, id).await,
                    Verb::Restore => unit.restore(object, variant, id).await,
                    Verb::Purge => unit.purge(object, variant, id).await,
                    _ => self.move_stage(unit, id).await,
                },
            },
        };
        match outcome {
            Err(Rejected::Failed(error)) => Err(error),
            settled => Ok(settled),
        }
    }

    async fn move_stage(&self, unit: &mut Unit<'_>, id: Uuid) -> Outcome {
        let after = if self.argument("after").is_null() { None } else { Some(self.id("after")?) };
        unit.require("stage", id, records::access::Verb::Update).await?;
        stage::move_stage(unit, id, after).await?;
        Ok(Written { id })
    }

    async fn many(&self, unit: &mut Unit<'_>, tx: &Tx, verb: Verb, validate_only: bool) -> Result<(String, bool)> {
        let policy = if self.argument("onError") == "SKIP_FAILED" { ErrorPolicy::SkipFailed } else { ErrorPolicy::Rollback };
        let object = &self.of.object;
        let outcomes = if verb == Verb::CreateMany {
            let inputs = self.argument("inputs");
            let single = std::slice::from_ref(inputs);
            Ok(unit.create_many(object, self.of.variant, inputs.as_array().map_or(single, Vec::as_slice), policy).await?)
        } else {
            let limit = usize::try_from(self.argument("limit").as_i64().unwrap_or(0)).unwrap_or(0);
            match unit.select(object, self.of.variant, self.argument("filter"), limit).await {
                Ok(ids) if verb == Verb::UpdateMany => Ok(unit.update_many(object, &ids, self.input(), policy).await?),
                Ok(ids) => Ok(unit.delete_many(object, &ids, policy).await?),
                Err(Rejected::Failed(error)) => return Err(error),
                Err(Rejected::User { errors, .. }) => Err(errors),
            }
        };
        unit.lower().await?;
        let failed = outcomes.as_ref().is_ok_and(|outcomes| outcomes.iter().any(Result::is_err));
        let keep = outcomes.is_ok() && (policy == ErrorPolicy::SkipFailed || !failed);
        let outcomes = outcomes.map(|outcomes| if keep { outcomes } else { outcomes.into_iter().map(rolled_back).collect() });
        let committed = keep && !validate_only && outcomes.as_ref().is_ok_and(|outcomes| outcomes.iter().any(Result::is_ok));
        let mut out = String::from("{");
        for (index, field) in collect(&[self.selection], |_| true).iter().enumerate() {
            let _ = write!(out, "{}\"{}\":", if index == 0 { "" } else { "," }, field.key);
            match field.name {
                "committed" => out.push_str(if committed { "true" } else { "false" }),
                "userErrors" => write_errors(outcomes.as_ref().err().map_or(&[][..], Vec::as_slice), field, &mut out),
                "results" => {
                    let items = outcomes.as_ref().map_or(&[][..], Vec::as_slice);
                    self.results(tx, field, items, verb == Verb::DeleteMany, validate_only, &mut out).await?;
                }
                _ => {
                    let _ = write!(out, "\"{}Payload\"", crate::infra::text::pascal_case(&self.many_name()));
                }
            }
        }
        out.push('}');
        Ok((out, keep))
    }

    fn many_name(&self) -> String {
        self.of.variant.map_or_else(|| self.of.object.plural.clone(), |variant| variant.plural.to_owned())
    }

    async fn results(
        &self,
        tx: &Tx,
        field: &Merged<'_>,
        outcomes: &[Outcome],
        removed: bool,
        validate_only: bool,
        out: &mut String,
    ) -> Result<()> {
        out.push('[');
        let fields = collect(&field.children, |_| true);
        for (index, outcome) in outcomes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.payload(tx, &fields, outcome, removed, validate_only, out).await?;
        }
        out.push(']');
        Ok(())
    }

    async fn payload(
        &self,
        tx: &Tx,
        fields: &[Merged<'_>],
        outcome: &Outcome,
        removed: bool,
        validate_only: bool,
        out: &mut String,
    ) -> Result<()> {
        out.push('{');
        for (index, field) in fields.iter().enumerate() {
            let _ = write!(out, "{}\"{}\":", if index == 0 { "" } else { "," }, field.key);
            match (field.name, outcome) {
                ("deletedId", Ok(written)) if removed => {
                    let _ = write!(out, "\"{}\"", written.id);
                }
                ("userErrors", Err(Rejected::User { errors, .. })) => write_errors(errors, field, out),
                ("userErrors" | "warnings", _) => out.push_str("[]"),
                ("conflict", Err(Rejected::User { conflict: Some(conflict), .. })) => self.conflict(tx, field, conflict, out).await?,
                ("__typename", _) => {
                    let _ = write!(out, "\"{}Payload\"", self.of.type_name);
                }
                (name, Ok(written)) if name == self.of.one && !removed => {
                    out.push_str(&self.record(tx, written.id, &field.children, validate_only).await?);
                }
                _ => out.push_str("null"),
            }
        }
        out.push('}');
        Ok(())
    }

    async fn record(&self, tx: &Tx, id: Uuid, selections: &[&Selection], preview: bool) -> Result<String> {
        let mut arguments = Map::new();
        arguments.insert("id".into(), Json::String(id.to_string()));
        let items = selections.iter().flat_map(|selection| selection.items.clone()).collect();
        query(&self.signed.ctx, &self.signed.known.catalog, tx, &one(self.of, preview), &arguments, &Selection { items }).await
    }

    async fn conflict(&self, tx: &Tx, field: &Merged<'_>, conflict: &Conflict, out: &mut String) -> Result<()> {
        out.push('{');
        for (index, part) in collect(&field.children, |_| true).iter().enumerate() {
            let _ = write!(out, "{}\"{}\":", if index == 0 { "" } else { "," }, part.key);
            match part.name {
                "fields" => out.push_str(&serde_json::to_string(&conflict.fields)?),
                "baseVersion" => {
                    let _ = write!(out, "{}", conflict.base_version);
                }
                "current" => match self.id("id") {
                    Ok(id) => out.push_str(&self.record(tx, id, &part.children, false).await?),
                    Err(_) => out.push_str("null"),
                },
                _ => {
                    let _ = write!(out, "\"{}Conflict\"", self.of.type_name);
                }
            }
        }
        out.push('}');
        Ok(())
    }

    fn argument(&self, name: &str) -> &Json {
        self.arguments.get(name).unwrap_or(&Json::Null)
    }

    fn flag(&self, name: &str) -> bool {
        self.argument(name) == &Json::Bool(true)
    }

    fn input(&self) -> &Map<String, Json> {
        static EMPTY: std::sync::LazyLock<Map<String, Json>> = std::sync::LazyLock::new(Map::new);
        self.argument("input").as_object().unwrap_or(&EMPTY)
    }

    fn id(&self, name: &str) -> Result<Uuid, UserError> {
        let id = self.argument(name).as_str().and_then(|id| Uuid::parse_str(id).ok());
        id.ok_or_else(|| UserError::new(UserErrorCode::InvalidValue, &[name], "An id is a UUID."))
    }

    fn expected(&self) -> Option<(i64, OnConflict)> {
        let version = self.argument("expectedVersion").as_i64()?;
        let merge = self.argument("onConflict") == "MERGE_FIELDS";
        Some((version, if merge { OnConflict::MergeFields } else { OnConflict::Refuse }))
    }
}

/// An item that was fine, of a call that was undone.
fn rolled_back(outcome: Outcome) -> Outcome {
    outcome.and_then(|_| Err(UserError::new(UserErrorCode::RolledBack, &[], "Another item failed, so nothing was written.").into()))
}

pub fn write_errors(errors: &[UserError], field: &Merged<'_>, out: &mut String) {
    let parts = collect(&field.children, |_| true);
    let one = |error: &UserError| -> Json {
        let value = |name: &str| match name {
            "code" => Json::from(error.code.as_str()),
            "message" => Json::from(error.message.as_str()),
            "path" => Json::from(error.path.clone()),
            _ => Json::from("UserError"),
        };
        Json::Object(parts.iter().map(|part| (part.key.to_owned(), value(part.name))).collect())
    };
    let list: Vec<Json> = errors.iter().map(one).collect();
    out.push_str(&Json::Array(list).to_string());
}
