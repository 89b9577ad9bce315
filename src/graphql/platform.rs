//! What is the same in every workspace, written with async-graphql's macros.

mod access;
mod audit;
mod describe;
mod fields;
mod identity;
mod sessions;
mod values;
mod workspace;

use async_graphql::MergedObject;

#[derive(MergedObject, Default)]
pub struct PlatformQueryParts(
    workspace::WorkspaceQuery,
    identity::IdentityQuery,
    sessions::SessionQuery,
    access::AccessQuery,
    audit::AuditQuery,
    describe::DescribeQuery,
);

pub use PlatformQueryParts as PlatformQuery;

#[derive(MergedObject, Default)]
pub struct PlatformMutationParts(
    identity::IdentityMutation,
    sessions::SessionMutation,
    workspace::WorkspaceMutation,
    access::AccessMutation,
    fields::FieldMutation,
);

pub use PlatformMutationParts as PlatformMutation;
