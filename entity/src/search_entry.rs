//! What search knows of a record, kept in the write's own transaction.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "search_entry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub object: String,
    #[sea_orm(column_type = "Text")]
    pub title: String,
    /// The words of the index, with single spaces between them.
    #[sea_orm(column_type = "Text")]
    pub words: String,
    /// Whether they must be made anew.
    pub stale: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
