//! What groups are made by, and how a group says it.

use serde_json::Value as Json;

use super::Groups;
use crate::catalog::{Field, Kind, Object, Relation, Source, Store, Target};
use crate::error::{Error, Result};
use crate::records::read::node::{Planner, Scope};
use crate::records::read::shape::Out;
use crate::records::selection::{Merged, collect};
use crate::records::sql::Sql;

pub(in crate::records::read) struct GroupKey {
    /// The value, of the records that are grouped.
    pub expression: String,
    pub store: Store,
    pub means: Means,
    /// The column of the grouped records that it is, where that is never null.
    pub column: Option<String>,
    /// As the API names it: `company.industry`.
    pub path: Vec<String>,
}

/// What the value of a key is.
pub(in crate::records::read) enum Means {
    /// The id of a record of this object.
    Record(String),
    Value(Box<Field>),
    /// The first day of a span of this length.
    Span(String),
}

/// Whether records are grouped by a field's values, or by spans of its days.
pub fn is_groupable(field: &Field) -> bool {
    let scalar = !matches!(field.kind.store(), Store::Json) && !field.settings.encrypted && !field.archived;
    scalar && !matches!(field.kind, Kind::Reference | Kind::LongText | Kind::Money | Kind::Decimal | Kind::Percent)
}

/// Whether a field's values are days or instants, which are grouped by spans.
pub fn is_dated(field: &Field) -> bool {
    matches!(field.kind, Kind::Date | Kind::DateTime)
}

/// Objects that sort other records: a relation to one is grouped by as a value, `{ stage: VALUE }`; one to any
/// other object by something of that object, `{ company: { industry: VALUE } }`, whose `id` is the record itself.
pub fn is_sorter(object: &Object) -> bool {
    matches!(object.name.as_str(), "stage" | "pipeline" | "member" | "territory")
}

impl Planner<'_> {
    /// Reads one key: an object that names exactly one member.
    pub(super) fn group_key(&mut self, object: &Object, scope: &mut Scope, alias: &str, element: &Json) -> Result<GroupKey> {
        let members: Vec<_> = element.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
        let [(name, value)] = members.as_slice() else {
            return Err(Error::bad_request("A key of groups names exactly one field."));
        };
        if name.as_str() == "custom" {
            let members: Vec<_> = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
            let [(name, value)] = members.as_slice() else {
                return Err(Error::bad_request("A key of groups names exactly one field."));
            };
            let key = match (object.custom.get(name.as_str()), object.added_relation(name)) {
                (Some(field), _) => self.key_of_field(object, alias, field, value)?,
                (None, Some(relation)) => self.key_of_relation(object, scope, alias, relation, value)?,
                (None, None) => return Err(Error::bad_request(format!("{} has no custom field `{name}`.", object.type_name))),
            };
            return Ok(key.within("custom"));
        }
        if name.as_str() == "id" {
            return Ok(GroupKey {
                expression: format!("{alias}.id"),
                store: Store::Uuid,
                means: Means::Record(object.name.clone()),
                column: None,
                path: vec!["id".into()],
            });
        }
        match (object.fields.get(name.as_str()), object.relations.get(name.as_str()).filter(|relation| relation.is_one())) {
            (Some(field), _) => self.key_of_field(object, alias, field, value),
            (None, Some(relation)) => self.key_of_relation(object, scope, alias, relation, value),
            (None, None) => Err(Error::bad_request(format!("{} has no field `{name}` to group by.", object.type_name))),
        }
    }

    fn key_of_field(&mut self, object: &Object, alias: &str, field: &Field, value: &Json) -> Result<GroupKey> {
        if !is_groupable(field) {
            return Err(Error::bad_request(format!("{} cannot be grouped by `{}`.", object.type_name, field.name)));
        }
        self.check_sight(object, &field.access_name())?;
        let raw = self.value(alias, field)?;
        let path = vec![field.name.clone()];
        if is_dated(field) {
            let unit = value.as_str().unwrap_or_default();
            let day = if field.kind == Kind::DateTime {
                let zone = self.sql.bind(self.ctx.time_zone.name().to_owned());
                self.sql.local_day(&raw, &zone)
            } else {
                raw
            };
            let expression = self.sql.first_day(&day, unit);
            return Ok(GroupKey { expression, store: Store::Date, means: Means::Span(unit.to_owned()), column: None, path });
        }
        let column = match &field.source {
            Source::Column(column) if !field.nullable && alias.starts_with('t') => Some(column.clone()),
            _ => None,
        };
        Ok(GroupKey { expression: raw, store: field.kind.store(), means: Means::Value(Box::new(field.clone())), column, path })
    }

    fn key_of_relation(&mut self, object: &Object, scope: &mut Scope, alias: &str, relation: &Relation, value: &Json) -> Result<GroupKey> {
        let Target::Object(target) = &relation.target else {
            return Err(Error::bad_request(format!("{} cannot be grouped by `{}`.", object.type_name, relation.name)));
        };
        self.check_sight(object, &relation.access_name())?;
        let target = self.catalog.object(target).clone();
        let joined = self.join_by(scope, alias, relation, &target);
        if !value.is_object() {
            let column = relation.to_one().filter(|_| relation.required && self.ctx.access.sees_all(&target.name)).map(str::to_owned);
            return Ok(GroupKey {
                expression: format!("{joined}.id"),
                store: Store::Uuid,
                means: Means::Record(target.name.clone()),
                column,
                path: vec![relation.name.clone()],
            });
        }
        let key = self.group_key(&target, scope, &joined, value).map_err(|e| e.within(relation.name.clone()))?;
        // Whatever it is of the other record, there may be none.
        Ok(GroupKey { column: None, ..key.within(&relation.name) })
    }

    /// All values that a key can have, as a select of one column `k`.
    pub(super) fn values_of(&mut self, key: &GroupKey) -> Result<String> {
        match &key.means {
            Means::Record(name) => {
                let object = self.catalog.object(name).clone();
                let alias = self.sql.alias();
                let reached = self.reached(&object, &alias).map(|reached| format!(" AND {reached}")).unwrap_or_default();
                let table = self.table(&object, &alias);
                Ok(format!("SELECT {alias}.id AS k FROM {table} WHERE {alias}.workspace_id = $1 AND {alias}.deleted_at IS NULL{reached}"))
            }
            Means::Value(field) => {
                let values: Vec<String> = match field.kind {
                    Kind::Enum(of) => of.values.iter().map(|(name, _)| format!("SELECT '{name}' AS k")).collect(),
                    Kind::Boolean => vec!["SELECT TRUE AS k".into(), "SELECT FALSE AS k".into()],
                    Kind::Select => {
                        let live = field.settings.options.iter().filter(|option| !option.archived);
                        let text = if self.sql.is_postgres() { "::text" } else { "" };
                        live.map(|option| format!("SELECT {}{text} AS k", self.sql.bind(option.key.clone()))).collect()
                    }
                    _ => return Err(no_list(&key.path)),
                };
                Ok(values.join(" UNION ALL "))
            }
            Means::Span(unit) => {
                let next = self.sql.next_first_day("s.k", unit);
                Ok(format!(
                    "WITH RECURSIVE s (k, l, c) AS (SELECT min(k0), max(k0), 1 FROM g0 UNION ALL SELECT {next}, s.l, s.c + 1 FROM s \
                     WHERE s.k < s.l AND s.c < {MOST_SPANS}) SELECT s.k FROM s WHERE s.k IS NOT NULL"
                ))
            }
        }
    }

    /// `key { … }` of a group.
    pub(super) fn group_key_out(&mut self, groups: &Groups<'_>, outer: &mut Scope, name: &str, merged: &Merged<'_>) -> Result<Out> {
        self.keys_below(groups, outer, name, &[], merged)
    }

    /// The members of a key at a path: those of the grouped object, or of one that it leads to.
    fn keys_below(&mut self, groups: &Groups<'_>, outer: &mut Scope, name: &str, path: &[String], merged: &Merged<'_>) -> Result<Out> {
        let mut fields = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let at = |member: &str| [path, &[member.to_owned()]].concat();
            let found = |path: &[String]| groups.keys.iter().position(|key| key.path == path);
            let below = part.name.strip_suffix("Key").map(at);
            let out = match part.name {
                "__typename" => Out::Literal(format!("\"{name}GroupKey\"")),
                "grouped" => {
                    let names: Vec<String> =
                        groups.keys.iter().filter(|key| key.path.starts_with(path)).map(|key| key.path[path.len()..].join(".")).collect();
                    Out::Literal(serde_json::to_string(&names)?)
                }
                "custom" => self.keys_below(groups, outer, &format!("{name}Custom"), &at("custom"), &part)?,
                // A relation that is grouped by as a record: by itself, or by the other object's `id`.
                member => match found(&at(member)).or_else(|| found(&[at(member), vec!["id".into()]].concat())) {
                    Some(index) => self.key_value(groups, outer, index, &part)?,
                    None => match below.filter(|below| groups.keys.iter().any(|key| key.path.starts_with(below))) {
                        Some(below) => self.keys_below(groups, outer, "", &below, &part)?,
                        None => Out::Literal("null".into()),
                    },
                },
            };
            fields.push((part.key.to_owned(), out));
        }
        Ok(Out::Inline(fields))
    }

    fn key_value(&mut self, groups: &Groups<'_>, outer: &mut Scope, index: usize, merged: &Merged<'_>) -> Result<Out> {
        let key = &groups.keys[index];
        let value = format!("g.k{index}");
        match &key.means {
            Means::Record(name) => {
                let object = self.catalog.object(name).clone();
                self.joined(outer, &value, &object, merged)
            }
            Means::Span(unit) => {
                let parts =
                    collect(&merged.children, |_| true).into_iter().map(|part| (part.key.to_owned(), part.name.to_owned())).collect();
                Ok(Out::Span { slot: outer.slot(value, Store::Date), unit: unit.clone(), parts })
            }
            Means::Value(field) => Ok(self.plain_value(outer, value, field, merged)),
        }
    }

    /// What sorts groups by a key as people would: stages by their position, values of a list as they are listed.
    pub(super) fn key_order(&mut self, groups: &Groups<'_>, outer: &mut Scope, index: usize) -> Vec<(String, Store)> {
        let (key, value) = (&groups.keys[index], format!("g.k{index}"));
        match &key.means {
            Means::Record(name) => {
                let object = self.catalog.object(name).clone();
                let joined = self.join(outer, &object, &value);
                if object.fields.contains_key("position") {
                    return vec![(format!("{joined}.position"), Store::Int)];
                }
                let Some(title) = object.fields.get(&object.title) else { return Vec::new() };
                let raw = self.sql.field(&joined, title);
                let folded = title.fold_column.as_ref().map_or_else(|| Sql::fold(&raw), |column| format!("{joined}.{column}"));
                vec![(folded, Store::Text)]
            }
            Means::Value(field) => {
                let listed: Vec<String> = match field.kind {
                    Kind::Enum(of) => of.values.iter().map(|(name, _)| (*name).to_owned()).collect(),
                    Kind::Select => field.settings.options.iter().map(|option| option.key.clone()).collect(),
                    _ => Vec::new(),
                };
                if !listed.is_empty() {
                    let whens: Vec<String> =
                        listed.into_iter().enumerate().map(|(place, name)| format!("WHEN {} THEN {place}", self.sql.bind(name))).collect();
                    return vec![(format!("CASE {value} {} END", whens.join(" ")), Store::Int)];
                }
                if field.kind.folds() {
                    return vec![(Sql::fold(&value), Store::Text)];
                }
                Vec::new()
            }
            Means::Span(_) => Vec::new(),
        }
    }
}

/// The most spans that empty groups fill a gap with.
const MOST_SPANS: u32 = 1_000;

fn no_list(path: &[String]) -> Error {
    let message = format!("`{}` has no list of values, so none of its groups is known to be empty.", path.join("."));
    Error::bad_request(message).within("includeEmpty")
}

impl GroupKey {
    fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }
}
