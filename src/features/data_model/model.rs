//! Definitions of custom fields, between the API, the table and the catalog.

use entity::field_definition;
use serde_json::Value as Json;

use super::{computed, invalid};
use crate::catalog::formula::RollUp;
use crate::catalog::{Field, Kind, Privacy, SelectOption, Settings, Source};
use crate::error::{Error, Result, UserError};
use crate::platform::Ctx;

/// A field to be added.
#[derive(Clone, Debug)]
pub struct NewField {
    pub object: String,
    pub name: String,
    pub kind: String,
    pub label: String,
    pub help: Option<String>,
    pub required: bool,
    pub unique: bool,
    pub indexed: bool,
    pub searchable: bool,
    pub privacy: Privacy,
    pub settings: Settings,
}

impl Default for NewField {
    fn default() -> Self {
        Self {
            object: String::new(),
            name: String::new(),
            kind: String::new(),
            label: String::new(),
            help: None,
            required: false,
            unique: false,
            indexed: false,
            searchable: false,
            privacy: super::USUAL_PRIVACY,
            settings: Settings::default(),
        }
    }
}

impl NewField {
    /// The row of the definition.
    pub fn row(&self, ctx: &Ctx) -> Result<field_definition::Model, UserError> {
        if Kind::custom(&self.kind).is_none() && !computed::is_kind(&self.kind) {
            return Err(invalid(&["kind"], "A custom field cannot be of this kind."));
        }
        let label = check_label(&self.label)?;
        let settings = serde_json::to_value(&self.settings).map_err(|_| invalid(&[], "The settings cannot be stored."))?;
        Ok(field_definition::Model {
            workspace_id: ctx.workspace,
            id: ctx.clock.new_id(),
            object: self.object.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            label,
            help: self.help.clone(),
            position: 0,
            is_required: self.required,
            is_unique: self.unique,
            is_indexed: self.indexed,
            is_searchable: self.searchable,
            privacy: self.privacy.as_str().to_owned(),
            settings,
            created_at: ctx.now(),
            updated_at: ctx.now(),
            archived_at: None,
        })
    }
}

pub(super) fn check_label(label: &str) -> Result<String, UserError> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > 255 || label.contains(char::is_control) {
        return Err(invalid(&["label"], "Expected 1 to 255 characters, on one line."));
    }
    Ok(label.to_owned())
}

/// What can change of a field; absent is left alone.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub label: Option<String>,
    pub help: Option<String>,
    pub required: Option<bool>,
    pub searchable: Option<bool>,
    pub privacy: Option<Privacy>,
    pub options: Option<Vec<SelectOption>>,
    /// Null takes the default away.
    pub default: Option<Option<Json>>,
    pub min: Option<Option<String>>,
    pub max: Option<Option<String>>,
    pub max_length: Option<Option<u32>>,
    pub pattern: Option<Option<String>>,
    pub formula: Option<String>,
    pub roll_up: Option<RollUp>,
}

impl Change {
    pub(super) fn apply(&self, settings: &mut Settings) {
        if let Some(options) = &self.options {
            settings.options.clone_from(options);
        }
        if let Some(default) = &self.default {
            settings.default.clone_from(default);
        }
        if let Some(min) = &self.min {
            settings.min.clone_from(min);
        }
        if let Some(max) = &self.max {
            settings.max.clone_from(max);
        }
        if let Some(length) = self.max_length {
            settings.max_length = length;
        }
        if let Some(pattern) = &self.pattern {
            settings.pattern.clone_from(pattern);
        }
        if self.formula.is_some() {
            settings.formula.clone_from(&self.formula);
        }
        if self.roll_up.is_some() {
            settings.roll_up.clone_from(&self.roll_up);
        }
    }
}

/// The longest text of a unique or indexed field, in characters: an entry of an index has its bounds.
const MOST_INDEXED: u32 = 500;

/// The catalog's field of a definition.
pub fn to_field(row: &field_definition::Model) -> Result<Field> {
    let settings: Settings = serde_json::from_value(row.settings.clone())?;
    let is_computed = settings.formula.is_some() || settings.roll_up.is_some();
    // Of which kind a computed value is, the catalog finds out.
    let kind = if is_computed { Some(Kind::Text) } else { Kind::custom(&row.kind) };
    let kind = kind.ok_or_else(|| Error::fault(format!("a field definition has the kind {}", row.kind)))?;
    let mut field = Field::column(&row.name, kind, &row.label, row.help.as_deref().unwrap_or(&row.label));
    field.name.clone_from(&row.name);
    field.source = if is_computed { computed::unresolved(row.id) } else { Source::Custom { id: row.id } };
    field.read_only = is_computed;
    field.required = row.is_required;
    field.unique = row.is_unique;
    field.indexed = row.is_indexed;
    field.searchable = row.is_searchable;
    field.privacy = Privacy::parse(&row.privacy).unwrap_or(Privacy::Personal);
    if settings.encrypted {
        field.privacy = Privacy::Sensitive;
    }
    field.archived = row.archived_at.is_some();
    field.settings = settings;
    if kind == Kind::Rating {
        // Stars: one to five, unless the definition says otherwise.
        field.settings.min.get_or_insert_with(|| "1".to_owned());
        field.settings.max.get_or_insert_with(|| "5".to_owned());
    }
    if (field.unique || field.indexed) && kind == Kind::Text {
        let most = field.settings.max_length.unwrap_or(MOST_INDEXED);
        field.settings.max_length = Some(most.min(MOST_INDEXED));
    }
    Ok(field)
}
