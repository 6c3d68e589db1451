//! What the chain must show beside the signature itself, and what a policy may waive or tighten.
//!
//! Each is a named variant that a reader of the policy sees. A waiver gives up one thing and nothing
//! else: what is there must still hold, a threshold of more than one stays, and what was not proven is
//! told as waived ([`Outcome::Waived`](crate::explain::Outcome::Waived),
//! [`VerifiedClaim::waived`](crate::VerifiedClaim::waived)).

/// What is demanded of a piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    /// That it stands in a transparency log.
    pub logging: Logging,
    /// That its certificate stands in a CT log. A pinned key has no certificate to publish.
    pub transparency: CertificateTransparency,
    /// Who says when it was made.
    pub time: TimeSource,
    /// Where the authorities between its signer and the trust root's come from.
    pub intermediates: Intermediates,
    /// Who vouched for the name in its certificate.
    pub provider: ProviderName,
}

/// Whether a transparency log must hold the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logging {
    /// A log of the trust root holds it.
    Required,
    /// It need not be logged. Entries of logs that the trust root holds must be right all the same:
    /// one that is not is a contradiction. Entries of other logs are passed over, because whoever
    /// waives logging often knows no log at all. Where nothing trusted says when it was signed, its
    /// certificate is judged as of now.
    Waived,
}

/// Whether a CT log must have promised to publish the signer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateTransparency {
    /// A CT log of the trust root did.
    Required,
    /// None need have. A promise in the name of a CT log that the trust root holds must be right all
    /// the same.
    Waived,
}

/// Who must say when the signature was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// Any log or timestamp authority of the trust root.
    AnyTrusted,
    /// A timestamp authority of the trust root at least, whatever a log says.
    SignedTimestamp,
}

/// Which authorities may stand between a signer and an authority of the trust root. None but the
/// trust root's is ever where trust begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intermediates {
    /// None: the trust root holds the one that issued the signer's certificate. A bundle v0.3 that
    /// brings a chain along breaks its own rules, and is refused.
    OfTrustRoot,
    /// Those too that the evidence brings along, each certified by the next and the last by an
    /// authority of the trust root.
    BroughtAlong,
}

/// Whether a certificate must name the identity provider that vouched for its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderName {
    /// It must, as Fulcio's certificates do.
    Required,
    /// It need not: there may be none, and the authority alone vouches, as a company's own does. Its
    /// issuer is then the empty text, which a pattern must match like any other.
    Waived,
}

impl Demands {
    /// All that is demanded unless somebody says otherwise: logged, its certificate promised to be
    /// published, seen at a trusted time, signed by somebody whom the trust root's own authorities
    /// certified and an identity provider vouched for.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            logging: Logging::Required,
            transparency: CertificateTransparency::Required,
            time: TimeSource::AnyTrusted,
            intermediates: Intermediates::OfTrustRoot,
            provider: ProviderName::Required,
        }
    }
}
