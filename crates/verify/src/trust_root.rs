//! Trust roots: the authorities, logs and timestamp authorities that are believed, and when.
//!
//! `sigstore_trustroot.proto`, `TrustedRoot`. Keys and chains are parsed and checked once, here, so
//! that a verification spends its time on what differs from one signature to the next. A key
//! without a first moment of validity is refused, never taken as always valid.

mod named;
mod wire;

use std::num::NonZeroU8;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{PublicKey, Scheme};
use evidence::key_details::KeyDetailsError;
use evidence::{Certificate, UnixTime};

use crate::chain::{BadChain, Chain, Criticality, Links, Purpose};

pub use named::NAMED_MAX;

/// Longest trust root read, in bytes. The public instance's has about 7,000.
pub const TRUST_ROOT_SIZE_MAX: usize = 1024 * 1024;
/// Most authorities or logs of one kind.
pub const MEMBERS_MAX: usize = 256;

/// The public Sigstore instance's trust root, as shipped with its official Python client.
const PUBLIC_GOOD: &[u8] = include_bytes!("../data/public-good-trusted-root.json");

/// What is believed, and when.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    pub(crate) authorities: Vec<CertificateAuthority>,
    pub(crate) certificate_logs: Vec<Log>,
    pub(crate) logs: Vec<Log>,
    pub(crate) timestamp_authorities: Vec<TimestampAuthority>,
    pub(crate) thresholds: Thresholds,
    content_digest: [u8; 32],
    digest: [u8; 32],
}

/// How many observers of each kind must agree. Counted over distinct keys: what one key says twice,
/// or under two names, it has said once. None at all can never be enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Logs that hold the signature.
    pub logs: NonZeroU8,
    /// Observers that say when: logs that promise a time, and timestamp authorities. A pinned key,
    /// which has no validity of its own, needs one only where more than one is demanded.
    pub times: NonZeroU8,
    /// CT logs that promised to publish the signer's certificate.
    pub certificate_logs: NonZeroU8,
}

impl Thresholds {
    /// One of each, which is what a trust root demands unless told otherwise.
    pub const ONE: Self =
        Self { logs: NonZeroU8::MIN, times: NonZeroU8::MIN, certificate_logs: NonZeroU8::MIN };
}

/// A span of time, both ends inclusive. Without an end it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub start: UnixTime,
    /// Last moment, if there is one.
    pub end: Option<UnixTime>,
}

/// A transparency log or CT log that is believed.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// How entries and certificate timestamps name it.
    pub(crate) id: Vec<u8>,
    /// The host of its base URL, which is a v2 log's origin. Trusted roots made of keys alone name
    /// none, and what no check needs is not demanded of them.
    pub(crate) host: Option<String>,
    pub(crate) key: PublicKey,
    pub(crate) scheme: Scheme,
    pub(crate) window: Window,
}

impl Log {
    /// What to call it where people read: its host, or else its key ID as the trust root writes it.
    pub(crate) fn name(&self) -> String {
        let unnamed = || format!("the log with key ID {}", STANDARD.encode(&self.id));
        self.host.clone().unwrap_or_else(unnamed)
    }
}

/// A certificate authority that is believed.
#[derive(Clone, Debug)]
pub(crate) struct CertificateAuthority {
    pub(crate) uri: String,
    pub(crate) chain: Chain,
    pub(crate) window: Window,
}

/// A timestamp authority that is believed.
#[derive(Clone, Debug)]
pub(crate) struct TimestampAuthority {
    pub(crate) uri: String,
    /// The signing certificate, where the trust root holds it.
    pub(crate) signer: Option<Certificate>,
    /// The authorities above it; empty where the signing certificate itself is pinned alone.
    pub(crate) chain: Option<Chain>,
    pub(crate) window: Window,
}

/// Why bytes are no trust root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTrustRootError {
    /// Longer than [`TRUST_ROOT_SIZE_MAX`].
    #[error("a trust root of {found} bytes is longer than the {TRUST_ROOT_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not JSON of the right shape.
    #[error("not a Sigstore trusted root: {0}")]
    Json(String),
    /// Another media type.
    #[error("wanted a Sigstore trusted root v0.1 or v0.2, found media type `{found}`")]
    UnknownMediaType {
        /// The media type found, cut to 128 characters.
        found: String,
    },
    /// More than [`MEMBERS_MAX`] members of one kind.
    #[error("more than {MEMBERS_MAX} {kind}")]
    TooMany {
        /// Of which kind.
        kind: &'static str,
    },
    /// A member without a required field.
    #[error("{kind} {index} has no {field}")]
    Missing {
        /// Kind of the member.
        kind: &'static str,
        /// Position, counted from 0.
        index: usize,
        /// The field.
        field: &'static str,
    },
    /// A time that is not RFC 3339, or a window that ends before it starts.
    #[error("{kind} {index} has a validity window that is no window")]
    BadWindow {
        /// Kind of the member.
        kind: &'static str,
        /// Position, counted from 0.
        index: usize,
    },
    /// A key that does not parse or is not what its details say.
    #[error("the key of {kind} {index}")]
    Key {
        /// Kind of the member.
        kind: &'static str,
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: KeyDetailsError,
    },
    /// A base URL without a host.
    #[error("the base URL of {kind} {index} has no host")]
    BadUrl {
        /// Kind of the member.
        kind: &'static str,
        /// Position, counted from 0.
        index: usize,
    },
    /// A chain of certificates that does not hold together.
    #[error("the certificate chain of {kind} {index}")]
    Chain {
        /// Kind of the member.
        kind: &'static str,
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: BadChain,
    },
}

impl TrustRoot {
    /// Takes a trust root that the caller pins: a file an operator chose, or a TUF target already
    /// verified. The JSON carries no signature of its own.
    ///
    /// # Errors
    /// When it is too long or malformed, a member lacks its first moment of validity, or a chain
    /// of certificates does not hold together. Keys of algorithms that are not supported are left
    /// out: that only narrows what is believed.
    pub fn pin(json: &[u8]) -> Result<Self, ParseTrustRootError> {
        wire::parse(json, Links::Verified)
    }

    /// The public Sigstore instance's trust root, as it was when this was built. The signatures
    /// inside it, which take as long as those of a piece of evidence, are verified by a test of this
    /// crate and not again.
    ///
    /// # Panics
    /// Never: a test parses the embedded copy.
    #[must_use]
    pub fn public_good() -> Self {
        wire::parse(PUBLIC_GOOD, Links::BuiltIn).expect("the embedded trust root parses")
    }

    /// The embedded JSON of [`TrustRoot::public_good`].
    #[must_use]
    pub fn public_good_json() -> &'static [u8] {
        PUBLIC_GOOD
    }

    /// The same trust root, demanding that many observers.
    #[must_use]
    pub fn demanding(mut self, thresholds: Thresholds) -> Self {
        let Thresholds { logs, times, certificate_logs } = thresholds;
        let counts = [logs.get(), times.get(), certificate_logs.get()];
        self.digest = crypto::sha256(&[&self.content_digest[..], &counts].concat());
        self.thresholds = thresholds;
        self
    }

    /// Identifies what it holds and what it demands: part of the key under which a verdict is stored.
    /// SHA-256 of the JSON it was pinned from, unless it was changed since.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The transparency logs with that identifier: one key, trusted for several spans of time.
    pub(crate) fn logs_named(&self, id: &[u8]) -> impl Iterator<Item = &Log> {
        self.logs.iter().filter(move |log| log.id == id)
    }
}

impl Window {
    /// A certificate's own validity.
    pub(crate) fn of(certificate: &Certificate) -> Self {
        Self { start: certificate.not_before(), end: Some(certificate.not_after()) }
    }

    /// Whether the moment lies inside; both ends do.
    #[must_use]
    pub fn contains(&self, time: UnixTime) -> bool {
        self.start <= time && self.end.is_none_or(|end| time <= end)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.end {
            Some(end) => write!(f, "{} to {end}", self.start),
            None => write!(f, "from {}", self.start),
        }
    }
}

impl CertificateAuthority {
    fn new(
        uri: String,
        certificates: Vec<Certificate>,
        window: Window,
        links: Links,
    ) -> Result<Self, BadChain> {
        Ok(Self { uri, chain: Chain::verify(certificates, Purpose::CodeSigning, links)?, window })
    }

    /// The same authority with others below it, the one that issues to signers first.
    pub(crate) fn above(&self, below: &[Certificate]) -> Result<Self, BadChain> {
        Ok(Self { chain: self.chain.above(below)?, ..self.clone() })
    }
}

impl TimestampAuthority {
    /// The first certificate signs timestamps, unless it is an authority's: then tokens must bring
    /// their signing certificate along.
    fn new(
        uri: String,
        mut certificates: Vec<Certificate>,
        window: Window,
        links: Links,
    ) -> Result<Self, BadChain> {
        let first = certificates.first().ok_or(BadChain::Empty)?;
        if first.usage().map_err(|_| BadChain::MalformedUsage { index: 0 })?.is_authority {
            let chain = Some(Chain::verify(certificates, Purpose::TimeStamping, links)?);
            return Ok(Self { uri, signer: None, chain, window });
        }
        let signer = certificates.remove(0);
        crate::chain::check_timestamp_signer(&signer, Criticality::Waived)?;
        let chain = if certificates.is_empty() {
            None
        } else {
            let chain = Chain::verify(certificates, Purpose::TimeStamping, links)?;
            if links == Links::Verified {
                chain.check_issued(&signer)?;
            }
            Some(chain)
        };
        Ok(Self { uri, signer: Some(signer), chain, window })
    }
}
