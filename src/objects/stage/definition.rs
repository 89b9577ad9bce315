//! What a stage is.

use crate::catalog::{EnumType, Field, Kind, Object, Relation};

static TYPE: EnumType = EnumType {
    name: "StageType",
    help: "What being in a stage says of a deal.",
    values: &[("OPEN", "Being worked on."), ("WON", "Sold: probability 100."), ("LOST", "Not sold: probability 0.")],
};

pub fn definition() -> Object {
    Object::standard::<entity::stage::Entity>("stages", "Stage", "Stages", "A step of a pipeline.")
        .field(Field::column("name", Kind::Text, "Name", "What it is called.").folded().required().max_length(255))
        .field(
            Field::column(
                "position",
                Kind::Integer,
                "Position",
                "Its place in the pipeline, smallest first; a new stage goes before the won and lost ones. `moveStage` changes it.",
            )
            .indexed()
            .read_only(),
        )
        .field(Field::column("type", Kind::Enum(&TYPE), "Type", "Whether deals in it are open, won or lost.").default("OPEN"))
        .field(
            Field::column(
                "probability",
                Kind::Percent,
                "Probability",
                "How likely its deals are to be won, 0 to 100; fixed at 100 for WON and 0 for LOST.",
            )
            .range("0", "100"),
        )
        .field(Field::column("color", Kind::Text, "Colour", "As `#rrggbb`, for boards.").max_length(32))
        .field(
            Field::column("rotting_days", Kind::Integer, "Rotting after", "Days without news after which a deal in it counts as stalled.")
                .range("1", "3650"),
        )
        .relation(
            Relation::one("pipeline", "pipeline", "pipeline_id", "Pipeline", "The pipeline it belongs to; it stays there.").required(),
        )
        .relation(Relation::children("deals", "deal", "stage_id", "Deals", "The deals in it."))
}
