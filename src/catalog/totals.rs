//! Running totals that the database keeps of an object's records.

/// How many records there are that are not deleted, and what an amount of theirs comes to, by some references. Triggers
/// keep them; `table` has a row, or several to be added up, for each combination and currency.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    pub table: &'static str,
    /// The columns of the references by which records are counted.
    pub by: &'static [&'static str],
    /// The field that is added up.
    pub amount: &'static str,
}
