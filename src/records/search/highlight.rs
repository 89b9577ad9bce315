//! What of a text matched.

use unicode_segmentation::UnicodeSegmentation as _;

use super::rank::distance;
use super::words::{Sought, words};

/// A piece of a text, and whether it is what was looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub text: String,
    pub is_match: bool,
}

/// Characters of a long text that are shown before and after the first match.
const BEFORE: usize = 40;
const AFTER: usize = 120;

/// The text in pieces, or the part of it around the first match; none if nothing matches.
pub fn parts(sought: &Sought, text: &str) -> Option<Vec<Part>> {
    let matching: Vec<(usize, &str)> = text.unicode_word_indices().filter(|(_, word)| is_sought(sought, word)).collect();
    let (first, _) = *matching.first()?;
    let from = text[..first].char_indices().rev().nth(BEFORE - 1).map_or(0, |(index, _)| index);
    let to = text[first..].char_indices().nth(AFTER).map_or(text.len(), |(index, _)| first + index);
    let mut parts = Vec::new();
    let mut plain = String::from(if from > 0 { "…" } else { "" });
    let mut at = from;
    for (index, word) in matching {
        let end = index + word.len();
        if end > to {
            break;
        }
        plain.push_str(&text[at..index]);
        if !plain.is_empty() {
            parts.push(Part { text: std::mem::take(&mut plain), is_match: false });
        }
        parts.push(Part { text: word.to_owned(), is_match: true });
        at = end;
    }
    plain.push_str(&text[at..to.max(at)]);
    plain.push_str(if to < text.len() { "…" } else { "" });
    if !plain.is_empty() {
        parts.push(Part { text: plain, is_match: false });
    }
    Some(parts)
}

/// A number, which matches as a whole or not at all.
pub fn number(sought: &Sought, digits: &str, shown: &str) -> Option<Vec<Part>> {
    sought.dials(digits).then(|| vec![Part { text: shown.to_owned(), is_match: true }])
}

fn is_sought(sought: &Sought, word: &str) -> bool {
    words(word).iter().any(|known| sought.words.iter().any(|typed| known.starts_with(typed.as_str()) || distance(typed, known).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(typed: &str, text: &str) -> String {
        let parts = parts(&Sought::read(typed), text).unwrap_or_default();
        parts.into_iter().map(|part| if part.is_match { format!("[{}]", part.text) } else { part.text }).collect()
    }

    #[test]
    fn words_that_match_are_marked() {
        assert_eq!(shown("mull ecole", "Frau Müller, École"), "Frau [Müller], [École]");
        assert_eq!(shown("lovelase", "Ada Lovelace"), "Ada [Lovelace]");
        assert_eq!(shown("zeta", "Ada Lovelace"), "");
    }

    #[test]
    fn of_a_long_text_the_part_around_the_match_is_shown() {
        let text = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let shown = shown("needle", &text);
        assert!(shown.starts_with("…") && shown.ends_with('…') && shown.contains(" [needle] straw"), "{shown}");
        assert!(shown.chars().count() < 180);
    }
}
