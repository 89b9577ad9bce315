//! Computed fields: formulas and roll-ups are checked when they are defined, and so is everything that they are made of
//! when that changes.

use std::sync::Arc;

use uuid::Uuid;

use super::{Change, DataModel, NewField, invalid};
use crate::catalog::formula::{Computed, How, Made, make};
use crate::catalog::{Catalog, Field, Object, Settings, Source, Target};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::Tx;
use crate::platform::Ctx;
use crate::records::access;
use crate::records::write::Rejected;

const FORMULA: &str = "FORMULA";
const ROLL_UP: &str = "ROLL_UP";

/// Whether a new field of the kind is a computed one.
pub fn is_kind(kind: &str) -> bool {
    matches!(kind, FORMULA | ROLL_UP)
}

/// The source of a computed field that the catalog has not looked at yet.
pub fn unresolved(id: Uuid) -> Source {
    Source::Computed { id, computed: Arc::new(Computed { how: How::Unresolved, depends: Vec::new(), weight: 0 }) }
}

/// What a new field says of its kind, its formula and its roll-up fits together.
pub fn check_new(new: &NewField) -> Result<(), UserError> {
    let (formula, roll_up) = (new.settings.formula.is_some(), new.settings.roll_up.is_some());
    match new.kind.as_str() {
        FORMULA if !formula => return Err(invalid(&["formula"], "A field of the kind FORMULA has a formula.")),
        ROLL_UP if !roll_up => return Err(invalid(&["rollUp"], "A field of the kind ROLL_UP says what to roll up.")),
        FORMULA | ROLL_UP => {}
        _ if formula => return Err(invalid(&["formula"], "Only fields of the kind FORMULA have one.")),
        _ if roll_up => return Err(invalid(&["rollUp"], "Only fields of the kind ROLL_UP have one.")),
        _ => return Ok(()),
    }
    if formula && roll_up {
        return Err(invalid(&["rollUp"], "A field has a formula or a roll-up, not both."));
    }
    for (given, name) in [(new.required, "required"), (new.unique, "unique"), (new.indexed, "indexed"), (new.searchable, "searchable")] {
        if given {
            return Err(invalid(&[name], "A computed field has no value of its own."));
        }
    }
    let plain = Settings { formula: new.settings.formula.clone(), roll_up: new.settings.roll_up.clone(), ..Settings::default() };
    if plain != new.settings {
        return Err(invalid(
            &["kind"],
            "A computed field has no options, default, bounds, pattern or encryption: it is what it is computed of.",
        ));
    }
    Ok(())
}

/// Of a computed field only what people read of it changes, and what it is computed of.
pub fn check_change(change: &Change) -> Result<(), UserError> {
    let given = [
        (change.required == Some(true), "required"),
        (change.searchable == Some(true), "searchable"),
        (change.options.is_some(), "options"),
        (change.default.is_some(), "defaultValue"),
        (change.min.is_some(), "min"),
        (change.max.is_some(), "max"),
        (change.max_length.is_some(), "maxLength"),
        (change.pattern.is_some(), "pattern"),
    ];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(invalid(&[name], "A computed field has no value of its own.")),
        None => Ok(()),
    }
}

/// Says what is wrong with a computed field of an object, if something is.
pub fn check(ctx: &Ctx, catalog: &Catalog, object: &Object, settings: &Settings) -> Result<Made, UserError> {
    let path = if settings.formula.is_some() { "formula" } else { "rollUp" };
    let made = make(settings, object, catalog.by_name()).map_err(|wrong| {
        let place = if settings.formula.is_some() { format!("At character {}: ", wrong.at) } else { String::new() };
        let path: &[&str] = if wrong.of_filter { &["rollUp", "filter"] } else { &[path] };
        invalid(path, format!("{place}{}", wrong.message))
    })?;
    if let Some((roll_up, filter)) = settings.roll_up.as_ref().and_then(|roll_up| Some((roll_up, roll_up.filter.as_ref()?)))
        && let Some(Target::Object(target)) = object.relations.get(&roll_up.relation).map(|relation| &relation.target)
    {
        access::check_filter(ctx, catalog, catalog.object(target), filter).map_err(|error| match error {
            Error::Refused(refusal) => invalid(&["rollUp", "filter"], refusal.message),
            Error::Fault(_) => invalid(&["rollUp", "filter"], "The filter cannot be used."),
        })?;
    }
    Ok(made)
}

/// The kind of a computed field stays what its first definition made it.
pub fn check_kind(old: &Field, made: &Made) -> Result<(), UserError> {
    if old.archived || old.kind == made.kind {
        return Ok(());
    }
    let path = if old.settings.formula.is_some() { "formula" } else { "rollUp" };
    let message = format!("It would be {} and was {}; programs know it so. Make another field.", made.kind.name(), old.kind.name());
    Err(invalid(&[path], message))
}

impl DataModel {
    /// Refuses to bring back a computed field that cannot be computed any more.
    pub(super) async fn check_back(&self, tx: &Tx, ctx: &Ctx, id: Uuid, version: i64) -> Result<(), Rejected> {
        let after = self.catalog(tx, ctx.workspace, version).await?;
        let field = after.objects().find_map(|object| object.all_fields().find(|field| field.own_id() == Some(id)).cloned());
        if field.is_some_and(|field| field.is_computed() && field.archived) {
            let message = "Something that it is computed of is archived; bring that back first.";
            return Err(UserError::new(UserErrorCode::RuleRefused, &["id"], message).into());
        }
        Ok(())
    }

    /// Refuses a change after which some computed field could not be computed any more.
    pub(super) async fn check_dependants(&self, tx: &Tx, ctx: &Ctx, before: &Catalog, version: i64, path: &str) -> Result<(), Rejected> {
        let after = self.catalog(tx, ctx.workspace, version).await?;
        let mut broken: Vec<(usize, String)> = Vec::new();
        for object in before.objects() {
            for field in object.all_fields().filter(|field| !field.archived) {
                let Source::Computed { computed, .. } = &field.source else { continue };
                let now = after.find(&object.name).and_then(|object| object.all_fields().find(|now| now.own_id() == field.own_id()));
                let Some(now) = now else { continue };
                let changed = !now.archived && now.kind != field.kind;
                // Whatever was archived itself is not missed.
                if changed || now.archived && !is_archived(tx, ctx, field).await? {
                    broken.push((computed.weight, format!("{}.{}", object.type_name, field.access_name())));
                }
            }
        }
        // The lightest one is computed of nothing else that is broken.
        let Some((_, name)) = broken.into_iter().min() else { return Ok(()) };
        let message = format!("`{name}` is computed of it, and could not be any more. Change or archive that first.");
        Err(UserError::new(UserErrorCode::RuleRefused, &[path], message).into())
    }
}

async fn is_archived(tx: &Tx, ctx: &Ctx, field: &Field) -> Result<bool> {
    let sql = "SELECT archived_at FROM field_definition WHERE workspace_id = $1 AND id = $2";
    let id = field.own_id().ok_or_else(|| Error::fault("a computed field without a definition"))?;
    let row = tx.fetch_optional(sql, vec![ctx.workspace.into(), id.into()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.flatten().is_some())
}
