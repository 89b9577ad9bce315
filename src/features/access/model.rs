//! What a role says, as it is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Object};
use crate::error::{UserError, UserErrorCode};
use crate::platform::access::{FieldAccess, ObjectAccess, Reach, RoleSpec, Setting, Sight};

/// How far a right reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Scope {
    Own,
    Team,
    TeamTree,
    Territory,
    Linked,
    All,
}

impl Scope {
    const fn reach(self) -> Reach {
        match self {
            Self::Own => Reach::OWN,
            Self::Team => Reach::TEAM,
            Self::TeamTree => Reach::TEAM_TREE,
            Self::Territory => Reach::TERRITORY,
            Self::Linked => Reach::LINKED,
            Self::All => Reach::ALL,
        }
    }
}

/// What a role allows on the records of one object. A right with no scope is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectSpec {
    pub create: bool,
    pub read: Vec<Scope>,
    pub update: Vec<Scope>,
    pub delete: Vec<Scope>,
}

/// What a role takes away from a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldSpec {
    pub object: String,
    /// Its API name; `custom.<name>` of a custom field.
    pub field: String,
    pub sight: Sight,
    pub write: bool,
}

/// The document of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// By object; `*` for every object that is not named.
    pub objects: BTreeMap<String, ObjectSpec>,
    pub fields: Vec<FieldSpec>,
    pub settings: BTreeSet<Setting>,
}

pub const OTHERS: &str = "*";

impl Permissions {
    /// As the policy adds it up.
    pub fn compile(&self, restricts: bool, catalog: &Catalog) -> RoleSpec {
        let reach = |scopes: &[Scope]| scopes.iter().fold(Reach::NONE, |sum, scope| sum.or(scope.reach()));
        let access = |spec: &ObjectSpec| ObjectAccess {
            create: spec.create,
            read: reach(&spec.read),
            update: reach(&spec.update),
            delete: reach(&spec.delete),
            fields: BTreeMap::new(),
        };
        let mut objects: BTreeMap<String, ObjectAccess> = self.objects.iter().map(|(name, spec)| (name.clone(), access(spec))).collect();
        // A restriction that does not name an object leaves it as it is.
        let others = objects.get(OTHERS).cloned();
        let unnamed = if restricts { others.unwrap_or_else(ObjectAccess::full) } else { others.unwrap_or_default() };
        for spec in &self.fields {
            let access = objects.entry(spec.object.clone()).or_insert_with(|| unnamed.clone());
            let field = FieldAccess { sight: spec.sight, write: spec.write };
            access.fields.insert(spec.field.clone(), field);
            for derived in derived(catalog, &spec.object, &spec.field) {
                access.fields.insert(derived, field);
            }
        }
        if restricts {
            objects.insert(OTHERS.into(), unnamed);
        }
        RoleSpec { restricts, objects, settings: self.settings.clone() }
    }

    /// Says what makes no sense.
    pub fn check(&self, catalog: &Catalog) -> Vec<UserError> {
        let mut errors = Vec::new();
        let mut refuse = |path: &[&str], message: String| errors.push(UserError::new(UserErrorCode::InvalidValue, path, message));
        for (name, spec) in &self.objects {
            if name != OTHERS && catalog.find(name).is_none() {
                refuse(&["objects", name], "There is no such object.".into());
            }
            let wider = |scopes: &[Scope]| scopes.iter().any(|scope| !spec.read.contains(scope) && !covered(*scope, &spec.read));
            if wider(&spec.update) || wider(&spec.delete) {
                refuse(&["objects", name], "What may be changed or deleted must also be readable: widen `read`.".into());
            }
        }
        for (index, spec) in self.fields.iter().enumerate() {
            let index = index.to_string();
            let Some(object) = catalog.find(&spec.object) else {
                refuse(&["fields", &index, "object"], "There is no such object.".into());
                continue;
            };
            match restrictable(object, &spec.field) {
                Ok(()) if spec.sight == Sight::Full || !must_show(object, &spec.field) => {}
                Ok(()) => refuse(&["fields", &index, "field"], format!("{} is always there, so it cannot be hidden.", spec.field)),
                Err(message) => refuse(&["fields", &index, "field"], message),
            }
        }
        errors
    }
}

/// Whether a wider scope of the list has the scope within it.
fn covered(scope: Scope, list: &[Scope]) -> bool {
    list.iter().any(|wider| wider.reach().includes(scope.reach()))
}

fn derived(catalog: &Catalog, object: &str, field: &str) -> Vec<String> {
    let Some(object) = catalog.find(object) else { return Vec::new() };
    object.fields.values().filter(|other| other.derived_from == Some(field)).map(|other| other.name.clone()).collect()
}

fn restrictable(object: &Object, field: &str) -> Result<(), String> {
    let known = match field.strip_prefix("custom.") {
        Some(name) => object.custom.contains_key(name) || object.added_relation(name).is_some(),
        None => object.fields.contains_key(field) || object.relations.contains_key(field),
    };
    let added = object.custom.contains_key(field) || object.added_relation(field).is_some();
    match (known, added) {
        (true, _) => Ok(()),
        (false, true) => Err(format!("{} has `{field}` under `custom`: name it `custom.{field}`.", object.type_name)),
        (false, false) => Err(format!("{} has no field `{field}`.", object.type_name)),
    }
}

/// Fields that a record's title is put together from.
const TITLE_PARTS: [(&str, &str); 3] = [("person", "firstName"), ("person", "middleName"), ("person", "lastName")];

/// Whether the schema promises a value, or a record's title is made of it.
fn must_show(object: &Object, field: &str) -> bool {
    if field == object.title || TITLE_PARTS.contains(&(object.name.as_str(), field)) {
        return true;
    }
    match (object.fields.get(field), object.relations.get(field)) {
        (Some(field), _) => !field.nullable && !field.kind.is_list(),
        (None, Some(relation)) => relation.required || !relation.is_one(),
        (None, None) => false,
    }
}
