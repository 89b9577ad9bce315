//! One field of an object.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::formula::{Computed, RollUp};
use super::kind::Kind;
use super::merge::MergeStrategy;
use crate::infra::text::camel_case;

/// How freely a value may travel: decides masking, export and erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Privacy {
    /// May be shown to anybody.
    Public,
    /// For the members of the workspace.
    Internal,
    /// Says something about a natural person.
    Personal,
    /// Personal or commercial data that needs a reason to be seen.
    Sensitive,
}

impl Privacy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Internal => "INTERNAL",
            Self::Personal => "PERSONAL",
            Self::Sensitive => "SENSITIVE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Public, Self::Internal, Self::Personal, Self::Sensitive].into_iter().find(|class| class.as_str() == text)
    }
}

/// A value that a select field can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectOption {
    pub key: String,
    pub label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default)]
    pub archived: bool,
}

/// What a custom field was told beyond its kind; kept as JSON with the definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<SelectOption>,
    /// As the API writes the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// Smallest number, in the field's own units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Most characters of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// A regular expression that the whole text must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Its values are sealed with the workspace's data key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// Its value is what this formula gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
    /// Its value is what this makes of linked records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll_up: Option<RollUp>,
}

/// Where the value is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A column of the object's table.
    Column(String),
    /// A key of the `custom` document, named like the field.
    Custom { id: Uuid },
    /// Nowhere: it is reckoned when it is read.
    Computed { id: Uuid, computed: Arc<Computed> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name in the API.
    pub name: String,
    pub source: Source,
    pub kind: Kind,
    pub label: String,
    pub help: String,
    pub privacy: Privacy,
    /// What the database allows.
    pub nullable: bool,
    /// Whether a create must give it.
    pub required: bool,
    /// What a create stores when nothing is given, as the API writes it.
    pub default: Option<serde_json::Value>,
    /// Derived or kept by the server: not in inputs.
    pub read_only: bool,
    pub searchable: bool,
    pub unique: bool,
    pub indexed: bool,
    /// The column that keeps the folded text, where there is one; its own, if it is normalised.
    pub fold_column: Option<String>,
    /// The types of the object that have it; empty means all.
    pub only: &'static [&'static str],
    /// The field that it is a part of.
    pub derived_from: Option<&'static str>,
    pub archived: bool,
    /// A workspace added it to a standard object: it stands under `custom`.
    pub added: bool,
    pub settings: Settings,
    /// Who has the same value may be the same.
    pub identifying: bool,
    /// How its value is chosen when records become one, if nobody says.
    merge: MergeStrategy,
}

impl Field {
    /// A field kept in the column of that name; nullability is read off the entity.
    pub fn column(column: &str, kind: Kind, label: &str, help: &str) -> Self {
        Self {
            name: camel_case(column),
            source: Source::Column(column.to_owned()),
            kind,
            label: label.to_owned(),
            help: help.to_owned(),
            privacy: Privacy::Internal,
            nullable: true,
            required: false,
            default: None,
            read_only: false,
            searchable: false,
            unique: false,
            indexed: false,
            fold_column: None,
            only: &[],
            derived_from: None,
            archived: false,
            added: false,
            settings: Settings::default(),
            identifying: false,
            merge: MergeStrategy::Survivor,
        }
    }

    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub fn searchable(mut self) -> Self {
        self.searchable = true;
        self
    }

    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.indexed = true;
        self
    }

    /// The field as permissions name it.
    pub fn access_name(&self) -> String {
        if self.added { format!("custom.{}", self.name) } else { self.name.clone() }
    }

    /// It tells what the other field tells: whoever may not see that does not see this.
    #[must_use]
    pub fn derived_from(mut self, field: &'static str) -> Self {
        self.derived_from = Some(field);
        self
    }

    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Its folded text stands beside it, in `<column>_fold`, and is indexed.
    #[must_use]
    pub fn folded(mut self) -> Self {
        self.fold_column = self.column_name().map(|column| format!("{column}_fold"));
        self.indexed = true;
        self
    }

    /// Its text is stored in the form in which it is compared: lower case, ASCII.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.fold_column = self.column_name().map(str::to_owned);
        self.indexed = true;
        self
    }

    #[must_use]
    pub fn default(mut self, value: impl Into<serde_json::Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    #[must_use]
    pub fn personal(mut self) -> Self {
        self.privacy = Privacy::Personal;
        self
    }

    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.privacy = Privacy::Sensitive;
        self
    }

    #[must_use]
    pub fn public(mut self) -> Self {
        self.privacy = Privacy::Public;
        self
    }

    #[must_use]
    pub fn max_length(mut self, characters: u32) -> Self {
        self.settings.max_length = Some(characters);
        self
    }

    #[must_use]
    pub fn range(mut self, min: &str, max: &str) -> Self {
        self.settings.min = Some(min.to_owned());
        self.settings.max = Some(max.to_owned());
        self
    }

    #[must_use]
    pub fn only(mut self, types: &'static [&'static str]) -> Self {
        self.only = types;
        self
    }

    /// Who has the same value may be the same.
    #[must_use]
    pub fn identifying(mut self) -> Self {
        self.identifying = true;
        self
    }

    #[must_use]
    pub fn merged_by(mut self, strategy: MergeStrategy) -> Self {
        self.merge = strategy;
        self
    }

    /// How its value is chosen when records become one, if nobody says.
    pub fn merge(&self) -> MergeStrategy {
        if self.kind.is_list() { MergeStrategy::Union } else { self.merge }
    }

    pub fn column_name(&self) -> Option<&str> {
        match &self.source {
            Source::Column(column) => Some(column),
            Source::Custom { .. } | Source::Computed { .. } => None,
        }
    }

    /// Whether its value is reckoned when it is read.
    pub fn is_computed(&self) -> bool {
        matches!(self.source, Source::Computed { .. })
    }

    /// The definition's id, of a field that the workspace defined.
    pub fn own_id(&self) -> Option<Uuid> {
        match self.source {
            Source::Column(_) => None,
            Source::Custom { id } | Source::Computed { id, .. } => Some(id),
        }
    }

    /// The field's own id, if its values are sealed.
    pub fn sealed(&self) -> Option<Uuid> {
        match self.source {
            Source::Custom { id } if self.settings.encrypted => Some(id),
            _ => None,
        }
    }

    /// The input type that filters by it: what is sealed is only ever equal or not.
    pub fn filter_type(&self) -> String {
        if self.settings.encrypted { "SealedFilter".into() } else { self.kind.filter_type() }
    }

    /// Whether lists can be ordered by it.
    pub fn sortable(&self) -> bool {
        let moving = matches!(&self.source, Source::Computed { computed, .. } if computed.is_moving());
        self.kind.sortable() && !self.settings.encrypted && !moving
    }

    /// Whether its value stands in the document of custom fields.
    pub fn is_custom(&self) -> bool {
        matches!(self.source, Source::Custom { .. })
    }

    /// The key under which `record_key` keeps its value, if the value must be unique.
    pub fn key_name(&self) -> Option<String> {
        self.unique.then(|| self.access_name())
    }

    /// Its type in answers, with `!` where null cannot be.
    pub fn output_type(&self) -> String {
        let base = self.kind.output_type();
        let never_null = self.kind.is_list() || (!self.nullable && !self.is_custom());
        if never_null { format!("{base}!") } else { base.to_owned() }
    }
}
