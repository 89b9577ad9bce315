//! What is always true of a company: parents form no cycle, and `domain` is the first of `domains`.

use async_trait::async_trait;
use serde_json::Value as Json;

use crate::error::Result;
use crate::objects::tree;
use crate::records::write::{Draft, Rules, Unit};

pub struct CompanyRules;

const CYCLE: &str = "A company cannot be its own parent, directly or through others.";

#[async_trait]
impl Rules for CompanyRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        let primary = draft.now.get("domains").and_then(Json::as_array).and_then(|domains| domains.first()).cloned();
        draft.set("domain", primary.unwrap_or(Json::Null));
        tree::refuse_cycle(unit, draft, "parent", CYCLE).await
    }

    async fn before_restore(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        tree::refuse_loop(unit, draft, "parent", CYCLE).await
    }
}
