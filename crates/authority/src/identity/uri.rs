//! A URI made of claims, written as Fulcio writes it into a certificate.
//!
//! Fulcio passes it through Go's `net/url`: what stands there stays if every byte of it is allowed
//! where it stands (RFC 3986 §3.3, §3.5); else the whole part is decoded and encoded anew. Clients
//! compare the result byte for byte, so this matters for a branch called `größe`.

use super::{IdentityError, cut};

/// The part of a URI that bytes stand in.
#[derive(Clone, Copy)]
enum Part {
    Path,
    Fragment,
}

/// Writes an absolute http or https URI in the form that certificates carry: ASCII, and no byte
/// outside the grammar.
///
/// # Errors
/// When it has another scheme, a host that is no plain name, a control character, or a percent sign
/// that encodes nothing.
pub(super) fn canonical(text: &str) -> Result<String, IdentityError> {
    write(text).ok_or_else(|| IdentityError::BadUri { found: cut(text) })
}

fn write(text: &str) -> Option<String> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    if !matches!(scheme, "https" | "http") {
        return None;
    }
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (rest, None),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let mut uri = format!("{scheme}://{host}{}", encode(Part::Path, path)?);
    if let Some(query) = query {
        // Kept as it stands; what is not ASCII cannot be.
        if !query.is_ascii() {
            return None;
        }
        uri = format!("{uri}?{query}");
    }
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        uri = format!("{uri}#{}", encode(Part::Fragment, fragment)?);
    }
    Some(uri)
}

fn encode(part: Part, text: &str) -> Option<String> {
    let decoded = percent_decode(text)?;
    let keeps = |byte: u8| byte == b'%' || is_allowed(part, byte) || b"!'()*[]".contains(&byte);
    if text.bytes().all(keeps) {
        return Some(text.to_owned());
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in decoded {
        if is_allowed(part, byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(encoded)
}

/// What needs no encoding when a part is encoded anew. Brackets and the like are tolerated where
/// they stand, but encoded here.
fn is_allowed(part: Part, byte: u8) -> bool {
    let unreserved = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    unreserved
        || match part {
            Part::Path => b"$&+,/:;=@".contains(&byte),
            Part::Fragment => b"!$&()*+,/:;=?@".contains(&byte),
        }
}

/// `None` if a percent sign is not followed by two hexadecimal digits.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                u8::try_from(value).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}
