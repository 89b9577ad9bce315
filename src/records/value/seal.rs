//! The stored form of encrypted fields.

use serde_json::Value as Json;

use crate::catalog::Field;
use crate::error::{Error, Result};
use crate::platform::Ctx;
use crate::platform::secrets::SEALED;

/// Seals a parsed value, if its field is encrypted.
pub fn seal(ctx: &Ctx, field: &Field, parsed: Json) -> Result<Json> {
    match (field.sealed(), parsed.as_str()) {
        (Some(id), Some(text)) => keys(ctx)?.seal(id, text),
        _ => Ok(parsed),
    }
}

/// The same in the place of a value that is there, which stays if it is the same: sealing makes another
/// text each time, and nothing has changed.
pub fn seal_over(ctx: &Ctx, field: &Field, parsed: Json, present: &Json) -> Result<Json> {
    if let (Some(id), Some(text), Some(sealed)) = (field.sealed(), parsed.as_str(), present[SEALED].as_str())
        && keys(ctx)?.open(id, sealed)? == text
    {
        return Ok(present.clone());
    }
    seal(ctx, field, parsed)
}

fn keys(ctx: &Ctx) -> Result<&crate::platform::secrets::Secrets> {
    ctx.secrets.as_deref().ok_or_else(|| Error::fault("an encrypted field, and no key of the workspace"))
}
