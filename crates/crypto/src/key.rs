//! Public keys: parsed from SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), PEM or JWK parts, and held
//! ready for verification.
//!
//! Never holds a private key: that is `signer`.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::hash::{Hash, HashAlgorithm};
use crate::kind::KeyKind;
use crate::signature::{BadSignature, Message, Scheme};

/// Longest SubjectPublicKeyInfo read, in bytes: an RSA-4096 key takes about 550.
pub const SPKI_SIZE_MAX: usize = 2048;

/// Longest PEM that [`PublicKey::from_any_pem`] reads, in bytes: a certificate has more to it than
/// its key.
pub const ANY_PEM_SIZE_MAX: usize = 16 * 1024;

/// RSA modulus sizes accepted, in bits (the Sigstore algorithm registry stops at 4096).
pub const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ID_RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Why bytes are not a public key that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// More bytes than any supported key has.
    #[error("a public key of {found} bytes is longer than the {SPKI_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not a PEM block.
    #[error("not PEM: {0}")]
    Pem(crate::pem::PemError),
    /// A PEM block of another kind.
    #[error("wanted a PEM block `PUBLIC KEY`, found `{found}`")]
    PemLabel {
        /// The label found.
        found: String,
    },
    /// The secret half of a key, where the public one was wanted.
    #[error("wanted a public key, found a private one; make its public half with `public-key`")]
    PrivateKey,
    /// Not SubjectPublicKeyInfo.
    #[error("not a SubjectPublicKeyInfo: {0}")]
    Der(der::Error),
    /// A key of an algorithm or curve that is not supported.
    #[error("unsupported key algorithm {oid}")]
    UnsupportedAlgorithm {
        /// The algorithm's or curve's object identifier.
        oid: ObjectIdentifier,
    },
    /// An RSA key outside the accepted sizes.
    #[error("an RSA key of {bits} bits is not between {} and {}", RSA_BITS.start(), RSA_BITS.end())]
    RsaSize {
        /// Size of the modulus in bits.
        bits: u32,
    },
    /// Right form, wrong content: a point off the curve, an even modulus and the like.
    #[error("the {kind} key is not valid")]
    InvalidKey {
        /// What kind of key it claims to be.
        kind: KeyKind,
    },
}

/// A well-formed public key. Nothing is said about whose it is.
#[derive(Clone)]
pub struct PublicKey {
    kind: KeyKind,
    spki_der: Vec<u8>,
    /// Parsed for `default_scheme`, which nearly every signature uses.
    parsed: ParsedPublicKey,
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl PublicKey {
    /// Parses DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), which must fill `spki_der` exactly.
    ///
    /// # Errors
    /// When the bytes are no key, or a key of an unsupported algorithm or size.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, ParseKeyError> {
        if spki_der.len() > SPKI_SIZE_MAX {
            return Err(ParseKeyError::TooLong { found: spki_der.len() });
        }
        let spki = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(ParseKeyError::Der)?;
        let kind = kind_of(&spki)?;
        let algorithm =
            default_scheme(kind).backend().expect("every default scheme is in the backend");
        let parsed = ParsedPublicKey::new(algorithm, spki_der)
            .map_err(|_| ParseKeyError::InvalidKey { kind })?;
        Ok(Self { kind, spki_der: spki_der.to_vec(), parsed })
    }

    /// Parses one PEM block `PUBLIC KEY` (RFC 7468 §13).
    ///
    /// # Errors
    /// As [`Self::from_spki_der`], and when the text is not such a block.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ParseKeyError> {
        if pem.len() > 2 * SPKI_SIZE_MAX {
            return Err(ParseKeyError::TooLong { found: pem.len() });
        }
        let (label, der) = crate::pem::decode(pem).map_err(ParseKeyError::Pem)?;
        if label != "PUBLIC KEY" {
            return Err(ParseKeyError::PemLabel { found: label.to_owned() });
        }
        Self::from_spki_der(&der)
    }

    /// Parses a public key in whatever PEM form people keep it: `PUBLIC KEY`, `RSA PUBLIC KEY`
    /// (PKCS#1), or the key of a `CERTIFICATE`, of which nothing else is looked at.
    ///
    /// # Errors
    /// As [`Self::from_spki_der`], and when the text is no such block.
    pub fn from_any_pem(pem: &[u8]) -> Result<Self, ParseKeyError> {
        if pem.len() > ANY_PEM_SIZE_MAX {
            return Err(ParseKeyError::TooLong { found: pem.len() });
        }
        let (label, der) = crate::pem::decode(pem).map_err(ParseKeyError::Pem)?;
        match label {
            "PUBLIC KEY" => Self::from_spki_der(&der),
            "RSA PUBLIC KEY" => Self::from_pkcs1_der(&der),
            "CERTIFICATE" => {
                let certificate =
                    x509_cert::Certificate::from_der(&der).map_err(ParseKeyError::Der)?;
                let spki = certificate.tbs_certificate().subject_public_key_info();
                Self::from_spki_der(&spki.to_der().map_err(ParseKeyError::Der)?)
            }
            other if other.ends_with("PRIVATE KEY") => Err(ParseKeyError::PrivateKey),
            other => Err(ParseKeyError::PemLabel { found: other.chars().take(64).collect() }),
        }
    }

    /// Parses a bare RSA public key (PKCS#1, RFC 8017 §A.1.1), as some trust roots hold.
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_pkcs1_der(pkcs1_der: &[u8]) -> Result<Self, ParseKeyError> {
        let algorithm =
            AlgorithmIdentifierRef { oid: ID_RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
        Self::from_parts(algorithm, pkcs1_der)
    }

    /// Makes an RSA key from modulus and exponent, both big-endian (RFC 7518 §6.3.1).
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_rsa_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, ParseKeyError> {
        let key = RsaPublicKey {
            modulus: UintRef::new(modulus).map_err(ParseKeyError::Der)?,
            exponent: UintRef::new(exponent).map_err(ParseKeyError::Der)?,
        };
        Self::from_pkcs1_der(&key.to_der().map_err(ParseKeyError::Der)?)
    }

    /// Makes an ECDSA key from an uncompressed point's coordinates (RFC 7518 §6.2.1).
    ///
    /// # Errors
    /// As [`Self::from_spki_der`], and when `kind` is no ECDSA kind or a length is wrong.
    pub fn from_ec_coordinates(kind: KeyKind, x: &[u8], y: &[u8]) -> Result<Self, ParseKeyError> {
        let (curve, size) = match kind {
            KeyKind::EcdsaP256 => (SECP256R1, 32),
            KeyKind::EcdsaP384 => (SECP384R1, 48),
            KeyKind::EcdsaP521 => (SECP521R1, 66),
            KeyKind::Rsa { .. } | KeyKind::Ed25519 => {
                return Err(ParseKeyError::InvalidKey { kind });
            }
        };
        if x.len() != size || y.len() != size {
            return Err(ParseKeyError::InvalidKey { kind });
        }
        let point = [&[0x04], x, y].concat();
        let algorithm = AlgorithmIdentifierRef {
            oid: ID_EC_PUBLIC_KEY,
            parameters: Some(AnyRef::from(&curve)),
        };
        Self::from_parts(algorithm, &point)
    }

    /// Makes an Ed25519 key from its 32 bytes (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_ed25519_bytes(bytes: &[u8]) -> Result<Self, ParseKeyError> {
        Self::from_parts(AlgorithmIdentifierRef { oid: ID_ED25519, parameters: None }, bytes)
    }

    fn from_parts(
        algorithm: AlgorithmIdentifierRef<'_>,
        key: &[u8],
    ) -> Result<Self, ParseKeyError> {
        let subject_public_key = BitStringRef::from_bytes(key).map_err(ParseKeyError::Der)?;
        let spki = SubjectPublicKeyInfoRef { algorithm, subject_public_key };
        Self::from_spki_der(&spki.to_der().map_err(ParseKeyError::Der)?)
    }

    /// What kind of key it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// DER SubjectPublicKeyInfo, exactly as parsed.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// PEM with LF line ends, as Go's `encoding/pem` writes it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        crate::pem::encode("PUBLIC KEY", &self.spki_der)
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the log identifier of RFC 6962 §3.2 and Rekor v1.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        crate::sha256(&self.spki_der)
    }

    /// How a bundle names a key that its verifier has: base64 of [`Self::id`], as Cosign writes
    /// `publicKey.hint`.
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(self.id())
    }

    /// The key's raw bytes: the point, the PKCS#1 key, or the 32 bytes of Ed25519.
    #[must_use]
    pub fn raw_bytes(&self) -> Vec<u8> {
        SubjectPublicKeyInfoRef::from_der(&self.spki_der)
            .expect("parsed once already")
            .subject_public_key
            .raw_bytes()
            .to_vec()
    }

    /// The scheme a signer with this key uses unless told otherwise.
    #[must_use]
    pub fn default_scheme(&self) -> Scheme {
        default_scheme(self.kind)
    }

    /// The scheme for a signature that a log will hold as `hashedrekord`, which records the hash
    /// that was signed: as [`Self::default_scheme`], but for Ed25519, which signs a hash only as
    /// Ed25519ph. Cosign chooses the same: P-384 with SHA-384, P-521 with SHA-512.
    #[must_use]
    pub fn logged_scheme(&self) -> Scheme {
        match self.default_scheme() {
            Scheme::Ed25519 => Scheme::Ed25519ph,
            scheme => scheme,
        }
    }

    /// Modulus and exponent of an RSA key, both big-endian and without leading zeros, as a JWK
    /// holds them (RFC 7518 §6.3.1); `None` for a key of another kind.
    #[must_use]
    pub fn rsa_components(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        matches!(self.kind, KeyKind::Rsa { .. }).then(|| {
            let pkcs1 = self.raw_bytes();
            let key = RsaPublicKey::from_der(&pkcs1).expect("parsed once already");
            (key.modulus.as_bytes().to_vec(), key.exponent.as_bytes().to_vec())
        })
    }

    /// Verifies a signature.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify, when the scheme is not one for this kind of key,
    /// or when the message is given in a form the scheme cannot take (a hash of another algorithm;
    /// any hash, for pure Ed25519).
    pub fn verify(
        &self,
        scheme: Scheme,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if !scheme.fits(self.kind) {
            return Err(BadSignature);
        }
        let Some(algorithm) = scheme.backend() else {
            return self.verify_ed25519ph(message, signature);
        };
        let other;
        let key = if scheme == self.default_scheme() {
            &self.parsed
        } else {
            other = ParsedPublicKey::new(algorithm, &self.spki_der).map_err(|_| BadSignature)?;
            &other
        };
        match message {
            Message::Bytes(bytes) => key.verify_sig(bytes, signature),
            Message::Hashed(hash) => {
                if scheme.hash() != Some(hash.algorithm()) {
                    return Err(BadSignature);
                }
                let digest = aws_lc_rs::digest::Digest::import_less_safe(
                    hash.as_bytes(),
                    hash.algorithm().backend(),
                )
                .map_err(|_| BadSignature)?;
                key.verify_digest_sig(&digest, signature)
            }
        }
        .map_err(|_| BadSignature)
    }

    fn verify_ed25519ph(&self, message: Message<'_>, signature: &[u8]) -> Result<(), BadSignature> {
        let raw: [u8; 32] = self.raw_bytes().try_into().map_err(|_| BadSignature)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&raw).map_err(|_| BadSignature)?;
        let signature =
            ed25519_dalek::Signature::from_slice(signature).map_err(|_| BadSignature)?;
        let prehash = prehash::Sha512Value::of(message).ok_or(BadSignature)?;
        key.verify_prehashed_strict(prehash, None, &signature).map_err(|_| BadSignature)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der == other.spki_der
    }
}

impl Eq for PublicKey {}

impl fmt::Display for PublicKey {
    /// Its kind, and the SHA-256 of its SubjectPublicKeyInfo, by which logs and bundles name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key sha256:", self.kind)?;
        self.id().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = Hash::from_bytes(HashAlgorithm::Sha256, &self.id());
        write!(f, "PublicKey({}, {:?})", self.kind, id)
    }
}

fn default_scheme(kind: KeyKind) -> Scheme {
    match kind {
        KeyKind::EcdsaP256 => Scheme::EcdsaP256Sha256,
        KeyKind::EcdsaP384 => Scheme::EcdsaP384Sha384,
        KeyKind::EcdsaP521 => Scheme::EcdsaP521Sha512,
        KeyKind::Rsa { .. } => Scheme::RsaPkcs1Sha256,
        KeyKind::Ed25519 => Scheme::Ed25519,
    }
}

fn kind_of(spki: &SubjectPublicKeyInfoRef<'_>) -> Result<KeyKind, ParseKeyError> {
    let oid = spki.algorithm.oid;
    match oid {
        ID_EC_PUBLIC_KEY => {
            let curve = spki
                .algorithm
                .parameters_oid()
                .map_err(|_| ParseKeyError::UnsupportedAlgorithm { oid })?;
            match curve {
                SECP256R1 => Ok(KeyKind::EcdsaP256),
                SECP384R1 => Ok(KeyKind::EcdsaP384),
                SECP521R1 => Ok(KeyKind::EcdsaP521),
                oid => Err(ParseKeyError::UnsupportedAlgorithm { oid }),
            }
        }
        ID_RSA_ENCRYPTION => {
            let key = RsaPublicKey::from_der(spki.subject_public_key.raw_bytes())
                .map_err(ParseKeyError::Der)?;
            let bits = modulus_bits(key.modulus.as_bytes());
            if RSA_BITS.contains(&bits) {
                Ok(KeyKind::Rsa { bits })
            } else {
                Err(ParseKeyError::RsaSize { bits })
            }
        }
        ID_ED25519 => Ok(KeyKind::Ed25519),
        oid => Err(ParseKeyError::UnsupportedAlgorithm { oid }),
    }
}

fn modulus_bits(modulus: &[u8]) -> u32 {
    let Some(first) = modulus.first() else { return 0 };
    // `SPKI_SIZE_MAX` bounds the modulus, so the count fits.
    u32::try_from(modulus.len()).map_or(u32::MAX, |bytes| bytes * 8 - first.leading_zeros())
}

/// Ed25519ph takes a *hasher*; these few lines let a hash that is already known stand for one.
pub(crate) mod prehash {
    use digest::consts::U64;
    use digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};

    use crate::hash::{Hash, HashAlgorithm};
    use crate::signature::Message;

    #[derive(Clone)]
    pub(crate) struct Sha512Value([u8; 64]);

    impl Sha512Value {
        /// `None` if the message is a hash of another algorithm.
        pub(crate) fn of(message: Message<'_>) -> Option<Self> {
            let hash = match message {
                Message::Bytes(bytes) => Hash::of(HashAlgorithm::Sha512, bytes),
                Message::Hashed(hash) => *hash,
            };
            // Only SHA-512 is 64 bytes long.
            Some(Self(hash.as_bytes().try_into().ok()?))
        }
    }

    impl Default for Sha512Value {
        fn default() -> Self {
            Self([0; 64])
        }
    }

    impl OutputSizeUser for Sha512Value {
        type OutputSize = U64;
    }

    impl HashMarker for Sha512Value {}

    impl Update for Sha512Value {
        fn update(&mut self, _data: &[u8]) {
            unreachable!("the value is complete: Ed25519ph only finalises the prehash it is given");
        }
    }

    impl FixedOutput for Sha512Value {
        fn finalize_into(self, out: &mut Output<Self>) {
            out.copy_from_slice(&self.0);
        }
    }
}
