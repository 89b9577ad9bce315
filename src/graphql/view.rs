//! What a caller is shown of the schema: introspection and SDL without what their roles leave out.
//!
//! Documents are validated against the workspace's whole schema, so that one application serves every
//! role. Only what describes the schema is narrowed: it is answered from a schema of the objects,
//! fields and verbs that the caller has, built when it is first asked for and kept beside the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::types::Verb;
use crate::catalog::{Catalog, Object, Target};
use crate::platform::Access;
use crate::platform::access::{Setting, Sight};

/// What a schema shows.
#[derive(Clone, Debug)]
pub struct View {
    /// None: everything.
    access: Option<Access>,
}

/// Root fields that need a setting.
const NEEDS: &[(&str, Setting)] = &[
    ("accessReview", Setting::Audit),
    ("apiKeys", Setting::ApiKeys),
    ("applications", Setting::ApiKeys),
    ("archiveField", Setting::DataModel),
    ("archiveObject", Setting::DataModel),
    ("archiveRelation", Setting::DataModel),
    ("audit", Setting::Audit),
    ("createApiKey", Setting::ApiKeys),
    ("createApplication", Setting::ApiKeys),
    ("createField", Setting::DataModel),
    ("createInboundHook", Setting::Integrations),
    ("createObject", Setting::DataModel),
    ("createRelation", Setting::DataModel),
    ("createRole", Setting::Roles),
    ("createTeam", Setting::Members),
    ("createWebhook", Setting::Integrations),
    ("deleteInboundHook", Setting::Integrations),
    ("deleteRole", Setting::Roles),
    ("deleteTeam", Setting::Members),
    ("deleteWebhook", Setting::Integrations),
    ("inboundHookPreview", Setting::Integrations),
    ("inboundHooks", Setting::Integrations),
    ("inviteMember", Setting::Members),
    ("jobs", Setting::Integrations),
    ("logReaders", Setting::Integrations),
    ("registerDocuments", Setting::ApiKeys),
    ("replayWebhooks", Setting::Integrations),
    ("retryJob", Setting::Integrations),
    ("revokeApiKey", Setting::ApiKeys),
    ("rewindLogReader", Setting::Integrations),
    ("rotateDataKey", Setting::DataModel),
    ("rotateInboundHookSecret", Setting::Integrations),
    ("rotateWebhookSecret", Setting::Integrations),
    ("sendTestWebhook", Setting::Integrations),
    ("setDuplicateRule", Setting::DataModel),
    ("setRoles", Setting::Roles),
    ("updateField", Setting::DataModel),
    ("updateInboundHook", Setting::Integrations),
    ("updateObject", Setting::DataModel),
    ("updateRelation", Setting::DataModel),
    ("updateRole", Setting::Roles),
    ("updateTeam", Setting::Members),
    ("updateWebhook", Setting::Integrations),
    ("updateWorkspace", Setting::Workspace),
    ("verifyAudit", Setting::Audit),
    ("webhook", Setting::Integrations),
    ("webhookDeliveries", Setting::Integrations),
    ("webhookPreview", Setting::Integrations),
    ("webhooks", Setting::Integrations),
];

impl View {
    pub const WHOLE: Self = Self { access: None };

    pub fn of(access: &Access) -> Self {
        Self { access: Some(access.clone()) }
    }

    /// Whether the static root field is shown.
    pub fn shows(&self, field: &str) -> bool {
        let Some(access) = &self.access else { return true };
        NEEDS.iter().find(|(name, _)| *name == field).is_none_or(|(_, setting)| access.may(*setting))
    }

    /// Whether records of the object can be written so.
    pub fn allows(&self, object: &str, verb: Verb) -> bool {
        let Some(access) = &self.access else { return true };
        let access = access.object(object);
        let (updates, deletes) = (!access.update.is_none(), !access.delete.is_none());
        match verb {
            Verb::Create | Verb::CreateMany => access.create,
            Verb::Upsert => access.create || updates,
            Verb::Update | Verb::UpdateMany | Verb::MoveStage => updates,
            Verb::Delete | Verb::DeleteMany | Verb::Restore | Verb::Purge => deletes,
            Verb::Merge | Verb::Unmerge => updates && deletes,
        }
    }

    /// The catalog as the caller sees it.
    pub fn narrow(&self, catalog: &Arc<Catalog>) -> Arc<Catalog> {
        let Some(access) = &self.access else { return catalog.clone() };
        let seen: BTreeSet<&str> = catalog.objects().filter(|object| is_seen(access, object)).map(|object| object.name.as_str()).collect();
        let there = |target: &Target| match target {
            Target::Object(name) => seen.contains(name.as_str()),
            Target::Any => true,
        };
        Arc::new(catalog.map(|object| {
            if !seen.contains(object.name.as_str()) {
                return None;
            }
            let rights = access.object(&object.name);
            let mut object = object.clone();
            let shown = |name: &str| rights.field(name).sight != Sight::Hidden;
            object.fields.retain(|name, _| shown(name));
            object.custom.retain(|_, field| shown(&field.access_name()));
            object.relations.retain(|name, relation| shown(name) && there(&relation.target));
            for field in object.fields.values_mut() {
                field.read_only |= !rights.field(&field.name).write;
            }
            for relation in object.relations.values_mut() {
                relation.read_only |= !rights.field(&relation.access_name()).write;
            }
            Some(object)
        }))
    }

    /// Tells views apart that show different things of a catalog; 0 shows everything.
    pub fn fingerprint(&self, catalog: &Catalog) -> u128 {
        let Some(access) = &self.access else { return 0 };
        let mut text = String::new();
        let mut whole = true;
        let verbs = [Verb::Create, Verb::Update, Verb::Delete];
        for object in catalog.objects() {
            let rights = access.object(&object.name);
            let marks = [
                is_seen(access, object),
                self.allows(&object.name, verbs[0]),
                self.allows(&object.name, verbs[1]),
                self.allows(&object.name, verbs[2]),
            ];
            whole &= marks.iter().all(|mark| *mark) && rights.fields.is_empty();
            text.push_str(&format!("{} {marks:?} {:?};", object.name, rights.fields));
        }
        for (name, _) in NEEDS {
            whole &= self.shows(name);
            text.push_str(if self.shows(name) { "1" } else { "0" });
        }
        if whole {
            return 0;
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(text)[..16]);
        u128::from_le_bytes(bytes).max(1)
    }
}

/// Whether a caller can see or make some records of the object.
pub fn has_rights(access: &Access, object: &Object) -> bool {
    let rights = access.object(&object.name);
    rights.create || !rights.read.is_none()
}

/// What a caller has no right on is not there for them. The type of their own member is.
fn is_seen(access: &Access, object: &Object) -> bool {
    has_rights(access, object) || object.name == "member"
}
