//! What a deal is.

use crate::catalog::{EnumType, Field, Kind, Object, Relation, Target, Totals};

static STATUS: EnumType = EnumType {
    name: "DealStatus",
    help: "Where a deal stands; follows the type of its stage.",
    values: &[("OPEN", "Being worked on."), ("WON", "Sold."), ("LOST", "Not sold.")],
};

static PROBABILITY_MODE: EnumType = EnumType {
    name: "ProbabilityMode",
    help: "Who says how likely a deal is.",
    values: &[("STAGE", "The stage, whenever the deal moves."), ("MANUAL", "Somebody, until the deal is won or lost.")],
};

static TYPE: EnumType = EnumType {
    name: "DealType",
    help: "What is being sold to whom.",
    values: &[("NEW", "A first sale."), ("EXPANSION", "More, to a customer."), ("RENEWAL", "The same again.")],
};

pub fn definition() -> Object {
    Object::standard::<entity::deal::Entity>("deals", "Deal", "Deals", "A sale that may happen, is happening or happened.")
        .mergeable()
        .totals(Totals { table: "deal_total", by: &["stage_id", "pipeline_id"], amount: "amount" })
        .field(Field::column("name", Kind::Text, "Name", "What it is called in lists.").folded().required().searchable().max_length(255))
        .field(Field::column("status", Kind::Enum(&STATUS), "Status", "Open, won or lost: follows the stage.").read_only().indexed())
        .field(Field::column("amount", Kind::Money, "Amount", "What it is worth.").indexed())
        .field(
            Field::column(
                "probability",
                Kind::Percent,
                "Probability",
                "How likely it is to be won, 0 to 100. Follows the stage unless given.",
            )
            .indexed()
            .range("0", "100"),
        )
        .field(
            Field::column(
                "probability_mode",
                Kind::Enum(&PROBABILITY_MODE),
                "Probability mode",
                "Whether the stage or somebody set the probability; giving a probability makes it MANUAL.",
            )
            .default("STAGE"),
        )
        .field(Field::column("expected_close_date", Kind::Date, "Expected close", "The day on which it should be decided.").indexed())
        .field(
            Field::column(
                "closed_at",
                Kind::DateTime,
                "Closed at",
                "When it was won or lost; null while open. Set by the stage, or given when history is imported.",
            )
            .indexed(),
        )
        .field(Field::column("stage_entered_at", Kind::DateTime, "In stage since", "When it came into its stage.").indexed().read_only())
        .field(Field::column("type", Kind::Enum(&TYPE), "Type", "First sale, expansion or renewal."))
        .field(Field::column("lost_reason", Kind::Text, "Lost reason", "Why it was lost.").max_length(255))
        .field(Field::column("next_step", Kind::Text, "Next step", "What happens next.").max_length(255))
        .field(Field::column("description", Kind::LongText, "Description", "Anything worth knowing.").searchable())
        .relation(Relation::one("territory", "territory", "territory_id", "Territory", "The part of the market that it lies in."))
        .relation(
            Relation::one(
                "pipeline",
                "pipeline",
                "pipeline_id",
                "Pipeline",
                "The pipeline it goes through. A create without one takes the stage's, or the default pipeline.",
            )
            .required(),
        )
        .relation(
            Relation::one(
                "stage",
                "stage",
                "stage_id",
                "Stage",
                "The step it has reached; belongs to its pipeline. A create without one takes the first open stage.",
            )
            .required(),
        )
        .relation(Relation::one("company", "company", "company_id", "Company", "Whom it is sold to."))
        .relation(
            Relation::links(
                "people",
                Target::Object("person".into()),
                "deal_person",
                true,
                "People",
                "Who has a say in it, each with a role.",
            )
            .with_role(),
        )
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
