//! Tests that walk the surface.

mod arrows;
mod columns;
mod schema;
