//! Time and ids, injected, so that tests can hold both still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use entity::Micros;
use uuid::{ContextV7, Timestamp, Uuid};

/// Where "now" and new ids come from.
#[derive(Clone, Default)]
pub struct Clock {
    /// Tests set it, in microseconds; 0 means the machine's clock.
    fixed: Option<Arc<AtomicI64>>,
    order: Arc<std::sync::Mutex<ContextV7>>,
}

impl Clock {
    pub fn fixed_at(micros: i64) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(micros))), order: Arc::default() }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn now(&self) -> Micros {
        match &self.fixed {
            Some(at) => Micros(at.load(Ordering::Relaxed)),
            None => Micros(chrono::Utc::now().timestamp_micros()),
        }
    }

    /// Moves a fixed clock on; the machine's clock needs no help.
    pub fn advance(&self, micros: i64) {
        if let Some(at) = &self.fixed {
            at.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// A new UUIDv7, later than every id that this clock gave before.
    pub fn new_id(&self) -> Uuid {
        let now = self.now().0.max(0).unsigned_abs();
        let order = self.order.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let nanos = u32::try_from(now % 1_000_000).unwrap_or(0) * 1_000;
        Uuid::new_v7(Timestamp::from_unix(&*order, now / 1_000_000, nanos))
    }
}
