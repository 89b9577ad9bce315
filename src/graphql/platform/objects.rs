//! Objects that the workspace defines.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use uuid::Uuid;

use super::describe::{ObjectDescription, describe};
use super::fields::{FieldInput, given, new_field};
use super::values::{UserErrorView, views};
use super::workspace::split;
use crate::error::{UserError, UserErrorCode};
use crate::features::data_model::{NewObject, ObjectChange};
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Request};

#[derive(Default)]
pub struct ObjectMutation;

/// An object to be defined.
#[derive(InputObject)]
pub struct CreateObjectInput {
    /// What the API shall call one: a small letter, then letters and digits: `property`. It stays.
    name: String,
    /// What the API shall call many: `properties`. It stays.
    plural: String,
    /// What people call one.
    label: String,
    /// What people call many.
    plural_label: String,
    /// What it is; shown in the schema.
    description: Option<String>,
    /// A name or code of an icon, for front ends.
    icon: Option<String>,
    /// A colour, for front ends.
    color: Option<String>,
    /// The field that names a record, a text that every record has; `name` if not given.
    title_field: Option<TitleFieldInput>,
    /// Its other fields; more can be added later.
    #[graphql(default)]
    fields: Vec<FieldInput>,
}

/// The field that names a record.
#[derive(InputObject)]
pub struct TitleFieldInput {
    /// What the API shall call it. It stays.
    name: String,
    /// What people call it.
    label: String,
}

/// What to change of an object. Absent is left alone, null takes away.
#[derive(InputObject)]
pub struct UpdateObjectInput {
    /// The definition's id, from `objects`.
    id: ID,
    /// What people call one.
    label: Option<String>,
    /// What people call many.
    plural_label: Option<String>,
    /// What it is.
    description: MaybeUndefined<String>,
    /// A name or code of an icon, for front ends.
    icon: MaybeUndefined<String>,
    /// A colour, for front ends.
    color: MaybeUndefined<String>,
    /// The field that names a record: a required text of the object.
    title_field: Option<String>,
}

/// An object to archive, or to bring back.
#[derive(InputObject)]
pub struct ArchiveObjectInput {
    /// The definition's id, from `objects`.
    id: ID,
    /// False brings it back.
    #[graphql(default = true)]
    archived: bool,
}

/// What came of changing an object.
#[derive(SimpleObject)]
pub struct ObjectPayload {
    /// The object as it is now; the schema has it from the next request on.
    object: Option<ObjectDescription>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[Object]
impl ObjectMutation {
    /// Defines an object. The next request finds it in the schema, with types, lists, filters and mutations of its
    /// own. Needs DATA_MODEL.
    async fn create_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new object.")] input: CreateObjectInput,
    ) -> Result<ObjectPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let title = input.title_field.map_or_else(|| ("name".to_owned(), "Name".to_owned()), |title| (title.name, title.label));
        let new = NewObject {
            name: input.name,
            plural: input.plural,
            label: input.label,
            plural_label: input.plural_label,
            description: input.description,
            icon: input.icon,
            color: input.color,
            title,
            fields: input.fields.into_iter().map(new_field).collect(),
        };
        let (id, errors) = split(request.app.data_model.create_object(&signed.ctx, new).await)?;
        payload(request, id, errors).await
    }

    /// Changes what people call an object that the workspace defined, and how it is shown. Its names in the API stay.
    /// Needs DATA_MODEL.
    async fn update_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateObjectInput,
    ) -> Result<ObjectPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = input.id.parse::<Uuid>() else { return Ok(not_found()) };
        let change = ObjectChange {
            label: input.label,
            plural_label: input.plural_label,
            description: given(input.description),
            icon: given(input.icon),
            color: given(input.color),
            title_field: input.title_field,
        };
        let (done, errors) = split(request.app.data_model.update_object(&signed.ctx, &signed.known.catalog, id, change).await)?;
        payload(request, done.map(|()| id), errors).await
    }

    /// Archives an object that the workspace defined: it stays in the schema, deprecated and empty, its records are kept
    /// and nobody reaches them until it is brought back. Needs DATA_MODEL.
    async fn archive_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which object.")] input: ArchiveObjectInput,
    ) -> Result<ObjectPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = input.id.parse::<Uuid>() else { return Ok(not_found()) };
        let (done, errors) = split(request.app.data_model.archive_object(&signed.ctx, id, input.archived).await)?;
        payload(request, done.map(|()| id), errors).await
    }
}

fn not_found() -> ObjectPayload {
    let error = UserError::new(UserErrorCode::NotFound, &["id"], "There is no such object.");
    ObjectPayload { object: None, user_errors: views(vec![error]) }
}

/// The object as the new catalog has it.
async fn payload(request: &Request, id: Option<Uuid>, errors: Vec<UserError>) -> Result<ObjectPayload> {
    let signed = request.signed().map_err(|e| field_error(&e))?;
    let mut object = None;
    if let Some(id) = id {
        request.app.forget_workspace(signed.ctx.workspace).await;
        let known = request.app.workspace(signed.ctx.workspace).await.map_err(|e| field_error(&e))?;
        let found = known.catalog.objects().find(|object| object.own.as_ref().is_some_and(|own| own.id == id));
        object = found.map(|object| describe(object, signed.ctx.access.object(&object.name)));
    }
    Ok(ObjectPayload { object, user_errors: views(errors) })
}
