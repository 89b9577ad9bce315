//! The objects, fields and relations that a workspace adds, and the catalog that results.
//!
//! A definition is a row of `object_definition`, `field_definition` or `relation_definition`. Every change moves the workspace's
//! `catalog_version`; whoever holds a [`Catalog`] of an older version asks again. A field's name and
//! kind stay what they were made with, because queries and stored values depend on them.

mod computed;
mod duplicates;
mod model;
mod objects;
mod relations;

use std::sync::Arc;

use entity::{field_definition, workspace};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use crate::catalog::{Catalog, Field, Kind, Object, Privacy, Settings};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::features::secrets::SecretKeys;
use crate::infra::db::{Db, Mode, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::search::refresh;
use crate::records::value;
use crate::records::write::Rejected;

pub use model::{Change, NewField, to_field};
pub use objects::{NewObject, ObjectChange};
pub use relations::{Cardinality, NewRelation, RelationChange};

/// The most fields that a workspace can add to one object.
const MOST_FIELDS: usize = 300;

#[derive(Clone)]
pub struct DataModel {
    pub db: Db,
    pub secrets: SecretKeys,
    pub standard: Arc<Catalog>,
}

impl DataModel {
    /// The catalog of a workspace at a version.
    pub async fn catalog(&self, tx: &Tx, workspace: Uuid, version: i64) -> Result<Arc<Catalog>> {
        if version == 0 {
            return Ok(self.standard.clone());
        }
        let query = field_definition::Entity::find().filter(field_definition::Column::WorkspaceId.eq(workspace));
        let rows = query.order_by_asc(field_definition::Column::Position).order_by_asc(field_definition::Column::Id).all(tx).await?;
        let fields = rows.iter().map(|row| Ok((row.object.clone(), to_field(row)?))).collect::<Result<Vec<_>>>()?;
        let own = objects::definitions(tx, workspace).await?.iter().map(objects::to_object).collect();
        let relations = relations::definitions(tx, workspace).await?.iter().flat_map(relations::to_relations).collect();
        let duplicates = duplicates::rules(tx, workspace).await?;
        Ok(Arc::new(self.standard.with_own(version, own, fields, relations).with_duplicate_rules(&duplicates)))
    }

    /// Adds a field; returns it and the new catalog version.
    pub async fn create(&self, ctx: &Ctx, new: NewField) -> Result<(Uuid, i64), Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        // As it is now that nobody else changes it, not as the request found it.
        let catalog = self.catalog(&tx, ctx.workspace, version).await?;
        let object = catalog.find(&new.object).ok_or_else(|| invalid(&["object"], "There is no such object."))?;
        let field = self.add_field(&tx, ctx, &catalog, object, new).await?;
        let id = field.own_id().ok_or_else(|| Error::fault("a new field is a custom one"))?;
        tx.commit().await?;
        Ok((id, version))
    }

    /// Adds a field to an object as it stands in the transaction.
    async fn add_field(&self, tx: &Tx, ctx: &Ctx, catalog: &Catalog, object: &Object, new: NewField) -> Result<Field, Rejected> {
        computed::check_new(&new)?;
        let mut row = new.row(ctx)?;
        let made = if computed::is_kind(&new.kind) { Some(computed::check(ctx, catalog, object, &new.settings)?) } else { None };
        if let Some(made) = &made {
            made.kind.name().clone_into(&mut row.kind);
        }
        let mut field = to_field(&row)?;
        if let Some(made) = made {
            made.settle(&mut field);
        }
        check_name(object, &field)?;
        if object.all_fields().filter(|field| field.own_id().is_some()).count() >= MOST_FIELDS {
            return Err(
                UserError::new(UserErrorCode::Limit, &["object"], format!("An object has at most {MOST_FIELDS} custom fields.")).into()
            );
        }
        check_settings(&field)?;
        if field.required && field.settings.default.is_none() && has_records(tx, ctx, object).await? {
            return Err(
                invalid(&["required"], "There are records already: a required field needs a default, which new records get.").into()
            );
        }
        let taken = field_definition::Entity::find()
            .filter(field_definition::Column::WorkspaceId.eq(ctx.workspace))
            .filter(field_definition::Column::Object.eq(&row.object))
            .filter(field_definition::Column::Name.eq(&row.name))
            .one(tx)
            .await
            .map_err(Error::from)?;
        if taken.is_some() {
            return Err(
                UserError::new(UserErrorCode::Taken, &["name"], "The object has a field of this name, perhaps an archived one.").into()
            );
        }
        if field.settings.encrypted {
            self.secrets.ensure(tx, ctx.workspace).await?;
        }
        let id = row.id;
        let detail = json!({ "created": { "object": row.object, "name": row.name, "kind": row.kind } });
        field_definition::Entity::insert(row.into_active_model()).exec_without_returning(tx).await.map_err(Error::from)?;
        access::audit(tx, ctx, Action::DataModelChanged, id, detail).await?;
        Ok(field)
    }

    /// Changes what can change of a field.
    pub async fn update(&self, ctx: &Ctx, catalog: &Catalog, id: Uuid, change: Change) -> Result<i64, Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        let row = find(&tx, ctx, id).await?;
        let old = to_field(&row)?;
        let mut settings = old.settings.clone();
        if change.formula.is_some() && settings.formula.is_none() {
            return Err(invalid(&["formula"], "The field has no formula; its kind stays.").into());
        }
        if change.roll_up.is_some() && settings.roll_up.is_none() {
            return Err(invalid(&["rollUp"], "The field is no roll-up; its kind stays.").into());
        }
        if old.is_computed() {
            computed::check_change(&change)?;
        }
        change.apply(&mut settings);
        keep_used_options(&old, &mut settings);
        let mut model = row.clone().into_active_model();
        if let Some(label) = change.label {
            model.label = Set(model::check_label(&label)?);
        }
        if let Some(help) = change.help {
            model.help = Set(Some(help));
        }
        if let Some(required) = change.required {
            model.is_required = Set(required);
        }
        if let Some(searchable) = change.searchable {
            model.is_searchable = Set(searchable);
        }
        if let Some(privacy) = change.privacy {
            model.privacy = Set(privacy.as_str().to_owned());
        }
        let needs_default = change.required == Some(true) && !old.required && settings.default.is_none();
        if let Some(object) = catalog.find(&row.object).filter(|_| needs_default)
            && has_records(&tx, ctx, object).await?
        {
            return Err(
                invalid(&["required"], "There are records already: a required field needs a default, which new records get.").into()
            );
        }
        model.settings = Set(serde_json::to_value(&settings).map_err(Error::from)?);
        model.updated_at = Set(ctx.now());
        let changed = model.update(&tx).await.map_err(Error::from)?;
        let new = to_field(&changed)?;
        check_settings(&new)?;
        if new.is_computed() && new.settings != old.settings {
            let after = self.catalog(&tx, ctx.workspace, version).await?;
            let object = after.find(&changed.object).ok_or_else(|| Error::fault("a field of no object"))?;
            let made = computed::check(ctx, &after, object, &new.settings)?;
            let before = catalog.find(&changed.object).and_then(|object| object.all_fields().find(|field| field.own_id() == Some(id)));
            before.map_or(Ok(()), |before| computed::check_kind(before, &made))?;
        }
        self.check_dependants(&tx, ctx, catalog, version, "formula").await?;
        if new.searchable != old.searchable || new.searchable && new.settings.options != old.settings.options {
            refresh::mark_stale(&tx, ctx.workspace, &changed.object).await?;
        }
        let detail = json!({ "updated": { "name": changed.name, "settings": changed.settings } });
        access::audit(&tx, ctx, Action::DataModelChanged, id, detail).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Archives a field, or brings it back: its values stay, it can no longer be written.
    pub async fn archive(&self, ctx: &Ctx, catalog: &Catalog, id: Uuid, archived: bool) -> Result<i64, Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        let row = find(&tx, ctx, id).await?;
        if archived && catalog.find(&row.object).is_some_and(|object| object.own.is_some() && object.title == row.name) {
            return Err(
                UserError::new(UserErrorCode::RuleRefused, &["id"], "It names the records; make another field the title first.").into()
            );
        }
        if row.is_searchable {
            refresh::mark_stale(&tx, ctx.workspace, &row.object).await?;
        }
        let mut model = row.into_active_model();
        model.archived_at = Set(archived.then(|| ctx.now()));
        model.update(&tx).await.map_err(Error::from)?;
        self.check_dependants(&tx, ctx, catalog, version, "id").await?;
        if !archived {
            self.check_back(&tx, ctx, id, version).await?;
        }
        access::audit(&tx, ctx, Action::DataModelChanged, id, json!({ "archived": archived })).await?;
        tx.commit().await?;
        Ok(version)
    }
}

async fn find(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<field_definition::Model, Rejected> {
    let found = field_definition::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)?;
    found.ok_or_else(|| UserError::new(UserErrorCode::NotFound, &["id"], "There is no such field.").into())
}

/// Moves the workspace's catalog version. It comes first in the transaction: its row lock makes
/// changes of definitions happen one after another.
async fn next_version(tx: &Tx, ctx: &Ctx) -> Result<i64> {
    let sql = "UPDATE workspace SET catalog_version = catalog_version + 1 WHERE id = $1 RETURNING catalog_version";
    let row = tx.fetch_optional(sql, vec![ctx.workspace.into()]).await?;
    row.map(|row| row.int(0)).transpose()?.flatten().ok_or_else(|| Error::fault("the caller's workspace is gone"))
}

/// The version that the database has now.
pub async fn current_version(tx: &Tx, id: Uuid) -> Result<Option<workspace::Model>> {
    Ok(workspace::Entity::find_by_id(id).one(tx).await?)
}

async fn has_records(tx: &Tx, ctx: &Ctx, object: &Object) -> Result<bool> {
    let sql = format!("SELECT id FROM {} r WHERE workspace_id = $1 LIMIT 1", object.rows());
    Ok(tx.fetch_optional(&sql, vec![ctx.workspace.into()]).await?.is_some())
}

fn invalid(path: &[&str], message: impl Into<String>) -> UserError {
    UserError::new(UserErrorCode::InvalidValue, path, message)
}

/// Names are GraphQL names in camel case.
fn is_name(name: &str, most: usize) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_lowercase()) && chars.all(|c| c.is_ascii_alphanumeric()) && name.len() <= most
}

/// `id` belongs to the type.
fn check_name(object: &Object, field: &Field) -> Result<(), UserError> {
    let name = &field.name;
    if !is_name(name, 60) {
        return Err(invalid(
            &["name"],
            "A field's name begins with a small letter and goes on with letters and digits, 60 at most: `annualRevenue`.",
        ));
    }
    if name == "id" {
        return Err(invalid(&["name"], "`id` is the name of the record's own id."));
    }
    if object.own.is_some() {
        check_own_name(object, name)?;
    }
    if object.custom.contains_key(name) || object.own_field(name).is_some() || object.added_relation(name).is_some() {
        return Err(UserError::new(UserErrorCode::Taken, &["name"], "The object has a field of this name, perhaps an archived one."));
    }
    Ok(())
}

/// A field of an own object stands beside what every record has.
fn check_own_name(object: &Object, name: &str) -> Result<(), UserError> {
    const EVERY_RECORD: [&str; 13] = [
        "recordId",
        "object",
        "createdBy",
        "updatedBy",
        "customFields",
        "custom",
        "viewerAccess",
        "history",
        "externalId",
        "and",
        "or",
        "not",
        "isNull",
    ];
    let standing = object.fields.get(name).is_some_and(|field| field.own_id().is_none()) || object.relations.contains_key(name);
    if standing || EVERY_RECORD.contains(&name) || name == "count" {
        return Err(UserError::new(UserErrorCode::Taken, &["name"], format!("Every record has a `{name}` of its own; call it otherwise.")));
    }
    if name == "title" && object.title != "title" {
        return Err(invalid(&["name"], "`title` is what names a record: make it the object's title field, or call it otherwise."));
    }
    Ok(())
}

fn check_settings(field: &Field) -> Result<(), UserError> {
    let settings = &field.settings;
    let is_select = matches!(field.kind, Kind::Select | Kind::MultiSelect);
    if is_select == settings.options.is_empty() {
        let message = if is_select { "A select field needs options." } else { "Only select fields have options." };
        return Err(invalid(&["options"], message));
    }
    let mut keys: Vec<&str> = settings.options.iter().map(|option| option.key.as_str()).collect();
    keys.sort_unstable();
    if settings.options.len() > 500
        || keys.windows(2).any(|pair| pair[0] == pair[1])
        || keys.iter().any(|key| key.is_empty() || key.len() > 60)
    {
        return Err(invalid(&["options"], "Options have different keys of 1 to 60 characters, 500 at most."));
    }
    if field.unique && (field.kind.is_list() || matches!(field.kind, Kind::Json | Kind::Money | Kind::Boolean | Kind::LongText)) {
        return Err(invalid(&["unique"], "A field of this kind cannot be unique."));
    }
    if field.indexed && !field.kind.sortable() {
        return Err(invalid(&["indexed"], "A field of this kind cannot be indexed."));
    }
    if settings.encrypted {
        check_encrypted(field)?;
    }
    if field.unique && settings.default.is_some() {
        return Err(invalid(&["defaultValue"], "A unique field has no default: the second record could not be created."));
    }
    if settings
        .options
        .iter()
        .any(|option| option.label.chars().count() > 255 || option.color.as_ref().is_some_and(|color| color.len() > 32))
    {
        return Err(invalid(&["options"], "Labels have at most 255 characters, colours 32."));
    }
    check_bounds(field)?;
    if let Some(pattern) = &settings.pattern {
        let text = matches!(field.kind, Kind::Text | Kind::LongText);
        if !text || pattern.len() > 200 || regex::Regex::new(&format!("^(?:{pattern})$")).is_err() {
            return Err(invalid(&["pattern"], "Not a regular expression for a text, of at most 200 characters."));
        }
    }
    if let Some(default) = &settings.default {
        value::parse(field, default).map_err(|e| invalid(&["defaultValue"], e.message))?;
    }
    Ok(())
}

/// What is sealed is text, and neither searched nor given by a default that stands in the clear.
fn check_encrypted(field: &Field) -> Result<(), UserError> {
    if !matches!(field.kind, Kind::Text | Kind::LongText | Kind::Email | Kind::Phone | Kind::Url) {
        return Err(invalid(&["encrypted"], "Only texts, addresses and numbers of telephones can be encrypted."));
    }
    if field.searchable || field.settings.default.is_some() {
        return Err(invalid(&["encrypted"], "An encrypted field is not searched, and has no default."));
    }
    Ok(())
}

/// `min`, `max` and `maxLength` fit the kind.
fn check_bounds(field: &Field) -> Result<(), UserError> {
    let settings = &field.settings;
    let is_text = matches!(field.kind, Kind::Text | Kind::LongText);
    if settings.max_length.is_some_and(|length| !is_text || length == 0) {
        return Err(invalid(&["maxLength"], "Only texts have a greatest length, of 1 at least."));
    }
    let number = |text: &str| match field.kind {
        Kind::Integer | Kind::Rating => text.parse::<i64>().ok(),
        Kind::Decimal | Kind::Money => value::parse_decimal(text),
        Kind::Date => text.parse::<chrono::NaiveDate>().ok().map(|day| i64::from(day.to_epoch_days())),
        _ => None,
    };
    let mut bounds = [None, None];
    for (place, (path, text)) in bounds.iter_mut().zip([("min", &settings.min), ("max", &settings.max)]) {
        if let Some(text) = text {
            *place = Some(
                number(text).ok_or_else(|| invalid(&[path], "Not a value of this kind; only numbers, amounts and days have bounds."))?,
            );
        }
    }
    match bounds {
        [Some(min), Some(max)] if min > max => Err(invalid(&["max"], "The greatest value is smaller than the smallest.")),
        _ => Ok(()),
    }
}

/// Options that records may have are never lost: what a change leaves out is archived.
fn keep_used_options(old: &Field, settings: &mut Settings) {
    for option in &old.settings.options {
        if !settings.options.iter().any(|kept| kept.key == option.key) {
            let mut option = option.clone();
            option.archived = true;
            settings.options.push(option);
        }
    }
}

/// The privacy class of a custom field when nobody says: one cannot know, so it is treated as personal.
pub const USUAL_PRIVACY: Privacy = Privacy::Personal;
