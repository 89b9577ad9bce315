//! A long-lived credential of a program; only its hash is kept.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub hint: String,
    #[sea_orm(column_type = "Text")]
    pub secret_hash: String,
    pub created_by: Option<Uuid>,
    pub created_at: Micros,
    pub expires_at: Option<Micros>,
    pub last_used_at: Option<Micros>,
    pub revoked_at: Option<Micros>,
    /// `SECRET` or `PUBLISHABLE`.
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    /// The application whose documents it may send.
    pub application_id: Option<Uuid>,
    /// What it may not do although its roles allow it.
    #[sea_orm(column_type = "JsonBinary")]
    pub restrictions: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
