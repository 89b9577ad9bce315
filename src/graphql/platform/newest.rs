//! Pages of lists that are ordered by when something was made, the newest first.

use async_graphql::Result;
use entity::Micros;
use uuid::Uuid;

use super::values::{Cursor, PageInfo};
use crate::error::Error;
use crate::graphql::errors::field_error;

/// The longest page.
const MOST: usize = 200;

/// A place in such a list.
pub type Place = (Micros, Uuid);

/// How many are asked for, and after which place.
pub fn asked(first: i32, after: Option<Cursor>) -> Result<(usize, Option<Place>)> {
    let wrong = |argument: &str, why: String| field_error(&Error::bad_request(why).within(argument));
    let first = usize::try_from(first).ok().filter(|first| (1..=MOST).contains(first));
    let first = first.ok_or_else(|| wrong("first", format!("`first` is a number from 1 to {MOST}.")))?;
    let after = after.map(|Cursor(text)| read(&text).ok_or_else(|| wrong("after", "This is no place in the list.".to_owned())));
    Ok((first, after.transpose()?))
}

/// What is said of a page: `found` are as many as were asked for and one more, if there are so many.
pub fn page_info<T>(found: &[T], (first, after): (usize, Option<Place>), place: impl Fn(&T) -> Place) -> PageInfo {
    let shown = &found[..found.len().min(first)];
    let cursor = |of: Option<&T>| of.map(&place).map(|(at, id)| Cursor(format!("{}.{}", at.0, id.simple())));
    PageInfo {
        has_next_page: found.len() > first,
        has_previous_page: after.is_some(),
        start_cursor: cursor(shown.first()),
        end_cursor: cursor(shown.last()),
    }
}

fn read(text: &str) -> Option<Place> {
    let (at, id) = text.split_once('.')?;
    Some((Micros(at.parse().ok()?), id.parse().ok()?))
}
