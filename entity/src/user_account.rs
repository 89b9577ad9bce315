//! A human who can sign in; one user may be a member of several workspaces.

use sea_orm::entity::prelude::*;

use crate::Micros;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub email: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub password_hash: Option<String>,
    pub created_at: Micros,
    /// The secret of the second factor, sealed; it counts from `totp_since` on.
    #[sea_orm(column_type = "Text", nullable)]
    pub totp_secret: Option<String>,
    pub totp_since: Option<Micros>,
    /// The newest time step that was used: no code works twice.
    pub totp_last_step: Option<i64>,
}

impl Model {
    /// A user with a password, or with none yet, and without a second factor.
    pub fn new(id: Uuid, email: &str, name: &str, password_hash: Option<String>, created_at: Micros) -> Self {
        Self {
            id,
            email: email.to_owned(),
            name: name.to_owned(),
            password_hash,
            created_at,
            totp_secret: None,
            totp_since: None,
            totp_last_step: None,
        }
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
