//! A request that may be sent again without being done again, and what was answered.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// The member or key that sent it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub holder_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    /// The root field by its name in the answer; empty: the request as a whole.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub field: String,
    /// Of document and variables.
    #[sea_orm(column_type = "Text")]
    pub fingerprint: String,
    /// The payload as JSON; null if it is a secret, or of the request as a whole.
    #[sea_orm(column_type = "Text", nullable)]
    pub answer: Option<String>,
    /// Until when a running request keeps others out.
    pub leased_until: Micros,
    pub created_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
