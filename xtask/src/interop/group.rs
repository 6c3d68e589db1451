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
    /// OpenSSL as a judge of timestamps and certificates.
    OpenSsl,
}

impl Group {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::Registry => "registry",
            Self::OpenSsl => "openssl",
        }
    }

    /// The group of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Python, Self::JavaScript, Self::Registry, Self::OpenSsl]
            .into_iter()
            .find(|group| group.name() == name)
    }
}
