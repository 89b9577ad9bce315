//! A value that may be replaced while the server runs: a secret that rotates, and what is made of it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by its clones: whoever has one sees what another one puts there.
pub struct Current<T>(Arc<RwLock<Arc<T>>>);

impl<T> Current<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// The value as it is now; whoever holds it keeps it.
    pub fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// It may be a secret.
impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Current")
    }
}
