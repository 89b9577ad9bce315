//! The roles that every workspace begins with. They can be changed like others, but for the owner's.

use std::collections::{BTreeMap, BTreeSet};

use entity::{Micros, role};
use sea_orm::{EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::model::{OTHERS, ObjectSpec, Permissions, Scope};
use crate::error::{Error, Result};
use crate::infra::clock::Clock;
use crate::infra::db::Tx;
use crate::platform::access::Setting;

/// May do everything; a workspace always has an active member with it.
pub const OWNER: &str = "OWNER";
/// What API keys have when nothing is said.
pub const INTEGRATION: &str = "INTEGRATION";
/// What invited members have when nothing is said.
pub const REP: &str = "REP";

/// Makes the roles of a new workspace and returns the owner's.
pub async fn seed(tx: &Tx, clock: &Clock, workspace: Uuid, now: Micros) -> Result<Uuid> {
    let mut owner = None;
    for (built_in, name, description, permissions) in roles() {
        let id = clock.new_id();
        if built_in == OWNER {
            owner = Some(id);
        }
        let row = role::Model {
            workspace_id: workspace,
            id,
            name: name.to_owned(),
            description: description.to_owned(),
            built_in: Some(built_in.to_owned()),
            restricts: false,
            permissions: serde_json::to_value(&permissions)?,
            created_at: now,
            updated_at: now,
        };
        role::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    }
    owner.ok_or_else(|| Error::fault("there is no owner among the built-in roles"))
}

/// Key, name, description, permissions.
fn roles() -> [(&'static str, &'static str, &'static str, Permissions); 7] {
    use Scope::{All, Linked, Own, Team, TeamTree};
    let every: BTreeSet<Setting> = Setting::EVERY.into_iter().collect();
    let full = spec(true, &[All], &[All], &[All]);
    let look = spec(false, &[All], &[], &[]);
    let of = |settings: &[Setting], objects: &[(&str, &ObjectSpec)]| Permissions {
        objects: objects.iter().map(|(name, spec)| ((*name).to_owned(), (*spec).clone())).collect::<BTreeMap<_, _>>(),
        fields: Vec::new(),
        settings: settings.iter().copied().collect(),
    };
    let shared = spec(true, &[All], &[TeamTree], &[TeamTree]);
    let led = spec(true, &[TeamTree], &[TeamTree], &[TeamTree]);
    let known = spec(true, &[All], &[Team], &[Own]);
    let own = spec(true, &[Team], &[Own], &[Own]);
    let tags = spec(true, &[All], &[All], &[Own]);
    let linked = spec(false, &[Linked], &[], &[]);
    let none = ObjectSpec::default();
    [
        (
            OWNER,
            "Owner",
            "May do everything. A workspace always has one.",
            Permissions { settings: every.clone(), ..of(&[], &[(OTHERS, &full)]) },
        ),
        ("ADMIN", "Admin", "May do everything.", Permissions { settings: every, ..of(&[], &[(OTHERS, &full)]) }),
        (
            "MANAGER",
            "Manager",
            "Sees and changes what their teams, and the teams below, work on.",
            of(
                &[Setting::Share],
                &[
                    (OTHERS, &led),
                    ("company", &shared),
                    ("person", &shared),
                    ("tag", &tags),
                    ("member", &look),
                    ("pipeline", &look),
                    ("stage", &look),
                    ("territory", &look),
                ],
            ),
        ),
        (
            REP,
            "Rep",
            "Works on their own records and sees their team's; knows every company and person.",
            of(
                &[],
                &[
                    (OTHERS, &own),
                    ("company", &known),
                    ("person", &known),
                    ("tag", &tags),
                    ("member", &look),
                    ("pipeline", &look),
                    ("stage", &look),
                    ("territory", &look),
                ],
            ),
        ),
        ("READ_ONLY", "Read-only", "Sees every record and changes none.", of(&[], &[(OTHERS, &look)])),
        (
            "PORTAL",
            "Portal",
            "A customer or partner: sees their own person and companies, and the deals with them.",
            of(
                &[],
                &[(OTHERS, &none), ("person", &linked), ("company", &linked), ("deal", &linked), ("pipeline", &look), ("stage", &look)],
            ),
        ),
        (
            INTEGRATION,
            "Integration",
            "A program: reads and writes every record, but for members and the shape of the sales process.",
            of(&[], &[(OTHERS, &full), ("member", &look), ("pipeline", &look), ("stage", &look), ("territory", &look)]),
        ),
    ]
}

fn spec(create: bool, read: &[Scope], update: &[Scope], delete: &[Scope]) -> ObjectSpec {
    ObjectSpec { create, read: read.to_vec(), update: update.to_vec(), delete: delete.to_vec() }
}
