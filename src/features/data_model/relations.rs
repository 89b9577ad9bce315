//! Relations between objects that a workspace defines.
//!
//! A relation is a row of `relation_definition`; its links are rows of `record_link` whose kind is the
//! definition's id. Both objects have it: the one at the `from` end under `name`, the one at the `to` end under
//! `inverseName`; own objects at top level, standard ones under `custom`.

use std::sync::Arc;

use entity::relation_definition;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::{DataModel, check_own_name, invalid, is_name, model, next_version};
use crate::catalog::{Catalog, Object, OnDelete, OwnRelation, Relation, Target};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::write::Rejected;

/// The most relations that a workspace can define.
const MOST_RELATIONS: usize = 500;

/// How many records at each end a link may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    OneToOne,
    /// One record at the `from` end, many at the `to` end.
    OneToMany,
    ManyToMany,
}

impl Cardinality {
    const EVERY: [(Self, &'static str); 3] =
        [(Self::OneToOne, "ONE_TO_ONE"), (Self::OneToMany, "ONE_TO_MANY"), (Self::ManyToMany, "MANY_TO_MANY")];

    fn as_str(self) -> &'static str {
        Self::EVERY.iter().find(|(of, _)| *of == self).map_or("", |(_, name)| name)
    }

    /// Whether a record at the `from` end has one link at most, and one at the `to` end.
    fn one(name: &str) -> (bool, bool) {
        match name {
            "ONE_TO_ONE" => (true, true),
            "ONE_TO_MANY" => (false, true),
            _ => (false, false),
        }
    }
}

/// A relation to be defined.
#[derive(Clone, Debug)]
pub struct NewRelation {
    pub from: String,
    pub to: String,
    pub name: String,
    pub inverse_name: String,
    pub label: String,
    pub inverse_label: String,
    pub cardinality: Cardinality,
    pub has_role: bool,
    pub most_from: Option<u32>,
    pub most_to: Option<u32>,
    pub on_delete: OnDelete,
}

/// What can change of a relation; absent is left alone.
#[derive(Clone, Debug, Default)]
pub struct RelationChange {
    pub label: Option<String>,
    pub inverse_label: Option<String>,
    pub most_from: Option<Option<u32>>,
    pub most_to: Option<Option<u32>>,
    pub on_delete: Option<OnDelete>,
}

impl DataModel {
    /// Defines a relation; returns its id.
    pub async fn create_relation(&self, ctx: &Ctx, new: NewRelation) -> Result<Uuid, Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        let catalog = self.catalog(&tx, ctx.workspace, version).await?;
        let (from, to) = ends(&catalog, &new)?;
        if definitions(&tx, ctx.workspace).await?.len() >= MOST_RELATIONS {
            let message = format!("A workspace has at most {MOST_RELATIONS} relations of its own.");
            return Err(UserError::new(UserErrorCode::Limit, &[], message).into());
        }
        check_name(from, &new.name, "name")?;
        check_name(to, &new.inverse_name, "inverseName")?;
        if from.name == to.name && new.name == new.inverse_name {
            return Err(invalid(&["inverseName"], "Both ends are the same object: it calls them differently.").into());
        }
        if let Some(name) = catalog.edge_collision(from, to).filter(|_| new.has_role) {
            let message = format!("Its links would be called `{name}`, as a type of another object is.");
            return Err(UserError::new(UserErrorCode::Taken, &["hasRole"], message).into());
        }
        check_bounds(&new)?;
        let row = relation_definition::Model {
            workspace_id: ctx.workspace,
            id: ctx.clock.new_id(),
            from_object: from.name.clone(),
            to_object: to.name.clone(),
            name: new.name.clone(),
            inverse_name: new.inverse_name.clone(),
            label: label_at(&new.label, "label")?,
            inverse_label: label_at(&new.inverse_label, "inverseLabel")?,
            cardinality: new.cardinality.as_str().to_owned(),
            has_role: new.has_role,
            most_from: new.most_from.map(i64::from),
            most_to: new.most_to.map(i64::from),
            on_delete: new.on_delete.as_str().to_owned(),
            created_at: ctx.now(),
            updated_at: ctx.now(),
            archived_at: None,
        };
        let id = row.id;
        let detail = json!({ "createdRelation": { "from": from.one, "to": to.one, "name": row.name, "inverseName": row.inverse_name } });
        relation_definition::Entity::insert(row.into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::DataModelChanged, id, detail).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Changes what can change of a relation: its names in the API, its ends and its cardinality stay.
    pub async fn update_relation(&self, ctx: &Ctx, id: Uuid, change: RelationChange) -> Result<(), Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        next_version(&tx, ctx).await?;
        let mut model = find(&tx, ctx, id).await?.into_active_model();
        if let Some(label) = &change.label {
            model.label = Set(label_at(label, "label")?);
        }
        if let Some(label) = &change.inverse_label {
            model.inverse_label = Set(label_at(label, "inverseLabel")?);
        }
        if let Some(most) = change.most_from {
            model.most_from = Set(most.map(i64::from));
        }
        if let Some(most) = change.most_to {
            model.most_to = Set(most.map(i64::from));
        }
        if let Some(rule) = change.on_delete {
            model.on_delete = Set(rule.as_str().to_owned());
        }
        model.updated_at = Set(ctx.now());
        let row = model.update(&tx).await.map_err(Error::from)?;
        access::audit(
            &tx,
            ctx,
            Action::DataModelChanged,
            id,
            json!({ "updatedRelation": { "name": row.name, "onDelete": row.on_delete } }),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Archives a relation, or brings it back: its links are kept, and lead nowhere meanwhile.
    pub async fn archive_relation(&self, ctx: &Ctx, catalog: &Catalog, id: Uuid, archived: bool) -> Result<(), Rejected> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        let version = next_version(&tx, ctx).await?;
        let row = find(&tx, ctx, id).await?;
        if !archived && row.archived_at.is_some() {
            for (object, name, path) in [(&row.from_object, &row.name, "name"), (&row.to_object, &row.inverse_name, "inverseName")] {
                if let Some(object) = catalog.find(object) {
                    check_name(object, name, path)?;
                }
            }
        }
        let mut model = row.into_active_model();
        model.archived_at = Set(archived.then(|| ctx.now()));
        model.updated_at = Set(ctx.now());
        let row = model.update(&tx).await.map_err(Error::from)?;
        self.check_dependants(&tx, ctx, catalog, version, "id").await?;
        access::audit(&tx, ctx, Action::DataModelChanged, id, json!({ "archivedRelation": row.name, "archived": archived })).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The relations that a workspace defined, archived ones included.
pub(super) async fn definitions(tx: &Tx, workspace: Uuid) -> Result<Vec<relation_definition::Model>> {
    let query = relation_definition::Entity::find().filter(relation_definition::Column::WorkspaceId.eq(workspace));
    Ok(query.order_by_asc(relation_definition::Column::Id).all(tx).await?)
}

/// Both ends of a definition, each with the object that has it. An archived one has none.
pub(super) fn to_relations(row: &relation_definition::Model) -> Vec<(String, Relation)> {
    if row.archived_at.is_some() {
        return Vec::new();
    }
    let most = |most: Option<i64>| most.and_then(|most| u32::try_from(most).ok());
    let own = Arc::new(OwnRelation {
        id: row.id,
        one: Cardinality::one(&row.cardinality),
        most: (most(row.most_from), most(row.most_to)),
        on_delete: OnDelete::parse(&row.on_delete).unwrap_or(OnDelete::Unlink),
    });
    let kind = format!("_{}", row.id.simple());
    let end = |name: &str, label: &str, target: &str, from: bool| {
        let mut relation = Relation::links(name, Target::Object(target.to_owned()), &kind, from, label, label);
        relation.own = Some(own.clone());
        relation.has_role = row.has_role && !relation.is_one();
        relation
    };
    vec![
        (row.from_object.clone(), end(&row.name, &row.label, &row.to_object, true)),
        (row.to_object.clone(), end(&row.inverse_name, &row.inverse_label, &row.from_object, false)),
    ]
}

fn ends<'a>(catalog: &'a Catalog, new: &NewRelation) -> Result<(&'a Arc<Object>, &'a Arc<Object>), UserError> {
    let end = |name: &str, path: &str| match catalog.find(name) {
        Some(object) if object.is_interface() => Err(invalid(&[path], "Activities are linked by their `links`, to any record.")),
        Some(object) if object.is_archived() => Err(invalid(&[path], "The object is archived.")),
        Some(object) => Ok(object),
        None => Err(invalid(&[path], "There is no such object.")),
    };
    Ok((end(&new.from, "from")?, end(&new.to, "to")?))
}

/// A relation is called like no other member of its object.
fn check_name(object: &Object, name: &str, path: &str) -> Result<(), UserError> {
    if !is_name(name, 60) {
        return Err(invalid(&[path], "It begins with a small letter and goes on with letters and digits, 60 at most: `viewings`."));
    }
    let taken = if object.own.is_some() {
        check_own_name(object, name).is_err() || object.own_field(name).is_some()
    } else {
        object.custom.contains_key(name) || object.added_relation(name).is_some()
    };
    if taken || name == "id" || name == "title" {
        return Err(UserError::new(UserErrorCode::Taken, &[path], format!("{} has a `{name}` already.", object.type_name)));
    }
    Ok(())
}

fn check_bounds(new: &NewRelation) -> Result<(), UserError> {
    let (one_from, one_to) = Cardinality::one(new.cardinality.as_str());
    for (path, most, one) in [("maxFrom", new.most_from, one_from), ("maxTo", new.most_to, one_to)] {
        match most {
            Some(_) if one => return Err(invalid(&[path], "The cardinality says one already.")),
            Some(0) => return Err(invalid(&[path], "One at least.")),
            _ => {}
        }
    }
    if new.on_delete == OnDelete::Cascade && new.cardinality == Cardinality::ManyToMany {
        return Err(invalid(&["onDelete"], "Records that others are linked to as well are not deleted with one of them."));
    }
    Ok(())
}

fn label_at(label: &str, path: &str) -> Result<String, UserError> {
    model::check_label(label).map_err(|error| invalid(&[path], error.message))
}

async fn find(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<relation_definition::Model, Rejected> {
    let found = relation_definition::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)?;
    found.ok_or_else(|| UserError::new(UserErrorCode::NotFound, &["id"], "There is no such relation.").into())
}
