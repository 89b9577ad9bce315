//! A relation between two objects that a workspace defined.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "relation_definition")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub from_object: String,
    #[sea_orm(column_type = "Text")]
    pub to_object: String,
    /// What the object at the `from` end calls it, and what the one at the `to` end does.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub inverse_name: String,
    #[sea_orm(column_type = "Text")]
    pub label: String,
    #[sea_orm(column_type = "Text")]
    pub inverse_label: String,
    #[sea_orm(column_type = "Text")]
    pub cardinality: String,
    pub has_role: bool,
    pub most_from: Option<i64>,
    pub most_to: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub on_delete: String,
    pub created_at: Micros,
    pub updated_at: Micros,
    pub archived_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
