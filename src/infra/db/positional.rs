//! Many parameters for SQLite.
//!
//! SQLite keeps the names of a statement's parameters in a list that it walks for each of them, when it reads the
//! statement and when the values are bound: with `$1 … $2000` that is most of the work. Parameters without a name
//! stand in no list.

use std::borrow::Cow;

use sea_orm::Value;

/// With fewer parameters the list is short.
const FEW: usize = 64;
/// SQLite takes 32,766.
const MOST: usize = 32_000;

/// The same statement with `?` for `$1`, and a value for each of them in their order.
pub fn positional(sql: &str, values: Vec<Value>) -> (Cow<'_, str>, Vec<Value>) {
    if values.len() <= FEW {
        return (sql.into(), values);
    }
    let Some((text, places)) = numbered(sql) else { return (sql.into(), values) };
    if places.len() > MOST || places.iter().any(|place| *place == 0 || *place > values.len()) {
        return (sql.into(), values);
    }
    let ordered = places.iter().filter_map(|place| values.get(place - 1).cloned()).collect();
    (text.into(), ordered)
}

/// The text without numbers, and the numbers; none where a quote is not closed.
fn numbered(sql: &str) -> Option<(String, Vec<usize>)> {
    let mut text = String::with_capacity(sql.len());
    let mut places = Vec::new();
    let mut rest = sql;
    while let Some(at) = rest.find(['$', '\'', '"']) {
        text.push_str(&rest[..at]);
        let mark = rest.as_bytes()[at];
        rest = &rest[at..];
        if mark == b'$' {
            let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            match rest[1..=digits].parse() {
                Ok(place) => {
                    places.push(place);
                    text.push('?');
                }
                Err(_) => text.push('$'),
            }
            rest = &rest[1 + digits..];
        } else {
            let end = rest[1..].find(char::from(mark))? + 2;
            text.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    text.push_str(rest);
    Some((text, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_gets_its_value() {
        let values: Vec<Value> = (1_i64..=70).map(Value::from).collect();
        let (sql, ordered) = positional("SELECT $2, json_extract(a, '$.x$3''$4'), \"$5\", $70 || $1, $2", values);
        assert_eq!(sql, "SELECT ?, json_extract(a, '$.x$3''$4'), \"$5\", ? || ?, ?");
        assert_eq!(ordered, [2_i64, 70, 1, 2].map(Value::from));
    }

    #[test]
    fn what_is_short_or_odd_stays_as_it_is() {
        assert_eq!(positional("SELECT $1", vec![1_i64.into()]).0, "SELECT $1");
        let values: Vec<Value> = (1_i64..=70).map(Value::from).collect();
        assert_eq!(positional("SELECT $71", values.clone()).0, "SELECT $71");
        assert_eq!(positional("SELECT '$1", values).0, "SELECT '$1");
    }
}
