//! Children written through their parent: a company's deals, a pipeline's stages.
//!
//! The input is `{ create connect update disconnect delete }`. Each item is a write of the child
//! itself, with its rules and its own entry in the log; the parent's version does not move.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::references::not_found;
use super::verbs::By;
use super::{Draft, Rejected, Unit, verbs};
use crate::catalog::{Catalog, Object, Relation, Target, Via};
use crate::error::{UserError, UserErrorCode};

/// One item of such an input.
pub(super) struct ChildEdit {
    pub target: String,
    /// The child's relation to the parent.
    pub inverse: String,
    pub verb: String,
    pub item: Json,
    pub path: Vec<String>,
}

/// Reads the edits of one relation.
pub(super) fn read(draft: &Draft, catalog: &Catalog, relation: &Relation, input: &Json) -> Vec<ChildEdit> {
    let (Via::Children(column), Target::Object(target)) = (&relation.via, &relation.target) else { return Vec::new() };
    let back = catalog.object(target).relations.values().find(|back| back.to_one() == Some(column));
    let Some(inverse) = back.map(|back| back.name.clone()) else { return Vec::new() };
    let mut edits = Vec::new();
    for (verb, items) in input.as_object().into_iter().flatten().filter(|(_, items)| !items.is_null()) {
        let single = std::slice::from_ref(items);
        for (index, item) in items.as_array().map_or(single, Vec::as_slice).iter().enumerate() {
            let path = [draft.path.as_slice(), &[relation.name.clone(), verb.clone(), index.to_string()]].concat();
            edits.push(ChildEdit { target: target.clone(), inverse: inverse.clone(), verb: verb.clone(), item: item.clone(), path });
        }
    }
    edits
}

impl Unit<'_> {
    /// Carries out the edits of a saved draft's children.
    pub(super) async fn apply_children(&mut self, draft: &mut Draft) -> Result<(), Rejected> {
        for edit in std::mem::take(&mut draft.children) {
            let target = self.catalog.object(&edit.target).clone();
            let parent = Map::from_iter([(edit.inverse.clone(), json!({ "id": draft.id }))]);
            let path = edit.path.clone();
            match edit.verb.as_str() {
                "create" => {
                    let mut input = edit.item.as_object().cloned().unwrap_or_default();
                    if input.get(&edit.inverse).is_some_and(|given| !given.is_null()) {
                        let message = "It is created within this record; leave this out.";
                        return Err(UserError::new(UserErrorCode::InvalidValue, &[&edit.inverse], message).within(&path).into());
                    }
                    input.extend(parent);
                    Box::pin(verbs::create(self, &target, None, &input, By::Caller, path)).await?;
                }
                "connect" => {
                    let id = Box::pin(self.resolve(&target, &edit.item, path.clone())).await?;
                    Box::pin(verbs::update(self, &target, None, id, &parent, None, path)).await?;
                }
                "update" => {
                    let id = self.child(draft.id, &target, &edit, &edit.item["id"]).await?;
                    let input = edit.item["input"].as_object().cloned().unwrap_or_default();
                    Box::pin(verbs::update(self, &target, None, id, &input, None, [path, vec!["input".into()]].concat())).await?;
                }
                "disconnect" => {
                    let id = self.child(draft.id, &target, &edit, &edit.item).await?;
                    let nothing = Map::from_iter([(edit.inverse.clone(), Json::Null)]);
                    Box::pin(verbs::update(self, &target, None, id, &nothing, None, path)).await?;
                }
                _ => {
                    let id = self.child(draft.id, &target, &edit, &edit.item).await?;
                    Box::pin(self.delete(&target, None, id)).await.map_err(|rejected| rejected.within(&path))?;
                }
            }
        }
        Ok(())
    }

    /// The child with this id, which must be one of this parent's.
    async fn child(&mut self, parent: Uuid, target: &Object, edit: &ChildEdit, id: &Json) -> Result<Uuid, Rejected> {
        if let Some(id) = id.as_str().and_then(|id| Uuid::parse_str(id).ok())
            && let Some(child) = self.look_up(&target.name, id).await?
            && child.reference(&edit.inverse) == Some(parent)
            && self.reaches(target, id).await?
        {
            return Ok(id);
        }
        Err(not_found(target, &edit.path).into())
    }
}
