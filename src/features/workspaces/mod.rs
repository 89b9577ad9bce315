//! Workspaces: made with their first administrator and a pipeline to start with, and set up.

use std::str::FromStr;
use std::sync::Arc;

use chrono_tz::Tz;
use entity::{log_head, member_role, membership, user_account, workspace};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::json;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::{access, identity};
use crate::infra::clock::Clock;
use crate::infra::db::{Db, Mode, Scope, Tx};
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::platform::{Cause, Ctx, House};
use crate::records::value;
use crate::records::write::{Rejected, RuleBook, Unit};

/// What is needed to make a workspace.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    pub name: String,
    pub time_zone: String,
    pub home_currency: String,
    pub locale: String,
    pub admin_name: String,
    pub admin_email: String,
    pub admin_password: String,
}

/// A workspace that was just made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub workspace: Uuid,
    pub user: Uuid,
    pub member: Uuid,
}

/// The stages of a new workspace's pipeline; won and lost come by themselves.
const STAGES: [(&str, &str); 4] = [("Qualification", "10"), ("Discovery", "30"), ("Proposal", "60"), ("Negotiation", "80")];

pub struct Workspaces {
    pub db: Db,
    pub clock: Clock,
    pub rules: Arc<RuleBook>,
    pub standard: Arc<Catalog>,
    pub hasher: identity::Hasher,
    pub guard: identity::Guard,
}

impl Workspaces {
    /// Makes a workspace, its first administrator and a pipeline, in one transaction.
    pub async fn create(&self, new: NewWorkspace) -> Result<Made, Rejected> {
        let (new, time_zone) = check(new)?;
        let (workspace, member) = (self.clock.new_id(), self.clock.new_id());
        let (user, to_keep) = self.user(&new).await?;
        let scope = Scope { user: Some(user), sign_in_email: Some(new.admin_email.clone()), ..Scope::workspace(workspace) };
        let tx = self.db.begin(&scope, Mode::Write).await?;
        let now = self.clock.now();
        if let Some(row) = to_keep {
            insert::<user_account::Entity, _>(&tx, row).await?;
        }
        let row = workspace::Model {
            id: workspace,
            name: new.name.clone(),
            time_zone: new.time_zone.clone(),
            home_currency: new.home_currency.clone(),
            locale: new.locale.clone(),
            catalog_version: 0,
            created_at: now,
        };
        insert::<workspace::Entity, _>(&tx, row).await?;
        insert::<log_head::Entity, _>(&tx, log_head::Model { workspace_id: workspace, seq: 0 }).await?;
        tx.run("INSERT INTO audit_head (workspace_id, seq, hash) VALUES ($1, 0, '')", vec![workspace.into()]).await?;
        let house = House { workspace, time_zone, home_currency: new.home_currency.clone() };
        let ctx = Ctx { user: Some(user), ..Ctx::server(house, Cause::SetUp, self.clock.clone()) };
        let mut unit = Unit::new(&ctx, &self.standard, &tx, &self.rules);
        unit.create_within("member", json!({ "id": member, "name": new.admin_name, "email": new.admin_email, "status": "ACTIVE" })).await?;
        let pipeline = unit.create_within("pipeline", json!({ "name": "Sales" })).await?.id;
        for (name, probability) in STAGES {
            unit.create_within("stage", json!({ "name": name, "probability": probability, "pipeline": { "id": pipeline } })).await?;
        }
        set_user(&tx, workspace, member, user).await?;
        let owner = access::seed(&tx, &self.clock, workspace, now).await?;
        insert::<member_role::Entity, _>(&tx, member_role::Model { workspace_id: workspace, holder_id: member, role_id: owner }).await?;
        insert::<membership::Entity, _>(
            &tx,
            membership::Model { user_id: user, workspace_id: workspace, member_id: member, created_at: now },
        )
        .await?;
        unit.finish().await?;
        tx.commit().await?;
        Ok(Made { workspace, user, member })
    }

    /// All workspaces, for whoever works in each.
    pub async fn all(&self) -> Result<Vec<Uuid>> {
        let tx = self.db.begin(&Scope::worker(), Mode::Read).await?;
        let rows = tx.fetch_all("SELECT workspace_id FROM log_head ORDER BY workspace_id", Vec::new()).await?;
        tx.commit().await?;
        Ok(rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The user with the address: one who knows the password, or a new one that is yet to be kept.
    async fn user(&self, new: &NewWorkspace) -> Result<(Uuid, Option<user_account::Model>), Rejected> {
        let scope = Scope { sign_in_email: Some(new.admin_email.clone()), ..Scope::default() };
        let tx = self.db.begin(&scope, Mode::Read).await?;
        let known =
            user_account::Entity::find().filter(user_account::Column::Email.eq(&new.admin_email)).one(&tx).await.map_err(Error::from)?;
        tx.commit().await?;
        let password = new.admin_password.clone();
        if let Some(known) = known {
            let kept = known.password_hash.clone();
            // As at the door: nobody guesses here either.
            let nowhere = crate::platform::Origin::default();
            let _turn = self.guard.turn(&new.admin_email, &nowhere).await;
            let wait = self.guard.must_wait(&new.admin_email, &nowhere).await?;
            let fits = wait == 0 && self.hasher.verify(password, kept).await?;
            if !fits {
                self.guard.note_failure(&new.admin_email, &nowhere).await?;
            }
            let refuse = UserError::new(
                UserErrorCode::Taken,
                &["email"],
                "There is a user with this address already; give that user's password to use it.",
            );
            return if fits { Ok((known.id, None)) } else { Err(refuse.into()) };
        }
        let hash = self.hasher.hash(password).await?;
        let row = user_account::Model::new(self.clock.new_id(), &new.admin_email, &new.admin_name, Some(hash), self.clock.now());
        Ok((row.id, Some(row)))
    }

    /// Changes a workspace's settings; absent ones are left alone.
    pub async fn update(&self, ctx: &Ctx, change: Change) -> Result<workspace::Model, Rejected> {
        access::require(ctx, Setting::Workspace)?;
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        let found = workspace::Entity::find_by_id(ctx.workspace)
            .one(&tx)
            .await
            .map_err(Error::from)?
            .ok_or_else(|| Error::fault("the caller's workspace is gone"))?;
        let mut model = found.into_active_model();
        if let Some(name) = change.name {
            model.name = Set(required(&name, "name")?);
        }
        if let Some(zone) = change.time_zone {
            model.time_zone = Set(zone_of(&zone)?.name().to_owned());
        }
        if let Some(code) = change.home_currency {
            model.home_currency = Set(currency(&code)?);
        }
        if let Some(locale) = change.locale {
            model.locale = Set(required(&locale, "locale")?);
        }
        let changed = model.update(&tx).await.map_err(Error::from)?;
        let detail =
            json!({ "name": changed.name, "timeZone": changed.time_zone, "homeCurrency": changed.home_currency, "locale": changed.locale });
        access::audit(&tx, ctx, Action::WorkspaceChanged, ctx.workspace, detail).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// New settings of a workspace.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub time_zone: Option<String>,
    pub home_currency: Option<String>,
    pub locale: Option<String>,
}

async fn insert<E, M>(tx: &Tx, model: M) -> Result<()>
where
    E: EntityTrait<Model = M>,
    M: sea_orm::ModelTrait<Entity = E> + IntoActiveModel<E::ActiveModel>,
{
    E::insert(model.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// Ties a member to its user: a column that no input can set.
async fn set_user(tx: &Tx, workspace: Uuid, member: Uuid, user: Uuid) -> Result<()> {
    let sql = "UPDATE member SET user_id = $1 WHERE workspace_id = $2 AND id = $3";
    tx.run(sql, vec![user.into(), workspace.into(), member.into()]).await?;
    Ok(())
}

fn check(mut new: NewWorkspace) -> Result<(NewWorkspace, Tz), UserError> {
    new.name = required(&new.name, "name")?;
    new.admin_name = required(&new.admin_name, "adminName")?;
    let invalid = |path: &str, message: String| UserError::new(UserErrorCode::InvalidValue, &[path], message);
    new.admin_email = value::email(&new.admin_email).map_err(|e| invalid("email", e.message))?;
    identity::check_strength(&new.admin_password).map_err(|message| invalid("password", message))?;
    let zone = zone_of(&new.time_zone)?;
    new.home_currency = currency(&new.home_currency)?;
    Ok((new, zone))
}

fn required(text: &str, path: &str) -> Result<String, UserError> {
    let text = text.trim();
    // A name stands in mails: neither lines nor addresses.
    if text.is_empty() || text.chars().count() > 255 || text.chars().any(char::is_control) || text.contains("://") {
        return Err(UserError::new(UserErrorCode::InvalidValue, &[path], "Expected 1 to 255 characters, on one line, and no web address."));
    }
    Ok(text.to_owned())
}

fn zone_of(text: &str) -> Result<Tz, UserError> {
    Tz::from_str(text)
        .map_err(|_| UserError::new(UserErrorCode::InvalidValue, &["timeZone"], "Expected an IANA time zone, for example `Europe/Berlin`."))
}

fn currency(code: &str) -> Result<String, UserError> {
    let known = iso_currency::Currency::from_code(code);
    known.map(|currency| currency.code().to_owned()).ok_or_else(|| {
        UserError::new(UserErrorCode::InvalidValue, &["homeCurrency"], "Expected an ISO 4217 currency code, for example `EUR`.")
    })
}
