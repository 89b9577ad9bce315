//! What a tag is.

use crate::catalog::{Field, Kind, Object};

pub fn definition() -> Object {
    Object::standard::<entity::tag::Entity>("tags", "Tag", "Tags", "A label that any record can carry.")
        .mergeable()
        .field(
            Field::column("name", Kind::Text, "Name", "What it says; unique in the workspace, case and accents aside.")
                .folded()
                .required()
                .unique()
                .public()
                .max_length(64),
        )
        .field(Field::column("color", Kind::Text, "Colour", "As `#rrggbb`.").public().max_length(32))
}
