//! What SQLite must be taught on every connection: `kith_fold`, as PostgreSQL's function of that name, and
//! `kith_sum`, which adds integers up without overflowing and gives the sum as text; `kith_day`, the day of an
//! instant in a time zone.

#![expect(unsafe_code, reason = "SQLite takes functions through its C interface only")]

use std::ffi::{c_char, c_int};
use std::slice;

use entity::Micros;
use libsqlite3_sys as ffi;
use sqlx::sqlite::SqliteConnection;

use crate::infra::text::fold;

/// Registers the functions on one connection.
pub async fn register(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut handle = connection.lock_handle().await?;
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
    // SAFETY: the handle is locked and alive, the name is a C string, and `fold_text` keeps to the
    // contract of an application-defined function: it reads its one argument and sets one result.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(
            handle.as_raw_handle().as_ptr(),
            c"kith_fold".as_ptr(),
            1,
            flags,
            std::ptr::null_mut(),
            Some(fold_text),
            None,
            None,
            None,
        )
    };
    check(code, "kith_fold")?;
    // SAFETY: as above; `sum_step` and `sum_end` keep to the contract of an aggregate.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(
            handle.as_raw_handle().as_ptr(),
            c"kith_sum".as_ptr(),
            1,
            flags,
            std::ptr::null_mut(),
            None,
            Some(sum_step),
            Some(sum_end),
            None,
        )
    };
    check(code, "kith_sum")?;
    // SAFETY: as above; `local_day` reads its two arguments and sets one result.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(
            handle.as_raw_handle().as_ptr(),
            c"kith_day".as_ptr(),
            2,
            flags,
            std::ptr::null_mut(),
            Some(local_day),
            None,
            None,
            None,
        )
    };
    check(code, "kith_day")
}

fn check(code: c_int, name: &str) -> Result<(), sqlx::Error> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(sqlx::Error::Protocol(format!("SQLite refused the function {name}: code {code}"))) }
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
    // SAFETY: with a size of 0 SQLite gives the memory of the steps, or null if there were none; the
    // result is copied.
    unsafe {
        let memory = ffi::sqlite3_aggregate_context(context, 0).cast::<Sum>();
        let sum = if memory.is_null() { Sum { total: 0, count: 0 } } else { memory.read_unaligned() };
        if sum.count == 0 {
            ffi::sqlite3_result_null(context);
            return;
        }
        let text = sum.total.to_string();
        let bytes = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
        ffi::sqlite3_result_text(context, text.as_ptr().cast::<c_char>(), bytes, ffi::SQLITE_TRANSIENT());
    }
}

unsafe extern "C" fn fold_text(context: *mut ffi::sqlite3_context, count: c_int, values: *mut *mut ffi::sqlite3_value) {
    debug_assert_eq!(count, 1);
    // SAFETY: SQLite calls with one value, whose text lives until the value is converted again;
    // the result is copied by SQLite (SQLITE_TRANSIENT) before this function returns.
    unsafe {
        let text = ffi::sqlite3_value_text(*values);
        if text.is_null() {
            ffi::sqlite3_result_null(context);
            return;
        }
        let length = usize::try_from(ffi::sqlite3_value_bytes(*values)).unwrap_or(0);
        let text = String::from_utf8_lossy(slice::from_raw_parts(text, length));
        let folded = fold(&text);
        let bytes = c_int::try_from(folded.len()).unwrap_or(c_int::MAX);
        ffi::sqlite3_result_text(context, folded.as_ptr().cast::<c_char>(), bytes, ffi::SQLITE_TRANSIENT());
    }
}

/// The day of an instant, in microseconds, in a time zone, as ISO text.
unsafe extern "C" fn local_day(context: *mut ffi::sqlite3_context, count: c_int, values: *mut *mut ffi::sqlite3_value) {
    debug_assert_eq!(count, 2);
    // SAFETY: SQLite calls with two values, whose text lives until the value is converted again; the result is
    // copied.
    unsafe {
        let (instant, zone) = (*values, *values.add(1));
        let name = ffi::sqlite3_value_text(zone);
        if ffi::sqlite3_value_type(instant) == ffi::SQLITE_NULL || name.is_null() {
            ffi::sqlite3_result_null(context);
            return;
        }
        let length = usize::try_from(ffi::sqlite3_value_bytes(zone)).unwrap_or(0);
        let name = String::from_utf8_lossy(slice::from_raw_parts(name, length));
        let zone: chrono_tz::Tz = name.parse().unwrap_or(chrono_tz::UTC);
        let day = Micros(ffi::sqlite3_value_int64(instant)).to_utc().with_timezone(&zone).date_naive().to_string();
        let bytes = c_int::try_from(day.len()).unwrap_or(c_int::MAX);
        ffi::sqlite3_result_text(context, day.as_ptr().cast::<c_char>(), bytes, ffi::SQLITE_TRANSIENT());
    }
}
