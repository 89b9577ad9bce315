//! The verbs on one record: create, update, upsert, delete, restore, purge.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::draft::Draft;
use super::state::{self, Loaded};
use super::{Conflict, Outcome, Rejected, Unit, Written, input};
use crate::catalog::{Object, Target, Variant, Via};
use crate::error::{Result, UserError, UserErrorCode};
use crate::platform::changelog::{Change, ChangeKind};

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
    path: Vec<String>,
) -> Outcome {
    let given = match input.get("id") {
        None | Some(Json::Null) => None,
        Some(id) => Some(id.as_str().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(|| {
            UserError::new(UserErrorCode::InvalidValue, &["id"], "An id is a UUID, version 7 if possible.").within(&path)
        })?),
    };
    if let Some(id) = given
        && let Some(done) = unit.created_before(object, variant, id, &path).await?
    {
        return Ok(done);
    }
    let mut draft = Draft {
        object: unit.catalog.object(&object.name).clone(),
        id: given.unwrap_or_else(|| unit.ctx.clock.new_id()),
        is_new: true,
        version: 0,
        before: Map::new(),
        now: Map::new(),
        given: Default::default(),
        links: Vec::new(),
        errors: Vec::new(),
        path,
    };
    if let (Some(variant), Some(variants)) = (variant, &object.variants) {
        draft.set(variants.field, variant.value);
    }
    if let Some(member) = unit.ctx.member.filter(|_| object.name != "member") {
        draft.set("owner", member.to_string());
    }
    unit.apply(&mut draft, input).await?;
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
    let loaded = unit.get_for_update(object, variant, id, false).await?;
    let mut draft = unit.draft_of(object, loaded, path);
    unit.apply(&mut draft, input).await?;
    if let Some((expected, on_conflict)) = expected.filter(|(expected, _)| *expected != draft.version) {
        unit.check_conflict(&draft, expected, on_conflict).await?;
    }
    unit.save(draft).await
}

impl Unit<'_> {
    pub async fn create(&mut self, object: &Object, variant: Option<&'static Variant>, input: &Map<String, Json>) -> Outcome {
        create(self, object, variant, input, Vec::new()).await
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
                add_key(&mut input, key);
                create(self, object, variant, &input, Vec::new()).await
            }
        }
    }

    pub async fn delete(&mut self, object: &Object, variant: Option<&'static Variant>, id: Uuid) -> Outcome {
        let loaded = self.get_for_update(object, variant, id, false).await?;
        if let Some(rules) = self.rules_of(object) {
            let errors = rules.before_delete(self, &loaded).await?;
            if !errors.is_empty() {
                return Err(Rejected::User { errors, conflict: None });
            }
        }
        self.owned(object, id, ChangeKind::Deleted).await?;
        let draft = self.draft_of(object, loaded, Vec::new());
        self.mark_deleted(&draft, true).await?;
        self.drop_keys_and_search(id).await?;
        self.log(&draft, ChangeKind::Deleted, draft.version + 1, Map::new(), Map::new());
        Ok(Written { id })
    }

    /// Brings a deleted record back, with its links and keys.
    pub async fn restore(&mut self, object: &Object, variant: Option<&'static Variant>, id: Uuid) -> Outcome {
        let loaded = self.get_for_update(object, variant, id, true).await?;
        let was_deleted = loaded.deleted;
        let mut draft = self.draft_of(object, loaded, Vec::new());
        if was_deleted {
            self.check_restore(&mut draft).await?;
            self.owned(object, id, ChangeKind::Restored).await?;
            self.mark_deleted(&draft, false).await?;
            self.claim(&draft, &draft.keys(&draft.now)).await?;
            self.write_search(&draft).await?;
            self.log(&draft, ChangeKind::Restored, draft.version + 1, Map::new(), Map::new());
        }
        Ok(Written { id })
    }

    /// Removes a record for good. What points at it is unlinked; where that cannot be, it is refused.
    pub async fn purge(&mut self, object: &Object, variant: Option<&'static Variant>, id: Uuid) -> Outcome {
        let loaded = self.get_for_update(object, variant, id, true).await?;
        if let Some(rules) = self.rules_of(object) {
            let errors = rules.before_delete(self, &loaded).await?;
            if !errors.is_empty() {
                return Err(Rejected::User { errors, conflict: None });
            }
        }
        self.owned(object, id, ChangeKind::Purged).await?;
        self.unlink(object, id).await?;
        let draft = self.draft_of(object, loaded, Vec::new());
        self.erase(&object.table, id).await?;
        self.log(&draft, ChangeKind::Purged, draft.version + 1, draft.before.clone(), Map::new());
        Ok(Written { id })
    }

    /// A record comes back only to a place that is still there.
    async fn check_restore(&mut self, draft: &mut Draft) -> Result<(), Rejected> {
        let object = draft.object.clone();
        for relation in object.relations.values().filter(|relation| relation.required) {
            let Target::Object(target) = &relation.target else { continue };
            let there = match draft.reference(&relation.name) {
                Some(id) => self.look_up(target, id).await?.is_some(),
                None => false,
            };
            if !there {
                let message = format!("Its {} is gone; restore that first.", relation.label.to_lowercase());
                draft.refuse(UserErrorCode::RuleRefused, &["id"], message);
            }
        }
        if let Some(rules) = self.rules_of(&object) {
            rules.before_restore(self, draft).await?;
        }
        match std::mem::take(&mut draft.errors) {
            errors if errors.is_empty() => Ok(()),
            errors => Err(Rejected::User { errors, conflict: None }),
        }
    }

    /// Records that belong to this one alone go where it goes: a pipeline's stages.
    async fn owned(&mut self, object: &Object, id: Uuid, kind: ChangeKind) -> Result<(), Rejected> {
        for relation in object.relations.values().filter(|relation| relation.owned) {
            let (Via::Children(column), Target::Object(target)) = (&relation.via, &relation.target) else { continue };
            let target = self.catalog.object(target).clone();
            // What was deleted together, at the same instant, comes back together.
            let which = match kind {
                ChangeKind::Deleted => " AND deleted_at IS NULL".to_owned(),
                ChangeKind::Restored => {
                    format!(" AND deleted_at = (SELECT deleted_at FROM {} WHERE workspace_id = $1 AND id = $2)", object.table)
                }
                _ => String::new(),
            };
            let sql = format!("SELECT id FROM {} WHERE workspace_id = $1 AND {column} = $2{which}", target.table);
            for row in self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), id.into()]).await? {
                let Some(child) = row.uuid(0)? else { continue };
                let loaded = self.get_for_update(&target, None, child, true).await?;
                let draft = self.draft_of(&target, loaded, Vec::new());
                match kind {
                    ChangeKind::Purged => {
                        Box::pin(self.unlink(&target, child)).await?;
                        self.erase(&target.table, child).await?;
                    }
                    ChangeKind::Restored => {
                        self.mark_deleted(&draft, false).await?;
                        self.claim(&draft, &draft.keys(&draft.now)).await?;
                        self.write_search(&draft).await?;
                    }
                    _ => {
                        self.mark_deleted(&draft, true).await?;
                        self.drop_keys_and_search(child).await?;
                    }
                }
                self.log(&draft, kind, draft.version + 1, Map::new(), Map::new());
            }
        }
        Ok(())
    }

    /// Clears every to-one relation that leads to a record.
    async fn unlink(&mut self, object: &Object, id: Uuid) -> Result<(), Rejected> {
        let catalog = self.catalog;
        for other in catalog.objects() {
            for relation in other.relations.values() {
                let (Via::Column(column), Target::Object(target)) = (&relation.via, &relation.target) else { continue };
                if *target != object.name {
                    continue;
                }
                let sql = format!("SELECT id FROM {} WHERE workspace_id = $1 AND {column} = $2 AND id <> $2", other.table);
                let rows = self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), id.into()]).await?;
                if relation.required && !rows.is_empty() {
                    let message = format!("{} {} still belong to it.", rows.len(), other.plural_label.to_lowercase());
                    return Err(UserError::new(UserErrorCode::RuleRefused, &["id"], message).into());
                }
                for row in rows {
                    let Some(pointing) = row.uuid(0)? else { continue };
                    let loaded = self.get_for_update(other, None, pointing, true).await?;
                    let mut draft = self.draft_of(other, loaded, Vec::new());
                    draft.set(&relation.name, Json::Null);
                    self.write_change(&draft).await?;
                }
            }
        }
        Ok(())
    }

    /// The same id again is the same record; another object's id is taken.
    async fn created_before(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        id: Uuid,
        path: &[String],
    ) -> Result<Option<Written>, Rejected> {
        let sql = "SELECT object FROM record WHERE workspace_id = $1 AND id = $2";
        let Some(row) = self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), id.into()]).await? else { return Ok(None) };
        let of_object = row.text(0)? == Some(&object.name);
        let same = of_object && self.look_up(&object.name, id).await?.is_some_and(|record| is_of(object, variant, &record));
        if same {
            Ok(Some(Written { id }))
        } else {
            Err(UserError::new(UserErrorCode::Taken, &["id"], "The id belongs to another record.").within(path).into())
        }
    }

    async fn get_for_update(
        &mut self,
        object: &Object,
        variant: Option<&'static Variant>,
        id: Uuid,
        deleted_too: bool,
    ) -> Result<Loaded, Rejected> {
        let found = state::load(self.tx, self.ctx, object, &[id], true).await?.into_iter().next();
        found.filter(|record| (deleted_too || !record.deleted) && is_of(object, variant, record)).ok_or_else(|| {
            UserError::new(UserErrorCode::NotFound, &["id"], format!("There is no such {}.", object.label.to_lowercase())).into()
        })
    }

    fn draft_of(&self, object: &Object, loaded: Loaded, path: Vec<String>) -> Draft {
        Draft {
            object: Arc::clone(self.catalog.object(&object.name)),
            id: loaded.id,
            is_new: false,
            version: loaded.version,
            now: loaded.state.clone(),
            before: loaded.state,
            given: Default::default(),
            links: Vec::new(),
            errors: Vec::new(),
            path,
        }
    }

    /// Judges and writes a draft.
    pub(super) async fn save(&mut self, mut draft: Draft) -> Outcome {
        let rules = self.rules_of(&draft.object);
        if let Some(rules) = &rules {
            rules.before_save(self, &mut draft).await?;
        }
        input::check_required(&mut draft);
        if !draft.errors.is_empty() {
            return Err(Rejected::User { errors: draft.errors, conflict: None });
        }
        if draft.is_new {
            self.insert(&draft).await?;
            let (before, after) = draft.difference();
            self.log(&draft, ChangeKind::Created, 1, before, after);
        } else if draft.before != draft.now {
            self.write_change(&draft).await?;
        }
        if let Some(rules) = &rules {
            rules.after_save(self, &draft).await?;
        }
        self.apply_links(&mut draft).await?;
        if !draft.errors.is_empty() {
            return Err(Rejected::User { errors: draft.errors, conflict: None });
        }
        Ok(Written { id: draft.id })
    }

    async fn write_change(&mut self, draft: &Draft) -> Result<(), Rejected> {
        self.update_rows(draft).await?;
        let (before, after) = draft.difference();
        self.log(draft, ChangeKind::Updated, draft.version + 1, before, after);
        Ok(())
    }

    /// Changes fields of another record from within a rule: the same door, without its rules.
    pub async fn set_fields(&mut self, object: &str, id: Uuid, fields: &[(&str, Json)]) -> Result<(), Rejected> {
        let object = self.catalog.object(object).clone();
        let loaded = self.get_for_update(&object, None, id, false).await?;
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
        Box::pin(create(self, &object, None, &input, Vec::new())).await
    }

    fn log(&mut self, draft: &Draft, kind: ChangeKind, version: i64, before: Map<String, Json>, after: Map<String, Json>) {
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
        let sql = if self.tx.backend() == crate::infra::db::Backend::Postgres { sql.to_owned() } else { sql.replace("::text", "") };
        let rows = self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), draft.id.into(), expected.into()]).await?;
        let mut fields: Vec<String> = Vec::new();
        for row in rows {
            if !matches!(row.text(1)?, Some("UPDATED" | "CREATED")) {
                continue;
            }
            let after: Map<String, Json> =
                row.text(0)?.map(serde_json::from_str).transpose().map_err(crate::error::Error::from)?.unwrap_or_default();
            fields.extend(after.into_iter().map(|(name, _)| name));
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
fn add_key(input: &mut Map<String, Json>, key: &Json) {
    for (name, value) in key.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "externalId" => add_item(input, "externalIds", value.clone(), |item| item == value),
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
