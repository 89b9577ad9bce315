//! Records that may be the same thing.
//!
//! Nobody is compared with everybody: the index of words gives a few candidates by each address, number, domain and by
//! the name (also misspelt), and only those are scored ([`score`]) by what they are known by ([`profile`]). What agrees
//! is evidence; independent pieces of it add up as probabilities do.
//!
//! A rule of the workspace says what is done when a new record has such candidates: nothing, a warning, or a refusal
//! (see [`crate::records::write`]). A candidate that the caller does not see is only counted.

pub mod profile;
mod score;

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::catalog::{Catalog, Field, Object};
use crate::error::Result;
use crate::infra::db::Tx;
use crate::platform::{Access, Ctx};
use crate::records::access;
use crate::records::search;
use crate::records::sql::{Sql, all_of};
use crate::records::write::state::{State, load};

pub use score::{Method, Reason};

use profile::Profile;

/// Below this, of 100, nobody is a candidate.
pub const LEAST_SCORE: u8 = 50;
/// Records that one address, number or name leads to.
const MOST_BY_KEY: usize = 50;
/// With fewer found as they are spelt, misspelt names are looked at too.
const FEW: usize = 20;
/// Candidates that are told.
const MOST: usize = 50;

/// A record that may be the same.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub id: Uuid,
    /// Of 100.
    pub score: u8,
    /// What agrees, the weightiest first.
    pub reasons: Vec<Reason>,
}

/// The candidates for a record, the likeliest first.
#[derive(Debug, Default)]
pub struct Found {
    pub seen: Vec<Candidate>,
    /// The scores of those that the caller does not see.
    pub hidden: Vec<u8>,
}

impl Found {
    /// Those that look so much alike.
    #[must_use]
    pub fn above(mut self, least: u8) -> Self {
        self.seen.retain(|candidate| candidate.score >= least);
        self.hidden.retain(|score| *score >= least);
        self
    }
}

/// Whether the caller may learn that there are candidates that they do not see. Whoever sees only what they are linked to
/// learns nothing of others.
pub fn may_count_hidden(ctx: &Ctx, object: &Object) -> bool {
    let reach = ctx.access.object(&object.name).read;
    reach.is_all() || reach.by_owner()
}

/// Looks for records like one with this state, by the fields that `shows` lets through.
pub async fn find(
    tx: &Tx,
    ctx: &Ctx,
    catalog: &Catalog,
    object: &Object,
    (itself, state): (Option<Uuid>, &State),
    shows: &(dyn Fn(&Field) -> bool + Sync),
) -> Result<Found> {
    let sought = Profile::of(object, state, shows);
    // Whether there is somebody else is one question, who may see them another.
    let all = Ctx { access: Access::System, ..ctx.clone() };
    let mut ids = BTreeSet::new();
    for (text, few) in sought.questions() {
        ids.extend(search::alike(&all, catalog, tx, object, &text, MOST_BY_KEY, if few { FEW } else { 0 }).await?);
    }
    ids.retain(|id| Some(*id) != itself);
    let ids: Vec<Uuid> = ids.into_iter().collect();
    tx.see_all(true).await?;
    let others = if ids.is_empty() { Vec::new() } else { load(tx, &all, object, &ids, false).await? };
    tx.see_all(false).await?;
    let mut candidates: Vec<Candidate> = others
        .iter()
        .filter(|other| !other.deleted)
        .filter_map(|other| {
            let (score, reasons) = score::compare(&sought, &Profile::of(object, &other.state, shows));
            (score >= LEAST_SCORE).then_some(Candidate { id: other.id, score, reasons })
        })
        .collect();
    candidates.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.id));
    candidates.truncate(MOST);
    let ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.id).collect();
    let reached = reached(tx, ctx, catalog, object, &ids).await?;
    let (seen, hidden): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| reached.contains(&candidate.id));
    Ok(Found { seen, hidden: hidden.into_iter().map(|candidate| candidate.score).collect() })
}

/// Which of some records the caller sees.
pub async fn reached(tx: &Tx, ctx: &Ctx, catalog: &Catalog, object: &Object, ids: &[Uuid]) -> Result<BTreeSet<Uuid>> {
    let mut found = BTreeSet::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut sql = Sql::new(tx.backend(), ctx.workspace);
    let ids = sql.bind_all(ids.iter().map(|id| (*id).into()).collect());
    let mut conditions = vec![format!("t.workspace_id = $1 AND t.id IN ({ids})")];
    conditions.extend(access::reached(&mut sql, ctx, catalog, object, "t", access::Verb::Read));
    for row in tx.fetch_all(&format!("SELECT t.id FROM {} t WHERE {}", object.rows(), all_of(&conditions)), sql.values).await? {
        found.extend(row.uuid(0)?);
    }
    Ok(found)
}
