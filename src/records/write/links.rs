//! Links between records: read from an input, made, changed and cut.
//!
//! A to-many relation's input is `{ connect create update disconnect delete }`. Links are rows of
//! `record_link` and no fields of a record: they are logged, but do not move its version.

use std::sync::Arc;

use sea_orm::Value;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{Draft, Rejected, Unit};
use crate::catalog::{OwnRelation, Relation, Target, Via};
use crate::error::{Result, UserError, UserErrorCode};
use crate::platform::changelog::{Change, ChangeKind};
use crate::records::access::Verb;

pub(super) enum LinkEdit {
    Connect(Connect),
    /// A to-one relation leads nowhere any more.
    Clear {
        kind: Arc<str>,
        from: bool,
        relation: String,
    },
    Disconnect {
        kind: Arc<str>,
        from: bool,
        relation: String,
        other: Uuid,
    },
    /// The linked record itself is deleted.
    Delete {
        kind: Arc<str>,
        from: bool,
        target: String,
        other: Uuid,
        path: Vec<String>,
    },
}

impl LinkEdit {
    /// Whether it is of a relation that leads to one record at most.
    pub fn is_of_one(&self) -> bool {
        match self {
            Self::Clear { .. } => true,
            Self::Connect(connect) => connect.own.as_ref().is_some_and(|own| if connect.from { own.one.0 } else { own.one.1 }),
            _ => false,
        }
    }
}

/// One link to be made, or changed where it is there already.
pub(super) struct Connect {
    pub kind: Arc<str>,
    pub from: bool,
    pub relation: String,
    /// The object to be linked; none where any record will do.
    pub target: Option<String>,
    /// `{ id }`, `{ key }` or `{ create }`.
    pub reference: Json,
    pub role: Option<Json>,
    pub title: Option<Json>,
    pub primary: Option<bool>,
    /// Changes to the linked record itself.
    pub record: Option<Json>,
    /// Only a link that is there already is changed; none is made.
    pub existing: bool,
    /// Whether nothing can be said of the link itself.
    pub bare: bool,
    /// Whether a new record stands under `record`, beside what is said of the link.
    pub nested: bool,
    /// What the workspace said of the relation, if it is one of its own.
    pub own: Option<Arc<OwnRelation>>,
    pub path: Vec<String>,
}

impl Connect {
    /// Whether a link that is there says all that this one says.
    fn says(&self, was: &Json) -> bool {
        let same = |said: &Option<Json>, name: &str| said.as_ref().is_none_or(|said| *said == was[name]);
        same(&self.role, "role") && same(&self.title, "title") && self.primary.is_none_or(|primary| was["primary"] == primary)
    }
}

/// The longest role or title, in characters.
const MOST_TEXT: usize = 255;

/// Reads the edits of one relation.
pub(super) fn read(draft: &mut Draft, relation: &Relation, input: &Json) -> Vec<LinkEdit> {
    let Via::Link { kind, from } = &relation.via else { return Vec::new() };
    let (kind, from) = (kind.clone(), *from);
    let target = match &relation.target {
        Target::Object(name) => Some(name.clone()),
        Target::Any => None,
    };
    let bare = relation.is_bare();
    let mut edits = Vec::new();
    for (verb, items) in input.as_object().into_iter().flatten().filter(|(_, items)| !items.is_null()) {
        let single = std::slice::from_ref(items);
        for (index, item) in items.as_array().map_or(single, Vec::as_slice).iter().enumerate() {
            let path = [draft.path.as_slice(), &relation.path(), &[verb.clone(), index.to_string()]].concat();
            if verb == "disconnect" || verb == "delete" {
                match (item.as_str().and_then(|id| Uuid::parse_str(id).ok()), &target) {
                    (Some(other), Some(target)) if verb == "delete" => {
                        edits.push(LinkEdit::Delete { kind: kind.clone(), from, target: target.clone(), other, path });
                    }
                    (Some(other), _) => {
                        edits.push(LinkEdit::Disconnect { kind: kind.clone(), from, relation: relation.access_name(), other });
                    }
                    (None, _) => draft.errors.push(UserError::new(UserErrorCode::InvalidValue, &[], "An id is a UUID.").within(&path)),
                }
                continue;
            }
            for part in ["role", "title"].into_iter().filter(|_| !bare) {
                if item.get(part).and_then(Json::as_str).is_some_and(|text| text.chars().count() > MOST_TEXT) {
                    let message = format!("At most {MOST_TEXT} characters are allowed.");
                    draft.errors.push(UserError::new(UserErrorCode::InvalidValue, &[part], message).within(&path));
                }
            }
            let reference = match verb.as_str() {
                "create" if !bare && item.get("record").is_some() => json!({ "create": item["record"] }),
                "create" => json!({ "create": item }),
                "connect" if bare => item.clone(),
                _ => reference(item),
            };
            let said = |part: &str| item.get(part).filter(|_| !bare);
            let changes = if bare { "input" } else { "record" };
            edits.push(LinkEdit::Connect(Connect {
                kind: kind.clone(),
                from,
                relation: relation.access_name(),
                target: target.clone(),
                reference,
                role: said("role").cloned(),
                title: said("title").filter(|_| verb != "create" || item.get("record").is_some()).cloned(),
                primary: said("primary").and_then(Json::as_bool),
                record: item.get(changes).filter(|_| verb == "update").cloned(),
                existing: verb == "update",
                bare,
                nested: !bare && item.get("record").is_some(),
                own: relation.own.clone(),
                path,
            }));
        }
    }
    edits
}

/// Reads a to-one relation that is a link: where it shall lead.
pub(super) fn read_one(draft: &Draft, relation: &Relation, input: &Json) -> Option<LinkEdit> {
    let (Via::Link { kind, from }, Some(target)) = (&relation.via, relation.leads_to()) else { return None };
    let (kind, from, name) = (kind.clone(), *from, relation.access_name());
    if input.is_null() {
        return Some(LinkEdit::Clear { kind, from, relation: name });
    }
    Some(LinkEdit::Connect(Connect {
        kind,
        from,
        relation: name,
        target: Some(target.to_owned()),
        reference: input.clone(),
        role: None,
        title: None,
        primary: None,
        record: None,
        existing: false,
        bare: true,
        nested: false,
        own: relation.own.clone(),
        path: [draft.path.as_slice(), &relation.path()].concat(),
    }))
}

fn reference(item: &Json) -> Json {
    let members: Map<String, Json> = ["id", "key"]
        .iter()
        .filter_map(|name| item.get(*name).filter(|value| !value.is_null()).map(|value| ((*name).to_owned(), value.clone())))
        .collect();
    Json::Object(members)
}

/// A link as the log tells it: without what nobody said.
pub(super) fn with_id(said: Json, other: Uuid) -> Json {
    let mut link = json!({ "id": other });
    for (name, value) in said.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null() && **value != Json::Bool(false)) {
        link[name] = value.clone();
    }
    link
}

pub(super) fn no_link(path: &[String]) -> UserError {
    UserError::new(UserErrorCode::NotFound, &["id"], "There is no link to this record.").within(path)
}

/// The end of a link whose record has at most one primary link of the kind: a person has one
/// primary company, a deal one primary person.
pub(super) fn primary_end(kind: &str) -> &'static str {
    if kind == "company_person" { "to_id" } else { "from_id" }
}

impl Unit<'_> {
    pub(super) async fn connect(&mut self, draft: &Draft, link: &Connect, other: Uuid) -> Result<(), Rejected> {
        // A record that was made in the same bulk call may wait to be written still.
        self.flush_for(other).await?;
        let (from, to) = if link.from { (draft.id, other) } else { (other, draft.id) };
        if link.existing {
            self.require_link(draft.id, &link.kind, link.from, other, &link.path).await?;
        }
        if let Some(own) = link.own.clone().filter(|_| !link.existing) {
            self.make_room(draft, link, &own, other).await?;
        }
        let end = primary_end(&link.kind);
        let (scope, one, ranked_end) = if end == "to_id" { (to, from, "from_id") } else { (from, to, "to_id") };
        if link.primary == Some(true) {
            let ranked = format!("kind = $2 AND {end} = $3 AND is_primary AND {ranked_end} <> $4");
            let values: [Value; 3] = [link.kind.to_string().into(), scope.into(), one.into()];
            self.keep_links(&ranked, &values).await?;
            let [kind, id, one] = values;
            let sql = format!("UPDATE record_link SET is_primary = FALSE, since = $5 WHERE workspace_id = $1 AND {ranked}");
            self.tx.run(&sql, vec![self.ctx.workspace.into(), kind, id, one, self.now.0.into()]).await?;
        }
        let text = |value: &Option<Json>| value.as_ref().and_then(Json::as_str).map(str::to_owned);
        let (role, title) = (text(&link.role), text(&link.title));
        let sql = "INSERT INTO record_link (workspace_id, id, kind, from_id, to_id, role, title, is_primary, created_at, one_from, one_to) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let one = link.own.as_ref().map_or((false, false), |own| own.one);
        let values = vec![
            self.ctx.workspace.into(),
            self.ctx.clock.new_id().into(),
            link.kind.to_string().into(),
            from.into(),
            to.into(),
            role.clone().into(),
            title.clone().into(),
            link.primary.unwrap_or(false).into(),
            self.now.0.into(),
            one.0.into(),
            one.1.into(),
        ];
        let mut before = json!({});
        let mut after = json!({ "id": other, "role": role, "title": title, "primary": link.primary.unwrap_or(false) });
        if self.tx.run(sql, values).await? == 0 {
            self.require_link(draft.id, &link.kind, link.from, other, &link.path).await.map_err(|_| {
                UserError::new(UserErrorCode::Conflict, &[], "Somebody linked it elsewhere at the same time; try again.").within(&link.path)
            })?;
            let was = self.said_of_link(&link.kind, from, to).await?;
            // It is so already; a reference has moved its record's version all the same.
            if one == (false, false) && was.as_ref().is_some_and(|was| link.says(was)) {
                return Ok(());
            }
            self.change_link(link, from, to).await?;
            let is = self.said_of_link(&link.kind, from, to).await?;
            if let (Some(was), Some(is)) = (was, is) {
                (before, after) = (json!({ &link.relation: with_id(was, other) }), with_id(is, other));
            }
        } else if let Some(own) = link.own.clone() {
            self.check_most(link, &own, from, to).await?;
        }
        self.log_link(draft, ChangeKind::Linked, before, json!({ &link.relation: after }));
        Ok(())
    }

    /// What a link says besides what it links.
    async fn said_of_link(&self, kind: &str, from: Uuid, to: Uuid) -> Result<Option<Json>> {
        let sql = "SELECT role, title, is_primary FROM record_link WHERE workspace_id = $1 AND kind = $2 AND from_id = $3 AND to_id = $4";
        let row = self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), kind.into(), from.into(), to.into()]).await?;
        Ok(row
            .map(|row| Ok::<_, sqlx::Error>(json!({ "role": row.text(0)?, "title": row.text(1)?, "primary": row.bool(2)? })))
            .transpose()?)
    }

    /// Refuses what is meant for a link that is not there.
    pub(super) async fn require_link(&self, this: Uuid, kind: &str, from: bool, other: Uuid, path: &[String]) -> Result<(), Rejected> {
        let (from, to) = if from { (this, other) } else { (other, this) };
        let sql = "SELECT id FROM record_link WHERE workspace_id = $1 AND kind = $2 AND from_id = $3 AND to_id = $4";
        match self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), kind.into(), from.into(), to.into()]).await? {
            Some(_) => Ok(()),
            None => Err(no_link(path).into()),
        }
    }

    /// Whether the caller sees a record of whatever object.
    pub async fn sees_any(&mut self, id: Uuid) -> Result<bool> {
        match self.object_of(id).await? {
            Some(object) => self.reaches(&object, id).await,
            None => Ok(false),
        }
    }

    pub(super) async fn object_of(&self, id: Uuid) -> Result<Option<Arc<crate::catalog::Object>>> {
        let sql = "SELECT object FROM record WHERE workspace_id = $1 AND id = $2";
        let row = self.tx.fetch_optional(sql, vec![self.ctx.workspace.into(), id.into()]).await?;
        let name = row.as_ref().map(|row| row.text(0)).transpose()?.flatten().unwrap_or_default();
        Ok(self.catalog.find(name).cloned())
    }

    /// A link is a field at both ends: who may not write it at the other end does not write it from here.
    pub(super) async fn check_other_end(&mut self, draft: &Draft, kind: &str, from: bool, other: Uuid) -> Result<(), Rejected> {
        let policies = self.ctx.access.policy().cloned();
        let Some(policy) = policies.filter(|policy| policy.restricts_fields()) else { return Ok(()) };
        let Some(object) = self.object_of(other).await? else { return Ok(()) };
        let inverse = object
            .relations
            .values()
            .find(|relation| matches!(&relation.via, Via::Link { kind: of, from: end } if **of == *kind && *end != from));
        match inverse {
            Some(relation) if !policy.object(&object.name).field(&relation.access_name()).write => {
                let message = format!("Your roles do not let you write {}.{}.", object.type_name, relation.access_name());
                Err(UserError::new(UserErrorCode::NotWritable, &[], message).within(&draft.path).into())
            }
            _ => Ok(()),
        }
    }

    /// A primary link takes that rank from another one of the same record, which must be the caller's to change.
    pub(super) async fn check_primary(&mut self, draft: &Draft, link: &Connect, other: Uuid) -> Result<(), Rejected> {
        let (from, to) = if link.from { (draft.id, other) } else { (other, draft.id) };
        let ranked = if primary_end(&link.kind) == "to_id" { to } else { from };
        if ranked == draft.id || self.ctx.access.policy().is_none() {
            return Ok(());
        }
        let Some(object) = self.object_of(ranked).await? else { return Ok(()) };
        self.require(&object.name, ranked, Verb::Update).await
    }

    /// The link is there: what was given of role, title and primary replaces what it had.
    async fn change_link(&mut self, link: &Connect, from: Uuid, to: Uuid) -> Result<(), Rejected> {
        let mut values: Vec<Value> = vec![self.ctx.workspace.into(), link.kind.to_string().into(), from.into(), to.into()];
        let mut sets = Vec::new();
        for (column, value) in [("role", &link.role), ("title", &link.title)] {
            if let Some(value) = value {
                values.push(value.as_str().map(str::to_owned).into());
                sets.push(format!("{column} = ${}", values.len()));
            }
        }
        if let Some(primary) = link.primary {
            values.push(primary.into());
            sets.push(format!("is_primary = ${}", values.len()));
        }
        if !sets.is_empty() {
            self.keep_links("kind = $2 AND from_id = $3 AND to_id = $4", &values[1..4]).await?;
            values.push(self.now.0.into());
            sets.push(format!("since = ${}", values.len()));
            let sql =
                format!("UPDATE record_link SET {} WHERE workspace_id = $1 AND kind = $2 AND from_id = $3 AND to_id = $4", sets.join(", "));
            self.tx.run(&sql, values).await?;
        }
        Ok(())
    }

    /// Cuts the one link of a to-one relation.
    pub(super) async fn clear(&mut self, draft: &Draft, kind: &str, from: bool, relation: &str) -> Result<(), Rejected> {
        let (mine, theirs) = if from { ("from_id", "to_id") } else { ("to_id", "from_id") };
        let sql = format!("SELECT {theirs} FROM record_link WHERE workspace_id = $1 AND kind = $2 AND {mine} = $3");
        for row in self.tx.fetch_all(&sql, vec![self.ctx.workspace.into(), kind.into(), draft.id.into()]).await? {
            let Some(other) = row.uuid(0)? else { continue };
            self.check_other_end(draft, kind, from, other).await?;
            self.disconnect(draft, kind, from, relation, other).await?;
        }
        Ok(())
    }

    pub(super) async fn disconnect(&mut self, draft: &Draft, kind: &str, from: bool, relation: &str, other: Uuid) -> Result<(), Rejected> {
        let (from, to) = if from { (draft.id, other) } else { (other, draft.id) };
        let said = self.said_of_link(kind, from, to).await?;
        self.keep_links("kind = $2 AND from_id = $3 AND to_id = $4", &[kind.into(), from.into(), to.into()]).await?;
        let sql = "DELETE FROM record_link WHERE workspace_id = $1 AND kind = $2 AND from_id = $3 AND to_id = $4";
        let values = vec![self.ctx.workspace.into(), kind.into(), from.into(), to.into()];
        if self.tx.run(sql, values).await? > 0 {
            let before = json!({ relation: with_id(said.unwrap_or_default(), other) });
            self.log_link(draft, ChangeKind::Unlinked, before, json!({}));
        }
        Ok(())
    }

    fn log_link(&mut self, draft: &Draft, kind: ChangeKind, before: Json, after: Json) {
        let version = draft.version.max(1);
        self.remember(Change { object: draft.object.name.clone(), record: draft.id, kind, version, before, after });
    }
}
