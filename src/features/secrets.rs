//! The data keys of workspaces: made with the first encrypted field, wrapped by the installation's
//! key, changed on request.
//!
//! A key that sealed something is kept: the change log holds what it sealed for as long as history
//! is kept. What is written after a change is sealed with the new one.

use std::sync::Arc;

use entity::data_key;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::features::access;
use crate::infra::clock::Clock;
use crate::infra::db::{Db, Mode, Tx};
use crate::infra::vault::Vault;
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::platform::secrets::Secrets;

/// What a key is for.
const DATA: &str = "DATA";
const BLIND: &str = "BLIND_INDEX";

#[derive(Clone)]
pub struct SecretKeys {
    pub db: Db,
    pub clock: Clock,
    pub vault: Vault,
}

fn context(workspace: Uuid, id: Uuid) -> String {
    format!("data_key:{workspace}:{id}")
}

impl SecretKeys {
    /// The workspace's keys; none if it has no encrypted field.
    pub async fn load(&self, tx: &Tx, workspace: Uuid) -> Result<Option<Arc<Secrets>>> {
        let rows = data_key::Entity::find().filter(data_key::Column::WorkspaceId.eq(workspace));
        let rows = rows.order_by_desc(data_key::Column::Id).all(tx).await?;
        let (mut data, mut blind) = (Vec::new(), None);
        for row in rows {
            let key = self.vault.open(&context(workspace, row.id), &row.wrapped)?;
            let key: [u8; 32] = key.try_into().map_err(|_| Error::fault("a data key has the wrong length"))?;
            if row.purpose == BLIND {
                blind = Some(key);
            } else {
                data.push(key);
            }
        }
        Ok(blind.filter(|_| !data.is_empty()).map(|blind| Arc::new(Secrets::new(&data, blind))))
    }

    /// Makes the workspace's first keys, if it has none.
    pub async fn ensure(&self, tx: &Tx, workspace: Uuid) -> Result<()> {
        if self.load(tx, workspace).await?.is_none() {
            self.add(tx, workspace, BLIND).await?;
            self.add(tx, workspace, DATA).await?;
        }
        Ok(())
    }

    /// Seals with a new data key from now on; what older ones sealed still opens. Needs DATA_MODEL.
    /// False: there is nothing encrypted.
    pub async fn rotate(&self, ctx: &Ctx) -> Result<bool> {
        access::require(ctx, Setting::DataModel)?;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Write).await?;
        if self.load(&tx, ctx.workspace).await?.is_none() {
            return Ok(false);
        }
        let id = self.add(&tx, ctx.workspace, DATA).await?;
        access::audit(&tx, ctx, Action::DataModelChanged, id, json!({ "dataKey": "rotated" })).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn add(&self, tx: &Tx, workspace: Uuid, purpose: &str) -> Result<Uuid> {
        let id = self.clock.new_id();
        let wrapped = self.vault.seal(&context(workspace, id), &rand::random::<[u8; 32]>())?;
        let row = data_key::Model { workspace_id: workspace, id, purpose: purpose.to_owned(), wrapped, created_at: self.clock.now() };
        data_key::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
        Ok(id)
    }
}

/// Wraps every data key anew that an earlier installation's key wrapped; returns how many. The
/// transaction must see every workspace.
pub async fn rewrap(tx: &Tx, vault: &Vault) -> Result<usize> {
    let mut count = 0;
    for row in data_key::Entity::find().all(tx).await? {
        if vault.is_current(&row.wrapped) {
            continue;
        }
        let context = context(row.workspace_id, row.id);
        let fresh = vault.seal(&context, &vault.open(&context, &row.wrapped)?)?;
        let sql = "UPDATE data_key SET wrapped = $3 WHERE workspace_id = $1 AND id = $2";
        tx.run(sql, vec![row.workspace_id.into(), row.id.into(), fresh.into()]).await?;
        count += 1;
    }
    Ok(count)
}
