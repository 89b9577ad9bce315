//! Others who can sign in to the demo, each with a role of their own, so that permissions can be
//! tried: a manager, two reps in the team below, a customer in the portal.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{PASSWORD, unexpected};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::features::access::{AccessControl, TeamInput, TeamMember};
use crate::infra::db::Mode;
use crate::platform::{Ctx, Origin};
use crate::records::write::RuleBook;

/// Address and role; all have the demo's password.
pub const PEOPLE: [(&str, &str); 4] =
    [("bruno@kith.example", "MANAGER"), ("clara@kith.example", "REP"), ("david@kith.example", "REP"), ("portal@kith.example", "PORTAL")];

pub async fn let_in(access: &AccessControl, ctx: &Ctx, catalog: &Catalog, rules: &RuleBook) -> Result<()> {
    let roles = access.roles(ctx).await?;
    let mut members = Vec::new();
    for (email, role) in PEOPLE {
        let role = roles.iter().find(|row| row.built_in.as_deref() == Some(role)).map(|row| row.id);
        let role = role.ok_or_else(|| Error::fault("the demo's workspace lacks a built-in role"))?;
        let mut member = Map::from_iter([("email".to_owned(), json!(email))]);
        if email.starts_with("portal") {
            member.extend(customer(access, ctx).await?);
        }
        let invited = access.invite(ctx, catalog, rules, member, Some(vec![role])).await.map_err(unexpected)?;
        let accepted = access.accept(&invited.token, None, PASSWORD, &Origin::default()).await.map_err(unexpected)?;
        members.push(accepted.member);
    }
    let team = |name: &str, parent: Option<Uuid>, members: &[Uuid], manages: bool| TeamInput {
        name: Some(name.into()),
        parent: Some(parent),
        members: Some(members.iter().map(|member| TeamMember { member: *member, manages }).collect()),
    };
    let sales = access.create_team(ctx, team("Sales", None, &members[..1], true)).await.map_err(unexpected)?;
    access.create_team(ctx, team("Field sales", Some(sales), &members[1..3], false)).await.map_err(unexpected)?;
    Ok(())
}

/// A person whose company has open deals, as a member to be.
async fn customer(access: &AccessControl, ctx: &Ctx) -> Result<Map<String, Value>> {
    let tx = access.db.begin(&ctx.scope(), Mode::Read).await?;
    let sql = "SELECT l.to_id, p.full_name FROM record_link l \
               JOIN person p ON p.workspace_id = l.workspace_id AND p.id = l.to_id \
               JOIN deal d ON d.workspace_id = l.workspace_id AND d.company_id = l.from_id AND d.status = 'OPEN' \
               WHERE l.workspace_id = $1 AND l.kind = 'company_person' ORDER BY l.to_id LIMIT 1";
    let row = tx.fetch_optional(sql, vec![ctx.workspace.into()]).await?;
    tx.commit().await?;
    let row = row.ok_or_else(|| Error::fault("the demo has no customer with an open deal"))?;
    let (person, name) = (row.uuid(0)?, row.text(1)?.unwrap_or_default().to_owned());
    Ok(Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("kind".to_owned(), json!("PORTAL")),
        ("person".to_owned(), json!({ "id": person })),
    ]))
}
