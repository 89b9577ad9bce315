//! From a selection on one record to the columns that it needs and the shape that it gets.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::parts::{money_parts, option_parts, picks};
use super::past::AsOf;
use super::searched::Searches;
use super::shape::{NodeShape, ObjectShape, Out, SealedField, VariantShape};
use crate::catalog::{Catalog, Field, Kind, Object, Relation, Store, Target, Variant, Via};
use crate::error::{Error, Result};
use crate::infra::db::Backend;
use crate::platform::Ctx;
use crate::platform::access::Sight;
use crate::records::access::{self, Verb};
use crate::records::selection::{Merged, Selection, collect};
use crate::records::sql::{CHUNK, Sql};

/// What a statement is planned with.
pub struct Planner<'a> {
    pub ctx: &'a Ctx,
    pub catalog: &'a Catalog,
    pub sql: Sql,
    /// Whether the record is only what it would be: its id must not be mistaken for the real one's.
    pub preview: bool,
    /// Whether what is planned will be kept and shown as it is.
    pub in_the_clear: bool,
    /// How many filters were planned, and how deep the present one stands.
    pub filters: (usize, usize),
    pub searches: Searches<'a>,
    /// The instant that the statement speaks of; none where that is now.
    pub as_of: Option<AsOf>,
}

/// One `SELECT`: its columns and the tables joined for to-one relations.
pub struct Scope {
    pub alias: String,
    pub joins: Vec<String>,
    pub slots: Vec<(String, Store)>,
    joined: HashMap<String, String>,
    /// The same joins, of a statement about the past: of which object, by which column, as which table.
    pub then: Vec<(Arc<Object>, String, String)>,
}

impl Scope {
    pub fn new(alias: String) -> Self {
        Self { alias, joins: Vec::new(), slots: Vec::new(), joined: HashMap::new(), then: Vec::new() }
    }

    /// The place of an expression among the columns; the same expression is read once.
    pub fn slot(&mut self, expression: String, store: Store) -> usize {
        if let Some(known) = self.slots.iter().position(|(slot, _)| *slot == expression) {
            return known;
        }
        self.slots.push((expression, store));
        self.slots.len() - 1
    }

    /// Joins the record whose id `column` holds, once.
    fn join(&mut self, table: &str, column: &str, alias: &str, reached: Option<&str>) {
        self.joins.push(format!(
            " LEFT JOIN {table} ON {alias}.workspace_id = $1 AND {alias}.id = {column} AND {alias}.deleted_at IS NULL{}{}",
            if reached.is_some() { " AND " } else { "" },
            reached.unwrap_or_default()
        ));
        self.joined.insert(column.to_owned(), alias.to_owned());
    }

    pub fn check_joins(&self) -> Result<()> {
        if self.joins.len() > MOST_JOINS {
            return Err(Error::bad_request(format!("More than {MOST_JOINS} relations are followed in one record; ask in two queries.")));
        }
        Ok(())
    }

    pub fn chunked(&self) -> bool {
        self.slots.len() > CHUNK
    }

    /// The columns as one JSON array.
    pub fn row_as_json(&self, sql: &Sql) -> String {
        let items: Vec<String> = self.slots.iter().map(|(slot, store)| sql.in_json(slot, *store)).collect();
        sql.json_array(&items)
    }
}

/// SQLite joins 64 tables at most; a plan stays below that on both databases.
const MOST_JOINS: usize = 60;

impl<'a> Planner<'a> {
    pub fn new(ctx: &'a Ctx, catalog: &'a Catalog, backend: Backend) -> Self {
        Self::with(ctx, catalog, Sql::new(backend, ctx.workspace))
    }

    /// Plans a part of a statement that is under construction.
    pub fn with(ctx: &'a Ctx, catalog: &'a Catalog, sql: Sql) -> Self {
        Self { ctx, catalog, sql, preview: false, in_the_clear: false, filters: (0, 0), searches: Searches::default(), as_of: None }
    }
}

impl Planner<'_> {
    /// The condition under which the caller reaches a record; none where every record is reached, or where the
    /// table has it inside.
    pub fn reached(&mut self, object: &Object, alias: &str) -> Option<String> {
        if self.as_of.is_some() { None } else { self.reached_today(object, alias) }
    }

    /// The same on a record's row as it is.
    pub(super) fn reached_today(&mut self, object: &Object, alias: &str) -> Option<String> {
        access::reached(&mut self.sql, self.ctx, self.catalog, object, alias, Verb::Read)
    }

    /// Refuses what would tell of a field that the caller does not see whole.
    pub fn check_sight(&self, object: &Object, name: &str) -> Result<()> {
        if self.ctx.access.object(&object.name).field(name).sight == Sight::Full {
            return Ok(());
        }
        Err(Error::forbidden(format!("You may not see {}.{name}, so records cannot be found or sorted by it.", object.type_name)))
    }

    /// Joins the record whose id `column` holds, once.
    pub fn join(&mut self, scope: &mut Scope, target: &Object, column: &str) -> String {
        if let Some(alias) = scope.joined.get(column) {
            return alias.clone();
        }
        let alias = self.sql.alias();
        let reached = self.reached(target, &alias);
        let table = self.table_of_one(target, &alias, column);
        scope.join(&table, column, &alias, reached.as_deref());
        if self.as_of.is_some() {
            scope.then.push((self.catalog.object(&target.name).clone(), column.to_owned(), alias.clone()));
        }
        alias
    }

    /// Joins the record that a to-one relation of `alias` leads to, once.
    pub fn join_by(&mut self, scope: &mut Scope, alias: &str, relation: &Relation, target: &Object) -> String {
        let (kind, from) = match &relation.via {
            Via::Column(column) => return self.join(scope, target, &format!("{alias}.{column}")),
            Via::Link { kind, from } => (kind, *from),
            Via::Children(_) => return String::new(),
        };
        let link = format!("{alias}_{kind}{}", if from { "f" } else { "t" });
        let (mine, theirs) = if from { ("from_id", "to_id") } else { ("to_id", "from_id") };
        if self.as_of.is_some() {
            let links = self.links(kind, mine, &format!("{alias}.id"), &link);
            return self.join(scope, target, &format!("(SELECT {link}.{theirs} FROM {links} LIMIT 1)"));
        }
        if !scope.joined.contains_key(&format!("{link}.{theirs}")) {
            scope.joins.push(format!(
                " LEFT JOIN record_link {link} ON {link}.workspace_id = $1 AND {link}.kind = '{kind}' AND {link}.{mine} = {alias}.id"
            ));
        }
        self.join(scope, target, &format!("{link}.{theirs}"))
    }

    /// What stands in the place of a field that the caller does not see whole; none where they do.
    fn veiled(&self, scope: &mut Scope, alias: &str, object: &Object, field: &Field) -> Option<Out> {
        let name = field.access_name();
        let sight = self.ctx.access.object(&object.name).field(&name).sight;
        if sight == Sight::Full {
            return None;
        }
        self.ctx.hidden.note(&object.type_name, &name);
        Some(match sight {
            Sight::Masked if field.settings.encrypted => self.opened(scope, alias, object, field, Some(field.kind)),
            Sight::Masked if field.kind.masked() => {
                Out::Masked { slot: scope.slot(self.sql.field(alias, field), Store::Text), kind: field.kind }
            }
            _ => Out::Literal(if field.kind.is_list() { "[]" } else { "null" }.into()),
        })
    }

    /// A sealed value, which is opened on the way out.
    fn opened(&self, scope: &mut Scope, alias: &str, object: &Object, field: &Field, mask: Option<Kind>) -> Out {
        let Some(sealed) = sealed_field(object, field) else { return Out::Literal("null".into()) };
        let (slot, record) = (scope.slot(self.sql.field(alias, field), Store::Text), scope.slot(format!("{alias}.id"), Store::Uuid));
        Out::Sealed { slot, record, field: Box::new(sealed), mask }
    }

    /// A record of a known object in the table `alias`.
    pub fn object(
        &mut self,
        scope: &mut Scope,
        alias: &str,
        object: &Object,
        only: Option<&'static Variant>,
        selections: &[&Selection],
    ) -> Result<ObjectShape> {
        let variants: Vec<Option<&'static Variant>> = match (&object.variants, only) {
            (Some(variants), None) => variants.types.iter().map(Some).collect(),
            (_, only) => vec![only],
        };
        let discriminator = match &object.variants {
            Some(variants) if only.is_none() => Some(scope.slot(format!("{alias}.{}", variants.field), Store::Text)),
            _ => None,
        };
        let mut shapes = Vec::new();
        for variant in variants {
            let fields = self.fields(scope, alias, object, variant, selections)?;
            shapes.push(VariantShape { when: discriminator.and(variant).map(|variant| variant.value), fields });
        }
        scope.check_joins()?;
        Ok(ObjectShape { present: None, discriminator, variants: shapes })
    }

    fn fields(
        &mut self,
        scope: &mut Scope,
        alias: &str,
        object: &Object,
        variant: Option<&'static Variant>,
        selections: &[&Selection],
    ) -> Result<Vec<(String, Out)>> {
        let type_name = variant.map_or(object.type_name.as_str(), |variant| variant.type_name);
        let fits = |name: &str| name == type_name || name == "AnyRecord" || name == "Node" || name == object.type_name;
        let mut fields = Vec::new();
        for merged in collect(selections, fits) {
            let out = self.member(scope, alias, object, type_name, &merged).map_err(|e| e.within(merged.key))?;
            fields.push((merged.key.to_owned(), out));
        }
        Ok(fields)
    }

    fn member(&mut self, scope: &mut Scope, alias: &str, object: &Object, type_name: &str, merged: &Merged<'_>) -> Result<Out> {
        Ok(match merged.name {
            "__typename" => Out::Literal(format!("\"{type_name}\"")),
            "id" if self.preview && alias == scope.alias => {
                Out::DerivedId { slot: scope.slot(format!("{alias}.id"), Store::Uuid), suffix: "@preview".into() }
            }
            "id" if self.as_of.is_some() => self.id_then(scope, alias, ""),
            "id" | "recordId" => Out::Id { slot: scope.slot(format!("{alias}.id"), Store::Uuid) },
            "object" => Out::Literal(format!("\"{}\"", object.enum_name())),
            "title" => {
                let field = &object.fields[&object.title];
                let expression = self.sql.field(alias, field);
                // A record may be older than its title field.
                let expression = if field.is_custom() { format!("coalesce({expression}, '')") } else { expression };
                Out::Scalar { slot: scope.slot(expression, field.kind.store()), kind: field.kind }
            }
            "customFields" => self.custom_fields(scope, alias, object)?,
            "custom" => self.custom(scope, alias, object, merged)?,
            "viewerAccess" => self.rights(scope, alias, object, merged),
            "createdBy" => self.actor(scope, alias, "created_by", merged)?,
            "updatedBy" => self.actor(scope, alias, "updated_by", merged)?,
            "history" => self.history(scope, alias, object, merged)?,
            "tags" => self.plain_list(scope, alias, &object.relations["tags"], merged)?,
            name => match (object.find_field(name), object.relations.get(name)) {
                (Some(field), _) => match self.veiled(scope, alias, object, field) {
                    Some(out) => out,
                    None if field.settings.encrypted && !field.archived => self.opened(scope, alias, object, field, None),
                    None => self.field(scope, alias, field, merged)?,
                },
                (None, Some(relation)) => self.relation(scope, alias, object, relation, merged)?,
                (None, None) => return Err(Error::bad_request(format!("{type_name} has no field `{name}`."))),
            },
        })
    }

    /// `customFields`: all that the workspace added, untyped.
    fn custom_fields(&mut self, scope: &mut Scope, alias: &str, object: &Object) -> Result<Out> {
        let access = self.ctx.access.object(&object.name).clone();
        let (mut fields, mut computed) = (Vec::new(), Vec::new());
        for field in object.all_fields().filter(|field| field.own_id().is_some() && !field.archived) {
            let name = field.access_name();
            if access.field(&name).sight != Sight::Full {
                self.ctx.hidden.note(&object.type_name, &name);
            } else if field.is_computed() {
                computed.push((field.name.clone(), self.untyped(scope, alias, field)?));
            } else {
                fields.push((field.name.clone(), field.kind, sealed_field(object, field)));
            }
        }
        let record = scope.slot(format!("{alias}.id"), Store::Uuid);
        Ok(Out::CustomFields { slot: scope.slot(format!("{alias}.custom"), Store::Json), record, fields, computed })
    }

    fn custom(&mut self, scope: &mut Scope, alias: &str, object: &Object, merged: &Merged<'_>) -> Result<Out> {
        let mut fields = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let out = match part.name {
                "__typename" => Out::Literal(format!("\"{}Custom\"", object.type_name)),
                "id" => self.id_then(scope, alias, ":custom"),
                name if object.added_relation(name).is_some() => {
                    let relation = &object.relations[&format!("custom.{name}")];
                    self.relation(scope, alias, object, relation, &part)?
                }
                name => {
                    let field = object
                        .custom
                        .get(name)
                        .ok_or_else(|| Error::bad_request(format!("{} has no custom field `{name}`.", object.type_name)))?;
                    match self.veiled(scope, alias, object, field) {
                        Some(out) => out,
                        None if field.settings.encrypted && !field.archived => self.opened(scope, alias, object, field, None),
                        None => self.field(scope, alias, field, &part)?,
                    }
                }
            };
            fields.push((part.key.to_owned(), out));
        }
        Ok(Out::Inline(fields))
    }

    pub(super) fn actor(&mut self, scope: &mut Scope, alias: &str, column: &str, merged: &Merged<'_>) -> Result<Out> {
        let mut fields = Vec::new();
        // In the log the column is called after what it holds.
        let id = if column == "actor" { format!("{alias}.actor_id") } else { format!("{alias}.{column}") };
        for part in collect(&merged.children, |_| true) {
            let out = match part.name {
                "__typename" => Out::Literal("\"Actor\"".into()),
                "kind" => Out::Scalar { slot: scope.slot(format!("{alias}.{column}_kind"), Store::Text), kind: Kind::Text },
                "actorId" => Out::Id { slot: scope.slot(id.clone(), Store::Uuid) },
                _ => {
                    let member = self.catalog.object("member").clone();
                    self.joined(scope, &id, &member, &part)?
                }
            };
            fields.push((part.key.to_owned(), out));
        }
        Ok(Out::Inline(fields))
    }

    fn field(&mut self, scope: &mut Scope, alias: &str, field: &Field, merged: &Merged<'_>) -> Result<Out> {
        if field.archived {
            return Ok(Out::Literal(if field.kind.is_list() { "[]" } else { "null" }.into()));
        }
        let expression = self.value(alias, field)?;
        Ok(match field.kind {
            Kind::Money => Out::Money {
                amount: scope.slot(expression, Store::Int),
                currency: scope.slot(self.currency(alias, field)?, Store::Text),
                parts: money_parts(merged),
            },
            Kind::Select | Kind::MultiSelect => Out::Select {
                slot: scope.slot(expression, field.kind.store()),
                list: field.kind == Kind::MultiSelect,
                options: field.settings.options.clone(),
                parts: option_parts(merged),
            },
            Kind::Emails => picks(scope, expression, true, "EmailEntry", &["address", "normalized", "label", "primary"], merged),
            Kind::Phones => picks(scope, expression, true, "PhoneEntry", &["number", "e164", "extension", "label", "primary"], merged),
            Kind::ExternalIds => picks(scope, expression, true, "ExternalId", &["system", "value"], merged),
            Kind::Address => {
                picks(scope, expression, false, "Address", &["street", "line2", "city", "region", "postalCode", "country"], merged)
            }
            Kind::Reference => Out::Node(self.any(scope, &expression, &merged.children)?),
            kind => Out::Scalar { slot: scope.slot(expression, kind.store()), kind },
        })
    }

    /// The value of a field with one value that stands somewhere else than in its record.
    pub(super) fn plain_value(&self, scope: &mut Scope, expression: String, field: &Field, merged: &Merged<'_>) -> Out {
        let slot = scope.slot(expression, field.kind.store());
        if field.kind != Kind::Select {
            return Out::Scalar { slot, kind: field.kind };
        }
        Out::Select { slot, list: false, options: field.settings.options.clone(), parts: option_parts(merged) }
    }

    fn relation(&mut self, scope: &mut Scope, alias: &str, object: &Object, relation: &Relation, merged: &Merged<'_>) -> Result<Out> {
        match (&relation.via, &relation.target) {
            _ if relation.is_one() && self.ctx.access.object(&object.name).field(&relation.access_name()).sight != Sight::Full => {
                self.ctx.hidden.note(&object.type_name, &relation.access_name());
                Ok(Out::Literal("null".into()))
            }
            (Via::Column(_) | Via::Link { .. }, Target::Object(target)) if relation.is_one() => {
                let target = self.catalog.object(target).clone();
                let joined = self.join_by(scope, alias, relation, &target);
                self.present(scope, &joined, &target, merged)
            }
            (Via::Column(column), Target::Any) => Ok(Out::Node(self.any(scope, &format!("{alias}.{column}"), &merged.children)?)),
            _ => self.nested(scope, alias, object, relation, merged),
        }
    }

    /// A to-one relation: the other record's columns stand flat in the row.
    pub(super) fn joined(&mut self, scope: &mut Scope, column: &str, target: &Object, merged: &Merged<'_>) -> Result<Out> {
        let joined = self.join(scope, target, column);
        self.present(scope, &joined, target, merged)
    }

    /// A record that was joined, if there is one.
    fn present(&mut self, scope: &mut Scope, joined: &str, target: &Object, merged: &Merged<'_>) -> Result<Out> {
        let mut shape = self.object(scope, joined, target, None, &merged.children)?;
        shape.present = Some(scope.slot(format!("{joined}.id"), Store::Uuid));
        Ok(Out::Node(NodeShape::Object(shape)))
    }

    /// A record of whatever object, by its id: one sub-select for each object that the selection
    /// can mean, of which the database runs one.
    pub fn any(&mut self, scope: &mut Scope, id: &str, selections: &[&Selection]) -> Result<NodeShape> {
        let objects: Vec<_> = self.catalog.objects().cloned().collect();
        let spine = self.sql.alias();
        let mut cases = String::new();
        let mut shapes = Vec::new();
        for object in objects {
            let alias = self.sql.alias();
            let mut inner = Scope::new(alias.clone());
            let shape = self.object(&mut inner, &alias, &object, None, selections)?;
            let name = format!("'{}'", object.name);
            let name = if self.sql.is_postgres() { format!("{name}::text") } else { name };
            let row = inner.row_as_json(&self.sql);
            let row = self.sql.json_array(&[name, row]);
            let reached = self.reached(&object, &alias).map(|reached| format!(" AND {reached}")).unwrap_or_default();
            let table = self.table(&object, &alias);
            cases.push_str(&format!(
                " WHEN '{}' THEN (SELECT {row} FROM {table}{} WHERE {alias}.workspace_id = $1 AND {alias}.id = {spine}.id AND {alias}.deleted_at IS NULL{reached})",
                object.name,
                inner.joins.concat()
            ));
            shapes.push((object.name.clone(), shape, inner.chunked()));
        }
        let slot = scope.slot(
            format!("(SELECT CASE {spine}.object{cases} END FROM record {spine} WHERE {spine}.workspace_id = $1 AND {spine}.id = {id})"),
            Store::Json,
        );
        Ok(NodeShape::Any { slot, shapes })
    }

    /// The object that an `ObjectName` value means.
    pub fn object_by_enum(&self, name: &str) -> String {
        self.catalog.by_enum(name).map_or_else(String::new, |object| object.name.clone())
    }

    pub fn argument<'m>(merged: &'m Merged<'_>, name: &str) -> &'m Json {
        merged.arguments.get(name).unwrap_or(&Json::Null)
    }
}

fn sealed_field(object: &Object, field: &Field) -> Option<SealedField> {
    field.sealed().map(|id| SealedField { id, name: format!("{}.{}", object.type_name, field.access_name()) })
}
