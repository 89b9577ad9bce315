//! Filters of encrypted fields.

use sea_orm::Value;
use serde_json::{Map, Value as Json};

use super::leaf::{MOST_VALUES, flag};
use super::{null_test, two_valued, unknown_operator};
use crate::catalog::Field;
use crate::error::{Error, Result};
use crate::platform::secrets;
use crate::records::read::node::Planner;
use crate::records::sql::{all_of, any_of};
use crate::records::value;

impl Planner<'_> {
    /// A sealed value is compared by its blind index: equal or not, and nothing else.
    pub(super) fn sealed_filter(&mut self, field: &Field, alias: &str, condition: &Json, negated: bool) -> Result<String> {
        if self.in_the_clear {
            return Err(Error::bad_request("Encrypted fields cannot stand in a row filter: its values are not sealed."));
        }
        let empty = Map::new();
        let (sealed, own) = (self.sql.field(alias, field), self.sql.sealed(alias, &field.name, secrets::INDEX));
        let mut parts = Vec::new();
        for (operator, operand) in condition.as_object().unwrap_or(&empty) {
            let part = match operator.as_str() {
                "eq" if operand.is_null() => format!("{sealed} IS NULL"),
                "ne" if operand.is_null() => format!("{sealed} IS NOT NULL"),
                _ if operand.is_null() => continue,
                "isNull" => null_test(&sealed, &flag(operand)?),
                "eq" | "in" if self.is_indexed(field) => {
                    let index = self.sql.alias();
                    let test = self.one_of(field, &format!("{index}.\"text\""), operand)?;
                    self.in_index(field, alias, &index, &test)
                }
                "eq" | "in" => self.one_of(field, &own, operand)?,
                "ne" | "notIn" => format!("NOT (({}) IS TRUE)", self.one_of(field, &own, operand)?),
                other => return Err(unknown_operator(other)),
            };
            parts.push(two_valued(part, negated));
        }
        Ok(all_of(&parts))
    }

    fn one_of(&mut self, field: &Field, index: &str, operand: &Json) -> Result<String> {
        let single = std::slice::from_ref(operand);
        let items = operand.as_array().map_or(single, Vec::as_slice);
        if items.len() > MOST_VALUES {
            return Err(Error::bad_request(format!("A list of a filter has at most {MOST_VALUES} values.")));
        }
        let mut options = Vec::new();
        let mut indexes: Vec<Value> = Vec::new();
        for item in items {
            if item.is_null() {
                options.push(format!("{index} IS NULL"));
                continue;
            }
            let parsed = value::parse(field, item).map_err(|invalid| Error::bad_request(invalid.message))?;
            let stored = value::seal(self.ctx, field, parsed)?;
            indexes.push(stored[secrets::INDEX].as_str().unwrap_or_default().to_owned().into());
        }
        if !indexes.is_empty() {
            options.push(format!("{index} IN ({})", self.sql.bind_all(indexes)));
        }
        Ok(any_of(&options))
    }
}
