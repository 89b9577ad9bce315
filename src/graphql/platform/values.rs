//! Scalars and enums that generated types define, for use in static ones.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, ID, InputType, InputValueError, InputValueResult, OutputType, Positioned, ServerResult, SimpleObject, Value,
};
use chrono::SecondsFormat;
use entity::Micros;

use crate::catalog::{Catalog, enum_name};
use crate::error::UserError;

/// A text whose type the generated half of the schema defines.
macro_rules! text_type {
    ($name:ident, $graphql:literal) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);

        impl InputType for $name {
            type RawValueType = Self;

            fn type_name() -> Cow<'static, str> {
                $graphql.into()
            }

            fn create_type_info(_: &mut Registry) -> String {
                Self::qualified_type_name_of_input()
            }

            fn parse(value: Option<Value>) -> InputValueResult<Self> {
                match value {
                    Some(Value::String(text)) => Ok(Self(text)),
                    Some(Value::Enum(name)) => Ok(Self(name.to_string())),
                    other => Err(InputValueError::expected_type(other.unwrap_or_default())),
                }
            }

            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
        }

        impl $name {
            fn qualified_type_name_of_input() -> String {
                format!("{}!", $graphql)
            }
        }

        impl OutputType for $name {
            fn type_name() -> Cow<'static, str> {
                $graphql.into()
            }

            fn create_type_info(_: &mut Registry) -> String {
                Self::qualified_type_name_of_input()
            }

            async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
                Ok(Value::String(self.0.clone()))
            }
        }
    };
}

text_type!(ObjectName, "ObjectName");

impl ObjectName {
    /// Of the object that is called so in the database.
    pub fn of(stored: &str) -> Self {
        Self(enum_name(stored))
    }

    /// What the object is called in the database; what names none stays what it is, to be refused.
    pub fn stored(&self, catalog: &Catalog) -> String {
        catalog.by_enum(&self.0).map_or_else(|| self.0.clone(), |object| object.name.clone())
    }
}

text_type!(DateTime, "DateTime");
text_type!(TimeZone, "TimeZone");
text_type!(CurrencyCode, "CurrencyCode");
text_type!(UserErrorCodeName, "UserErrorCode");
text_type!(Cursor, "Cursor");

/// Whether there is more of a list, and where.
#[derive(SimpleObject)]
pub struct PageInfo {
    /// Whether there are records after this page.
    pub has_next_page: bool,
    /// Whether there are records before this page.
    pub has_previous_page: bool,
    /// The place of the first record.
    pub start_cursor: Option<Cursor>,
    /// The place of the last record.
    pub end_cursor: Option<Cursor>,
}

/// Exactly one list's filter, under the list's name: `{ deals: { status: { eq: OPEN } } }`. Its type
/// is made of the workspace's objects.
macro_rules! list_type {
    ($(#[$doc:meta])* $name:ident, $graphql:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// The name of the list.
            pub list: String,
            pub filter: serde_json::Value,
        }

        impl InputType for $name {
            type RawValueType = Self;

            fn type_name() -> Cow<'static, str> {
                $graphql.into()
            }

            fn create_type_info(_: &mut Registry) -> String {
                Self::qualified_type_name()
            }

            fn parse(value: Option<Value>) -> InputValueResult<Self> {
                let value = value.unwrap_or_default();
                let Value::Object(members) = &value else { return Err(InputValueError::expected_type(value)) };
                let mut given = members.iter().filter(|(_, filter)| **filter != Value::Null);
                let (Some((list, filter)), None) = (given.next(), given.next()) else {
                    return Err(InputValueError::custom("Name exactly one list."));
                };
                let filter = filter.clone().into_json().map_err(InputValueError::custom)?;
                Ok(Self { list: list.to_string(), filter })
            }

            fn to_value(&self) -> Value {
                let filter = Value::from_json(self.filter.clone()).unwrap_or_default();
                Value::Object([(async_graphql::Name::new(&self.list), filter)].into_iter().collect())
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
        }
    };
}

list_type!(
    /// What a credential leaves of a list.
    RowFilter, "RowFilterInput"
);
list_type!(
    /// A list that is followed.
    SyncScope, "SyncScope"
);

impl From<Micros> for DateTime {
    fn from(at: Micros) -> Self {
        Self(at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl DateTime {
    pub fn micros(&self) -> Option<Micros> {
        chrono::DateTime::parse_from_rfc3339(&self.0).ok().map(|at| Micros(at.timestamp_micros()))
    }
}

/// Something about an input that its sender can mend.
#[derive(SimpleObject, Clone, Debug)]
#[graphql(name = "UserError")]
pub struct UserErrorView {
    /// For programs.
    pub code: UserErrorCodeName,
    /// For developers, in English.
    pub message: String,
    /// Where in the input; empty for the input as a whole.
    pub path: Vec<String>,
    /// The records that it is about: with DUPLICATE, those that look the same.
    pub records: Vec<ID>,
}

impl From<UserError> for UserErrorView {
    fn from(error: UserError) -> Self {
        Self {
            code: UserErrorCodeName(error.code.as_str().to_owned()),
            message: error.message,
            path: error.path,
            records: error.records.into_iter().map(ID::from).collect(),
        }
    }
}

pub fn views(errors: Vec<UserError>) -> Vec<UserErrorView> {
    errors.into_iter().map(UserErrorView::from).collect()
}
