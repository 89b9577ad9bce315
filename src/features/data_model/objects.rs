//! Objects that a workspace defines itself.
//!
//! In the database such an object is called `_<name>`, so that no standard object of a later version is
//! called the same; its records share the table `custom_record`. What the API calls it may be what a later
//! version calls something of its own: then the workspace's object stays, and the newcomer is left out of
//! the workspace's catalog (docs/adr/0007-own-objects.md).

use entity::object_definition;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::{DataModel, NewField, invalid, is_name, model, next_version};
use crate::catalog::{Catalog, Kind, Object, Own, own_name};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::search::refresh;
use crate::records::write::Rejected;

/// The most objects that a workspace can define.
const MOST_OBJECTS: usize = 200;

/// An object to be defined.
#[derive(Clone, Debug)]
pub struct NewObject {
    pub name: String,
    pub plural: String,
    pub label: String,
    pub plural_label: String,
    pub description: Option<String>,
    pub icon: Option<String>,
    pub color: Option<String>,
    /// The field that names a record: its name and label. It is made with the object.
    pub title: (String, String),
    pub fields: Vec<NewField>,
}

/// What can change of an object; absent is left alone.
#[derive(Clone, Debug, Default)]
pub struct ObjectChange {
    pub label: Option<String>,
    pub plural_label: Option<String>,
    pub description: Option<Option<String>>,
    pub icon: Option<Option<String>>,
    pub color: Option<Option<String>>,
    pub title_field: Option<String>,
}

impl DataModel {
    /// Defines an object with its fields; returns its definition's id.
    pub async fn create_object(&self, ctx: &Ctx, new: NewObject) -> Result<Uuid, Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        let row = row(ctx, &new)?;
        let catalog = self.catalog(&tx, ctx.workspace, version).await?;
        check_names(&catalog, &row)?;
        let known = definitions(&tx, ctx.workspace).await?;
        if known.len() >= MOST_OBJECTS {
            return Err(
                UserError::new(UserErrorCode::Limit, &[], format!("A workspace has at most {MOST_OBJECTS} objects of its own.")).into()
            );
        }
        if known.iter().any(|other| other.name == row.name) {
            return Err(UserError::new(UserErrorCode::Taken, &["name"], "There is an object of this name, perhaps an archived one.").into());
        }
        let mut object = Object::clone(self.standard.with_own(0, vec![to_object(&row)], Vec::new(), Vec::new()).object(&row.name));
        let id = row.id;
        let detail = json!({ "createdObject": { "name": object.one, "plural": object.plural } });
        object_definition::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        let title = NewField {
            object: object.name.clone(),
            name: new.title.0.clone(),
            kind: Kind::Text.name().to_owned(),
            label: new.title.1.clone(),
            help: Some("What it is called in lists.".to_owned()),
            required: true,
            indexed: true,
            searchable: true,
            ..NewField::default()
        };
        let field =
            self.add_field(&tx, ctx, &catalog, &object, title).await.map_err(|rejected| rejected.within(&["titleField".to_owned()]))?;
        object.fields.insert(field.name.clone(), field);
        for (index, field) in new.fields.into_iter().enumerate() {
            let field = NewField { object: object.name.clone(), ..field };
            let path = ["fields".to_owned(), index.to_string()];
            let field = self.add_field(&tx, ctx, &catalog, &object, field).await.map_err(|rejected| rejected.within(&path))?;
            object.fields.insert(field.name.clone(), field);
        }
        access::audit(&tx, ctx, Action::DataModelChanged, id, detail).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Changes how an object is called and shown. Its names in the API stay.
    pub async fn update_object(&self, ctx: &Ctx, catalog: &Catalog, id: Uuid, change: ObjectChange) -> Result<(), Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        next_version(&tx, ctx).await?;
        let row = find(&tx, ctx, id).await?;
        let name = row.name.clone();
        let mut model = row.into_active_model();
        if let Some(label) = &change.label {
            model.label = Set(label_at(label, "label")?);
        }
        if let Some(label) = &change.plural_label {
            model.plural_label = Set(label_at(label, "pluralLabel")?);
        }
        if let Some(description) = change.description {
            model.description = Set(described(description)?);
        }
        if let Some(icon) = change.icon {
            model.icon = Set(shown("icon", icon)?);
        }
        if let Some(color) = change.color {
            model.color = Set(shown("color", color)?);
        }
        if let Some(title) = change.title_field {
            check_title(catalog.find(&name), &title)?;
            refresh::mark_stale(&tx, ctx.workspace, &name).await?;
            model.title_field = Set(title);
        }
        model.updated_at = Set(ctx.now());
        let changed = model.update(&tx).await.map_err(Error::from)?;
        let detail = json!({ "updatedObject": { "name": name, "label": changed.label, "titleField": changed.title_field } });
        access::audit(&tx, ctx, Action::DataModelChanged, id, detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Archives an object, or brings it back: its records stay where they are, and nobody reaches them.
    pub async fn archive_object(&self, ctx: &Ctx, id: Uuid, archived: bool) -> Result<(), Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        next_version(&tx, ctx).await?;
        let row = find(&tx, ctx, id).await?;
        let name = row.name.clone();
        let mut model = row.into_active_model();
        model.archived_at = Set(archived.then(|| ctx.now()));
        model.updated_at = Set(ctx.now());
        model.update(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::DataModelChanged, id, json!({ "archivedObject": name, "archived": archived })).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The definitions of a workspace's own objects, archived ones included.
pub(super) async fn definitions(tx: &Tx, workspace: Uuid) -> Result<Vec<object_definition::Model>> {
    let query = object_definition::Entity::find().filter(object_definition::Column::WorkspaceId.eq(workspace));
    Ok(query.order_by_asc(object_definition::Column::Id).all(tx).await?)
}

/// The catalog's object of a definition, without its fields.
pub(super) fn to_object(row: &object_definition::Model) -> Object {
    let own = Own { id: row.id, icon: row.icon.clone(), color: row.color.clone(), archived_at: row.archived_at };
    let one = row.name.strip_prefix('_').unwrap_or_default();
    let help = row.description.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(&row.label);
    Object::own(one, [&row.plural, &row.label, &row.plural_label, &row.title_field], help, own)
}

/// The longest description, in characters.
const MOST_DESCRIPTION: usize = 2_000;

fn described(text: Option<String>) -> Result<Option<String>, UserError> {
    match text {
        Some(text) if text.chars().count() > MOST_DESCRIPTION => {
            Err(invalid(&["description"], format!("At most {MOST_DESCRIPTION} characters are allowed.")))
        }
        text => Ok(text),
    }
}

fn row(ctx: &Ctx, new: &NewObject) -> Result<object_definition::Model, UserError> {
    Ok(object_definition::Model {
        workspace_id: ctx.workspace,
        id: ctx.clock.new_id(),
        name: own_name(&new.name),
        plural: new.plural.clone(),
        label: label_at(&new.label, "label")?,
        plural_label: label_at(&new.plural_label, "pluralLabel")?,
        description: described(new.description.clone())?,
        icon: shown("icon", new.icon.clone())?,
        color: shown("color", new.color.clone())?,
        title_field: new.title.0.clone(),
        created_at: ctx.now(),
        updated_at: ctx.now(),
        archived_at: None,
    })
}

fn label_at(label: &str, path: &str) -> Result<String, UserError> {
    model::check_label(label).map_err(|error| invalid(&[path], error.message))
}

/// How it looks is the front end's business; it is short, and no markup.
fn shown(path: &str, text: Option<String>) -> Result<Option<String>, UserError> {
    let good = |text: &String| !text.is_empty() && text.chars().count() <= 64 && !text.contains(['<', '>', '"', '\'']);
    match text {
        Some(text) if !good(&text) => Err(invalid(&[path], "A name or code of 1 to 64 characters, without `<`, `>` and quotes.")),
        text => Ok(text),
    }
}

/// Names are GraphQL names in camel case, and nothing in the schema is called so.
fn check_names(catalog: &Catalog, row: &object_definition::Model) -> Result<(), UserError> {
    let one = row.name.strip_prefix('_').unwrap_or_default();
    for (path, name) in [("name", one), ("plural", row.plural.as_str())] {
        if !is_name(name, 40) {
            return Err(invalid(&[path], "It begins with a small letter and goes on with letters and digits, 40 at most: `openHouse`."));
        }
    }
    if one == row.plural {
        return Err(invalid(&["plural"], "One and many are called differently: `property`, `properties`."));
    }
    match catalog.collision(one, &row.plural) {
        Some(name) => {
            Err(UserError::new(UserErrorCode::Taken, &["name"], format!("The schema has a `{name}` already; call it otherwise.")))
        }
        None => Ok(()),
    }
}

fn check_title(object: Option<&std::sync::Arc<Object>>, title: &str) -> Result<(), UserError> {
    let refuse = |message: &str| Err(invalid(&["titleField"], message));
    let Some(object) = object else { return refuse("There is no such object.") };
    match object.own_field(title) {
        _ if object.title == "title" && title != "title" => refuse("A field called `title` stays the title."),
        Some(field) if field.kind == Kind::Text && field.required && !field.archived && !field.settings.encrypted => Ok(()),
        Some(_) => refuse("The title is a text that every record must have, and that is not encrypted."),
        None => refuse("The object has no such field."),
    }
}

async fn find(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<object_definition::Model, Rejected> {
    let found = object_definition::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)?;
    found.ok_or_else(|| UserError::new(UserErrorCode::NotFound, &["id"], "There is no such object.").into())
}
