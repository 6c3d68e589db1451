//! Signers that are wanted: the patterns that a proven one must match.

use evidence::certificate::FulcioExtension;
use nonempty::NonEmpty;
use regex::{Regex, RegexBuilder};

use crate::check::Check;
use crate::explain::Trace;
use crate::refusal::{Refusal, signer_found};
use crate::signer::VerifiedSigner;

/// Longest regular expression taken, in bytes.
pub const REGEX_SIZE_MAX: usize = 4096;
/// Most memory a compiled regular expression may take, in bytes.
const REGEX_MEMORY_MAX: usize = 1024 * 1024;

/// A signer that is wanted: everything named must match.
#[derive(Clone, Debug)]
pub struct IdentityPattern {
    /// The identity provider.
    pub issuer: Pattern,
    /// The name in the certificate.
    pub subject: Pattern,
    /// Further certificate extensions.
    pub extensions: Vec<(FulcioExtension, Pattern)>,
}

/// How a text is compared.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Equal, byte for byte.
    Exact(String),
    /// Contains a match of the regular expression: unanchored, as Cosign does.
    Regex(Regex),
}

/// A regular expression that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// An empty text would match only an empty name, and an empty expression every one.
    #[error("an empty pattern matches nothing useful")]
    Empty,
    /// Longer than [`REGEX_SIZE_MAX`].
    #[error("a regular expression of {found} bytes is longer than the {REGEX_SIZE_MAX} taken")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not a regular expression.
    #[error("not a regular expression: {0}")]
    Syntax(String),
}

impl Pattern {
    /// A text to be equal to.
    ///
    /// # Errors
    /// When it is empty.
    pub fn exact(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() { Err(BadPattern::Empty) } else { Ok(Self::Exact(text.to_owned())) }
    }

    /// A regular expression to contain a match of.
    ///
    /// # Errors
    /// When it is empty, too long or no regular expression.
    pub fn regex(expression: &str) -> Result<Self, BadPattern> {
        if expression.is_empty() {
            return Err(BadPattern::Empty);
        }
        if expression.len() > REGEX_SIZE_MAX {
            return Err(BadPattern::TooLong { found: expression.len() });
        }
        RegexBuilder::new(expression)
            .size_limit(REGEX_MEMORY_MAX)
            .dfa_size_limit(REGEX_MEMORY_MAX)
            .build()
            .map(Self::Regex)
            .map_err(|error| BadPattern::Syntax(error.to_string().replace('\n', " ")))
    }

    /// Whether the text matches.
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "`{text}`"),
            Self::Regex(regex) => write!(f, "a match of `{regex}`"),
        }
    }
}

impl std::fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} vouched for by {}", self.subject, self.issuer)?;
        self.extensions
            .iter()
            .try_for_each(|(extension, wanted)| write!(f, ", {} {wanted}", extension.name()))
    }
}

impl IdentityPattern {
    /// Checks that a proven signer is one of these.
    pub(crate) fn check_any(
        identities: &NonEmpty<Self>,
        signer: &VerifiedSigner,
        trace: &mut Trace,
    ) -> Result<(), Refusal> {
        let Some(subject) = signer.subject() else { return Err(Refusal::NoCertificate) };
        // Where it need not name a provider, there is none to match but the empty text.
        let issuer = signer.issuer().unwrap_or_default();
        let named = identities.iter().filter(|identity| {
            identity.issuer.matches(issuer) && identity.subject.matches(subject)
        });
        let mut refusal = Refusal::WrongIdentity {
            wanted: identities.iter().map(ToString::to_string).collect(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        };
        for identity in named {
            match identity.check_extensions(signer) {
                Ok(()) => {
                    trace.passed(Check::Identity, || {
                        (identity.to_string(), signer_found(subject, issuer))
                    });
                    return Ok(());
                }
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    fn check_extensions(&self, signer: &VerifiedSigner) -> Result<(), Refusal> {
        for (extension, wanted) in &self.extensions {
            let found = signer.extensions().and_then(|extensions| extensions.get(*extension));
            if !found.is_some_and(|value| wanted.matches(value)) {
                return Err(Refusal::WrongExtension {
                    extension: *extension,
                    wanted: wanted.to_string(),
                    found: found.map(str::to_owned),
                });
            }
        }
        Ok(())
    }
}
