//! Timestamps: what an authority says about when it saw a hash, signed.
//!
//! RFC 3161 with RFC 5816 (ESSCertIDv2), in CMS (RFC 5652). Only DER is read. Parsing proves
//! nothing: no signature, certificate or hash of the artifact is looked at. What needs no key is
//! checked by the `check_…` methods, which whoever verifies must call.

mod algorithm;
pub mod cms;
mod consistency;
mod error;
mod parse;
pub mod tsp;

use crypto::{Hash, HashAlgorithm};
use der::asn1::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::number::UnixTime;

pub use algorithm::{
    SignatureAlgorithmError, hash_algorithm, hash_algorithm_identifier, hash_value,
};
pub use consistency::InconsistentTimestamp;
pub use error::ParseTimestampError;

/// Longest response read, in bytes. FreeTSA's, with two RSA-4096 certificates, has 5,470.
pub const TIMESTAMP_SIZE_MAX: usize = 64 * 1024;

/// Most certificates read in one token; real chains have at most four.
pub const TIMESTAMP_CERTIFICATES_MAX: usize = 10;

/// Most signed attributes read; real tokens have four or five.
pub const SIGNED_ATTRIBUTES_MAX: usize = 16;

/// Longest serial number and nonce read, in bytes. RFC 3161 §2.4.2 asks for 20, for serials.
pub const INTEGER_SIZE_MAX: usize = 64;

/// A timestamp token as claimed by whoever supplies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    content: Vec<u8>,
    time: UnixTime,
    accuracy_ms: Option<u64>,
    imprint: Hash,
    serial: Vec<u8>,
    policy: ObjectIdentifier,
    nonce: Option<Vec<u8>>,

    signed_attributes_der: Vec<u8>,
    content_type: ObjectIdentifier,
    message_digest: Vec<u8>,
    signing_certificates: Vec<CertificateHash>,
    digest_algorithm: HashAlgorithm,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
    signer: SignerId,
    certificates: Vec<Vec<u8>>,
}

/// Which certificate the signer says is its own (RFC 5652 §5.3). A claim: only the signature
/// tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerId {
    /// The certificate with this issuer and serial number.
    IssuerAndSerial {
        /// DER of the issuer's `Name`, as it came.
        issuer_der: Vec<u8>,
        /// The serial number as DER writes it, without tag and length.
        serial: Vec<u8>,
    },
    /// The certificate with this subject key identifier.
    SubjectKeyId(Vec<u8>),
}

/// A signed hash of the certificate that signs (RFC 5035). Binds the signature to one certificate
/// where several carry the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateHash {
    /// ESSCertID: SHA-1, which RFC 3161 had to use before RFC 5816.
    Sha1([u8; 20]),
    /// ESSCertIDv2.
    Sha2(Hash),
}

impl Timestamp {
    /// When the authority says that it saw the hash. Finer than a millisecond is cut off.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// How far [`Self::time`] may be from the true time, in milliseconds, rounded up; `None` when
    /// the authority does not say.
    #[must_use]
    pub fn accuracy_ms(&self) -> Option<u64> {
        self.accuracy_ms
    }

    /// Hash of what was timestamped: for Sigstore, of the signature's bytes.
    #[must_use]
    pub fn imprint(&self) -> &Hash {
        &self.imprint
    }

    /// The token's serial number as DER writes it (big-endian, two's complement).
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The policy under which the token was made.
    #[must_use]
    pub fn policy(&self) -> ObjectIdentifier {
        self.policy
    }

    /// The requester's nonce as DER writes it.
    #[must_use]
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// DER of `TSTInfo`: what the message digest is of.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// What the signature is over: the signed attributes as they came, under the tag of a `SET OF`
    /// (RFC 5652 §5.4).
    #[must_use]
    pub fn signed_attributes_der(&self) -> &[u8] {
        &self.signed_attributes_der
    }

    /// What content and signed attributes are hashed with.
    #[must_use]
    pub fn digest_algorithm(&self) -> HashAlgorithm {
        self.digest_algorithm
    }

    /// The signature over [`Self::signed_attributes_der`].
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Which certificate the signer says is its own. Never "the first certificate that fits":
    /// [`Self::certificates`] is a bag that anybody may have filled.
    #[must_use]
    pub fn signer(&self) -> &SignerId {
        &self.signer
    }

    /// The signed hashes of the signing certificate: none, one, or one of each kind.
    #[must_use]
    pub fn signing_certificates(&self) -> &[CertificateHash] {
        &self.signing_certificates
    }

    /// DER of the certificates that came along, in no order, signed by nobody.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
}
