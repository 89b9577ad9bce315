//! A merge: which records became one, and what the change log does not tell of it.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "merge_ledger")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The change set that it is a part of: so many changes, from the one with that number.
    pub change_set_id: Uuid,
    pub first_change: i64,
    pub changes: i64,
    #[sea_orm(column_type = "Text")]
    pub object: String,
    pub survivor_id: Uuid,
    /// The records that became the survivor.
    pub loser_ids: Json,
    /// The grants that the survivor got with it.
    pub shares: Json,
    /// The links of which the survivor had the like already.
    pub folded: Json,
    pub merged_at: Micros,
    /// The change set that undid it.
    pub undone_by: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
