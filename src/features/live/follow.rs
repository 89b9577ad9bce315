//! From where somebody left off to what is live, without a hole.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Live, Renew, Seat, Told, Viewer, Wanted};
use crate::error::{Error, Result};
use crate::infra::db::{Db, Mode};
use crate::records::feed::{self, Cursor, Kind, Line};

/// Entries of the log that are looked at together while somebody catches up.
const BATCH: usize = 500;
/// Whoever was away for longer reads anew: that is quicker than so many changes.
pub const MOST_MISSED: i64 = 100_000;

/// Somebody who follows lists.
pub struct Follow {
    db: Db,
    live: Live,
    viewer: Viewer,
    wanted: Arc<Wanted>,
    renew: Renew,
    phase: Phase,
}

enum Phase {
    Start(Option<(i64, Option<String>)>),
    /// What was missed is read, while what happens waits in the room.
    CatchUp {
        seat: Seat,
        after: i64,
        more: bool,
        lines: VecDeque<Line>,
    },
    /// What was told by then is not told again.
    Live {
        seat: Seat,
        told: i64,
    },
    End,
}

/// What comes next.
pub enum Next {
    Event(Line<Arc<str>>),
    Failed(Arc<str>),
    /// Too much waited for whoever follows.
    TooSlow,
}

impl Follow {
    /// `after`: where they left off, and under which access.
    pub fn new(db: Db, live: Live, viewer: Viewer, (wanted, renew): (Arc<Wanted>, Renew), after: Option<(Cursor, Option<String>)>) -> Self {
        let after = after.map(|(cursor, access)| (cursor.seq, access));
        Self { db, live, viewer, wanted, renew, phase: Phase::Start(after) }
    }

    /// What comes next; none at the end.
    pub async fn next(&mut self) -> Option<Next> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::End) {
                Phase::Start(after) => match self.start(after).await {
                    Ok(Some(gap)) => return Some(Next::Event(gap)),
                    Ok(None) => {}
                    Err(error) => return Some(Next::Failed(super::room::why(&error).into())),
                },
                Phase::CatchUp { seat, after, more, mut lines } => {
                    if let Some(line) = lines.pop_front() {
                        self.phase = Phase::CatchUp { seat, after, more, lines };
                        return Some(Next::Event(line.into()));
                    }
                    self.phase = if more {
                        match self.page(after).await {
                            Ok((after, more, lines)) => Phase::CatchUp { seat, after, more, lines },
                            Err(error) => return Some(Next::Failed(super::room::why(&error).into())),
                        }
                    } else if seat.was_too_slow() {
                        // More happened meanwhile than could wait.
                        Phase::Start(Some((after, None)))
                    } else {
                        Phase::Live { seat, told: after }
                    };
                }
                Phase::Live { mut seat, told } => match seat.next().await {
                    Some(Told::Event(line)) => {
                        let known = line.logged && line.seq <= told;
                        self.phase = Phase::Live { seat, told };
                        if !known {
                            return Some(Next::Event(line));
                        }
                    }
                    Some(Told::Failed(why)) => return Some(Next::Failed(why)),
                    None if seat.was_too_slow() => return Some(Next::TooSlow),
                    None => return None,
                },
                Phase::End => return None,
            }
        }
    }

    /// Takes a seat; gives the event that says that something is missing, if something is.
    async fn start(&mut self, after: Option<(i64, Option<String>)>) -> Result<Option<Line<Arc<str>>>> {
        let seat = self.live.join(self.viewer.clone(), self.wanted.clone(), self.renew.clone()).await?;
        let Some((after, access)) = after else {
            let told = seat.from;
            self.phase = Phase::Live { seat, told };
            return Ok(None);
        };
        if self.is_unbroken(after, access.as_deref()).await? {
            self.phase = Phase::CatchUp { seat, after, more: true, lines: VecDeque::new() };
            return Ok(None);
        }
        let (seq, access) = (seat.from, self.access());
        let gap = feed::gap(&self.viewer.ctx, &self.wanted.shown(access.as_deref()), Kind::Gap, seq)?;
        self.phase = Phase::Live { seat, told: seq };
        Ok(Some(gap.into()))
    }

    fn access(&self) -> Option<String> {
        self.viewer.ctx.access.policy().map(|policy| policy.fingerprint())
    }

    /// Whether what happened since can be told.
    async fn is_unbroken(&self, after: i64, access: Option<&str>) -> Result<bool> {
        let ctx = &self.viewer.ctx;
        if access.is_some_and(|access| Some(access) != self.access().as_deref()) {
            return Ok(false);
        }
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let unbroken = feed::is_unbroken(&tx, ctx.workspace, after, MOST_MISSED).await?;
        tx.commit().await?;
        Ok(unbroken)
    }

    async fn page(&self, after: i64) -> Result<(i64, bool, VecDeque<Line>)> {
        let Viewer { ctx, catalog } = &self.viewer;
        let access = self.access();
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let page = feed::since(ctx, catalog, &tx, &self.wanted.scopes, after, BATCH).await?;
        let lines = feed::show(ctx, catalog, &tx, &self.wanted.shown(access.as_deref()), &page.events).await?;
        tx.commit().await?;
        Ok((page.next.seq, page.more, lines.into()))
    }
}

/// Reads where somebody left off.
pub fn after(text: &str) -> Result<(Cursor, Option<String>)> {
    Cursor::read(text).map_err(|error: Error| error.within("after"))
}
