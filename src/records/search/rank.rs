//! How well a record fits what was looked for.
//!
//! The score is the same on both databases, for it is reckoned here: of 1,000, by how the words stand in the title.

use super::words::{Sought, words};

/// Scores, best first.
const THE_TITLE: u16 = 1_000;
const BEGINS_THE_TITLE: u16 = 900;
const IN_THE_TITLE: u16 = 800;
const PARTLY_IN_THE_TITLE: u16 = 600;
const ELSEWHERE: u16 = 500;
/// A title that is as was looked for but for some letters; each letter takes off some.
const MISSPELT: u16 = 400;
const A_LETTER: u16 = 50;

pub const fn is_misspelt(score: u16) -> bool {
    score <= MISSPELT
}

/// The score of a record that has all words, somewhere.
pub fn score(sought: &Sought, title: &str) -> u16 {
    let title = words(title);
    let (mut here, mut exact) = (0, 0);
    for word in &sought.words {
        here += usize::from(title.iter().any(|known| known.starts_with(word.as_str())));
        exact += usize::from(title.contains(word));
    }
    // Of titles that fit alike, the one with more whole words, then the shorter one.
    let finer = |score: u16| {
        let whole = u16::try_from(exact.min(4)).unwrap_or(4) * 10;
        score + whole + 10_u16.saturating_sub(u16::try_from(title.len()).unwrap_or(10))
    };
    if title == sought.words {
        return THE_TITLE;
    }
    if begins(&title, &sought.words) {
        return finer(BEGINS_THE_TITLE);
    }
    if !sought.words.is_empty() && here == sought.words.len() {
        return finer(IN_THE_TITLE);
    }
    if here > 0 { finer(PARTLY_IN_THE_TITLE) } else { ELSEWHERE }
}

fn begins(title: &[String], sought: &[String]) -> bool {
    let Some((last, first)) = sought.split_last() else { return false };
    title.len() >= sought.len() && title.iter().zip(first).all(|(a, b)| a == b) && title[first.len()].starts_with(last.as_str())
}

/// The score of a record whose title may have the words misspelt; none if it has not.
pub fn misspelt(sought: &Sought, title: &str) -> Option<u16> {
    let title = words(title);
    let mut wrong = 0;
    for word in &sought.words {
        wrong += title.iter().filter_map(|known| distance(word, known)).min()?;
    }
    let lost = u16::try_from(wrong).ok()?.checked_mul(A_LETTER)?;
    MISSPELT.checked_sub(lost).filter(|score| *score > 0)
}

/// How many letters two words differ by, if it is few enough to be an error of typing.
pub fn distance(typed: &str, known: &str) -> Option<usize> {
    if known.starts_with(typed) {
        return Some(0);
    }
    let letters = typed.chars().count();
    let most = match letters {
        0..=3 => return None,
        4..=7 => 1,
        _ => 2,
    };
    // Somebody who is still typing has not come to the end of the word.
    let begun: String = known.chars().take(letters).collect();
    let whole = strsim::osa_distance(typed, known);
    Some(whole.min(strsim::osa_distance(typed, &begun))).filter(|wrong| *wrong <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(typed: &str, titles: &[&str]) -> Vec<u16> {
        titles.iter().map(|title| score(&Sought::read(typed), title)).collect()
    }

    #[test]
    fn titles_come_before_texts_and_beginnings_before_the_rest() {
        let scores = scores("acme", &["Acme", "Acme Ltd", "Acmeville", "New Acme", "Zeta"]);
        assert!(scores.windows(2).all(|pair| pair[0] > pair[1]), "{scores:?}");
        assert!(score(&Sought::read("acme paris"), "Acme") < score(&Sought::read("acme paris"), "Paris acme"));
    }

    #[test]
    fn a_letter_or_two_may_be_wrong() {
        assert_eq!(distance("jhon", "john"), Some(1));
        assert_eq!(distance("lovelase", "lovelace"), Some(1));
        assert_eq!(distance("micrsoft", "microsoft"), Some(1));
        assert_eq!(distance("micros", "microsoft"), Some(0));
        assert_eq!(distance("bob", "rob"), None);
        assert_eq!(distance("smith", "jones"), None);
        assert!(misspelt(&Sought::read("ada lovelase"), "Ada Lovelace").is_some());
        assert!(misspelt(&Sought::read("ada lovelase"), "Lovelace").is_none());
    }
}
