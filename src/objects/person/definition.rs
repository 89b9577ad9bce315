//! What a person is.

use crate::catalog::{EnumType, Field, Kind, MergeStrategy, Object, Relation, Target};
use crate::objects::company::LIFECYCLE;

static SENIORITY: EnumType = EnumType {
    name: "Seniority",
    help: "How much somebody has to say in their company.",
    values: &[
        ("OWNER", "Owns it."),
        ("EXECUTIVE", "C level or board."),
        ("VICE_PRESIDENT", "Vice president."),
        ("DIRECTOR", "Director."),
        ("MANAGER", "Manages a team."),
        ("SENIOR", "Senior in their trade."),
        ("ENTRY", "At the beginning."),
        ("OTHER", "Anything else."),
    ],
};

static LEAD_STATUS: EnumType = EnumType {
    name: "PersonLeadStatus",
    help: "Where the work on a contact stands.",
    values: &[
        ("NEW", "Nobody has looked yet."),
        ("OPEN", "To be worked on."),
        ("IN_PROGRESS", "Being worked on."),
        ("OPEN_DEAL", "A deal came of it."),
        ("UNQUALIFIED", "Not a fit."),
        ("ATTEMPTED", "Tried to reach, without answer so far."),
        ("CONNECTED", "Reached."),
        ("BAD_TIMING", "Later, perhaps."),
    ],
};

pub fn definition() -> Object {
    Object::standard::<entity::person::Entity>("people", "Person", "People", "A human one talks to.")
        .mergeable()
        .title("fullName")
        .field(Field::column("salutation", Kind::Text, "Salutation", "`Dr`, `Ms`, …").personal().max_length(64))
        .field(Field::column("first_name", Kind::Text, "First name", "Given name.").personal().max_length(255))
        .field(Field::column("middle_name", Kind::Text, "Middle name", "Names between the first and the last.").personal().max_length(255))
        .field(
            Field::column("last_name", Kind::Text, "Last name", "Family name; this or an e-mail address is required.")
                .folded()
                .personal()
                .max_length(255),
        )
        .field(Field::column("suffix", Kind::Text, "Suffix", "`Jr`, `PhD`, …").personal().max_length(64))
        .field(Field::column("nickname", Kind::Text, "Nickname", "What friends say.").personal().max_length(255).searchable())
        .field(
            Field::column(
                "full_name",
                Kind::Text,
                "Full name",
                "First, middle and last name, or the e-mail address where there is none. Derived.",
            )
            .folded()
            .personal()
            .read_only()
            .searchable(),
        )
        .field(
            Field::column("email", Kind::Email, "Primary e-mail", "The primary one of `emails`, normalised. Derived.")
                .derived_from("emails")
                .personal()
                .read_only()
                .normalised(),
        )
        .field(
            Field::column(
                "emails",
                Kind::Emails,
                "E-mail addresses",
                "Kept as typed and normalised. Each belongs to one person of the workspace.",
            )
            .personal()
            .unique()
            .searchable(),
        )
        .field(
            Field::column("phone", Kind::Phone, "Primary phone", "The primary one of `phones`, as E.164. Derived.")
                .derived_from("phones")
                .personal()
                .read_only(),
        )
        .field(Field::column("phones", Kind::Phones, "Phones", "Telephone numbers, kept as typed and as E.164.").personal().searchable())
        .field(
            Field::column("job_title", Kind::Text, "Job title", "What stands on the business card.")
                .personal()
                .max_length(255)
                .searchable(),
        )
        .field(Field::column("department", Kind::Text, "Department", "Where in the company.").personal().max_length(255))
        .field(Field::column("seniority", Kind::Enum(&SENIORITY), "Seniority", "How much they have to say.").personal())
        .field(Field::column("birthday", Kind::Date, "Birthday", "Day of birth.").sensitive().identifying())
        .field(Field::column("pronouns", Kind::Text, "Pronouns", "How to speak of them.").personal().max_length(64))
        .field(Field::column("language", Kind::Text, "Language", "BCP 47, for example `fr`.").personal().max_length(35))
        .field(Field::column("time_zone", Kind::TimeZone, "Time zone", "Where their working day is.").personal())
        .field(Field::column("linkedin_url", Kind::Url, "LinkedIn", "Their LinkedIn page.").personal())
        .field(Field::column("x_url", Kind::Url, "X", "Their page on X.").personal())
        .field(Field::column("address", Kind::Address, "Address", "Where to send a letter.").personal())
        .field(Field::column("lead_source", Kind::Text, "Lead source", "Where they came from, for example `Trade fair`.").max_length(255))
        .field(
            Field::column(
                "lifecycle_stage",
                Kind::Enum(&LIFECYCLE),
                "Lifecycle stage",
                "How far they have come on the way to being a customer.",
            )
            .merged_by(MergeStrategy::FurthestStage)
            .indexed(),
        )
        .field(Field::column("lead_status", Kind::Enum(&LEAD_STATUS), "Lead status", "Where the work on them stands."))
        .field(
            Field::column("do_not_contact", Kind::Boolean, "Do not contact", "They asked to be left alone; overrides every consent.")
                .personal()
                .merged_by(MergeStrategy::MostRestrictive)
                .default(false),
        )
        .field(Field::column("do_not_contact_reason", Kind::Text, "Reason", "Why not to contact them.").sensitive())
        .relation(Relation::one("territory", "territory", "territory_id", "Territory", "The part of the market that it lies in."))
        .relation(Relation::one("reportsTo", "person", "reports_to_id", "Reports to", "Their superior; superiors form no cycle."))
        .relation(Relation::children("reports", "person", "reports_to_id", "Reports", "Who reports to them."))
        .relation(
            Relation::links(
                "companies",
                Target::Object("company".into()),
                "company_person",
                false,
                "Companies",
                "Where they work, each with a role, one of them primary.",
            )
            .with_role(),
        )
        .relation(
            Relation::links(
                "deals",
                Target::Object("deal".into()),
                "deal_person",
                false,
                "Deals",
                "The deals they have a say in, each with a role.",
            )
            .with_role(),
        )
        .relation(Relation::links(
            "activities",
            Target::Object("activity".into()),
            "activity_link",
            false,
            "Activities",
            "Tasks, calls, meetings and e-mails with them.",
        ))
        .relation(Relation::links("notes", Target::Object("note".into()), "note_link", false, "Notes", "Notes about them."))
}
