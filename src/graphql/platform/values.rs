//! Scalars and enums that generated types define, for use in static ones.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputType, InputValueError, InputValueResult, OutputType, Positioned, ServerResult, SimpleObject, Value,
};
use chrono::SecondsFormat;
use entity::Micros;

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
text_type!(DateTime, "DateTime");
text_type!(TimeZone, "TimeZone");
text_type!(CurrencyCode, "CurrencyCode");
text_type!(UserErrorCodeName, "UserErrorCode");

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
}

impl From<UserError> for UserErrorView {
    fn from(error: UserError) -> Self {
        Self { code: UserErrorCodeName(error.code.as_str().to_owned()), message: error.message, path: error.path }
    }
}

pub fn views(errors: Vec<UserError>) -> Vec<UserErrorView> {
    errors.into_iter().map(UserErrorView::from).collect()
}
