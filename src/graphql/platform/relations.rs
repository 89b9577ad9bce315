//! Relations between objects that the workspace defines.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use uuid::Uuid;

use super::describe::{RelationDescription, describe_relation};
use super::fields::given;
use super::values::{ObjectName, UserErrorView, views};
use super::workspace::split;
use crate::catalog::{self, OnDelete, Via};
use crate::error::{UserError, UserErrorCode};
use crate::features::data_model::{Cardinality, NewRelation, RelationChange};
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Request};

#[derive(Default)]
pub struct RelationMutation;

/// How many records at each end a link may lead to.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RelationCardinality {
    /// One record at each end.
    OneToOne,
    /// One record at the `from` end, many at the `to` end: a property's viewings.
    OneToMany,
    /// Many records at both ends.
    ManyToMany,
}

/// What becomes of the records at the `to` end when the one at the `from` end is deleted.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RelationOnDelete {
    /// They stay; the link comes back when the record is restored.
    Unlink,
    /// As long as there are some, the record is not deleted.
    Restrict,
    /// They are deleted with it, and restored with it.
    Cascade,
}

impl From<RelationOnDelete> for OnDelete {
    fn from(rule: RelationOnDelete) -> Self {
        match rule {
            RelationOnDelete::Unlink => Self::Unlink,
            RelationOnDelete::Restrict => Self::Restrict,
            RelationOnDelete::Cascade => Self::Cascade,
        }
    }
}

/// A relation to be defined.
#[derive(InputObject)]
pub struct CreateRelationInput {
    /// The object at one end: with ONE_TO_MANY the one.
    from: ObjectName,
    /// The object at the other end.
    to: ObjectName,
    /// What the API shall call it at the `from` end: `viewings`. It stays.
    name: String,
    /// What the API shall call it at the `to` end: `property`. It stays.
    inverse_name: String,
    /// What people call it at the `from` end.
    label: String,
    /// What people call it at the `to` end.
    inverse_label: String,
    /// How many records at each end a link may lead to. It stays.
    cardinality: RelationCardinality,
    /// Whether each link has a role, a title and a rank, as a person has at a company.
    #[graphql(default)]
    has_role: bool,
    /// The most links of a record at the `from` end.
    max_from: Option<u32>,
    /// The most links of a record at the `to` end.
    max_to: Option<u32>,
    /// What becomes of the records at the `to` end when the one at the `from` end is deleted.
    #[graphql(default_with = "RelationOnDelete::Unlink")]
    on_delete: RelationOnDelete,
}

/// What to change of a relation. Absent is left alone, null takes away.
#[derive(InputObject)]
pub struct UpdateRelationInput {
    /// The relation's id, from `objects { relations }`.
    id: ID,
    /// What people call it at the `from` end.
    label: Option<String>,
    /// What people call it at the `to` end.
    inverse_label: Option<String>,
    /// The most links of a record at the `from` end; those that are there stay.
    max_from: MaybeUndefined<u32>,
    /// The most links of a record at the `to` end; those that are there stay.
    max_to: MaybeUndefined<u32>,
    /// What becomes of the records at the `to` end when the one at the `from` end is deleted.
    on_delete: Option<RelationOnDelete>,
}

/// A relation to archive, or to bring back.
#[derive(InputObject)]
pub struct ArchiveRelationInput {
    /// The relation's id, from `objects { relations }`.
    id: ID,
    /// False brings it back.
    #[graphql(default = true)]
    archived: bool,
}

/// What came of changing a relation.
#[derive(SimpleObject)]
pub struct RelationPayload {
    /// The relation as the object at the `from` end has it; the schema has it from the next request on. Null if it is
    /// archived.
    relation: Option<RelationDescription>,
    /// The relation as the object at the `to` end has it.
    inverse: Option<RelationDescription>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[Object]
impl RelationMutation {
    /// Defines a relation between two objects, standard or own. The next request finds it at both ends: a standard object
    /// has it under `custom`. Needs DATA_MODEL.
    async fn create_relation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new relation.")] input: CreateRelationInput,
    ) -> Result<RelationPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let catalog = &signed.known.catalog;
        let new = NewRelation {
            from: input.from.stored(catalog),
            to: input.to.stored(catalog),
            name: input.name,
            inverse_name: input.inverse_name,
            label: input.label,
            inverse_label: input.inverse_label,
            cardinality: match input.cardinality {
                RelationCardinality::OneToOne => Cardinality::OneToOne,
                RelationCardinality::OneToMany => Cardinality::OneToMany,
                RelationCardinality::ManyToMany => Cardinality::ManyToMany,
            },
            has_role: input.has_role,
            most_from: input.max_from,
            most_to: input.max_to,
            on_delete: input.on_delete.into(),
        };
        let (id, errors) = split(request.app.data_model.create_relation(&signed.ctx, new).await)?;
        payload(request, id, errors).await
    }

    /// Changes a relation that the workspace defined. Its names in the API, its ends and its cardinality stay. Needs
    /// DATA_MODEL.
    async fn update_relation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateRelationInput,
    ) -> Result<RelationPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = input.id.parse::<Uuid>() else { return Ok(not_found()) };
        let change = RelationChange {
            label: input.label,
            inverse_label: input.inverse_label,
            most_from: given(input.max_from),
            most_to: given(input.max_to),
            on_delete: input.on_delete.map(OnDelete::from),
        };
        let (done, errors) = split(request.app.data_model.update_relation(&signed.ctx, id, change).await)?;
        payload(request, done.map(|()| id), errors).await
    }

    /// Archives a relation that the workspace defined: it leaves the schema, its links are kept. Needs DATA_MODEL.
    async fn archive_relation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which relation.")] input: ArchiveRelationInput,
    ) -> Result<RelationPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = input.id.parse::<Uuid>() else { return Ok(not_found()) };
        let done = request.app.data_model.archive_relation(&signed.ctx, &signed.known.catalog, id, input.archived).await;
        let (done, errors) = split(done)?;
        payload(request, done.map(|()| id), errors).await
    }
}

fn not_found() -> RelationPayload {
    let error = UserError::new(UserErrorCode::NotFound, &["id"], "There is no such relation.");
    RelationPayload { relation: None, inverse: None, user_errors: views(vec![error]) }
}

/// Both ends as the new catalog has them.
async fn payload(request: &Request, id: Option<Uuid>, errors: Vec<UserError>) -> Result<RelationPayload> {
    let signed = request.signed().map_err(|e| field_error(&e))?;
    let mut payload = RelationPayload { relation: None, inverse: None, user_errors: views(errors) };
    let Some(id) = id else { return Ok(payload) };
    request.app.forget_workspace(signed.ctx.workspace).await;
    let known = request.app.workspace(signed.ctx.workspace).await.map_err(|e| field_error(&e))?;
    let end = |wanted: bool| {
        let is_end = |relation: &&catalog::Relation| {
            let here = matches!(&relation.via, Via::Link { from, .. } if *from == wanted);
            here && relation.own.as_ref().is_some_and(|own| own.id == id)
        };
        known.catalog.objects().find_map(|object| object.relations.values().find(is_end)).map(describe_relation)
    };
    payload.relation = end(true);
    payload.inverse = end(false);
    Ok(payload)
}
