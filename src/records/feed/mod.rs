//! What changed, as one caller may know it: the change log, read through the one door.
//!
//! The log tells which records were touched, and in which order ([`log`]). Whether a record is in a caller's list is asked
//! of the database, with the caller's filter and access ([`members`]): so what they are told is relative to both, and a
//! record comes in or goes out also because a related record, a share or the time of day changed. What is shown of it
//! is read like everything else ([`mod@show`]).
//!
//! Two readers use it: subscriptions, which remember what is in the list ([`members::Members`]), and whoever comes back
//! after a while, for whom the list as it was is asked of the past ([`mod@since`]).

mod cursor;
mod log;
mod members;
mod show;
mod since;
mod step;

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

pub use cursor::{Cursor, Place};
pub use log::{Detail, Entry, Reach, details, entries_at, head, is_unbroken, read};
pub use members::{Members, Remember, is_in, moved};
pub use show::{Line, Shown, gap, show, show_each};
pub use since::{Page, each, first_load, keeps_sight, sight, since};
pub use step::{Handler, Look, step};

use crate::catalog::{Object, Variant};

/// Records of one object that match a filter.
#[derive(Clone)]
pub struct Scope {
    pub object: Arc<Object>,
    pub variant: Option<&'static Variant>,
    /// Null: all of them.
    pub filter: Json,
}

impl Scope {
    /// Tells two scopes apart.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.object.name, self.variant.map_or("", |variant| variant.name), self.filter)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Entered,
    Updated,
    Left,
    /// Changes are missing: whoever follows must read anew.
    Gap,
    /// What records look like changed.
    SchemaChanged,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entered => "ENTERED",
            Self::Updated => "UPDATED",
            Self::Left => "LEFT",
            Self::Gap => "GAP",
            Self::SchemaChanged => "SCHEMA_CHANGED",
        }
    }
}

/// What happened to a record of a list.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: Kind,
    /// Which of the scopes the record is of.
    pub scope: usize,
    pub record: Uuid,
    /// The last entry of the log about it; where there is none, because something else moved the record, the last that
    /// was read, and who did it is not known.
    pub seq: i64,
    /// The first entry that may have caused it: whoever goes on before that is told of it again.
    pub first: i64,
    pub entry: Option<Arc<Entry>>,
    /// Fields that were changed, by API name.
    pub fields: Vec<String>,
    /// While lists are loaded: the record by which the place in the list is known.
    pub place: Option<Uuid>,
}

impl Event {
    /// What an entry says of its record to somebody who sees every record.
    pub fn of_entry(entry: &Arc<Entry>) -> Self {
        let kind = if entry.begins() {
            Kind::Entered
        } else if entry.ends() {
            Kind::Left
        } else {
            Kind::Updated
        };
        Self {
            kind,
            scope: 0,
            record: entry.record,
            seq: entry.seq,
            first: entry.seq,
            entry: Some(entry.clone()),
            fields: entry.fields.clone(),
            place: None,
        }
    }
}
