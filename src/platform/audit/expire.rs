//! Letting old entries go.
//!
//! The chain of hashes has no holes, so what goes is its beginning: every entry up to the last one
//! before which all are old enough for their class. The server's own role cannot delete; this runs
//! with the login that owns the tables (`kith expire-audit`). A closing record, signed, says up to which
//! entry and with which hash the chain was cut: from there it is verified.

use std::collections::BTreeMap;

use entity::{Micros, audit_entry};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Action, Event, append};
use crate::error::Result;
use crate::infra::db::{Backend, Tx};
use crate::platform::{Actor, Origin};

/// What an entry is about: each class is kept for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Who signed in, or failed to.
    SignIns,
    /// Who read the audit, or what is sensitive.
    Reads,
    /// Roles, shares, keys, settings, refusals: everything else.
    Changes,
}

impl Class {
    fn of(action: &str) -> Self {
        match action {
            "SIGN_IN" | "SIGN_IN_FAILED" | "SIGN_OUT" | "SESSION_REUSED" | "SESSION_REVOKED" | "KEY_USED" => Self::SignIns,
            "SENSITIVE_READ" | "AUDIT_READ" | "AUDIT_EXPORTED" => Self::Reads,
            _ => Self::Changes,
        }
    }
}

/// How many days each class is kept.
pub type Retention = BTreeMap<Class, i64>;

/// What a closing record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    #[serde(rename = "ws")]
    pub workspace: Uuid,
    /// The last entry that went.
    pub through: i64,
    /// Its hash.
    pub hash: String,
}

const DAY: i64 = 86_400 * 1_000_000;
const BATCH: u64 = 1_000;

/// SQLite has no roles; there a trigger keeps the entries.
const KEEPER: &str =
    "CREATE TRIGGER audit_entry_is_kept BEFORE DELETE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END";

/// Removes what is old enough of a workspace's audit, and says up to which entry; none if nothing is.
/// `sign` makes a text of a closing record that proves who wrote it.
pub async fn expire(
    tx: &Tx,
    workspace: Uuid,
    retention: &Retention,
    now: Micros,
    sign: &(dyn Fn(&Closing) -> Result<String> + Sync),
) -> Result<Option<Closing>> {
    let Some((through, hash)) = last_old(tx, workspace, retention, now).await? else { return Ok(None) };
    let sqlite = tx.backend() == Backend::Sqlite;
    if sqlite {
        tx.run("DROP TRIGGER audit_entry_is_kept", Vec::new()).await?;
    }
    tx.run("DELETE FROM audit_entry WHERE workspace_id = $1 AND seq <= $2", vec![workspace.into(), through.into()]).await?;
    if sqlite {
        tx.run(KEEPER, Vec::new()).await?;
    }
    let closing = Closing { workspace, through, hash };
    let mut event = Event::sign_in(workspace, None, Action::AuditExpired, &Origin::default(), now);
    event.actor = Actor::SYSTEM;
    event.detail = serde_json::json!({ "through": closing.through, "hash": closing.hash, "signature": sign(&closing)? });
    append(tx, &event).await?;
    Ok(Some(closing))
}

/// The last entry of those at the beginning that are all old enough, and its hash.
async fn last_old(tx: &Tx, workspace: Uuid, retention: &Retention, now: Micros) -> Result<Option<(i64, String)>> {
    use audit_entry::Column;
    let (mut last, mut more_than_closings): (Option<(i64, String)>, bool) = (None, false);
    loop {
        let after = last.as_ref().map_or(0, |(seq, _)| *seq);
        let query = audit_entry::Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Seq.gt(after));
        let rows = query.order_by_asc(Column::Seq).limit(BATCH).all(tx).await?;
        if rows.is_empty() {
            return Ok(last.filter(|_| more_than_closings));
        }
        for row in rows {
            let days = retention.get(&Class::of(&row.action)).copied().unwrap_or(i64::MAX / DAY);
            if row.at.0 >= now.0.saturating_sub(days.saturating_mul(DAY)) {
                return Ok(last.filter(|_| more_than_closings));
            }
            more_than_closings |= row.action != Action::AuditExpired.as_str();
            last = Some((row.seq, row.hash));
        }
    }
}
