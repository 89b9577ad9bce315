//! The kinds of value a field can hold, and what each means to the database and to the API.

/// A closed list of values, the same in every workspace.
#[derive(Debug, PartialEq, Eq)]
pub struct EnumType {
    /// Its GraphQL name.
    pub name: &'static str,
    pub help: &'static str,
    /// Values and what they mean.
    pub values: &'static [(&'static str, &'static str)],
}

impl EnumType {
    pub fn has(&self, value: &str) -> bool {
        self.values.iter().any(|(name, _)| *name == value)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    LongText,
    Integer,
    Decimal,
    Percent,
    Money,
    Boolean,
    Date,
    DateTime,
    Enum(&'static EnumType),
    /// One of the options that a workspace defines for the field.
    Select,
    MultiSelect,
    Email,
    Phone,
    Url,
    Rating,
    Json,
    Currency,
    TimeZone,
    Country,
    /// Domain names, the first one primary.
    Domains,
    /// E-mail addresses with label, one primary.
    Emails,
    /// Telephone numbers with label, one primary.
    Phones,
    Address,
    /// External ids: `{ system, value }`.
    ExternalIds,
    /// A custom field that points at any record.
    Reference,
}

/// What SQL gives for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Text,
    Int,
    Bool,
    Date,
    Uuid,
    Json,
}

impl Kind {
    pub const fn store(self) -> Store {
        match self {
            Self::Integer | Self::Decimal | Self::Percent | Self::Money | Self::DateTime | Self::Rating => Store::Int,
            Self::Boolean => Store::Bool,
            Self::Date => Store::Date,
            Self::Json | Self::MultiSelect | Self::Domains | Self::Emails | Self::Phones | Self::Address | Self::ExternalIds => Store::Json,
            Self::Reference => Store::Uuid,
            Self::Text
            | Self::LongText
            | Self::Enum(_)
            | Self::Select
            | Self::Email
            | Self::Phone
            | Self::Url
            | Self::Currency
            | Self::TimeZone
            | Self::Country => Store::Text,
        }
    }

    /// The kind's name in definitions and in `describe`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::LongText => "LONG_TEXT",
            Self::Integer => "INTEGER",
            Self::Decimal => "DECIMAL",
            Self::Percent => "PERCENT",
            Self::Money => "MONEY",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::DateTime => "DATE_TIME",
            Self::Enum(_) => "ENUM",
            Self::Select => "SELECT",
            Self::MultiSelect => "MULTI_SELECT",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Url => "URL",
            Self::Rating => "RATING",
            Self::Json => "JSON",
            Self::Currency => "CURRENCY",
            Self::TimeZone => "TIME_ZONE",
            Self::Country => "COUNTRY",
            Self::Domains => "DOMAINS",
            Self::Emails => "EMAILS",
            Self::Phones => "PHONES",
            Self::Address => "ADDRESS",
            Self::ExternalIds => "EXTERNAL_IDS",
            Self::Reference => "REFERENCE",
        }
    }

    /// The kinds that a custom field can have, by name.
    pub fn custom(name: &str) -> Option<Self> {
        let kinds = [
            Self::Text,
            Self::LongText,
            Self::Integer,
            Self::Decimal,
            Self::Money,
            Self::Boolean,
            Self::Date,
            Self::DateTime,
            Self::Select,
            Self::MultiSelect,
            Self::Email,
            Self::Phone,
            Self::Url,
            Self::Rating,
            Self::Json,
            Self::Reference,
        ];
        kinds.into_iter().find(|kind| kind.name() == name)
    }

    /// The type a field of this kind has in answers, without `!`.
    pub const fn output_type(self) -> &'static str {
        match self {
            Self::Text | Self::LongText => "String",
            Self::Integer | Self::Rating => "Int",
            Self::Decimal | Self::Percent => "Decimal",
            Self::Money => "Money",
            Self::Boolean => "Boolean",
            Self::Date => "Date",
            Self::DateTime => "DateTime",
            Self::Enum(of) => of.name,
            Self::Select => "SelectOption",
            Self::MultiSelect => "[SelectOption!]",
            Self::Email => "EmailAddress",
            Self::Phone => "PhoneNumber",
            Self::Url => "URL",
            Self::Json => "JSON",
            Self::Currency => "CurrencyCode",
            Self::TimeZone => "TimeZone",
            Self::Country => "CountryCode",
            Self::Domains => "[String!]",
            Self::Emails => "[EmailEntry!]",
            Self::Phones => "[PhoneEntry!]",
            Self::Address => "Address",
            Self::ExternalIds => "[ExternalId!]",
            Self::Reference => "AnyRecord",
        }
    }

    /// The type a field of this kind has in inputs.
    pub const fn input_type(self) -> &'static str {
        match self {
            Self::Money => "MoneyInput",
            Self::Select => "String",
            Self::MultiSelect => "[String!]",
            // Typed text is read leniently and normalised, so it comes in as a plain string.
            Self::Email | Self::Phone | Self::Url => "String",
            Self::Emails => "[EmailEntryInput!]",
            Self::Phones => "[PhoneEntryInput!]",
            Self::Address => "AddressInput",
            Self::ExternalIds => "[ExternalIdInput!]",
            Self::Reference => "ID",
            other => other.output_type(),
        }
    }

    /// The input type that filters by a field of this kind.
    pub fn filter_type(self) -> String {
        match self {
            Self::Text | Self::LongText | Self::Email | Self::Phone | Self::Url | Self::Currency | Self::TimeZone | Self::Country => {
                "StringFilter".into()
            }
            Self::Integer | Self::Rating => "IntFilter".into(),
            Self::Decimal | Self::Percent => "DecimalFilter".into(),
            Self::Money => "MoneyFilter".into(),
            Self::Boolean => "BooleanFilter".into(),
            Self::Date => "DateFilter".into(),
            Self::DateTime => "DateTimeFilter".into(),
            Self::Enum(of) => format!("{}Filter", of.name),
            Self::Select => "SelectFilter".into(),
            Self::MultiSelect | Self::Domains | Self::Emails | Self::Phones => "ListFilter".into(),
            Self::ExternalIds => "ExternalIdFilter".into(),
            Self::Address => "AddressFilter".into(),
            Self::Json => "PresenceFilter".into(),
            Self::Reference => "IDFilter".into(),
        }
    }

    /// Whether lists can be ordered by it.
    pub const fn sortable(self) -> bool {
        !matches!(
            self,
            Self::Json
                | Self::MultiSelect
                | Self::Domains
                | Self::Emails
                | Self::Phones
                | Self::Address
                | Self::ExternalIds
                | Self::Reference
                | Self::LongText
        )
    }

    /// Whether the value is a list that is empty rather than null.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::MultiSelect | Self::Domains | Self::Emails | Self::Phones | Self::ExternalIds)
    }

    /// Whether a mask leaves something of the value; what is no text is masked as a whole.
    pub const fn masked(self) -> bool {
        matches!(self, Self::Text | Self::LongText | Self::Email | Self::Phone)
    }

    /// Whether the value is compared without regard to case and accents.
    pub const fn folds(self) -> bool {
        matches!(self, Self::Text | Self::LongText | Self::Email | Self::Url)
    }
}
