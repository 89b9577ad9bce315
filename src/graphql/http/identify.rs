//! Who is calling, and the schema of their workspace.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};

use super::Server;
use super::gate::{self, Credential, Turned};
use super::reply::Reply;
use crate::error::{Code, Error};
use crate::graphql::errors::status_of;
use crate::graphql::request::Signed;
use crate::graphql::schema::WorkspaceSchema;
use crate::platform::{Cause, Origin};

/// Who is calling, and the schema of their workspace; strangers get the standard one. `writes`: whether the request may
/// change something, so that no other page may have made a browser send it.
pub async fn identify(
    server: &Server,
    headers: &HeaderMap,
    origin: &Origin,
    request_id: Option<String>,
    writes: bool,
) -> Result<(Option<Signed>, Arc<WorkspaceSchema>), Turned> {
    let nobody = || Ok((None, server.schemas.standard().clone()));
    let caller = match gate::credential(headers)? {
        Credential::None => return nobody(),
        Credential::Bearer(token) => server.app.identity.authenticate(token, origin).await?,
        Credential::Cookie(_) if writes && !gate::is_unforged(headers) => {
            return Err(Error::forbidden("A POST that is signed in by cookies needs the header `x-kith-csrf: 1`.").into());
        }
        // A browser sends its cookie along whether it is good or not; to refresh it, it must be let in.
        Credential::Cookie(token) => match server.app.identity.authenticate(token, origin).await {
            Ok(caller) => caller,
            Err(Error::Refused(_)) => return nobody(),
            Err(fault) => return Err(fault.into()),
        },
    };
    gate::admit(server, headers, origin, &caller).await?;
    let (mut ctx, known) = server.app.ctx(&caller, Cause::Request, request_id).await?;
    ctx.origin = origin.clone();
    let schema = server.schemas.of(caller.workspace, &known.catalog);
    Ok((Some(Signed { caller, ctx, known }), schema))
}

/// What whoever is not let in is told.
pub fn turned_away(turned: Turned) -> Reply {
    match turned {
        Turned::TooOften(seconds) => {
            let error = Error::refuse(Code::RateLimited, format!("Too many requests. Try again in {seconds} seconds."));
            Reply::refused(StatusCode::TOO_MANY_REQUESTS, &error).retry_after(seconds)
        }
        Turned::Away(error) => {
            let status = match &error {
                Error::Refused(refusal) if refusal.code == Code::Unauthenticated => StatusCode::UNAUTHORIZED,
                Error::Refused(_) => StatusCode::FORBIDDEN,
                Error::Fault(fault) => status_of(fault.kind.as_str()),
            };
            Reply::refused(status, &error)
        }
    }
}
