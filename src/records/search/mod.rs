//! Searching: `search(query:)` over all objects, and `search:` on lists.
//!
//! With every write goes a row of `search_entry`: the record's title and the words that it is found by, made by
//! [`words`] from the fields that say `searchable` ([`entry`]). A search first asks the index for candidates, at most
//! so many ([`find`]), in what the caller reaches ([`reach`]); orders them by how well they fit ([`rank`]); and shows
//! a page of them, with what matched ([`show`]). A list takes their ids as one more condition.
//!
//! What a caller may not see whole is not searched for them: of objects with such fields, each candidate is looked
//! at again, with the fields that show.

mod entry;
mod find;
mod highlight;
mod rank;
mod reach;
pub mod refresh;
mod show;
mod words;

use std::collections::HashMap;

use uuid::Uuid;

use crate::catalog::{Catalog, Object};
use crate::error::{Error, Result};
use crate::infra::db::Tx;
use crate::platform::Ctx;

pub use entry::Entry;
pub use show::answer;
pub use words::words as plain_words;

use find::Search;
use words::Sought;

/// Records that a search shows, of however many fit.
const MOST_HITS: usize = 1_000;
/// Records that a list takes from a search.
const MOST_LISTED: usize = 10_000;
/// With fewer found as they are spelt, misspelt ones are shown too.
const FEW: usize = 5;
/// Beyond this many, a count is an estimate.
const MOST_COUNTED: usize = 10_000;
/// The longest text that is looked for.
const LONGEST: usize = 500;

/// What lists of an object are narrowed by: the text that was searched for, and the ids that it found, best first.
#[derive(Debug, Default)]
pub struct Found(HashMap<(String, String), Vec<Uuid>>);

impl Found {
    pub fn of(&self, object: &str, text: &str) -> Option<&[Uuid]> {
        self.0.get(&(object.to_owned(), text.to_owned())).map(Vec::as_slice)
    }
}

/// Finds what the lists of a plan want: each an object and a text.
pub async fn find_for_lists(ctx: &Ctx, catalog: &Catalog, tx: &Tx, wanted: &[(String, String)]) -> Result<Found> {
    let mut found = HashMap::new();
    for (object, text) in wanted {
        let sought = read(text).map_err(|e| e.within("search"))?;
        let objects = [object.clone()];
        let search = Search { ctx, catalog, tx, sought: &sought, objects: Some(&objects) };
        // The list itself looks at what its caller reaches.
        let mut hits = search.hits(MOST_LISTED, 1).await?.list;
        search.keep_what_shows(&mut hits).await?;
        found.insert((object.clone(), text.clone()), hits.into_iter().map(|hit| hit.id).collect());
    }
    Ok(Found(found))
}

/// The ids of records of an object that a text finds, best first; misspelt ones too, if fewer than `few` are spelt so.
/// Nobody's access is looked at.
pub async fn alike(ctx: &Ctx, catalog: &Catalog, tx: &Tx, object: &Object, text: &str, most: usize, few: usize) -> Result<Vec<Uuid>> {
    let text: String = text.chars().take(LONGEST).collect();
    let (sought, objects) = (read(&text)?, [object.name.clone()]);
    let hits = Search { ctx, catalog, tx, sought: &sought, objects: Some(&objects) }.hits(most, few).await?;
    Ok(hits.list.into_iter().map(|hit| hit.id).collect())
}

fn read(text: &str) -> Result<Sought> {
    if text.chars().count() > LONGEST {
        return Err(Error::bad_request(format!("A search has at most {LONGEST} characters.")));
    }
    Ok(Sought::read(text))
}
