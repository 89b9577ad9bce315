//! From text to the words that search knows, and from what somebody types to what is looked for.
//!
//! Both databases index the same words, made here, so that both find the same. A word is folded (no case, no
//! accents) and carries what it is for: its workspace, so that one tenant's search never walks another's words,
//! and a mark. Words of titles come forwards and, for typing errors, backwards; an address or a number is one word
//! of its own besides its parts. What owns or places the record is a word too: so the index itself leaves out what a
//! caller does not reach.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use unicode_segmentation::UnicodeSegmentation as _;
use uuid::Uuid;

use crate::infra::text::fold;

/// The longest word, in characters: longer ones are cut.
const LONGEST: usize = 40;
/// The most words of one record.
const MOST_WORDS: usize = 4_000;
/// The most words that are looked for at once.
const MOST_TERMS: usize = 12;
/// Digits without which it is no telephone number.
const FEWEST_DIGITS: usize = 5;

/// What a word of the index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Title,
    /// A word of a title, backwards.
    Reversed,
    /// A whole title as one word.
    Whole,
    /// The digits of a telephone number, backwards: people leave out how it begins.
    Digits,
    Text,
    Object,
    Owner,
    Territory,
}

impl Mark {
    const fn letter(self) -> char {
        match self {
            Self::Title => 't',
            Self::Reversed => 'r',
            Self::Whole => 'e',
            Self::Digits => 'd',
            Self::Text => 'w',
            Self::Object => 'x',
            Self::Owner => 'o',
            Self::Territory => 'y',
        }
    }
}

/// What all words of one workspace begin with.
#[derive(Clone, Debug)]
pub struct Tag(String);

impl Tag {
    pub fn of(workspace: Uuid) -> Self {
        Self(hex::encode(&Sha256::digest(workspace.as_bytes())[..3]))
    }

    pub fn word(&self, mark: Mark, word: &str) -> String {
        format!("{}{}{word}", self.0, mark.letter())
    }

    pub fn object(&self, name: &str) -> String {
        // Its name may have what no word has.
        self.word(Mark::Object, &hex::encode(&Sha256::digest(name)[..6]))
    }

    pub fn holder(&self, mark: Mark, id: Uuid) -> String {
        self.word(mark, &hex::encode(&id.as_bytes()[6..]))
    }
}

/// The words of a record under way.
pub struct Words {
    tag: Tag,
    all: BTreeSet<String>,
}

impl Words {
    pub fn new(tag: Tag) -> Self {
        Self { tag, all: BTreeSet::new() }
    }

    pub fn add(&mut self, word: String) {
        if self.all.len() < MOST_WORDS {
            self.all.insert(word);
        }
    }

    pub fn title(&mut self, text: &str) {
        self.add(self.tag.word(Mark::Whole, &whole(&words(text))));
        for word in words(text) {
            self.add(self.tag.word(Mark::Title, &word));
            self.add(self.tag.word(Mark::Reversed, &reversed(&word)));
        }
        for chunk in text.split_whitespace() {
            if let Some(joined) = joined(chunk) {
                self.add(self.tag.word(Mark::Title, &joined));
            }
        }
    }

    pub fn text(&mut self, text: &str) {
        for word in words(text) {
            self.add(self.tag.word(Mark::Text, &word));
        }
        for chunk in text.split_whitespace() {
            if let Some(joined) = joined(chunk) {
                self.add(self.tag.word(Mark::Text, &joined));
            }
        }
    }

    /// An address: its parts, itself, and its domain.
    pub fn email(&mut self, address: &str) {
        self.text(address);
        if let Some((_, host)) = address.rsplit_once('@') {
            self.text(host);
        }
    }

    /// A number, from its beginning and from its end.
    pub fn phone(&mut self, e164: &str) {
        let digits: String = e164.chars().filter(char::is_ascii_digit).collect();
        self.add(self.tag.word(Mark::Text, &digits));
        self.add(self.tag.word(Mark::Digits, &reversed(&digits)));
    }

    /// Whether a term is among them, in a title or in a text.
    pub fn have(&self, tag: &Tag, term: &Term) -> bool {
        match term {
            Term::Begins(word) => [Mark::Title, Mark::Text].into_iter().any(|mark| {
                let begin = tag.word(mark, word);
                self.all.range(begin.clone()..).next().is_some_and(|known| known.starts_with(&begin))
            }),
            Term::Is(word) => [Mark::Title, Mark::Text].into_iter().any(|mark| self.all.contains(&tag.word(mark, word))),
            Term::Ends(digits) => {
                let begin = tag.word(Mark::Digits, &reversed(digits));
                self.all.range(begin.clone()..).next().is_some_and(|known| known.starts_with(&begin))
            }
            Term::All(terms) => terms.iter().all(|term| self.have(tag, term)),
            Term::Any(terms) => terms.iter().any(|term| self.have(tag, term)),
        }
    }

    /// As the index takes them.
    pub fn join(self) -> String {
        self.all.into_iter().collect::<Vec<_>>().join(" ")
    }
}

/// The words of a text, folded, in order.
pub fn words(text: &str) -> Vec<String> {
    plain(&fold(text)).unicode_words().flat_map(|word| word.split(is_seam)).filter(|word| !word.is_empty()).map(clipped).collect()
}

/// Letters that have no accent to lose, as people write them who do not have them on their keyboard.
fn plain(folded: &str) -> String {
    let mut plain = String::with_capacity(folded.len());
    for c in folded.chars() {
        match c {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'þ' => plain.push_str("th"),
            'ı' => plain.push('i'),
            other => plain.push(other),
        }
    }
    plain
}

/// What a word of a dictionary may have inside, and a word of the index has not.
fn is_seam(c: char) -> bool {
    c.is_ascii_punctuation() || matches!(c, '\u{2018}' | '\u{2019}' | '\u{b7}' | '\u{2024}' | '\u{2027}')
}

/// What is written together with signs in it, without them: an address, a domain, `O'Brien`, `AT&T`.
fn joined(chunk: &str) -> Option<String> {
    let parts = words(bare(chunk));
    (parts.len() > 1).then(|| clipped(&parts.concat()))
}

/// Without what people copy along with a domain.
fn bare(chunk: &str) -> &str {
    let chunk = chunk.trim_start_matches("https://").trim_start_matches("http://").trim_start_matches("www.");
    chunk.trim_start_matches("mailto:").trim_start_matches("tel:")
}

fn clipped(word: &str) -> String {
    word.chars().take(LONGEST).collect()
}

fn reversed(word: &str) -> String {
    word.chars().rev().collect()
}

/// What is looked for: words to begin with, joined by "and" and "or".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// Words that begin so.
    Begins(String),
    /// Exactly this word.
    Is(String),
    /// A telephone number that ends with these digits.
    Ends(String),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Term {
    /// The words as the index has them: each under some mark.
    pub fn map(&self, tag: &Tag, change: &impl Fn(&str, bool) -> Self) -> Self {
        match self {
            Self::Ends(digits) => Self::Begins(tag.word(Mark::Digits, &reversed(digits))),
            Self::Begins(word) => change(word, true),
            Self::Is(word) => change(word, false),
            Self::All(terms) => Self::All(terms.iter().map(|term| term.map(tag, change)).collect()),
            Self::Any(terms) => Self::Any(terms.iter().map(|term| term.map(tag, change)).collect()),
        }
    }

    /// In PostgreSQL's language of `tsquery`. Words are letters and digits.
    pub fn tsquery(&self) -> String {
        let join = |terms: &[Self], sign: &str| terms.iter().map(Self::tsquery).collect::<Vec<_>>().join(sign);
        match self {
            Self::Begins(word) => format!("'{word}':*"),
            Self::Is(word) | Self::Ends(word) => format!("'{word}'"),
            Self::All(terms) => format!("({})", join(terms, " & ")),
            Self::Any(terms) => format!("({})", join(terms, " | ")),
        }
    }

    /// In the language of SQLite's FTS5.
    pub fn fts5(&self) -> String {
        let join = |terms: &[Self], sign: &str| terms.iter().map(Self::fts5).collect::<Vec<_>>().join(sign);
        match self {
            Self::Begins(word) => format!("\"{word}\"*"),
            Self::Is(word) | Self::Ends(word) => format!("\"{word}\""),
            Self::All(terms) => format!("({})", join(terms, " AND ")),
            Self::Any(terms) => format!("({})", join(terms, " OR ")),
        }
    }
}

/// What somebody typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Each of these must be found.
    pub terms: Vec<Term>,
    /// The plain words, in order.
    pub words: Vec<String>,
}

impl Sought {
    pub fn read(typed: &str) -> Self {
        let (mut terms, mut plain) = (Vec::new(), Vec::new());
        let chunks: Vec<&str> = typed.split_whitespace().map(bare).collect();
        let mut rest = chunks.as_slice();
        while let Some((first, others)) = rest.split_first() {
            // A telephone number is written in several pieces.
            let pieces = rest.iter().take_while(|chunk| may_dial(chunk)).count();
            let dialled = rest[..pieces].concat().replace("(0)", "");
            let digits: String = dialled.chars().filter(char::is_ascii_digit).collect();
            let digits = digits.trim_start_matches('0');
            if digits.len() >= FEWEST_DIGITS && (pieces > 1 || !first.chars().all(|c| c.is_ascii_digit()) || digits.len() >= 7) {
                let parts: Vec<String> = rest[..pieces].iter().flat_map(|chunk| words(chunk)).collect();
                let ways = vec![Term::Begins(digits.to_owned()), Term::Ends(digits.to_owned()), all_begin(&parts)];
                terms.push(Term::Any(ways));
                plain.extend(parts);
                rest = &rest[pieces..];
                continue;
            }
            rest = others;
            let parts = words(first);
            let term = match parts.as_slice() {
                [] => continue,
                [word] => Term::Begins(word.clone()),
                _ => Term::Any(vec![Term::Begins(clipped(&parts.concat())), all_begin(&parts)]),
            };
            plain.extend(parts);
            terms.push(term);
        }
        terms.truncate(MOST_TERMS);
        plain.truncate(MOST_TERMS);
        Self { terms, words: plain }
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a number is what was typed, or its end.
    pub fn dials(&self, e164: &str) -> bool {
        let tag = Tag(String::new());
        let mut number = Words::new(tag.clone());
        number.phone(e164);
        self.terms.iter().any(|term| number.have(&tag, term))
    }
}

/// Whether a piece of what was typed can be one of a telephone number.
fn may_dial(chunk: &str) -> bool {
    chunk.chars().all(|c| c.is_ascii_digit() || "+()/.-".contains(c))
}

/// A whole title as one word.
pub fn whole(words: &[String]) -> String {
    clipped(&words.concat())
}

fn all_begin(parts: &[String]) -> Term {
    Term::All(parts.iter().map(|word| Term::Begins(word.clone())).collect())
}

/// What finds the titles' words of which this one may be a misspelling: one half of a word is usually right, and
/// letters that changed places, or of which one is too many, make a word that is known exactly.
pub fn misspelt(tag: &Tag, word: &str) -> Option<Term> {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < 4 || letters.iter().all(char::is_ascii_digit) {
        return None;
    }
    let half = letters.len() / 2;
    let mut ways = vec![
        Term::Begins(tag.word(Mark::Title, &letters[..half].iter().collect::<String>())),
        Term::Begins(tag.word(Mark::Reversed, &letters[half..].iter().rev().collect::<String>())),
    ];
    for index in 0..letters.len() {
        let mut fewer = letters.clone();
        fewer.remove(index);
        ways.push(Term::Is(tag.word(Mark::Title, &fewer.iter().collect::<String>())));
        if index + 1 < letters.len() {
            let mut turned = letters.clone();
            turned.swap(index, index + 1);
            ways.push(Term::Is(tag.word(Mark::Title, &turned.iter().collect::<String>())));
        }
    }
    Some(Term::Any(ways))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_no_case_accents_or_signs() {
        assert_eq!(words("Müller & Søn: O’Brien, ÉCOLE 3.14"), ["muller", "son", "o", "brien", "ecole", "3", "14"]);
        assert_eq!(words("東京タワー"), ["東", "京", "タワー"]);
        assert!(words("— … !").is_empty());
    }

    #[test]
    fn an_address_is_a_word_of_its_own() {
        let mut words = Words::new(Tag("_".into()));
        words.email("ada@example.com");
        assert_eq!(words.join(), "_wada _wadaexamplecom _wcom _wexample _wexamplecom");
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        let tag = Tag("_".into());
        let mut words = Words::new(tag.clone());
        words.phone("+493090182055");
        for typed in
            ["+49 30 90182055", "0049 (0)30/901 820-55", "030 90182055", "(030) 901-82055", "90182055", "tel:+493090182055", "82055 "]
        {
            let sought = Sought::read(typed);
            assert!(sought.terms.len() == 1 && (typed == "82055 " || words.have(&tag, &sought.terms[0])), "{typed}: {sought:?}");
        }
        assert_eq!(Sought::read("Room7 030 90182055 Ada").terms.len(), 3);
        assert!(!words.have(&tag, &Sought::read("030 90182054").terms[0]));
    }

    #[test]
    fn a_year_is_no_number_to_dial() {
        assert_eq!(Sought::read("Budget 2026").terms, [Term::Begins("budget".into()), Term::Begins("2026".into())]);
        assert_eq!(Sought::read(" -- ").terms, []);
        assert_eq!(Sought::read("https://www.Example.com").terms[0], Sought::read("example.com").terms[0]);
    }

    #[test]
    fn misspellings_are_looked_for_by_the_half_that_is_right() {
        let tag = Tag("_".into());
        let Some(Term::Any(ways)) = misspelt(&tag, "jhon") else { panic!() };
        assert!(ways.contains(&Term::Is("_tjohn".into())) && ways.contains(&Term::Begins("_tjh".into())));
        assert!(ways.contains(&Term::Begins("_rno".into())));
        assert_eq!(misspelt(&tag, "bob"), None);
    }
}
