//! Members and keys for whom the server works when they are not there themselves.

use uuid::Uuid;

use super::sessions::active_member;
use super::{Bound, Caller, Identity};
use crate::error::{Error, Result};
use crate::infra::db::{Mode, Scope};
use crate::platform::{Actor, ActorKind};

impl Identity {
    /// A member or a key as if they called now; refused where they are not good any more.
    pub async fn caller_of_holder(&self, workspace: Uuid, kind: ActorKind, id: Uuid) -> Result<Caller> {
        let actor = Actor { kind, id: Some(id) };
        let caller = Caller { workspace, member: None, user: None, actor, session: None, bound: None, token: None };
        match kind {
            ActorKind::Member => {
                let tx = self.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
                let active = active_member(&tx, workspace, id).await?;
                tx.commit().await?;
                if !active {
                    return Err(Error::unauthenticated("The member who made it is not active any more."));
                }
                Ok(Caller { member: Some(id), ..caller })
            }
            ActorKind::ApiKey => {
                let gone = |error| match error {
                    Error::Refused(_) => Error::unauthenticated("The API key that made it is not good any more."),
                    fault @ Error::Fault(_) => fault,
                };
                let key = self.usable_key(workspace, id).await.map_err(gone)?;
                Ok(Caller { bound: Bound::of_key(&key)?, ..caller })
            }
            ActorKind::System => Err(Error::unauthenticated("The server subscribes to nothing.")),
        }
    }
}
