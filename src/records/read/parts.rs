//! What is selected of a value that has members.

use super::node::Scope;
use super::shape::{MoneyPart, OptionPart, Out, Pick};
use crate::catalog::Store;
use crate::records::selection::{Merged, collect};

/// What is selected of an amount.
pub(super) fn money_parts(merged: &Merged<'_>) -> Vec<(String, MoneyPart)> {
    parts(merged, |name| match name {
        "amount" => MoneyPart::Amount,
        "currency" => MoneyPart::Currency,
        _ => MoneyPart::Typename,
    })
}

/// What is selected of an option.
pub(super) fn option_parts(merged: &Merged<'_>) -> Vec<(String, OptionPart)> {
    parts(merged, |name| match name {
        "key" => OptionPart::Key,
        "label" => OptionPart::Label,
        "color" => OptionPart::Color,
        "archived" => OptionPart::Archived,
        _ => OptionPart::Typename,
    })
}

fn parts<T>(merged: &Merged<'_>, part: impl Fn(&str) -> T) -> Vec<(String, T)> {
    collect(&merged.children, |_| true).into_iter().map(|field| (field.key.to_owned(), part(field.name))).collect()
}

pub(super) fn picks(
    scope: &mut Scope,
    expression: String,
    list: bool,
    type_name: &'static str,
    keys: &[&'static str],
    merged: &Merged<'_>,
) -> Out {
    let picks = parts(merged, |name| keys.iter().find(|key| **key == name).map_or(Pick::Typename(type_name), |key| Pick::Key(key)));
    Out::Json { slot: scope.slot(expression, Store::Json), list, picks }
}
