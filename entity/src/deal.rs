//! A sale that may happen, is happening or happened.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deal")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub name_fold: String,
    pub pipeline_id: Uuid,
    pub stage_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub status: String,
    /// In units of 1/10,000 of its currency.
    pub amount: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub amount_currency: Option<String>,
    pub probability: i64,
    #[sea_orm(column_type = "Text")]
    pub probability_mode: String,
    pub expected_close_date: Option<Date>,
    pub closed_at: Option<Micros>,
    pub stage_entered_at: Micros,
    pub company_id: Option<Uuid>,
    #[sea_orm(column_name = "type", column_type = "Text", nullable)]
    pub type_: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub lost_reason: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub next_step: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
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
    pub territory_id: Option<Uuid>,
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
