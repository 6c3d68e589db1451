//! Timestamps: what an authority says about when it saw a hash, signed.
//!
//! RFC 3161 with RFC 5816 (ESSCertIDv2), in CMS (RFC 5652). Only DER is read. Parsing proves
//! nothing: no signature, certificate or hash of the artifact is looked at. What needs no key is
//! checked by the `check_…` methods, which whoever verifies must call.

pub mod cms;
pub mod tsp;

use crypto::hash::sha1_name;
use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::number::UnixTime;
use cms::{
    Attribute, ContentInfo, EssCertIdV2, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST,
    ID_SIGNED_DATA, ID_SIGNING_CERTIFICATE, ID_SIGNING_CERTIFICATE_V2, RawSet, SignedData,
    SignerIdentifier, SignerInfo, SigningCertificate, SigningCertificateV2,
};
use tsp::{PkiFailure, STATUS_GRANTED, TimeStampResp, TstInfo};

/// Longest response read, in bytes. FreeTSA's, with two RSA-4096 certificates, has 5,470.
pub const TIMESTAMP_SIZE_MAX: usize = 64 * 1024;

/// Most certificates read in one token; real chains have at most four.
pub const TIMESTAMP_CERTIFICATES_MAX: usize = 10;

/// Most signed attributes read; real tokens have four or five.
pub const SIGNED_ATTRIBUTES_MAX: usize = 16;

/// Longest serial number and nonce read, in bytes. RFC 3161 §2.4.2 asks for 20, for serials.
pub const INTEGER_SIZE_MAX: usize = 64;

const ID_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ID_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const ID_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const ID_RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ID_RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ID_RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const ID_RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ID_ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ID_ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ID_ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

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

/// Why bytes are no timestamp that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimestampError {
    /// More bytes than are read.
    #[error("a timestamp of {found} bytes is longer than the {TIMESTAMP_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// A part is not the DER of what stands there.
    #[error("{part} is not DER: {source}")]
    Der {
        /// The part, in the specification's words.
        part: &'static str,
        /// What the decoder said.
        source: der::Error,
    },
    /// The response carries a refusal instead of a token.
    #[error("wanted a response with status 0 (granted), found status {status}, {failure:?}")]
    NotGranted {
        /// The `PKIStatus` found.
        status: u8,
        /// The first `PKIFailureInfo` bit.
        failure: Option<PkiFailure>,
    },
    /// Status granted, and no token.
    #[error("the response has no token")]
    NoToken,
    /// A part says that it is of another type.
    #[error("wanted {part} to be {wanted}, found {found}")]
    WrongType {
        /// The part.
        part: &'static str,
        /// The object identifier that belongs there.
        wanted: ObjectIdentifier,
        /// The one that stands there.
        found: ObjectIdentifier,
    },
    /// A structure of another version.
    #[error("wanted {part} of version {wanted}, found {found}")]
    Version {
        /// The structure.
        part: &'static str,
        /// The version that its content demands.
        wanted: u8,
        /// The version it says.
        found: u8,
    },
    /// Something that must be there is not.
    #[error("{part} is missing")]
    Missing {
        /// The part.
        part: &'static str,
    },
    /// Not exactly one signer (RFC 3161 §2.4.2).
    #[error("wanted exactly one signer")]
    NotOneSigner,
    /// More than is read of something.
    #[error("more than {max} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// An attribute twice, or not with exactly one value (RFC 5652 §11).
    #[error("the signed attribute {oid} does not stand once with one value")]
    AmbiguousAttribute {
        /// The attribute.
        oid: ObjectIdentifier,
    },
    /// A hash algorithm that proves nothing, or is unknown.
    #[error("{part} uses the hash algorithm {oid}; wanted SHA-256, SHA-384 or SHA-512")]
    UnsupportedHash {
        /// What is hashed with it.
        part: &'static str,
        /// The algorithm.
        oid: ObjectIdentifier,
    },
    /// A hash that is not as long as its algorithm's hashes.
    #[error("{part} has {found} bytes, which is not the length of a {algorithm} hash")]
    HashLength {
        /// What the hash is of.
        part: &'static str,
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// The length found, in bytes.
        found: usize,
    },
    /// A number out of the range the specification gives.
    #[error("{part} is out of range")]
    OutOfRange {
        /// The number.
        part: &'static str,
    },
    /// A critical extension that is not understood (RFC 5280 §4.2).
    #[error("the critical extension {oid} is not understood")]
    CriticalExtension {
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// Among the certificates stands something that is no X.509 certificate.
    #[error("the certificates contain something that is no X.509 certificate")]
    NotACertificate,
}

/// A token that contradicts itself, or the certificate it is said to be signed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InconsistentTimestamp {
    /// The signed attribute names another content type.
    #[error("the signed content type is {found}, not {ID_CT_TST_INFO} (TSTInfo)")]
    ContentType {
        /// The type named.
        found: ObjectIdentifier,
    },
    /// The signed digest is not that of the content.
    #[error("the signed message digest is not the {algorithm} hash of the content")]
    MessageDigest {
        /// The algorithm.
        algorithm: HashAlgorithm,
    },
    /// No signed attribute names the certificate (RFC 3161 §2.4.2 demands one).
    #[error("no signed attribute names the signing certificate")]
    NoSigningCertificate,
    /// A signed attribute names another certificate.
    #[error("the signed attributes name another certificate as the signing one")]
    SigningCertificate,
}

/// A signature algorithm that cannot be used with this key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureAlgorithmError {
    /// An algorithm that is not supported, or whose parameters are not.
    #[error("unsupported signature algorithm {oid}")]
    Unsupported {
        /// The algorithm.
        oid: ObjectIdentifier,
    },
    /// The signature hashes with another algorithm than the token says (RFC 8933 §3.2).
    #[error("the signature uses {signature}, the token's digest algorithm is {digest}")]
    HashMismatch {
        /// Hash algorithm of the signature.
        signature: HashAlgorithm,
        /// The token's digest algorithm.
        digest: HashAlgorithm,
    },
    /// The certificate's key is of another kind.
    #[error("the signature algorithm {oid} does not fit a {kind} key")]
    WrongKey {
        /// The algorithm.
        oid: ObjectIdentifier,
        /// The key's kind.
        kind: KeyKind,
    },
}

type Result<T, E = ParseTimestampError> = std::result::Result<T, E>;

impl Timestamp {
    /// Parses a `TimeStampResp`, the form in which bundles and Cosign carry timestamps.
    ///
    /// # Errors
    /// When the authority refused, or the response or its token is malformed, ambiguous, too large,
    /// or uses a hash algorithm that proves nothing.
    pub fn parse(response: &[u8]) -> Result<Self> {
        let response: TimeStampResp = decode("the response", bounded(response)?)?;
        // `grantedWithMods` (1) is refused too, as other Sigstore clients do: what was modified is
        // known to the requester only.
        if response.status.status != STATUS_GRANTED {
            let failure = response.status.fail_info.as_ref();
            return Err(ParseTimestampError::NotGranted {
                status: response.status.status,
                failure: failure.and_then(PkiFailure::from_bit_string),
            });
        }
        let token = response.time_stamp_token.ok_or(ParseTimestampError::NoToken)?;
        let token = token.to_der().map_err(der_error("the token"))?;
        Self::parse_token(&token)
    }

    /// Parses a bare `TimeStampToken`, as it stands in other formats (CMS attributes, PDF).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_token(token: &[u8]) -> Result<Self> {
        let content_info: ContentInfo = decode("the token", bounded(token)?)?;
        expect_type("the token", ID_SIGNED_DATA, content_info.content_type)?;
        let signed_data: SignedData =
            content_info.content.decode_as().map_err(der_error("SignedData"))?;
        let encapsulated = &signed_data.encap_content_info;
        expect_type("the signed content", ID_CT_TST_INFO, encapsulated.content_type)?;
        // Version 3, because the content is not plain data (RFC 5652 §5.1).
        expect_version("SignedData", 3, signed_data.version)?;
        let content = encapsulated
            .content
            .as_ref()
            .ok_or(ParseTimestampError::Missing { part: "the signed content" })?
            .as_bytes()
            .to_vec();
        let statement: TstInfo = decode("TSTInfo", &content)?;
        let signer_info = sole_signer(&signed_data.signer_infos)?;
        let certificates = certificates(signed_data.certificates.as_ref())?;
        Self::assemble(content, &statement, signer_info, certificates)
    }

    fn assemble(
        content: Vec<u8>,
        statement: &TstInfo,
        signer_info: SignerInfo,
        certificates: Vec<Vec<u8>>,
    ) -> Result<Self> {
        expect_version("TSTInfo", 1, statement.version)?;
        refuse_critical(statement.extensions.as_deref())?;
        let imprint = &statement.message_imprint;
        let imprint = hash_value(
            "the message imprint",
            &imprint.hash_algorithm,
            imprint.hashed_message.as_bytes(),
        )?;
        let accuracy_ms = statement
            .accuracy
            .map(|accuracy| accuracy.to_milliseconds())
            .map(|accuracy| accuracy.ok_or(ParseTimestampError::OutOfRange { part: "accuracy" }))
            .transpose()?;
        // RFC 5652 §5.3: signed attributes must be there when the content is not plain data.
        let attributes = signer_info
            .signed_attributes
            .as_ref()
            .ok_or(ParseTimestampError::Missing { part: "the set of signed attributes" })?;
        let signed = SignedAttributes::parse(attributes)?;
        let digest_algorithm = hash_algorithm("the signer", &signer_info.digest_algorithm)?;
        let nonce = statement.nonce.as_ref();
        Ok(Self {
            content,
            time: statement.gen_time.0,
            accuracy_ms,
            imprint,
            serial: integer("the serial number", statement.serial_number.as_bytes())?,
            policy: statement.policy,
            nonce: nonce.map(|nonce| integer("the nonce", nonce.as_bytes())).transpose()?,
            signed_attributes_der: attributes.to_set_der(),
            content_type: signed.content_type,
            message_digest: signed.message_digest,
            signing_certificates: signed.signing_certificates,
            digest_algorithm,
            signature_algorithm: signer_info.signature_algorithm,
            signature: signer_info.signature.as_bytes().to_vec(),
            signer: signer_id(signer_info.version, signer_info.sid)?,
            certificates,
        })
    }

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

    /// The scheme to verify the signature with, under a key of this kind.
    ///
    /// # Errors
    /// When the algorithm is unknown, does not fit the key, or hashes with another algorithm than
    /// the token does.
    pub fn scheme(&self, kind: KeyKind) -> Result<Scheme, SignatureAlgorithmError> {
        let oid = self.signature_algorithm.oid;
        let digest = self.digest_algorithm;
        let unsupported = SignatureAlgorithmError::Unsupported { oid };
        let (is_rsa, hash) = match oid {
            ID_RSA_ENCRYPTION => (true, digest),
            ID_RSA_SHA256 => (true, HashAlgorithm::Sha256),
            ID_RSA_SHA384 => (true, HashAlgorithm::Sha384),
            ID_RSA_SHA512 => (true, HashAlgorithm::Sha512),
            ID_RSA_PSS => (true, self.pss_hash().ok_or(unsupported)?),
            ID_ECDSA_SHA256 => (false, HashAlgorithm::Sha256),
            ID_ECDSA_SHA384 => (false, HashAlgorithm::Sha384),
            ID_ECDSA_SHA512 => (false, HashAlgorithm::Sha512),
            // RFC 8419 §3.1: with signed attributes, SHA-512 hashes the content.
            ID_ED25519 => (false, HashAlgorithm::Sha512),
            _ => return Err(unsupported),
        };
        if hash != digest {
            return Err(SignatureAlgorithmError::HashMismatch { signature: hash, digest });
        }
        let fits = match kind {
            KeyKind::Rsa { .. } => is_rsa,
            KeyKind::Ed25519 => oid == ID_ED25519,
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => {
                !is_rsa && oid != ID_ED25519
            }
        };
        if !fits {
            return Err(SignatureAlgorithmError::WrongKey { oid, kind });
        }
        Ok(match (oid, hash) {
            (ID_RSA_PSS, HashAlgorithm::Sha256) => Scheme::RsaPssSha256,
            (ID_RSA_PSS, HashAlgorithm::Sha384) => Scheme::RsaPssSha384,
            (ID_RSA_PSS, HashAlgorithm::Sha512) => Scheme::RsaPssSha512,
            _ => Scheme::for_key_and_hash(kind, hash),
        })
    }

    /// The hash of `RSASSA-PSS-params` (RFC 4055 §3.1), whose absence would mean SHA-1. The mask's
    /// hash and the salt's length need no look: if they are not the usual, nothing verifies.
    fn pss_hash(&self) -> Option<HashAlgorithm> {
        let parameters: PssParameters =
            self.signature_algorithm.parameters.as_ref()?.decode_as().ok()?;
        hash_algorithm("the signature", &parameters.hash_algorithm?).ok()
    }

    /// Checks that the content type under the signature is TSTInfo (RFC 5652 §11.1).
    ///
    /// # Errors
    /// When it is another.
    pub fn check_content_type(&self) -> Result<(), InconsistentTimestamp> {
        match self.content_type {
            ID_CT_TST_INFO => Ok(()),
            found => Err(InconsistentTimestamp::ContentType { found }),
        }
    }

    /// Checks that the digest under the signature is that of the content (RFC 5652 §11.2).
    ///
    /// # Errors
    /// When it is not.
    pub fn check_message_digest(&self) -> Result<(), InconsistentTimestamp> {
        let algorithm = self.digest_algorithm;
        if Hash::of(algorithm, &self.content).as_bytes() == self.message_digest {
            Ok(())
        } else {
            Err(InconsistentTimestamp::MessageDigest { algorithm })
        }
    }

    /// Checks that every signed hash of the signing certificate is that of this one, and that there
    /// is one (RFC 3161 §2.4.2, RFC 5816 §2.2.1).
    ///
    /// # Errors
    /// When there is none, or one of them is of another certificate.
    pub fn check_signing_certificate(
        &self,
        certificate_der: &[u8],
    ) -> Result<(), InconsistentTimestamp> {
        if self.signing_certificates.is_empty() {
            return Err(InconsistentTimestamp::NoSigningCertificate);
        }
        let names_it = |hash: &CertificateHash| match hash {
            CertificateHash::Sha1(hash) => *hash == sha1_name(certificate_der),
            CertificateHash::Sha2(hash) => *hash == Hash::of(hash.algorithm(), certificate_der),
        };
        if self.signing_certificates.iter().all(names_it) {
            Ok(())
        } else {
            Err(InconsistentTimestamp::SigningCertificate)
        }
    }
}

/// `RSASSA-PSS-params` (RFC 4055 §3.1).
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    _mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    _salt_size: Option<u32>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    _trailer: Option<u8>,
}

struct SignedAttributes {
    content_type: ObjectIdentifier,
    message_digest: Vec<u8>,
    signing_certificates: Vec<CertificateHash>,
}

impl SignedAttributes {
    /// `signingTime` and whatever else is there is deliberately not read: `TSTInfo` says the time.
    fn parse(attributes: &RawSet) -> Result<Self> {
        const PART: &str = "the set of signed attributes";
        let elements = attributes.elements(SIGNED_ATTRIBUTES_MAX).map_err(der_error(PART))?;
        let elements = elements.ok_or(ParseTimestampError::TooMany {
            what: "signed attributes",
            max: SIGNED_ATTRIBUTES_MAX,
        })?;
        let attributes = elements
            .into_iter()
            .map(|element| decode::<Attribute>(PART, element))
            .collect::<Result<Vec<_>>>()?;

        let content_type = sole_value(&attributes, ID_CONTENT_TYPE)?
            .ok_or(ParseTimestampError::Missing { part: "the content type attribute" })?
            .decode_as()
            .map_err(der_error("the content type attribute"))?;
        let message_digest: der::asn1::OctetString = sole_value(&attributes, ID_MESSAGE_DIGEST)?
            .ok_or(ParseTimestampError::Missing { part: "the message digest attribute" })?
            .decode_as()
            .map_err(der_error("the message digest attribute"))?;

        let mut signing_certificates = Vec::new();
        if let Some(value) = sole_value(&attributes, ID_SIGNING_CERTIFICATE)? {
            signing_certificates.push(CertificateHash::of_v1(&value)?);
        }
        if let Some(value) = sole_value(&attributes, ID_SIGNING_CERTIFICATE_V2)? {
            signing_certificates.push(CertificateHash::of_v2(&value)?);
        }
        let message_digest = message_digest.as_bytes().to_vec();
        Ok(Self { content_type, message_digest, signing_certificates })
    }
}

impl CertificateHash {
    /// The first identifier is the signing certificate's (RFC 5035 §5).
    fn of_v1(value: &Any) -> Result<Self> {
        const PART: &str = "the signing certificate attribute";
        let attribute: SigningCertificate = value.decode_as().map_err(der_error(PART))?;
        let first = attribute.certificates.first();
        let hash = first.ok_or(ParseTimestampError::Missing { part: PART })?;
        let hash = hash.certificate_hash.as_bytes();
        hash.try_into().map(Self::Sha1).map_err(|_| ParseTimestampError::OutOfRange { part: PART })
    }

    /// The first identifier is the signing certificate's (RFC 5035 §3).
    fn of_v2(value: &Any) -> Result<Self> {
        const PART: &str = "the signing certificate attribute, version 2,";
        let attribute: SigningCertificateV2 = value.decode_as().map_err(der_error(PART))?;
        let first: Option<EssCertIdV2> = attribute.certificates.into_iter().next();
        let id = first.ok_or(ParseTimestampError::Missing { part: PART })?;
        let algorithm = id
            .hash_algorithm
            .map_or(Ok(HashAlgorithm::Sha256), |algorithm| hash_algorithm(PART, &algorithm))?;
        let hash = id.certificate_hash.as_bytes();
        Hash::from_bytes(algorithm, hash).map(Self::Sha2).ok_or(ParseTimestampError::HashLength {
            part: PART,
            algorithm,
            found: hash.len(),
        })
    }
}

/// The algorithm that an identifier of a hash names; its parameters must be absent or NULL
/// (RFC 5754 §2).
///
/// # Errors
/// When it is not SHA-256, SHA-384 or SHA-512. `part` is what the error says is hashed with it.
pub fn hash_algorithm(
    part: &'static str,
    identifier: &AlgorithmIdentifierOwned,
) -> Result<HashAlgorithm> {
    let oid = identifier.oid;
    let bare = identifier.parameters.as_ref().is_none_or(|parameters| *parameters == Any::null());
    match oid {
        ID_SHA256 if bare => Ok(HashAlgorithm::Sha256),
        ID_SHA384 if bare => Ok(HashAlgorithm::Sha384),
        ID_SHA512 if bare => Ok(HashAlgorithm::Sha512),
        _ => Err(ParseTimestampError::UnsupportedHash { part, oid }),
    }
}

/// The identifier of a hash algorithm, without parameters (RFC 5754 §2: they should be absent).
#[must_use]
pub fn hash_algorithm_identifier(algorithm: HashAlgorithm) -> AlgorithmIdentifierOwned {
    let oid = match algorithm {
        HashAlgorithm::Sha256 => ID_SHA256,
        HashAlgorithm::Sha384 => ID_SHA384,
        HashAlgorithm::Sha512 => ID_SHA512,
    };
    AlgorithmIdentifierOwned { oid, parameters: None }
}

/// A hash with the algorithm that an identifier names.
///
/// # Errors
/// When the algorithm is not supported, or the length is not its hashes' length.
pub fn hash_value(
    part: &'static str,
    identifier: &AlgorithmIdentifierOwned,
    value: &[u8],
) -> Result<Hash> {
    let algorithm = hash_algorithm(part, identifier)?;
    Hash::from_bytes(algorithm, value).ok_or(ParseTimestampError::HashLength {
        part,
        algorithm,
        found: value.len(),
    })
}

fn bounded(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.len() > TIMESTAMP_SIZE_MAX {
        return Err(ParseTimestampError::TooLong { found: bytes.len() });
    }
    Ok(bytes)
}

fn decode<'a, T: Decode<'a, Error = der::Error>>(part: &'static str, bytes: &'a [u8]) -> Result<T> {
    T::from_der(bytes).map_err(der_error(part))
}

fn der_error(part: &'static str) -> impl Fn(der::Error) -> ParseTimestampError {
    move |source| ParseTimestampError::Der { part, source }
}

fn expect_type(
    part: &'static str,
    wanted: ObjectIdentifier,
    found: ObjectIdentifier,
) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        Err(ParseTimestampError::WrongType { part, wanted, found })
    }
}

fn expect_version(part: &'static str, wanted: u8, found: u8) -> Result<()> {
    if found == wanted { Ok(()) } else { Err(ParseTimestampError::Version { part, wanted, found }) }
}

fn sole_signer(signer_infos: &RawSet) -> Result<SignerInfo> {
    const PART: &str = "SignerInfo";
    let signers = signer_infos.elements(1).map_err(der_error(PART))?;
    match signers.as_deref() {
        Some([signer]) => decode(PART, signer),
        _ => Err(ParseTimestampError::NotOneSigner),
    }
}

fn signer_id(version: u8, sid: SignerIdentifier) -> Result<SignerId> {
    // RFC 5652 §5.3: the version follows from the form of the identifier.
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            expect_version("SignerInfo", 1, version)?;
            Ok(SignerId::IssuerAndSerial {
                issuer_der: id.issuer.to_der().map_err(der_error("the signer's issuer"))?,
                serial: integer("the signer's serial number", id.serial_number.as_bytes())?,
            })
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            expect_version("SignerInfo", 3, version)?;
            Ok(SignerId::SubjectKeyId(id.as_bytes().to_vec()))
        }
    }
}

fn certificates(set: Option<&RawSet>) -> Result<Vec<Vec<u8>>> {
    /// The tag of a plain `Certificate`; the other choices have context-specific tags.
    const SEQUENCE: u8 = 0x30;
    let Some(set) = set else { return Ok(Vec::new()) };
    let certificates =
        set.elements(TIMESTAMP_CERTIFICATES_MAX).map_err(der_error("the certificates"))?.ok_or(
            ParseTimestampError::TooMany { what: "certificates", max: TIMESTAMP_CERTIFICATES_MAX },
        )?;
    if certificates.iter().any(|certificate| certificate.first() != Some(&SEQUENCE)) {
        return Err(ParseTimestampError::NotACertificate);
    }
    Ok(certificates.into_iter().map(<[u8]>::to_vec).collect())
}

/// The one value of the one attribute of this type, if it is there at all.
fn sole_value(attributes: &[Attribute], oid: ObjectIdentifier) -> Result<Option<Any>> {
    let mut matching = attributes.iter().filter(|attribute| attribute.attribute_type == oid);
    let Some(attribute) = matching.next() else { return Ok(None) };
    let ambiguous = ParseTimestampError::AmbiguousAttribute { oid };
    if matching.next().is_some() {
        return Err(ambiguous);
    }
    let values = attribute.values.elements(1).map_err(der_error("a signed attribute"))?;
    match values.as_deref() {
        Some([value]) => decode("a signed attribute", value).map(Some),
        _ => Err(ambiguous),
    }
}

fn integer(part: &'static str, bytes: &[u8]) -> Result<Vec<u8>> {
    if bytes.len() > INTEGER_SIZE_MAX {
        return Err(ParseTimestampError::OutOfRange { part });
    }
    Ok(bytes.to_vec())
}

fn refuse_critical(extensions: Option<&[Extension]>) -> Result<()> {
    let critical = extensions.unwrap_or_default().iter().find(|extension| extension.critical);
    match critical {
        Some(extension) => Err(ParseTimestampError::CriticalExtension { oid: extension.extn_id }),
        None => Ok(()),
    }
}
