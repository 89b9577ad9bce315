//! Places in a feed, as callers keep them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::Micros;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Where somebody who follows has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last entry of the log that is known. While the first load is under way: the last one before it began.
    pub seq: i64,
    pub place: Place,
    /// When that was: which day was "today".
    pub at: Micros,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The lists are loaded: what follows are changes.
    #[default]
    Changes,
    /// The lists are being loaded: which scope, and the last record of it. Of whose access a list is being loaded is told
    /// by its fingerprint.
    Loading { scope: usize, last: Option<Uuid> },
}

#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(rename = "s")]
    seq: i64,
    /// What the caller may see and what is followed: under another one the lists are others.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    access: Option<String>,
    #[serde(rename = "t", default)]
    at: i64,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    loading: Option<(usize, Option<Uuid>)>,
}

impl Cursor {
    pub const fn at(seq: i64, at: Micros) -> Self {
        Self { seq, place: Place::Changes, at }
    }

    /// As it is given to callers; `access` is what the lists depend on besides the records.
    pub fn write(&self, access: Option<&str>) -> String {
        let loading = match self.place {
            Place::Changes => None,
            Place::Loading { scope, last } => Some((scope, last)),
        };
        let written = Written { seq: self.seq, access: access.map(str::to_owned), at: self.at.0, loading };
        URL_SAFE_NO_PAD.encode(serde_json::to_string(&written).unwrap_or_default())
    }

    /// Reads what [`Cursor::write`] wrote: the place, and under which access.
    pub fn read(text: &str) -> Result<(Self, Option<String>)> {
        let refuse = || Error::bad_request("The cursor is not one that a feed or `changeCursor` gave.");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
        let written: Written = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
        if written.seq < 0 {
            return Err(refuse());
        }
        let place = written.loading.map_or(Place::Changes, |(scope, last)| Place::Loading { scope, last });
        Ok((Self { seq: written.seq, place, at: Micros(written.at) }, written.access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_being_kept() {
        for cursor in [
            Cursor::at(0, Micros(1)),
            Cursor::at(i64::MAX, Micros(2)),
            Cursor { seq: 7, place: Place::Loading { scope: 2, last: Some(Uuid::from_u128(9)) }, at: Micros(3) },
        ] {
            assert_eq!(Cursor::read(&cursor.write(Some("x"))).unwrap(), (cursor, Some("x".to_owned())));
        }
        for wrong in ["", "x", "e30", "eyJzIjotMX0"] {
            assert!(Cursor::read(wrong).is_err(), "{wrong}");
        }
    }
}
