//! Reading and writing records.

mod concurrency;
mod custom_fields;
mod encrypted;
mod filters;
mod indexes;
mod pages;
mod reading;
mod writing;
