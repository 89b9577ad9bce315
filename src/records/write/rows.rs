//! The statements of a write: spine, record, keys, search, index.
//!
//! A new record goes into four or five tables; on PostgreSQL that is one statement, so one round
//! trip. Unique values are claimed with `ON CONFLICT DO NOTHING`: fewer rows than asked for means
//! that somebody else has one, and the transaction is still alive to say which.

use std::fmt::Write as _;

use sea_orm::Value;
use uuid::Uuid;

use super::state::State;
use super::{Draft, Rejected, Unit, state};
use crate::catalog::Object;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::Backend;
use crate::records::keys::Key;
use crate::records::search::Entry;
use crate::records::sql::Sql;

impl Unit<'_> {
    pub(super) async fn insert(&mut self, draft: &mut Draft) -> Result<(), Rejected> {
        let keys = draft.keys(&draft.now);
        let parts: [Option<Part<'_>>; 5] = [
            Some(Part::Spine),
            Some(Part::Record),
            Some(Part::Search),
            (!draft.index_rows().is_empty()).then_some(Part::Index),
            (!keys.is_empty()).then_some(Part::Keys(&keys)),
        ];
        let parts: Vec<Part<'_>> = parts.into_iter().flatten().collect();
        let (written, claimed) = match self.tx.backend() {
            Backend::Postgres => {
                let mut sql = Sql::new(Backend::Postgres, self.ctx.workspace);
                let mut text = String::from("WITH ");
                for (index, part) in parts.iter().enumerate() {
                    let _ = write!(
                        text,
                        "{}w{index} AS ({} RETURNING 1)",
                        if index == 0 { "" } else { ", " },
                        self.statement(draft, part, &mut sql)
                    );
                }
                let _ = write!(text, " SELECT (SELECT count(*) FROM w1), (SELECT count(*) FROM w{})", parts.len() - 1);
                let row = self.tx.fetch_optional(&text, sql.values).await?.ok_or(sqlx::Error::RowNotFound)?;
                (row.int(0)?.unwrap_or(0), row.int(1)?.unwrap_or(0))
            }
            Backend::Sqlite => {
                let mut touched = 0;
                for part in &parts {
                    let mut sql = Sql::new(Backend::Sqlite, self.ctx.workspace);
                    let text = self.statement(draft, part, &mut sql);
                    touched = self.tx.run(&text, sql.values).await?;
                }
                (1, i64::try_from(touched).unwrap_or(0))
            }
        };
        if written == 0 {
            self.verify(draft).await?;
            let errors = std::mem::take(&mut draft.errors);
            return Err(if errors.is_empty() {
                Rejected::Failed(Error::fault("a reference came and went"))
            } else {
                Rejected::User { errors, conflict: None }
            });
        }
        // The last part is the keys, where there are any.
        if !keys.is_empty() && claimed < i64::try_from(keys.len()).unwrap_or(i64::MAX) {
            return Err(self.taken(draft, &keys).await?);
        }
        Ok(())
    }

    fn statement(&self, draft: &Draft, part: &Part<'_>, sql: &mut Sql) -> String {
        if matches!(part, Part::Record)
            && let Some(guard) = self.guard(draft, sql)
        {
            let row = self.rows_of(draft, part, sql).concat();
            let (into, _) = self.insert_into(&draft.object, part);
            return format!("{into} SELECT {} WHERE {guard}", &row[1..row.len() - 1]);
        }
        let rows = self.rows_of(draft, part, sql);
        self.insert_of(&draft.object, part, &rows.join(", "))
    }

    /// The statement that inserts rows of a part.
    pub(super) fn insert_of(&self, object: &Object, part: &Part<'_>, rows: &str) -> String {
        let (into, conflict) = self.insert_into(object, part);
        format!("{into} VALUES {rows}{conflict}")
    }

    /// What stands before the rows of a part, and behind them.
    fn insert_into(&self, object: &Object, part: &Part<'_>) -> (String, &'static str) {
        match part {
            Part::Spine => ("INSERT INTO record (workspace_id, id, object, owner_id, territory_id, created_at)".into(), ""),
            Part::Record => {
                let names: Vec<String> = self.columns_of(object, &State::new()).into_iter().map(|(name, _)| name).collect();
                (format!("INSERT INTO {} (workspace_id, id, {})", object.table, names.join(", ")), "")
            }
            Part::Search => (
                "INSERT INTO search_entry (workspace_id, record_id, object, title, words, stale)".into(),
                " ON CONFLICT (workspace_id, record_id) DO UPDATE SET title = excluded.title, words = excluded.words, stale = FALSE",
            ),
            Part::Index => ("INSERT INTO field_index (workspace_id, record_id, field_id, \"text\", number)".into(), ""),
            Part::Keys(_) => ("INSERT INTO record_key (workspace_id, record_id, object, key, value)".into(), " ON CONFLICT DO NOTHING"),
        }
    }

    /// The columns of a new record, and its values.
    fn columns_of(&self, object: &Object, state: &State) -> Vec<(String, Value)> {
        let mut columns = state::values(object, state, None);
        columns.extend(self.stamps(1, true));
        if object.own.is_some() {
            columns.push(("object".into(), object.name.clone().into()));
        }
        columns
    }

    /// The rows of a part that a draft has.
    pub(super) fn rows_of(&self, draft: &Draft, part: &Part<'_>, sql: &mut Sql) -> Vec<String> {
        let object = &draft.object;
        let nothing = match part {
            Part::Index => draft.index_rows().is_empty(),
            Part::Keys(keys) => keys.is_empty(),
            _ => false,
        };
        // What is bound must stand in the statement.
        if nothing {
            return Vec::new();
        }
        let id = sql.bind(draft.id);
        let mut row = |values: Vec<Value>| format!("($1, {id}, {})", sql.bind_all(values));
        match part {
            Part::Spine => vec![row(vec![
                object.name.clone().into(),
                draft.reference("owner").into(),
                draft.reference("territory").into(),
                self.now.0.into(),
            ])],
            Part::Record => vec![row(self.columns_of(object, &draft.now).into_iter().map(|(_, value)| value).collect())],
            Part::Search => {
                let Entry { title, words } = Entry::of(self.ctx.workspace, object, &draft.now);
                vec![row(vec![object.name.clone().into(), title.into(), words.into(), false.into()])]
            }
            Part::Index => {
                let rows = draft.index_rows().into_iter();
                rows.map(|(field, text, number)| row(vec![field.into(), text.into(), number.into()])).collect()
            }
            Part::Keys(keys) => {
                keys.iter().map(|key| row(vec![object.name.clone().into(), key.name.clone().into(), key.value.clone().into()])).collect()
            }
        }
    }

    /// Who wrote, and when.
    pub(super) fn stamps(&self, version: i64, new: bool) -> Vec<(String, Value)> {
        let (now, kind, id) = (self.now.0, self.ctx.actor.kind.as_str(), self.ctx.actor.id);
        let mut stamps: Vec<(String, Value)> = vec![
            ("version".into(), version.into()),
            ("updated_at".into(), now.into()),
            ("updated_by_kind".into(), kind.into()),
            ("updated_by".into(), id.into()),
        ];
        if new {
            stamps.push(("created_at".into(), now.into()));
            stamps.push(("created_by_kind".into(), kind.into()));
            stamps.push(("created_by".into(), id.into()));
            stamps.push(("source".into(), self.ctx.cause.source().into()));
        }
        stamps
    }

    /// Writes the changed columns of a record that is there, and what hangs on them.
    pub(super) async fn update_rows(&mut self, draft: &Draft) -> Result<(), Rejected> {
        let changed = |key: &str| draft.changed(key);
        let mut columns = state::values(&draft.object, &draft.now, Some(&changed));
        columns.extend(self.stamps(draft.version + 1, false));
        self.update_columns(draft, columns).await?;
        self.keep_references(draft).await?;
        if draft.changed("owner") || draft.changed("territory") {
            let spine = "UPDATE record SET owner_id = $3, territory_id = $4 WHERE workspace_id = $1 AND id = $2";
            let (owner, territory) = (draft.reference("owner"), draft.reference("territory"));
            self.tx.run(spine, vec![self.ctx.workspace.into(), draft.id.into(), owner.into(), territory.into()]).await?;
        }
        let (old, new) = (draft.keys(&draft.before), draft.keys(&draft.now));
        self.release(draft, &old.iter().filter(|key| !new.contains(key)).collect::<Vec<_>>()).await?;
        let claim: Vec<Key> = new.into_iter().filter(|key| !old.contains(key)).collect();
        self.claim(draft, &claim).await?;
        if draft.changed("custom") {
            self.drop_index(draft.id).await?;
            if !draft.index_rows().is_empty() {
                self.one(draft, &Part::Index).await?;
            }
        }
        let entry = |state| Entry::of(self.ctx.workspace, &draft.object, state);
        if entry(&draft.before) != entry(&draft.now) {
            self.one(draft, &Part::Search).await?;
        }
        Ok(())
    }

    pub(super) async fn update_columns(&mut self, draft: &Draft, columns: Vec<(String, Value)>) -> Result<()> {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let id = sql.bind(draft.id);
        let sets: Vec<String> = columns.into_iter().map(|(name, value)| format!("{name} = {}", sql.bind(value))).collect();
        let text = format!("UPDATE {} SET {} WHERE workspace_id = $1 AND id = {id}", draft.object.table, sets.join(", "));
        self.tx.run(&text, sql.values).await?;
        Ok(())
    }

    /// Marks a record as deleted (or no longer so) and moves its version.
    pub(super) async fn mark_deleted(&mut self, draft: &Draft, deleted: bool) -> Result<()> {
        let mut columns = self.stamps(draft.version + 1, false);
        let at: Option<i64> = deleted.then_some(self.now.0);
        columns.push(("deleted_at".into(), at.into()));
        let spine = "UPDATE record SET deleted_at = $1 WHERE workspace_id = $2 AND id = $3";
        self.tx.run(spine, vec![at.into(), self.ctx.workspace.into(), draft.id.into()]).await?;
        self.update_columns(draft, columns).await
    }

    pub(super) async fn write_search(&mut self, draft: &Draft) -> Result<()> {
        self.one(draft, &Part::Search).await
    }

    async fn one(&mut self, draft: &Draft, part: &Part<'_>) -> Result<()> {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let text = self.statement(draft, part, &mut sql);
        self.tx.run(&text, sql.values).await?;
        Ok(())
    }

    pub(super) async fn claim(&mut self, draft: &Draft, keys: &[Key]) -> Result<(), Rejected> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let text = self.statement(draft, &Part::Keys(keys), &mut sql);
        let claimed = self.tx.run(&text, sql.values).await?;
        if claimed < u64::try_from(keys.len()).unwrap_or(u64::MAX) {
            return Err(self.taken(draft, keys).await?);
        }
        Ok(())
    }

    async fn release(&mut self, draft: &Draft, keys: &[&Key]) -> Result<()> {
        for key in keys {
            let sql = "DELETE FROM record_key WHERE workspace_id = $1 AND record_id = $2 AND key = $3 AND value = $4";
            self.tx.run(sql, vec![self.ctx.workspace.into(), draft.id.into(), key.name.clone().into(), key.value.clone().into()]).await?;
        }
        Ok(())
    }

    /// Says which of the keys belong to another record.
    pub(super) async fn taken(&mut self, draft: &Draft, keys: &[Key]) -> Result<Rejected> {
        let mut errors = Vec::new();
        for key in keys {
            let sql = "SELECT record_id FROM record_key WHERE workspace_id = $1 AND object = $2 AND key = $3 AND value = $4";
            let values =
                vec![self.ctx.workspace.into(), draft.object.name.clone().into(), key.name.clone().into(), key.value.clone().into()];
            let holder = self.tx.fetch_optional(sql, values).await?.map(|row| row.uuid(0)).transpose()?.flatten();
            if holder.is_some_and(|holder| holder != draft.id) {
                let field = key.field.as_str();
                let path: Vec<&str> = if key.name.starts_with("custom.") { vec!["custom", field] } else { vec![field] };
                let label = draft.object.label.to_lowercase();
                let sealed = draft.object.kept_in_document().any(|kept| kept.settings.encrypted && kept.access_name() == key.name);
                let value = if sealed { "this value".to_owned() } else { format!("the value `{}`", key.value) };
                let message = format!("Another {label} has {value} already.");
                errors.push(UserError::new(UserErrorCode::Taken, &path, message).within(&draft.path));
            }
        }
        Ok(Rejected::User { errors, conflict: None })
    }

    async fn drop_index(&mut self, id: Uuid) -> Result<()> {
        self.delete_where("field_index", "record_id", id).await
    }

    /// A deleted record gives up its keys and is no longer found.
    pub(super) async fn drop_keys_and_search(&mut self, id: Uuid) -> Result<()> {
        self.delete_where("record_key", "record_id", id).await?;
        self.delete_where("search_entry", "record_id", id).await
    }

    /// Removes every row of a record, links included.
    pub(super) async fn erase(&mut self, table: &str, id: Uuid) -> Result<()> {
        self.drop_keys_and_search(id).await?;
        self.drop_index(id).await?;
        self.delete_where("record_link", "from_id", id).await?;
        self.delete_where("record_link", "to_id", id).await?;
        self.delete_where("past_link", "from_id", id).await?;
        self.delete_where("past_link", "to_id", id).await?;
        self.delete_where(table, "id", id).await?;
        self.delete_where("record", "id", id).await
    }

    async fn delete_where(&mut self, table: &str, column: &str, id: Uuid) -> Result<()> {
        let sql = format!("DELETE FROM {table} WHERE workspace_id = $1 AND {column} = $2");
        self.tx.run(&sql, vec![self.ctx.workspace.into(), id.into()]).await?;
        Ok(())
    }
}

/// A table that a record has rows in.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Spine,
    Record,
    Search,
    Index,
    Keys(&'a [Key]),
}
