//! Who has which rights, and when they last used them: a report for auditors.

use std::collections::HashMap;

use entity::{Micros, role};
use uuid::Uuid;

use super::AccessControl;
use super::roles::require;
use crate::error::Result;
use crate::infra::db::Mode;
use crate::platform::Ctx;
use crate::platform::access::Setting;

/// Somebody, or some program, that has roles.
#[derive(Clone, Debug)]
pub struct Holder {
    pub id: Uuid,
    pub is_key: bool,
    pub name: String,
    /// Whether they can sign in, or the key works, now.
    pub active: bool,
    pub last_used_at: Option<Micros>,
    pub roles: Vec<role::Model>,
    /// How many records are shared with them, beyond what their roles reach.
    pub shares: i64,
}

impl AccessControl {
    /// Every member and key, with their roles. Needs AUDIT.
    pub async fn review(&self, ctx: &Ctx) -> Result<Vec<Holder>> {
        require(ctx, Setting::Audit)?;
        let roles = self.roles(ctx).await?;
        let mut held: HashMap<Uuid, Vec<role::Model>> = HashMap::new();
        for row in self.holders(ctx).await? {
            held.entry(row.holder_id).or_default().extend(roles.iter().find(|role| role.id == row.role_id).cloned());
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let members = "SELECT m.id, m.name, CASE WHEN m.status = 'ACTIVE' AND m.user_id IS NOT NULL THEN 1 ELSE 0 END, \
                       (SELECT max(s.refreshed_at) FROM session s WHERE s.workspace_id = m.workspace_id AND s.member_id = m.id), \
                       (SELECT count(*) FROM record_grant g WHERE g.workspace_id = m.workspace_id AND g.grantee_id = m.id) \
                       FROM member m WHERE m.workspace_id = $1 AND m.deleted_at IS NULL ORDER BY m.name_fold, m.id";
        let keys = "SELECT k.id, k.name, CASE WHEN k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) THEN 1 ELSE 0 END, \
                    k.last_used_at, 0 FROM api_key k WHERE k.workspace_id = $1 ORDER BY k.name, k.id";
        let as_bigint = |sql: &str| match tx.backend() {
            crate::infra::db::Backend::Postgres => {
                sql.replace("THEN 1 ELSE 0 END", "THEN 1::bigint ELSE 0::bigint END").replace(", 0 FROM", ", 0::bigint FROM")
            }
            crate::infra::db::Backend::Sqlite => sql.to_owned(),
        };
        let mut holders = Vec::new();
        for (is_key, sql, values) in
            [(false, members, vec![ctx.workspace.into()]), (true, keys, vec![ctx.workspace.into(), ctx.now().0.into()])]
        {
            for row in tx.fetch_all(&as_bigint(sql), values).await? {
                let id = row.uuid(0)?.unwrap_or_default();
                holders.push(Holder {
                    id,
                    is_key,
                    name: row.text(1)?.unwrap_or_default().to_owned(),
                    active: row.int(2)? == Some(1),
                    last_used_at: row.int(3)?.map(Micros),
                    roles: held.remove(&id).unwrap_or_default(),
                    shares: row.int(4)?.unwrap_or(0),
                });
            }
        }
        tx.commit().await?;
        Ok(holders)
    }
}
