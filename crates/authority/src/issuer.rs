//! Which identity providers are trusted, for whom their tokens must be made, and how their claims
//! become an identity.
//!
//! The words are those of Fulcio's configuration file; its whole format is not read here yet.

use serde::Deserialize;
use url::{Host, Url};

use crate::jose::JwsAlgorithm;

/// Most issuers configured; the public instance has 22.
pub const ISSUERS_MAX: usize = 256;

/// The trusted issuers; at least one, no two alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "IssuersFile")]
pub struct Issuers(Vec<Issuer>);

/// One trusted identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "IssuerFile")]
pub struct Issuer {
    url: String,
    client_id: String,
    kind: IssuerKind,
    algorithms: Vec<JwsAlgorithm>,
    key_set_url: Option<Url>,
}

/// How an issuer's claims become an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// People, by their verified e-mail address.
    Email,
    /// Workflows of GitHub Actions.
    GitHub {
        /// Where the repositories are, e.g. `https://github.com`.
        instance_url: String,
    },
    /// Jobs of GitLab CI.
    GitLab {
        /// Where the projects are, e.g. `https://gitlab.com`.
        instance_url: String,
    },
}

impl IssuerKind {
    /// Fulcio's `type`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::GitHub { .. } | Self::GitLab { .. } => "ci-provider",
        }
    }

    /// The claim over which a client signs to prove that it holds its key.
    #[must_use]
    pub fn challenge_claim(&self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::GitHub { .. } | Self::GitLab { .. } => "sub",
        }
    }
}

/// Why an issuer cannot be trusted as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// No issuer, more than [`ISSUERS_MAX`], or one twice.
    #[error("wanted between one and {ISSUERS_MAX} issuers, none of them twice")]
    Count,
    /// Not an absolute URL of scheme https (http on loopback) without user, query and fragment.
    #[error("`{name}` is `{found}`; wanted an https URL without user, query and fragment")]
    BadUrl {
        /// The setting.
        name: &'static str,
        /// What it says.
        found: String,
    },
    /// No client identifier: then a token made for anybody would do.
    #[error("issuer {issuer} has an empty `client-id`")]
    NoClientId {
        /// The issuer.
        issuer: String,
    },
    /// An empty list of algorithms.
    #[error("issuer {issuer} allows no algorithm")]
    NoAlgorithm {
        /// The issuer.
        issuer: String,
    },
    /// `type` and `ci-provider` do not go together, or are not known.
    #[error(
        "issuer {issuer}: wanted type `email`, or type `ci-provider` with ci-provider \
         `github-workflow` or `gitlab-pipeline`"
    )]
    Kind {
        /// The issuer.
        issuer: String,
    },
}

impl Issuers {
    /// Trusts these issuers.
    ///
    /// # Errors
    /// When there is none, there are too many, or two have the same URL.
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, IssuerError> {
        let twice = |(index, issuer): (usize, &Issuer)| {
            issuers[..index].iter().any(|earlier| earlier.url == issuer.url)
        };
        if issuers.is_empty()
            || issuers.len() > ISSUERS_MAX
            || issuers.iter().enumerate().any(twice)
        {
            return Err(IssuerError::Count);
        }
        Ok(Self(issuers))
    }

    /// The issuers in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter()
    }

    pub(crate) fn into_vec(self) -> Vec<Issuer> {
        self.0
    }
}

impl Issuer {
    /// Trusts an issuer. Its URL is compared exactly with a token's `iss`, so it is kept as it is
    /// written.
    ///
    /// # Errors
    /// When a URL is not one that can be trusted, or the client identifier is empty.
    pub fn new(url: &str, client_id: &str, mut kind: IssuerKind) -> Result<Self, IssuerError> {
        trusted_url("issuer-url", url)?;
        if client_id.is_empty() {
            return Err(IssuerError::NoClientId { issuer: url.to_owned() });
        }
        if let IssuerKind::GitHub { instance_url } | IssuerKind::GitLab { instance_url } = &mut kind
        {
            trusted_url("instance-url", instance_url)?;
            // A slash follows it in every name that is made from it.
            instance_url.truncate(instance_url.trim_end_matches('/').len());
        }
        Ok(Self {
            url: url.to_owned(),
            client_id: client_id.to_owned(),
            kind,
            algorithms: JwsAlgorithm::ALL.to_vec(),
            key_set_url: None,
        })
    }

    /// Allows these algorithms only.
    ///
    /// # Errors
    /// When the list is empty.
    pub fn with_algorithms(self, algorithms: Vec<JwsAlgorithm>) -> Result<Self, IssuerError> {
        if algorithms.is_empty() {
            return Err(IssuerError::NoAlgorithm { issuer: self.url });
        }
        Ok(Self { algorithms, ..self })
    }

    /// Takes the keys from this URL, without discovery. Needed where they are on another host than
    /// the issuer, as Google's are.
    ///
    /// # Errors
    /// When it is not a URL that can be trusted.
    pub fn with_key_set_url(self, url: &str) -> Result<Self, IssuerError> {
        let key_set_url = Some(trusted_url("jwks-url", url)?);
        Ok(Self { key_set_url, ..self })
    }

    /// The issuer's URL, as tokens must write it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For whom tokens must be made.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// How its claims become an identity.
    #[must_use]
    pub fn kind(&self) -> &IssuerKind {
        &self.kind
    }

    /// The algorithms its tokens may be signed with.
    #[must_use]
    pub fn algorithms(&self) -> &[JwsAlgorithm] {
        &self.algorithms
    }

    /// Where its keys are, if that is configured.
    #[must_use]
    pub fn key_set_url(&self) -> Option<&Url> {
        self.key_set_url.as_ref()
    }

    /// Where its discovery document is (OpenID Connect Discovery 1.0 §4).
    #[must_use]
    pub fn discovery_url(&self) -> Url {
        let url = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        url.parse().expect("the issuer's URL was parsed before")
    }
}

/// Parses a URL that secrets may be fetched from: https, or http on loopback, and nothing in it
/// that could be read in two ways.
pub(crate) fn trusted_url(name: &'static str, text: &str) -> Result<Url, IssuerError> {
    let bad = || IssuerError::BadUrl { name, found: text.to_owned() };
    let url: Url = text.parse().map_err(|_| bad())?;
    let encrypted = match url.scheme() {
        "https" => true,
        "http" => is_loopback(&url),
        _ => false,
    };
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    // What the parser had to mend (upper case, backslashes, tabs, dot segments) is refused.
    let unmended = url.as_str().trim_end_matches('/') == text.trim_end_matches('/');
    if encrypted && plain && unmended { Ok(url) } else { Err(bad()) }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IssuersFile {
    oidc_issuers: Vec<Issuer>,
}

impl TryFrom<IssuersFile> for Issuers {
    type Error = IssuerError;

    fn try_from(file: IssuersFile) -> Result<Self, IssuerError> {
        Self::new(file.oidc_issuers)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IssuerFile {
    issuer_url: String,
    client_id: String,
    r#type: String,
    ci_provider: Option<String>,
    instance_url: Option<String>,
    jwks_url: Option<String>,
    algorithms: Option<Vec<JwsAlgorithm>>,
}

impl TryFrom<IssuerFile> for Issuer {
    type Error = IssuerError;

    fn try_from(file: IssuerFile) -> Result<Self, IssuerError> {
        let instance = |default: &str| file.instance_url.clone().unwrap_or_else(|| default.into());
        let kind = match (file.r#type.as_str(), file.ci_provider.as_deref()) {
            ("email", None) if file.instance_url.is_none() => IssuerKind::Email,
            ("ci-provider", Some("github-workflow")) => {
                IssuerKind::GitHub { instance_url: instance("https://github.com") }
            }
            ("ci-provider", Some("gitlab-pipeline")) => {
                IssuerKind::GitLab { instance_url: instance("https://gitlab.com") }
            }
            _ => return Err(IssuerError::Kind { issuer: file.issuer_url }),
        };
        let mut issuer = Self::new(&file.issuer_url, &file.client_id, kind)?;
        if let Some(url) = &file.jwks_url {
            issuer = issuer.with_key_set_url(url)?;
        }
        match file.algorithms {
            Some(algorithms) => issuer.with_algorithms(algorithms),
            None => Ok(issuer),
        }
    }
}
