//! A link as it was until it was cut or changed, and where a reference led before it led elsewhere.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_link")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub kind: String,
    /// The link's id; of a reference, the id of the record that has it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub link_id: Uuid,
    pub from_id: Uuid,
    pub to_id: Uuid,
    #[sea_orm(column_type = "Text", nullable)]
    pub role: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub title: Option<String>,
    pub is_primary: bool,
    /// Since when it said this.
    pub since: Micros,
    #[sea_orm(primary_key, auto_increment = false)]
    pub ended_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
