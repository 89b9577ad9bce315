//! Decimals as integers of scale 4, to and from text; no float anywhere.

/// Decimals are integers in units of 1/10,000.
pub const SCALE: u32 = 4;

/// Reads `-12.50` as -125000. None if it is no decimal, has more than four places, or does not fit:
/// the range is ±922,337,203,685,477.5807.
pub fn parse_decimal(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1_i128, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || whole.len() > 18 || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
        return None;
    }
    let places = usize::try_from(SCALE).ok()?;
    if fraction.len() > places {
        return None;
    }
    let padded = format!("{fraction:0<places$}");
    let units: i128 = whole.parse::<i128>().ok()? * 10_i128.pow(SCALE) + padded.parse::<i128>().ok()?;
    i64::try_from(sign * units).ok()
}

/// Writes -125000 as `-12.50`, with at least `places` decimals.
pub fn format_decimal(units: i64, places: usize, out: &mut String) {
    let scale = 10_u64.pow(SCALE);
    let absolute = units.unsigned_abs();
    if units < 0 {
        out.push('-');
    }
    out.push_str(itoa::Buffer::new().format(absolute / scale));
    let width = usize::try_from(SCALE).unwrap_or(4);
    let fraction = format!("{:0width$}", absolute % scale);
    let significant = fraction.trim_end_matches('0').len().max(places.min(width));
    if significant > 0 {
        out.push('.');
        out.push_str(&fraction[..significant]);
    }
}

/// The same of a sum, which may be wider.
pub fn format_wide(units: i128, places: usize) -> String {
    let mut out = String::new();
    match i64::try_from(units) {
        Ok(units) => format_decimal(units, places, &mut out),
        Err(_) => {
            let scale = 10_i128.pow(SCALE);
            let sign = if units < 0 { "-" } else { "" };
            let (whole, rest) = ((units / scale).unsigned_abs(), (units % scale).unsigned_abs());
            let fraction = format!("{rest:04}");
            let significant = fraction.trim_end_matches('0').len().max(places.min(4));
            out = format!("{sign}{whole}{}{}", if significant > 0 { "." } else { "" }, &fraction[..significant]);
        }
    }
    out
}

/// Divides, and rounds half to even; none where the divisor is zero.
pub fn half_even(number: i128, by: i128) -> Option<i128> {
    let (number, by) = if by < 0 { (number.checked_neg()?, by.checked_neg()?) } else { (number, by) };
    let (whole, rest) = (number.checked_div_euclid(by)?, number.checked_rem_euclid(by)?);
    let twice = rest.checked_mul(2)?;
    let up = twice > by || twice == by && whole % 2 != 0;
    Some(if up { whole + 1 } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(units: i64, places: usize) -> String {
        let mut out = String::new();
        format_decimal(units, places, &mut out);
        out
    }

    #[test]
    fn decimals_survive_the_round_trip() {
        for text in ["0", "-12.5", "0.0001", "922337203685477.5807", "-922337203685477.5808", "100"] {
            assert_eq!(formatted(parse_decimal(text).unwrap(), 0), text);
        }
        assert_eq!(formatted(125_000, 2), "12.50");
        assert_eq!(formatted(-5, 2), "-0.0005");
        assert_eq!(format_wide(i128::from(i64::MAX) * 10, 2), "9223372036854775.807");
        assert_eq!(format_wide(-100_000_000_000_000_000_000_000, 2), "-10000000000000000000.00");
    }

    #[test]
    fn halves_go_to_the_even_side() {
        assert_eq!([half_even(5, 2), half_even(7, 2), half_even(-5, 2), half_even(10, 4), half_even(1, 3)], [2, 4, -2, 2, 0].map(Some));
        assert_eq!([half_even(5, -2), half_even(-7, -2)], [-2, 4].map(Some));
        assert_eq!(half_even(1, 0), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for text in ["", "-", ".5", "1.", "1.00001", "922337203685477.5808", "1e5", "١", "+1", "--1", "99999999999999999999"] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
    }
}
