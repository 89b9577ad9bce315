//! The verbs on one record: create, update, upsert; and the ground that all verbs stand on.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::draft::Draft;
use super::links::LinkEdit;
use super::state::{self, Loaded, State};
use super::{Conflict, Outcome, Rejected, Unit, Written, input};
use crate::catalog::{Object, Variant};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::Backend;
use crate::platform::access::Sight;
use crate::platform::changelog::{Change, ChangeKind};
use crate::records::access::Verb;

/// Whose right a write stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Caller,
    /// A rule's own doing, which follows from what the caller had the right to.
    Server,
}

/// What to do when the record has changed since the caller read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    Refuse,
    /// Take the changes, if nobody else changed the same fields.
    MergeFields,
}

/// Creates a record; nested references may create others, in the same transaction.
pub(super) async fn create(
    unit: &mut Unit<'_>,
    object: &Object,
    variant: Option<&'static Variant>,
    input: &Map<String, Json>,
    by: By,
    path: Vec<String>,
) -> Outcome {
    if by == By::Caller && !unit.ctx.access.object(&object.name).create {
        let message = format!("Your roles do not allow you to create {}.", object.plural_label.to_lowercase());
        return Err(Error::forbidden(message).into());
    }
    if object.is_archived() {
        let message = format!("{} are archived.", object.plural_label);
        return Err(UserError::new(UserErrorCode::NotWritable, &[], message).within(&path).into());
    }
    let given = match input.get("id") {
        None | Some(Json::Null) => None,
        Some(id) => Some(id.as_str().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(|| {
            UserError::new(UserErrorCode::InvalidValue, &["id"], "An id is a UUID, version 7 if possible.").within(&path)
        })?),
    };
    if given.is_some() {
        // Whether the id is free does not depend on what the caller sees.
        unit.elevate().await?;
    }
    if let Some(id) = given
        && let Some(done) = unit.created_before(object, variant, id, &path).await?
    {
        return Ok(done);
    }
    let id = given.unwrap_or_else(|| unit.ctx.clock.new_id());
    let mut draft = Draft::new(unit.catalog.object(&object.name).clone(), id, path);
    if let (Some(variant), Some(variants)) = (variant, &object.variants) {
        draft.set(variants.field, variant.value);
    }
    if let Some(member) = unit.ctx.member.filter(|_| object.name != "member") {
        draft.set("owner", member.to_string());
    }
    unit.apply(&mut draft, input, by).await?;
    input::apply_defaults(&mut draft);
    unit.save(draft).await
}

/// Changes a record.
pub(super) async fn update(
    unit: &mut Unit<'_>,
    object: &Object,
    variant: Option<&'static Variant>,
    id: Uuid,
    input: &Map<String, Json>,
    expected: Option<(i64, OnConflict)>,
    path: Vec<String>,
) -> Outcome {
    let loaded = unit.get_for_update(object, variant, id, false, Some(Verb::Update)).await.map_err(|rejected| rejected.within(&path))?;
    let mut draft = unit.draft_of(object, loaded, path);
    unit.apply(&mut draft, input, By::Caller).await?;
    if let Some((expected, on_conflict)) = expected.filter(|(expected, _)| *expected != draft.version) {
        unit.check_conflict(&draft, expected, on_conflict).await?;
    }
    unit.save(draft).await
}

impl Unit<'_> {
    pub async fn create(&mut self, object: &Object, variant: Option<&'static Variant>, input: &Map<String, Json>) -> Outcome {
        create(self, object, variant, input, By::Caller, Vec::new()).await
    }

    pub async fn update(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        id: Uuid,
        input: &Map<String, Json>,
        expected: Option<(i64, OnConflict)>,
    ) -> Outcome {
        update(self, object, variant, id, input, expected, Vec::new()).await
    }

    /// Changes the record that has the key, or creates one.
    pub async fn upsert(&mut self, object: &Object, variant: Option<&'static Variant>, key: &Json, input: &Map<String, Json>) -> Outcome {
        match self.by_key(object, key).await? {
            Some(id) => update(self, object, variant, id, &without(input, "id"), None, Vec::new()).await,
            None => {
                let mut input = input.clone();
                add_key(&mut input, key, object);
                create(self, object, variant, &input, By::Caller, Vec::new()).await
            }
        }
    }

    /// The same id again is the same record; another object's id is taken.
    async fn created_before(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        id: Uuid,
        path: &[String],
    ) -> Result<Option<Written>, Rejected> {
        self.flush_for(id).await?;
        let sql = "SELECT object FROM record WHERE workspace_id = $1 AND id = $2";
        let Some(row) = self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), id.into()]).await? else { return Ok(None) };
        let of_object = row.text(0)? == Some(&object.name);
        let same = of_object
            && self.reaches(object, id).await?
            && self.look_up(&object.name, id).await?.is_some_and(|record| is_of(object, variant, &record));
        if same {
            Ok(Some(Written { id }))
        } else {
            Err(UserError::new(UserErrorCode::Taken, &["id"], "The id belongs to another record.").within(path).into())
        }
    }

    /// A record that the caller may do this with; no verb: the server's own doing.
    pub(super) async fn get_for_update(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        id: Uuid,
        deleted_too: bool,
        verb: Option<Verb>,
    ) -> Result<Loaded, Rejected> {
        let found = state::load_reached(self.tx, self.ctx, self.catalog, object, id, verb).await?;
        let found = found.filter(|(record, _)| (deleted_too || !record.deleted) && is_of(object, variant, record));
        let label = object.label.to_lowercase();
        match found {
            Some((record, true)) => Ok(record),
            Some(_) => {
                let what = if verb == Some(Verb::Delete) { "delete" } else { "change" };
                let message = format!("You may see this {label}, but not {what} it.");
                Err(UserError::new(UserErrorCode::NotWritable, &["id"], message).into())
            }
            None => Err(UserError::new(UserErrorCode::NotFound, &["id"], format!("There is no such {label}.")).into()),
        }
    }

    /// Refuses what the caller may not do with a record.
    pub async fn require(&mut self, object: &str, id: Uuid, verb: Verb) -> Result<(), Rejected> {
        let object = self.catalog.object(object).clone();
        self.get_for_update(&object, None, id, false, Some(verb)).await.map(drop)
    }

    pub(super) fn draft_of(&self, object: &Object, loaded: Loaded, path: Vec<String>) -> Draft {
        Draft {
            object: Arc::clone(self.catalog.object(&object.name)),
            id: loaded.id,
            is_new: false,
            version: loaded.version,
            now: loaded.state.clone(),
            before: loaded.state,
            given: Default::default(),
            links: Vec::new(),
            children: Vec::new(),
            unchecked: Vec::new(),
            errors: Vec::new(),
            path,
        }
    }

    /// The state that a new record would have by its own fields; nothing is written.
    pub async fn read_draft(&mut self, object: &Object, input: &Map<String, Json>) -> Result<State, Rejected> {
        let own = |name: &str| name != "id" && !object.relations.contains_key(name);
        let mut input: Map<String, Json> =
            input.iter().filter(|(name, _)| own(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        if let Some(custom) = input.get_mut("custom").and_then(Json::as_object_mut) {
            custom.retain(|name, _| object.custom.contains_key(name));
        }
        let mut draft = Draft::new(self.catalog.object(&object.name).clone(), self.ctx.clock.new_id(), Vec::new());
        self.apply(&mut draft, &input, By::Caller).await?;
        if !draft.errors.is_empty() {
            return Err(Rejected::User { errors: draft.errors, conflict: None });
        }
        if let Some(rules) = self.rules_of(object) {
            // What it completes counts; whether all that is required is there does not.
            rules.before_save(self, &mut draft).await?;
        }
        Ok(draft.now)
    }

    /// Judges and writes a draft.
    pub(super) async fn save(&mut self, mut draft: Draft) -> Outcome {
        let rules = self.rules_of(&draft.object);
        self.elevate().await?;
        if let Some(rules) = &rules {
            rules.before_save(self, &mut draft).await?;
        }
        self.check_duplicates(&mut draft).await?;
        self.settle_known(&mut draft);
        if draft.errors.is_empty() && self.may_wait(&draft) && input::missing(&draft).is_empty() {
            let id = draft.id;
            self.wait(draft).await?;
            return Ok(Written { id });
        }
        self.flush().await?;
        let by_insert = draft.is_new && self.tx.backend() == Backend::Postgres;
        if !by_insert || !draft.errors.is_empty() || !input::missing(&draft).is_empty() {
            self.verify(&mut draft).await?;
        }
        input::check_required(&mut draft);
        if !draft.errors.is_empty() {
            return Err(Rejected::User { errors: draft.errors, conflict: None });
        }
        if draft.is_new {
            self.insert(&mut draft).await?;
            let (before, after) = draft.difference();
            self.log(&draft, ChangeKind::Created, 1, before, after);
        } else if draft.before != draft.now {
            self.write_change(&draft).await?;
        } else if draft.links.iter().any(LinkEdit::is_of_one) {
            // Where it leads is as much a field of the record as a column would be.
            self.update_columns(&draft, self.stamps(draft.version + 1, false)).await?;
            draft.version += 1;
        }
        if let Some(rules) = &rules {
            rules.after_save(self, &draft).await?;
        }
        self.apply_links(&mut draft).await?;
        self.apply_children(&mut draft).await?;
        if !draft.errors.is_empty() {
            return Err(Rejected::User { errors: draft.errors, conflict: None });
        }
        Ok(Written { id: draft.id })
    }

    pub(super) async fn write_change(&mut self, draft: &Draft) -> Result<(), Rejected> {
        self.update_rows(draft).await?;
        let (before, after) = draft.difference();
        self.log(draft, ChangeKind::Updated, draft.version + 1, before, after);
        Ok(())
    }

    /// Changes fields of another record from within a rule: the same door, without its rules.
    pub async fn set_fields(&mut self, object: &str, id: Uuid, fields: &[(&str, Json)]) -> Result<(), Rejected> {
        let object = self.catalog.object(object).clone();
        let loaded = self.get_for_update(&object, None, id, false, None).await?;
        let mut draft = self.draft_of(&object, loaded, Vec::new());
        for (name, value) in fields {
            draft.set(name, value.clone());
        }
        if draft.before != draft.now {
            self.write_change(&draft).await?;
        }
        Ok(())
    }

    /// Creates a record from within a rule.
    pub async fn create_within(&mut self, object: &str, input: Json) -> Outcome {
        let object = self.catalog.object(object).clone();
        let Json::Object(input) = input else { return Err(UserError::new(UserErrorCode::InvalidValue, &[], "Expected an object.").into()) };
        Box::pin(create(self, &object, None, &input, By::Server, Vec::new())).await
    }

    pub(super) fn log(&mut self, draft: &Draft, kind: ChangeKind, version: i64, before: Map<String, Json>, after: Map<String, Json>) {
        self.remember(Change {
            object: draft.object.name.clone(),
            record: draft.id,
            kind,
            version,
            before: before.into(),
            after: after.into(),
        });
    }

    /// The fields that others changed since the caller's version, from the change log.
    async fn check_conflict(&mut self, draft: &Draft, expected: i64, on_conflict: OnConflict) -> Result<(), Rejected> {
        let sql = "SELECT \"after\"::text, kind FROM change_log WHERE workspace_id = $1 AND record_id = $2 AND version > $3 ORDER BY seq";
        let sql = if self.tx.backend() == Backend::Postgres { sql.to_owned() } else { sql.replace("::text", "") };
        let rows = self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), draft.id.into(), expected.into()]).await?;
        let mut fields: Vec<String> = Vec::new();
        for row in rows {
            if !matches!(row.text(1)?, Some("UPDATED" | "CREATED")) {
                continue;
            }
            let after: Map<String, Json> = row.text(0)?.map(serde_json::from_str).transpose().map_err(Error::from)?.unwrap_or_default();
            let access = self.ctx.access.object(&draft.object.name);
            fields.extend(after.into_iter().map(|(name, _)| name).filter(|name| access.field(name).sight == Sight::Full));
        }
        fields.sort();
        fields.dedup();
        let overlap = fields.iter().any(|name| draft.given.contains(name));
        let from_the_future = expected > draft.version;
        if on_conflict == OnConflict::MergeFields && !overlap && !from_the_future {
            return Ok(());
        }
        let message = format!("The record has version {}, not {expected}: somebody changed it meanwhile.", draft.version);
        let error = UserError::new(UserErrorCode::Conflict, &["expectedVersion"], message);
        Err(Rejected::User { errors: vec![error], conflict: Some(Conflict { fields, base_version: expected }) })
    }
}

/// Whether a record is of the type that was asked for: a call is no task.
fn is_of(object: &Object, variant: Option<&Variant>, record: &Loaded) -> bool {
    match (&object.variants, variant) {
        (Some(variants), Some(variant)) => record.text(variants.field) == Some(variant.value),
        _ => true,
    }
}

fn without(input: &Map<String, Json>, name: &str) -> Map<String, Json> {
    input.iter().filter(|(key, _)| *key != name).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A record that an upsert creates has the key by which it was not found.
fn add_key(input: &mut Map<String, Json>, key: &Json, object: &Object) {
    for (name, value) in key.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "externalId" => add_item(input, "externalIds", value.clone(), |item| item == value),
            name if object.own_field(name).is_some() => drop(input.insert(name.to_owned(), value.clone())),
            "domain" => add_item(input, "domains", value.clone(), |item| item == value),
            "email" if !input.contains_key("email") => {
                add_item(input, "emails", serde_json::json!({ "address": value }), |item| same_text(&item["address"], value));
            }
            "custom" => {
                let custom = input.entry("custom").or_insert(Json::Null);
                if custom.is_null() {
                    *custom = Json::Object(Map::new());
                }
                if let (Json::Object(custom), Json::Object(given)) = (custom, value) {
                    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
                        custom.insert(name.clone(), value.clone());
                    }
                }
            }
            other => {
                input.insert(other.to_owned(), value.clone());
            }
        }
    }
}

/// Adds an item to a list of the input, unless it is there; a single item stands for a list of one.
fn add_item(input: &mut Map<String, Json>, list: &str, item: Json, is_there: impl Fn(&Json) -> bool) {
    let given = input.remove(list).unwrap_or(Json::Null);
    let mut items = match given {
        Json::Array(items) => items,
        Json::Null => Vec::new(),
        single => vec![single],
    };
    if !items.iter().any(is_there) {
        items.push(item);
    }
    input.insert(list.to_owned(), Json::Array(items));
}

fn same_text(a: &Json, b: &Json) -> bool {
    let plain = |text: &Json| text.as_str().map(|text| text.trim().to_lowercase());
    plain(a) == plain(b)
}
