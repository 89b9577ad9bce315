//! A row of either database, read by position.

use sqlx::Row as _;
use sqlx::types::Uuid;
use sqlx::types::chrono::NaiveDate;

#[derive(Debug)]
pub enum Row {
    Postgres(sqlx::postgres::PgRow),
    Sqlite(sqlx::sqlite::SqliteRow),
}

macro_rules! read {
    ($row:expr, $index:expr) => {
        match $row {
            Row::Postgres(row) => row.try_get($index),
            Row::Sqlite(row) => row.try_get($index),
        }
    };
}

impl Row {
    pub fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        read!(self, index)
    }

    pub fn int(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        read!(self, index)
    }

    pub fn bool(&self, index: usize) -> Result<Option<bool>, sqlx::Error> {
        read!(self, index)
    }

    pub fn uuid(&self, index: usize) -> Result<Option<Uuid>, sqlx::Error> {
        read!(self, index)
    }

    pub fn date(&self, index: usize) -> Result<Option<NaiveDate>, sqlx::Error> {
        read!(self, index)
    }
}
