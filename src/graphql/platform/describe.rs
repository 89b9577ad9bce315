//! The catalog, for programs that build forms and lists from it.

use async_graphql::{Context, Json, Object, Result, SimpleObject};

use super::fields::RollUpOperation;
use super::values::ObjectName;
use crate::catalog::{self, Kind, Target};
use crate::graphql::errors::field_error;
use crate::graphql::request;
use crate::graphql::view::has_rights;
use crate::platform::access::{ObjectAccess, Sight};

#[derive(Default)]
pub struct DescribeQuery;

/// An object of the workspace: what its records look like.
#[derive(SimpleObject)]
pub struct ObjectDescription {
    /// The definition's id, for `updateObject`; of a standard object, its name.
    id: async_graphql::ID,
    /// What the API calls it.
    object: ObjectName,
    /// What the API calls one: the root field for one record.
    name: String,
    /// What the API calls many: the root field for lists.
    plural: String,
    /// Its GraphQL type.
    graphql_type: String,
    /// What people call one.
    label: String,
    /// What people call many.
    plural_label: String,
    /// What it is.
    help: String,
    /// The field that names a record.
    title_field: String,
    /// Whether the workspace defined it.
    custom: bool,
    /// Whether it is archived: its records are kept, and nobody reaches them.
    archived: bool,
    /// A name or code of an icon, for front ends.
    icon: Option<String>,
    /// A colour, for front ends.
    color: Option<String>,
    /// Whether the caller may create records.
    creatable: bool,
    /// Whether the caller may change records, those that they reach.
    updatable: bool,
    /// Whether the caller may delete records, those that they reach.
    deletable: bool,
    /// Its fields, the workspace's own ones last.
    pub fields: Vec<FieldDescription>,
    /// Its relations to other records.
    relations: Vec<RelationDescription>,
}

/// A field: all that a form builder needs.
#[derive(SimpleObject)]
pub struct FieldDescription {
    /// The definition's id, for `updateField`; of a standard field, its object and name.
    pub id: async_graphql::ID,
    /// What the API calls it.
    name: String,
    /// What people call it.
    label: String,
    /// What it means.
    help: String,
    /// Its kind, for example TEXT, MONEY, SELECT.
    kind: String,
    /// Its GraphQL type in answers.
    graphql_type: String,
    /// Its GraphQL type in inputs.
    input_type: String,
    /// Where it stands in an input; empty if it cannot be written.
    input_path: Vec<String>,
    /// Where it stands in a record.
    output_path: Vec<String>,
    /// The operators of its filter.
    filter_operators: Vec<String>,
    /// Whether lists can be ordered by it.
    sortable: bool,
    /// The values that can be chosen.
    options: Vec<OptionDescription>,
    /// Whether a create must give it.
    required: bool,
    /// Whether two records cannot have the same value.
    unique: bool,
    /// Whether filters and orders by it are served by an index.
    indexed: bool,
    /// Whether its values are sealed: found by equality alone, and whoever reads them stands in the audit.
    encrypted: bool,
    /// Whether search finds records by it.
    searchable: bool,
    /// Whether the caller can read it, or at least recognise it.
    readable: bool,
    /// Whether the caller sees just enough of it to recognise it.
    masked: bool,
    /// Whether the caller can write it.
    writable: bool,
    /// Whether the workspace added it.
    custom: bool,
    /// Whether it is archived: kept, but no longer written.
    archived: bool,
    /// How freely it may travel: PUBLIC, INTERNAL, PERSONAL, SENSITIVE.
    privacy: String,
    /// What a new record gets when nothing is given.
    default_value: Option<Json<serde_json::Value>>,
    /// The smallest value.
    min: Option<String>,
    /// The greatest value.
    max: Option<String>,
    /// The most characters.
    max_length: Option<u32>,
    /// A regular expression that texts match as a whole.
    pattern: Option<String>,
    /// The types of the object that have it; empty: all.
    only_types: Vec<String>,
    /// The formula that its value is reckoned by; null of other fields.
    formula: Option<String>,
    /// What of linked records its value is; null of other fields.
    roll_up: Option<RollUpDescription>,
}

/// What a roll-up is made of.
#[derive(SimpleObject)]
pub struct RollUpDescription {
    /// The relation to many records.
    relation: String,
    /// What is made of them.
    operation: RollUpOperation,
    /// Their field; null of a count.
    field: Option<String>,
    /// Which of them; null: all.
    filter: Option<Json<serde_json::Value>>,
}

/// A value that can be chosen.
#[derive(SimpleObject)]
pub struct OptionDescription {
    /// What inputs and filters take.
    key: String,
    /// What people read.
    label: String,
    /// As `#rrggbb`.
    color: Option<String>,
    /// Whether it can no longer be chosen.
    archived: bool,
}

/// A relation to other records.
#[derive(SimpleObject)]
pub struct RelationDescription {
    /// The definition's id, for `updateRelation`; null of a standard relation.
    id: Option<async_graphql::ID>,
    /// Where it stands in a record and in inputs.
    path: Vec<String>,
    /// What the API calls it.
    name: String,
    /// What people call it.
    label: String,
    /// What it means.
    help: String,
    /// The object it leads to; null: any.
    target: Option<ObjectName>,
    /// Whether it leads to many records.
    many: bool,
    /// Whether its links have a role.
    has_role: bool,
    /// Whether a create must give it.
    required: bool,
    /// Whether inputs have it.
    writable: bool,
}

#[Object]
impl DescribeQuery {
    /// What records look like: every object with its fields and relations.
    async fn objects(&self, ctx: &Context<'_>) -> Result<Vec<ObjectDescription>> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        let access = |object: &catalog::Object| signed.ctx.access.object(&object.name);
        let seen = signed.known.catalog.objects().filter(|object| has_rights(&signed.ctx.access, object));
        Ok(seen.map(|object| describe(object, access(object))).collect())
    }

    /// The fields of one object.
    async fn fields(&self, ctx: &Context<'_>, #[graphql(desc = "Which object.")] object: ObjectName) -> Result<Vec<FieldDescription>> {
        let signed = request::of(ctx).signed().map_err(|e| field_error(&e))?;
        let found = signed.known.catalog.by_enum(&object.0);
        let found = found.filter(|object| has_rights(&signed.ctx.access, object));
        Ok(found.map(|object| describe(object, signed.ctx.access.object(&object.name)).fields).unwrap_or_default())
    }
}

pub fn describe(object: &catalog::Object, access: &ObjectAccess) -> ObjectDescription {
    let own = object.own.as_ref();
    ObjectDescription {
        id: own.map_or_else(|| object.one.clone().into(), |own| own.id.into()),
        custom: own.is_some(),
        archived: object.is_archived(),
        icon: own.and_then(|own| own.icon.clone()),
        color: own.and_then(|own| own.color.clone()),
        object: ObjectName::of(&object.name),
        name: object.one.clone(),
        plural: object.plural.clone(),
        graphql_type: object.type_name.clone(),
        label: object.label.clone(),
        plural_label: object.plural_label.clone(),
        help: object.help.clone(),
        title_field: object.title.clone(),
        creatable: access.create,
        updatable: !access.update.is_none(),
        deletable: !access.delete.is_none(),
        fields: object
            .all_fields()
            .filter(|field| is_shown(access, &field.access_name()))
            .map(|field| describe_field(object, field, access))
            .collect(),
        relations: object.relations.values().filter(|relation| is_shown(access, &relation.access_name())).map(describe_relation).collect(),
    }
}

fn is_shown(access: &ObjectAccess, field: &str) -> bool {
    access.field(field).sight != Sight::Hidden
}

pub fn describe_field(object: &catalog::Object, field: &catalog::Field, access: &ObjectAccess) -> FieldDescription {
    let allowed = access.field(&field.access_name());
    let writable = !field.read_only && !field.archived && allowed.write;
    let whole = allowed.sight == Sight::Full;
    let path = if field.added { vec!["custom".to_owned(), field.name.clone()] } else { vec![field.name.clone()] };
    let types = object.variants.iter().flat_map(|variants| variants.types);
    let id = field.own_id().map_or_else(|| format!("{}.{}", object.one, field.name).into(), Into::into);
    FieldDescription {
        id,
        name: field.name.clone(),
        label: field.label.clone(),
        help: field.help.clone(),
        kind: field.kind.name().to_owned(),
        graphql_type: field.output_type(),
        input_type: field.kind.input_type().to_owned(),
        input_path: if writable { path.clone() } else { Vec::new() },
        output_path: path,
        filter_operators: if whole { operators(field).iter().map(|operator| (*operator).to_owned()).collect() } else { Vec::new() },
        sortable: field.sortable() && whole,
        options: options(field),
        required: field.required,
        unique: field.unique,
        indexed: field.indexed,
        encrypted: field.settings.encrypted,
        searchable: field.searchable,
        readable: allowed.sight != Sight::Hidden,
        masked: allowed.sight == Sight::Masked,
        writable,
        custom: field.own_id().is_some(),
        archived: field.archived,
        privacy: field.privacy.as_str().to_owned(),
        default_value: field.default.clone().or_else(|| field.settings.default.clone()).map(Json),
        min: field.settings.min.clone(),
        max: field.settings.max.clone(),
        max_length: field.settings.max_length,
        pattern: field.settings.pattern.clone(),
        formula: field.settings.formula.clone(),
        roll_up: field.settings.roll_up.clone().map(|roll_up| RollUpDescription {
            relation: roll_up.relation,
            operation: RollUpOperation::of(roll_up.function),
            field: roll_up.field,
            filter: roll_up.filter.map(Json),
        }),
        only_types: types.filter(|variant| field.only.contains(&variant.value)).map(|variant| variant.type_name.to_owned()).collect(),
    }
}

fn options(field: &catalog::Field) -> Vec<OptionDescription> {
    if let Kind::Enum(of) = field.kind {
        let option = |(key, help): &(&str, &str)| OptionDescription {
            key: (*key).to_owned(),
            label: (*help).to_owned(),
            color: None,
            archived: false,
        };
        return of.values.iter().map(option).collect();
    }
    let option = |option: &catalog::SelectOption| OptionDescription {
        key: option.key.clone(),
        label: option.label.clone(),
        color: option.color.clone(),
        archived: option.archived,
    };
    field.settings.options.iter().map(option).collect()
}

pub fn describe_relation(relation: &catalog::Relation) -> RelationDescription {
    RelationDescription {
        id: relation.own.as_ref().map(|own| own.id.into()),
        path: relation.path(),
        name: relation.name.clone(),
        label: relation.label.clone(),
        help: relation.help.clone(),
        target: match &relation.target {
            Target::Object(name) => Some(ObjectName::of(name)),
            Target::Any => None,
        },
        many: !relation.is_one(),
        has_role: relation.has_role,
        required: relation.required,
        writable: !relation.read_only,
    }
}

const EQUALITY: &[&str] = &["eq", "ne", "in", "notIn", "isNull"];
const COMPARISON: &[&str] = &["eq", "ne", "in", "notIn", "isNull", "lt", "lte", "gt", "gte", "between"];
const TEXT: &[&str] =
    &["eq", "ne", "in", "notIn", "isNull", "lt", "lte", "gt", "gte", "between", "contains", "startsWith", "endsWith", "eqExact"];
const TIME: &[&str] = &["eq", "ne", "in", "notIn", "isNull", "lt", "lte", "gt", "gte", "between", "within", "period"];

fn operators(field: &catalog::Field) -> &'static [&'static str] {
    match field.filter_type().as_str() {
        "StringFilter" => TEXT,
        "IntFilter" | "DecimalFilter" => COMPARISON,
        "DateFilter" | "DateTimeFilter" => TIME,
        "MoneyFilter" => &["amount", "currency", "isNull"],
        "ListFilter" => &["has", "hasAny", "hasAll", "isEmpty"],
        "ExternalIdFilter" => &["system", "value"],
        "AddressFilter" => &["street", "line2", "city", "region", "postalCode", "country", "isNull"],
        "PresenceFilter" => &["isNull"],
        _ => EQUALITY,
    }
}
