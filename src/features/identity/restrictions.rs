//! What a credential may not do although its holder may.
//!
//! Keys and embed tokens carry restrictions; a token made by a key has the key's and its own. They
//! only ever take away: objects and settings become a restricting role, row filters stand in every
//! plan (`records::access`), places and documents are checked before a request is executed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::platform::access::{ObjectAccess, Reach, RoleSpec, Setting};

/// How far a credential's scope on an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScopeAccess {
    Read,
    Write,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Restrictions {
    /// The objects that it is for, by name; none: all that the roles allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<BTreeMap<String, ScopeAccess>>,
    /// The settings that it keeps; none: all that the roles give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<BTreeSet<Setting>>,
    /// Filters in the query grammar, by object; every one must match.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub row_filters: BTreeMap<String, Vec<Json>>,
    /// Those of the key that made it, where it is a token.
    #[serde(skip)]
    pub key_filters: BTreeMap<String, Vec<Json>>,
    /// Origins of pages that may use it, `https://*.example.com` for all below; none: anywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Networks that it may be used from; none: anywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// Whether it sends its application's documents only.
    pub documents_only: bool,
    /// Of these only the ones with these hashes; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// Whether it creates records and sees none.
    pub create_only: bool,
    /// Whether it changes or deletes nothing, whatever its scopes say.
    pub no_changes: bool,
    /// Whether each request must pass the server's challenge.
    pub challenge: bool,
    /// Requests a minute from one address; none: no such bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// The person whose bearer it is, for roles that reach what is linked to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Uuid>,
}

impl Restrictions {
    /// The roles that cut out what is left.
    pub fn roles(&self) -> Vec<RoleSpec> {
        let mut roles = Vec::new();
        if let Some(objects) = &self.objects {
            let of = |access: ScopeAccess| match access {
                ScopeAccess::Write => ObjectAccess::full(),
                ScopeAccess::Read => ObjectAccess { read: Reach::ALL, ..ObjectAccess::default() },
            };
            let mut objects: BTreeMap<String, ObjectAccess> = objects.iter().map(|(name, access)| (name.clone(), of(*access))).collect();
            objects.insert("*".into(), ObjectAccess::default());
            roles.push(restricting(objects));
        }
        if self.person.is_some() {
            // Whoever speaks for a person reaches what is linked to them, whatever the key's roles reach.
            let linked =
                ObjectAccess { create: true, read: Reach::LINKED, update: Reach::LINKED, delete: Reach::LINKED, ..ObjectAccess::default() };
            let shape = ObjectAccess { read: Reach::ALL, ..ObjectAccess::default() };
            let objects = [("*", linked), ("pipeline", shape.clone()), ("stage", shape)];
            roles.push(restricting(objects.into_iter().map(|(name, access)| (name.to_owned(), access)).collect()));
        }
        if self.create_only || self.no_changes {
            let read = if self.create_only { Reach::NONE } else { Reach::ALL };
            roles.push(restricting(BTreeMap::from([("*".into(), ObjectAccess { create: true, read, ..ObjectAccess::default() })])));
        }
        roles
    }

    /// Whether the setting is left. None is that would give others, or itself again, what it lacks; and
    /// whoever says on which objects or records a program works does not mean it to set the workspace up.
    pub fn keeps(&self, setting: Setting) -> bool {
        const GIVING: [Setting; 3] = [Setting::ApiKeys, Setting::Members, Setting::Roles];
        let works_on_records =
            self.objects.is_some() || !self.row_filters.is_empty() || !self.key_filters.is_empty() || self.person.is_some();
        let kept = match &self.settings {
            Some(settings) => settings.contains(&setting),
            None => !works_on_records,
        };
        kept && !GIVING.contains(&setting)
    }

    /// What is left under both: of a token, and of the key that made it. Places are a token's own: the
    /// key stays on a server, the token goes to browsers.
    #[must_use]
    pub fn under(self, key: &Self) -> Self {
        let objects = match (self.objects, &key.objects) {
            (Some(own), Some(bound)) => {
                let both = own.into_iter().filter_map(|(name, access)| Some((access.min(*bound.get(&name)?), name)));
                Some(both.map(|(access, name)| (name, access)).collect())
            }
            (own, bound) => own.or_else(|| bound.clone()),
        };
        let settings = match (self.settings, &key.settings) {
            (Some(own), Some(bound)) => Some(own.intersection(bound).copied().collect()),
            (own, bound) => own.or_else(|| bound.clone()),
        };
        let documents = match (self.documents, &key.documents) {
            (own, bound) if bound.is_empty() => own,
            (own, bound) if own.is_empty() => bound.clone(),
            (own, bound) => {
                let mut both: Vec<String> = own.into_iter().filter(|hash| bound.contains(hash)).collect();
                if both.is_empty() {
                    // No document at all, which an empty list would not say.
                    both.push(String::new());
                }
                both
            }
        };
        Self {
            objects,
            settings,
            row_filters: self.row_filters,
            key_filters: key.row_filters.clone(),
            documents,
            origins: self.origins,
            addresses: self.addresses,
            documents_only: self.documents_only || key.documents_only,
            create_only: self.create_only || key.create_only,
            no_changes: self.no_changes || key.no_changes,
            challenge: self.challenge || key.challenge,
            per_minute: [self.per_minute, key.per_minute].into_iter().flatten().min(),
            person: self.person.or(key.person),
        }
    }

    /// Whether a request from there may use it.
    pub fn admit(&self, origin: Option<&str>, address: Option<&str>) -> Result<()> {
        if !self.origins.is_empty() && !origin.is_some_and(|origin| self.origins.iter().any(|allowed| fits(allowed, origin))) {
            return Err(Error::forbidden("This credential is for pages of other origins."));
        }
        let within = |address: IpAddr| self.addresses.iter().any(|network| network.contains(&address.to_canonical()));
        if !self.addresses.is_empty() && !address.and_then(|address| address.parse().ok()).is_some_and(within) {
            return Err(Error::forbidden("This credential is for other network addresses."));
        }
        Ok(())
    }

    /// Whether a document may be sent, by its hash.
    pub fn allows_document(&self, hash: &str) -> bool {
        self.documents.is_empty() || self.documents.iter().any(|allowed| allowed == hash)
    }

    /// Says what makes no sense.
    pub fn check(&self) -> Result<(), UserError> {
        let invalid = |path: &str, message: String| Err(UserError::new(UserErrorCode::InvalidValue, &["restrictions", path], message));
        if let Some(wrong) = self.origins.iter().find(|origin| !is_origin(origin)) {
            return invalid("origins", format!("`{wrong}` is no origin: expected `https://app.example.com` or `https://*.example.com`."));
        }
        if self.origins.len() > MOST || self.addresses.len() > MOST || self.documents.len() > MOST * 10 {
            return invalid("origins", format!("At most {MOST} origins, {MOST} addresses and {} documents.", MOST * 10));
        }
        let filters = self.row_filters.values().flatten();
        let (count, size) = filters.fold((0, 0), |(count, size), filter| (count + 1, size + filter.to_string().len()));
        if count > MOST_FILTERS || size > LONGEST_FILTERS {
            return invalid("rowFilters", format!("At most {MOST_FILTERS} row filters of {LONGEST_FILTERS} bytes together."));
        }
        if self.per_minute == Some(0) {
            return invalid("perMinute", "At least one request a minute.".into());
        }
        Ok(())
    }
}

const MOST: usize = 100;
/// Row filters stand in every place of a statement where their objects do.
const MOST_FILTERS: usize = 10;
const LONGEST_FILTERS: usize = 4_096;

fn restricting(objects: BTreeMap<String, ObjectAccess>) -> RoleSpec {
    RoleSpec { restricts: true, objects, settings: BTreeSet::new() }
}

/// Whether an origin is the allowed one, or below it where that begins with `*.`.
fn fits(allowed: &str, origin: &str) -> bool {
    let Some((scheme, host)) = allowed.split_once("://*.") else { return allowed.eq_ignore_ascii_case(origin) };
    let Some((own_scheme, own_host)) = origin.split_once("://") else { return false };
    let (own_host, host) = (own_host.to_ascii_lowercase(), host.to_ascii_lowercase());
    own_scheme.eq_ignore_ascii_case(scheme) && own_host.strip_suffix(&host).is_some_and(|left| left.len() > 1 && left.ends_with('.'))
}

/// An origin has a scheme, a host, perhaps a port, and nothing else.
pub fn is_origin(text: &str) -> bool {
    let plain = text.replacen("://*.", "://", 1);
    url::Url::parse(&plain).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.origin().ascii_serialization() == plain.to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_fits_itself_and_a_star_fits_what_is_below() {
        assert!(fits("https://a.example", "https://a.example"));
        assert!(!fits("https://a.example", "https://a.example.evil.com"));
        assert!(!fits("https://a.example", "http://a.example"));
        assert!(fits("https://*.a.example", "https://shop.a.example"));
        assert!(!fits("https://*.a.example", "https://a.example"));
        assert!(!fits("https://*.a.example", "https://evila.example"));
        assert!(!fits("https://*.a.example", "https://a.example.evil.com"));
        assert!(is_origin("https://*.a.example") && is_origin("http://localhost:3000"));
        assert!(!is_origin("https://a.example/") && !is_origin("a.example") && !is_origin("https://a.example/path"));
    }

    #[test]
    fn a_token_never_has_more_than_its_key() {
        let objects = |list: &[(&str, ScopeAccess)]| Some(list.iter().map(|(name, access)| ((*name).to_owned(), *access)).collect());
        let key = Restrictions {
            objects: objects(&[("deal", ScopeAccess::Read), ("company", ScopeAccess::Write)]),
            documents: vec!["a".into()],
            ..Restrictions::default()
        };
        let token = Restrictions {
            objects: objects(&[("deal", ScopeAccess::Write), ("person", ScopeAccess::Read)]),
            documents: vec!["b".into()],
            ..Restrictions::default()
        };
        let both = token.under(&key);
        assert_eq!(both.objects, objects(&[("deal", ScopeAccess::Read)]));
        assert!(!both.allows_document("a") && !both.allows_document("b"));
    }

    #[test]
    fn places_are_checked() {
        let bound = Restrictions { addresses: vec!["10.0.0.0/8".parse().unwrap()], ..Restrictions::default() };
        assert!(bound.admit(None, Some("10.1.2.3")).is_ok());
        assert!(bound.admit(None, Some("::ffff:10.1.2.3")).is_ok());
        assert!(bound.admit(None, Some("11.1.2.3")).is_err());
        assert!(bound.admit(None, None).is_err());
    }
}
