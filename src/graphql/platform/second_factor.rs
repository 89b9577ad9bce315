//! The caller's second factor.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use super::values::{UserErrorView, views};
use crate::error::{Error, UserError, UserErrorCode};
use crate::graphql::errors::field_error;
use crate::graphql::request;

#[derive(Default)]
pub struct SecondFactorMutation;

/// What came of beginning with a second factor.
#[derive(SimpleObject, Default)]
pub struct EnrollTotpPayload {
    /// The secret in base32, to be typed into an app.
    secret: Option<String>,
    /// The same as an `otpauth://` address, for a QR code.
    uri: Option<String>,
    /// Why there is none; empty if there is one.
    user_errors: Vec<UserErrorView>,
}

/// Who asks for a second factor.
#[derive(InputObject)]
pub struct EnrollTotpInput {
    /// The user's password; of users who have none it is not looked at.
    password: String,
}

/// A code of the app.
#[derive(InputObject)]
pub struct ConfirmTotpInput {
    /// The six digits that the app shows.
    code: String,
}

/// What came of turning the second factor on.
#[derive(SimpleObject, Default)]
pub struct ConfirmTotpPayload {
    /// Codes that stand in for the app, each once. They are shown this once: print them.
    recovery_codes: Vec<String>,
    /// Why it was not turned on; empty if it was.
    user_errors: Vec<UserErrorView>,
}

/// A code of the app, or a recovery code.
#[derive(InputObject)]
pub struct DisableTotpInput {
    /// A code of the app, or a recovery code.
    code: String,
}

/// What came of turning the second factor off.
#[derive(SimpleObject, Default)]
pub struct DisableTotpPayload {
    /// Whether it was turned off.
    disabled: bool,
    /// Why it was not; empty if it was.
    user_errors: Vec<UserErrorView>,
}

fn refused(path: &[&str], message: &str) -> Vec<UserErrorView> {
    views(vec![UserError::new(UserErrorCode::InvalidValue, path, message)])
}

#[Object]
impl SecondFactorMutation {
    /// Makes a secret for codes that change with time (TOTP). It counts when `confirmTotp` has seen a code
    /// of it.
    async fn enroll_totp(&self, ctx: &Context<'_>, #[graphql(desc = "The password.")] input: EnrollTotpInput) -> Result<EnrollTotpPayload> {
        let request = request::of(ctx);
        let user = user(request)?;
        let enrolled =
            request.app.identity.enrol_second_factor(user, &input.password, &request.origin).await.map_err(|e| field_error(&e))?;
        Ok(match enrolled {
            Some(enrolled) => EnrollTotpPayload { secret: Some(enrolled.secret), uri: Some(enrolled.uri), user_errors: Vec::new() },
            None => EnrollTotpPayload {
                user_errors: refused(&["password"], "The password is wrong, or there is a second factor already: turn that off first."),
                ..Default::default()
            },
        })
    }

    /// Turns the second factor on: from now on signing in asks for a code, in every workspace of the user's. Their
    /// other sessions end.
    async fn confirm_totp(&self, ctx: &Context<'_>, #[graphql(desc = "The code.")] input: ConfirmTotpInput) -> Result<ConfirmTotpPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let codes = request.app.identity.confirm_second_factor(&signed.ctx, signed.caller.session, user(request)?, &input.code).await;
        Ok(match codes.map_err(|e| field_error(&e))? {
            Some(recovery_codes) => ConfirmTotpPayload { recovery_codes, user_errors: Vec::new() },
            None => {
                ConfirmTotpPayload { user_errors: refused(&["code"], "The code is wrong. Begin with `enrollTotp`."), ..Default::default() }
            }
        })
    }

    /// Turns the second factor off.
    async fn disable_totp(&self, ctx: &Context<'_>, #[graphql(desc = "The code.")] input: DisableTotpInput) -> Result<DisableTotpPayload> {
        let request = request::of(ctx);
        let signed = request.signed().map_err(|e| field_error(&e))?;
        let done = request.app.identity.drop_second_factor(&signed.ctx, user(request)?, &input.code).await;
        Ok(if done.map_err(|e| field_error(&e))? {
            DisableTotpPayload { disabled: true, user_errors: Vec::new() }
        } else {
            DisableTotpPayload { disabled: false, user_errors: refused(&["code"], "The code is wrong, or was wrong too often.") }
        })
    }
}

fn user(request: &request::Request) -> Result<uuid::Uuid> {
    let signed = request.signed().map_err(|e| field_error(&e))?;
    signed.caller.user.ok_or_else(|| field_error(&Error::forbidden("An API key has no second factor.")))
}
