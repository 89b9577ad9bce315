//! What SQLite must be taught on every connection: what PostgreSQL's functions of the same names do.
//!
//! `kith_fold` folds case and accents, `kith_day` gives the day of an instant in a time zone, `kith_sum` adds integers up without
//! overflowing and gives the sum as text, as `kith_wide` does with one that is kept in two halves. The others are what computed
//! fields are reckoned with: checked arithmetic on integers, null where the result does not fit.

#![expect(unsafe_code, reason = "SQLite takes functions through its C interface only")]

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;

use entity::Micros;
use libsqlite3_sys as ffi;
use sqlx::sqlite::SqliteConnection;

use crate::infra::decimal::{format_decimal, half_even};
use crate::infra::text::fold;

/// A value that a function takes or gives.
#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// A whole number, however wide: a sum comes as text.
    fn number(&self) -> Option<i128> {
        match self {
            Self::Null => None,
            Self::Int(number) => Some(i128::from(*number)),
            Self::Text(text) => text.parse().ok(),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

type Scalar = fn(&[Value<'_>]) -> Value<'static>;

/// Functions of one value's worth: name, how many values they take, and what they do.
static SCALARS: [(&CStr, c_int, Scalar); 10] = [
    (c"kith_fold", 1, |values| changed(&values[0], |text| fold(text).into_owned())),
    (c"kith_upper", 1, |values| changed(&values[0], str::to_uppercase)),
    (c"kith_lower", 1, |values| changed(&values[0], str::to_lowercase)),
    (c"kith_day", 2, |values| match (&values[0], values[1].text()) {
        (Value::Int(instant), Some(zone)) => {
            let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
            Value::Text(Micros(*instant).to_utc().with_timezone(&zone).date_naive().to_string().into())
        }
        _ => Value::Null,
    }),
    (c"kith_plus", 2, |values| reckoned(values, |numbers| numbers[0].checked_add(numbers[1]))),
    (c"kith_minus", 2, |values| reckoned(values, |numbers| numbers[0].checked_sub(numbers[1]))),
    (c"kith_muldiv", 3, |values| {
        reckoned(values, |numbers| numbers[0].checked_mul(numbers[1]).and_then(|product| half_even(product, numbers[2])))
    }),
    (c"kith_floor", 1, |values| reckoned(values, |numbers| numbers[0].checked_div_euclid(10_000))),
    (c"kith_wide", 2, |values| match (values[0].number(), values[1].number()) {
        (Some(high), Some(low)) => Value::Text((high * (1 << 32) + low).to_string().into()),
        _ => Value::Null,
    }),
    (c"kith_decimal", 1, |values| match values[0] {
        Value::Int(units) => {
            let mut text = String::new();
            format_decimal(units, 0, &mut text);
            Value::Text(text.into())
        }
        _ => Value::Null,
    }),
];

fn changed(value: &Value<'_>, change: impl Fn(&str) -> String) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Int(number) => Value::Text(number.to_string().into()),
        Value::Text(text) => Value::Text(change(text).into()),
    }
}

/// Null unless all are numbers and the result fits.
fn reckoned(values: &[Value<'_>], reckon: impl Fn(&[i128]) -> Option<i128>) -> Value<'static> {
    let numbers: Option<Vec<i128>> = values.iter().map(Value::number).collect();
    let result = numbers.and_then(|numbers| reckon(&numbers)).and_then(|result| i64::try_from(result).ok());
    result.filter(|result| *result != i64::MIN).map_or(Value::Null, Value::Int)
}

/// Registers the functions on one connection.
pub async fn register(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut handle = connection.lock_handle().await?;
    let database = handle.as_raw_handle().as_ptr();
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
    for (name, count, scalar) in &SCALARS {
        let data = std::ptr::from_ref(scalar).cast_mut().cast::<c_void>();
        // SAFETY: the handle is locked and alive, the name is a C string, the data is a static that is never written,
        // and `call` keeps to the contract of an application-defined function.
        let code = unsafe { ffi::sqlite3_create_function_v2(database, name.as_ptr(), *count, flags, data, Some(call), None, None, None) };
        check(code, name)?;
    }
    let sum = c"kith_sum";
    // SAFETY: as above; `sum_step` and `sum_end` keep to the contract of an aggregate.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(database, sum.as_ptr(), 1, flags, std::ptr::null_mut(), None, Some(sum_step), Some(sum_end), None)
    };
    check(code, sum)
}

fn check(code: c_int, name: &CStr) -> Result<(), sqlx::Error> {
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("SQLite refused the function {}: code {code}", name.to_string_lossy())))
}

/// Calls the function that stands in the user data.
unsafe extern "C" fn call(context: *mut ffi::sqlite3_context, count: c_int, values: *mut *mut ffi::sqlite3_value) {
    // SAFETY: SQLite calls with `count` values, whose text lives until the value is converted again, which nobody does
    // before the function has returned; the user data is the static that `register` gave.
    unsafe {
        let scalar = *ffi::sqlite3_user_data(context).cast::<Scalar>();
        let count = usize::try_from(count).unwrap_or(0);
        let values: Vec<Value<'_>> = (0..count).map(|index| read(*values.add(index))).collect();
        give(context, &scalar(&values));
    }
}

/// # Safety
/// `value` is alive, and is not converted while what was read is.
unsafe fn read<'a>(value: *mut ffi::sqlite3_value) -> Value<'a> {
    // SAFETY: the caller's promise.
    unsafe {
        match ffi::sqlite3_value_type(value) {
            ffi::SQLITE_NULL => Value::Null,
            ffi::SQLITE_INTEGER => Value::Int(ffi::sqlite3_value_int64(value)),
            _ => {
                let text = ffi::sqlite3_value_text(value);
                if text.is_null() {
                    return Value::Null;
                }
                let length = usize::try_from(ffi::sqlite3_value_bytes(value)).unwrap_or(0);
                Value::Text(String::from_utf8_lossy(slice::from_raw_parts(text, length)))
            }
        }
    }
}

/// # Safety
/// `context` is that of a call under way.
unsafe fn give(context: *mut ffi::sqlite3_context, value: &Value<'_>) {
    // SAFETY: the caller's promise; a text is copied before this returns.
    unsafe {
        match value {
            Value::Null => ffi::sqlite3_result_null(context),
            Value::Int(number) => ffi::sqlite3_result_int64(context, *number),
            Value::Text(text) => {
                let bytes = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
                ffi::sqlite3_result_text(context, text.as_ptr().cast::<c_char>(), bytes, ffi::SQLITE_TRANSIENT());
            }
        }
    }
}

/// A sum under way; SQLite gives it zeroed.
struct Sum {
    total: i128,
    /// How many values there were that are not null.
    count: i64,
}

unsafe extern "C" fn sum_step(context: *mut ffi::sqlite3_context, _: c_int, values: *mut *mut ffi::sqlite3_value) {
    // SAFETY: SQLite calls with one value. The aggregate's memory is zeroed at the first call, which is a
    // valid `Sum`, and SQLite aligns it to 8 bytes only, so it is read and written unaligned.
    unsafe {
        if ffi::sqlite3_value_type(*values) == ffi::SQLITE_NULL {
            return;
        }
        let memory = ffi::sqlite3_aggregate_context(context, c_int::try_from(size_of::<Sum>()).unwrap_or(c_int::MAX)).cast::<Sum>();
        if memory.is_null() {
            ffi::sqlite3_result_error_nomem(context);
            return;
        }
        let sum = memory.read_unaligned();
        // A hundred and seventy septillion values would have to be added up to overflow this.
        let total = sum.total.wrapping_add(i128::from(ffi::sqlite3_value_int64(*values)));
        memory.write_unaligned(Sum { total, count: sum.count + 1 });
    }
}

unsafe extern "C" fn sum_end(context: *mut ffi::sqlite3_context) {
    // SAFETY: with a size of 0 SQLite gives the memory of the steps, or null if there were none.
    unsafe {
        let memory = ffi::sqlite3_aggregate_context(context, 0).cast::<Sum>();
        let sum = if memory.is_null() { Sum { total: 0, count: 0 } } else { memory.read_unaligned() };
        let value = if sum.count == 0 { Value::Null } else { Value::Text(sum.total.to_string().into()) };
        give(context, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &CStr, values: &[Value<'_>]) -> Value<'static> {
        let (_, count, scalar) = SCALARS.iter().find(|(known, ..)| *known == name).unwrap();
        assert_eq!(usize::try_from(*count).unwrap(), values.len());
        scalar(values)
    }

    #[test]
    fn what_does_not_fit_is_null() {
        let muldiv = |a: i64, b: i64, c: i64| called(c"kith_muldiv", &[Value::Int(a), Value::Int(b), Value::Int(c)]);
        assert_eq!(muldiv(125_000, 5_000, 10_000), Value::Int(62_500));
        assert_eq!(muldiv(1, 1, 2), Value::Int(0));
        assert_eq!(muldiv(3, 1, 2), Value::Int(2));
        assert_eq!(muldiv(i64::MAX, 2, 1), Value::Null);
        assert_eq!(muldiv(1, 1, 0), Value::Null);
        assert_eq!(called(c"kith_plus", &[Value::Int(i64::MAX), Value::Int(1)]), Value::Null);
        assert_eq!(called(c"kith_plus", &[Value::Null, Value::Int(1)]), Value::Null);
        let wide = Value::Text("92233720368547758070".into());
        assert_eq!(called(c"kith_muldiv", &[wide, Value::Int(1), Value::Int(10)]), Value::Int(i64::MAX));
        assert_eq!(called(c"kith_floor", &[Value::Int(-1)]), Value::Int(-1));
    }
}
