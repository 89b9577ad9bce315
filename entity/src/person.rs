//! A human one talks to.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "person")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text", nullable)]
    pub salutation: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub first_name: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub middle_name: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub last_name: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub last_name_fold: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub suffix: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub nickname: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub full_name: String,
    #[sea_orm(column_type = "Text")]
    pub full_name_fold: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub email: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub emails: Json,
    #[sea_orm(column_type = "Text", nullable)]
    pub phone: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub phones: Json,
    #[sea_orm(column_type = "Text", nullable)]
    pub job_title: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub department: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub seniority: Option<String>,
    pub reports_to_id: Option<Uuid>,
    pub birthday: Option<Date>,
    #[sea_orm(column_type = "Text", nullable)]
    pub pronouns: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub language: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub time_zone: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub linkedin_url: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub x_url: Option<String>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub address: Option<Json>,
    #[sea_orm(column_type = "Text", nullable)]
    pub lead_source: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub lifecycle_stage: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub lead_status: Option<String>,
    pub do_not_contact: bool,
    #[sea_orm(column_type = "Text", nullable)]
    pub do_not_contact_reason: Option<String>,
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
