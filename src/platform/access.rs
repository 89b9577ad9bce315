//! What a caller may see and do.
//!
//! Roles are data; a caller's roles are compiled once, kept for a moment and carried by the `Ctx`.
//! Roles that grant add up: the most permissive wins. Roles that restrict are cut out of the sum.
//! The reach of a right is a set of ways to a record, so that adding is union and cutting is
//! intersection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, OnceLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::extent::Extents;
use crate::infra::db::{Rows, Within};

/// Which records a right extends to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach(u8);

impl Reach {
    pub const NONE: Self = Self(0);
    /// Records that the caller owns.
    pub const OWN: Self = Self(1);
    /// And those of the members of the caller's teams.
    pub const TEAM: Self = Self(1 | 2);
    /// And those of the teams below, and of everybody who reports to the caller.
    pub const TEAM_TREE: Self = Self(1 | 2 | 4);
    /// Records in the caller's territories, and in those below.
    pub const TERRITORY: Self = Self(8);
    /// Records linked to the caller's own person or companies.
    pub const LINKED: Self = Self(16);
    pub const ALL: Self = Self(63);

    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_all(self) -> bool {
        self.0 == Self::ALL.0
    }

    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// By ownership at least.
    pub const fn by_owner(self) -> bool {
        self.0 & Self::OWN.0 > 0
    }

    /// As the database's policies read it.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// How much of a field a caller sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Sight {
    Hidden,
    /// Enough to recognise a value that one knows.
    Masked,
    #[default]
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldAccess {
    pub sight: Sight,
    pub write: bool,
}

impl FieldAccess {
    pub const FULL: Self = Self { sight: Sight::Full, write: true };
}

/// What a caller may do with the records of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectAccess {
    pub create: bool,
    pub read: Reach,
    pub update: Reach,
    pub delete: Reach,
    /// Fields with less than full access, by API name (`custom.<name>` of custom ones).
    pub fields: BTreeMap<String, FieldAccess>,
}

impl ObjectAccess {
    pub const fn full() -> Self {
        Self { create: true, read: Reach::ALL, update: Reach::ALL, delete: Reach::ALL, fields: BTreeMap::new() }
    }

    pub fn field(&self, name: &str) -> FieldAccess {
        self.fields.get(name).copied().unwrap_or(FieldAccess::FULL)
    }

    /// What two grants allow together.
    fn or(&self, other: &Self) -> Self {
        let names: BTreeSet<&String> = self.fields.keys().chain(other.fields.keys()).collect();
        // A role that reaches no record says nothing about fields.
        let of = |access: &Self, name: &str| {
            if access.read.is_none() && !access.create { FieldAccess { sight: Sight::Hidden, write: false } } else { access.field(name) }
        };
        let fields = names.into_iter().map(|name| {
            let (a, b) = (of(self, name), of(other, name));
            (name.clone(), FieldAccess { sight: a.sight.max(b.sight), write: a.write || b.write })
        });
        Self {
            create: self.create || other.create,
            read: self.read.or(other.read),
            update: self.update.or(other.update),
            delete: self.delete.or(other.delete),
            fields: fields.filter(|(_, access)| *access != FieldAccess::FULL).collect(),
        }
    }

    /// What is left of a grant under a restriction.
    fn and(&self, bound: &Self) -> Self {
        let names: BTreeSet<&String> = self.fields.keys().chain(bound.fields.keys()).collect();
        let fields = names.into_iter().map(|name| {
            let (a, b) = (self.field(name), bound.field(name));
            (name.clone(), FieldAccess { sight: a.sight.min(b.sight), write: a.write && b.write })
        });
        Self {
            create: self.create && bound.create,
            read: self.read.and(bound.read),
            update: self.update.and(bound.update),
            delete: self.delete.and(bound.delete),
            fields: fields.collect(),
        }
    }
}

/// Something besides records that a role may let its holders do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Setting {
    /// The workspace's name, time zone, currency.
    Workspace,
    /// Invite and suspend members, and put them into teams.
    Members,
    /// Roles, and who has them.
    Roles,
    /// Objects and fields.
    DataModel,
    /// API keys.
    ApiKeys,
    /// Read the audit.
    Audit,
    /// Share any record that one may see, not only those one may change.
    Share,
    /// Read the schema of the whole workspace, whatever the roles show: for code generators.
    Schema,
    /// Webhooks, what was delivered to them, and the server's work behind them.
    Integrations,
}

impl Setting {
    pub const EVERY: [Self; 9] = [
        Self::Workspace,
        Self::Members,
        Self::Roles,
        Self::DataModel,
        Self::ApiKeys,
        Self::Audit,
        Self::Share,
        Self::Schema,
        Self::Integrations,
    ];
}

/// What one role says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleSpec {
    pub restricts: bool,
    /// By object; `*` for every object that is not named.
    pub objects: BTreeMap<String, ObjectAccess>,
    pub settings: BTreeSet<Setting>,
}

const OTHERS: &str = "*";

impl RoleSpec {
    fn object(&self, name: &str) -> Option<&ObjectAccess> {
        self.objects.get(name).or_else(|| self.objects.get(OTHERS))
    }
}

/// A caller's roles, added up, and for whom they speak.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    objects: BTreeMap<String, ObjectAccess>,
    others: ObjectAccess,
    pub settings: BTreeSet<Setting>,
    pub roles: Vec<Uuid>,
    pub member: Option<Uuid>,
    /// The person that a portal user is.
    pub person: Option<Uuid>,
    /// Whom a record may be shared with so that the caller has it: the member and their teams.
    pub grantees: Vec<Uuid>,
    /// Whose records the caller reaches by teams, and by the tree below, besides their own.
    pub team: Vec<Uuid>,
    pub tree: Vec<Uuid>,
    /// The caller's territories, and those below.
    pub territories: Vec<Uuid>,
    /// Statements carry no row conditions: PostgreSQL's policies alone decide.
    pub left_to_database: bool,
    /// Objects of which something was shared with the caller.
    pub shared: BTreeSet<String>,
    /// Filters in the query grammar, by object, of which every one must match: what the credential
    /// leaves of what the roles reach. The planner alone keeps them.
    pub row_filters: BTreeMap<String, Vec<serde_json::Value>>,
    /// Those of the key behind the credential: they bound the others too.
    pub key_filters: BTreeMap<String, Vec<serde_json::Value>>,
    /// How much that is, roughly; outlives the policy.
    pub extents: Arc<Extents>,
    rows: OnceLock<Rows>,
    unfiltered: OnceLock<Arc<Self>>,
    fingerprint: OnceLock<String>,
}

impl Policy {
    /// Adds roles up.
    pub fn of_roles(roles: &[RoleSpec]) -> Self {
        let (bounds, grants): (Vec<&RoleSpec>, Vec<&RoleSpec>) = roles.iter().partition(|role| role.restricts);
        let sum = |name: &str| {
            let granted = grants.iter().filter_map(|role| role.object(name));
            let granted = granted.fold(ObjectAccess::default(), |sum, access| sum.or(access));
            bounds.iter().filter_map(|role| role.object(name)).fold(granted, |left, bound| left.and(bound))
        };
        let names: BTreeSet<&String> = roles.iter().flat_map(|role| role.objects.keys()).filter(|name| *name != OTHERS).collect();
        Self {
            objects: names.into_iter().map(|name| (name.clone(), sum(name))).collect(),
            others: sum(OTHERS),
            settings: grants.iter().flat_map(|role| role.settings.iter().copied()).collect(),
            ..Self::default()
        }
    }

    pub fn object(&self, name: &str) -> &ObjectAccess {
        self.objects.get(name).unwrap_or(&self.others)
    }

    /// Hides a field that tells of something which the caller does not see.
    pub fn hide(&mut self, object: &str, field: &str) {
        let others = &self.others;
        let access = self.objects.entry(object.to_owned()).or_insert_with(|| others.clone());
        access.fields.insert(field.to_owned(), FieldAccess { sight: Sight::Hidden, write: false });
    }

    /// For whom a row filter is planned: with every field, and with the rows of whoever chose it, which the
    /// key's own filters bound; within those there are none.
    pub fn for_row_filters(&self) -> Arc<Self> {
        let make = || {
            let (row_filters, key_filters) = (self.key_filters.clone(), BTreeMap::new());
            let mut policy = Self {
                row_filters,
                key_filters,
                rows: OnceLock::new(),
                unfiltered: OnceLock::new(),
                fingerprint: OnceLock::new(),
                ..self.clone()
            };
            policy.others.fields.clear();
            policy.objects.values_mut().for_each(|access| access.fields.clear());
            Arc::new(policy)
        };
        self.unfiltered.get_or_init(make).clone()
    }

    /// Whether row filters leave out records of the object.
    pub fn is_filtered(&self, object: &str) -> bool {
        self.row_filters.contains_key(object) || self.key_filters.contains_key(object)
    }

    pub fn has_row_filters(&self) -> bool {
        !self.row_filters.is_empty() || !self.key_filters.is_empty()
    }

    /// Whether every record of the object is in sight.
    pub fn sees_all(&self, object: &str) -> bool {
        self.object(object).read.is_all() && !self.is_filtered(object)
    }

    /// Whether some field is less than whole, or cannot be written.
    pub fn restricts_fields(&self) -> bool {
        !self.others.fields.is_empty() || self.objects.values().any(|access| !access.fields.is_empty())
    }

    /// Whether no record is out of reach, to read or to write.
    fn reaches_all(&self) -> bool {
        let all = |access: &ObjectAccess| access.read.is_all() && access.update.or(access.delete).is_all();
        all(&self.others) && self.objects.values().all(all)
    }

    /// Tells what its holder sees apart from what others see: those with the same one see the same records, fields and
    /// rights.
    pub fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        let make = || {
            let mut hash = sha2::Sha256::new();
            hash.update(format!("{:?} {:?} {:?} {:?}", self.objects, self.others, self.row_filters, self.key_filters));
            if !self.reaches_all() || self.has_row_filters() {
                // The database gives them in any order.
                let [grantees, team, tree, territories] = [&self.grantees, &self.team, &self.tree, &self.territories].map(|ids| {
                    let mut ids = ids.clone();
                    ids.sort_unstable();
                    ids
                });
                let whose = (self.member, self.person, grantees, team, tree, territories);
                hash.update(format!("{whose:?} {:?} {}", self.shared, self.left_to_database));
            }
            hex::encode(&hash.finalize()[..12])
        };
        self.fingerprint.get_or_init(make).clone()
    }

    fn visible_rows(&self) -> Rows {
        if self.reaches_all() {
            return Rows::All;
        }
        let (rights, grantees, territories) = (self.rights(), self.grantees.clone(), self.territories.clone());
        Rows::Within(Arc::new(Within { rights, member: self.member, person: self.person, grantees, territories }))
    }

    /// How far reading and writing reach, by object, as the database's policies want it.
    fn rights(&self) -> String {
        let of = |access: &ObjectAccess| [access.read.bits(), access.update.or(access.delete).bits()];
        let mut rights: BTreeMap<&str, [u8; 2]> = self.objects.iter().map(|(name, access)| (name.as_str(), of(access))).collect();
        rights.insert(OTHERS, of(&self.others));
        serde_json::to_string(&rights).unwrap_or_default()
    }
}

/// What the bearer of a `Ctx` may see and do.
#[derive(Clone, Debug)]
pub enum Access {
    /// The server itself.
    System,
    Caller(Arc<Policy>),
}

impl Access {
    pub fn object(&self, name: &str) -> &ObjectAccess {
        static FULL: LazyLock<ObjectAccess> = LazyLock::new(ObjectAccess::full);
        match self {
            Self::System => &FULL,
            Self::Caller(policy) => policy.object(name),
        }
    }

    /// Whether every record of the object is in sight.
    pub fn sees_all(&self, object: &str) -> bool {
        self.policy().is_none_or(|policy| policy.sees_all(object))
    }

    pub fn may(&self, setting: Setting) -> bool {
        match self {
            Self::System => true,
            Self::Caller(policy) => policy.settings.contains(&setting),
        }
    }

    pub fn policy(&self) -> Option<&Arc<Policy>> {
        match self {
            Self::System => None,
            Self::Caller(policy) => Some(policy),
        }
    }

    /// The rows that the database's policies let through.
    pub fn rows(&self) -> Rows {
        match self {
            Self::System => Rows::All,
            Self::Caller(policy) => policy.rows.get_or_init(|| policy.visible_rows()).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(read: Reach, update: Reach, fields: &[(&str, FieldAccess)]) -> RoleSpec {
        let fields = fields.iter().map(|(name, access)| ((*name).to_owned(), *access)).collect();
        let access = ObjectAccess { create: true, read, update, delete: Reach::NONE, fields };
        RoleSpec { objects: BTreeMap::from([("deal".to_owned(), access)]), ..RoleSpec::default() }
    }

    const HIDDEN: FieldAccess = FieldAccess { sight: Sight::Hidden, write: false };

    #[test]
    fn the_most_permissive_role_wins() {
        let sum = Policy::of_roles(&[role(Reach::OWN, Reach::OWN, &[("amount", HIDDEN)]), role(Reach::TEAM, Reach::NONE, &[])]);
        let deal = sum.object("deal");
        assert_eq!((deal.read, deal.update), (Reach::TEAM, Reach::OWN));
        assert_eq!(deal.field("amount"), FieldAccess::FULL);
        assert!(sum.object("company").read.is_none());
    }

    #[test]
    fn a_role_that_reaches_nothing_opens_no_field() {
        let sum = Policy::of_roles(&[
            role(Reach::OWN, Reach::OWN, &[("amount", HIDDEN)]),
            RoleSpec { objects: BTreeMap::from([("*".to_owned(), ObjectAccess::default())]), ..RoleSpec::default() },
        ]);
        assert_eq!(sum.object("deal").field("amount"), HIDDEN);
    }

    #[test]
    fn restrictions_are_cut_out_of_the_sum() {
        let bound = RoleSpec { restricts: true, ..role(Reach::TEAM, Reach::NONE, &[("amount", HIDDEN)]) };
        let sum = Policy::of_roles(&[role(Reach::ALL, Reach::ALL, &[]), bound]);
        let deal = sum.object("deal");
        assert_eq!((deal.read, deal.update, deal.field("amount")), (Reach::TEAM, Reach::NONE, HIDDEN));
    }

    #[test]
    fn nobody_without_a_role_sees_anything() {
        let sum = Policy::of_roles(&[]);
        assert!(sum.object("deal").read.is_none() && sum.settings.is_empty() && !sum.reaches_all());
    }
}
