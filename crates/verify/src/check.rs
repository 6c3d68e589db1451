//! The checks that evidence goes through, by name.

use serde::Serialize;

/// A check that evidence goes through, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The evidence parses.
    Format,
    /// An entry is the log's: its promise verifies.
    LogPromise,
    /// An entry is in the log: its inclusion proof leads to a signed checkpoint.
    LogInclusion,
    /// A timestamp authority saw the signature.
    Timestamp,
    /// At least one trusted time, none in the future.
    Time,
    /// The certificate chains to a trusted authority at those times.
    Certificate,
    /// A CT log promised to publish the certificate.
    CertificateTransparency,
    /// The pinned key is the one that signed.
    Key,
    /// The signature verifies.
    Signature,
    /// The log entry is about this signature, this signer and this content.
    LogBinding,
    /// The signed content is about this artifact.
    Artifact,
    /// The signer is one that the policy wants.
    Identity,
    /// What was said is what the policy wants.
    Claim,
    /// It was said recently enough.
    Age,
    /// A program of the policy accepts what was said.
    Program,
    /// Enough signers said it, and everything there is was seen where that matters.
    Rule,
}

impl Check {
    /// What the check is called where people read it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::LogPromise => "log promise",
            Self::LogInclusion => "log inclusion",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Certificate => "certificate",
            Self::CertificateTransparency => "certificate transparency",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::LogBinding => "log entry",
            Self::Artifact => "artifact",
            Self::Identity => "identity",
            Self::Claim => "claim",
            Self::Age => "age",
            Self::Program => "program",
            Self::Rule => "rule",
        }
    }

    /// What the check wants, where a refusal has nothing more precise to say.
    #[must_use]
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Format => "well-formed evidence",
            Self::LogPromise => "a promise signed by a log of the trust root",
            Self::LogInclusion => "inclusion under a checkpoint signed by a log of the trust root",
            Self::Timestamp => "a timestamp over this signature by an authority of the trust root",
            Self::Time => "a time from a log or timestamp authority of the trust root",
            Self::Certificate => "a certificate issued by an authority of the trust root",
            Self::CertificateTransparency => "the promise of a CT log of the trust root",
            Self::Key => "the pinned key",
            Self::Signature => "a signature by this signer over this artifact",
            Self::LogBinding => "a log entry about this signature, this signer and this content",
            Self::Artifact => "signed content about this artifact",
            Self::Identity => "a signer that the policy names",
            Self::Claim => "a claim of the kind that the policy names",
            Self::Age => "a claim no older than the policy allows",
            Self::Program => "a claim that the policy's program accepts",
            Self::Rule => "claims by as many signers, and of those all, as the policy says",
        }
    }
}
