//! What a member is.

use crate::catalog::{EnumType, Field, Kind, Object, Relation, Target};

static STATUS: EnumType = EnumType {
    name: "MemberStatus",
    help: "Whether a member can work here.",
    values: &[("INVITED", "Has no sign-in yet."), ("ACTIVE", "Works here."), ("SUSPENDED", "May not sign in.")],
};

static KIND: EnumType = EnumType {
    name: "MemberKind",
    help: "What a member is.",
    values: &[("HUMAN", "A human who works here."), ("SERVICE", "A program."), ("PORTAL", "A customer or partner who signs in.")],
};

pub fn definition() -> Object {
    Object::standard::<entity::member::Entity>(
        "members",
        "Member",
        "Members",
        "A person or program that works in the workspace: records are owned by and assigned to members.",
    )
    .field(
        Field::column("name", Kind::Text, "Name", "What colleagues call them.").folded().required().personal().searchable().max_length(255),
    )
    .field(
        Field::column("email", Kind::Email, "E-mail", "Where colleagues write to; unique among members.").personal().unique().searchable(),
    )
    .field(Field::column("status", Kind::Enum(&STATUS), "Status", "Whether they can work here.").default("INVITED"))
    .field(Field::column("kind", Kind::Enum(&KIND), "Kind", "A human or a program.").default("HUMAN"))
    .field(Field::column("time_zone", Kind::TimeZone, "Time zone", "Where their working day is.").personal())
    .field(Field::column("job_title", Kind::Text, "Job title", "What they do.").max_length(255))
    .relation(Relation::one("manager", "member", "manager_id", "Manager", "Their superior, who sees what they see where a role says so."))
    .relation(Relation::children("directReports", "member", "manager_id", "Direct reports", "The members whose manager they are."))
    .relation(
        Relation::links(
            "territories",
            Target::Object("territory".into()),
            "territory_member",
            false,
            "Territories",
            "The parts of the market that they work in.",
        )
        .with_role()
        .read_only(),
    )
    .relation(Relation::one("person", "person", "person_id", "Person", "Who a portal user is: what is linked to that person is theirs."))
    .relation(Relation::children("ownedDeals", "deal", "owner_id", "Owned deals", "The deals they are responsible for."))
    .relation(Relation::children("ownedCompanies", "company", "owner_id", "Owned companies", "The companies they are responsible for."))
    .relation(Relation::children("assignedActivities", "activity", "assignee_id", "Assigned activities", "What they are to do."))
}
