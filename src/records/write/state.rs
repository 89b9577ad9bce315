//! A record's stored values, by API name, read and written as a whole.

use sea_orm::Value;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::catalog::{Catalog, Field, Kind, Object, Store, Via};
use crate::error::Result;
use crate::infra::db::{Backend, Row, Tx};
use crate::infra::text::fold;
use crate::platform::Ctx;
use crate::records::access::{self, Verb};
use crate::records::sql::{Sql, all_of, quoted};

/// Stored values by API name: fields, to-one relations (the other's id), and `custom`.
pub type State = Map<String, Json>;

/// A record as it stands in the database.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub id: Uuid,
    pub version: i64,
    pub deleted: bool,
    pub state: State,
}

impl Loaded {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.state.get(name).and_then(Json::as_str)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.state.get(name).and_then(Json::as_i64)
    }

    pub fn reference(&self, name: &str) -> Option<Uuid> {
        self.text(name).and_then(|id| id.parse().ok())
    }
}

/// A column and where its value stands in the state.
pub struct Column<'a> {
    pub name: String,
    pub store: Store,
    pub key: &'a str,
    pub part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    Amount,
    Currency,
    Folded,
}

/// Fields that the write path sets itself.
const KEPT_BY_THE_DOOR: [&str; 5] = ["version", "createdAt", "updatedAt", "deletedAt", "source"];

pub fn columns(object: &Object) -> Vec<Column<'_>> {
    let mut columns = Vec::new();
    let mut push = |name: String, store, key, part| columns.push(Column { name, store, key, part });
    for field in object.fields.values().filter(|field| !KEPT_BY_THE_DOOR.contains(&field.name.as_str())) {
        let Some(column) = field.column_name() else { continue };
        let store = field.kind.store();
        if field.kind == Kind::Money {
            push(column.to_owned(), store, &field.name, Part::Amount);
            push(format!("{column}_currency"), Store::Text, &field.name, Part::Currency);
        } else {
            push(column.to_owned(), store, &field.name, Part::Whole);
        }
        if let Some(folded) = field.fold_column.as_ref().filter(|folded| *folded != column) {
            push(folded.clone(), Store::Text, &field.name, Part::Folded);
        }
    }
    for relation in object.relations.values() {
        if let Via::Column(column) = &relation.via {
            push(column.clone(), Store::Uuid, &relation.name, Part::Whole);
        }
    }
    columns.push(Column { name: "custom".into(), store: Store::Json, key: "custom", part: Part::Whole });
    columns
}

/// Reads records; `lock` keeps others from writing them until the commit.
pub async fn load(tx: &Tx, ctx: &Ctx, object: &Object, ids: &[Uuid], lock: bool) -> Result<Vec<Loaded>> {
    let marks: Vec<String> = (0..ids.len()).map(|index| format!("${}", index + 2)).collect();
    let parameters = ids.iter().map(|id| Value::from(*id)).collect();
    load_where(tx, ctx, object, &format!("id IN ({})", marks.join(", ")), parameters, lock).await
}

/// Reads a record that the caller reaches, and whether what they want to do with it is their right.
/// No verb: the server's own doing.
pub async fn load_reached(
    tx: &Tx,
    ctx: &Ctx,
    catalog: &Catalog,
    object: &Object,
    id: Uuid,
    verb: Option<Verb>,
) -> Result<Option<(Loaded, bool)>> {
    let mut sql = Sql::new(tx.backend(), ctx.workspace);
    let mark = sql.bind(id);
    let mut reach = |verb: Verb| access::reached(&mut sql, ctx, catalog, object, &object.table, verb);
    let (read, right) = match verb {
        None => (None, None),
        Some(verb) => (reach(Verb::Read), reach(verb)),
    };
    let is = format!("id = {mark}");
    let both: Vec<String> = [Some(is.clone()), read.clone(), right.clone()].into_iter().flatten().collect();
    let parameters = sql.values.split_off(1);
    let found = load_where(tx, ctx, object, &all_of(&both), parameters.clone(), true).await?.into_iter().next();
    if found.is_some() || right.is_none() {
        return Ok(found.map(|found| (found, true)));
    }
    // Not to be changed; whether it may be seen is another question.
    let seen: Vec<String> = [Some(is), read].into_iter().flatten().collect();
    // Every parameter must stand somewhere in the statement.
    let unused = format!("({} OR TRUE)", right.unwrap_or_default());
    let condition = format!("{} AND {unused}", all_of(&seen));
    Ok(load_where(tx, ctx, object, &condition, parameters, false).await?.into_iter().next().map(|found| (found, false)))
}

/// Reads the records that a condition finds; its own parameters begin with `$2`.
pub async fn load_where(tx: &Tx, ctx: &Ctx, object: &Object, condition: &str, parameters: Vec<Value>, lock: bool) -> Result<Vec<Loaded>> {
    let columns = columns(object);
    let names: Vec<String> = columns
        .iter()
        .filter(|column| column.part != Part::Folded)
        .map(|column| {
            let name = quoted(&column.name);
            if column.store == Store::Json && tx.backend() == Backend::Postgres { format!("{name}::text") } else { name }
        })
        .collect();
    let lock = if lock && tx.backend() == Backend::Postgres { " FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT id, version, deleted_at, {} FROM {} {} WHERE workspace_id = $1 AND {condition} ORDER BY id{lock}",
        names.join(", "),
        object.rows(),
        object.table,
    );
    let mut values: Vec<Value> = vec![ctx.workspace.into()];
    values.extend(parameters);
    let rows = tx.fetch_all(&sql, values).await?;
    rows.iter().map(|row| read(row, &columns)).collect()
}

fn read(row: &Row, columns: &[Column<'_>]) -> Result<Loaded> {
    let mut state = State::new();
    let read = columns.iter().filter(|column| column.part != Part::Folded);
    for (index, column) in (3..).zip(read) {
        let value = match column.store {
            Store::Text => row.text(index)?.map(Json::from),
            Store::Int => row.int(index)?.map(Json::from),
            Store::Bool => row.bool(index)?.map(Json::from),
            Store::Date => row.date(index)?.map(|day| json!(day.to_string())),
            Store::Uuid => row.uuid(index)?.map(|id| json!(id)),
            Store::Json => row.text(index)?.map(serde_json::from_str).transpose()?,
        };
        let value = value.unwrap_or(Json::Null);
        match column.part {
            Part::Amount if !value.is_null() => {
                state.insert(column.key.to_owned(), json!({ "amount": value }));
            }
            Part::Currency => {
                if let Some(money) = state.get_mut(column.key).filter(|money| money.is_object()) {
                    money["currency"] = value;
                }
            }
            _ => {
                state.insert(column.key.to_owned(), value);
            }
        }
    }
    Ok(Loaded { id: row.uuid(0)?.unwrap_or_default(), version: row.int(1)?.unwrap_or_default(), deleted: row.int(2)?.is_some(), state })
}

/// The columns of a state and their values; of an update, only those whose member changed.
pub fn values(object: &Object, state: &State, changed: Option<&dyn Fn(&str) -> bool>) -> Vec<(String, Value)> {
    let wanted = |key: &str| changed.is_none_or(|changed| changed(key));
    columns(object)
        .into_iter()
        .filter(|column| wanted(column.key))
        .map(|column| {
            let value = column_value(object.fields.get(column.key), &column, state.get(column.key).unwrap_or(&Json::Null));
            (quoted(&column.name), value)
        })
        .collect()
}

/// The most bytes of a folded text: an entry of a PostgreSQL index takes 2,704.
const MOST_FOLDED: usize = 1_000;

fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_FOLDED)]
}

fn column_value(field: Option<&Field>, column: &Column<'_>, value: &Json) -> Value {
    match column.part {
        Part::Amount => return value["amount"].as_i64().into(),
        Part::Currency => return value["currency"].as_str().map(str::to_owned).into(),
        Part::Folded => return value.as_str().map(|text| clipped(&fold(text)).to_owned()).into(),
        Part::Whole => {}
    }
    match column.store {
        Store::Text => value.as_str().map(str::to_owned).into(),
        Store::Int => value.as_i64().into(),
        Store::Bool => value.as_bool().into(),
        Store::Date => value.as_str().and_then(|day| day.parse::<chrono::NaiveDate>().ok()).into(),
        Store::Uuid => value.as_str().and_then(|id| id.parse::<Uuid>().ok()).into(),
        // A list that was never given is empty, where the column cannot be null.
        Store::Json if value.is_null() && field.is_some_and(|field| field.kind.is_list()) => json!([]).into(),
        Store::Json if value.is_null() && column.key == "custom" => json!({}).into(),
        Store::Json if value.is_null() => Value::Json(None),
        Store::Json => value.clone().into(),
    }
}
