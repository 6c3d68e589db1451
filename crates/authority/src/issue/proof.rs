//! Proof of possession: a requester shows that it holds the private half of the key it wants
//! certified, and that the key is one of those allowed.
//!
//! Two ways: a signature over a verified claim of the token, or a certificate signing request
//! (PKCS#10, RFC 2986), of which only the key and its self-signature count.

use crypto::{KeyKind, Message, ParseKeyError, PublicKey, Scheme};
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use crate::certificate::{scheme, take_apart, verify_signed};
use crate::identity::Identity;
use crate::wire::{INSECURE_KEY, INVALID_CSR, INVALID_KEY, INVALID_SIGNATURE, WireError};

/// Longest certificate signing request read, in bytes of PEM; RSA-4096 takes about 1,700.
pub const REQUEST_SIZE_MAX: usize = 16 * 1024;

/// An identity, and a key whose private half its bearer has shown to hold.
#[derive(Clone, Debug)]
pub struct Applicant {
    identity: Identity,
    key: PublicKey,
}

/// A key and hash that certificates are issued for. The names are Fulcio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA P-384 with SHA-384.
    EcdsaP384,
    /// ECDSA P-521 with SHA-512.
    EcdsaP521,
    /// RSA-2048, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA-3072, PKCS#1 v1.5 with SHA-256.
    Rsa3072,
    /// RSA-4096, PKCS#1 v1.5 with SHA-256.
    Rsa4096,
    /// Pure Ed25519.
    Ed25519,
}

impl SigningAlgorithm {
    /// Every algorithm, which is what Fulcio allows by default.
    pub const ALL: [Self; 7] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Ed25519,
    ];

    /// Its name in the Sigstore algorithm registry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-sha2-256-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-384-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-512-nistp521",
            Self::Rsa2048 => "rsa-sign-pkcs1-2048-sha256",
            Self::Rsa3072 => "rsa-sign-pkcs1-3072-sha256",
            Self::Rsa4096 => "rsa-sign-pkcs1-4096-sha256",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The algorithm of a key used with a scheme.
    #[must_use]
    pub fn of(kind: KeyKind, scheme: Scheme) -> Option<Self> {
        match (kind, scheme) {
            (KeyKind::EcdsaP256, Scheme::EcdsaP256Sha256) => Some(Self::EcdsaP256),
            (KeyKind::EcdsaP384, Scheme::EcdsaP384Sha384) => Some(Self::EcdsaP384),
            (KeyKind::EcdsaP521, Scheme::EcdsaP521Sha512) => Some(Self::EcdsaP521),
            (KeyKind::Rsa { bits: 2048 }, Scheme::RsaPkcs1Sha256) => Some(Self::Rsa2048),
            (KeyKind::Rsa { bits: 3072 }, Scheme::RsaPkcs1Sha256) => Some(Self::Rsa3072),
            (KeyKind::Rsa { bits: 4096 }, Scheme::RsaPkcs1Sha256) => Some(Self::Rsa4096),
            (KeyKind::Ed25519, Scheme::Ed25519) => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// What a requester shows.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// A key, and its signature over one of [`Identity::challenges`].
    Signature {
        /// The key: PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`) or DER.
        public_key: &'a [u8],
        /// The signature, with the key's usual scheme.
        signature: &'a [u8],
    },
    /// A certificate signing request in PEM.
    Request(&'a [u8]),
}

/// Why nothing was proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The key does not parse.
    #[error("the public key does not parse")]
    Key(#[source] ParseKeyError),
    /// A key that is too weak, or of unusual size or form.
    #[error("the public key is not one to rely on: {why}")]
    Insecure {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The request does not parse.
    #[error("the certificate signing request does not parse: {why}")]
    Request {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The signature does not verify.
    #[error("the signature does not verify over any verified claim, or over the request")]
    BadSignature,
    /// A key and hash for which no certificates are issued here.
    #[error("signing algorithm not permitted: {kind}, {scheme:?}")]
    NotPermitted {
        /// The key's kind.
        kind: KeyKind,
        /// The scheme it was used with.
        scheme: Scheme,
    },
}

impl ProofError {
    /// What the requester is told.
    #[must_use]
    pub fn wire(&self) -> WireError {
        match self {
            Self::Key(_) => WireError::invalid(INVALID_KEY),
            Self::Insecure { .. } => WireError::invalid(INSECURE_KEY),
            Self::Request { .. } => WireError::invalid(INVALID_CSR),
            Self::BadSignature => WireError::invalid(INVALID_SIGNATURE),
            Self::NotPermitted { .. } => WireError::invalid(self.to_string()),
        }
    }
}

impl Applicant {
    /// Takes the proof that the bearer of `identity` holds a key, in Fulcio's order: the key
    /// parses, is strong enough, has signed, and is allowed.
    ///
    /// # Errors
    /// When one of these is not so.
    pub fn prove(
        identity: Identity,
        proof: Proof<'_>,
        allowed: &[SigningAlgorithm],
    ) -> Result<Self, ProofError> {
        let (key, scheme) = match proof {
            Proof::Signature { public_key, signature } => {
                prove_by_signature(&identity, public_key, signature)?
            }
            Proof::Request(pem) => prove_by_request(pem)?,
        };
        let kind = key.kind();
        match SigningAlgorithm::of(kind, scheme) {
            Some(algorithm) if allowed.contains(&algorithm) => Ok(Self { identity, key }),
            _ => Err(ProofError::NotPermitted { kind, scheme }),
        }
    }

    /// Who applies.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key to be certified.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

fn prove_by_signature(
    identity: &Identity,
    public_key: &[u8],
    signature: &[u8],
) -> Result<(PublicKey, Scheme), ProofError> {
    let key = parse_key(public_key)?;
    check_strength(&key)?;
    let scheme = key.default_scheme();
    let signed = |challenge: &String| {
        key.verify(scheme, Message::Bytes(challenge.as_bytes()), signature).is_ok()
    };
    if identity.challenges().iter().any(signed) {
        Ok((key, scheme))
    } else {
        Err(ProofError::BadSignature)
    }
}

fn parse_key(bytes: &[u8]) -> Result<PublicKey, ProofError> {
    let parsed = if !bytes.starts_with(b"-----BEGIN") {
        PublicKey::from_spki_der(bytes)
    } else if bytes.starts_with(b"-----BEGIN RSA PUBLIC KEY-----")
        && bytes.len() <= 2 * crypto::key::SPKI_SIZE_MAX
    {
        let (_, der) = crypto::pem::decode(bytes)
            .map_err(|error| ProofError::Key(ParseKeyError::Pem(error)))?;
        PublicKey::from_pkcs1_der(&der)
    } else {
        PublicKey::from_pem(bytes)
    };
    parsed.map_err(key_error)
}

/// A size that is out of range is a matter of strength, all else one of form.
fn key_error(error: ParseKeyError) -> ProofError {
    match error {
        ParseKeyError::RsaSize { .. } => {
            ProofError::Insecure { why: "an RSA key must have 2048, 3072 or 4096 bits" }
        }
        error => ProofError::Key(error),
    }
}

/// The size and exponent of RSA keys, as the CA/Browser Forum and Fulcio have it. A modulus with a
/// known weakness (small factors, ROCA) harms only whoever asks to have it certified.
fn check_strength(key: &PublicKey) -> Result<(), ProofError> {
    const EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];
    let Some((_, exponent)) = key.rsa_components() else { return Ok(()) };
    if !matches!(key.kind(), KeyKind::Rsa { bits: 2048 | 3072 | 4096 }) {
        return Err(ProofError::Insecure { why: "an RSA key must have 2048, 3072 or 4096 bits" });
    }
    if exponent != EXPONENT {
        return Err(ProofError::Insecure { why: "an RSA key must have the exponent 65537" });
    }
    Ok(())
}

fn prove_by_request(pem: &[u8]) -> Result<(PublicKey, Scheme), ProofError> {
    let malformed = |why| ProofError::Request { why };
    if pem.len() > REQUEST_SIZE_MAX {
        return Err(malformed("it is longer than 16 KiB"));
    }
    let (label, request) = crypto::pem::decode(pem).map_err(|_| malformed("it is not PEM"))?;
    if !matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
        return Err(malformed("its PEM label is not `CERTIFICATE REQUEST`"));
    }
    let not_der = |_| malformed("it is not DER of a PKCS#10 request");
    let (content, algorithm, _) = take_apart(&request).map_err(not_der)?;
    let spki = request_key(content).map_err(not_der)?;
    let key = PublicKey::from_spki_der(spki).map_err(|error| match key_error(error) {
        ProofError::Key(_) => malformed("its key does not parse"),
        insecure => insecure,
    })?;
    check_strength(&key)?;
    let scheme = scheme(&algorithm, key.kind()).ok_or(ProofError::BadSignature)?;
    verify_signed(&request, &key).map_err(|_| ProofError::BadSignature)?;
    Ok((key, scheme))
}

/// The key of a `CertificationRequestInfo` (RFC 2986 §4.1); name and attributes mean nothing here.
fn request_key(content: &[u8]) -> der::Result<&[u8]> {
    const SEQUENCE: Tag = Tag::Sequence;
    let content = AnyRef::from_der(content)?;
    content.tag().assert_eq(SEQUENCE)?;
    let mut fields = SliceReader::new(content.value())?;
    if u8::decode(&mut fields)? != 0 {
        return Err(der::ErrorKind::Value { tag: Tag::Integer }.into());
    }
    AnyRef::decode(&mut fields)?.tag().assert_eq(SEQUENCE)?;
    let spki = fields.tlv_bytes()?;
    let _attributes = AnyRef::decode(&mut fields)?;
    fields.finish()?;
    Ok(spki)
}
