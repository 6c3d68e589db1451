//! What a certificate calls the bearer of a token: one subject alternative name, and Fulcio's
//! extensions.
//!
//! Fulcio's `oid-info.md` and its configuration of GitHub Actions and GitLab CI. Every claim that
//! is mapped must be there, unless it is marked optional: half an identity is none.

mod ci;
mod uri;

use evidence::certificate::{FulcioExtension, SubjectName};

use crate::issuer::IssuerKind;
use crate::token::VerifiedToken;
use crate::wire::{INVALID_TOKEN, WireError};

/// Longest value of an extension or name, in bytes; GitHub's longest are some hundreds.
pub const VALUE_SIZE_MAX: usize = 2048;

/// What a verified token says about its bearer, in the words of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: SubjectName,
    extensions: Vec<(FulcioExtension, String)>,
    challenges: Vec<String>,
}

/// Why a token, though valid, names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A claim that the identity is made of is absent, null, empty, or no text.
    #[error("claim `{claim}` is missing")]
    MissingClaim {
        /// The claim.
        claim: &'static str,
    },
    /// A claim with a value that is not known.
    #[error("claim `{claim}` is `{found}`; wanted {wanted}")]
    BadClaim {
        /// The claim.
        claim: &'static str,
        /// Its value, cut to 200 characters.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// An address that the issuer did not verify.
    #[error("the issuer does not say that it verified the e-mail address")]
    EmailNotVerified,
    /// Something that is no e-mail address.
    #[error("`{found}` is not an e-mail address")]
    BadEmail {
        /// What the claim says, cut to 200 characters.
        found: String,
    },
    /// The claims do not make a URI.
    #[error("the claims make no URI: `{found}`")]
    BadUri {
        /// What they make, cut to 200 characters.
        found: String,
    },
    /// Longer than [`VALUE_SIZE_MAX`].
    #[error("a value of {found} bytes is longer than the {VALUE_SIZE_MAX} put into a certificate")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
}

impl IdentityError {
    /// What the requester is told. Fulcio tells of missing claims in words only for builds.
    #[must_use]
    pub fn wire(&self) -> WireError {
        match self {
            Self::MissingClaim { .. } | Self::BadClaim { .. } => {
                WireError::invalid(self.to_string())
            }
            _ => WireError::invalid(INVALID_TOKEN),
        }
    }
}

impl Identity {
    /// The identity that a verified token gives its bearer, by the rules of its issuer's kind.
    ///
    /// # Errors
    /// When a claim is missing or says what it may not.
    pub fn of(token: &VerifiedToken) -> Result<Self, IdentityError> {
        let (name, mut extensions) = match token.issuer().kind() {
            IssuerKind::Email => (email(token)?, Vec::new()),
            IssuerKind::GitHub { instance_url } => ci::github(token, instance_url)?,
            IssuerKind::GitLab { instance_url } => ci::gitlab(token, instance_url)?,
        };
        let issuer = token.issuer().url().to_owned();
        extensions.push((FulcioExtension::IssuerV1, issuer.clone()));
        extensions.push((FulcioExtension::Issuer, issuer));
        extensions.push((FulcioExtension::TokenSubject, token.subject().to_owned()));
        extensions.sort_unstable_by_key(|(extension, _)| extension.number());
        let values = extensions.iter().map(|(_, value)| value.as_str()).chain(name.as_str());
        if let Some(found) = values.map(str::len).find(|size| *size > VALUE_SIZE_MAX) {
            return Err(IdentityError::TooLong { found });
        }
        let email = token.verified_email().map(str::to_owned);
        let challenges = [token.subject().to_owned()].into_iter().chain(email).collect();
        Ok(Self { name, extensions, challenges })
    }

    /// The one subject alternative name.
    #[must_use]
    pub fn name(&self) -> &SubjectName {
        &self.name
    }

    /// Fulcio's extensions in the order of their numbers.
    #[must_use]
    pub fn extensions(&self) -> &[(FulcioExtension, String)] {
        &self.extensions
    }

    /// The texts over any of which a signature proves possession of a key.
    ///
    /// Fulcio takes `email` for issuers of type email and `sub` for the others, while sigstore-go
    /// and sigstore-js sign `email` whenever a token has one. Both are verified claims of the same
    /// token, so either will do.
    #[must_use]
    pub fn challenges(&self) -> &[String] {
        &self.challenges
    }
}

fn email(token: &VerifiedToken) -> Result<SubjectName, IdentityError> {
    if token.claim_text("email").is_none_or(|email| email.is_empty()) {
        return Err(IdentityError::MissingClaim { claim: "email" });
    }
    let email = token.verified_email().ok_or(IdentityError::EmailNotVerified)?;
    if is_email(email) {
        Ok(SubjectName::Email(email.to_owned()))
    } else {
        Err(IdentityError::BadEmail { found: cut(email) })
    }
}

/// A plain `Mailbox` of RFC 5321 §4.1.2 in ASCII, as `rfc822Name` holds it (RFC 5280 §4.2.1.6):
/// no quoted local part, no address literal, no internationalised name.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(atom_byte);
    let label = |label: &str| {
        let inside = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len())
            && inside
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // RFC 5321 §4.5.3.1: 64 for the local part, 255 for the domain.
    local.len() <= 64
        && domain.len() <= 255
        && local.split('.').all(atom)
        && domain.split('.').all(label)
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
