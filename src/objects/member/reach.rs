//! Whose records a member reaches besides their own: the closure of teams and managers.
//!
//! It is kept as rows, `(viewer, owner, level)`, because policies ask it with every statement and
//! teams change seldom. Level 1: the members of the teams that the viewer belongs to. Level 2: those
//! of the teams below, and everybody who reports to the viewer, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::error::Result;
use crate::infra::db::Tx;

type Pairs = BTreeMap<(Uuid, Uuid), i64>;

/// Brings the rows up to date; to be called in the transaction that changed teams or managers.
pub async fn rebuild(tx: &Tx, workspace: Uuid) -> Result<()> {
    let teams = pairs(tx, workspace, "SELECT id, parent_id FROM team WHERE workspace_id = $1").await?;
    let members = pairs(tx, workspace, "SELECT team_id, member_id FROM team_member WHERE workspace_id = $1").await?;
    let managers = pairs(tx, workspace, "SELECT id, manager_id FROM member WHERE workspace_id = $1 AND deleted_at IS NULL").await?;
    let wanted = closure(&teams, &members, &managers);
    let mut present = Pairs::new();
    let rows = tx.fetch_all("SELECT viewer_id, owner_id, level FROM member_reach WHERE workspace_id = $1", vec![workspace.into()]).await?;
    for row in rows {
        if let (Some(viewer), Some(owner), Some(level)) = (row.uuid(0)?, row.uuid(1)?, row.int(2)?) {
            present.insert((viewer, owner), level);
        }
    }
    for ((viewer, owner), level) in &present {
        if wanted.get(&(*viewer, *owner)) != Some(level) {
            let sql = "DELETE FROM member_reach WHERE workspace_id = $1 AND viewer_id = $2 AND owner_id = $3";
            tx.run(sql, vec![workspace.into(), (*viewer).into(), (*owner).into()]).await?;
        }
    }
    let new: Vec<_> = wanted.iter().filter(|(pair, level)| present.get(pair) != Some(level)).collect();
    for chunk in new.chunks(1_000) {
        let mut values = vec![workspace.into()];
        let rows: Vec<String> = chunk
            .iter()
            .map(|((viewer, owner), level)| {
                values.extend([(*viewer).into(), (*owner).into(), (**level).into()]);
                let n = values.len();
                format!("($1, ${}, ${}, ${n})", n - 2, n - 1)
            })
            .collect();
        let sql = format!("INSERT INTO member_reach (workspace_id, viewer_id, owner_id, level) VALUES {}", rows.join(", "));
        tx.run(&sql, values).await?;
    }
    Ok(())
}

async fn pairs(tx: &Tx, workspace: Uuid, sql: &str) -> Result<Vec<(Uuid, Option<Uuid>)>> {
    let rows = tx.fetch_all(sql, vec![workspace.into()]).await?;
    let mut pairs = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(first) = row.uuid(0)? {
            pairs.push((first, row.uuid(1)?));
        }
    }
    Ok(pairs)
}

/// `teams` are (id, parent), `members` (team, member), `managers` (member, manager).
fn closure(teams: &[(Uuid, Option<Uuid>)], members: &[(Uuid, Option<Uuid>)], managers: &[(Uuid, Option<Uuid>)]) -> Pairs {
    let mut of_team: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
    for (team, member) in members {
        of_team.entry(*team).or_default().extend(*member);
    }
    let below_team = children(teams);
    let below_member = children(managers);
    let mut reach = Pairs::new();
    let mut add = |viewer: Uuid, owner: Uuid, level: i64| {
        if viewer != owner {
            let known = reach.entry((viewer, owner)).or_insert(level);
            *known = level.min(*known);
        }
    };
    for (team, viewers) in &of_team {
        let below: BTreeSet<Uuid> =
            descendants(&below_team, *team).into_iter().filter_map(|team| of_team.get(&team)).flatten().copied().collect();
        for viewer in viewers {
            viewers.iter().for_each(|owner| add(*viewer, *owner, 1));
            below.iter().for_each(|owner| add(*viewer, *owner, 2));
        }
    }
    for manager in below_member.keys() {
        descendants(&below_member, *manager).into_iter().for_each(|report| add(*manager, report, 2));
    }
    reach
}

fn children(pairs: &[(Uuid, Option<Uuid>)]) -> BTreeMap<Uuid, Vec<Uuid>> {
    let mut children: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for (child, parent) in pairs {
        if let Some(parent) = parent {
            children.entry(*parent).or_default().push(*child);
        }
    }
    children
}

fn descendants(children: &BTreeMap<Uuid, Vec<Uuid>>, top: Uuid) -> BTreeSet<Uuid> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![top];
    while let Some(next) = waiting.pop() {
        for child in children.get(&next).into_iter().flatten() {
            if found.insert(*child) {
                waiting.push(*child);
            }
        }
    }
    found.remove(&top);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_reaches_itself_and_what_is_below() {
        let id = |n: u128| Uuid::from_u128(n);
        let teams = [(id(100), None), (id(101), Some(id(100)))];
        let members = [(id(100), Some(id(1))), (id(100), Some(id(2))), (id(101), Some(id(3)))];
        let managers = [(id(1), None), (id(2), None), (id(3), None), (id(4), Some(id(3)))];
        let reach = closure(&teams, &members, &managers);
        assert_eq!(reach.get(&(id(1), id(2))), Some(&1));
        assert_eq!(reach.get(&(id(1), id(3))), Some(&2));
        assert_eq!(reach.get(&(id(3), id(4))), Some(&2));
        assert_eq!(reach.get(&(id(3), id(1))), None);
        assert_eq!(reach.get(&(id(1), id(4))), None);
    }
}
