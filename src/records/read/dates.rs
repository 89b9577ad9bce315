//! Relative dates of filters: `{ period: THIS_QUARTER }`, `{ within: { last: 30, unit: DAY } }`.
//!
//! Days begin where the workspace's time zone says. Intervals are half-open. Weeks begin on Monday
//! (ISO 8601).

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use entity::Micros;
use serde_json::Value as Json;

use crate::error::{Error, Result};

/// From the first day to the day after the last one.
pub type DayRange = (NaiveDate, NaiveDate);

const PERIODS: [&str; 12] = [
    "THIS_WEEK",
    "LAST_WEEK",
    "NEXT_WEEK",
    "THIS_MONTH",
    "LAST_MONTH",
    "NEXT_MONTH",
    "THIS_QUARTER",
    "LAST_QUARTER",
    "NEXT_QUARTER",
    "THIS_YEAR",
    "LAST_YEAR",
    "NEXT_YEAR",
];

fn out_of_range() -> Error {
    Error::bad_request("The relative date lies outside the calendar.")
}

pub fn local(now: Micros, zone: Tz) -> DateTime<Tz> {
    now.to_utc().with_timezone(&zone)
}

/// The instant at which a day begins; where the clocks skip midnight, the first instant after it.
pub fn start_of(day: NaiveDate, zone: Tz) -> Micros {
    let midnight = day.and_time(NaiveTime::MIN);
    let begins = (0..=180).find_map(|minutes| zone.from_local_datetime(&(midnight + TimeDelta::minutes(minutes))).earliest());
    begins.map_or_else(|| Micros(midnight.and_utc().timestamp_micros()), |at| Micros(at.timestamp_micros()))
}

/// The days of a named period.
pub fn period(name: &str, today: NaiveDate) -> Result<DayRange> {
    let range = match name {
        "TODAY" => shift(today, 0),
        "YESTERDAY" => shift(today, -1),
        "TOMORROW" => shift(today, 1),
        other => {
            if !PERIODS.contains(&other) {
                return Err(Error::bad_request(format!("`{}` is not a period.", other.chars().take(40).collect::<String>())));
            }
            let (which, unit) = other.split_once('_').ok_or_else(out_of_range)?;
            let offset = match which {
                "THIS" => 0,
                "LAST" => -1,
                _ => 1,
            };
            spans(unit, offset, today)
        }
    };
    range.ok_or_else(out_of_range)
}

fn shift(day: NaiveDate, by: i64) -> Option<DayRange> {
    let from = day.checked_add_signed(TimeDelta::days(by))?;
    Some((from, from.succ_opt()?))
}

fn spans(unit: &str, offset: i32, today: NaiveDate) -> Option<DayRange> {
    if unit == "WEEK" {
        let monday = today.checked_sub_days(Days::new(u64::from(today.weekday().num_days_from_monday())))?;
        let from = monday.checked_add_signed(TimeDelta::weeks(i64::from(offset)))?;
        return Some((from, from.checked_add_days(Days::new(7))?));
    }
    let months: u32 = match unit {
        "MONTH" => 1,
        "QUARTER" => 3,
        _ => 12,
    };
    let first_month = today.month0() / months * months + 1;
    let this = NaiveDate::from_ymd_opt(today.year(), first_month, 1)?;
    let from = add_months(this, i64::from(offset) * i64::from(months))?;
    Some((from, add_months(from, i64::from(months))?))
}

fn add_months(day: NaiveDate, months: i64) -> Option<NaiveDate> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { day.checked_sub_months(count) } else { day.checked_add_months(count) }
}

/// The days of `{ last: 30, unit: DAY }`: from that long ago through today; `next` likewise.
pub fn within(spec: &Json, today: NaiveDate) -> Result<DayRange> {
    let (count, sign) = amount(spec)?;
    let unit = spec["unit"].as_str().unwrap_or("DAY");
    let moved = step(today, unit, count.saturating_mul(sign)).filter(|day| (1..=9_998).contains(&day.year()));
    let moved = moved.ok_or_else(out_of_range)?;
    let (from, last) = if sign < 0 { (moved, today) } else { (today, moved) };
    Ok((from, last.succ_opt().ok_or_else(out_of_range)?))
}

/// How many units, and in which direction.
pub fn amount(spec: &Json) -> Result<(i64, i64)> {
    match (spec["last"].as_i64(), spec["next"].as_i64()) {
        (Some(n), None) if n >= 0 => Ok((n, -1)),
        (None, Some(n)) if n >= 0 => Ok((n, 1)),
        _ => Err(Error::bad_request("Give exactly one of `last` and `next`, not negative.")),
    }
}

fn step(day: NaiveDate, unit: &str, count: i64) -> Option<NaiveDate> {
    match unit {
        "WEEK" => day.checked_add_signed(TimeDelta::try_weeks(count)?),
        "MONTH" => add_months(day, count),
        "QUARTER" => add_months(day, count.checked_mul(3)?),
        "YEAR" => add_months(day, count.checked_mul(12)?),
        "DAY" => day.checked_add_signed(TimeDelta::try_days(count)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_half_open() {
        let today = day("2026-02-11");
        let range = |name| period(name, today).unwrap();
        assert_eq!(range("THIS_QUARTER"), (day("2026-01-01"), day("2026-04-01")));
        assert_eq!(range("LAST_QUARTER"), (day("2025-10-01"), day("2026-01-01")));
        assert_eq!(range("THIS_WEEK"), (day("2026-02-09"), day("2026-02-16")));
        assert_eq!(range("NEXT_YEAR"), (day("2027-01-01"), day("2028-01-01")));
    }

    #[test]
    fn a_day_begins_after_a_skipped_midnight() {
        // Santiago skips the first hour of 2026-09-06.
        let start = start_of(day("2026-09-06"), chrono_tz::America::Santiago);
        assert_eq!(start.to_utc().to_rfc3339(), "2026-09-06T04:00:00+00:00");
    }
}
