//! ClusterImagePolicy, the dialect of Sigstore's policy-controller: `policy.sigstore.dev/v1beta1`
//! and `v1alpha1`, which have the same fields.
//!
//! [`parse`] reads and validates all of it, as policy-controller's webhook does (`pkg/apis/policy`,
//! v0.15), and stricter where that lets an author's error pass unseen: unknown fields, a policy
//! that no authority could meet. [`lower`] then takes what is carried out today and refuses the
//! rest by name.

mod cover;
mod lower;
mod parse;
mod repository;

use crypto::PublicKey;

use crate::glob::ClusterImagePolicyGlob;
use crate::kms::KmsReference;
use crate::regexp::Regexp;

pub use cover::{Coverage, ImageNames, Object};
pub use lower::{ImagePolicy, Rule, lower};
pub use parse::{Parsed, Remark, Remarked, parse};

/// A valid policy: only [`parse`] makes one. `images`, `authorities` and every list of identities
/// have at least one entry.
#[derive(Clone, Debug)]
pub struct ClusterImagePolicy {
    name: String,
    mode: Mode,
    images: Vec<ClusterImagePolicyGlob>,
    matches: Vec<MatchResource>,
    authorities: Vec<Authority>,
    policy: Option<Program>,
}

impl ClusterImagePolicy {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `spec.mode`.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// `spec.images`: any of them is enough to be covered.
    #[must_use]
    pub fn images(&self) -> &[ClusterImagePolicyGlob] {
        &self.images
    }

    /// `spec.match`: if there are any, one of them must select the object.
    #[must_use]
    pub fn matches(&self) -> &[MatchResource] {
        &self.matches
    }

    /// `spec.authorities`: one that vouches for the image is enough.
    #[must_use]
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    /// `spec.policy`: evaluated over what the authorities have verified.
    #[must_use]
    pub fn policy(&self) -> Option<&Program> {
        self.policy.as_ref()
    }
}

/// What follows when a policy is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// The object is refused.
    #[default]
    Enforce,
    /// The object is admitted, with a warning.
    Warn,
}

/// Objects that a policy is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchResource {
    /// API group; empty for the core group.
    pub group: String,
    /// API version, or `*`.
    pub version: String,
    /// Resource in plural; empty where the author left it out.
    pub resource: String,
    /// Conditions on the object's labels; all must hold.
    pub selector: Vec<LabelRule>,
}

/// One condition of a label selector (`metav1.LabelSelector`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelRule {
    /// The label is there, with one of these values.
    In {
        /// The label's name.
        key: String,
        /// The values; at least one.
        values: Vec<String>,
    },
    /// The label is absent, or has none of these values.
    NotIn {
        /// The label's name.
        key: String,
        /// The values; at least one.
        values: Vec<String>,
    },
    /// The label is there.
    Exists {
        /// The label's name.
        key: String,
    },
    /// The label is absent.
    DoesNotExist {
        /// The label's name.
        key: String,
    },
}

/// Who may vouch for an image.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its name, or `authority-` and its number, counted from 0.
    pub name: String,
    /// What kind of authority it is.
    pub kind: AuthorityKind,
    /// Where to look for signatures instead of beside the image.
    pub source: Option<Source>,
    /// The transparency log.
    pub ctlog: Option<TransparencyLog>,
    /// The timestamp authority.
    pub timestamp: Option<TimestampAuthority>,
    /// If there are any, they are looked for instead of signatures.
    pub attestations: Vec<Attestation>,
}

/// Exactly one of `key`, `keyless` and `static`.
#[derive(Clone, Debug)]
pub enum AuthorityKind {
    /// The holder of a key.
    Key(KeyReference),
    /// The holder of a certificate.
    Keyless(Keyless),
    /// Nobody: the policy decides without looking.
    Static(Static),
}

/// `static`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Static {
    /// Admit.
    Pass,
    /// Refuse.
    Fail {
        /// What to tell the user.
        message: Option<String>,
    },
}

/// `key`, and the authority's certificate under `ca-cert`.
#[derive(Clone, Debug)]
pub struct KeyReference {
    /// Where the key is.
    pub key: KeySource,
    /// What signatures are over.
    pub hash: KeyHash,
}

/// Exactly one of `data`, `secretRef` and `kms`.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The key itself.
    Data(Box<PublicKey>),
    /// A secret in the controller's namespace.
    Secret {
        /// Its name.
        name: String,
    },
    /// A key management service.
    Kms(KmsReference),
}

/// `hashAlgorithm`; SHA-256 unless given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHash {
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// `keyless`.
#[derive(Clone, Debug)]
pub struct Keyless {
    /// Chooses the public or a configured authority in policy-controller; contacted by nobody.
    pub url: Option<String>,
    /// The authority's certificate.
    pub ca_cert: Option<KeyReference>,
    /// Whom a certificate may name; any of them is enough.
    pub identities: Vec<Identity>,
    /// Name of a `TrustRoot` that holds the authority.
    pub trust_root: Option<String>,
    /// `insecureIgnoreSCT`.
    pub ignore_sct: bool,
}

/// Whom a certificate must name: both must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identity provider.
    pub issuer: Pattern,
    /// The name in the certificate.
    pub subject: Pattern,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Equal.
    Exact(String),
    /// Contains a match.
    Regexp(Regexp),
}

/// `source`: only its form is checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Registry, or registry and repository.
    pub oci: Option<String>,
    /// Secrets in the namespace of the object.
    pub pull_secrets: Vec<String>,
    /// What tags of signatures begin with.
    pub tag_prefix: Option<String>,
}

/// `ctlog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransparencyLog {
    /// Switches the check on in policy-controller; contacted by nobody.
    pub url: Option<String>,
    /// Name of a `TrustRoot` that holds the log.
    pub trust_root: Option<String>,
}

/// `rfc3161timestamp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampAuthority {
    /// Name of a `TrustRoot` that holds the authority.
    pub trust_root: Option<String>,
}

/// An attestation that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What [`Program`]s call it.
    pub name: String,
    /// The predicate type, or one of cosign's short names for it.
    pub predicate_type: String,
    /// What it must say.
    pub policy: Option<Program>,
}

/// A policy in another language, under an attestation or over all authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The language.
    pub language: Language,
    /// The text.
    pub text: ProgramText,
    /// `fetchConfigFile`, `includeSpec`, `includeObjectMeta`, `includeTypeMeta`.
    pub inputs: [bool; 4],
}

/// A policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// CUE.
    Cue,
    /// Rego.
    Rego,
}

/// Exactly one of `data`, `configMapRef` and `remote`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramText {
    /// The text itself.
    Data(String),
    /// A ConfigMap.
    ConfigMap {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: Option<String>,
        /// The entry that holds the text.
        key: String,
    },
    /// A URL.
    Remote {
        /// The URL, https.
        url: String,
        /// SHA-256 of the text in hexadecimal, as the author wrote it.
        sha256sum: String,
    },
}
