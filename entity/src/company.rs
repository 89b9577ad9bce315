//! An organisation one does business with.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "company")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub name_fold: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub legal_name: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub domain: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub domains: Json,
    #[sea_orm(column_type = "Text", nullable)]
    pub website: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub linkedin_url: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub industry: Option<String>,
    pub employee_count: Option<i64>,
    /// In units of 1/10,000 of its currency.
    pub annual_revenue: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub annual_revenue_currency: Option<String>,
    #[sea_orm(column_name = "type", column_type = "Text", nullable)]
    pub type_: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub lifecycle_stage: Option<String>,
    pub parent_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub billing_address: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub shipping_address: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub phones: Json,
    #[sea_orm(column_type = "Text", nullable)]
    pub tax_id: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub vat_id: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub registration_number: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub currency: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub time_zone: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub language: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    pub founded_year: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub rating: Option<String>,
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
