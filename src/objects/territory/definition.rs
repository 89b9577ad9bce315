//! What a territory is.

use crate::catalog::{Field, Kind, Object, Relation, Target};

pub fn definition() -> Object {
    Object::standard::<entity::territory::Entity>(
        "territories",
        "Territory",
        "Territories",
        "A part of the market: companies, people and deals lie in it, and members work in it. Territories form a tree.",
    )
    .field(
        Field::column("name", Kind::Text, "Name", "What it is called; unique in the workspace, case and accents aside.")
            .folded()
            .required()
            .unique()
            .searchable()
            .max_length(255),
    )
    .field(Field::column("description", Kind::LongText, "Description", "What belongs to it."))
    .relation(Relation::one("parent", "territory", "parent_id", "Parent territory", "The territory that it is a part of."))
    .relation(Relation::children("children", "territory", "parent_id", "Parts", "The territories that are parts of it."))
    .relation(
        Relation::links(
            "members",
            Target::Object("member".into()),
            "territory_member",
            true,
            "Members",
            "Who works in it, each with a role. Where a member's role says TERRITORY, they reach what lies in it and in its parts.",
        )
        .with_role(),
    )
    .relation(Relation::children("companies", "company", "territory_id", "Companies", "The companies in it."))
    .relation(Relation::children("people", "person", "territory_id", "People", "The people in it."))
    .relation(Relation::children("deals", "deal", "territory_id", "Deals", "The deals in it."))
}
