//! The narrow spine: one row for every record of every object.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "record")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub object: String,
    /// As in the record's own table: who may see a record of any object is decided here.
    pub owner_id: Option<Uuid>,
    pub territory_id: Option<Uuid>,
    pub merged_into: Option<Uuid>,
    /// As in the record's own table: what leads to records of any object asks here.
    pub deleted_at: Option<Micros>,
    pub created_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
