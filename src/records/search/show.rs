//! `search(query:)`: a page of hits, and what is shown of them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::entry::{searched, texts};
use super::find::{Hit, Search};
use super::highlight::{self, Part};
use super::words::Sought;
use super::{FEW, MOST_COUNTED, MOST_HITS, MOST_LISTED};
use crate::catalog::{Catalog, Kind, Object, Store};
use crate::error::{Error, Result};
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::platform::access::Sight;
use crate::records::read::cell::{Cell, Cells, write_text};
use crate::records::read::page::MOST_ROWS;
use crate::records::read::shape::{NodeShape, Shaper, array, object};
use crate::records::read::{PageField, Planner, Scope, page_fields};
use crate::records::selection::{Merged, Selection, collect};

/// Hits on a page, when nothing is said.
const USUAL_HITS: usize = 20;

/// Answers the root field, as JSON.
pub async fn answer(ctx: &Ctx, catalog: &Catalog, tx: &Tx, arguments: &Map<String, Json>, selection: &Selection) -> Result<String> {
    let sought = super::read(arguments.get("query").and_then(Json::as_str).unwrap_or_default()).map_err(|e| e.within("query"))?;
    let objects = objects(catalog, arguments.get("objects").unwrap_or(&Json::Null));
    let search = Search { ctx, catalog, tx, sought: &sought, objects: objects.as_deref() };
    let (limit, after) = (limit(arguments)?, after(arguments)?);
    let is_known = search.is_known();
    // Where the index cannot tell what the caller reaches, more candidates are looked at.
    let hits = search.hits(if is_known { MOST_HITS } else { MOST_LISTED }, FEW).await?;
    let whole = collect(&[selection], |_| true);
    let counts = |part: &Merged<'_>| matches!(part.name, "totalCount" | "totalIsEstimate");
    let mut list = hits.list;
    let total = match (hits.is_capped, is_known) {
        _ if !whole.iter().any(counts) => (0, false),
        (true, true) => search.count(MOST_COUNTED).await?,
        (true, false) => {
            // As many of all as show of the best ones.
            let sample: Vec<Hit> = list.iter().take(MOST_HITS).cloned().collect();
            let (looked_at, shown) = (sample.len(), search.verify(sample).await?.len());
            (search.count(MOST_COUNTED).await?.0.saturating_mul(shown) / looked_at.max(1), true)
        }
        (false, true) => (list.len(), false),
        (false, false) => {
            list = search.verify(list).await?;
            (list.len(), false)
        }
    };
    let later = list.into_iter().filter(|hit| after.is_none_or(|(score, id)| (hit.score, hit.id) < (score, id)));
    let mut page = search.first(later.collect(), limit + 1).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    let page: Vec<&Hit> = page.iter().collect();
    let plan = Shown::plan(ctx, catalog, tx, &sought, &page, &whole).await?;
    let mut out = String::with_capacity(256 + page.len() * 256);
    plan.write(&whole, &Page { hits: &page, total, more, from_cursor: after.is_some() }, &mut out)?;
    Ok(out)
}

fn objects(catalog: &Catalog, names: &Json) -> Option<Vec<String>> {
    let single = std::slice::from_ref(names);
    if names.is_null() {
        return None;
    }
    let names = names.as_array().map_or(single, Vec::as_slice).iter().filter_map(Json::as_str);
    Some(names.filter_map(|name| catalog.by_enum(name)).map(|object| object.name.clone()).collect())
}

fn limit(arguments: &Map<String, Json>) -> Result<usize> {
    let refuse = || Error::bad_request(format!("`first` is a number from 0 to {MOST_ROWS}.")).within("first");
    match arguments.get("first").unwrap_or(&Json::Null) {
        Json::Null => Ok(USUAL_HITS),
        count => count.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MOST_ROWS).ok_or_else(refuse),
    }
}

/// A place among hits: its score, and the record.
fn cursor(hit: &Hit) -> String {
    URL_SAFE_NO_PAD.encode(format!("search {} {}", hit.score, hit.id.simple()))
}

fn after(arguments: &Map<String, Json>) -> Result<Option<(u16, Uuid)>> {
    let Some(text) = arguments.get("after").and_then(Json::as_str) else { return Ok(None) };
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (score, id) = std::str::from_utf8(&bytes).ok()?.strip_prefix("search ")?.split_once(' ')?;
        Some((score.parse().ok()?, id.parse().ok()?))
    };
    match read() {
        Some(place) => Ok(Some(place)),
        None => Err(Error::bad_request("The cursor is not one that a search gave. Start again without it.").within("after")),
    }
}

struct Page<'a> {
    hits: &'a [&'a Hit],
    total: (usize, bool),
    more: bool,
    from_cursor: bool,
}

/// The records of a page, as far as they are selected.
struct Shown<'a> {
    catalog: &'a Catalog,
    sought: &'a Sought,
    shaper: Shaper<'a>,
    rows: Vec<crate::infra::db::Row>,
    /// The shape of each selection of `record`, in the order in which they stand.
    records: Vec<NodeShape>,
    /// The slot with the searched fields that show, and which they are, by object.
    texts: Option<usize>,
    access: &'a Ctx,
}

impl<'a> Shown<'a> {
    async fn plan(
        ctx: &'a Ctx,
        catalog: &'a Catalog,
        tx: &Tx,
        sought: &'a Sought,
        page: &[&Hit],
        whole: &[Merged<'_>],
    ) -> Result<Shown<'a>> {
        let shaper = Shaper {
            backend: tx.backend(),
            secrets: ctx.secrets.as_deref(),
            opened: &ctx.opened,
            problems: &ctx.problems,
            tally: &ctx.tally,
        };
        let mut shown = Self { catalog, sought, shaper, rows: Vec::new(), records: Vec::new(), texts: None, access: ctx };
        let mut planner = Planner::new(ctx, catalog, tx.backend());
        let alias = planner.sql.alias();
        let mut scope = Scope::new(alias.clone());
        scope.slot(format!("{alias}.id"), Store::Uuid);
        for part in hit_fields(whole) {
            match part.name {
                "record" => shown.records.push(planner.any(&mut scope, &format!("{alias}.id"), &part.children)?),
                "highlights" if shown.texts.is_none() => {
                    let texts = shown.texts_of(&planner, &alias, page);
                    shown.texts = Some(scope.slot(texts, Store::Json));
                }
                _ => {}
            }
        }
        if scope.slots.len() > 1 && !page.is_empty() {
            let columns: Vec<String> = scope.slots.iter().map(|(slot, store)| planner.sql.in_row(slot, *store)).collect();
            let ids = planner.sql.bind_all(page.iter().map(|hit| hit.id.into()).collect());
            let sql =
                format!("SELECT {} FROM record {alias} WHERE {alias}.workspace_id = $1 AND {alias}.id IN ({ids})", columns.join(", "));
            shown.rows = tx.fetch_all(&sql, planner.sql.values).await?;
        }
        Ok(shown)
    }

    fn shows<'o>(&self, object: &'o Object) -> impl Iterator<Item = &'o crate::catalog::Field> + use<'o> {
        let access = self.access.access.object(&object.name).clone();
        searched(object).filter(move |field| field.name == object.title || access.field(&field.access_name()).sight == Sight::Full)
    }

    /// The searched fields that show, of a record of whatever object, as a JSON array.
    fn texts_of(&self, planner: &Planner<'_>, spine: &str, page: &[&Hit]) -> String {
        let mut objects: Vec<&Arc<Object>> = page.iter().filter_map(|hit| self.catalog.find(&hit.object)).collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        objects.dedup_by(|a, b| a.name == b.name);
        let mut cases = String::new();
        for object in objects {
            let items: Vec<String> =
                self.shows(object).map(|field| planner.sql.in_json(&planner.sql.field("h", field), field.kind.store())).collect();
            cases.push_str(&format!(
                " WHEN '{}' THEN (SELECT {} FROM {} h WHERE h.workspace_id = $1 AND h.id = {spine}.id)",
                object.name,
                planner.sql.json_array(&items),
                object.rows()
            ));
        }
        if cases.is_empty() { "NULL".into() } else { format!("CASE {spine}.object{cases} END") }
    }

    fn write(&self, whole: &[Merged<'_>], page: &Page<'_>, out: &mut String) -> Result<()> {
        let mut record = 0;
        let fields: Vec<(String, &Merged<'_>)> = whole.iter().map(|part| (part.key.to_owned(), part)).collect();
        object(out, &fields, |part, out| {
            match part.name {
                "nodes" => {
                    let from = record;
                    record += records_in(&part.children);
                    self.hits(page.hits, &part.children, from, out)?;
                }
                "edges" => {
                    let from = record;
                    let inner = collect(&part.children, |_| true);
                    record += inner.iter().filter(|part| part.name == "node").map(|part| records_in(&part.children)).sum::<usize>();
                    array(out, page.hits, |hit, out| self.edge(hit, &inner, from, out))?;
                }
                "pageInfo" => write_page_info(part, page, out)?,
                "totalCount" => out.push_str(&page.total.0.to_string()),
                "totalIsEstimate" => out.push_str(if page.total.1 { "true" } else { "false" }),
                _ => out.push_str("\"SearchConnection\""),
            }
            Ok(())
        })
    }

    fn hits(&self, hits: &[&Hit], selections: &[&Selection], from: usize, out: &mut String) -> Result<()> {
        array(out, hits, |hit, out| self.hit(hit, selections, from, out))
    }

    fn edge(&self, hit: &Hit, inner: &[Merged<'_>], from: usize, out: &mut String) -> Result<()> {
        let mut record = from;
        let fields: Vec<(String, &Merged<'_>)> = inner.iter().map(|part| (part.key.to_owned(), part)).collect();
        object(out, &fields, |part, out| {
            match part.name {
                "node" => {
                    let at = record;
                    record += records_in(&part.children);
                    self.hit(hit, &part.children, at, out)?;
                }
                "cursor" => write_text(&cursor(hit), out),
                _ => out.push_str("\"SearchEdge\""),
            }
            Ok(())
        })
    }

    fn hit(&self, hit: &Hit, selections: &[&Selection], from: usize, out: &mut String) -> Result<()> {
        let id = hit.id.to_string();
        let mut row = None;
        for known in &self.rows {
            if known.cell(0, Store::Uuid)?.text().as_deref() == Some(id.as_str()) {
                row = Some(known);
            }
        }
        let object_of = self.catalog.find(&hit.object);
        let mut record = from;
        let fields: Vec<(String, Merged<'_>)> = collect(selections, |_| true).into_iter().map(|part| (part.key.to_owned(), part)).collect();
        object(out, &fields, |part, out| {
            match (part.name, row) {
                ("record", Some(row)) => {
                    self.shaper.node(&self.records[record], row, out)?;
                    record += 1;
                }
                ("record", None) => out.push_str("null"),
                ("object", _) => write_text(&object_of.map_or_else(String::new, |object| object.enum_name()), out),
                ("title", _) => write_text(&hit.title, out),
                ("score", _) => out.push_str(&thousandths(hit.score)),
                ("highlights", row) => self.highlights(object_of, row, part, out)?,
                _ => out.push_str("\"SearchResult\""),
            }
            Ok(())
        })
    }

    fn highlights(
        &self,
        object_of: Option<&Arc<Object>>,
        row: Option<&crate::infra::db::Row>,
        part: &Merged<'_>,
        out: &mut String,
    ) -> Result<()> {
        let (Some(object_of), Some(row), Some(slot)) = (object_of, row, self.texts) else {
            out.push_str("[]");
            return Ok(());
        };
        let values: Vec<Json> = match row.cell(slot, Store::Json)? {
            Cell::Json(document) => flat(serde_json::from_str(&document)?, self.shows(object_of).count()),
            _ => Vec::new(),
        };
        let mut found: Vec<(String, &str, Vec<Part>)> = Vec::new();
        for (field, value) in self.shows(object_of).zip(&values) {
            for text in texts(field, value) {
                let parts = match field.kind {
                    Kind::Phone | Kind::Phones => highlight::number(self.sought, text, text),
                    _ => highlight::parts(self.sought, text),
                };
                found.extend(parts.map(|parts| (field.access_name(), field.label.as_str(), parts)));
            }
        }
        let fields: Vec<(String, Merged<'_>)> =
            collect(&part.children, |_| true).into_iter().map(|part| (part.key.to_owned(), part)).collect();
        array(out, &found, |(name, label, parts), out| {
            object(out, &fields, |part, out| {
                match part.name {
                    "field" => write_text(name, out),
                    "label" => write_text(label, out),
                    "parts" => write_parts(parts, part, out)?,
                    _ => out.push_str("\"SearchHighlight\""),
                }
                Ok(())
            })
        })
    }
}

fn write_parts(parts: &[Part], selected: &Merged<'_>, out: &mut String) -> Result<()> {
    let fields: Vec<(String, &str)> =
        collect(&selected.children, |_| true).into_iter().map(|part| (part.key.to_owned(), part.name)).collect();
    array(out, parts, |part, out| {
        object(out, &fields, |name, out| {
            match *name {
                "text" => write_text(&part.text, out),
                "isMatch" => out.push_str(if part.is_match { "true" } else { "false" }),
                _ => out.push_str("\"SearchHighlightPart\""),
            }
            Ok(())
        })
    })
}

fn write_page_info(part: &Merged<'_>, page: &Page<'_>, out: &mut String) -> Result<()> {
    let place = |hit: Option<&&Hit>, out: &mut String| match hit {
        Some(hit) => write_text(&cursor(hit), out),
        None => out.push_str("null"),
    };
    object(out, &page_fields(part), |field, out| {
        match field {
            PageField::HasNext => out.push_str(if page.more { "true" } else { "false" }),
            PageField::HasPrevious => out.push_str(if page.from_cursor { "true" } else { "false" }),
            PageField::Start => place(page.hits.first(), out),
            PageField::End => place(page.hits.last(), out),
            PageField::Typename => out.push_str("\"PageInfo\""),
        }
        Ok(())
    })
}

/// The fields that are selected of hits, under `nodes` and `edges`, in order.
fn hit_fields<'m>(whole: &[Merged<'m>]) -> Vec<Merged<'m>> {
    let mut fields = Vec::new();
    for part in whole {
        match part.name {
            "nodes" => fields.extend(collect(&part.children, |_| true)),
            "edges" => {
                let nodes = collect(&part.children, |_| true).into_iter().filter(|part| part.name == "node");
                fields.extend(nodes.flat_map(|node| collect(&node.children, |_| true)));
            }
            _ => {}
        }
    }
    fields
}

fn records_in(selections: &[&Selection]) -> usize {
    collect(selections, |_| true).iter().filter(|part| part.name == "record").count()
}

/// A long row comes as an array of arrays.
fn flat(values: Vec<Json>, count: usize) -> Vec<Json> {
    if values.len() == count {
        return values;
    }
    values.into_iter().flat_map(|chunk| if let Json::Array(chunk) = chunk { chunk } else { Vec::new() }).collect()
}

fn thousandths(score: u16) -> String {
    format!("{}.{:03}", score / 1_000, score % 1_000)
}
