//! Credentials of programs and pages: API keys, applications, embed tokens.

mod applications;
mod restrictions;

use async_graphql::{Context, Enum, ID, InputObject, Json, MergedObject, Object, Result, SimpleObject};
use entity::api_key;
use uuid::Uuid;

use super::access::{SettingName, id, ids, or_refuse};
use super::values::{DateTime, ObjectName, UserErrorView, views};
use super::workspace::split;
use crate::error::{UserError, UserErrorCode};
use crate::features::identity::{KeyKind, KeyRequest, Restrictions, ScopeAccess};
use crate::graphql::errors::field_error;
use crate::graphql::request;
use restrictions::{CredentialRestrictionsInput, CredentialScope};

/// Where a key can be kept.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "KeyKind")]
pub enum ApiKeyKind {
    /// On a server, out of sight.
    Secret,
    /// In the source of a web page, where every visitor can read it: bound to the page's origins and
    /// its application's documents, and to creating records unless `allowReads` says otherwise.
    Publishable,
}

/// Records of one object that a credential is for: those that match.
#[derive(SimpleObject)]
pub struct RowFilterView {
    /// The object.
    object: ObjectName,
    /// The filter, in the query grammar.
    filter: Json<serde_json::Value>,
}

/// A long-lived credential of a program. Its secret is shown once, when it is made.
pub struct ApiKey {
    row: api_key::Model,
    restrictions: Restrictions,
}

impl TryFrom<api_key::Model> for ApiKey {
    type Error = async_graphql::Error;

    fn try_from(row: api_key::Model) -> Result<Self> {
        let restrictions = serde_json::from_value(row.restrictions.clone()).map_err(|e| field_error(&e.into()))?;
        Ok(Self { row, restrictions })
    }
}

/// A long-lived credential of a program. Its secret is shown once, when it is made.
#[Object]
impl ApiKey {
    /// The key's id.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// What its maker called it.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Where it can be kept.
    async fn kind(&self) -> ApiKeyKind {
        if self.row.kind == "PUBLISHABLE" { ApiKeyKind::Publishable } else { ApiKeyKind::Secret }
    }

    /// The end of the secret, to tell keys apart.
    async fn hint(&self) -> &str {
        &self.row.hint
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// The member who made it, and with whom it ends.
    async fn created_by_id(&self) -> Option<ID> {
        self.row.created_by.map(ID::from)
    }

    /// When it stops working; null: never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.row.expires_at.map(DateTime::from)
    }

    /// When it was last used, give or take some seconds.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.row.last_used_at.map(DateTime::from)
    }

    /// When it was revoked; null while it works.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.row.revoked_at.map(DateTime::from)
    }

    /// The application that it belongs to.
    async fn application_id(&self) -> Option<ID> {
        self.row.application_id.map(ID::from)
    }

    /// The objects that it is for; null: all that its roles allow.
    async fn scopes(&self) -> Option<Vec<CredentialScope>> {
        let scope = |(name, access): (&String, &ScopeAccess)| CredentialScope { object: ObjectName::of(name), access: (*access).into() };
        self.restrictions.objects.as_ref().map(|objects| objects.iter().map(scope).collect())
    }

    /// The settings that it keeps of those that its roles give; null: all.
    async fn settings(&self) -> Option<Vec<SettingName>> {
        self.restrictions.settings.as_ref().map(|settings| settings.iter().copied().map(SettingName::from).collect())
    }

    /// The records that it is for, of objects for which this is said.
    async fn row_filters(&self) -> Vec<RowFilterView> {
        let filters = self.restrictions.row_filters.iter();
        let each = filters.flat_map(|(object, filters)| filters.iter().map(move |filter| (object, filter)));
        each.map(|(object, filter)| RowFilterView { object: ObjectName::of(object), filter: Json(filter.clone()) }).collect()
    }

    /// Origins of the pages that may use it; anywhere, if empty.
    async fn origins(&self) -> &[String] {
        &self.restrictions.origins
    }

    /// Networks that it may be used from; anywhere, if empty.
    async fn addresses(&self) -> Vec<String> {
        self.restrictions.addresses.iter().map(ToString::to_string).collect()
    }

    /// Whether it sends its application's documents only.
    async fn documents_only(&self) -> bool {
        self.restrictions.documents_only
    }

    /// Whether it shows records; a publishable key only creates them, unless its maker said otherwise.
    async fn allows_reads(&self) -> bool {
        !self.restrictions.create_only
    }

    /// Whether each request must carry a solved challenge, in the header `x-kith-challenge`.
    async fn challenge(&self) -> bool {
        self.restrictions.challenge
    }

    /// How many requests a minute it takes from one address; null: no such bound.
    async fn per_minute(&self) -> Option<u32> {
        self.restrictions.per_minute
    }
}

/// A new API key.
#[derive(InputObject)]
pub struct CreateApiKeyInput {
    /// What to call it, for example the program that will use it.
    name: String,
    /// Where it will be kept.
    #[graphql(default_with = "ApiKeyKind::Secret")]
    kind: ApiKeyKind,
    /// When it should stop working; without it, never.
    expires_at: Option<DateTime>,
    /// What the program may see and do; absent: the role `INTEGRATION`.
    roles: Option<Vec<ID>>,
    /// The application that it belongs to; a publishable key needs one.
    application_id: Option<ID>,
    /// What it may not do although its roles allow it.
    restrictions: Option<CredentialRestrictionsInput>,
    /// For publishable keys: whether it shows records, and does not only create them.
    #[graphql(default)]
    allow_reads: bool,
}

/// What came of making an API key.
#[derive(SimpleObject, Default)]
pub struct CreateApiKeyPayload {
    /// The key.
    api_key: Option<ApiKey>,
    /// Its secret, to be sent as `Authorization: Bearer …`. It is shown this once.
    secret: Option<String>,
    /// Why it was not made; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// An API key to revoke.
#[derive(InputObject)]
pub struct RevokeApiKeyInput {
    /// The key's id.
    id: ID,
}

/// What came of revoking an API key.
#[derive(SimpleObject, Default)]
pub struct RevokeApiKeyPayload {
    /// The key, which no longer works.
    api_key: Option<ApiKey>,
    /// Why it was not revoked; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// An embed token to make.
#[derive(InputObject)]
pub struct CreateEmbedTokenInput {
    /// How long it is good: at most a day.
    #[graphql(default = 900)]
    expires_in_seconds: u32,
    /// What it may not do although the key may; `scopes` must be given, unless `personId` is.
    restrictions: Option<CredentialRestrictionsInput>,
    /// The person whose bearer it is: it reaches what is linked to them, and of the rest the shape of pipelines.
    person_id: Option<ID>,
}

/// What came of making an embed token.
#[derive(SimpleObject, Default)]
pub struct CreateEmbedTokenPayload {
    /// The token, to be sent as `Authorization: Bearer …`. It is shown this once.
    token: Option<String>,
    /// Until when it is good.
    expires_at: Option<DateTime>,
    /// Why it was not made; empty if it was.
    user_errors: Vec<UserErrorView>,
}

#[derive(MergedObject, Default)]
pub struct CredentialQuery(KeyQuery, applications::ApplicationQuery);

#[derive(MergedObject, Default)]
pub struct CredentialMutation(KeyMutation, applications::ApplicationMutation);

#[derive(Default)]
pub struct KeyQuery;

#[derive(Default)]
pub struct KeyMutation;

#[Object]
impl KeyQuery {
    /// The workspace's API keys, revoked ones included. Needs API_KEYS.
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Vec<ApiKey>> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let keys = request.app.identity.api_keys(&signed.ctx).await.map_err(|e| field_error(&e))?;
        keys.into_iter().map(ApiKey::try_from).collect()
    }
}

#[Object]
impl KeyMutation {
    /// Makes an API key for a program, or, publishable, for a page. Needs API_KEYS.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new key.")] input: CreateApiKeyInput,
    ) -> Result<CreateApiKeyPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let refuse = |path: &str, message: &str| {
            let error = UserError::new(UserErrorCode::InvalidValue, &[path], message);
            CreateApiKeyPayload { user_errors: views(vec![error]), ..Default::default() }
        };
        if input.name.trim().is_empty() || input.name.chars().count() > 255 {
            return Ok(refuse("name", "Expected 1 to 255 characters."));
        }
        let expires_at = match input.expires_at.map(|at| at.micros()) {
            None => None,
            Some(Some(at)) if at > signed.ctx.now() => Some(at),
            Some(_) => return Ok(refuse("expiresAt", "Expected a time in the future, as RFC 3339.")),
        };
        let roles = or_refuse!(CreateApiKeyPayload, input.roles.map(|roles| ids(&roles, "roles")).transpose());
        let application = or_refuse!(CreateApiKeyPayload, input.application_id.map(|given| id(&given, &["applicationId"])).transpose());
        let mut restrictions = or_refuse!(CreateApiKeyPayload, input.restrictions.unwrap_or_default().read(signed));
        restrictions.create_only = input.kind == ApiKeyKind::Publishable && !input.allow_reads;
        let wanted = KeyRequest { name: input.name, kind: input.kind.into(), application, expires_at, roles, restrictions };
        let (made, errors) = split(request.app.identity.create_api_key(&signed.ctx, wanted).await)?;
        Ok(match made {
            Some(made) => CreateApiKeyPayload { api_key: Some(made.key.try_into()?), secret: Some(made.secret), user_errors: Vec::new() },
            None => CreateApiKeyPayload { user_errors: views(errors), ..Default::default() },
        })
    }

    /// Ends an API key at once, and with it the embed tokens that it made. Needs API_KEYS.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: RevokeApiKeyInput,
    ) -> Result<RevokeApiKeyPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let revoked = match input.id.parse() {
            Ok(id) => request.app.identity.revoke_api_key(&signed.ctx, id).await.map_err(|e| field_error(&e))?,
            Err(_) => None,
        };
        let errors =
            if revoked.is_none() { vec![UserError::new(UserErrorCode::NotFound, &["id"], "There is no such key.")] } else { Vec::new() };
        Ok(RevokeApiKeyPayload { api_key: revoked.map(ApiKey::try_from).transpose()?, user_errors: views(errors) })
    }

    /// Makes a short-lived token that may do less than the secret API key which asks: for a visitor's
    /// browser. It ends with its key at the latest.
    async fn create_embed_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new token.")] input: CreateEmbedTokenInput,
    ) -> Result<CreateEmbedTokenPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let person: Option<Uuid> = or_refuse!(CreateEmbedTokenPayload, input.person_id.map(|given| id(&given, &["personId"])).transpose());
        let mut own = or_refuse!(CreateEmbedTokenPayload, input.restrictions.unwrap_or_default().read(signed));
        own.person = person;
        let made = request.app.identity.create_embed_token(&signed.ctx, &signed.caller, own, input.expires_in_seconds).await;
        let (made, errors) = split(made)?;
        Ok(match made {
            Some(made) => {
                CreateEmbedTokenPayload { token: Some(made.token), expires_at: Some(made.expires_at.into()), user_errors: Vec::new() }
            }
            None => CreateEmbedTokenPayload { user_errors: views(errors), ..Default::default() },
        })
    }
}
