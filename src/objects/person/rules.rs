//! What is always true of a person: there is a name or an address, and what is derived from names,
//! addresses and numbers follows them.

use async_trait::async_trait;
use serde_json::Value as Json;

use crate::error::{Result, UserErrorCode};
use crate::objects::tree;
use crate::records::write::{Draft, Rules, Unit};

pub struct PersonRules;

const CYCLE: &str = "Nobody reports to themselves, directly or through others.";

#[async_trait]
impl Rules for PersonRules {
    async fn before_save(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        let email = primary(draft, "emails", "normalized");
        let phone = primary(draft, "phones", "e164");
        if !draft.has("lastName") && email.is_null() {
            draft.refuse(UserErrorCode::Required, &["lastName"], "A last name or an e-mail address is required.");
        }
        let names: Vec<&str> = ["firstName", "middleName", "lastName"]
            .into_iter()
            .filter_map(|part| draft.text(part))
            .filter(|name| !name.is_empty())
            .collect();
        let full = if names.is_empty() { email.as_str().unwrap_or_default().to_owned() } else { names.join(" ") };
        draft.set("fullName", full);
        draft.set("email", email);
        draft.set("phone", phone);
        tree::refuse_cycle(unit, draft, "reportsTo", CYCLE).await
    }

    async fn before_restore(&self, unit: &mut Unit<'_>, draft: &mut Draft) -> Result<()> {
        tree::refuse_loop(unit, draft, "reportsTo", CYCLE).await
    }
}

fn primary(draft: &Draft, list: &str, part: &str) -> Json {
    let entries = draft.now.get(list).and_then(Json::as_array);
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry["primary"] == true));
    entry.map_or(Json::Null, |entry| entry[part].clone())
}
