//! The office as the model knows it, and what it says may be seen and changed.

use std::collections::{BTreeMap, BTreeSet};

pub(super) const OBJECTS: [&str; 5] = ["company", "person", "deal", "note", "task"];
/// The rights on objects are the activity's, whose type a task is.
pub(super) fn rights_of(object: &str) -> &str {
    if object == "task" { "activity" } else { object }
}

/// Ways to a record, as bits: a scope is a set of them, so that roles add up by union and restrictions
/// cut by intersection.
pub(super) const OWN: u8 = 1;
pub(super) const TEAM: u8 = 1 | 2;
pub(super) const TREE: u8 = 1 | 2 | 4;
pub(super) const TERRITORY: u8 = 8;
pub(super) const LINKED: u8 = 16;
pub(super) const ALL: u8 = 63;
pub(super) const SCOPES: [(&str, u8); 6] =
    [("OWN", OWN), ("TEAM", TEAM), ("TEAM_TREE", TREE), ("TERRITORY", TERRITORY), ("LINKED", LINKED), ("ALL", ALL)];

/// How much of `Deal.description` is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    #[default]
    Hidden,
    Masked,
    Full,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    pub(super) read: u8,
    pub(super) update: u8,
    pub(super) delete: u8,
    /// Of a deal's description.
    pub(super) sight: Sight,
}

pub(super) struct Record {
    pub(super) object: &'static str,
    pub(super) id: String,
    pub(super) owner: usize,
    /// The company of a deal; what a note or task is about.
    pub(super) company: Option<usize>,
    pub(super) about: Vec<usize>,
    /// The companies where a person works.
    pub(super) works_at: Vec<usize>,
    pub(super) territory: Option<usize>,
}

#[derive(Default)]
pub(super) struct Office {
    /// Team: parent, members.
    pub(super) teams: Vec<(Option<usize>, BTreeSet<usize>)>,
    pub(super) managers: Vec<Option<usize>>,
    /// By member and object.
    pub(super) rights: Vec<BTreeMap<&'static str, Rights>>,
    pub(super) records: Vec<Record>,
    /// Record, member or team (1,000 and up), may edit.
    pub(super) shares: Vec<(usize, usize, bool)>,
    /// Territory: parent, members.
    pub(super) territories: Vec<(Option<usize>, BTreeSet<usize>)>,
    /// The person that a member is.
    pub(super) persons: Vec<Option<usize>>,
}

impl Office {
    pub(super) fn below(&self, team: usize) -> BTreeSet<usize> {
        let children = (0..self.teams.len()).filter(|child| self.teams[*child].0 == Some(team));
        children.flat_map(|child| std::iter::once(child).chain(self.below(child))).collect()
    }

    pub(super) fn reports(&self, member: usize) -> BTreeSet<usize> {
        let direct = (0..self.managers.len()).filter(|report| self.managers[*report] == Some(member));
        direct.flat_map(|report| std::iter::once(report).chain(self.reports(report))).collect()
    }

    pub(super) fn owners(&self, member: usize, reach: u8) -> BTreeSet<usize> {
        let mut owners = BTreeSet::new();
        if reach & OWN == 0 {
            return owners;
        }
        owners.insert(member);
        let own: Vec<usize> = (0..self.teams.len()).filter(|team| self.teams[*team].1.contains(&member)).collect();
        if reach & 2 > 0 {
            owners.extend(own.iter().flat_map(|team| self.teams[*team].1.clone()));
        }
        if reach & 4 > 0 {
            owners.extend(own.iter().flat_map(|team| self.below(*team)).flat_map(|team| self.teams[team].1.clone()));
            owners.extend(self.reports(member));
        }
        owners
    }

    /// Whether a record lies in a territory of the member's, or below one.
    pub(super) fn placed(&self, member: usize, record: usize) -> bool {
        let mut at = self.records[record].territory;
        while let Some(territory) = at {
            let (parent, members) = &self.territories[territory];
            if members.contains(&member) {
                return true;
            }
            at = *parent;
        }
        false
    }

    /// Whether a record is linked to the person that the member is, or to that person's companies.
    pub(super) fn linked(&self, member: usize, record: usize) -> bool {
        let Some(person) = self.persons[member] else { return false };
        let ends: Vec<usize> = std::iter::once(person).chain(self.records[person].works_at.iter().copied()).collect();
        let it = &self.records[record];
        match it.object {
            "person" | "company" => ends.contains(&record),
            "deal" => it.company.is_some_and(|company| ends.contains(&company)),
            _ => it.about.iter().any(|other| ends.contains(other)),
        }
    }

    pub(super) fn shared(&self, member: usize, record: usize, edit: bool) -> bool {
        let is_for = |grantee: usize| if grantee >= 1_000 { self.teams[grantee - 1_000].1.contains(&member) } else { grantee == member };
        self.shares.iter().any(|(of, grantee, may_edit)| *of == record && is_for(*grantee) && (*may_edit || !edit))
    }

    pub(super) fn reached(&self, member: usize, record: usize, reach: u8, edit: bool) -> bool {
        reach == ALL
            || self.owners(member, reach).contains(&self.records[record].owner)
            || reach & TERRITORY > 0 && self.placed(member, record)
            || reach & LINKED > 0 && self.linked(member, record)
            || reach > 0 && self.shared(member, record, edit)
    }

    pub(super) fn by_itself(&self, member: usize, record: usize) -> bool {
        self.reached(member, record, self.rights[member][rights_of(self.records[record].object)].read, false)
    }

    pub(super) fn sees(&self, member: usize, record: usize) -> bool {
        let it = &self.records[record];
        let follows = matches!(it.object, "note" | "task") && self.rights[member][rights_of(it.object)].read & OWN > 0;
        self.by_itself(member, record) || follows && it.about.iter().any(|other| self.by_itself(member, *other))
    }

    pub(super) fn changes(&self, member: usize, record: usize) -> bool {
        let reach = self.rights[member][rights_of(self.records[record].object)].update;
        self.reached(member, record, reach, true) && self.sees(member, record)
    }

    pub(super) fn deletes(&self, member: usize, record: usize) -> bool {
        let reach = self.rights[member][rights_of(self.records[record].object)].delete;
        self.reached(member, record, reach, true) && self.sees(member, record)
    }
}
