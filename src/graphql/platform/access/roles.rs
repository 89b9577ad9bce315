//! Roles, and who has them.

use std::collections::BTreeMap;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use entity::role;

use super::{id, ids, or_refuse, sees_members, signed};
use crate::catalog::Catalog;
use crate::features::access::{FieldSpec, ObjectSpec, Permissions, RoleInput, Scope};
use crate::graphql::errors::field_error;
use crate::graphql::platform::values::{ObjectName, UserErrorView, views};
use crate::graphql::platform::workspace::split;
use crate::graphql::request;
use crate::platform::access::{Setting, Sight};

/// How far a right reaches.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Scope")]
pub enum AccessScope {
    /// Records that the member owns.
    Own,
    /// And those owned by members of the member's teams.
    Team,
    /// And those of the teams below, and of everybody who reports to the member.
    TeamTree,
    /// Companies, people and deals in the member's territories, and in those below.
    Territory,
    /// Records linked to the member's own person, or to that person's companies; for portal users.
    Linked,
    /// Every record.
    All,
}

/// How much of a field is shown.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Sight")]
pub enum FieldSight {
    /// Nothing: it is null, and named in `extensions.hidden`.
    Hidden,
    /// Enough of a text to recognise it (`a***@example.com`); other values are null.
    Masked,
    /// All of it.
    Full,
}

/// Something besides records that a role may allow.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Setting")]
pub enum SettingName {
    /// The workspace's name, time zone and currency.
    Workspace,
    /// Inviting members, and teams.
    Members,
    /// Roles, and who has them.
    Roles,
    /// Objects and fields.
    DataModel,
    /// API keys.
    ApiKeys,
    /// Reading the audit.
    Audit,
    /// Sharing records that one may see but not change.
    Share,
    /// Reading the schema of the whole workspace, whatever the roles show: for code generators.
    Schema,
    /// Webhooks, what was delivered to them, and the server's work behind them.
    Integrations,
}

/// What a role allows on the records of one object.
#[derive(SimpleObject)]
pub struct ObjectPermission {
    /// The object; null: every object that the role does not name.
    object: Option<ObjectName>,
    /// Whether records can be created.
    create: bool,
    /// Which records can be seen; none if empty.
    read: Vec<AccessScope>,
    /// Which records can be changed.
    update: Vec<AccessScope>,
    /// Which records can be deleted, restored and purged.
    delete: Vec<AccessScope>,
}

/// What a role takes away from a field.
#[derive(SimpleObject)]
pub struct FieldPermission {
    /// The field's object.
    object: ObjectName,
    /// The field's name in the API; `custom.<name>` of a field that the workspace added.
    field: String,
    /// How much of it is shown.
    sight: FieldSight,
    /// Whether it can be written.
    write: bool,
}

/// A named set of permissions. A member's roles add up: the most permissive wins; those that restrict
/// are cut out of the sum.
pub struct Role(pub role::Model, pub Permissions);

impl TryFrom<role::Model> for Role {
    type Error = async_graphql::Error;

    fn try_from(row: role::Model) -> Result<Self> {
        let permissions = serde_json::from_value(row.permissions.clone()).map_err(|e| field_error(&e.into()))?;
        Ok(Self(row, permissions))
    }
}

/// A named set of permissions. A member's roles add up: the most permissive wins; those that restrict
/// are cut out of the sum.
#[Object]
impl Role {
    /// The role's id.
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What it is called; unique in the workspace.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Which of the roles that every workspace begins with it is: `OWNER`, `ADMIN`, `MANAGER`, `REP`,
    /// `READ_ONLY`, `PORTAL`, `INTEGRATION`; null of others.
    async fn built_in(&self) -> Option<&str> {
        self.0.built_in.as_deref()
    }

    /// Whether it takes away instead of giving: what it does not allow, no other role allows.
    async fn restricts(&self) -> bool {
        self.0.restricts
    }

    /// What it allows on records.
    async fn objects(&self) -> Vec<ObjectPermission> {
        let scopes = |list: &[Scope]| list.iter().map(|scope| AccessScope::from(*scope)).collect();
        let one = |(name, spec): (&String, &ObjectSpec)| ObjectPermission {
            object: (name != "*").then(|| ObjectName::of(name)),
            create: spec.create,
            read: scopes(&spec.read),
            update: scopes(&spec.update),
            delete: scopes(&spec.delete),
        };
        self.1.objects.iter().map(one).collect()
    }

    /// What it takes away from fields.
    async fn fields(&self) -> Vec<FieldPermission> {
        let one = |spec: &FieldSpec| FieldPermission {
            object: ObjectName::of(&spec.object),
            field: spec.field.clone(),
            sight: spec.sight.into(),
            write: spec.write,
        };
        self.1.fields.iter().map(one).collect()
    }

    /// What it allows besides records.
    async fn settings(&self) -> Vec<SettingName> {
        self.1.settings.iter().map(|setting| (*setting).into()).collect()
    }

    /// The members and API keys that have it, by id.
    async fn holders(&self, ctx: &Context<'_>) -> Result<Vec<ID>> {
        let request = request::of(ctx);
        sees_members(signed(request)?)?;
        let held = request.app.access.holders(&signed(request)?.ctx).await.map_err(|e| field_error(&e))?;
        Ok(held.into_iter().filter(|row| row.role_id == self.0.id).map(|row| row.holder_id.into()).collect())
    }
}

/// The caller's own roles.
pub async fn held_roles(ctx: &Context<'_>) -> Result<Vec<Role>> {
    let request = request::of(ctx);
    let signed = signed(request)?;
    let held = signed.ctx.access.policy().map(|policy| policy.roles.clone()).unwrap_or_default();
    let roles = request.app.access.roles(&signed.ctx).await.map_err(|e| field_error(&e))?;
    roles.into_iter().filter(|role| held.contains(&role.id)).map(Role::try_from).collect()
}

/// What a role is to allow on the records of one object.
#[derive(InputObject)]
pub struct ObjectPermissionInput {
    /// The object; absent: every object that the role does not name.
    object: Option<ObjectName>,
    /// Whether records can be created.
    #[graphql(default = false)]
    create: bool,
    /// Which records can be seen; none if empty.
    #[graphql(default)]
    read: Vec<AccessScope>,
    /// Which records can be changed; no more than can be seen.
    #[graphql(default)]
    update: Vec<AccessScope>,
    /// Which records can be deleted, restored and purged; no more than can be seen.
    #[graphql(default)]
    delete: Vec<AccessScope>,
}

/// What a role is to take away from a field.
#[derive(InputObject)]
pub struct FieldPermissionInput {
    /// The field's object.
    object: ObjectName,
    /// The field's name in the API; `custom.<name>` of a field that the workspace added.
    field: String,
    /// How much of it is shown. What the schema promises to be there cannot be hidden.
    sight: FieldSight,
    /// Whether it can be written.
    #[graphql(default = false)]
    write: bool,
}

/// A new role.
#[derive(InputObject)]
pub struct CreateRoleInput {
    /// What it is called; unique in the workspace.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Whether it takes away instead of giving.
    #[graphql(default = false)]
    restricts: bool,
    /// What it allows on records.
    #[graphql(default)]
    objects: Vec<ObjectPermissionInput>,
    /// What it takes away from fields.
    #[graphql(default)]
    fields: Vec<FieldPermissionInput>,
    /// What it allows besides records.
    #[graphql(default)]
    settings: Vec<SettingName>,
}

/// Changes to a role; what is absent stays as it is.
#[derive(InputObject)]
pub struct UpdateRoleInput {
    /// Which role.
    id: ID,
    /// What it is called.
    name: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Whether it takes away instead of giving.
    restricts: Option<bool>,
    /// What it allows on records, as a whole.
    objects: Option<Vec<ObjectPermissionInput>>,
    /// What it takes away from fields, as a whole.
    fields: Option<Vec<FieldPermissionInput>>,
    /// What it allows besides records, as a whole.
    settings: Option<Vec<SettingName>>,
}

/// A role to delete.
#[derive(InputObject)]
pub struct DeleteRoleInput {
    /// Which role.
    id: ID,
}

/// Who is to have which roles.
#[derive(InputObject)]
pub struct SetRolesInput {
    /// A member or an API key.
    holder: ID,
    /// All roles that they are to have; the others are taken away.
    roles: Vec<ID>,
}

/// What came of changing a role.
#[derive(SimpleObject, Default)]
pub struct RolePayload {
    /// The role as it is now.
    role: Option<Role>,
    /// The id of the role that was deleted.
    deleted_id: Option<ID>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// What came of giving roles.
#[derive(SimpleObject, Default)]
pub struct SetRolesPayload {
    /// The roles that the holder has now.
    roles: Vec<Role>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct RoleQuery;

#[derive(Default)]
pub struct RoleMutation;

#[Object]
impl RoleQuery {
    /// The workspace's roles.
    async fn roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        let request = request::of(ctx);
        sees_members(signed(request)?)?;
        let roles = request.app.access.roles(&signed(request)?.ctx).await.map_err(|e| field_error(&e))?;
        roles.into_iter().map(Role::try_from).collect()
    }
}

#[Object]
impl RoleMutation {
    /// Makes a role. Needs ROLES.
    async fn create_role(&self, ctx: &Context<'_>, #[graphql(desc = "The new role.")] input: CreateRoleInput) -> Result<RolePayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let permissions =
            permissions(Some(input.objects), Some(input.fields), Some(input.settings), Permissions::default(), &signed.known.catalog);
        let new = RoleInput {
            name: Some(input.name),
            description: input.description,
            restricts: Some(input.restricts),
            permissions: Some(permissions),
        };
        let (role, errors) = split(request.app.access.create_role(&signed.ctx, &signed.known.catalog, new).await)?;
        payload(request, role, errors).await
    }

    /// Changes a role, for everybody who has it. Needs ROLES.
    async fn update_role(&self, ctx: &Context<'_>, #[graphql(desc = "What to change.")] input: UpdateRoleInput) -> Result<RolePayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let id = or_refuse!(RolePayload, id(&input.id, &["id"]));
        let changed = input.objects.is_some() || input.fields.is_some() || input.settings.is_some();
        let roles = request.app.access.roles(&signed.ctx).await.map_err(|e| field_error(&e))?;
        let old = roles.into_iter().find(|role| role.id == id).map(Role::try_from).transpose()?.map(|role| role.1).unwrap_or_default();
        let change = RoleInput {
            name: input.name,
            description: input.description,
            restricts: input.restricts,
            permissions: changed.then(|| permissions(input.objects, input.fields, input.settings, old, &signed.known.catalog)),
        };
        let (role, errors) = split(request.app.access.update_role(&signed.ctx, &signed.known.catalog, id, change).await)?;
        payload(request, role, errors).await
    }

    /// Deletes a role, and takes it from everybody who has it. Needs ROLES.
    async fn delete_role(&self, ctx: &Context<'_>, #[graphql(desc = "Which role.")] input: DeleteRoleInput) -> Result<RolePayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let id = or_refuse!(RolePayload, id(&input.id, &["id"]));
        let (deleted, errors) = split(request.app.access.delete_role(&signed.ctx, id).await)?;
        request.app.forget_access(signed.ctx.workspace).await;
        Ok(RolePayload { role: None, deleted_id: deleted.map(ID::from), user_errors: views(errors) })
    }

    /// Gives a member or an API key exactly these roles. Needs ROLES; only owners make owners.
    async fn set_roles(&self, ctx: &Context<'_>, #[graphql(desc = "Who, and which.")] input: SetRolesInput) -> Result<SetRolesPayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let holder = or_refuse!(SetRolesPayload, id(&input.holder, &["holder"]));
        let wanted = or_refuse!(SetRolesPayload, ids(&input.roles, "roles"));
        let (done, errors) = split(request.app.access.set_roles(&signed.ctx, holder, &wanted).await)?;
        request.app.forget_access(signed.ctx.workspace).await;
        let mut roles = Vec::new();
        if done.is_some() {
            let all = request.app.access.roles(&signed.ctx).await.map_err(|e| field_error(&e))?;
            roles = all.into_iter().filter(|role| wanted.contains(&role.id)).map(Role::try_from).collect::<Result<_>>()?;
        }
        Ok(SetRolesPayload { roles, user_errors: views(errors) })
    }
}

async fn payload(request: &request::Request, role: Option<role::Model>, errors: Vec<crate::error::UserError>) -> Result<RolePayload> {
    request.app.forget_access(signed(request)?.ctx.workspace).await;
    Ok(RolePayload { role: role.map(Role::try_from).transpose()?, deleted_id: None, user_errors: views(errors) })
}

/// The document of a role: the parts that were given, and the others as they were.
fn permissions(
    objects: Option<Vec<ObjectPermissionInput>>,
    fields: Option<Vec<FieldPermissionInput>>,
    settings: Option<Vec<SettingName>>,
    old: Permissions,
    catalog: &Catalog,
) -> Permissions {
    let scopes = |list: Vec<AccessScope>| list.into_iter().map(Scope::from).collect();
    let object = |input: ObjectPermissionInput| {
        let name = input.object.map_or_else(|| "*".to_owned(), |name| name.stored(catalog));
        let spec =
            ObjectSpec { create: input.create, read: scopes(input.read), update: scopes(input.update), delete: scopes(input.delete) };
        (name, spec)
    };
    let field = |input: FieldPermissionInput| FieldSpec {
        object: input.object.stored(catalog),
        field: input.field,
        sight: input.sight.into(),
        write: input.write,
    };
    Permissions {
        objects: objects.map_or(old.objects, |list| list.into_iter().map(object).collect::<BTreeMap<_, _>>()),
        fields: fields.map_or(old.fields, |list| list.into_iter().map(field).collect()),
        settings: settings.map_or(old.settings, |list| list.into_iter().map(Setting::from).collect()),
    }
}
