//! Image references, canonicalised once with the rules of the container runtimes, so that two
//! strings which are pulled alike are equal here and meet the same policy.
//!
//! The grammar is that of `distribution/reference`, which containerd, Docker and CRI-O share, minus
//! what it accepts by accident: a string whose meaning could be disputed is refused with a reason,
//! never repaired. Resolving a name to an address, or a tag to a digest, is not done here.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::digest::{Digest, ParseDigestError};

/// Longest repository, in bytes (`distribution/reference`, `RepositoryNameTotalLengthMax`).
pub const REPOSITORY_SIZE_MAX: usize = 255;

/// Longest tag, in bytes (OCI distribution specification v1.1, "Pulling manifests").
pub const TAG_SIZE_MAX: usize = 128;

/// Longest host name and longest label, in bytes (RFC 1035 §2.3.4).
const HOST_SIZE_MAX: usize = 253;
const LABEL_SIZE_MAX: usize = 63;

/// Longest reference: host, `:65535`, `/`, repository, `:`, tag, `@`, `sha512:` and its value.
pub const IMAGE_REF_SIZE_MAX: usize =
    HOST_SIZE_MAX + 6 + 1 + REPOSITORY_SIZE_MAX + 1 + TAG_SIZE_MAX + 1 + 7 + 128;

/// Docker Hub's canonical name, and where its registry really answers.
const HUB: &str = "docker.io";
const HUB_ENDPOINT: &str = "registry-1.docker.io";

/// The only alias for which runtimes also put `library/` before a lone name.
const HUB_LEGACY: &str = "index.docker.io";

/// Hosts that serve Docker Hub under its own name.
const HUB_ENDPOINTS: [&str; 3] = [HUB_ENDPOINT, "registry.docker.io", "registry.hub.docker.com"];

/// Namespace of the images that are named without one on Docker Hub.
const HUB_LIBRARY: &str = "library";

/// What a reference without tag and digest means.
const DEFAULT_TAG: &str = "latest";

/// Why text names no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseHostError {
    /// Nothing, or more than a host name can be.
    #[error("wanted a host of 1 to {HOST_SIZE_MAX} bytes, found {found}")]
    Size {
        /// Length in bytes.
        found: usize,
    },
    /// Upper case, which DNS ignores but runtimes keep: one registry would have many names.
    #[error("the host `{found}` is not in lower case")]
    UpperCase {
        /// The host found.
        found: String,
    },
    /// A label that is empty (a trailing dot makes one), too long, or has other characters.
    #[error("`{found}` in the host is not 1 to {LABEL_SIZE_MAX} of a-z, 0-9 and inner `-`")]
    Label {
        /// The label found.
        found: String,
    },
    /// An IPv4 address in another form than four decimal numbers; resolvers disagree about it.
    #[error("`{found}` is no IPv4 address of four decimal numbers")]
    Ipv4 {
        /// The host found.
        found: String,
    },
    /// Not an IPv6 address in brackets, or one that stands for an IPv4 address.
    #[error("`{found}` is no plain IPv6 address in brackets")]
    Ipv6 {
        /// The host found.
        found: String,
    },
    /// A port that is not a number from 1 to 65535, or has leading zeros.
    #[error("wanted a port from 1 to 65535 without leading zeros, found `{found}`")]
    Port {
        /// What stands after the colon.
        found: String,
    },
    /// Docker Hub with a port: runtimes dial such a name as it stands, which is not Docker Hub.
    #[error("Docker Hub is named without a port, found `{found}`")]
    HubPort {
        /// The host found.
        found: String,
    },
}

/// A registry's host, and its port where that is not the usual one. Equal exactly if a runtime
/// talks to the same server: lower case, the one name for Docker Hub, no `:443`, the shortest form
/// of an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost(String);

impl RegistryHost {
    /// The canonical name, e.g. `docker.io`, `ghcr.io` or `[::1]:5000`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and port to connect to, which differ from the name for Docker Hub only.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        if self.is_docker_hub() { HUB_ENDPOINT } else { &self.0 }
    }

    /// Whether this is Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.0 == HUB
    }

    /// Whether this is `localhost` or a loopback address, where plain HTTP may be spoken.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(split_port(&self.0).map_or("", |(host, _)| host))
    }
}

impl FromStr for RegistryHost {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_port(text)?;
        let host = canonical_host(host)?;
        let port = port.map(parse_port).transpose()?;
        if host == HUB || host == HUB_LEGACY || HUB_ENDPOINTS.contains(&host.as_str()) {
            return match port {
                None => Ok(Self(HUB.to_owned())),
                Some(_) => Err(ParseHostError::HubPort { found: text.to_owned() }),
            };
        }
        // On loopback runtimes guess between HTTP and HTTPS by the port, so there it stays; and a
        // bare word needs its port to be told from a namespace.
        let plain = host.contains(['.', ':']) && !is_loopback(&host);
        Ok(match port {
            Some(443) if plain => Self(host),
            Some(port) => Self(format!("{host}:{port}")),
            None => Self(host),
        })
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why text is no image reference that is safe to act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseImageRefError {
    /// Nothing at all.
    #[error("the image reference is empty")]
    Empty,
    /// Longer than any valid reference.
    #[error("an image reference of {found} bytes is longer than {IMAGE_REF_SIZE_MAX}")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// A character outside the grammar: percent signs, spaces, control and non-ASCII characters.
    #[error("the character {found:?} at byte {at} is not allowed in an image reference")]
    Character {
        /// The character found.
        found: char,
        /// Where it stands, counted from 0.
        at: usize,
    },
    /// A bare image identifier: a runtime takes it for an image that is already on the node.
    #[error("a bare image identifier names no repository")]
    ImageId,
    /// A user name before the host.
    #[error("an image reference has no user information before an `@`")]
    UserInfo,
    /// A second `@`.
    #[error("wanted at most one digest, found several")]
    SeveralDigests,
    /// What follows the `@` is no digest.
    #[error("bad digest: {0}")]
    Digest(#[from] ParseDigestError),
    /// What stands before the first slash is no registry.
    #[error("bad registry: {0}")]
    Host(#[from] ParseHostError),
    /// An upper-case first part without dot or port; runtimes take it for a host.
    #[error("`{found}` is neither a lower-case namespace nor a host with a dot or a port")]
    UpperCaseFirst {
        /// The first part.
        found: String,
    },
    /// A lone name at one of Docker Hub's endpoints, where only `docker.io` means `library/`.
    #[error("`{host}` has no image `{repository}` without a namespace")]
    HubNamespace {
        /// The endpoint named.
        host: String,
        /// The repository named.
        repository: String,
    },
    /// Upper case in the repository.
    #[error("the repository `{found}` is not in lower case")]
    UpperCaseRepository {
        /// The repository found.
        found: String,
    },
    /// A part of the repository that is empty or has separators in the wrong places.
    #[error(
        "`{found}` in the repository is not made of a-z and 0-9, joined by `.`, `_`, `__` or `-`"
    )]
    Component {
        /// The part found.
        found: String,
    },
    /// A repository longer than [`REPOSITORY_SIZE_MAX`].
    #[error("a repository of {found} bytes is longer than {REPOSITORY_SIZE_MAX}")]
    RepositoryTooLong {
        /// Length in bytes.
        found: usize,
    },
    /// What follows the colon is no tag.
    #[error(
        "wanted a tag of 1 to {TAG_SIZE_MAX} of A-Z, a-z, 0-9, `_`, `.` and `-`, not beginning with the last two, found `{found}`"
    )]
    Tag {
        /// What stands there.
        found: String,
    },
}

/// A reference to an image: registry, repository, and a tag or a digest or both.
///
/// Equality is what a runtime pulls. A tag beside a digest is kept for people to read and ignored
/// by comparison, because every runtime ignores it and pulls the digest.
#[derive(Clone, Debug)]
pub struct ImageRef {
    registry: RegistryHost,
    repository: String,
    /// Present at least when `digest` is absent.
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &RegistryHost {
        &self.registry
    }

    /// The repository within the registry, e.g. `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` where the text had neither tag nor digest. Means nothing beside a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository, e.g. `docker.io/library/nginx`: what policies match.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image pinned to a digest; the tag stays for people to read.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The image of that tag in the same repository.
    ///
    /// # Errors
    /// [`ParseImageRefError::Tag`] when `tag` is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ParseImageRefError> {
        let tag = Some(parse_tag(tag)?);
        Ok(Self { tag, digest: None, ..self.clone() })
    }

    /// What a runtime pulls.
    fn pulled(&self) -> (&RegistryHost, &str, Option<&str>, Option<&Digest>) {
        let tag = self.tag().filter(|_| self.digest.is_none());
        (&self.registry, &self.repository, tag, self.digest())
    }
}

impl PartialEq for ImageRef {
    fn eq(&self, other: &Self) -> bool {
        self.pulled() == other.pulled()
    }
}

impl Eq for ImageRef {}

impl Hash for ImageRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pulled().hash(state);
    }
}

impl fmt::Display for ImageRef {
    /// The canonical reference; parsing it again gives an equal value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageRef {
    type Err = ParseImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_characters(text)?;
        let (named, digest) = split_digest(text)?;
        let (host, remainder) = split_host(named)?;
        let (repository, tag) = match remainder.split_once(':') {
            Some((repository, tag)) => (repository, Some(parse_tag(tag)?)),
            None => (remainder, None),
        };
        let lone = !repository.contains('/');
        let registry: RegistryHost = host.unwrap_or(HUB).parse()?;
        let repository = match host {
            None | Some(HUB | HUB_LEGACY) if lone => format!("{HUB_LIBRARY}/{repository}"),
            Some(host) if lone && registry.is_docker_hub() => {
                let (host, repository) = (host.to_owned(), repository.to_owned());
                return Err(ParseImageRefError::HubNamespace { host, repository });
            }
            _ => repository.to_owned(),
        };
        check_repository(&repository)?;
        let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
        Ok(Self { registry, repository, tag, digest })
    }
}

fn check_characters(text: &str) -> Result<(), ParseImageRefError> {
    if text.is_empty() {
        return Err(ParseImageRefError::Empty);
    }
    if text.len() > IMAGE_REF_SIZE_MAX {
        return Err(ParseImageRefError::TooLong { found: text.len() });
    }
    let allowed = |found: char| found.is_ascii_alphanumeric() || "._-:/@[]".contains(found);
    match text.char_indices().find(|(_, found)| !allowed(*found)) {
        Some((at, found)) => Err(ParseImageRefError::Character { found, at }),
        None => Ok(()),
    }
}

/// Cuts the digest off. Both forms of an image identifier are refused here, because containerd and
/// CRI-O look them up among the images already present, under no name at all.
fn split_digest(text: &str) -> Result<(&str, Option<Digest>), ParseImageRefError> {
    let hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if (text.len() == 64 && hexadecimal) || text.parse::<Digest>().is_ok() {
        return Err(ParseImageRefError::ImageId);
    }
    let Some((named, digest)) = text.split_once('@') else { return Ok((text, None)) };
    if digest.contains('/') {
        return Err(ParseImageRefError::UserInfo);
    }
    if digest.contains('@') {
        return Err(ParseImageRefError::SeveralDigests);
    }
    Ok((named, Some(digest.parse()?)))
}

/// The rule by which runtimes tell `host/repository` from `namespace/repository`: the first part is
/// a host if it has a dot or a colon or is `localhost`.
fn split_host(named: &str) -> Result<(Option<&str>, &str), ParseImageRefError> {
    let Some((first, remainder)) = named.split_once('/') else { return Ok((None, named)) };
    if first == "localhost" || first.contains(['.', ':']) {
        return Ok((Some(first), remainder));
    }
    // Runtimes call this a host too, but in lower case the same text would be a namespace.
    if first.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ParseImageRefError::UpperCaseFirst { found: first.to_owned() });
    }
    Ok((None, named))
}

fn parse_tag(tag: &str) -> Result<String, ParseImageRefError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| word(byte) || matches!(byte, b'.' | b'-');
    let good =
        tag.len() <= TAG_SIZE_MAX && tag.bytes().next().is_some_and(word) && tag.bytes().all(rest);
    if good { Ok(tag.to_owned()) } else { Err(ParseImageRefError::Tag { found: tag.to_owned() }) }
}

fn check_repository(repository: &str) -> Result<(), ParseImageRefError> {
    if repository.len() > REPOSITORY_SIZE_MAX {
        return Err(ParseImageRefError::RepositoryTooLong { found: repository.len() });
    }
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ParseImageRefError::UpperCaseRepository { found: repository.to_owned() });
    }
    match repository.split('/').find(|component| !is_component(component)) {
        Some(found) => Err(ParseImageRefError::Component { found: found.to_owned() }),
        None => Ok(()),
    }
}

/// `[a-z0-9]+` joined by one dot, one or two underscores, or any number of hyphens.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separator = |bytes: &[u8]| {
        matches!(bytes, b"." | b"_" | b"__") || bytes.iter().all(|byte| *byte == b'-')
    };
    component.bytes().next().is_some_and(alphanumeric)
        && component.bytes().next_back().is_some_and(alphanumeric)
        && component
            .as_bytes()
            .split(|byte| alphanumeric(*byte))
            .filter(|between| !between.is_empty())
            .all(separator)
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(text: &str) -> Result<(&str, Option<&str>), ParseHostError> {
    if text.starts_with('[') {
        let bad = || ParseHostError::Ipv6 { found: text.to_owned() };
        let end = text.find(']').ok_or_else(bad)? + 1;
        let (host, after) = text.split_at(end);
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(bad()),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(port: &str) -> Result<u16, ParseHostError> {
    let digits = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| ParseHostError::Port { found: port.to_owned() })
}

fn canonical_host(host: &str) -> Result<String, ParseHostError> {
    if let Some(bracketed) = host.strip_prefix('[') {
        let bad = || ParseHostError::Ipv6 { found: host.to_owned() };
        let address = bracketed.strip_suffix(']').ok_or_else(bad)?;
        let parsed: Ipv6Addr = address.parse().map_err(|_| bad())?;
        // `distribution/reference` excludes dots; without dots the same address would slip in.
        if address.contains('.') || parsed.to_ipv4_mapped().is_some() {
            return Err(bad());
        }
        return Ok(format!("[{parsed}]"));
    }
    if host.is_empty() || host.len() > HOST_SIZE_MAX {
        return Err(ParseHostError::Size { found: host.len() });
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ParseHostError::UpperCase { found: host.to_owned() });
    }
    if let Some(found) = host.split('.').find(|label| !is_label(label)) {
        return Err(ParseHostError::Label { found: found.to_owned() });
    }
    // The URL standard's "ends in a number": such a host is an address to some, a name to others.
    let last = host.rsplit('.').next().unwrap_or(host);
    let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if number && host.parse::<Ipv4Addr>().is_err() {
        return Err(ParseHostError::Ipv4 { found: host.to_owned() });
    }
    Ok(host.to_owned())
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL_SIZE_MAX).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `host` is canonical, an IPv6 address in brackets.
fn is_loopback(host: &str) -> bool {
    let ipv6 = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || ipv6().is_some_and(|address| address.is_loopback())
}
