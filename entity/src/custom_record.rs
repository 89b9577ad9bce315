//! A record of an object that a workspace defined itself; all its own values are in `custom`.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "custom_record")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub object: String,
    /// Counts the writes of stored fields, from 1.
    pub version: i64,
    pub created_at: Micros,
    #[sea_orm(column_type = "Text")]
    pub created_by_kind: String,
    pub created_by: Option<Uuid>,
    pub updated_at: Micros,
    #[sea_orm(column_type = "Text")]
    pub updated_by_kind: String,
    pub updated_by: Option<Uuid>,
    pub deleted_at: Option<Micros>,
    pub owner_id: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub source: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub external_ids: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub custom: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
