//! What checks are about: one client of others each.

/// Which client a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The Python Sigstore client.
    Python,
    /// The JavaScript Sigstore libraries.
    JavaScript,
    /// Debian's registry, and the tools that make and push images.
    Registry,
    /// A registry with the referrers API.
    Referrers,
    /// OpenSSL as a judge of timestamps and certificates.
    OpenSsl,
    /// python-tuf, with the repositories that it makes.
    Tuf,
    /// Cosign, with images in a registry.
    Cosign,
}

impl Group {
    /// Every group, in the order in which their checks run.
    pub const ALL: [Self; 7] = [
        Self::Python,
        Self::JavaScript,
        Self::Registry,
        Self::Referrers,
        Self::OpenSsl,
        Self::Tuf,
        Self::Cosign,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::Registry => "registry",
            Self::Referrers => "referrers",
            Self::OpenSsl => "openssl",
            Self::Tuf => "tuf",
            Self::Cosign => "cosign",
        }
    }

    /// Whether its absence is a failure when every check is asked for. Cosign is no package that can
    /// be installed beside the others.
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::Cosign
    }

    /// The group of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}
