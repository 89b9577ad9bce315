//! Teams, and members who are invited.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use entity::{team, team_member};
use serde_json::{Map, json};

use super::{id, ids, or_refuse, sees_members, signed};
use crate::features::access::{TeamInput, TeamMember};
use crate::graphql::errors::field_error;
use crate::graphql::platform::sign_in::{Session, SessionTransport, SignInChallenge, SignInPayload, settle};
use crate::graphql::platform::values::{DateTime, UserErrorView, views};
use crate::graphql::platform::workspace::split;
use crate::graphql::records::MemberRef;
use crate::graphql::request;

/// A group of members. Teams form a tree; where a role says TEAM, members see what the members of
/// their teams own.
pub struct Team {
    row: team::Model,
    members: Vec<team_member::Model>,
}

/// One member of a team.
pub struct TeamMembership(team_member::Model);

/// One member of a team.
#[Object]
impl TeamMembership {
    /// The member; null if the caller may not see members.
    async fn member(&self) -> Option<MemberRef> {
        Some(MemberRef::new(self.0.member_id))
    }

    /// Whether they lead the team.
    async fn manages(&self) -> bool {
        self.0.manages
    }
}

/// A group of members. Teams form a tree; where a role says TEAM, members see what the members of
/// their teams own.
#[Object]
impl Team {
    /// The team's id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// What it is called; unique in the workspace.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The id of the team above it.
    async fn parent_id(&self) -> Option<ID> {
        self.row.parent_id.map(ID::from)
    }

    /// Who belongs to it.
    async fn members(&self) -> Vec<TeamMembership> {
        self.members.iter().cloned().map(TeamMembership).collect()
    }
}

/// A member of a team, as it is given.
#[derive(InputObject)]
pub struct TeamMemberInput {
    /// The member.
    member: ID,
    /// Whether they lead the team.
    #[graphql(default = false)]
    manages: bool,
}

/// A new team.
#[derive(InputObject)]
pub struct CreateTeamInput {
    /// What it is called; unique in the workspace.
    name: String,
    /// The team above it.
    parent_id: Option<ID>,
    /// Who belongs to it.
    #[graphql(default)]
    members: Vec<TeamMemberInput>,
}

/// Changes to a team; what is absent stays as it is.
#[derive(InputObject)]
pub struct UpdateTeamInput {
    /// Which team.
    id: ID,
    /// What it is called.
    name: Option<String>,
    /// The team above it; null: none.
    parent_id: MaybeUndefined<ID>,
    /// Who belongs to it, as a whole.
    members: Option<Vec<TeamMemberInput>>,
}

/// A team to delete.
#[derive(InputObject)]
pub struct DeleteTeamInput {
    /// Which team.
    id: ID,
}

/// Somebody to invite.
#[derive(InputObject)]
pub struct InviteMemberInput {
    /// What colleagues call them.
    name: String,
    /// Where the invitation goes; they sign in with this address.
    email: String,
    /// Their roles; absent: the role `REP`.
    roles: Option<Vec<ID>>,
    /// Of a portal user: the person that they are.
    person_id: Option<ID>,
    /// Their superior.
    manager_id: Option<ID>,
}

/// An invitation to accept.
#[derive(InputObject)]
pub struct AcceptInvitationInput {
    /// The token from the invitation.
    token: String,
    /// What they want to be called, if they have no account yet.
    name: Option<String>,
    /// A new password; or, for who has an account already, the one they have.
    password: String,
}

/// What came of changing a team.
#[derive(SimpleObject, Default)]
pub struct TeamPayload {
    /// The team as it is now.
    team: Option<Team>,
    /// The id of the team that was deleted.
    deleted_id: Option<ID>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// What came of an invitation.
#[derive(SimpleObject, Default)]
pub struct InviteMemberPayload {
    /// The member, who cannot sign in yet.
    member: Option<MemberRef>,
    /// What they accept the invitation with; shown this once.
    token: Option<String>,
    /// Until when it is good.
    expires_at: Option<DateTime>,
    /// Why nobody was invited; empty if somebody was.
    user_errors: Vec<UserErrorView>,
}

/// What came of accepting an invitation.
#[derive(SimpleObject, Default)]
pub struct AcceptInvitationPayload {
    /// The new member's session: they are signed in.
    session: Option<Session>,
    /// What is still needed to sign in, if something is: they are a member already.
    challenge: Option<SignInChallenge>,
    /// Why it was not accepted; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[derive(Default)]
pub struct TeamQuery;

#[derive(Default)]
pub struct TeamMutation;

#[Object]
impl TeamQuery {
    /// The workspace's teams, by name.
    async fn teams(&self, ctx: &Context<'_>) -> Result<Vec<Team>> {
        sees_members(signed(request::of(ctx))?)?;
        all(request::of(ctx)).await
    }
}

async fn all(request: &request::Request) -> Result<Vec<Team>> {
    let (teams, members) = request.app.access.teams(&signed(request)?.ctx).await.map_err(|e| field_error(&e))?;
    let of = |team: &team::Model| members.iter().filter(|member| member.team_id == team.id).cloned().collect();
    Ok(teams.into_iter().map(|row| Team { members: of(&row), row }).collect())
}

#[Object]
impl TeamMutation {
    /// Makes a team. Needs MEMBERS.
    async fn create_team(&self, ctx: &Context<'_>, #[graphql(desc = "The new team.")] input: CreateTeamInput) -> Result<TeamPayload> {
        let request = request::of(ctx);
        let parent = or_refuse!(TeamPayload, input.parent_id.map(|parent| id(&parent, &["parentId"])).transpose());
        let members = or_refuse!(TeamPayload, members(&input.members));
        let new = TeamInput { name: Some(input.name), parent: Some(parent), members: Some(members) };
        let (made, errors) = split(request.app.access.create_team(&signed(request)?.ctx, new).await)?;
        payload(request, made, errors).await
    }

    /// Changes a team, its members as a whole. Needs MEMBERS.
    async fn update_team(&self, ctx: &Context<'_>, #[graphql(desc = "What to change.")] input: UpdateTeamInput) -> Result<TeamPayload> {
        let request = request::of(ctx);
        let team = or_refuse!(TeamPayload, id(&input.id, &["id"]));
        let parent = match input.parent_id {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(parent) => Some(Some(or_refuse!(TeamPayload, id(&parent, &["parentId"])))),
        };
        let members = or_refuse!(TeamPayload, input.members.map(|given| members(&given)).transpose());
        let change = TeamInput { name: input.name, parent, members };
        let (done, errors) = split(request.app.access.update_team(&signed(request)?.ctx, team, change).await)?;
        payload(request, done, errors).await
    }

    /// Deletes a team; the teams below it move up. Needs MEMBERS.
    async fn delete_team(&self, ctx: &Context<'_>, #[graphql(desc = "Which team.")] input: DeleteTeamInput) -> Result<TeamPayload> {
        let request = request::of(ctx);
        let team = or_refuse!(TeamPayload, id(&input.id, &["id"]));
        let (deleted, errors) = split(request.app.access.delete_team(&signed(request)?.ctx, team).await)?;
        request.app.forget_access(signed(request)?.ctx.workspace).await;
        Ok(TeamPayload { team: None, deleted_id: deleted.map(ID::from), user_errors: views(errors) })
    }

    /// Invites somebody: makes a member with roles, and a token with which they set a password and sign
    /// in, good for seven days; it is mailed, where the server sends mail. Needs MEMBERS, and for roles that the inviter does not have, ROLES. Inviting
    /// again makes the earlier token void.
    async fn invite_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom, and as what.")] input: InviteMemberInput,
    ) -> Result<InviteMemberPayload> {
        let request = request::of(ctx);
        let signed = signed(request)?;
        let roles = or_refuse!(InviteMemberPayload, input.roles.map(|roles| ids(&roles, "roles")).transpose());
        let mut member = Map::from_iter([("name".to_owned(), json!(input.name)), ("email".to_owned(), json!(input.email))]);
        if let Some(person) = input.person_id {
            member.insert("person".into(), json!({ "id": person.as_str() }));
            member.insert("kind".into(), json!("PORTAL"));
        }
        if let Some(manager) = input.manager_id {
            member.insert("manager".into(), json!({ "id": manager.as_str() }));
        }
        let access = &request.app.access;
        let invited = access.invite(&signed.ctx, &signed.known.catalog, &request.app.rules, member, roles).await;
        let (invited, errors) = split(invited)?;
        request.app.forget_access(signed.ctx.workspace).await;
        Ok(match invited {
            Some(invited) => InviteMemberPayload {
                member: Some(MemberRef::new(invited.member)),
                token: Some(invited.token),
                expires_at: Some(invited.expires_at.into()),
                user_errors: Vec::new(),
            },
            None => InviteMemberPayload { user_errors: views(errors), ..Default::default() },
        })
    }

    /// Accepts an invitation, and signs in. Anybody may ask this.
    async fn accept_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The invitation, and a password.")] input: AcceptInvitationInput,
    ) -> Result<AcceptInvitationPayload> {
        let request = request::of(ctx);
        let accepted = request.app.access.accept(&input.token, input.name.as_deref(), &input.password, &request.origin).await;
        let (accepted, errors) = split(accepted)?;
        let Some(accepted) = accepted else { return Ok(AcceptInvitationPayload { user_errors: views(errors), ..Default::default() }) };
        request.app.forget_access(accepted.workspace).await;
        let step = request.app.identity.enter(accepted.user, accepted.workspace, &request.origin).await;
        let SignInPayload { session, challenge, user_errors } = settle(ctx, step, SessionTransport::Token, "Sign in.").await?;
        Ok(AcceptInvitationPayload { session, challenge, user_errors })
    }
}

fn members(given: &[TeamMemberInput]) -> Result<Vec<TeamMember>, crate::error::UserError> {
    let one = |(index, input): (usize, &TeamMemberInput)| {
        let member = id(&input.member, &["members", &index.to_string(), "member"])?;
        Ok(TeamMember { member, manages: input.manages })
    };
    given.iter().enumerate().map(one).collect()
}

async fn payload(request: &request::Request, team: Option<uuid::Uuid>, errors: Vec<crate::error::UserError>) -> Result<TeamPayload> {
    request.app.forget_access(signed(request)?.ctx.workspace).await;
    let team = match team {
        Some(id) => all(request).await?.into_iter().find(|team| team.row.id == id),
        None => None,
    };
    Ok(TeamPayload { team, deleted_id: None, user_errors: views(errors) })
}
