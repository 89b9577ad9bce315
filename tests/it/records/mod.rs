//! Reading and writing records.

mod aggregates;
mod bulk;
mod change_sets;
mod computed;
mod concurrency;
mod custom_fields;
mod custom_objects;
mod duplicates;
mod encrypted;
mod filters;
mod groups;
mod history;
mod indexes;
mod merges;
mod pages;
mod past;
mod reading;
mod relations;
mod search;
mod totals;
mod writing;
