//! An address that takes JSON and makes records of it.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inbound_hook")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub type_name: String,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub key_map: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub input_map: Json,
    #[sea_orm(column_type = "Text")]
    pub verification: String,
    #[sea_orm(column_type = "Text")]
    pub secret: String,
    pub paused: bool,
    #[sea_orm(column_type = "Text")]
    pub holder_kind: String,
    pub holder_id: Uuid,
    pub last_at: Option<Micros>,
    #[sea_orm(column_type = "Text", nullable)]
    pub last_outcome: Option<String>,
    pub created_at: Micros,
    pub updated_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
