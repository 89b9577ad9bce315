//! Applications: clients that were written for Kith, and the documents that they send.
//!
//! A credential that is bound to documents sends those of its application and no others; an attacker
//! who holds it can ask what the application asks, and nothing else.

use std::sync::Arc;

use entity::{application, trusted_document};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::{Identity, RECHECK, digest};
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::features::access;
use crate::infra::db::{Mode, Scope, Tx};
use crate::platform::Ctx;
use crate::platform::access::Setting;
use crate::platform::audit::Action;
use crate::records::write::Rejected;

/// The most documents of one application, and the longest of them in bytes.
const MOST: usize = 1_000;
const LONGEST: usize = 64 * 1_024;

/// The hash under which a document is known: SHA-256 of its text, in hexadecimal digits.
pub fn hash_of(document: &str) -> String {
    digest(document)
}

impl Identity {
    /// The workspace's applications by name, each with its documents' hashes.
    pub async fn applications(&self, ctx: &Ctx) -> Result<Vec<(application::Model, Vec<String>)>> {
        access::require(ctx, Setting::ApiKeys)?;
        let tx = self.db.begin(&ctx.scope(), Mode::Read).await?;
        let found = application::Entity::find().filter(application::Column::WorkspaceId.eq(ctx.workspace));
        let found = found.order_by_asc(application::Column::Name).all(&tx).await?;
        let documents = trusted_document::Entity::find().filter(trusted_document::Column::WorkspaceId.eq(ctx.workspace));
        let documents = documents.order_by_asc(trusted_document::Column::Hash).all(&tx).await?;
        tx.commit().await?;
        let of = |id: Uuid| documents.iter().filter(|row| row.application_id == id).map(|row| row.hash.clone()).collect();
        Ok(found.into_iter().map(|row| (row.clone(), of(row.id))).collect())
    }

    /// Makes an application without documents.
    pub async fn create_application(&self, ctx: &Ctx, name: &str) -> Result<application::Model, Rejected> {
        access::require(ctx, Setting::ApiKeys)?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(UserError::new(UserErrorCode::InvalidValue, &["name"], "A name has 1 to 100 characters.").into());
        }
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        let taken = "SELECT id FROM application WHERE workspace_id = $1 AND name = $2";
        if tx.fetch_optional(taken, vec![ctx.workspace.into(), name.into()]).await?.is_some() {
            return Err(UserError::new(UserErrorCode::Taken, &["name"], "There is an application of this name already.").into());
        }
        let row = application::Model {
            workspace_id: ctx.workspace,
            id: self.clock.new_id(),
            name: name.to_owned(),
            created_at: ctx.now(),
            created_by: ctx.member,
        };
        application::Entity::insert(row.clone().into_active_model()).exec_without_returning(&tx).await.map_err(Error::from)?;
        access::audit(&tx, ctx, Action::ApplicationChanged, row.id, json!({ "created": row.name })).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Adds documents to an application, or puts these in the place of all it has; returns their
    /// hashes in the order given.
    pub async fn register_documents(&self, ctx: &Ctx, id: Uuid, documents: &[String], replace: bool) -> Result<Vec<String>, Rejected> {
        access::require(ctx, Setting::ApiKeys)?;
        for (index, document) in documents.iter().enumerate() {
            if document.len() > LONGEST || document.trim().is_empty() {
                let path = ["documents", &index.to_string()];
                let message = format!("A document has 1 to {LONGEST} bytes.");
                return Err(UserError::new(UserErrorCode::InvalidValue, &path, message).into());
            }
        }
        let tx = self.db.begin(&ctx.scope(), Mode::Write).await?;
        require(&tx, ctx, id).await?;
        let by_application = || vec![ctx.workspace.into(), id.into()];
        if replace {
            tx.run("DELETE FROM trusted_document WHERE workspace_id = $1 AND application_id = $2", by_application()).await?;
        }
        let hashes: Vec<String> = documents.iter().map(|document| hash_of(document)).collect();
        for (document, hash) in documents.iter().zip(&hashes) {
            let sql = "INSERT INTO trusted_document (workspace_id, application_id, hash, document, created_at) \
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            let mut values = by_application();
            values.extend([hash.clone().into(), document.clone().into(), ctx.now().0.into()]);
            tx.run(sql, values).await?;
        }
        let count = "SELECT count(*) FROM trusted_document WHERE workspace_id = $1 AND application_id = $2";
        let count = tx.fetch_optional(count, by_application()).await?.map(|row| row.int(0)).transpose()?.flatten().unwrap_or(0);
        if usize::try_from(count).unwrap_or(usize::MAX) > MOST {
            return Err(
                UserError::new(UserErrorCode::Limit, &["documents"], format!("An application has at most {MOST} documents.")).into()
            );
        }
        access::audit(&tx, ctx, Action::ApplicationChanged, id, json!({ "documents": hashes, "replaced": replace })).await?;
        tx.commit().await?;
        self.documents_changed(id).await;
        Ok(hashes)
    }

    /// The text of an application's document; none if it has no such document.
    pub async fn document(&self, workspace: Uuid, application: Uuid, hash: &str) -> Result<Option<Arc<str>>> {
        let key = (application, hash.to_owned());
        let now = self.clock.now();
        if let Some((_, known)) = self.documents.get(&key).filter(|(at, _)| now.0 - at.0 < i64::try_from(RECHECK.as_micros()).unwrap_or(0))
        {
            return Ok(Some(known));
        }
        let tx = self.db.begin(&Scope::workspace(workspace), Mode::Read).await?;
        let found = trusted_document::Entity::find_by_id((workspace, application, hash.to_owned())).one(&tx).await?;
        tx.commit().await?;
        let Some(found) = found else { return Ok(None) };
        let document: Arc<str> = found.document.into();
        self.documents.insert(key, (now, document.clone()));
        Ok(Some(document))
    }

    /// An application's documents are looked up anew, here and on the other nodes.
    async fn documents_changed(&self, application: Uuid) {
        self.forget_documents(application);
        self.bus.tell("documents", application).await;
    }

    pub fn forget_documents(&self, application: Uuid) {
        self.documents.retain(|(of, _), _| *of != application);
    }
}

/// Refuses an application that is not there.
pub(super) async fn require(tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<(), Rejected> {
    match application::Entity::find_by_id((ctx.workspace, id)).one(tx).await.map_err(Error::from)? {
        Some(_) => Ok(()),
        None => Err(UserError::new(UserErrorCode::NotFound, &["applicationId"], "There is no such application.").into()),
    }
}
