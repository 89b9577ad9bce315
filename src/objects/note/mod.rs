//! A note. `definition` says what it is; the server keeps nothing beyond that true of it.

mod definition;

pub use definition::definition;
