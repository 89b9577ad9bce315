//! What a credential may not do although its holder may, as it is given.

use async_graphql::{Enum, InputObject, SimpleObject};

use crate::catalog::Catalog;
use crate::error::{Error, UserError, UserErrorCode};
use crate::features::identity::{self, Restrictions, ScopeAccess};
use crate::graphql::platform::access::SettingName;
use crate::graphql::platform::values::{ObjectName, RowFilter};
use crate::graphql::request::Signed;
use crate::platform::access::Setting;
use crate::records::access::check_filter;

/// How far a scope goes.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "CredentialAccess", remote = "ScopeAccess")]
pub enum CredentialAccess {
    /// To see records.
    Read,
    /// To see, create, change and delete records.
    Write,
}

/// What a credential may do with the records of one object, as far as its roles allow it too.
#[derive(SimpleObject, InputObject, Clone)]
#[graphql(input_name = "CredentialScopeInput")]
pub struct CredentialScope {
    /// The object.
    pub object: ObjectName,
    /// How far it goes.
    pub access: CredentialAccess,
}

/// What a credential may not do although its roles allow it. What is absent takes nothing away.
#[derive(InputObject, Default)]
pub struct CredentialRestrictionsInput {
    /// The objects that it is for; it sees no others. With these, or with row filters, it keeps the settings that
    /// `settings` names, and no others.
    scopes: Option<Vec<CredentialScope>>,
    /// The settings that it keeps. A restricted credential never has API_KEYS, MEMBERS and ROLES: it could give
    /// itself what it lacks.
    settings: Option<Vec<SettingName>>,
    /// The records that it is for: of each object named here only those that match. What it writes must match too.
    /// A filter that goes through another object finds what the credential sees of that: name it in `scopes`.
    row_filters: Option<Vec<RowFilter>>,
    /// Origins of the pages that may use it, for example `https://app.example.com` or `https://*.example.com`.
    origins: Option<Vec<String>>,
    /// Networks that it may be used from, for example `203.0.113.0/24` or one address.
    addresses: Option<Vec<String>>,
    /// Whether it sends its application's documents only.
    #[graphql(default)]
    documents_only: bool,
    /// Of these only the ones with these hashes.
    documents: Option<Vec<String>>,
    /// How many requests a minute it takes from one address.
    per_minute: Option<u32>,
    /// Whether each request must carry a solved challenge, in the header `x-kith-challenge`.
    #[graphql(default)]
    challenge: bool,
}

impl CredentialRestrictionsInput {
    pub fn read(self, signed: &Signed) -> Result<Restrictions, UserError> {
        let invalid = |path: &str, message: String| UserError::new(UserErrorCode::InvalidValue, &["restrictions", path], message);
        let mut objects = None;
        if let Some(scopes) = self.scopes {
            let mut named = std::collections::BTreeMap::new();
            for scope in scopes {
                let object =
                    object_of(&signed.known.catalog, &scope.object).ok_or_else(|| invalid("scopes", "There is no such object.".into()))?;
                named.insert(object, ScopeAccess::from(scope.access));
            }
            objects = Some(named);
        }
        let mut filters = Vec::new();
        for (index, given) in self.row_filters.into_iter().flatten().enumerate() {
            let object = signed.known.catalog.objects().find(|object| object.plural == given.list);
            let object = object.ok_or_else(|| invalid("rowFilters", "There is no such list.".into()))?;
            check_filter(&signed.ctx, &signed.known.catalog, object, &given.filter).map_err(|error| {
                let message = if let Error::Refused(refusal) = error { refusal.message } else { "The filter cannot be used.".into() };
                UserError::new(UserErrorCode::InvalidValue, &["restrictions", "rowFilters", &index.to_string(), &given.list], message)
            })?;
            if crate::records::write::says_nothing(&given.filter) {
                return Err(invalid("rowFilters", "A row filter must say something.".into()));
            }
            filters.push((object.name.clone(), given.filter));
        }
        let mut addresses = Vec::new();
        for address in self.addresses.into_iter().flatten() {
            let network = address.parse().or_else(|_| address.parse::<std::net::IpAddr>().map(Into::into));
            addresses.push(network.map_err(|_| invalid("addresses", format!("`{address}` is no network address.")))?);
        }
        let settings = self.settings.map(|settings| settings.into_iter().map(Setting::from).collect());
        Ok(Restrictions {
            objects,
            settings,
            row_filters: identity::by_object(filters),
            origins: self.origins.unwrap_or_default(),
            addresses,
            documents_only: self.documents_only || self.documents.is_some(),
            documents: self.documents.unwrap_or_default(),
            per_minute: self.per_minute,
            challenge: self.challenge,
            ..Restrictions::default()
        })
    }
}

fn object_of(catalog: &Catalog, name: &ObjectName) -> Option<String> {
    catalog.by_enum(&name.0).map(|object| object.name.clone())
}
