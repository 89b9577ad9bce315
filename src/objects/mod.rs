//! What the CRM knows: one folder per object, with its definition and its rules.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::records::write::RuleBook;

pub mod activity;
pub mod company;
pub mod deal;
pub mod member;
pub mod note;
pub mod person;
pub mod pipeline;
pub mod stage;
pub mod tag;
pub mod territory;
mod tree;

/// The objects of a brand-new workspace.
pub fn standard_catalog() -> Catalog {
    Catalog::new([
        company::definition(),
        person::definition(),
        deal::definition(),
        pipeline::definition(),
        stage::definition(),
        activity::definition(),
        note::definition(),
        tag::definition(),
        territory::definition(),
        member::definition(),
    ])
}

/// The rules of the objects that have some.
pub fn rule_book() -> RuleBook {
    RuleBook::from([
        ("activity", Arc::new(activity::ActivityRules) as _),
        ("company", Arc::new(company::CompanyRules) as _),
        ("deal", Arc::new(deal::DealRules) as _),
        ("member", Arc::new(member::MemberRules) as _),
        ("person", Arc::new(person::PersonRules) as _),
        ("pipeline", Arc::new(pipeline::PipelineRules) as _),
        ("stage", Arc::new(stage::StageRules) as _),
        ("territory", Arc::new(territory::TerritoryRules) as _),
    ])
}
