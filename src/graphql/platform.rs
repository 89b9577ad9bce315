//! What is the same in every workspace, written with async-graphql's macros.

mod access;
mod audit;
mod change_sets;
mod cost;
mod credentials;
mod describe;
mod duplicates;
mod fields;
mod identity;
mod inbound;
mod newest;
mod objects;
mod relations;
mod second_factor;
mod sessions;
mod sign_in;
mod values;
mod webhooks;
mod work;
mod workspace;

use async_graphql::MergedObject;

#[derive(MergedObject, Default)]
pub struct PlatformQueryParts(
    workspace::WorkspaceQuery,
    identity::IdentityQuery,
    credentials::CredentialQuery,
    sessions::SessionQuery,
    sign_in::SignInQuery,
    access::AccessQuery,
    audit::AuditQuery,
    describe::DescribeQuery,
    change_sets::ChangeSetQuery,
    duplicates::DuplicateQuery,
    cost::CostQuery,
    webhooks::WebhookQuery,
    inbound::InboundHookQuery,
    work::WorkQuery,
);

pub use PlatformQueryParts as PlatformQuery;

#[derive(MergedObject, Default)]
pub struct PlatformMutationParts(
    sign_in::SignInMutation,
    second_factor::SecondFactorMutation,
    credentials::CredentialMutation,
    sessions::SessionMutation,
    workspace::WorkspaceMutation,
    access::AccessMutation,
    fields::FieldMutation,
    objects::ObjectMutation,
    relations::RelationMutation,
    change_sets::ChangeSetMutation,
    duplicates::DuplicateMutation,
    webhooks::WebhookMutation,
    inbound::InboundHookMutation,
    work::WorkMutation,
);

pub use PlatformMutationParts as PlatformMutation;
