//! Words within this process: that there is news of something, for whoever waits for it.
//!
//! A word says where to look and nothing of what is there, so it may come twice, and whoever missed some looks
//! everywhere.

use tokio::sync::broadcast;
use uuid::Uuid;

/// That there is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    pub topic: Topic,
    /// The workspace.
    pub of: Uuid,
    /// Whether it happened on this node, so that the others must be told.
    pub ours: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Records changed: the log is longer.
    Records,
    /// Who may see and do what.
    Access,
    /// What records look like.
    Catalog,
    /// Anything may have changed anywhere: words were missed.
    Everything,
}

#[derive(Clone)]
pub struct Signals(broadcast::Sender<Signal>);

/// As many words wait for whoever is slow; whoever is slower is told that some were missed.
const WAITING: usize = 4_096;

impl Default for Signals {
    fn default() -> Self {
        Self(broadcast::channel(WAITING).0)
    }
}

impl Signals {
    pub fn tell(&self, topic: Topic, of: Uuid, ours: bool) {
        // That nobody listens is no error.
        let _ = self.0.send(Signal { topic, of, ours });
    }

    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

pub struct Listener(broadcast::Receiver<Signal>);

impl Listener {
    /// The next word and those that wait behind it; none when nobody can say anything any more.
    pub async fn next_few(&mut self) -> Option<Vec<Signal>> {
        let mut few = vec![self.next().await?];
        while let Ok(signal) = self.0.try_recv() {
            few.push(signal);
        }
        Some(few)
    }

    /// The next word; none when nobody can say anything any more.
    pub async fn next(&mut self) -> Option<Signal> {
        match self.0.recv().await {
            Ok(signal) => Some(signal),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Signal { topic: Topic::Everything, of: Uuid::nil(), ours: false }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
