//! What the deals of a stage come to, in parts; kept by the database.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deal_total")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub stage_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub pipeline_id: Uuid,
    /// Empty for deals without an amount.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub currency: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part: i64,
    pub records: i64,
    /// The amounts' upper 32 bits, added up.
    pub high: i64,
    /// Their lower 32 bits.
    pub low: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
