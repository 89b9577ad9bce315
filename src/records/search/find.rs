//! The candidates: which records have the words.
//!
//! Titles are looked through first, then all texts, then, where little was found, misspelt titles; each time the
//! index gives so many at most. On PostgreSQL a function of the tables' owner asks the index, for under row-level
//! security no policy lets an operator like `@@` use one; what it gives are ids, which are joined with rows that
//! the caller's policies let through.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use sea_orm::Value;
use uuid::Uuid;

use super::entry::{self, Entry};
use super::rank;
use super::reach;
use super::words::{Mark, Sought, Tag, Term, misspelt};
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

/// The hits, best first, and how many there are.
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
        for marks in [&[Mark::Title][..], &[Mark::Title, Mark::Text]] {
            let (found, is_capped) = self.candidates(&self.query(marks), most).await?;
            hits.is_capped = is_capped;
            let fresh = found.into_iter().filter(|hit| known.insert(hit.id));
            hits.list.extend(fresh.map(|hit| Hit { score: rank::score(self.sought, &hit.title), ..hit }));
            if hits.list.len() >= most {
                break;
            }
        }
        self.keep_what_shows(&mut hits.list).await?;
        if hits.list.len() < few
            && let Some(query) = self.misspelt()
        {
            let (found, _) = self.candidates(&query, MOST_MISSPELT).await?;
            let fresh = found.into_iter().filter(|hit| known.insert(hit.id));
            hits.list.extend(fresh.filter_map(|hit| Some(Hit { score: rank::misspelt(self.sought, &hit.title)?, ..hit })));
        }
        hits.list.truncate(most);
        hits.list.sort_unstable_by_key(|hit| Reverse((hit.score, hit.id)));
        Ok(hits)
    }

    /// How many records fit, up to a bound; and, beyond that, about how many.
    pub async fn count(&self, most: usize) -> Result<(usize, bool)> {
        let query = self.query(&[Mark::Title, Mark::Text]);
        let (sql, with, rows) = self.select(&query, most + 1);
        let rows = self.tx.fetch_all(&format!("{with}SELECT count(*) FROM ({rows}) c"), sql.values).await?;
        let count = number(rows.first(), 0)?;
        if count <= most {
            return Ok((count, false));
        }
        let (text, words) = match self.tx.backend() {
            Backend::Postgres => ("SELECT kith_search_estimate($1)", query.whole().tsquery()),
            Backend::Sqlite => ("SELECT count(*) FROM search_word s WHERE s.search_word MATCH $1", query.whole().fts5()),
        };
        let words: Value = words.into();
        let rows = self.tx.fetch_all(text, vec![words]).await?;
        Ok((number(rows.first(), 0)?.max(most), true))
    }

    /// Whether the caller sees every searched field of everything that is searched.
    pub fn sees_all_fields(&self) -> bool {
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
        self.reached(&tag, self.sought.terms.iter().map(|term| term.map(&marked)).collect())
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

    /// A select of the candidates that the caller reaches, and what stands before it.
    fn select(&self, query: &Query, most: usize) -> (Sql, String, String) {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let also = reach::also(&mut sql, self.ctx, self.catalog);
        let reached = access::reached_any(&mut sql, self.ctx, self.catalog, "r").map(|reached| format!(" AND {reached}"));
        let mut conditions = vec![format!("r.deleted_at IS NULL{}", reached.unwrap_or_default())];
        if let Some(names) = self.objects {
            let names = sql.bind_all(names.iter().map(|name| name.clone().into()).collect());
            conditions.push(format!("e.object IN ({})", if names.is_empty() { "NULL" } else { &names }));
        }
        let conditions = all_of(&conditions);
        let columns = "SELECT e.record_id, e.object, e.title FROM";
        let record = "JOIN record r ON r.workspace_id = $1 AND r.id = e.record_id";
        if sql.is_postgres() {
            let words = sql.bind(query.whole().tsquery());
            let listed = also
                .map(|ids| format!(" UNION SELECT * FROM kith_search_among({}, ARRAY({ids}), {most})", sql.bind(query.words.tsquery())));
            let with = format!("WITH s (id) AS MATERIALIZED (SELECT * FROM kith_search({words}, {most}){}) ", listed.unwrap_or_default());
            let rows = format!(
                "{columns} s JOIN search_entry e ON e.workspace_id = $1 AND e.record_id = s.id {record} WHERE {conditions} LIMIT {most}"
            );
            return (sql, with, rows);
        }
        let found = |words: &str, listed: &str| {
            format!(
                "{columns} search_word s JOIN search_entry e ON e.place = s.rowid {record} \
                 WHERE s.search_word MATCH {words} AND e.workspace_id = $1{listed} AND {conditions}"
            )
        };
        let first = found(&sql.bind(query.whole().fts5()), "");
        let listed = also.map(|ids| format!(" UNION {}", found(&sql.bind(query.words.fts5()), &format!(" AND e.record_id IN ({ids})"))));
        (sql, String::new(), format!("{first}{} LIMIT {most}", listed.unwrap_or_default()))
    }

    /// The candidates that the caller reaches, and whether the index had as many as it gives.
    async fn candidates(&self, query: &Query, most: usize) -> Result<(Vec<Hit>, bool)> {
        let (sql, with, rows) = self.select(query, most);
        let text = if sql.is_postgres() {
            format!("{with}SELECT c.*, n.n FROM (SELECT count(*) AS n FROM s) n LEFT JOIN ({rows}) c ON TRUE")
        } else {
            rows
        };
        let is_postgres = sql.is_postgres();
        let rows = self.tx.fetch_all(&text, sql.values).await?;
        let given = if is_postgres { number(rows.first(), 3)? } else { rows.len() };
        let mut hits = Vec::with_capacity(rows.len());
        for row in &rows {
            // A count comes with at least one row.
            let Some(id) = row.uuid(0)? else { continue };
            let text = |index| row.text(index).map(|text| text.unwrap_or_default().to_owned());
            hits.push(Hit { id, object: text(1)?, title: text(2)?, score: 0 });
        }
        Ok((hits, given >= most))
    }

    /// Of records with searched fields that the caller does not see whole, only those that have the words in what
    /// they do see: else a search would tell what is hidden.
    async fn keep_what_shows(&self, hits: &mut Vec<Hit>) -> Result<()> {
        let mut narrow: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for hit in hits.iter() {
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
            hits.retain(|hit| hit.object != name || fitting.contains(&hit.id));
        }
        Ok(())
    }
}

fn number(row: Option<&Row>, index: usize) -> Result<usize> {
    let number = row.map(|row| row.int(index)).transpose()?.flatten().unwrap_or(0);
    Ok(usize::try_from(number).unwrap_or(0))
}
