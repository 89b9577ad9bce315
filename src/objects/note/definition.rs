//! What a note is.

use crate::catalog::{Field, Kind, Object, Relation, Target};

pub fn definition() -> Object {
    Object::standard::<entity::note::Entity>("notes", "Note", "Notes", "Free text kept with the records it is about.")
        .mergeable()
        .title("title")
        .field(Field::column("title", Kind::Text, "Title", "What it is called in lists.").folded().required().searchable().max_length(255))
        .field(Field::column("body", Kind::LongText, "Body", "The text, as Markdown.").searchable())
        .field(Field::column("pinned", Kind::Boolean, "Pinned", "Whether it stays on top.").default(false))
        .relation(Relation::links("links", Target::Any, "note_link", true, "About", "The records it is about, of any object."))
        .follows("links")
}
