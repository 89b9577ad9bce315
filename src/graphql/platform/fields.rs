//! Fields that the workspace adds.

use async_graphql::{Context, Enum, ID, InputObject, Json, MaybeUndefined, Object, Result, SimpleObject};
use uuid::Uuid;

use super::describe::{FieldDescription, describe_field};
use super::values::{ObjectName, UserErrorView, views};
use super::workspace::split;
use crate::catalog::formula::{RollUp, RollUpFunction};
use crate::catalog::{Privacy, SelectOption, Settings};
use crate::error::{UserError, UserErrorCode};
use crate::features::data_model::{Change, NewField, USUAL_PRIVACY};
use crate::graphql::errors::field_error;
use crate::graphql::request::{self, Request};

#[derive(Default)]
pub struct FieldMutation;

/// The kinds that a custom field can have.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A line of text.
    Text,
    /// Text of any length.
    LongText,
    /// A whole number of 32 bits.
    Integer,
    /// An exact decimal with four places.
    Decimal,
    /// An amount in a currency.
    Money,
    /// Yes or no.
    Boolean,
    /// A day.
    Date,
    /// An instant.
    DateTime,
    /// One of a list of options.
    Select,
    /// Some of a list of options.
    MultiSelect,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A web address.
    Url,
    /// Stars: a whole number from 1 to 5, unless `min` and `max` say otherwise.
    Rating,
    /// Any JSON value.
    Json,
    /// Another record, of any object.
    Reference,
    /// Reckoned of the record's other fields by a `formula` when it is read; of the kind that the formula gives.
    Formula,
    /// Reckoned of linked records as `rollUp` says when it is read: of those that its reader may see.
    RollUp,
}

impl FieldKind {
    fn name(self) -> String {
        async_graphql::resolver_utils::enum_value(self).to_string().trim_matches('"').to_owned()
    }
}

/// What a roll-up makes of linked records.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RollUpOperation {
    /// How many there are.
    Count,
    /// What a field adds up to. Amounts of several currencies have no sum.
    Sum,
    /// Its average, rounded half to even.
    Avg,
    /// Its smallest value.
    Min,
    /// Its greatest value.
    Max,
    /// Its value in the record that was created last.
    Latest,
}

impl RollUpOperation {
    pub(super) const fn of(function: RollUpFunction) -> Self {
        match function {
            RollUpFunction::Count => Self::Count,
            RollUpFunction::Sum => Self::Sum,
            RollUpFunction::Avg => Self::Avg,
            RollUpFunction::Min => Self::Min,
            RollUpFunction::Max => Self::Max,
            RollUpFunction::Latest => Self::Latest,
        }
    }

    const fn function(self) -> RollUpFunction {
        match self {
            Self::Count => RollUpFunction::Count,
            Self::Sum => RollUpFunction::Sum,
            Self::Avg => RollUpFunction::Avg,
            Self::Min => RollUpFunction::Min,
            Self::Max => RollUpFunction::Max,
            Self::Latest => RollUpFunction::Latest,
        }
    }
}

/// What to roll up.
#[derive(InputObject)]
pub struct RollUpInput {
    /// The relation to many records, of the object that gets the field: `deals`; one that the workspace added to a standard object: `custom.viewings`.
    relation: String,
    /// What to make of them.
    operation: RollUpOperation,
    /// The field of the linked records, `amount` or `custom.arr`; a count has none.
    field: Option<String>,
    /// Only linked records that match: a filter of their object, as lists take it.
    filter: Option<Json<serde_json::Value>>,
}

impl From<RollUpInput> for RollUp {
    fn from(input: RollUpInput) -> Self {
        let RollUpInput { relation, operation, field, filter } = input;
        Self { relation, function: operation.function(), field, filter: filter.map(|filter| filter.0) }
    }
}

/// How freely a value may travel.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum PrivacyClass {
    /// May be shown to anybody.
    Public,
    /// For the members of the workspace.
    Internal,
    /// Says something about a natural person.
    Personal,
    /// Needs a reason to be seen.
    Sensitive,
}

impl From<PrivacyClass> for Privacy {
    fn from(class: PrivacyClass) -> Self {
        match class {
            PrivacyClass::Public => Self::Public,
            PrivacyClass::Internal => Self::Internal,
            PrivacyClass::Personal => Self::Personal,
            PrivacyClass::Sensitive => Self::Sensitive,
        }
    }
}

/// A value that a select field can have.
#[derive(InputObject)]
pub struct SelectOptionInput {
    /// What programs call it; it stays.
    key: String,
    /// What people read; the key if not given.
    label: Option<String>,
    /// As `#rrggbb`.
    color: Option<String>,
}

/// A field to be added to an object.
#[derive(InputObject)]
pub struct CreateFieldInput {
    /// The object.
    object: ObjectName,
    #[graphql(flatten)]
    field: FieldInput,
}

/// A field of an object that is being defined.
#[derive(InputObject)]
pub struct FieldInput {
    /// What the API shall call it: a small letter, then letters and digits. It stays.
    name: String,
    /// Its kind. It stays.
    kind: FieldKind,
    /// What people call it.
    label: String,
    /// What it means; shown in the schema and in forms.
    help: Option<String>,
    /// For SELECT and MULTI_SELECT: the values to choose from.
    options: Option<Vec<SelectOptionInput>>,
    /// Whether new records must have a value.
    #[graphql(default)]
    required: bool,
    /// Whether two records cannot have the same value; such a field can be a key.
    #[graphql(default)]
    unique: bool,
    /// Whether filters and orders by it shall be served by an index.
    #[graphql(default)]
    indexed: bool,
    /// Whether search shall find records by it.
    #[graphql(default)]
    searchable: bool,
    /// Whether its values are sealed with a key of the workspace's: they are found by equality alone, and
    /// whoever reads them stands in the audit. For texts; it stays.
    #[graphql(default)]
    encrypted: bool,
    /// How freely it may travel; PERSONAL if not given.
    privacy: Option<PrivacyClass>,
    /// What a new record gets when nothing is given, as the API writes it.
    default_value: Option<Json<serde_json::Value>>,
    /// The smallest value, of numbers, amounts and days.
    min: Option<String>,
    /// The greatest value.
    max: Option<String>,
    /// The most characters of a text.
    max_length: Option<u32>,
    /// A regular expression that texts match as a whole.
    pattern: Option<String>,
    /// For FORMULA: `amount * probability / 100`. Fields stand by name (`custom.arr`, `company.name`), texts in quotes; there are
    /// `+ - * / % &`, comparisons, `and or not`, and functions, such as `if(a > b, a, b)`, `coalesce`, `round`, `today()`,
    /// `daysBetween`. Numbers have four places, and every step is rounded to them,
    /// half to even: multiply before you divide. What divides by zero or does not fit is null.
    formula: Option<String>,
    /// For ROLL_UP: what to roll up.
    roll_up: Option<RollUpInput>,
}

/// What to change of a field. Absent is left alone, null takes away.
#[derive(InputObject)]
pub struct UpdateFieldInput {
    /// The field's id, from `fields`.
    id: ID,
    /// What people call it.
    label: Option<String>,
    /// What it means.
    help: Option<String>,
    /// All values to choose from, in order; a value that is left out is archived, since records may have it.
    options: Option<Vec<SelectOptionInput>>,
    /// Whether new records must have a value.
    required: Option<bool>,
    /// Whether search shall find records by it.
    searchable: Option<bool>,
    /// How freely it may travel.
    privacy: Option<PrivacyClass>,
    /// What a new record gets when nothing is given.
    default_value: MaybeUndefined<Json<serde_json::Value>>,
    /// The smallest value.
    min: MaybeUndefined<String>,
    /// The greatest value.
    max: MaybeUndefined<String>,
    /// The most characters of a text.
    max_length: MaybeUndefined<u32>,
    /// A regular expression that texts match as a whole.
    pattern: MaybeUndefined<String>,
    /// Another formula, whose value is of the same kind.
    formula: Option<String>,
    /// Another roll-up, whose value is of the same kind.
    roll_up: Option<RollUpInput>,
}

/// A field to archive, or to bring back.
#[derive(InputObject)]
pub struct ArchiveFieldInput {
    /// The field's id, from `fields`.
    id: ID,
    /// False brings it back.
    #[graphql(default = true)]
    archived: bool,
}

/// What came of changing a field.
#[derive(SimpleObject)]
pub struct FieldPayload {
    /// The field as it is now; the schema has it from the next request on.
    field: Option<FieldDescription>,
    /// Why it was not done; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// What came of changing the data key.
#[derive(SimpleObject)]
pub struct RotateDataKeyPayload {
    /// Whether there is a new key.
    rotated: bool,
    /// Why there is none; empty if there is one.
    user_errors: Vec<UserErrorView>,
}

fn options(given: Vec<SelectOptionInput>) -> Vec<SelectOption> {
    given
        .into_iter()
        .map(|option| SelectOption {
            label: option.label.unwrap_or_else(|| option.key.clone()),
            key: option.key,
            color: option.color,
            archived: false,
        })
        .collect()
}

/// The field as the door takes it, of no object yet.
pub(super) fn new_field(input: FieldInput) -> NewField {
    NewField {
        object: String::new(),
        name: input.name,
        kind: input.kind.name(),
        label: input.label,
        help: input.help,
        required: input.required,
        unique: input.unique,
        indexed: input.indexed,
        searchable: input.searchable,
        privacy: input.privacy.map_or(USUAL_PRIVACY, Privacy::from),
        settings: Settings {
            options: input.options.map(options).unwrap_or_default(),
            default: input.default_value.map(|value| value.0),
            min: input.min,
            max: input.max,
            max_length: input.max_length,
            pattern: input.pattern,
            encrypted: input.encrypted,
            formula: input.formula,
            roll_up: input.roll_up.map(RollUp::from),
        },
    }
}

#[Object]
impl FieldMutation {
    /// Adds a field to an object of the workspace. The next request finds it in the schema, typed.
    async fn create_field(&self, ctx: &Context<'_>, #[graphql(desc = "The new field.")] input: CreateFieldInput) -> Result<FieldPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let new = NewField { object: input.object.stored(&signed.known.catalog), ..new_field(input.field) };
        let (made, errors) = split(request.app.data_model.create(&signed.ctx, new).await)?;
        payload(request, made.map(|(id, _)| id), errors).await
    }

    /// Changes a field that the workspace added. Its name and kind stay.
    async fn update_field(&self, ctx: &Context<'_>, #[graphql(desc = "What to change.")] input: UpdateFieldInput) -> Result<FieldPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = input.id.parse::<Uuid>() else { return Ok(not_found()) };
        let change = Change {
            label: input.label,
            help: input.help,
            required: input.required,
            searchable: input.searchable,
            privacy: input.privacy.map(Privacy::from),
            options: input.options.map(options),
            default: given(input.default_value).map(|value| value.map(|json| json.0)),
            min: given(input.min),
            max: given(input.max),
            max_length: given(input.max_length),
            pattern: given(input.pattern),
            formula: input.formula,
            roll_up: input.roll_up.map(RollUp::from),
        };
        let (done, errors) = split(request.app.data_model.update(&signed.ctx, &signed.known.catalog, id, change).await)?;
        payload(request, done.map(|_| id), errors).await
    }

    /// Seals encrypted fields with a new key from now on; what older keys sealed still opens. Needs DATA_MODEL.
    async fn rotate_data_key(&self, ctx: &Context<'_>) -> Result<RotateDataKeyPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let rotated = request.app.secrets.rotate(&signed.ctx).await.map_err(|e| field_error(&e))?;
        request.app.forget_workspace(signed.ctx.workspace).await;
        let nothing = UserError::new(UserErrorCode::RuleRefused, &[], "The workspace has no encrypted field.");
        Ok(RotateDataKeyPayload { rotated, user_errors: if rotated { Vec::new() } else { views(vec![nothing]) } })
    }

    /// Archives a field that the workspace added: its values are kept, but no longer written.
    async fn archive_field(&self, ctx: &Context<'_>, #[graphql(desc = "Which field.")] input: ArchiveFieldInput) -> Result<FieldPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let Ok(id) = input.id.parse::<Uuid>() else { return Ok(not_found()) };
        let (done, errors) = split(request.app.data_model.archive(&signed.ctx, &signed.known.catalog, id, input.archived).await)?;
        payload(request, done.map(|_| id), errors).await
    }
}

fn not_found() -> FieldPayload {
    let error = UserError::new(UserErrorCode::NotFound, &["id"], "There is no such field.");
    FieldPayload { field: None, user_errors: views(vec![error]) }
}

#[expect(clippy::option_option, reason = "absent, null and a value are three things here")]
pub(super) fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// The field as the new catalog has it.
async fn payload(request: &Request, id: Option<Uuid>, errors: Vec<UserError>) -> Result<FieldPayload> {
    let signed = request.signed().map_err(|e| field_error(&e))?;
    let mut field = None;
    if let Some(id) = id {
        request.app.forget_workspace(signed.ctx.workspace).await;
        let known = request.app.workspace(signed.ctx.workspace).await.map_err(|e| field_error(&e))?;
        field = known.catalog.objects().find_map(|object| {
            let found = object.all_fields().find(|field| field.own_id() == Some(id))?;
            Some(describe_field(object, found, signed.ctx.access.object(&object.name)))
        });
    }
    Ok(FieldPayload { field, user_errors: views(errors) })
}
