//! What a record is known by, in the form in which it is compared.

use serde_json::Value as Json;

use crate::catalog::{Field, Kind, Object};
use crate::infra::text::fold;
use crate::records::search::plain_words;
use crate::records::write::state::State;

/// A value and the field that it comes from, as permissions name it.
pub type Known = (String, String);

#[derive(Debug, Default)]
pub struct Profile {
    /// The title without what says nothing, as words.
    pub name: Vec<String>,
    pub name_field: String,
    /// Whether it names a human: then words may change places, be short forms or initials.
    pub is_human: bool,
    pub emails: Vec<Known>,
    pub phones: Vec<Known>,
    /// Domains of the thing itself, as they are registered.
    pub domains: Vec<Known>,
    /// Domains of its addresses, unless anybody can have an address there.
    pub hosts: Vec<Known>,
    /// Numbers in registers, ids in other systems, pages.
    pub codes: Vec<Known>,
    pub places: Vec<Known>,
    /// Days that do not change, such as a birthday.
    pub days: Vec<Known>,
    /// Addresses as they are kept.
    pub spelt: Vec<String>,
}

impl Profile {
    /// Made of the fields that are let through.
    pub fn of(object: &Object, state: &State, shows: &dyn Fn(&Field) -> bool) -> Self {
        let mut profile = Self { is_human: object.name == "person", ..Self::default() };
        for field in object.all_fields().filter(|field| !field.archived && !field.settings.encrypted && !field.is_computed()) {
            if field.derived_from.is_some() || !shows(field) {
                continue;
            }
            let value =
                if field.is_custom() { state.get("custom").and_then(|custom| custom.get(&field.name)) } else { state.get(&field.name) };
            profile.add(object, field, value.unwrap_or(&Json::Null));
        }
        profile
    }

    fn add(&mut self, object: &Object, field: &Field, value: &Json) {
        let name = field.access_name();
        let single = std::slice::from_ref(value);
        let items = value.as_array().map_or(single, Vec::as_slice);
        let texts = |part: &str| -> Vec<&str> {
            items
                .iter()
                .filter_map(|item| if part.is_empty() { item.as_str() } else { item[part].as_str() })
                .filter(|text| !text.is_empty())
                .collect()
        };
        if field.name == object.title {
            for text in texts("") {
                self.name = if self.is_human { human(text) } else { organisation(text) };
                self.name_field.clone_from(&name);
            }
            return;
        }
        let mut note = |list: fn(&mut Self) -> &mut Vec<Known>, found: String| list(self).push((name.clone(), found));
        match field.kind {
            Kind::Emails | Kind::Email => {
                for address in texts(if field.kind == Kind::Emails { "normalized" } else { "" }) {
                    note(|profile| &mut profile.emails, email_key(address));
                    if let Some(host) = address.rsplit_once('@').and_then(|(_, host)| own_domain(host)) {
                        note(|profile| &mut profile.hosts, host);
                    }
                }
                let spelt = texts(if field.kind == Kind::Emails { "normalized" } else { "" });
                self.spelt.extend(spelt.into_iter().map(str::to_owned));
            }
            Kind::Phones | Kind::Phone => texts(if field.kind == Kind::Phones { "e164" } else { "" })
                .into_iter()
                .for_each(|number| note(|profile| &mut profile.phones, number.to_owned())),
            Kind::Domains => texts("").into_iter().filter_map(own_domain).for_each(|domain| note(|profile| &mut profile.domains, domain)),
            Kind::Url => texts("").into_iter().for_each(|url| note(|profile| &mut profile.codes, page(url))),
            Kind::ExternalIds => {
                for item in items.iter().filter(|item| item["value"].is_string()) {
                    note(|profile| &mut profile.codes, format!("{} {}", item["system"], item["value"]));
                }
            }
            Kind::Address if value.is_object() => {
                let part = |part: &str| plain_words(value[part].as_str().unwrap_or_default()).concat();
                let (code, street) = (part("postalCode"), part("street"));
                if !code.is_empty() && !street.is_empty() {
                    note(|profile| &mut profile.places, format!("{code} {street}"));
                }
            }
            Kind::Date if field.identifying => texts("").into_iter().for_each(|day| note(|profile| &mut profile.days, day.to_owned())),
            Kind::Text if field.identifying || field.unique => {
                let code = |text: &str| fold(text).chars().filter(|c| c.is_alphanumeric()).collect::<String>();
                texts("").into_iter().map(code).filter(|code| code.len() > 3).for_each(|code| note(|profile| &mut profile.codes, code));
            }
            _ => {}
        }
    }

    /// What the index of words is asked, and whether misspelt answers are wanted.
    pub fn questions(&self) -> Vec<(String, bool)> {
        let mut questions = Vec::new();
        // `ada+news@example.com` is found by `ada` and the domain.
        for address in &self.spelt {
            if let Some((local, host)) = address.rsplit_once('@') {
                questions.push((format!("{} {host}", local.split('+').next().unwrap_or(local)), false));
            }
        }
        questions.extend(self.phones.iter().chain(&self.domains).map(|(_, key)| (key.clone(), false)));
        if !self.name.is_empty() {
            questions.push((self.name.join(" "), true));
        }
        let acronym = acronym(&self.name);
        if !self.is_human && acronym.chars().count() > 2 {
            questions.push((acronym, false));
        }
        if self.is_human && self.name.len() > 1 {
            // First names have short forms, and words change places.
            questions.extend(self.name.last().map(|last| (last.clone(), false)));
        }
        questions
    }
}

/// The key of an address: without the tag that its owner made up, and without dots where they mean nothing.
fn email_key(address: &str) -> String {
    let Some((local, host)) = address.rsplit_once('@') else { return address.to_owned() };
    let local = local.split('+').next().unwrap_or(local);
    let host = if host == "googlemail.com" { "gmail.com" } else { host };
    if host == "gmail.com" { format!("{}@{host}", local.replace('.', "")) } else { format!("{local}@{host}") }
}

/// Hosts where anybody has an address.
const FREE_MAIL: [&str; 32] = [
    "aol.com",
    "bluewin.ch",
    "free.fr",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.com",
    "hotmail.fr",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "orange.fr",
    "outlook.com",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "t-online.de",
    "web.de",
    "yahoo.co.uk",
    "yahoo.com",
    "yandex.ru",
    "ymail.com",
];

/// The part of a domain that somebody registered, by the public suffix list; none where anybody can be.
fn own_domain(host: &str) -> Option<String> {
    let registered = psl::domain_str(host)?;
    (!FREE_MAIL.contains(&registered)).then(|| registered.to_owned())
}

fn page(url: &str) -> String {
    let bare = url.trim_start_matches("https://").trim_start_matches("http://").trim_start_matches("www.");
    fold(bare.trim_end_matches('/')).into_owned()
}

/// What stands behind a company's name and tells only what it is before the law.
const LEGAL_FORMS: [&str; 43] = [
    "ab",
    "ag",
    "aps",
    "as",
    "asa",
    "bv",
    "bvba",
    "co",
    "company",
    "corp",
    "corporation",
    "eg",
    "ek",
    "eood",
    "gesmbh",
    "gmbh",
    "holding",
    "inc",
    "incorporated",
    "kft",
    "kg",
    "kgaa",
    "limited",
    "llc",
    "llp",
    "ltd",
    "ltda",
    "mbh",
    "nv",
    "oy",
    "oyj",
    "plc",
    "pty",
    "pte",
    "sa",
    "sagl",
    "sarl",
    "sas",
    "se",
    "sl",
    "spa",
    "srl",
    "sro",
];

/// Words that are written, written as a sign, or left out.
const JOINTS: [&str; 7] = ["and", "e", "et", "of", "the", "und", "y"];

/// The words of an organisation's name, without its legal form.
fn organisation(name: &str) -> Vec<String> {
    let words = plain_words(&name.replace('.', ""));
    let says = |word: &&String| !LEGAL_FORMS.contains(&word.as_str()) && !JOINTS.contains(&word.as_str());
    let bare: Vec<String> = words.iter().filter(says).cloned().collect();
    if bare.is_empty() { words } else { bare }
}

/// Short forms of first names, and what they stand for.
const SHORT_FORMS: [(&str, &str); 48] = [
    ("abby", "abigail"),
    ("al", "albert"),
    ("alex", "alexander"),
    ("andy", "andrew"),
    ("barb", "barbara"),
    ("ben", "benjamin"),
    ("beth", "elizabeth"),
    ("betty", "elizabeth"),
    ("bill", "william"),
    ("bob", "robert"),
    ("cathy", "catherine"),
    ("charlie", "charles"),
    ("chris", "christopher"),
    ("chuck", "charles"),
    ("dan", "daniel"),
    ("dave", "david"),
    ("dick", "richard"),
    ("don", "donald"),
    ("ed", "edward"),
    ("fred", "frederick"),
    ("greg", "gregory"),
    ("hans", "johannes"),
    ("jack", "john"),
    ("jeff", "jeffrey"),
    ("jenny", "jennifer"),
    ("jim", "james"),
    ("joe", "joseph"),
    ("jon", "jonathan"),
    ("kate", "katherine"),
    ("kathy", "katherine"),
    ("ken", "kenneth"),
    ("larry", "lawrence"),
    ("liz", "elizabeth"),
    ("matt", "matthew"),
    ("max", "maximilian"),
    ("mike", "michael"),
    ("nick", "nicholas"),
    ("pat", "patricia"),
    ("pete", "peter"),
    ("rob", "robert"),
    ("ron", "ronald"),
    ("sam", "samuel"),
    ("sepp", "josef"),
    ("steve", "stephen"),
    ("sue", "susan"),
    ("ted", "edward"),
    ("tom", "thomas"),
    ("tony", "anthony"),
];

/// The words of a human's name, short forms written out.
fn human(name: &str) -> Vec<String> {
    let whole = |word: String| SHORT_FORMS.iter().find(|(short, _)| *short == word).map_or(word, |(_, whole)| (*whole).to_owned());
    plain_words(name).into_iter().map(whole).collect()
}

/// The first letters of several words.
pub fn acronym(words: &[String]) -> String {
    if words.len() < 2 { String::new() } else { words.iter().filter_map(|word| word.chars().next()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_what_their_owner_made_up() {
        for (address, key) in [
            ("ada+news@example.com", "ada@example.com"),
            ("ada.love+x@gmail.com", "adalove@gmail.com"),
            ("ada.love@googlemail.com", "adalove@gmail.com"),
            ("ada.love@example.com", "ada.love@example.com"),
        ] {
            assert_eq!(email_key(address), key);
        }
    }

    #[test]
    fn a_domain_is_what_somebody_registered() {
        assert_eq!(own_domain("mail.acme.co.uk").as_deref(), Some("acme.co.uk"));
        assert_eq!(own_domain("gmail.com"), None);
        assert_eq!(own_domain("co.uk"), None);
    }

    #[test]
    fn names_lose_what_says_nothing() {
        assert_eq!(organisation("The Smith & Söhne GmbH & Co. KG"), ["smith", "sohne"]);
        assert_eq!(organisation("S.A."), ["sa"]);
        assert_eq!(human("Bob O'Brien"), ["robert", "o", "brien"]);
        assert_eq!(acronym(&organisation("International Business Machines Corp.")), "ibm");
    }
}
