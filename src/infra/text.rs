//! Text as people compare it.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Case and accents folded away: NFKD, combining marks U+0300 to U+036F dropped, lower case.
/// PostgreSQL's `kith_fold` does the same, so both databases compare and sort alike.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let bare: String = text.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect();
    Cow::Owned(bare.to_lowercase())
}

/// `company_id` as the API writes it: `companyId`.
pub fn camel_case(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    let mut upper = false;
    for c in snake.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// The first letter in upper case: `stageType` becomes `StageType`.
pub fn pascal_case(camel: &str) -> String {
    let mut chars = camel.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `openHouse` as an enum's value: `OPEN_HOUSE`.
pub fn screaming_snake_case(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_drops_case_and_accents() {
        assert_eq!(fold("Müller & Søn ÉCOLE"), "muller & søn ecole");
        assert_eq!(fold("ＡＢＣ"), "abc");
    }

    #[test]
    fn names_change_their_case() {
        assert_eq!(camel_case("expected_close_date"), "expectedCloseDate");
        assert_eq!(pascal_case("dealPeople"), "DealPeople");
        assert_eq!(screaming_snake_case("openHouse"), "OPEN_HOUSE");
    }
}
