//! Which of several records' values one record keeps when they become one.

/// How the value of a field is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeStrategy {
    /// The surviving record's value, or, where it has none, the first other one's.
    #[default]
    Survivor,
    /// The value that was written last.
    Newest,
    /// The value that was written first.
    Oldest,
    /// The longest text.
    Longest,
    /// The greatest number, amount, day or time; of two amounts in different currencies the survivor's.
    Max,
    /// All items of lists, the survivor's first.
    Union,
    /// The value that stands last in its list of values: a customer is further than a lead.
    FurthestStage,
    /// Whoever says no wins.
    MostRestrictive,
}

impl MergeStrategy {
    /// All of them, with what they mean: the API's enum is made of this.
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Survivor, "SURVIVOR", "The surviving record's value; where it has none, the first one of the others, in their order."),
        (Self::Newest, "NEWEST", "The value that was written last."),
        (Self::Oldest, "OLDEST", "The value that was written first."),
        (Self::Longest, "LONGEST", "The longest text."),
        (Self::Max, "MAX", "The greatest number, amount, day or time; of amounts in several currencies the survivor's."),
        (Self::Union, "UNION", "All items of a list, the survivor's first."),
        (
            Self::FurthestStage,
            "FURTHEST_STAGE",
            "The value that stands last among the field's values, `OTHER` aside: a customer is further than a lead.",
        ),
        (
            Self::MostRestrictive,
            "MOST_RESTRICTIVE",
            "If one of the records says no, the answer is no: who asked not to be contacted is not.",
        ),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|(strategy, ..)| *strategy)
    }
}
