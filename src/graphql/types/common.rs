//! Types that are the same in every workspace: scalars, filters of scalars, small objects.

use async_graphql::Value;

use super::meta::{Types, input, plain};
use crate::catalog::EnumType;
use crate::error::UserErrorCode;

fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_))
}

fn is_decimal(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Number(number) => number.is_i64(),
        _ => false,
    }
}

pub fn add(types: &mut Types<'_>) {
    scalars(types);
    enums(types);
    filters(types);
    objects(types);
}

fn scalars(types: &mut Types<'_>) {
    types.scalar("Decimal", "An exact decimal as a string, with at most four places: `\"1234.50\"`. Never a float.", None, is_decimal);
    types.scalar("Date", "A day without time zone: `\"2026-03-01\"`.", Some("https://scalars.graphql.org/andimarek/local-date"), is_text);
    types.scalar(
        "DateTime",
        "An instant in UTC with up to six places of seconds: `\"2026-03-01T09:30:00Z\"`. Inputs may have any offset.",
        Some("https://scalars.graphql.org/andimarek/date-time"),
        is_text,
    );
    types.scalar(
        "EmailAddress",
        "An e-mail address, lower case, its domain in ASCII: `\"ada@example.com\"`.",
        Some("https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2"),
        is_text,
    );
    types.scalar("PhoneNumber", "A telephone number as E.164: `\"+41446681800\"`.", Some("https://www.itu.int/rec/T-REC-E.164"), is_text);
    types.scalar("URL", "An absolute web address: `\"https://example.com/\"`.", Some("https://url.spec.whatwg.org/"), is_text);
    types.scalar(
        "CurrencyCode",
        "An ISO 4217 currency code: `\"EUR\"`.",
        Some("https://www.iso.org/iso-4217-currency-codes.html"),
        is_text,
    );
    types.scalar(
        "CountryCode",
        "An ISO 3166-1 country code of two letters: `\"CH\"`.",
        Some("https://www.iso.org/iso-3166-country-codes.html"),
        is_text,
    );
    types.scalar("TimeZone", "A time zone of the IANA database: `\"Europe/Berlin\"`.", Some("https://www.iana.org/time-zones"), is_text);
    types.scalar("JSON", "Any JSON value.", Some("https://www.rfc-editor.org/rfc/rfc8259"), |_| true);
    types.scalar(
        "Cursor",
        "A place in a list. Opaque: take it from `pageInfo` or an edge, and give it back with the same `orderBy`.",
        None,
        is_text,
    );
}

fn enums(types: &mut Types<'_>) {
    types.enumeration(
        "SortDirection",
        "A direction to sort in. Nulls come last unless said otherwise.",
        [
            ("ASC", "Smallest first, nulls last."),
            ("DESC", "Largest first, nulls last."),
            ("ASC_NULLS_FIRST", "Smallest first, nulls before them."),
            ("DESC_NULLS_FIRST", "Largest first, nulls before them."),
        ],
    );
    types.enumeration(
        "DeletedFilter",
        "Whether a list has deleted records.",
        [("EXCLUDE", "Only records that are not deleted."), ("INCLUDE", "Both."), ("ONLY", "Only deleted records.")],
    );
    types.enumeration(
        "ActorKind",
        "What kind of caller acted.",
        [("MEMBER", "A member who signed in."), ("API_KEY", "A program with an API key."), ("SYSTEM", "The server itself.")],
    );
    types.enumeration(
        "OnConflict",
        "What to do when the record has changed since `expectedVersion`.",
        [
            ("REFUSE", "Change nothing and say what changed."),
            ("MERGE_FIELDS", "Take the changes, if nobody else changed the same fields; otherwise as REFUSE."),
        ],
    );
    types.enumeration(
        "BulkErrorPolicy",
        "What happens to the others when an item of a bulk write fails.",
        [("ROLLBACK", "Nothing is written; the others say ROLLED_BACK."), ("SKIP_FAILED", "The others are written.")],
    );
    types.enumeration("UserErrorCode", "What is wrong with an input.", UserErrorCode::ALL.map(|(_, name, help)| (name, help)));
    types.enumeration(
        "TimeUnit",
        "A unit of calendar time.",
        [
            ("HOUR", "60 minutes; for times only."),
            ("DAY", "A calendar day."),
            ("WEEK", "Seven days."),
            ("MONTH", "A calendar month."),
            ("QUARTER", "Three calendar months."),
            ("YEAR", "A calendar year."),
        ],
    );
    types.enumeration(
        "Period",
        "A span of the calendar around today, in the workspace's time zone. Weeks begin on Monday.",
        [
            ("TODAY", "Today."),
            ("YESTERDAY", "The day before today."),
            ("TOMORROW", "The day after today."),
            ("THIS_WEEK", "Monday to Sunday around today."),
            ("LAST_WEEK", "The week before."),
            ("NEXT_WEEK", "The week after."),
            ("THIS_MONTH", "The calendar month of today."),
            ("LAST_MONTH", "The month before."),
            ("NEXT_MONTH", "The month after."),
            ("THIS_QUARTER", "The calendar quarter of today."),
            ("LAST_QUARTER", "The quarter before."),
            ("NEXT_QUARTER", "The quarter after."),
            ("THIS_YEAR", "The calendar year of today."),
            ("LAST_YEAR", "The year before."),
            ("NEXT_YEAR", "The year after."),
        ],
    );
}

const TWO_VALUED: &str =
    "All conditions given must hold. A record matches or it does not: a null value matches `ne` and `notIn`, and no comparison.";

/// Equality, lists and the null test, over values of one type.
fn equality(of: &str) -> Vec<async_graphql::registry::MetaInputValue> {
    let list = format!("[{of}]");
    vec![
        input("eq", of, "Is equal; null asks for records without a value."),
        input("ne", of, "Is not equal, or has no value; null asks for records with a value."),
        input("in", &list, "Is one of these; an empty list matches nothing."),
        input("notIn", &list, "Is none of these; an empty list matches everything."),
        input("isNull", "Boolean", "Has no value (true) or has one (false)."),
    ]
}

fn comparison(of: &str, range: &str) -> Vec<async_graphql::registry::MetaInputValue> {
    let mut list = equality(of);
    list.extend([
        input("lt", of, "Is smaller."),
        input("lte", of, "Is smaller or equal."),
        input("gt", of, "Is greater."),
        input("gte", of, "Is greater or equal."),
        input("between", range, "Lies between, both ends included."),
    ]);
    list
}

fn filters(types: &mut Types<'_>) {
    let sealed = format!("Conditions on an encrypted text, which is only ever equal or not, case and accents aside. {TWO_VALUED}");
    types.input("SealedFilter", &sealed, equality("String"));
    types.input("IDFilter", &format!("Conditions on an id. {TWO_VALUED}"), equality("ID"));
    let mut text = comparison("String", "StringRangeInput");
    text.extend([
        input("contains", "String", "Contains the text, case and accents aside."),
        input("startsWith", "String", "Begins with the text, case and accents aside."),
        input("endsWith", "String", "Ends with the text, case and accents aside."),
        input("eqExact", "String", "Is the very same text, case and accents included."),
    ]);
    types.input("StringFilter", &format!("Conditions on a text, compared without regard to case and accents. {TWO_VALUED}"), text);
    for (of, name) in [("Int", "Int"), ("Decimal", "Decimal"), ("Date", "Date"), ("DateTime", "DateTime"), ("String", "String")] {
        let range = format!("{name}RangeInput");
        types.input(
            &range,
            "An interval; both ends are included, and either can be left open.",
            [input("from", of, "The smallest value."), input("to", of, "The greatest value.")],
        );
    }
    types.input("IntFilter", &format!("Conditions on an integer. {TWO_VALUED}"), comparison("Int", "IntRangeInput"));
    types.input("DecimalFilter", &format!("Conditions on a decimal. {TWO_VALUED}"), comparison("Decimal", "DecimalRangeInput"));
    for name in ["Date", "DateTime"] {
        let mut conditions = comparison(name, &format!("{name}RangeInput"));
        conditions.push(input("within", "RelativeDate", "Lies within the last or next so many units."));
        conditions.push(input("period", "Period", "Lies in this span of the calendar."));
        types.input(
            &format!("{name}Filter"),
            &format!("Conditions on a {}. {TWO_VALUED}", if name == "Date" { "day" } else { "time" }),
            conditions,
        );
    }
    types.input(
        "RelativeDate",
        "A span that ends or begins today, in the workspace's time zone. Exactly one of `last` and `next`.",
        [
            input("last", "Int", "So many units back, through today."),
            input("next", "Int", "From today on, so many units ahead."),
            input("unit", "TimeUnit!", "The unit."),
        ],
    );
    types.input("BooleanFilter", &format!("Conditions on a yes or no. {TWO_VALUED}"), equality("Boolean"));
    types.input("SelectFilter", &format!("Conditions on a select field, by the keys of its options. {TWO_VALUED}"), equality("String"));
    types.input(
        "MoneyFilter",
        "Conditions on an amount of money. Without `currency` the plain amounts are compared.",
        [
            input("amount", "DecimalFilter", "Conditions on the amount."),
            input("currency", "CurrencyCode", "In this currency."),
            input("isNull", "Boolean", "Has no value (true) or has one (false)."),
        ],
    );
    types.input(
        "ListFilter",
        "Conditions on a list of values. Addresses and numbers are normalised before they are compared.",
        [
            input("has", "String", "Contains this value."),
            input("hasAny", "[String!]", "Contains at least one of these."),
            input("hasAll", "[String!]", "Contains all of these."),
            input("isEmpty", "Boolean", "Has no values (true) or some (false)."),
        ],
    );
    types.input(
        "ExternalIdFilter",
        "Conditions on the ids in other systems.",
        [input("system", "String!", "Has an id in this system."), input("value", "String", "And it is this one.")],
    );
    let parts = ["street", "line2", "city", "region", "postalCode", "country"];
    let mut address: Vec<_> = parts.iter().map(|part| input(part, "StringFilter", "Conditions on this part.")).collect();
    address.push(input("isNull", "Boolean", "Has no address (true) or has one (false)."));
    types.input("AddressFilter", "Conditions on a postal address.", address);
    types.input("PresenceFilter", "Whether there is a value.", [input("isNull", "Boolean", "Has no value (true) or has one (false).")]);
    types.input(
        "AnyRecordFilter",
        "Conditions on a record of any object.",
        [input("id", "IDFilter", "Conditions on the id."), input("object", "[ObjectName!]", "Is of one of these objects.")],
    );
    types.input(
        "CustomFieldFilter",
        "A condition on a custom field, for clients that do not know the workspace's schema.",
        [
            input("field", "String!", "The field's API name."),
            input("operator", "String!", "An operator of its kind, for example `gte`."),
            input("value", "JSON", "The operand."),
        ],
    );
    types.input(
        "CustomFieldInput",
        "A value of a custom field, for clients that do not know the workspace's schema.",
        [input("field", "String!", "The field's API name."), input("value", "JSON", "The value; null clears it.")],
    );
    list_filter(types, "AnyRecord");
}

/// `some`, `none`, `every` and `count` over related records.
pub fn list_filter(types: &mut Types<'_>, target: &str) {
    let of = format!("{target}Filter");
    types.input(
        &format!("{target}ListFilter"),
        "Conditions on the records of a to-many relation.",
        [
            input("some", &of, "At least one of them matches."),
            input("none", &of, "None of them matches."),
            input("every", &of, "All of them match; also when there is none."),
            input("count", "IntFilter", "How many there are."),
        ],
    );
}

pub fn enumeration(types: &mut Types<'_>, of: &'static EnumType) {
    types.enumeration(of.name, of.help, of.values.iter().copied());
    types.input(&format!("{}Filter", of.name), &format!("Conditions on a value of `{}`. {TWO_VALUED}", of.name), equality(of.name));
}

fn objects(types: &mut Types<'_>) {
    types.object(
        "Money",
        "An exact amount in a currency.",
        [
            plain("amount", "Decimal!", "The amount, with at least the decimals that its currency has."),
            plain("currency", "CurrencyCode!", "Its currency."),
        ],
    );
    types.input(
        "MoneyInput",
        "An exact amount in a currency.",
        [
            input("amount", "Decimal!", "The amount, at most ±922,337,203,685,477.5807."),
            input("currency", "CurrencyCode!", "Its currency."),
        ],
    );
    types.object(
        "SelectOption",
        "A value that a select field can have.",
        [
            plain("key", "String!", "What programs call it; inputs and filters take it."),
            plain("label", "String!", "What people read."),
            plain("color", "String", "As `#rrggbb`, for badges."),
            plain("archived", "Boolean!", "Whether it can no longer be chosen."),
        ],
    );
    types.object(
        "EmailEntry",
        "An e-mail address of a record.",
        [
            plain("address", "String!", "As it was typed."),
            plain("normalized", "EmailAddress!", "As it is compared."),
            plain("label", "String!", "What it is for: WORK, HOME, OTHER, …"),
            plain("primary", "Boolean!", "Whether it is the one to use; one of them is."),
        ],
    );
    types.input(
        "EmailEntryInput",
        "An e-mail address of a record.",
        [
            input("address", "String!", "The address; it is kept as typed and normalised beside."),
            input("label", "String", "What it is for; WORK if not given."),
            input("primary", "Boolean", "Whether it is the one to use; without any, the first is."),
        ],
    );
    types.object(
        "PhoneEntry",
        "A telephone number of a record.",
        [
            plain("number", "String!", "As it was typed."),
            plain("e164", "PhoneNumber!", "As E.164."),
            plain("extension", "String", "The extension, where there is one."),
            plain("label", "String!", "What it is for: WORK, MOBILE, HOME, FAX, OTHER, …"),
            plain("primary", "Boolean!", "Whether it is the one to use; one of them is."),
        ],
    );
    types.input(
        "PhoneEntryInput",
        "A telephone number of a record.",
        [
            input("number", "String!", "The number; it is kept as typed and as E.164 beside."),
            input("region", "CountryCode", "The country of a number that is typed without its code."),
            input("label", "String", "What it is for; WORK if not given."),
            input("primary", "Boolean", "Whether it is the one to use; without any, the first is."),
        ],
    );
    let address = [
        ("street", "String", "Street and number."),
        ("line2", "String", "Anything between street and city."),
        ("city", "String", "City."),
        ("region", "String", "State, canton, province."),
        ("postalCode", "String", "Postal code."),
        ("country", "CountryCode", "Country."),
    ];
    types.object("Address", "A postal address.", address.map(|(name, ty, help)| plain(name, ty, help)));
    types.input(
        "AddressInput",
        "A postal address; it replaces the old one as a whole.",
        address.map(|(name, ty, help)| input(name, ty, help)),
    );
    let external = [("system", "String!", "The other system, for example `erp`."), ("value", "String!", "The id there.")];
    types.object("ExternalId", "The id of a record in another system.", external.map(|(name, ty, help)| plain(name, ty, help)));
    types.input("ExternalIdInput", "The id of a record in another system.", external.map(|(name, ty, help)| input(name, ty, help)));
    types.object(
        "PageInfo",
        "Where a page lies in its list.",
        [
            plain("hasNextPage", "Boolean!", "Whether there is more after it; paging backward, whether `before` was given."),
            plain("hasPreviousPage", "Boolean!", "Whether there is more before it; paging forward, whether `after` was given."),
            plain("startCursor", "Cursor", "The place of its first record."),
            plain("endCursor", "Cursor", "The place of its last record."),
        ],
    );
    types.enumeration(
        "FieldChangeKind",
        "What happened to a record.",
        [
            ("CREATED", "It was created."),
            ("UPDATED", "Fields were changed."),
            ("DELETED", "It was deleted; it can be restored."),
            ("RESTORED", "It was brought back."),
            ("PURGED", "It was removed for good."),
            ("LINKED", "It was linked to another record, or what the link says was changed."),
            ("UNLINKED", "A link of it was cut."),
        ],
    );
    types.object(
        "FieldChange",
        "A change of one field of a record.",
        [
            plain("field", "String!", "The field or relation; `custom.<name>` of one that the workspace added."),
            plain("from", "JSON", "What it was, as the API writes it; of a reference or link, `{ id }` of the other record. Null also where that is not told."),
            plain("to", "JSON", "What it became."),
            plain("kind", "FieldChangeKind!", "What happened to the record."),
            plain("version", "Int!", "The record's version after the change."),
            plain("actor", "Actor!", "Who changed it."),
            plain("cause", "String!", "Why: `REQUEST`, or what of the server itself."),
            plain("requestId", "String", "The request's id, as in the server's log."),
            plain("at", "DateTime!", "When."),
        ],
    );
    types.object(
        "FieldChangeEdge",
        "A change, and its place in the history.",
        [plain("node", "FieldChange!", "The change."), plain("cursor", "Cursor!", "Its place.")],
    );
    types.object(
        "FieldChangeConnection",
        "A page of a record's history, the newest change first.",
        [
            plain("edges", "[FieldChangeEdge!]!", "The changes with their places."),
            plain("nodes", "[FieldChange!]!", "The changes."),
            plain("pageInfo", "PageInfo!", "Whether there is more, and where."),
        ],
    );
    types.object(
        "Actor",
        "Who did something.",
        [
            plain("kind", "ActorKind!", "What kind of caller it was."),
            plain("actorId", "ID", "The id of the member or the key; null for the server itself."),
            plain("member", "Member", "The member, if it was one."),
        ],
    );
    types.object(
        "RecordAccess",
        "What the caller may do with a record.",
        [
            plain("canRead", "Boolean!", "Always true: what one may not see is not there."),
            plain("canUpdate", "Boolean!", "Whether the caller may change it."),
            plain("canDelete", "Boolean!", "Whether the caller may delete, restore and purge it."),
            plain("hidden", "[String!]!", "Fields that the caller does not see; they are null."),
            plain("masked", "[String!]!", "Fields of which the caller sees just enough to recognise them."),
            plain("readOnly", "[String!]!", "Fields that the caller's roles do not let them write."),
        ],
    );
    types.input("AnyRecordConnect", "A record to link, of any object.", [input("id", "ID!", "The record.")]);
    types.input(
        "AnyRecordLinksInput",
        "Changes to the records linked, of any object.",
        [input("connect", "[AnyRecordConnect!]", "Link these."), input("disconnect", "[ID!]", "Unlink these records.")],
    );
}
