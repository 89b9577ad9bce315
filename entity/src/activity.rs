//! Something done or to be done: a task, call, meeting or e-mail.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "activity")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    #[sea_orm(column_type = "Text")]
    pub subject: String,
    #[sea_orm(column_type = "Text")]
    pub subject_fold: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub body: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub status: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub priority: Option<String>,
    pub occurred_at: Option<Micros>,
    pub due_at: Option<Micros>,
    pub start_at: Option<Micros>,
    pub end_at: Option<Micros>,
    pub all_day: bool,
    pub completed_at: Option<Micros>,
    pub duration_seconds: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub direction: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub from_number: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub to_number: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub location: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub join_url: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub time_zone: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub outcome: Option<String>,
    pub assignee_id: Option<Uuid>,
    #[sea_orm(column_type = "Text", nullable)]
    pub from_address: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub to_addresses: Json,
    #[sea_orm(column_type = "Text", nullable)]
    pub message_id: Option<String>,
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
