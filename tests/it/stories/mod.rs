//! Sessions as a stranger would have them.

mod custom_objects;
mod demo;
mod identity;
mod oidc;
mod sign_in;
mod transport;

pub use sign_in::code as totp_code;
