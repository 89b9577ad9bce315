//! Links of the records that are merged lead to the survivor.
//!
//! A link keeps its id and what it says. Where the survivor has the like already, and where it would lead from the
//! survivor to itself, it is folded: cut, and told.

use sea_orm::Value;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::MOST_CHANGES;
use crate::catalog::{Object, Relation, Via};
use crate::error::{Result, UserError, UserErrorCode};
use crate::platform::changelog::{Change, ChangeKind};
use crate::records::sql::Sql;
use crate::records::write::links::{primary_end, with_id};
use crate::records::write::{Rejected, Unit};

/// A link that went because the survivor had the like.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The record that was merged.
    pub record: Uuid,
    /// Its relation; none where only the other record knows it.
    pub relation: String,
    pub other: Uuid,
}

impl Folded {
    pub fn to_json(&self) -> Json {
        json!({ "record": self.record, "relation": self.relation, "other": self.other })
    }
}

/// A row of `record_link`.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub id: Uuid,
    pub kind: String,
    pub from: Uuid,
    pub to: Uuid,
    pub role: Option<String>,
    pub title: Option<String>,
    pub primary: bool,
    pub one_from: bool,
    pub one_to: bool,
}

impl Link {
    pub fn said(&self) -> Json {
        json!({ "role": self.role, "title": self.title, "primary": self.primary })
    }

    fn ranked(&self) -> Uuid {
        if primary_end(&self.kind) == "to_id" { self.to } else { self.from }
    }
}

/// How a link is told of: by which record, and under which of its relations.
struct Side {
    object: String,
    record: Uuid,
    relation: String,
    other: Uuid,
}

impl Unit<'_> {
    pub(super) async fn move_links(&mut self, object: &Object, into: Uuid, from: &[Uuid]) -> Result<Vec<Folded>, Rejected> {
        let theirs = self.links_of(from).await?;
        if theirs.len() > MOST_CHANGES {
            let message = format!("More than {MOST_CHANGES} links lead to the records; unlink some first.");
            return Err(UserError::new(UserErrorCode::Limit, &["from"], message).into());
        }
        let mut ours = self.links_of(&[into]).await?;
        let (mut moved, mut cut, mut folded) = (Vec::new(), Vec::new(), Vec::new());
        for link in theirs {
            let here = |id: Uuid| if from.contains(&id) { into } else { id };
            let mut new = Link { from: here(link.from), to: here(link.to), ..link.clone() };
            let like = ours.iter().position(|own| own.kind == new.kind && own.from == new.from && own.to == new.to);
            let is_one = |own: &Link| own.kind == new.kind && (new.one_from && own.from == new.from || new.one_to && own.to == new.to);
            self.tell(object, &link, ChangeKind::Unlinked, from, None).await?;
            if like.is_some() || new.from == new.to || ours.iter().any(is_one) {
                if let Some(own) = like.and_then(|index| ours.get_mut(index)) {
                    self.complete(object, own, &link, into).await?;
                }
                folded.extend(self.folded(object, &link, from));
                cut.push(link.id);
                continue;
            }
            // A record has one primary link of a kind.
            let has_primary = ours.iter().any(|own| own.kind == new.kind && own.primary && own.ranked() == new.ranked());
            new.primary &= !(new.ranked() == into && has_primary);
            self.tell(object, &new, ChangeKind::Linked, &[into], None).await?;
            ours.push(new.clone());
            moved.push(new);
        }
        self.write_links(&moved, &cut).await?;
        self.check_own_limits(object, into, &ours).await?;
        Ok(folded)
    }

    /// The links of records, oldest first.
    pub(super) async fn links_of(&self, ids: &[Uuid]) -> Result<Vec<Link>> {
        let mut sql = Sql::new(self.tx.backend(), self.ctx.workspace);
        let ids = sql.bind_all(ids.iter().map(|id| (*id).into()).collect());
        let select = format!(
            "SELECT id, kind, from_id, to_id, role, title, is_primary, one_from, one_to FROM record_link \
             WHERE workspace_id = $1 AND (from_id IN ({ids}) OR to_id IN ({ids})) ORDER BY created_at, id LIMIT {}",
            MOST_CHANGES + 1
        );
        let mut links = Vec::new();
        for row in self.tx.fetch_all(&select, sql.values).await? {
            links.push(Link {
                id: row.uuid(0)?.unwrap_or_default(),
                kind: row.text(1)?.unwrap_or_default().to_owned(),
                from: row.uuid(2)?.unwrap_or_default(),
                to: row.uuid(3)?.unwrap_or_default(),
                role: row.text(4)?.map(str::to_owned),
                title: row.text(5)?.map(str::to_owned),
                primary: row.bool(6)?.unwrap_or_default(),
                one_from: row.bool(7)?.unwrap_or_default(),
                one_to: row.bool(8)?.unwrap_or_default(),
            });
        }
        Ok(links)
    }

    /// Says of the survivor's own link what only the other one said.
    async fn complete(&mut self, object: &Object, own: &mut Link, other: &Link, into: Uuid) -> Result<()> {
        let was = own.said();
        own.role = own.role.take().or_else(|| other.role.clone());
        own.title = own.title.take().or_else(|| other.title.clone());
        // Whose primary link it was, theirs it stays.
        own.primary |= other.primary && own.ranked() != into;
        if own.said() == was {
            return Ok(());
        }
        self.say(own).await?;
        self.tell(object, own, ChangeKind::Linked, &[into], Some(&was)).await
    }

    /// Writes what a link says.
    pub(super) async fn say(&self, link: &Link) -> Result<()> {
        self.keep_links("id = $2", &[link.id.into()]).await?;
        let sql = "UPDATE record_link SET role = $3, title = $4, is_primary = $5, since = $6 WHERE workspace_id = $1 AND id = $2";
        let values: Vec<Value> = vec![
            self.ctx.workspace.into(),
            link.id.into(),
            link.role.clone().into(),
            link.title.clone().into(),
            link.primary.into(),
            self.now.0.into(),
        ];
        self.tx.run(sql, values).await?;
        Ok(())
    }

    async fn write_links(&self, moved: &[Link], cut: &[Uuid]) -> Result<()> {
        for chunk in cut.chunks(500) {
            let marks: Vec<String> = (0..chunk.len()).map(|index| format!("${}", index + 2)).collect();
            let (which, ids) = (format!("id IN ({})", marks.join(", ")), chunk.iter().map(|id| (*id).into()).collect::<Vec<Value>>());
            self.keep_links(&which, &ids).await?;
            let values = std::iter::once(self.ctx.workspace.into()).chain(ids).collect();
            self.tx.run(&format!("DELETE FROM record_link WHERE workspace_id = $1 AND {which}"), values).await?;
        }
        for link in moved {
            self.keep_links("id = $2", &[link.id.into()]).await?;
            let sql = "UPDATE record_link SET from_id = $3, to_id = $4, is_primary = $5, since = $6 WHERE workspace_id = $1 AND id = $2";
            let values: Vec<Value> =
                vec![self.ctx.workspace.into(), link.id.into(), link.from.into(), link.to.into(), link.primary.into(), self.now.0.into()];
            self.tx.run(sql, values).await?;
        }
        Ok(())
    }

    /// Refuses a merge by which the survivor has more links than its workspace allows of a relation.
    async fn check_own_limits(&self, object: &Object, into: Uuid, links: &[Link]) -> Result<(), Rejected> {
        for relation in object.relations.values() {
            let (Via::Link { kind, from }, Some(own)) = (&relation.via, &relation.own) else { continue };
            let most = if *from { own.most.0 } else { own.most.1 };
            let count = links.iter().filter(|link| *link.kind == **kind && into == if *from { link.from } else { link.to }).count();
            if most.is_some_and(|most| count > usize::try_from(most).unwrap_or(usize::MAX)) {
                let message = format!("Together they have more {} than can be linked; unlink some first.", relation.label.to_lowercase());
                return Err(UserError::new(UserErrorCode::Limit, &["from"], message).into());
            }
        }
        Ok(())
    }

    fn folded(&self, object: &Object, link: &Link, of: &[Uuid]) -> Option<Folded> {
        let (from, record, other) = if of.contains(&link.from) { (true, link.from, link.to) } else { (false, link.to, link.from) };
        let relation = relation_of(object, &link.kind, from).map_or_else(String::new, Relation::access_name);
        Some(Folded { record, relation, other })
    }

    /// Logs a link of one of some records: on their side, or, where they do not know it, on the other one's.
    async fn tell(&mut self, object: &Object, link: &Link, kind: ChangeKind, of: &[Uuid], was: Option<&Json>) -> Result<()> {
        let Some(side) = self.side(object, link, of).await? else { return Ok(()) };
        let version = self.look_up(&side.object, side.record).await?.map_or(1, |record| record.version);
        let told = |said: Json| json!({ &side.relation: with_id(said, side.other) });
        let nothing = Json::Object(Map::new());
        let (before, after) = match kind {
            ChangeKind::Unlinked => (told(link.said()), nothing),
            _ => (was.map_or(nothing, |was| told(was.clone())), told(link.said())),
        };
        self.remember(Change { object: side.object, record: side.record, kind, version, before, after });
        Ok(())
    }

    async fn side(&self, object: &Object, link: &Link, of: &[Uuid]) -> Result<Option<Side>> {
        let (from, record, other) = if of.contains(&link.from) { (true, link.from, link.to) } else { (false, link.to, link.from) };
        if let Some(relation) = relation_of(object, &link.kind, from) {
            return Ok(Some(Side { object: object.name.clone(), record, relation: relation.access_name(), other }));
        }
        let Some(there) = self.object_of(other).await? else { return Ok(None) };
        Ok(relation_of(&there, &link.kind, !from).map(|relation| Side {
            object: there.name.clone(),
            record: other,
            relation: relation.access_name(),
            other: record,
        }))
    }
}

fn relation_of<'o>(object: &'o Object, kind: &str, from: bool) -> Option<&'o Relation> {
    let is_it = |relation: &&Relation| matches!(&relation.via, Via::Link { kind: of, from: end } if **of == *kind && *end == from);
    object.relations.values().find(is_it)
}
