//! A workspace to try things on: believable, the same at every filling, written through the door
//! like everything else.
//!
//! [`words`] has what names are made of, [`story`] tells which records there are, and [`fill`] writes
//! them, oldest first, with a clock that goes through the last eighteen months.

mod people;
mod story;
mod words;

use std::collections::HashMap;

use entity::{Micros, user_account};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalog::{Privacy, SelectOption, Settings};
use crate::error::{Error, Result};
use crate::features::access::AccessControl;
use crate::features::data_model::{DataModel, NewField};
use crate::features::workspaces::{Made, NewWorkspace, Workspaces};
use crate::infra::clock::Clock;
use crate::infra::db::{Backend, Db, Mode, Scope, Tx};
use crate::platform::{Cause, Ctx, House};
use crate::records::write::{Rejected, Unit};

pub use people::PEOPLE;

pub const EMAIL: &str = "ada@kith.example";
pub const PASSWORD: &str = "kith-demo";

/// So many records go into one transaction.
const BATCH: usize = 500;

/// Fills the database, unless the demo's user is there already; tells whether it did.
pub async fn fill(workspaces: &Workspaces, fields: &DataModel, access: &AccessControl) -> Result<bool> {
    let db = &workspaces.db;
    if is_filled(db).await? {
        return Ok(false);
    }
    let made = workspaces.create(workspace()).await.map_err(unexpected)?;
    let now = workspaces.clock.now();
    let mut ctx = context(made, now);
    let version = add_fields(fields, &ctx).await?;
    let tx = db.begin(&ctx.scope(), Mode::Read).await?;
    let catalog = fields.catalog(&tx, made.workspace, version).await?;
    tx.commit().await?;
    let story = story::tell(made.member, now);
    let mut stages = HashMap::new();
    for batch in story.chunks(BATCH) {
        let tx = db.begin(&ctx.scope(), Mode::Write).await?;
        for line in batch {
            if line.object == "deal" && stages.is_empty() {
                stages = stages_by_name(&tx, &ctx).await?;
            }
            ctx.clock = Clock::fixed_at(line.at);
            let object = catalog.object(line.object);
            let variant = line.variant.and_then(|name| object.variant(name));
            let mut input = line.input.as_object().cloned().unwrap_or_default();
            if let Some(id) = input.get("stage").and_then(Value::as_str).and_then(|name| stages.get(name)) {
                input.insert("stage".into(), json!({ "id": id }));
            }
            let mut unit = Unit::new(&ctx, &catalog, &tx, &workspaces.rules);
            unit.create(object, variant, &input).await.map_err(unexpected)?;
            unit.finish().await?;
        }
        tx.commit().await?;
    }
    ctx.clock = Clock::fixed_at(now.0);
    people::let_in(access, &ctx, &catalog, &workspaces.rules).await?;
    if db.backend() == Backend::Postgres {
        // Thousands of records came at once: without statistics PostgreSQL plans hops badly.
        let tx = db.begin(&ctx.scope(), Mode::Write).await?;
        tx.run("SELECT kith_analyze()", Vec::new()).await?;
        tx.commit().await?;
    }
    Ok(true)
}

/// `sales/won`, `renewals/due`, … and their ids.
async fn stages_by_name(tx: &Tx, ctx: &Ctx) -> Result<HashMap<String, Uuid>> {
    let sql = "SELECT p.name_fold, s.name_fold, s.id FROM stage s JOIN pipeline p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id WHERE s.workspace_id = $1";
    let rows = tx.fetch_all(sql, vec![ctx.workspace.into()]).await?;
    let mut stages = HashMap::new();
    for row in rows {
        let name = format!("{}/{}", row.text(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default());
        stages.insert(name, row.uuid(2)?.unwrap_or_default());
    }
    Ok(stages)
}

async fn is_filled(db: &Db) -> Result<bool> {
    let scope = Scope { sign_in_email: Some(EMAIL.to_owned()), ..Scope::default() };
    let tx = db.begin(&scope, Mode::Read).await?;
    let user = user_account::Entity::find().filter(user_account::Column::Email.eq(EMAIL)).one(&tx).await?;
    tx.commit().await?;
    Ok(user.is_some())
}

fn workspace() -> NewWorkspace {
    NewWorkspace {
        name: "Hawthorn & Vale".into(),
        time_zone: "Europe/Zurich".into(),
        home_currency: "EUR".into(),
        locale: "en".into(),
        admin_name: "Ada Hawthorn".into(),
        admin_email: EMAIL.into(),
        admin_password: PASSWORD.into(),
    }
}

fn context(made: Made, now: Micros) -> Ctx {
    let house = House { workspace: made.workspace, time_zone: chrono_tz::Europe::Zurich, home_currency: "EUR".into() };
    Ctx::server(house, Cause::Demo, Clock::fixed_at(now.0))
}

/// A handful of fields that a workspace like this would add; returns the catalog version that has them.
async fn add_fields(service: &DataModel, ctx: &Ctx) -> Result<i64> {
    let options = |keys: &[(&str, &str, &str)]| {
        keys.iter()
            .map(|(key, label, color)| SelectOption {
                key: (*key).into(),
                label: (*label).into(),
                color: Some((*color).into()),
                archived: false,
            })
            .collect()
    };
    let field = |object: &str, name: &str, kind: &str, label: &str, help: &str, settings: Settings| NewField {
        object: object.into(),
        name: name.into(),
        kind: kind.into(),
        label: label.into(),
        help: Some(help.into()),
        required: false,
        unique: false,
        indexed: matches!(kind, "SELECT" | "MONEY" | "INTEGER" | "DATE"),
        searchable: kind == "TEXT",
        privacy: Privacy::Internal,
        settings,
    };
    let tiers = Settings {
        options: options(&[("gold", "Gold", "#d4a017"), ("silver", "Silver", "#9aa0a6"), ("bronze", "Bronze", "#a8713a")]),
        ..Settings::default()
    };
    let sources = Settings {
        options: options(&[
            ("referral", "Referral", "#2e7d32"),
            ("web", "Web site", "#1565c0"),
            ("fair", "Trade fair", "#6a1b9a"),
            ("outbound", "Outbound", "#c62828"),
        ]),
        ..Settings::default()
    };
    let interests = Settings {
        options: options(&[("sensors", "Sensors", "#00838f"), ("gateways", "Gateways", "#4527a0"), ("service", "Service", "#558b2f")]),
        ..Settings::default()
    };
    let score = Settings { min: Some("0".into()), max: Some("10".into()), ..Settings::default() };
    let fields = [
        field("company", "tier", "SELECT", "Tier", "How much attention the account gets.", tiers),
        field("company", "customerSince", "DATE", "Customer since", "The day of the first order.", Settings::default()),
        field("deal", "arr", "MONEY", "ARR", "Annual recurring revenue.", Settings::default()),
        field("deal", "origin", "SELECT", "Origin", "What brought the deal about.", sources),
        field("person", "interests", "MULTI_SELECT", "Interests", "What they asked about.", interests),
        field("person", "nps", "INTEGER", "NPS", "Their last answer, from 0 to 10.", score),
    ];
    let mut version = 0;
    for new in fields {
        version = service.create(ctx, new).await.map_err(unexpected)?.1;
    }
    Ok(version)
}

fn unexpected(rejected: Rejected) -> Error {
    match rejected {
        Rejected::Failed(error) => error,
        Rejected::User { errors, .. } => {
            Error::fault(json!(errors.iter().map(|error| format!("{}: {}", error.path.join("."), error.message)).collect::<Vec<_>>()))
        }
    }
}
