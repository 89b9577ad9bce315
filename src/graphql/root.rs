//! The roots: static fields, written with macros, and generated ones, in one object.
//!
//! async-graphql asks a type for its fields through a function without `self`, so what a schema is built from reaches it
//! through a thread-local that is set around `Schema::build`. Static parts and generated fields are put together here and not by
//! its `MergedObject`, which copies all fields several times: with thousands of generated ones that takes longer than to make them.
//!
//! At run time [`Roots`] says what a generated field means; what it does not know is asked of the static parts.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::registry::{MetaType, MetaTypeId, Registry};
use async_graphql::{ContainerType, Context, ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value};

use super::records::raw;
use super::schema::Asked;
use super::types::{self, Fields, Roots};
use super::view::View;
use super::{errors, platform, records, request};
use crate::catalog::Catalog;

/// What a schema is built from.
struct Building {
    catalog: Arc<Catalog>,
    view: View,
    fields: types::RootFields,
    /// Static fields of the mutation, from when the query was built until the mutation is.
    mutations: Fields,
}

thread_local! {
    static BUILDING: RefCell<Option<Building>> = const { RefCell::new(None) };
}

/// Builds something with the generated types of a catalog, as a view shows them; gives what its root fields mean besides.
pub fn with_catalog<T>(catalog: &Arc<Catalog>, view: &View, build: impl FnOnce() -> T) -> (T, Roots) {
    let catalog = view.narrow(catalog);
    let (fields, roots) = types::roots(&catalog, view);
    BUILDING.with(|slot| *slot.borrow_mut() = Some(Building { catalog, view: view.clone(), fields, mutations: Fields::new() }));
    let built = build();
    BUILDING.with(|slot| *slot.borrow_mut() = None);
    (built, roots)
}

fn building<T>(take: impl FnOnce(&mut Building) -> T) -> T {
    BUILDING.with(|slot| {
        let mut slot = slot.borrow_mut();
        #[expect(clippy::expect_used, reason = "a schema that is built without a catalog is a bug that every test would show")]
        take(slot.as_mut().expect("a schema is built within `with_catalog`"))
    })
}

/// The generated fields of the subscriptions.
pub fn subscriptions() -> Fields {
    building(|building| std::mem::take(&mut building.fields.subscriptions))
}

/// Adds the fields of a static part to those of its root, but for what the view that is being built leaves out.
fn extend<T: ObjectType>(fields: &mut Fields, registry: &mut Registry) {
    T::create_type_info(registry);
    // It is no type of the schema.
    let Some(MetaType::Object { fields: of_part, .. }) = registry.types.remove(T::type_name().as_ref()) else { return };
    building(|building| fields.extend(of_part.into_iter().filter(|(name, _)| building.view.shows(name))));
}

macro_rules! root {
    ($name:ident, $doc:literal, $generated:ident, $fields:expr, $answer:path, [$($part:ty),+ $(,)?]) => {
        #[doc = $doc]
        pub struct $name;

        impl $name {
            /// The fields of the static parts.
            fn parts(registry: &mut Registry) -> Fields {
                let mut fields = Fields::new();
                $(extend::<$part>(&mut fields, registry);)+
                fields
            }

            /// Asks the static parts one after the other.
            async fn answer(ctx: &Context<'_>) -> ServerResult<Option<Value>> {
                $(if let Some(value) = <$part>::default().resolve_field(ctx).await? {
                    return Ok(Some(value));
                })+
                Ok(None)
            }
        }

        impl OutputType for $name {
            fn type_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn create_type_info(registry: &mut Registry) -> String {
                registry.create_output_type::<Self, _>(MetaTypeId::Object, |registry| {
                    let mut fields = $fields(registry);
                    fields.extend(building(|building| std::mem::take(&mut building.fields.$generated)));
                    types::object(stringify!($name), $doc, fields)
                })
            }

            async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
                // A root is never the value of a field.
                Ok(Value::Null)
            }
        }

        impl ContainerType for $name {
            async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
                if let Some(asked) = ctx.data_opt::<Arc<Asked>>() {
                    let _ = asked.0.set(ctx.schema_env.clone());
                    return Ok(Some(Value::Null));
                }
                match $answer(ctx).await? {
                    None => once(ctx, Self::answer(ctx)).await,
                    answered => Ok(answered),
                }
            }
        }

        impl ObjectType for $name {}
    };
}

root!(
    Query,
    "Everything that can be asked. Begin with `viewer`; the lists (`companies`, `people`, `deals`, …)\nfollow one grammar; `objects` describes them to programs.",
    queries,
    |registry: &mut Registry| {
        // The parts are types only until their fields are taken: before a workspace's own object may be called so.
        let (parts, mutations) = (Query::parts(registry), Mutation::parts(registry));
        let catalog = building(|building| {
            building.mutations = mutations;
            building.catalog.clone()
        });
        types::add_types(registry, &catalog);
        types::add_directives(registry);
        parts
    },
    records::query,
    [
        platform::workspace::WorkspaceQuery,
        platform::identity::IdentityQuery,
        platform::credentials::CredentialQuery,
        platform::sessions::SessionQuery,
        platform::sign_in::SignInQuery,
        platform::access::AccessQuery,
        platform::audit::AuditQuery,
        platform::describe::DescribeQuery,
        platform::change_sets::ChangeSetQuery,
        platform::duplicates::DuplicateQuery,
        platform::cost::CostQuery,
        platform::webhooks::WebhookQuery,
        platform::inbound::InboundHookQuery,
        platform::work::WorkQuery,
    ]
);

root!(
    Mutation,
    "Everything that can be changed. A payload has the record, or `userErrors` that say why not.",
    mutations,
    |_: &mut Registry| building(|building| std::mem::take(&mut building.mutations)),
    records::mutation,
    [
        platform::sign_in::SignInMutation,
        platform::second_factor::SecondFactorMutation,
        platform::credentials::CredentialMutation,
        platform::sessions::SessionMutation,
        platform::workspace::WorkspaceMutation,
        platform::access::AccessMutation,
        platform::fields::FieldMutation,
        platform::objects::ObjectMutation,
        platform::relations::RelationMutation,
        platform::change_sets::ChangeSetMutation,
        platform::duplicates::DuplicateMutation,
        platform::webhooks::WebhookMutation,
        platform::inbound::InboundHookMutation,
        platform::work::WorkMutation,
    ]
);

/// Answers a static field; under an idempotency key once.
async fn once(ctx: &Context<'_>, answer: impl Future<Output = ServerResult<Option<Value>>>) -> ServerResult<Option<Value>> {
    let request = ctx.data_unchecked::<Arc<request::Request>>();
    let Some((repeat, signed)) = request.repeat.as_ref().zip(request.signed_or_none()) else { return answer.await };
    let (name, key) = (ctx.item.node.name.node.as_str(), ctx.item.node.response_key().node.as_str());
    match repeat.answered(key) {
        Ok(Some(answer)) => return Ok(Some(raw(answer.to_owned()))),
        Ok(None) => {}
        Err(error) => return Err(ctx.set_error_path(errors::server_error(&error))),
    }
    repeat.begin_static(signed, key);
    let answered = answer.await;
    signed.ctx.underway.end();
    let answered = answered?;
    if let Some(value) = answered.as_ref().filter(|value| is_done(value)) {
        let kept = async { repeat.keep_static(&request.app, signed, (name, key), &serde_json::to_string(value)?).await };
        // It is done, whether or not it can be answered once more.
        if let Err(error) = kept.await {
            tracing::warn!("the answer of `{name}` could not be kept for its idempotency key: {error}");
        }
    }
    Ok(answered)
}

/// Whether a payload says that its mutation was done.
fn is_done(payload: &Value) -> bool {
    match payload {
        Value::Object(members) => !matches!(members.get("userErrors"), Some(Value::List(errors)) if !errors.is_empty()),
        _ => false,
    }
}
