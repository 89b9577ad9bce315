//! The values that the survivor gets.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::Value as Json;
use uuid::Uuid;

use super::Wanted;
use crate::catalog::{Field, Kind, MergeStrategy, Object, Store, Via};
use crate::error::{UserError, UserErrorCode};
use crate::platform::Ctx;
use crate::platform::access::Sight;
use crate::records::write::state::{Loaded, State};
use crate::records::write::{Draft, Rejected};

/// What the caller said of one field.
#[derive(Debug)]
pub struct Choice {
    /// The field as permissions name it.
    pub field: String,
    pub how: How,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    By(MergeStrategy),
    /// The value of this record, also if it has none.
    From(Uuid),
}

/// Sets the values of a draft of the survivor.
pub(super) fn values(
    ctx: &Ctx,
    draft: &mut Draft,
    losers: &[Loaded],
    wanted: &Wanted<'_>,
    written: &HashMap<(Uuid, String), i64>,
) -> Result<(), Rejected> {
    let object = draft.object.clone();
    let access = ctx.access.object(&object.name).clone();
    check(&object, wanted, &|name| access.field(name).sight == Sight::Full && access.field(name).write)?;
    let merged: Vec<Uuid> = losers.iter().map(|loser| loser.id).chain([draft.id]).collect();
    let records = Records {
        first: draft.id,
        states: std::iter::once((draft.id, draft.before.clone()))
            .chain(losers.iter().map(|loser| (loser.id, loser.state.clone())))
            .collect(),
        written,
    };
    for field in object.all_fields().filter(|field| !field.read_only && !field.archived && !field.is_computed()) {
        let name = field.access_name();
        // A value that the caller may not write does not travel by their hand.
        if !access.field(&name).write {
            continue;
        }
        let value = records.value(&object, field, how(wanted, &name, field.merge()));
        if field.is_custom() {
            let mut custom = draft.custom(&draft.now);
            // What has no value has no member.
            if value.is_null() {
                custom.remove(&field.name);
            } else {
                custom.insert(field.name.clone(), value);
            }
            draft.set("custom", custom);
        } else {
            draft.set(&field.name, value);
        }
    }
    for relation in object.relations.values().filter(|relation| matches!(relation.via, Via::Column(_))) {
        let name = relation.access_name();
        if relation.read_only || !access.field(&name).write {
            continue;
        }
        let value = records.reference(&name, how(wanted, &name, MergeStrategy::Survivor), &merged);
        draft.set(&relation.name, value);
    }
    Ok(())
}

/// What the caller said of a field, what they said of all, what the field says of itself: in that order, but what is
/// particular to a field is not changed by what was said of all.
fn how(wanted: &Wanted<'_>, name: &str, usual: MergeStrategy) -> How {
    let said = wanted.choices.iter().find(|choice| choice.field == name).map(|choice| choice.how);
    said.unwrap_or(How::By(if usual == MergeStrategy::Survivor { wanted.strategy } else { usual }))
}

/// Refuses choices that cannot be made.
fn check(object: &Object, wanted: &Wanted<'_>, writes: &dyn Fn(&str) -> bool) -> Result<(), Rejected> {
    for (index, choice) in wanted.choices.iter().enumerate() {
        let place = index.to_string();
        let refuse =
            |code: UserErrorCode, part: &str, message: String| Err(UserError::new(code, &["choices", &place, part], message).into());
        let field = object.all_fields().find(|field| field.access_name() == choice.field);
        let relation =
            object.relations.values().find(|relation| relation.access_name() == choice.field && matches!(relation.via, Via::Column(_)));
        let fixed = match (field, relation) {
            (Some(field), _) if field.read_only || field.archived || field.is_computed() => true,
            (Some(_), _) => false,
            (None, Some(relation)) => relation.read_only,
            (None, None) => {
                let message =
                    format!("{} has no field `{}` that is chosen; own fields are named `custom.<name>`.", object.type_name, choice.field);
                return refuse(UserErrorCode::InvalidValue, "field", message);
            }
        };
        if fixed || !writes(&choice.field) {
            let message = format!("You do not write {}.{}, so you do not choose its value.", object.type_name, choice.field);
            return refuse(UserErrorCode::NotWritable, "field", message);
        }
        if field.is_some_and(|field| field.merge() == MergeStrategy::MostRestrictive) {
            let message = format!("{}.{} is not chosen: if one of the records says no, the answer is no.", object.type_name, choice.field);
            return refuse(UserErrorCode::RuleRefused, "field", message);
        }
        if let How::From(id) = choice.how
            && id != wanted.into
            && !wanted.from.contains(&id)
        {
            return refuse(UserErrorCode::InvalidValue, "from", "The value of one of the merged records is chosen.".to_owned());
        }
    }
    Ok(())
}

/// The records, the survivor first.
struct Records<'a> {
    first: Uuid,
    states: Vec<(Uuid, State)>,
    written: &'a HashMap<(Uuid, String), i64>,
}

impl Records<'_> {
    /// What each record has of a member, empty values left out.
    fn of(&self, member: &str) -> Vec<(Uuid, &Json)> {
        self.states.iter().filter_map(|(id, state)| Some((*id, member_of(state, member)?))).filter(|(_, value)| !is_empty(value)).collect()
    }

    fn value(&self, object: &Object, field: &Field, how: How) -> Json {
        // A workspace's own objects keep their fields in the document too.
        let member = if field.is_custom() { format!("custom.{}", field.name) } else { field.name.clone() };
        let logged = if field.is_custom() { object.logged_name(&field.name) } else { field.name.clone() };
        let strategy = match how {
            How::From(id) => return self.whole(id, &member),
            How::By(strategy) => strategy,
        };
        let found = self.of(&member);
        let own = || self.whole(self.first, &member);
        let Some((_, first)) = found.first().copied() else { return own() };
        let chosen = match strategy {
            MergeStrategy::Newest | MergeStrategy::Oldest => {
                let at = |id: &Uuid| self.written.get(&(*id, logged.clone())).copied().unwrap_or_default();
                let ordered = found.iter().max_by_key(|(id, _)| if strategy == MergeStrategy::Newest { at(id) } else { -at(id) });
                ordered.map(|(_, value)| *value)
            }
            MergeStrategy::Longest => longest(&found),
            MergeStrategy::Max => greatest(field, &found),
            MergeStrategy::Union if field.kind.is_list() => return union(field.kind, &found),
            MergeStrategy::FurthestStage => furthest(field, &found),
            MergeStrategy::MostRestrictive => found.iter().map(|(_, value)| *value).find(|value| **value == Json::Bool(true)),
            MergeStrategy::Survivor | MergeStrategy::Union => None,
        };
        chosen.unwrap_or(first).clone()
    }

    fn reference(&self, name: &str, how: How, merged: &[Uuid]) -> Json {
        let is_merged = |value: &Json| value.as_str().and_then(|id| id.parse::<Uuid>().ok()).is_some_and(|id| merged.contains(&id));
        let strategy = match how {
            How::From(id) => return Some(self.whole(id, name)).filter(|value| !is_merged(value)).unwrap_or(Json::Null),
            How::By(strategy) => strategy,
        };
        let found: Vec<(Uuid, &Json)> = self.of(name).into_iter().filter(|(_, value)| !is_merged(value)).collect();
        let at = |id: &Uuid| self.written.get(&(*id, name.to_owned())).copied().unwrap_or_default();
        let chosen = match strategy {
            MergeStrategy::Newest => found.iter().max_by_key(|(id, _)| at(id)),
            MergeStrategy::Oldest => found.iter().min_by_key(|(id, _)| at(id)),
            _ => found.first(),
        };
        chosen.map_or(Json::Null, |(_, value)| (*value).clone())
    }

    fn whole(&self, id: Uuid, member: &str) -> Json {
        self.states.iter().find(|(of, _)| *of == id).and_then(|(_, state)| member_of(state, member)).cloned().unwrap_or(Json::Null)
    }
}

fn member_of<'s>(state: &'s State, member: &str) -> Option<&'s Json> {
    match member.strip_prefix("custom.") {
        Some(name) => state.get("custom")?.get(name),
        None => state.get(member),
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn longest<'v>(found: &[(Uuid, &'v Json)]) -> Option<&'v Json> {
    let length = |value: &Json| value.as_str().map_or(0, |text| text.chars().count());
    // Of equal ones the first.
    found.iter().rev().map(|(_, value)| *value).max_by_key(|value| length(value))
}

fn greatest<'v>(field: &Field, found: &[(Uuid, &'v Json)]) -> Option<&'v Json> {
    if field.kind == Kind::Money {
        let currency = &found.first()?.1["currency"];
        let same = found.iter().rev().map(|(_, value)| *value).filter(|value| value["currency"] == *currency);
        return same.max_by_key(|value| value["amount"].as_i64());
    }
    let compare = |a: &Json, b: &Json| match field.kind.store() {
        Store::Int => a.as_i64().cmp(&b.as_i64()),
        Store::Date => a.as_str().cmp(&b.as_str()),
        Store::Bool => a.as_bool().cmp(&b.as_bool()),
        _ => Ordering::Equal,
    };
    let mut best = found.first()?.1;
    for (_, value) in found {
        if compare(value, best) == Ordering::Greater {
            best = value;
        }
    }
    Some(best)
}

fn furthest<'v>(field: &Field, found: &[(Uuid, &'v Json)]) -> Option<&'v Json> {
    let place = |value: &Json| {
        let text = value.as_str()?;
        match field.kind {
            // Outside the usual way is not the end of it.
            Kind::Enum(_) if text == "OTHER" => None,
            Kind::Enum(of) => of.values.iter().position(|(name, _)| *name == text),
            Kind::Select => field.settings.options.iter().position(|option| option.key == text),
            _ => None,
        }
    };
    found.iter().rev().map(|(_, value)| *value).max_by_key(|value| place(value))
}

/// The items of all lists, each once; what was the primary one of the first list stays that.
fn union(kind: Kind, found: &[(Uuid, &Json)]) -> Json {
    let identity = |item: &Json| match kind {
        Kind::Emails => item["normalized"].clone(),
        Kind::Phones => item["e164"].clone(),
        Kind::ExternalIds => Json::from(vec![item["system"].clone(), item["value"].clone()]),
        _ => item.clone(),
    };
    let mut items: Vec<Json> = Vec::new();
    for (_, list) in found {
        for item in list.as_array().into_iter().flatten() {
            if items.iter().any(|known| identity(known) == identity(item)) {
                continue;
            }
            let mut item = item.clone();
            let has_primary = items.iter().any(|known| known["primary"] == true);
            if let Some(members) = item.as_object_mut().filter(|members| has_primary && members.contains_key("primary")) {
                members.insert("primary".into(), false.into());
            }
            items.push(item);
        }
    }
    Json::Array(items)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn chosen(field: &Field, strategy: MergeStrategy, values: &[Json]) -> Json {
        let written: HashMap<(Uuid, String), i64> =
            (0..).zip(values).map(|(n, _)| ((Uuid::from_u128(n), field.name.clone()), [5, 9, 7][usize::try_from(n).unwrap()])).collect();
        let states =
            (0..).zip(values).map(|(n, value)| (Uuid::from_u128(n), Map::from_iter([(field.name.clone(), value.clone())]))).collect();
        let object = Object::standard::<entity::company::Entity>("companies", "", "", "");
        Records { first: Uuid::from_u128(0), states, written: &written }.value(&object, field, How::By(strategy))
    }

    #[test]
    fn each_strategy_chooses_what_it_says() {
        let text = Field::column("name", Kind::Text, "", "");
        let values = [json!("bb"), json!("a"), json!("ccc")];
        for (strategy, expected) in [
            (MergeStrategy::Survivor, "bb"),
            (MergeStrategy::Newest, "a"),
            (MergeStrategy::Oldest, "bb"),
            (MergeStrategy::Longest, "ccc"),
            (MergeStrategy::Max, "bb"),
            (MergeStrategy::Union, "bb"),
        ] {
            assert_eq!(chosen(&text, strategy, &values), expected, "{strategy:?}");
        }
        assert_eq!(chosen(&text, MergeStrategy::Survivor, &[json!(null), json!(""), json!("c")]), "c");
        assert_eq!(chosen(&text, MergeStrategy::Newest, &[json!(null), json!(null), json!(null)]), json!(null));
    }

    #[test]
    fn amounts_of_another_currency_are_not_compared() {
        let amount = Field::column("annual_revenue", Kind::Money, "", "");
        let money = |amount: i64, currency: &str| json!({ "amount": amount, "currency": currency });
        assert_eq!(chosen(&amount, MergeStrategy::Max, &[money(5, "EUR"), money(9, "USD"), money(7, "EUR")]), money(7, "EUR"));
    }

    #[test]
    fn a_list_has_every_item_once_and_one_primary() {
        let emails = Field::column("emails", Kind::Emails, "", "");
        let email = |address: &str, primary: bool| json!({ "address": address, "normalized": address.to_lowercase(), "primary": primary });
        let united =
            chosen(&emails, MergeStrategy::Union, &[json!([email("a@x.y", true)]), json!([email("B@x.y", true), email("A@x.y", false)])]);
        assert_eq!(united, json!([email("a@x.y", true), email("B@x.y", false)]));
    }
}
