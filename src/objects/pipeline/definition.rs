//! What a pipeline is.

use crate::catalog::{Field, Kind, Object, Relation};

pub fn definition() -> Object {
    Object::standard::<entity::pipeline::Entity>(
        "pipelines",
        "Pipeline",
        "Pipelines",
        "A sequence of stages that deals pass through; it always has a won and a lost stage.",
    )
    .field(Field::column("name", Kind::Text, "Name", "What it is called.").folded().required().searchable().max_length(255))
    .field(Field::column("position", Kind::Integer, "Position", "Its place among the pipelines, smallest first.").indexed().default(0))
    .field(
        Field::column("is_default", Kind::Boolean, "Default", "Whether deals without a pipeline come here; one pipeline is.")
            .default(false),
    )
    .field(Field::column("active", Kind::Boolean, "Active", "Whether new deals may enter it.").default(true))
    .field(Field::column("currency", Kind::Currency, "Currency", "The currency of its deals, where it has one."))
    .relation(Relation::children("stages", "stage", "pipeline_id", "Stages", "Its steps, in order.").owned())
    .relation(Relation::children("deals", "deal", "pipeline_id", "Deals", "The deals in it."))
}
