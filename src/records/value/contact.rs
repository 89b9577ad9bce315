//! Addresses, numbers and domains in the form in which they are compared.

use std::str::FromStr;

use super::parse::{Invalid, clip};

/// The address in lower case, its domain in ASCII (RFC 5890).
pub fn email(text: &str) -> Result<String, Invalid> {
    let refuse = || Invalid::new(format!("`{}` is not an e-mail address.", clip(text)));
    let trimmed = text.trim();
    let (local, host) = trimmed.rsplit_once('@').ok_or_else(refuse)?;
    let host = idna::domain_to_ascii(host).map_err(|_| refuse())?;
    let address = format!("{}@{host}", local.to_lowercase());
    if !host.contains('.') || address.len() > 254 || !email_address::EmailAddress::is_valid(&address) {
        return Err(refuse());
    }
    Ok(address)
}

/// E.164, and the extension where there is one.
pub(super) fn phone(text: &str, region: Option<&str>) -> Result<(String, Option<String>), Invalid> {
    let region = region.and_then(|code| phonenumber::country::Id::from_str(code).ok());
    let number = phonenumber::parse(region, text.trim()).ok().filter(phonenumber::is_valid);
    let number = number.ok_or_else(|| {
        Invalid::new(format!(
            "`{}` is not a telephone number; give it with its country code, for example \"+41 44 668 18 00\".",
            clip(text)
        ))
    })?;
    let extension = number.extension().map(ToString::to_string);
    let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
    Ok((e164, extension))
}

/// A domain in lower case and ASCII, without scheme, `www.` and path.
pub(super) fn domain(text: &str) -> Result<String, Invalid> {
    let refuse = || Invalid::new(format!("`{}` is not a domain; \"example.com\" would be one.", clip(text)));
    let bare = text.trim().trim_start_matches("https://").trim_start_matches("http://");
    let bare = bare.split(['/', ':', '?', '#']).next().unwrap_or_default().trim_end_matches('.');
    let ascii = idna::domain_to_ascii_strict(bare).map_err(|_| refuse())?;
    let host = ascii.strip_prefix("www.").unwrap_or(&ascii);
    if !host.contains('.') || host.len() > 253 || host.split('.').any(str::is_empty) {
        return Err(refuse());
    }
    Ok(host.to_owned())
}
