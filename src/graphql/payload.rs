//! Mutations of records: the write, and the payload that tells what came of it.

mod merges;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let field = ctx.item.node.response_key().node.as_str();
    if let Some(answer) = request.repeat.as_ref().map(|repeat| repeat.answered(field)).transpose()?.flatten() {
        return Ok(raw(answer.to_owned()));
    }
    let arguments = selection::arguments(ctx);
    let selection = selection::below(ctx)?;
    let is_resolved = matches!(mutation.verb, Verb::Create | Verb::Update | Verb::Upsert | Verb::CreateMany | Verb::UpdateMany);
    // One record is tried first: ids of merged ones are rare.
    let at_once = is_resolved && (request.atomic.is_some() || matches!(mutation.verb, Verb::CreateMany | Verb::UpdateMany));
    let resolved = if at_once { merged(request, &arguments).await? } else { None };
    let arguments = resolved.unwrap_or(arguments);
    let signed = request.signed()?;
    let call = Call { request, signed, of: &mutation.of, field, arguments: &arguments, selection: &selection, missed: false.into() };
    if let Some(atomic) = &request.atomic {
        return atomic.lock().await.run(&call, mutation.verb).await.map(raw);
    }
    for _ in 1..TRIES {
        match call.run(mutation.verb).await {
            Err(Error::Fault(fault)) if fault.retry => {}
            done if is_resolved && !at_once && call.missed.load(Ordering::Relaxed) => {
                let Some(arguments) = merged(request, &arguments).await? else { return done.map(raw) };
                return Call { arguments: &arguments, ..call }.run(mutation.verb).await.map(raw);
            }
            done => return done.map(raw),
        }
    }
    call.run(mutation.verb).await.map(raw)
}

/// The arguments with survivors in the place of records that became part of them; none where there are none.
async fn merged(request: &Request, arguments: &Map<String, Json>) -> Result<Option<Map<String, Json>>> {
    if !records::merged::name_records(arguments) {
        return Ok(None);
    }
    let signed = request.signed()?;
    let tx = request.app.db.begin(&signed.ctx.scope(), Mode::Read).await?;
    records::merged::with_survivors(&tx, &signed.ctx, arguments).await
}

/// One mutation: what was asked, by whom, of which object.
pub(super) struct Call<'a> {
    pub request: &'a Request,
    pub signed: &'a Signed,
    pub of: &'a Of,
    /// Its name in the answer.
    pub field: &'a str,
    arguments: &'a Map<String, Json>,
    pub selection: &'a Selection,
    /// Whether something that the arguments mean was not found.
    missed: AtomicBool,
}

impl Call<'_> {
    async fn run(&self, verb: Verb) -> Result<String> {
        let tx = self.request.app.db.begin(&self.signed.ctx.scope(), Mode::Write).await?;
        let mut unit = Unit::new(&self.signed.ctx, &self.signed.known.catalog, &tx, &self.request.app.rules);
        let (payload, keep) = self.carry_out(&mut unit, &tx, verb).await?;
        if keep && !self.validates_only() {
            let changes = unit.mark();
            self.keep(&tx, &payload).await?;
            // The log comes last: nothing runs between it and the commit.
            unit.finish().await?;
            tx.commit().await?;
            self.request.app.statistics.count(&self.request.app.db, changes);
            if self.moves_access() {
                self.request.app.forget_access(self.signed.ctx.workspace).await;
            }
        } else {
            tx.rollback().await?;
        }
        Ok(payload)
    }

    /// Does what was asked, in a transaction under way: the payload, and whether it shall stay.
    pub(super) async fn carry_out(&self, unit: &mut Unit<'_>, tx: &Tx, verb: Verb) -> Result<(String, bool)> {
        let validate_only = self.validates_only();
        let known = self.argument("acknowledge").as_array().map_or(&[][..], Vec::as_slice);
        unit.acknowledged.extend(known.iter().filter_map(Json::as_str).filter_map(|id| id.parse::<Uuid>().ok()));
        match verb {
            Verb::CreateMany | Verb::UpdateMany | Verb::DeleteMany => self.many(unit, tx, verb, validate_only).await,
            Verb::Merge => self.merge(unit, tx, validate_only).await,
            Verb::Unmerge => self.unmerge(unit, tx, validate_only).await,
            verb => self.single(unit, tx, verb, validate_only).await,
        }
    }

    /// Lets a request with the same idempotency key be answered from this one.
    pub(super) async fn keep(&self, tx: &Tx, payload: &str) -> Result<()> {
        match &self.request.repeat {
            Some(repeat) => repeat.keep(tx, self.signed, self.field, payload).await,
            None => Ok(()),
        }
    }

    pub(super) fn validates_only(&self) -> bool {
        self.flag("validateOnly")
    }

    /// Whether somebody was suspended, or got another superior or another territory: they are looked at anew.
    pub(super) fn moves_access(&self) -> bool {
        matches!(self.of.object.name.as_str(), "member" | "territory")
    }

    async fn single(&self, unit: &mut Unit<'_>, tx: &Tx, verb: Verb, validate_only: bool) -> Result<(String, bool)> {
        let outcome = self.outcome(unit, verb).await?;
        unit.lower().await?;
        let removed = matches!(verb, Verb::Delete | Verb::Purge);
        let mut out = String::new();
        let fields = collect(&[self.selection], |_| true);
        let keep = outcome.is_ok();
        let set = (keep && !validate_only).then_some(unit.set.id);
        let told = Told { tx, removed, validate_only, set, warnings: &unit.warnings };
        self.payload(&told, &fields, &outcome, &mut out).await?;
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
            settled => {
                let missing = |errors: &[UserError]| errors.iter().any(|error| error.code == UserErrorCode::NotFound);
                self.missed.store(matches!(&settled, Err(Rejected::User { errors, .. }) if missing(errors)), Ordering::Relaxed);
                Ok(settled)
            }
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
        let set = committed.then_some(unit.set.id);
        let told = Told { tx, removed: verb == Verb::DeleteMany, validate_only, set, warnings: &unit.warnings };
        let mut out = String::from("{");
        for (index, field) in collect(&[self.selection], |_| true).iter().enumerate() {
            let _ = write!(out, "{}\"{}\":", if index == 0 { "" } else { "," }, field.key);
            match field.name {
                "changeSetId" => told.write_set(&mut out),
                "committed" => out.push_str(if committed { "true" } else { "false" }),
                "userErrors" => write_errors(outcomes.as_ref().err().map_or(&[][..], Vec::as_slice), field, &mut out),
                "results" => {
                    let items = outcomes.as_ref().map_or(&[][..], Vec::as_slice);
                    self.results(&told, field, items, &mut out).await?;
                }
                _ => {
                    let _ = write!(out, "\"{}Payload\"", crate::infra::text::pascal_case(&self.many_name()));
                }
            }
        }
        out.push('}');
        Ok((out, keep))
    }

    /// The payload's type.
    pub(super) fn payload_type(&self, verb: Verb) -> String {
        match verb {
            Verb::CreateMany | Verb::UpdateMany | Verb::DeleteMany => {
                format!("{}Payload", crate::infra::text::pascal_case(&self.many_name()))
            }
            Verb::Merge => format!("{}MergePayload", self.of.type_name),
            Verb::Unmerge => format!("{}UnmergePayload", self.of.type_name),
            _ => format!("{}Payload", self.of.type_name),
        }
    }

    fn many_name(&self) -> String {
        self.of.variant.map_or_else(|| self.of.object.plural.clone(), |variant| variant.plural.to_owned())
    }

    async fn results(&self, told: &Told<'_>, field: &Merged<'_>, outcomes: &[Outcome], out: &mut String) -> Result<()> {
        out.push('[');
        let fields = collect(&field.children, |_| true);
        for (index, outcome) in outcomes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.payload(told, &fields, outcome, out).await?;
        }
        out.push(']');
        Ok(())
    }

    async fn payload(&self, told: &Told<'_>, fields: &[Merged<'_>], outcome: &Outcome, out: &mut String) -> Result<()> {
        out.push('{');
        for (index, field) in fields.iter().enumerate() {
            let _ = write!(out, "{}\"{}\":", if index == 0 { "" } else { "," }, field.key);
            match (field.name, outcome) {
                ("deletedId", Ok(written)) if told.removed => {
                    let _ = write!(out, "\"{}\"", written.id);
                }
                ("changeSetId", Ok(_)) => told.write_set(out),
                ("userErrors", Err(Rejected::User { errors, .. })) => write_errors(errors, field, out),
                ("warnings", Ok(written)) => {
                    let of_it: Vec<UserError> =
                        told.warnings.iter().filter(|(id, _)| *id == written.id).map(|(_, told)| told.clone()).collect();
                    write_errors(&of_it, field, out);
                }
                ("userErrors" | "warnings", _) => out.push_str("[]"),
                ("conflict", Err(Rejected::User { conflict: Some(conflict), .. })) => self.conflict(told.tx, field, conflict, out).await?,
                ("__typename", _) => {
                    let _ = write!(out, "\"{}Payload\"", self.of.type_name);
                }
                (name, Ok(written)) if name == self.of.one && !told.removed => {
                    out.push_str(&self.record(told.tx, written.id, &field.children, told.validate_only).await?);
                }
                _ => out.push_str("null"),
            }
        }
        out.push('}');
        Ok(())
    }

    async fn record(&self, tx: &Tx, id: Uuid, selections: &[&Selection], preview: bool) -> Result<String> {
        if let Some(known) = self.known_of(id, selections).filter(|_| !preview) {
            return Ok(known);
        }
        let mut arguments = Map::new();
        arguments.insert("id".into(), Json::String(id.to_string()));
        let items = selections.iter().flat_map(|selection| selection.items.clone()).collect();
        query(&self.signed.ctx, &self.signed.known.catalog, tx, &one(self.of, preview), &arguments, &Selection { items }).await
    }

    /// A record of which nothing but its id is asked, by somebody who sees every record of its object.
    fn known_of(&self, id: Uuid, selections: &[&Selection]) -> Option<String> {
        let fields = collect(selections, |_| true);
        let only_id = fields.iter().all(|field| matches!(field.name, "id" | "recordId" | "__typename"));
        let plain = selections.iter().flat_map(|selection| &selection.items).all(|item| item.on.is_empty());
        if !only_id || !plain || fields.is_empty() || !self.signed.ctx.access.sees_all(&self.of.object.name) {
            return None;
        }
        let member = |field: &Merged<'_>| match field.name {
            "__typename" => format!("\"{}\":\"{}\"", field.key, self.of.type_name),
            _ => format!("\"{}\":\"{id}\"", field.key),
        };
        Some(format!("{{{}}}", fields.iter().map(member).collect::<Vec<_>>().join(",")))
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

/// What all payloads of a mutation are told with.
struct Told<'t> {
    tx: &'t Tx,
    /// Whether the record is gone.
    removed: bool,
    validate_only: bool,
    /// What the log calls the whole, if it was written.
    set: Option<Uuid>,
    /// What may be wrong with records that were written.
    warnings: &'t [(Uuid, UserError)],
}

impl Told<'_> {
    fn write_set(&self, out: &mut String) {
        match self.set {
            Some(id) => {
                let _ = write!(out, "\"{id}\"");
            }
            None => out.push_str("null"),
        }
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
            "records" => error.records.iter().map(Uuid::to_string).collect(),
            _ => Json::from("UserError"),
        };
        Json::Object(parts.iter().map(|part| (part.key.to_owned(), value(part.name))).collect())
    };
    let list: Vec<Json> = errors.iter().map(one).collect();
    out.push_str(&Json::Array(list).to_string());
}
