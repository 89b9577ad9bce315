//! From a caller's input to a draft: values parsed, references resolved, nested records created.
//!
//! Absent is not null: an absent field is left alone, null clears it.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::children;
use super::links::{self, LinkEdit};
use super::references::{Unchecked, not_found};
use super::verbs::By;
use super::{Draft, Rejected, Unit, verbs};
use crate::catalog::{Field, Kind, Object, Relation, Target, Via};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::platform::access::Sight;
use crate::records::{keys, value};

impl Unit<'_> {
    /// Puts an input into a draft. What is wrong with it is collected in the draft.
    pub(super) async fn apply(&mut self, draft: &mut Draft, input: &Map<String, Json>, by: By) -> Result<(), Rejected> {
        let object = draft.object.clone();
        let access = self.ctx.access.object(&object.name).clone();
        let locked = |name: &str| by == By::Caller && !access.field(name).write;
        for (name, value) in input {
            if locked(name) {
                draft.refuse(UserErrorCode::NotWritable, &[name], format!("Your roles do not let you write {}.{name}.", object.type_name));
                continue;
            }
            match name.as_str() {
                "id" => {}
                "custom" => self.apply_custom(draft, &object, value, &locked).await?,
                "customFields" => apply_untyped(draft, &object, value, &locked),
                name => match (object.fields.get(name), object.relations.get(name)) {
                    (Some(field), _) if field.archived => {
                        draft.refuse(UserErrorCode::NotWritable, &[name], format!("{} is archived.", field.label));
                    }
                    (Some(field), _) => apply_field(draft, field, value, &[name]),
                    (None, Some(relation)) => self.apply_relation(draft, relation, value).await?,
                    (None, None) => {
                        draft.refuse(UserErrorCode::InvalidValue, &[name], format!("{} has no field `{name}`.", object.type_name));
                    }
                },
            }
        }
        self.seal(draft)?;
        self.check_references(draft).await
    }

    /// What was given for encrypted fields is sealed before anything else sees the draft.
    fn seal(&self, draft: &mut Draft) -> Result<()> {
        let object = draft.object.clone();
        let given = object.kept_in_document().filter(|field| field.settings.encrypted);
        for field in given.filter(|field| draft.was_given(&field.access_name())).collect::<Vec<_>>() {
            let mut now = draft.custom(&draft.now);
            let before = draft.custom(&draft.before);
            if let Some(parsed) = now.get(&field.name).cloned() {
                let present = before.get(&field.name).unwrap_or(&Json::Null);
                now.insert(field.name.clone(), value::seal_over(self.ctx, field, parsed, present)?);
                draft.set("custom", now);
            }
        }
        Ok(())
    }

    /// Custom fields that point at records must point at some.
    async fn check_references(&mut self, draft: &mut Draft) -> Result<(), Rejected> {
        let object = draft.object.clone();
        let custom = draft.custom(&draft.now);
        let given: Vec<&Field> =
            object.kept_in_document().filter(|field| field.kind == Kind::Reference && draft.was_given(&field.access_name())).collect();
        for field in given {
            let Some(id) = custom.get(&field.name).filter(|id| !id.is_null()) else { continue };
            let below = field.added.then(|| "custom".to_owned());
            let path: Vec<String> = draft.path.iter().cloned().chain(below).chain([field.name.clone()]).collect();
            match self.resolve_any(&serde_json::json!({ "id": id }), &path).await {
                Ok(_) => {}
                Err(Rejected::User { .. }) => {
                    draft.errors.push(UserError::new(UserErrorCode::NotFound, &[], "There is no record with this id.").within(&path));
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok(())
    }

    /// What stands under `custom`: fields and relations that the workspace added to a standard object.
    async fn apply_custom(
        &mut self,
        draft: &mut Draft,
        object: &Object,
        input: &Json,
        locked: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<(), Rejected> {
        for (name, value) in input.as_object().into_iter().flatten() {
            match object.added_relation(name) {
                Some(relation) if locked(&relation.access_name()) => {
                    let message = format!("Your roles do not let you write {}.custom.{name}.", object.type_name);
                    draft.refuse(UserErrorCode::NotWritable, &["custom", name], message);
                }
                Some(relation) => self.apply_relation(draft, relation, value).await?,
                None => apply_custom_field(draft, object, (name, value), &["custom", name], locked),
            }
        }
        Ok(())
    }

    async fn apply_relation(&mut self, draft: &mut Draft, relation: &Relation, value: &Json) -> Result<(), Rejected> {
        match (&relation.via, &relation.target) {
            (Via::Column(_), Target::Object(target)) => {
                let path = [draft.path.as_slice(), std::slice::from_ref(&relation.name)].concat();
                if value.is_null() && relation.required {
                    draft.refuse(UserErrorCode::Required, &[relation.name.as_str()], format!("{} cannot be empty.", relation.label));
                } else if value.is_null() {
                    draft.set(&relation.name, Json::Null);
                } else {
                    let target = self.catalog.object(target).clone();
                    let resolved = match id_of(value) {
                        Some(id) => {
                            let path = [path, vec!["id".to_owned()]].concat();
                            draft.unchecked.push(Unchecked { target: target.name.clone(), id, path });
                            Ok(id)
                        }
                        None => self.resolve(&target, value, path).await,
                    };
                    match resolved {
                        Ok(id) => draft.set(&relation.name, id.to_string()),
                        Err(Rejected::User { errors, .. }) => draft.errors.extend(errors),
                        Err(failed) => return Err(failed),
                    }
                }
                draft.given.insert(relation.name.clone());
            }
            (Via::Link { .. }, _) if relation.is_one() => draft.links.extend(links::read_one(draft, relation, value)),
            (Via::Link { .. }, _) if !value.is_null() => {
                let edits = links::read(draft, relation, value);
                draft.links.extend(edits);
            }
            (Via::Children(_), _) if !value.is_null() => {
                let edits = children::read(draft, self.catalog, relation, value);
                draft.children.extend(edits);
            }
            _ => {}
        }
        Ok(())
    }

    /// The record that `{ id }`, `{ key }` or `{ create }` means.
    pub(super) async fn resolve(&mut self, target: &Object, reference: &Json, path: Vec<String>) -> Result<Uuid, Rejected> {
        let members: Vec<_> = reference.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
        let [(how, value)] = members.as_slice() else {
            return Err(UserError::new(UserErrorCode::InvalidValue, &[], "Give exactly one of `id`, `key` and `create`.")
                .within(&path)
                .into());
        };
        let at = [path.as_slice(), &[(*how).clone()]].concat();
        match how.as_str() {
            "create" => {
                let empty = Map::new();
                let input = value.as_object().unwrap_or(&empty);
                let created = Box::pin(verbs::create(self, target, None, input, By::Caller, at)).await?;
                Ok(created.id)
            }
            "key" => self
                .by_key(target, value)
                .await
                .map_err(|e| match e {
                    Error::Refused(refusal) => UserError::new(UserErrorCode::InvalidValue, &[], refusal.message).within(&at).into(),
                    fault @ Error::Fault(_) => Rejected::Failed(fault),
                })?
                .ok_or_else(|| not_found(target, &at).into()),
            _ => {
                let id = value.as_str().and_then(|id| Uuid::parse_str(id).ok());
                let id = id.ok_or_else(|| UserError::new(UserErrorCode::InvalidValue, &[], "An id is a UUID.").within(&at))?;
                if self.reaches(target, id).await? { Ok(id) } else { Err(not_found(target, &at).into()) }
            }
        }
    }

    /// The record that a natural key belongs to.
    pub async fn by_key(&mut self, object: &Object, input: &Json) -> Result<Option<Uuid>> {
        let key = keys::from_input(self.ctx, object, input)?;
        let name = key.access_name();
        // A record that waits may have it.
        self.flush().await?;
        let sql = "SELECT record_id FROM record_key WHERE workspace_id = $1 AND object = $2 AND key = $3 AND value = $4";
        let values = vec![self.ctx.workspace.into(), object.name.clone().into(), key.name.into(), key.value.into()];
        let row = self.tx.fetch_optional(sql, values).await?;
        let Some(id) = row.map(|row| row.uuid(0)).transpose()?.flatten() else { return Ok(None) };
        // Whoever may not see the record or the field does not find it by that.
        let told = self.ctx.access.object(&object.name).field(&name).sight == Sight::Full;
        Ok(if told && self.reaches(object, id).await? { Some(id) } else { None })
    }

    /// Carries out the link edits of a saved draft.
    pub(super) async fn apply_links(&mut self, draft: &mut Draft) -> Result<(), Rejected> {
        for edit in std::mem::take(&mut draft.links) {
            match edit {
                LinkEdit::Connect(connect) => {
                    let to = match connect.target {
                        Some(ref target) => {
                            let target = self.catalog.object(target).clone();
                            let other = match connect.reference.get("create").and_then(Json::as_object) {
                                // The path is that of the input, which knows no reference here.
                                Some(new) => {
                                    let record = if connect.nested { vec!["record".to_owned()] } else { Vec::new() };
                                    let path = [connect.path.as_slice(), &record].concat();
                                    Box::pin(verbs::create(self, &target, None, new, By::Caller, path)).await?.id
                                }
                                None => self.resolve(&target, &connect.reference, connect.path.clone()).await?,
                            };
                            if let Some(changes) = connect.record.as_ref().and_then(Json::as_object) {
                                self.require_link(draft.id, &connect.kind, connect.from, other, &connect.path).await?;
                                let below = if connect.bare { "input" } else { "record" };
                                let path = [connect.path.as_slice(), &[below.to_owned()]].concat();
                                Box::pin(verbs::update(self, &target, None, other, changes, None, path)).await?;
                            }
                            other
                        }
                        None => self.resolve_any(&connect.reference, &connect.path).await?,
                    };
                    self.check_other_end(draft, &connect.kind, connect.from, to)
                        .await
                        .map_err(|rejected| rejected.within(&connect.path))?;
                    if connect.primary == Some(true) {
                        self.check_primary(draft, &connect, to).await.map_err(|rejected| rejected.within(&connect.path))?;
                    }
                    self.connect(draft, &connect, to).await?;
                }
                LinkEdit::Clear { kind, from, relation } => self.clear(draft, &kind, from, &relation).await?,
                LinkEdit::Delete { kind, from, target, other, path } => {
                    let target = self.catalog.object(&target).clone();
                    if !self.reaches(&target, other).await? {
                        return Err(links::no_link(&path).into());
                    }
                    self.require_link(draft.id, &kind, from, other, &path).await?;
                    Box::pin(self.delete(&target, None, other)).await.map_err(|rejected| rejected.within(&path))?;
                }
                // What the caller does not see is not unlinked, as what is not linked.
                LinkEdit::Disconnect { kind, from, relation, other } => {
                    if self.sees_any(other).await? {
                        self.check_other_end(draft, &kind, from, other).await?;
                        self.disconnect(draft, &kind, from, &relation, other).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn resolve_any(&mut self, reference: &Json, path: &[String]) -> Result<Uuid, Rejected> {
        let refuse = || UserError::new(UserErrorCode::NotFound, &["id"], "There is no record with this id.").within(path);
        let id = reference["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(refuse)?;
        let sql = "SELECT object FROM record WHERE workspace_id = $1 AND id = $2";
        let row = self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), id.into()]).await?.ok_or_else(refuse)?;
        let object = row.text(0)?.unwrap_or_default().to_owned();
        match self.catalog.find(&object).cloned() {
            Some(object) if self.reaches(&object, id).await? => Ok(id),
            _ => Err(refuse().into()),
        }
    }
}

/// The id of a reference that is nothing but one.
fn id_of(reference: &Json) -> Option<Uuid> {
    let mut members = reference.as_object()?.iter().filter(|(_, value)| !value.is_null());
    let (Some((name, id)), None) = (members.next(), members.next()) else { return None };
    if name == "id" { Uuid::parse_str(id.as_str()?).ok() } else { None }
}

/// Parses one value into the draft, or notes what is wrong with it.
fn apply_field(draft: &mut Draft, field: &Field, input: &Json, path: &[&str]) {
    let custom = field.is_custom();
    let parsed = if input.is_null() {
        let needed = field.required || (!field.nullable && !field.kind.is_list() && !custom);
        if needed {
            draft.refuse(UserErrorCode::Required, path, format!("{} cannot be empty.", field.label));
            return;
        }
        Ok(if field.kind.is_list() { Json::Array(Vec::new()) } else { Json::Null })
    } else {
        value::parse(field, input)
    };
    match parsed {
        Ok(stored) if custom => {
            let mut document = draft.custom(&draft.now);
            if stored.is_null() {
                document.remove(&field.name);
            } else {
                document.insert(field.name.clone(), stored);
            }
            draft.set("custom", document);
            draft.given.insert(field.access_name());
        }
        Ok(stored) => {
            draft.set(&field.name, stored);
            draft.given.insert(field.name.clone());
        }
        Err(invalid) => {
            let steps: Vec<&str> = path.iter().copied().chain(invalid.path.iter().map(String::as_str)).collect();
            draft.refuse(UserErrorCode::InvalidValue, &steps, invalid.message);
        }
    }
}

/// `customFields: [{ field: "arr", value: "10" }]`
fn apply_untyped(draft: &mut Draft, object: &Object, input: &Json, locked: &dyn Fn(&str) -> bool) {
    let single = if input.is_null() { &[] } else { std::slice::from_ref(input) };
    for (index, item) in input.as_array().map_or(single, Vec::as_slice).iter().enumerate() {
        let index = index.to_string();
        let name = item["field"].as_str().unwrap_or_default();
        apply_custom_field(draft, object, (name, &item["value"]), &["customFields", &index, "value"], locked);
    }
}

fn apply_custom_field(draft: &mut Draft, object: &Object, (name, value): (&str, &Json), path: &[&str], locked: &dyn Fn(&str) -> bool) {
    match object.custom.get(name).or_else(|| object.own_field(name)) {
        Some(field) if locked(&field.access_name()) => {
            draft.refuse(
                UserErrorCode::NotWritable,
                path,
                format!("Your roles do not let you write {}.{}.", object.type_name, field.access_name()),
            );
        }
        Some(field) if field.is_computed() => {
            draft.refuse(UserErrorCode::NotWritable, path, format!("{} is computed.", field.label));
        }
        Some(field) if field.archived => draft.refuse(UserErrorCode::NotWritable, path, format!("{} is archived.", field.label)),
        Some(field) => apply_field(draft, field, value, path),
        None => draft.refuse(UserErrorCode::InvalidValue, path, format!("{} has no custom field of that name.", object.type_name)),
    }
}

/// What a new record has when nothing is said: the defaults of its fields.
pub(super) fn apply_defaults(draft: &mut Draft) {
    let object = draft.object.clone();
    for field in object.fields.values().filter(|field| !draft.now.contains_key(&field.name)).collect::<Vec<_>>() {
        if let Some(default) = &field.default {
            let stored = value::parse(field, default).unwrap_or(Json::Null);
            draft.set(&field.name, stored);
        }
    }
    let mut custom = draft.custom(&draft.now);
    for field in object.kept_in_document().filter(|field| !field.archived && !draft.given.contains(&field.access_name())) {
        if let Some(stored) = field.settings.default.as_ref().and_then(|default| value::parse(field, default).ok()) {
            custom.insert(field.name.clone(), stored);
        }
    }
    draft.set("custom", custom);
}

fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Notes every required value that is still missing.
pub(super) fn check_required(draft: &mut Draft) {
    // Where a rule refused or a reference led nowhere, what would have been derived is missing for
    // no fault of the caller's.
    if draft.errors.iter().any(|error| matches!(error.code, UserErrorCode::RuleRefused | UserErrorCode::NotFound)) {
        return;
    }
    for (path, label) in missing(draft) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        draft.refuse(UserErrorCode::Required, &path, format!("{label} is required."));
    }
}

/// The required values that a draft lacks: path and label.
pub(super) fn missing(draft: &Draft) -> Vec<(Vec<String>, String)> {
    let object = &draft.object;
    let missing = |name: &str| !draft.has(name) && !draft.errors.iter().any(|error| error.path.ends_with(&[name.to_owned()]));
    let mut names = Vec::new();
    for field in object.fields.values().filter(|field| {
        !field.is_custom() && (field.required || !field.nullable && !field.read_only && !field.kind.is_list()) && missing(&field.name)
    }) {
        names.push((vec![field.name.clone()], field.label.clone()));
    }
    for relation in object.relations.values().filter(|relation| relation.required && missing(&relation.name)) {
        names.push((vec![relation.name.clone()], relation.label.clone()));
    }
    if draft.is_new {
        let custom = draft.custom(&draft.now);
        for field in
            object.kept_in_document().filter(|field| field.required && !field.archived && custom.get(&field.name).is_none_or(is_empty))
        {
            let path = if field.added { vec!["custom".into(), field.name.clone()] } else { vec![field.name.clone()] };
            names.push((path, field.label.clone()));
        }
    }
    names
}
