//! The candidates: which records have the words.
//!
//! Titles are looked through first, then all texts, then, where little was found, misspelt titles; each time the
//! index gives so many at most. On PostgreSQL a function of the tables' owner asks the index, for under row-level
//! security no policy lets an operator like `@@` use one. So candidates are nobody's yet: before something of them is
//! shown, [`Search::verify`] looks which of them the caller reaches, under the policies; a list does so by itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use sea_orm::Value;
use uuid::Uuid;

use super::entry::{self, Entry};
use super::rank;
use super::reach;
use super::words::{Mark, Sought, Tag, Term, misspelt, whole};
use crate::catalog::{Catalog, Field, Object};
use crate::error::Result;
use crate::infra::db::{Backend, Row, Tx};
use crate::platform::Ctx;
use crate::platform::access::Sight;
use crate::records::access;
use crate::records::sql::{Sql, all_of};
use crate::records::write::state;

/// A record that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub id: Uuid,
    pub object: String,
    pub title: String,
    /// Of 1,000.
    pub score: u16,
}

/// Candidates, best first.
#[derive(Debug, Default)]
pub struct Hits {
    pub list: Vec<Hit>,
    /// Whether the index had more candidates than were looked at.
    pub is_capped: bool,
}

/// Who searches what.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    pub ctx: &'a Ctx,
    pub catalog: &'a Catalog,
    pub tx: &'a Tx,
    pub sought: &'a Sought,
    /// Stored names of the objects; none: every one.
    pub objects: Option<&'a [String]>,
}

/// What the index is asked.
struct Query {
    words: Term,
    /// What the caller reaches, as far as the index knows.
    within: Option<Term>,
}

impl Query {
    fn whole(&self) -> Term {
        let terms: Vec<Term> = std::iter::once(&self.words).chain(&self.within).cloned().collect();
        Term::All(terms)
    }
}

fn sort(hits: &mut [Hit]) {
    hits.sort_unstable_by_key(|hit| Reverse((hit.score, hit.id)));
}

/// Candidates for a misspelt title that are looked at.
const MOST_MISSPELT: usize = 2_000;
/// Records whose visible fields are read at once.
const BATCH: usize = 200;

impl Search<'_> {
    /// Finds up to so many records, and misspelt ones if fewer than `few` are spelt so.
    pub async fn hits(&self, most: usize, few: usize) -> Result<Hits> {
        let mut hits = Hits::default();
        if self.sought.is_empty() {
            return Ok(hits);
        }
        let mut known = HashSet::new();
        for query in self.stages() {
            let (found, is_capped) = self.candidates(&query, most).await?;
            hits.is_capped = is_capped;
            let fresh = found.into_iter().filter(|hit| known.insert(hit.id));
            hits.list.extend(fresh.map(|hit| Hit { score: rank::score(self.sought, &hit.title), ..hit }));
            if hits.list.len() >= most {
                break;
            }
        }
        hits.list.truncate(most);
        sort(&mut hits.list);
        if self.are_few(&mut hits.list, few).await?
            && let Some(query) = self.misspelt()
        {
            let known: HashSet<Uuid> = hits.list.iter().map(|hit| hit.id).collect();
            let (found, _) = self.candidates(&query, MOST_MISSPELT).await?;
            let fresh = found.into_iter().filter(|hit| !known.contains(&hit.id));
            hits.list.extend(fresh.filter_map(|hit| Some(Hit { score: rank::misspelt(self.sought, &hit.title)?, ..hit })));
            hits.list.truncate(most);
            sort(&mut hits.list);
        }
        Ok(hits)
    }

    /// What the index is asked, best answers first: titles that are what is sought, those that begin so, words of
    /// titles, words of all texts.
    fn stages(&self) -> [Query; 4] {
        let tag = Tag::of(self.ctx.workspace);
        let whole = tag.word(Mark::Whole, &whole(&self.sought.words));
        // One word that is not in the title is in another field; of several, each may be in either.
        let rest: &[Mark] =
            if matches!(self.sought.terms.as_slice(), [Term::Begins(_)]) { &[Mark::Text] } else { &[Mark::Title, Mark::Text] };
        [
            self.reached(&tag, vec![Term::Is(whole.clone())]),
            self.reached(&tag, vec![Term::Begins(whole)]),
            self.query(&[Mark::Title]),
            self.query(rest),
        ]
    }

    /// Whether so few are found that misspelt ones are wanted too. What does not show to the caller must not decide
    /// that: else what is missing would tell of it.
    async fn are_few(&self, candidates: &mut Vec<Hit>, few: usize) -> Result<bool> {
        if self.is_known() {
            return Ok(candidates.len() < few);
        }
        let shown = self.first(candidates.clone(), few).await?;
        let are_few = shown.len() < few;
        if are_few {
            *candidates = shown;
        }
        Ok(are_few)
    }

    /// The first candidates that the caller reaches; no more are looked at than it takes.
    pub async fn first(&self, candidates: Vec<Hit>, count: usize) -> Result<Vec<Hit>> {
        let mut found = Vec::new();
        let mut candidates = candidates.into_iter();
        let mut batch = count.max(1);
        while found.len() < count {
            let next: Vec<Hit> = candidates.by_ref().take(batch).collect();
            if next.is_empty() {
                break;
            }
            found.extend(self.verify(next).await?);
            // Where few of them show, the rest is looked at in fewer steps.
            batch *= 2;
        }
        found.truncate(count);
        Ok(found)
    }

    /// Of some candidates those that the caller reaches, by what they may see.
    pub async fn verify(&self, mut hits: Vec<Hit>) -> Result<Vec<Hit>> {
        let mut reached = HashSet::new();
        for batch in hits.chunks(BATCH) {
            let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
            let ids = sql.bind_all(batch.iter().map(|hit| hit.id.into()).collect());
            let mut conditions = vec![format!("r.workspace_id = $1 AND r.id IN ({ids}) AND r.deleted_at IS NULL")];
            conditions.extend(access::reached_any(&mut sql, self.ctx, self.catalog, "r"));
            for row in self.tx.fetch_all(&format!("SELECT r.id FROM record r WHERE {}", all_of(&conditions)), sql.values).await? {
                reached.extend(row.uuid(0)?);
            }
        }
        hits.retain(|hit| reached.contains(&hit.id));
        self.keep_what_shows(&mut hits).await?;
        Ok(hits)
    }

    /// Whether every candidate is a record that the caller reaches, so that they may be counted.
    pub fn is_known(&self) -> bool {
        self.sees_all_fields() && reach::is_known(self.ctx, self.catalog, self.objects)
    }

    /// How many candidates there are, up to a bound; and, beyond that, about how many.
    pub async fn count(&self, most: usize) -> Result<(usize, bool)> {
        let query = self.query(&[Mark::Title, Mark::Text]);
        let (sql, rows) = self.select(&query, most + 1);
        let rows = self.tx.fetch_all(&format!("SELECT count(*) FROM ({rows}) c"), sql.values).await?;
        let count = number(rows.first())?;
        if count <= most {
            return Ok((count, false));
        }
        let (text, words) = match self.tx.backend() {
            Backend::Postgres => ("SELECT kith_search_estimate($1)", query.whole().tsquery()),
            Backend::Sqlite => ("SELECT count(*) FROM search_word s WHERE s.search_word MATCH $1", query.whole().fts5()),
        };
        let words: Value = words.into();
        let rows = self.tx.fetch_all(text, vec![words]).await?;
        Ok((number(rows.first())?.max(most), true))
    }

    /// Whether the caller sees every searched field of everything that is searched.
    fn sees_all_fields(&self) -> bool {
        let searched = |object: &&Object| self.objects.is_none_or(|names| names.contains(&object.name));
        self.catalog.objects().map(AsRef::as_ref).filter(searched).all(|object| !self.is_narrow(object))
    }

    fn is_narrow(&self, object: &Object) -> bool {
        let access = self.ctx.access.object(&object.name);
        entry::searched(object).any(|field| field.name != object.title && access.field(&field.access_name()).sight != Sight::Full)
    }

    /// Every word under one of the marks.
    fn query(&self, marks: &[Mark]) -> Query {
        let tag = Tag::of(self.ctx.workspace);
        let marked = |word: &str, open: bool| {
            let ways = marks.iter().map(|mark| tag.word(*mark, word)).map(if open { Term::Begins } else { Term::Is });
            Term::Any(ways.collect())
        };
        self.reached(&tag, self.sought.terms.iter().map(|term| term.map(&tag, &marked)).collect())
    }

    fn misspelt(&self) -> Option<Query> {
        let tag = Tag::of(self.ctx.workspace);
        let begun = |word: &String| Term::Begins(tag.word(Mark::Title, word));
        let ways: Vec<Option<Term>> = self.sought.words.iter().map(|word| misspelt(&tag, word)).collect();
        if ways.iter().all(Option::is_none) {
            return None;
        }
        let terms = self.sought.words.iter().zip(ways).map(|(word, ways)| ways.unwrap_or_else(|| begun(word)));
        Some(self.reached(&tag, terms.collect()))
    }

    fn reached(&self, tag: &Tag, terms: Vec<Term>) -> Query {
        Query { words: Term::All(terms), within: reach::within(self.ctx, self.catalog, tag, self.objects) }
    }

    /// A select of the candidates.
    fn select(&self, query: &Query, most: usize) -> (Sql, String) {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let also = reach::also(&mut sql, self.ctx, self.catalog);
        if sql.is_postgres() {
            let words = sql.bind(query.whole().tsquery());
            let listed = also
                .map(|ids| format!(" UNION SELECT * FROM kith_search_among({}, ARRAY({ids}), {most})", sql.bind(query.words.tsquery())));
            let found = format!("SELECT * FROM kith_search({words}, {most}){}", listed.unwrap_or_default());
            // Every parameter must stand somewhere.
            return (sql, format!("SELECT e.* FROM ({found}) e (record_id, object, title) WHERE $1::uuid IS NOT NULL LIMIT {most}"));
        }
        // SQLite takes a cross join as it is written: the words first. Asked of one entry after the other, the index begins
        // anew each time.
        let found = |words: &str, listed: &str| {
            format!(
                "SELECT e.record_id, e.object, e.title FROM search_word s CROSS JOIN search_entry e ON e.place = s.rowid \
                 WHERE s.search_word MATCH {words} AND e.workspace_id = $1{listed}"
            )
        };
        let first = found(&sql.bind(query.whole().fts5()), "");
        let listed = also.map(|ids| format!(" UNION {}", found(&sql.bind(query.words.fts5()), &format!(" AND e.record_id IN ({ids})"))));
        (sql, format!("{first}{} LIMIT {most}", listed.unwrap_or_default()))
    }

    /// The candidates, and whether the index had as many as it gives.
    async fn candidates(&self, query: &Query, most: usize) -> Result<(Vec<Hit>, bool)> {
        let (sql, select) = self.select(query, most);
        let rows = self.tx.fetch_all(&select, sql.values).await?;
        let is_capped = rows.len() >= most;
        let mut hits = Vec::with_capacity(rows.len());
        for row in &rows {
            let text = |index| row.text(index).map(|text| text.unwrap_or_default().to_owned());
            let hit = Hit { id: row.uuid(0)?.unwrap_or_default(), object: text(1)?, title: text(2)?, score: 0 };
            // What was shared is of whatever object.
            if self.objects.is_none_or(|names| names.contains(&hit.object)) {
                hits.push(hit);
            }
        }
        Ok((hits, is_capped))
    }

    /// Of records with searched fields that the caller does not see whole, only those that have the words in what
    /// they do see: else a search would tell what is hidden.
    pub async fn keep_what_shows(&self, hits: &mut Vec<Hit>) -> Result<()> {
        let mut narrow: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        // A misspelt title shows to everybody who sees the record.
        for hit in hits.iter().filter(|hit| !rank::is_misspelt(hit.score)) {
            if self.catalog.find(&hit.object).is_some_and(|object| self.is_narrow(object)) {
                narrow.entry(hit.object.clone()).or_default().push(hit.id);
            }
        }
        let tag = Tag::of(self.ctx.workspace);
        for (name, ids) in narrow {
            let object = self.catalog.object(&name).clone();
            let access = self.ctx.access.object(&name);
            let shows = |field: &Field| field.name == object.title || access.field(&field.access_name()).sight == Sight::Full;
            let mut fitting = HashSet::new();
            for ids in ids.chunks(BATCH) {
                for loaded in state::load(self.tx, self.ctx, &object, ids, false).await? {
                    let words = Entry::shown(self.ctx.workspace, &object, &loaded.state, &shows);
                    if self.sought.terms.iter().all(|term| words.have(&tag, term)) {
                        fitting.insert(loaded.id);
                    }
                }
            }
            hits.retain(|hit| hit.object != name || rank::is_misspelt(hit.score) || fitting.contains(&hit.id));
        }
        Ok(())
    }
}

fn number(row: Option<&Row>) -> Result<usize> {
    let number = row.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
    Ok(usize::try_from(number).unwrap_or(0))
}
