//! One object: its fields, its relations, its types.

use std::borrow::Cow;
use std::sync::Arc;

use entity::Micros;
use indexmap::IndexMap;
use sea_orm::{ColumnTrait, EntityTrait, IdenStatic, Iterable};
use uuid::Uuid;

use super::duplicates::DuplicateRule;
use super::field::{Field, Source};
use super::totals::Totals;
use crate::infra::text::{pascal_case, screaming_snake_case};

/// What a relation points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Object(String),
    /// Any record of any object.
    Any,
}

/// How a relation is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A column of this object's table holds the other's id.
    Column(String),
    /// A column of the other object's table holds this one's id.
    Children(String),
    /// Rows of `record_link` of this kind; `from` tells which end this object is.
    Link { kind: Arc<str>, from: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    pub name: String,
    pub label: String,
    pub help: String,
    pub target: Target,
    pub via: Via,
    /// The roles a link can carry are free text; this tells that it has one.
    pub has_role: bool,
    pub required: bool,
    pub read_only: bool,
    pub indexed: bool,
    /// The records there belong to this one alone: they are deleted, restored and purged with it.
    pub owned: bool,
    /// A workspace added it to a standard object: it stands under `custom`.
    pub added: bool,
    /// What a workspace said of a relation that it defined.
    pub own: Option<Arc<OwnRelation>>,
}

/// A relation that a workspace defined, as both of its ends know it.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnRelation {
    /// The definition's id.
    pub id: Uuid,
    /// Whether a record at the `from` end has at most one link, and one at the `to` end.
    pub one: (bool, bool),
    /// The most links of a record at the `from` end, and of one at the `to` end.
    pub most: (Option<u32>, Option<u32>),
    /// What becomes of the records at the `to` end when the one at the `from` end is deleted.
    pub on_delete: OnDelete,
}

/// What becomes of linked records when a record is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// They stay, and the link is as little seen as the deleted record.
    Unlink,
    /// They keep the record from being deleted.
    Restrict,
    /// They are deleted with it.
    Cascade,
}

impl OnDelete {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlink => "UNLINK",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unlink, Self::Restrict, Self::Cascade].into_iter().find(|rule| rule.as_str() == text)
    }
}

impl Relation {
    fn new(name: &str, target: Target, via: Via, label: &str, help: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            help: help.to_owned(),
            target,
            via,
            has_role: false,
            required: false,
            read_only: false,
            indexed: true,
            owned: false,
            added: false,
            own: None,
        }
    }

    pub fn one(name: &str, object: &str, column: &str, label: &str, help: &str) -> Self {
        Self::new(name, Target::Object(object.to_owned()), Via::Column(column.to_owned()), label, help)
    }

    pub fn children(name: &str, object: &str, column: &str, label: &str, help: &str) -> Self {
        Self::new(name, Target::Object(object.to_owned()), Via::Children(column.to_owned()), label, help)
    }

    pub fn links(name: &str, target: Target, kind: &str, from: bool, label: &str, help: &str) -> Self {
        Self::new(name, target, Via::Link { kind: kind.into(), from }, label, help)
    }

    #[must_use]
    pub fn owned(mut self) -> Self {
        self.owned = true;
        self
    }

    #[must_use]
    pub fn with_role(mut self) -> Self {
        self.has_role = true;
        self
    }

    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The object that it leads to; none if to any.
    pub fn leads_to(&self) -> Option<&str> {
        match &self.target {
            Target::Object(name) => Some(name),
            Target::Any => None,
        }
    }

    /// The relation as permissions and the log name it, and the key under which its object has it.
    pub fn access_name(&self) -> String {
        if self.added { format!("custom.{}", self.name) } else { self.name.clone() }
    }

    /// Where it stands in inputs.
    pub fn path(&self) -> Vec<String> {
        let custom = self.added.then(|| "custom".to_owned());
        custom.into_iter().chain([self.name.clone()]).collect()
    }

    /// Whether its links say nothing but which records they link.
    pub fn is_bare(&self) -> bool {
        self.own.is_some() && !self.has_role
    }

    /// Whether it leads to one record at most.
    pub fn is_one(&self) -> bool {
        match (&self.via, &self.own) {
            (Via::Column(_), _) => true,
            (Via::Link { from, .. }, Some(own)) => {
                if *from {
                    own.one.0
                } else {
                    own.one.1
                }
            }
            _ => false,
        }
    }

    /// The column that has the other record's id, if one has.
    pub fn to_one(&self) -> Option<&str> {
        match &self.via {
            Via::Column(column) => Some(column),
            _ => None,
        }
    }
}

/// Several GraphQL types over one table: which column tells them apart, and its values.
#[derive(Clone, Debug)]
pub struct Variants {
    /// The field whose value tells the type.
    pub field: &'static str,
    pub types: &'static [Variant],
}

#[derive(Debug)]
pub struct Variant {
    /// The value of the discriminating field.
    pub value: &'static str,
    /// The API's name of one: `task`.
    pub name: &'static str,
    pub plural: &'static str,
    pub type_name: &'static str,
    pub help: &'static str,
}

/// What is particular to an object that a workspace defined itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// The definition's id.
    pub id: Uuid,
    pub icon: Option<String>,
    pub color: Option<String>,
    /// Since when nothing is read or written of it any more.
    pub archived_at: Option<Micros>,
}

#[derive(Clone, Debug)]
pub struct Object {
    /// What it is called in the database, for ever: the spine, roles and the log name it so.
    pub name: String,
    /// The API's name of one: `deal`.
    pub one: String,
    pub plural: String,
    /// Its GraphQL type: `Deal`; an interface where there are variants.
    pub type_name: String,
    pub label: String,
    pub plural_label: String,
    pub help: String,
    pub table: String,
    /// The field that names a record in lists and search results.
    pub title: String,
    pub fields: IndexMap<String, Field>,
    pub custom: IndexMap<String, Field>,
    pub relations: IndexMap<String, Relation>,
    pub variants: Option<Variants>,
    /// The kind of the links that its records follow: whoever may see what a note is about may see
    /// the note.
    pub follows: Option<Arc<str>>,
    /// Whether several records of it can become one.
    pub mergeable: bool,
    /// What is done about new records that look like old ones.
    pub duplicates: DuplicateRule,
    /// What the database counts of its records as they are written.
    pub totals: Option<Totals>,
    /// None of a standard object.
    pub own: Option<Own>,
    /// The entity's columns, in its order, with nullability.
    pub columns: Vec<(String, bool)>,
}

impl Object {
    /// Begins the definition of a standard object; columns are read off its entity.
    pub fn standard<E: EntityTrait>(plural: &str, label: &str, plural_label: &str, help: &str) -> Self {
        let table = E::default().table_name().to_owned();
        let columns = E::Column::iter().map(|column| (column.as_str().to_owned(), column.def().is_null())).collect();
        Self {
            name: table.clone(),
            one: table.clone(),
            plural: plural.to_owned(),
            type_name: pascal_case(&table),
            label: label.to_owned(),
            plural_label: plural_label.to_owned(),
            help: help.to_owned(),
            table,
            title: "name".to_owned(),
            fields: IndexMap::new(),
            custom: IndexMap::new(),
            relations: IndexMap::new(),
            variants: None,
            follows: None,
            mergeable: false,
            duplicates: DuplicateRule::default(),
            totals: None,
            own: None,
            columns,
        }
    }

    /// Begins the definition of an object of a workspace's own. No standard object is called in the
    /// database as these are: theirs begin with `_`.
    pub fn own(name: &str, names: [&str; 4], help: &str, own: Own) -> Self {
        let [plural, label, plural_label, title] = names;
        let mut object = Self::standard::<entity::custom_record::Entity>(plural, label, plural_label, help).title(title);
        object.name = own_name(name);
        name.clone_into(&mut object.one);
        object.type_name = pascal_case(name);
        object.own = Some(own);
        object.mergeable = true;
        object
    }

    pub fn is_archived(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.archived_at.is_some())
    }

    /// What a statement reads its records from.
    pub fn rows(&self) -> Cow<'_, str> {
        match self.own {
            // Its name is letters and digits. Both databases look through the sub-select.
            Some(_) => format!("(SELECT * FROM {} WHERE workspace_id = $1 AND object = '{}')", self.table, self.name).into(),
            None => Cow::Borrowed(&self.table),
        }
    }

    /// Its value of the API's `ObjectName`.
    pub fn enum_name(&self) -> String {
        enum_name(&self.name)
    }

    /// The fields whose values are kept in the `custom` document.
    pub fn kept_in_document(&self) -> impl Iterator<Item = &Field> {
        self.all_fields().filter(|field| field.is_custom())
    }

    /// A field of a workspace's own object that the workspace defined.
    pub fn own_field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name).filter(|field| field.own_id().is_some())
    }

    /// What the log calls a member of the document.
    pub fn logged_name(&self, member: &str) -> String {
        if self.own.is_some() { member.to_owned() } else { format!("custom.{member}") }
    }

    /// The member of the document that the log calls so; none of what has a column, or is a link.
    pub fn document_name<'n>(&self, logged: &'n str) -> Option<&'n str> {
        if self.own.is_some() { self.own_field(logged).map(|_| logged) } else { logged.strip_prefix("custom.") }
    }

    #[must_use]
    pub fn title(mut self, field: &str) -> Self {
        field.clone_into(&mut self.title);
        self
    }

    /// Adds a field. Its nullability is the column's.
    ///
    /// # Panics
    /// When the entity has no such column: a definition that does not fit its table is a bug that
    /// the first test run shows.
    #[must_use]
    pub fn field(mut self, mut field: Field) -> Self {
        if let Source::Column(column) = &field.source {
            let found = self.columns.iter().find(|(name, _)| name == column);
            let (_, nullable) = found.unwrap_or_else(|| panic!("{}: the entity has no column {column}", self.name));
            field.nullable = *nullable;
        }
        self.fields.insert(field.name.clone(), field);
        self
    }

    #[must_use]
    pub fn relation(mut self, relation: Relation) -> Self {
        self.relations.insert(relation.name.clone(), relation);
        self
    }

    /// Several records of it can become one.
    #[must_use]
    pub fn mergeable(mut self) -> Self {
        self.mergeable = true;
        self
    }

    #[must_use]
    pub fn totals(mut self, totals: Totals) -> Self {
        self.totals = Some(totals);
        self
    }

    /// The relations that stand under `custom`, and those that do not.
    pub fn relations_of(&self, added: bool) -> impl Iterator<Item = &Relation> {
        self.relations.values().filter(move |relation| relation.added == added)
    }

    /// A relation that a workspace added to a standard object, by its API name.
    pub fn added_relation(&self, name: &str) -> Option<&Relation> {
        self.relations.get(&format!("custom.{name}"))
    }

    #[must_use]
    pub fn variants(mut self, field: &'static str, types: &'static [Variant]) -> Self {
        self.variants = Some(Variants { field, types });
        self
    }

    /// Its records are visible to whoever sees what they are linked to by this relation.
    #[must_use]
    pub fn follows(mut self, relation: &str) -> Self {
        if let Some(Via::Link { kind, .. }) = self.relations.get(relation).map(|relation| &relation.via) {
            self.follows = Some(kind.clone());
        }
        self
    }

    pub fn is_interface(&self) -> bool {
        self.variants.is_some()
    }

    /// The variant with this API name, if the object has several types.
    pub fn variant(&self, name: &str) -> Option<&'static Variant> {
        self.variants.as_ref()?.types.iter().find(|variant| variant.name == name || variant.plural == name)
    }

    /// The fields of the type with this discriminator, standard ones only.
    pub fn fields_of<'a>(&'a self, variant: Option<&'a Variant>) -> impl Iterator<Item = &'a Field> {
        self.fields.values().filter(move |field| match variant {
            None => field.only.is_empty(),
            Some(variant) => field.only.is_empty() || field.only.contains(&variant.value),
        })
    }

    /// A field by its API name, standard first.
    pub fn find_field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }

    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.values().chain(self.custom.values())
    }
}

/// What a workspace's own object of that API name is called in the database.
pub fn own_name(one: &str) -> String {
    format!("_{one}")
}

/// The value of the API's `ObjectName` for an object that is called so in the database.
pub fn enum_name(stored: &str) -> String {
    screaming_snake_case(stored.trim_start_matches('_'))
}
