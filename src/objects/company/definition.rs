//! What a company is.

use crate::catalog::{EnumType, Field, Kind, MergeStrategy, Object, Relation, Target};

static TYPE: EnumType = EnumType {
    name: "CompanyType",
    help: "What a company is to the business.",
    values: &[
        ("PROSPECT", "Might buy."),
        ("CUSTOMER", "Buys."),
        ("PARTNER", "Works with us."),
        ("RESELLER", "Sells what we make."),
        ("INVESTOR", "Holds a share."),
        ("VENDOR", "Sells to us."),
        ("COMPETITOR", "Sells against us."),
        ("OTHER", "Anything else."),
    ],
};

pub static LIFECYCLE: EnumType = EnumType {
    name: "LifecycleStage",
    help: "How far somebody has come on the way to being a customer.",
    values: &[
        ("SUBSCRIBER", "Follows what we publish."),
        ("LEAD", "Showed interest."),
        ("MQL", "Marketing qualified lead."),
        ("SQL", "Sales qualified lead."),
        ("OPPORTUNITY", "Has an open deal."),
        ("CUSTOMER", "Bought."),
        ("EVANGELIST", "Recommends us."),
        ("OTHER", "Outside the usual way."),
    ],
};

static RATING: EnumType = EnumType {
    name: "CompanyRating",
    help: "How promising a company is.",
    values: &[("HOT", "Act now."), ("WARM", "Keep in touch."), ("COLD", "No hurry.")],
};

pub fn definition() -> Object {
    Object::standard::<entity::company::Entity>("companies", "Company", "Companies", "An organisation one does business with.")
        .mergeable()
        .field(Field::column("name", Kind::Text, "Name", "What people call it.").folded().required().searchable().max_length(255))
        .field(Field::column("legal_name", Kind::Text, "Legal name", "The name in the register of companies.").searchable().max_length(255))
        .field(
            Field::column(
                "domain",
                Kind::Text,
                "Primary domain",
                "The first of `domains`, lower case and without `www.`: companies are found by it.",
            )
            .read_only()
            .derived_from("domains")
            .normalised(),
        )
        .field(
            Field::column(
                "domains",
                Kind::Domains,
                "Domains",
                "Internet domains, the primary one first. Each belongs to one company of the workspace.",
            )
            .unique()
            .searchable(),
        )
        .field(Field::column("website", Kind::Url, "Website", "Its home page.").searchable())
        .field(Field::column("linkedin_url", Kind::Url, "LinkedIn", "Its LinkedIn page."))
        .field(Field::column("industry", Kind::Text, "Industry", "What it does, for example `Software`.").max_length(255).searchable())
        .field(Field::column("employee_count", Kind::Integer, "Employees", "How many people work there.").indexed().range("0", "10000000"))
        .field(Field::column("annual_revenue", Kind::Money, "Annual revenue", "Its turnover in a year.").indexed())
        .field(Field::column("type", Kind::Enum(&TYPE), "Type", "What it is to us."))
        .field(
            Field::column(
                "lifecycle_stage",
                Kind::Enum(&LIFECYCLE),
                "Lifecycle stage",
                "How far it has come on the way to being a customer.",
            )
            .merged_by(MergeStrategy::FurthestStage)
            .indexed(),
        )
        .field(Field::column("billing_address", Kind::Address, "Billing address", "Where invoices go."))
        .field(Field::column("shipping_address", Kind::Address, "Shipping address", "Where goods go."))
        .field(Field::column("phones", Kind::Phones, "Phones", "Telephone numbers, kept as typed and as E.164.").searchable())
        .field(
            Field::column("tax_id", Kind::Text, "Tax number", "Its number with the tax office.").sensitive().identifying().max_length(64),
        )
        .field(
            Field::column("vat_id", Kind::Text, "VAT number", "Its number for value-added tax.").sensitive().identifying().max_length(64),
        )
        .field(
            Field::column("registration_number", Kind::Text, "Registration number", "Its number in the register of companies.")
                .sensitive()
                .identifying()
                .max_length(64),
        )
        .field(Field::column("currency", Kind::Currency, "Currency", "The currency it trades in."))
        .field(Field::column("time_zone", Kind::TimeZone, "Time zone", "Where its working day is."))
        .field(Field::column("language", Kind::Text, "Language", "BCP 47, for example `de-CH`.").max_length(35))
        .field(Field::column("description", Kind::LongText, "Description", "Anything worth knowing.").searchable())
        .field(Field::column("founded_year", Kind::Integer, "Founded", "The year in which it was founded.").range("0", "9999"))
        .field(Field::column("rating", Kind::Enum(&RATING), "Rating", "How promising it is."))
        .relation(Relation::one("territory", "territory", "territory_id", "Territory", "The part of the market that it lies in."))
        .relation(Relation::one("parent", "company", "parent_id", "Parent company", "The company that owns it; parents form no cycle."))
        .relation(Relation::children("subsidiaries", "company", "parent_id", "Subsidiaries", "The companies whose parent it is."))
        .relation(
            Relation::links(
                "people",
                Target::Object("person".into()),
                "company_person",
                true,
                "People",
                "Who works there, each with a role.",
            )
            .with_role(),
        )
        .relation(Relation::children("deals", "deal", "company_id", "Deals", "What is or was being sold to it."))
        .relation(Relation::links(
            "activities",
            Target::Object("activity".into()),
            "activity_link",
            false,
            "Activities",
            "Tasks, calls, meetings and e-mails about it.",
        ))
        .relation(Relation::links("notes", Target::Object("note".into()), "note_link", false, "Notes", "Notes about it."))
}
