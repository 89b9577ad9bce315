//! How likely two records are the same thing.
//!
//! Each agreement is worth a probability that it is no accident; together they are one minus the product of the
//! doubts that they leave. Names alone are the weakest: many people have the same one.

use std::collections::BTreeSet;

use super::profile::{Known, Profile, acronym};

/// How a field agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It is the same, in the form in which it is compared.
    Exact,
    /// It is nearly the same: a typing error, an initial.
    Similar,
    /// One is the other's initials.
    Acronym,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "EXACT",
            Self::Similar => "SIMILAR",
            Self::Acronym => "ACRONYM",
        }
    }
}

/// Something that agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The field, as permissions name it.
    pub field: String,
    pub method: Method,
}

/// Certainty, in the units in which doubt is reckoned.
const WHOLE: u32 = 1_000_000;

/// Names are nearly the same from this likeness on (Jaro-Winkler).
const ALIKE: f64 = 0.92;

/// The score of two records, of 100, and what agrees.
pub fn compare(a: &Profile, b: &Profile) -> (u8, Vec<Reason>) {
    let mut evidence: Vec<(u32, Reason)> = Vec::new();
    let lists: [(u32, &[Known], &[Known]); 7] = [
        (95, &a.emails, &b.emails),
        (90, &a.codes, &b.codes),
        (80, &a.domains, &b.domains),
        (70, &a.phones, &b.phones),
        (50, &a.days, &b.days),
        (40, &a.places, &b.places),
        (30, &a.hosts, &b.hosts),
    ];
    for (weight, ours, theirs) in lists {
        // One shared value of a field is as good as two.
        let shared: BTreeSet<&String> = ours.iter().filter(|known| theirs.contains(known)).map(|(field, _)| field).collect();
        for field in shared {
            let told = evidence.iter().any(|(_, reason)| reason.field == *field);
            if !told {
                evidence.push((weight, Reason { field: field.clone(), method: Method::Exact }));
            }
        }
    }
    if let Some((weight, method)) = names(a, b) {
        evidence.push((weight, Reason { field: a.name_field.clone(), method }));
    }
    let doubt = evidence.iter().fold(WHOLE, |doubt, (weight, _)| doubt * (100 - weight) / 100);
    let mut likely = WHOLE - doubt;
    // Who was born on another day is somebody else, most of the time.
    if !a.days.is_empty() && !b.days.is_empty() && !a.days.iter().any(|day| b.days.contains(day)) {
        likely = likely * 3 / 10;
    }
    evidence.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let score = u8::try_from((likely + WHOLE / 200) / (WHOLE / 100)).unwrap_or(100);
    (score, evidence.into_iter().map(|(_, reason)| reason).collect())
}

/// What the names say.
fn names(a: &Profile, b: &Profile) -> Option<(u32, Method)> {
    if a.name.is_empty() || b.name.is_empty() {
        return None;
    }
    let mut sorted = [a.name.clone(), b.name.clone()];
    if a.is_human {
        sorted.iter_mut().for_each(|words| words.sort());
    }
    let [x, y] = sorted;
    if x == y {
        return Some((60, Method::Exact));
    }
    if a.is_human {
        let alike = strsim::jaro_winkler(&x.join(" "), &y.join(" ")) >= ALIKE;
        return (alike || initials(&a.name, &b.name) || initials(&b.name, &a.name)).then_some((40, Method::Similar));
    }
    if strsim::jaro_winkler(&x.concat(), &y.concat()) >= ALIKE {
        return Some((50, Method::Similar));
    }
    let short = |words: &[String], other: &[String]| words.len() == 1 && words[0].len() > 2 && words[0] == acronym(other);
    (short(&x, &y) || short(&y, &x)).then_some((30, Method::Acronym))
}

/// `j smith` and `john smith`.
fn initials(short: &[String], long: &[String]) -> bool {
    short.len() == long.len()
        && short.len() > 1
        && short.last() == long.last()
        && short.iter().zip(long).all(|(a, b)| a == b || a.chars().count() == 1 && b.starts_with(a.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &[&str], email: &str, day: &str) -> Profile {
        let known = |field: &str, value: &str| if value.is_empty() { Vec::new() } else { vec![(field.to_owned(), value.to_owned())] };
        Profile {
            name: name.iter().map(ToString::to_string).collect(),
            name_field: "fullName".into(),
            is_human: true,
            emails: known("emails", email),
            days: known("birthday", day),
            ..Profile::default()
        }
    }

    #[test]
    fn what_agrees_adds_up() {
        let ada = person(&["ada", "lovelace"], "ada@x.example", "");
        for (other, score, reasons) in [
            (person(&["lovelace", "ada"], "", ""), 60, vec![("fullName", Method::Exact)]),
            (person(&["ada", "lovelce"], "", ""), 40, vec![("fullName", Method::Similar)]),
            (person(&["a", "lovelace"], "ada@x.example", ""), 97, vec![("emails", Method::Exact), ("fullName", Method::Similar)]),
            (person(&["charles", "babbage"], "charles@x.example", ""), 0, vec![]),
        ] {
            let reasons: Vec<Reason> = reasons.into_iter().map(|(field, method)| Reason { field: field.to_owned(), method }).collect();
            assert_eq!(compare(&ada, &other), (score, reasons), "{:?}", other.name);
        }
    }

    #[test]
    fn another_birthday_makes_somebody_else() {
        let born = |day: &str| person(&["anna", "muller"], "", day);
        assert_eq!(compare(&born("1980-01-01"), &born("1980-01-01")).0, 80);
        assert_eq!(compare(&born("1980-01-01"), &born("1991-02-03")).0, 18);
    }

    #[test]
    fn initials_of_a_company_are_a_weak_reason() {
        let company = |name: &[&str]| Profile {
            name: name.iter().map(ToString::to_string).collect(),
            name_field: "name".into(),
            ..Profile::default()
        };
        assert_eq!(compare(&company(&["ibm"]), &company(&["international", "business", "machines"])).0, 30);
        assert_eq!(compare(&company(&["acme", "rockets"]), &company(&["acme", "rocket"])).0, 50);
    }
}
