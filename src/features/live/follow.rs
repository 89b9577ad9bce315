//! From where somebody left off to what is live, without a hole.

use std::collections::VecDeque;
use std::sync::Arc;

use super::circle::{account, circle_of};
use super::{Live, Renew, Seat, Told, Viewer, Wanted};
use crate::error::{Error, Result};
use crate::infra::db::{Db, Mode};
use crate::records::feed::{self, Cursor, Kind, Line};

/// Entries of the log that are looked at together while somebody catches up.
const BATCH: usize = 500;
/// Whoever was away for longer reads anew: that is quicker than so many changes.
pub(super) const MOST_MISSED: i64 = 100_000;

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
    Start(Option<(Cursor, Option<String>)>),
    /// What was missed is read, while what happens waits in the room.
    CatchUp {
        seat: Seat,
        after: Cursor,
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
    Failed(Error),
    /// Too much waited for whoever follows.
    TooSlow,
}

impl Follow {
    /// `after`: where they left off, and under which access.
    pub fn new(db: Db, live: Live, viewer: Viewer, (wanted, renew): (Arc<Wanted>, Renew), after: Option<(Cursor, Option<String>)>) -> Self {
        Self { db, live, viewer, wanted, renew, phase: Phase::Start(after) }
    }

    /// What is followed.
    pub fn wanted(&self) -> &Arc<Wanted> {
        &self.wanted
    }

    /// What comes next; none at the end.
    pub async fn next(&mut self) -> Option<Next> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::End) {
                Phase::Start(after) => match Box::pin(self.start(after)).await {
                    Ok(Some(gap)) => return Some(Next::Event(gap)),
                    Ok(None) => {}
                    Err(error) => return Some(Next::Failed(error)),
                },
                Phase::CatchUp { seat, after, more, mut lines } => {
                    if let Some(line) = lines.pop_front() {
                        self.phase = Phase::CatchUp { seat, after, more, lines };
                        return Some(Next::Event(line.into()));
                    }
                    self.phase = if more {
                        match Box::pin(self.page(&after)).await {
                            Ok(Some((after, more, lines))) => Phase::CatchUp { seat, after, more, lines },
                            // What they may see became another: the place is one of the past.
                            Ok(None) => Phase::Start(Some((after, Some(String::new())))),
                            Err(error) => return Some(Next::Failed(error)),
                        }
                    } else if seat.was_too_slow() {
                        // More happened meanwhile than could wait.
                        Phase::Start(Some((after, None)))
                    } else {
                        Phase::Live { seat, told: after.seq }
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
    async fn start(&mut self, after: Option<(Cursor, Option<String>)>) -> Result<Option<Line<Arc<str>>>> {
        if after.is_some() {
            self.viewer = (self.renew)().await?;
        }
        let seat = self.live.join(self.viewer.clone(), self.wanted.clone(), self.renew.clone()).await?;
        let Some((after, access)) = after else {
            let told = seat.from;
            self.phase = Phase::Live { seat, told };
            return Ok(None);
        };
        if self.is_unbroken(&after, access.as_deref()).await? {
            self.phase = Phase::CatchUp { seat, after, more: true, lines: VecDeque::new() };
            return Ok(None);
        }
        let (seq, access) = (seat.from, self.sight().await?);
        let gap = feed::gap(&self.viewer.ctx, &self.wanted.shown(access.as_deref(), self.viewer.ctx.now()), Kind::Gap, seq)?;
        self.phase = Phase::Live { seat, told: seq };
        Ok(Some(gap.into()))
    }

    async fn sight(&self) -> Result<Option<String>> {
        let ctx = &self.viewer.ctx;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        let sight = feed::sight(ctx, &tx).await?;
        tx.commit().await?;
        Ok(sight)
    }

    /// Whether what happened since can be told.
    async fn is_unbroken(&self, after: &Cursor, access: Option<&str>) -> Result<bool> {
        let ctx = &self.viewer.ctx;
        let tx = self.db.begin(&ctx.system_scope(), Mode::Read).await?;
        if access.is_some() && access != feed::sight(ctx, &tx).await?.as_deref() {
            return Ok(false);
        }
        let unbroken = feed::is_unbroken(&tx, ctx.workspace, after.seq, self.live.reach(ctx.now())).await?
            && feed::keeps_sight(ctx, &tx, &self.wanted.scopes, after.seq).await?;
        tx.commit().await?;
        Ok(unbroken)
    }

    /// What comes after a place; none if who follows sees something else by now.
    async fn page(&mut self, after: &Cursor) -> Result<Option<(Cursor, bool, VecDeque<Line>)>> {
        let renewed = (self.renew)().await?;
        if circle_of(&renewed) != circle_of(&self.viewer) {
            return Ok(None);
        }
        let Viewer { ctx, catalog } = &self.viewer;
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let access = feed::sight(ctx, &tx).await?;
        let page = feed::since(ctx, catalog, &tx, &self.wanted.scopes, after, BATCH).await?;
        let lines = feed::show(ctx, catalog, &tx, &self.wanted.shown(access.as_deref(), ctx.now()), &page.events).await?;
        tx.commit().await?;
        account(&self.db, &self.viewer).await?;
        Ok(Some((page.next, page.more, lines.into())))
    }
}

/// Reads where somebody left off.
pub fn after(text: &str) -> Result<(Cursor, Option<String>)> {
    Cursor::read(text).map_err(|error: Error| error.within("after"))
}
