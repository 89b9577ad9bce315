//! A copy of the database that PostgreSQL keeps by streaming replication, to read from.
//!
//! A copy is behind. How far it is, and whether it has what somebody wrote, is told by *places* in the database's
//! write-ahead log (LSN): the database's place after a commit, and the place up to which the copy has replayed. A place
//! is read before a snapshot is taken, never after: a snapshot may be older than the place that is read in it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::pool::{Db, DbSettings, Unfit};
use super::tx::{Scope, Tx};

/// Up to where the database has written.
const PLACE: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";

/// Up to where a copy has replayed; less than any place on what is none (any more).
const COPY_PLACE: &str =
    "SELECT CASE WHEN pg_is_in_recovery() THEN coalesce((pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, 0) ELSE -1 END";

/// The next place to write lies behind the header of a page where a page has just begun, the replayed one before it.
const PAGE_HEADER: i64 = 64;

/// In place of how far a copy is behind that does not answer.
const AWAY: i64 = -1;

/// How often it is looked how far behind the copy is.
const EVERY: Duration = Duration::from_secs(1);

/// How long a query waits for a connection to the copy that begins.
const PATIENCE: Duration = Duration::from_millis(700);

/// What a look at the copy found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Serves,
    /// It is too far behind.
    Behind,
    Away,
}

pub struct Replica {
    copy: Db,
    original: Db,
    most_behind: Duration,
    /// Whether it is known to be a copy of the original.
    is_known: AtomicBool,
    serves: AtomicBool,
    /// Milliseconds that it is behind, or [`AWAY`].
    behind: AtomicI64,
    /// Where the original was, and when.
    seen: Mutex<VecDeque<(Instant, i64)>>,
    /// Where the original was when the copy answered again.
    serves_from: Mutex<Option<i64>>,
}

impl Replica {
    /// Opens a copy of `original`; what answers and is none is refused. One that is away may come back.
    pub async fn connect(settings: &DbSettings, original: &Db, most_behind: Duration) -> Result<Self, Unfit> {
        let copy = Db::connect_later(settings).map_err(|e| Unfit(format!("cannot connect: {e}")))?;
        let replica = Self {
            copy,
            original: original.clone(),
            most_behind,
            is_known: AtomicBool::new(false),
            serves: AtomicBool::new(false),
            behind: AtomicI64::new(AWAY),
            seen: Mutex::default(),
            serves_from: Mutex::default(),
        };
        match replica.recognise().await {
            Ok(None) => {}
            Ok(Some(unfit)) => return Err(unfit),
            Err(error) => tracing::warn!("the read replica does not answer: {error}"),
        }
        replica.look().await;
        Ok(replica)
    }

    /// Why it is no copy to read from, if it is none; asked until it has answered once.
    async fn recognise(&self) -> Result<Option<Unfit>, sqlx::Error> {
        if self.is_known.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if self.original.system().await? != self.copy.system().await? {
            return Ok(Some(Unfit("it is no replica of DATABASE_URL by streaming replication".into())));
        }
        if let Err(unfit) = self.copy.check_login().await {
            return Ok(Some(unfit));
        }
        self.is_known.store(true, Ordering::Relaxed);
        Ok(None)
    }

    /// A snapshot of the copy, if it serves and has replayed up to `place`.
    pub async fn begin(&self, scope: &Scope, place: Option<i64>) -> Option<Tx> {
        if !self.serves.load(Ordering::Relaxed) {
            return None;
        }
        let begun = tokio::time::timeout(PATIENCE, self.copy.begin_at(scope, COPY_PLACE, place)).await;
        match begun.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(tx) => tx,
            // All connections are in use.
            Err(sqlx::Error::PoolTimedOut) => None,
            Err(error) => {
                tracing::warn!("the read replica is passed over: {error}");
                self.serves.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    /// Where the original is now: whatever was committed lies before it.
    pub async fn place(&self) -> Result<i64, sqlx::Error> {
        self.original.number(PLACE).await
    }

    /// How it is, and how far behind as far as is known.
    pub fn standing(&self) -> (Standing, Duration) {
        let behind = self.behind.load(Ordering::Relaxed);
        let standing = match (behind, self.serves.load(Ordering::Relaxed)) {
            (..0, _) => Standing::Away,
            (_, true) => Standing::Serves,
            (_, false) => Standing::Behind,
        };
        (standing, Duration::from_millis(u64::try_from(behind).unwrap_or(0)))
    }

    /// Looks again and again, until nobody needs it any more.
    pub async fn watch(this: Weak<Self>) {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(replica) = this.upgrade() else { return };
            replica.look().await;
        }
    }

    async fn look(&self) {
        let looked = async {
            let (original, now) = (self.place().await?, Instant::now());
            if let Some(unfit) = self.recognise().await? {
                tracing::error!("the read replica is not used: {unfit}");
                return Ok(None);
            }
            let copy = self.copy.number(COPY_PLACE).await?;
            if copy < 0 {
                tracing::error!("the read replica is not used: it is a database of its own now");
                return Ok(None);
            }
            Ok::<_, sqlx::Error>(Some((now, original, copy)))
        };
        let was = self.standing().0;
        let looked = tokio::time::timeout(EVERY * 4, looked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        match looked {
            Ok(Some((now, original, copy))) => {
                let behind = self.lag(now, original, copy);
                self.behind.store(i64::try_from(behind.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
                let caught_up = self.has_caught_up(was, original, copy);
                self.serves.store(caught_up && behind <= self.most_behind, Ordering::Relaxed);
            }
            Ok(None) | Err(_) => {
                self.behind.store(AWAY, Ordering::Relaxed);
                self.serves.store(false, Ordering::Relaxed);
            }
        }
        match self.standing() {
            (is, _) if is == was => {}
            (Standing::Serves, _) => tracing::info!("queries are read from the read replica"),
            (Standing::Behind, by) => tracing::warn!("the read replica is {} s behind: queries are read from the database", by.as_secs()),
            (Standing::Away, _) => tracing::warn!("the read replica does not answer: queries are read from the database"),
        }
    }

    /// Of a copy that was away it is not known for how long it has lacked what it lacks: it serves when it has what there was
    /// when it came back.
    fn has_caught_up(&self, was: Standing, original: i64, copy: i64) -> bool {
        let mut from = self.serves_from.lock().unwrap_or_else(PoisonError::into_inner);
        if was == Standing::Away {
            *from = Some(original);
        }
        if from.is_some_and(|place| copy + PAGE_HEADER >= place) {
            *from = None;
        }
        from.is_none()
    }

    /// For how long the original has had what the copy lacks.
    fn lag(&self, now: Instant, original: i64, copy: i64) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push_back((now, original));
        while seen.front().is_some_and(|(_, place)| *place <= copy + PAGE_HEADER) {
            seen.pop_front();
        }
        // A copy that stands still for ever is as far behind as one that stood still for an hour.
        if seen.len() > 3_600 {
            seen.remove(1);
        }
        seen.front().map_or(Duration::ZERO, |(since, _)| now.duration_since(*since) + EVERY)
    }

    /// See [`Db::renew`].
    pub async fn renew(&self, settings: &DbSettings) -> Result<(), Unfit> {
        self.copy.renew(settings).await?;
        // It is looked at as if it were another one.
        self.is_known.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub async fn close(&self) {
        self.copy.close().await;
    }
}
