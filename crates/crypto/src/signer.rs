//! Signers: the trait that everything which signs goes through, and key pairs in memory.
//!
//! Private keys never leave this file except as PKCS#8 that wipes itself, and cannot be printed.

use std::path::PathBuf;
use std::{fmt, io, process, thread};

use aws_lc_rs::encoding::{AsBigEndian, AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as backend, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use zeroize::Zeroizing;

use crate::key::{PublicKey, prehash};
use crate::kind::KeyKind;
use crate::signature::{Message, Scheme};

/// Something that signs: a key pair here, or a key in a device or service elsewhere.
pub trait Signer: Send + Sync {
    /// The key that verifies what this signs.
    fn public_key(&self) -> &PublicKey;

    /// Signs with the given scheme.
    ///
    /// # Errors
    /// When the key cannot sign with that scheme, or the signing itself failed.
    fn sign(&self, scheme: Scheme, message: Message<'_>) -> Result<Vec<u8>, SignError>;

    /// Signs bytes with the key's usual scheme.
    ///
    /// # Errors
    /// When the signing failed.
    fn sign_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign(self.public_key().default_scheme(), Message::Bytes(bytes))
    }
}

/// Ends the process when a panic drops it. Who signs in several steps, or sequences, holds one:
/// half a commit must not be followed by another.
#[derive(Debug)]
#[must_use = "it guards for as long as it is held"]
pub struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key cannot sign this message with this scheme.
    #[error("a {kind} key cannot sign this with {scheme:?}")]
    UnsupportedScheme {
        /// The key's kind.
        kind: KeyKind,
        /// The scheme asked for.
        scheme: Scheme,
    },
    /// The backend refused.
    #[error("the cryptographic backend could not sign")]
    Backend,
}

/// Why a private key could not be read, written or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be opened, read or written.
    #[error("key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is longer than any key.
    #[error("key file {} is longer than {size_max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Longest key read, in bytes.
        size_max: usize,
    },
    /// Not a PEM block `PRIVATE KEY`.
    #[error("wanted an unencrypted PKCS#8 block `PRIVATE KEY`")]
    NotPkcs8Pem,
    /// Not a private key of a supported kind.
    #[error("not a private key of a supported kind (ECDSA P-256/384/521, RSA, Ed25519)")]
    UnsupportedKey,
    /// The backend could not make a key.
    #[error("the cryptographic backend could not make a key")]
    Backend,
}

/// A private key in memory with its public key.
pub struct KeyPair {
    public: PublicKey,
    private: Private,
}

enum Private {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// Makes a new key of the given kind.
    ///
    /// # Errors
    /// For an RSA size other than 2048, 3072 or 4096, or when the backend fails.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyFileError> {
        let private = match kind {
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => Private::Ecdsa(
                EcdsaKeyPair::generate(ecdsa_algorithm(kind)).map_err(backend_failed)?,
            ),
            KeyKind::Rsa { bits } => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    _ => return Err(KeyFileError::UnsupportedKey),
                };
                Private::Rsa(RsaKeyPair::generate(size).map_err(backend_failed)?)
            }
            KeyKind::Ed25519 => {
                Private::Ed25519(Ed25519KeyPair::generate().map_err(backend_failed)?)
            }
        };
        Self::from_private(private)
    }

    /// Reads PKCS#8 DER (RFC 5958).
    ///
    /// # Errors
    /// When it is no private key of a supported kind.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyFileError> {
        let ecdsa = ECDSA
            .into_iter()
            .find_map(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).ok())
            .map(Private::Ecdsa);
        let private = ecdsa
            .or_else(|| {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(Private::Ed25519)
            })
            .or_else(|| RsaKeyPair::from_pkcs8(pkcs8).ok().map(Private::Rsa))
            .ok_or(KeyFileError::UnsupportedKey)?;
        Self::from_private(private)
    }

    /// Reads an RSA key in PKCS#1 DER (RFC 8017 §A.1.2).
    ///
    /// # Errors
    /// When it is no RSA key of a supported size.
    pub fn from_pkcs1_der(pkcs1: &[u8]) -> Result<Self, KeyFileError> {
        let key = RsaKeyPair::from_der(pkcs1).map_err(|_| KeyFileError::UnsupportedKey)?;
        Self::from_private(Private::Rsa(key))
    }

    /// Reads an ECDSA key in SEC 1 DER (RFC 5915).
    ///
    /// # Errors
    /// When it is no ECDSA key on a supported curve.
    pub fn from_sec1_der(sec1: &[u8]) -> Result<Self, KeyFileError> {
        let key = ECDSA
            .into_iter()
            .find_map(|algorithm| EcdsaKeyPair::from_private_key_der(algorithm, sec1).ok())
            .ok_or(KeyFileError::UnsupportedKey)?;
        Self::from_private(Private::Ecdsa(key))
    }

    /// Reads one unencrypted PEM block `PRIVATE KEY`.
    ///
    /// # Errors
    /// When it is no such block, or no key of a supported kind.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyFileError> {
        let (label, der) = crate::pem::decode(pem).map_err(|_| KeyFileError::NotPkcs8Pem)?;
        let der = Zeroizing::new(der);
        if label != "PRIVATE KEY" {
            return Err(KeyFileError::NotPkcs8Pem);
        }
        Self::from_pkcs8_der(&der)
    }

    /// Unencrypted PKCS#8 PEM, wiped when dropped.
    ///
    /// # Errors
    /// When the backend cannot encode the key.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyFileError> {
        let der = self.to_pkcs8_der()?;
        Ok(Zeroizing::new(crate::pem::encode("PRIVATE KEY", &der)))
    }

    /// Unencrypted PKCS#8 DER, wiped when dropped.
    ///
    /// # Errors
    /// When the backend cannot encode the key.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let document = match &self.private {
            Private::Ecdsa(key) => key.to_pkcs8v1().map_err(backend_failed)?.as_ref().to_vec(),
            Private::Ed25519(key) => key.to_pkcs8v1().map_err(backend_failed)?.as_ref().to_vec(),
            Private::Rsa(key) => AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(key)
                .map_err(backend_failed)?
                .as_ref()
                .to_vec(),
        };
        Ok(Zeroizing::new(document))
    }

    fn from_private(private: Private) -> Result<Self, KeyFileError> {
        let spki: PublicKeyX509Der<'_> = match &private {
            Private::Ecdsa(key) => backend::KeyPair::public_key(key).as_der(),
            Private::Rsa(key) => backend::KeyPair::public_key(key).as_der(),
            Private::Ed25519(key) => backend::KeyPair::public_key(key).as_der(),
        }
        .map_err(backend_failed)?;
        let public =
            PublicKey::from_spki_der(spki.as_ref()).map_err(|_| KeyFileError::UnsupportedKey)?;
        Ok(Self { public, private })
    }

    fn sign_ed25519ph(key: &Ed25519KeyPair, message: Message<'_>) -> Option<Vec<u8>> {
        let seed = key.seed().ok()?;
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(seed.as_be_bytes().ok()?.as_ref()).ok()?);
        let signing_key = ed25519_dalek::SigningKey::from_bytes(&bytes);
        let prehash = prehash::Sha512Value::of(message)?;
        Some(signing_key.sign_prehashed(prehash, None).ok()?.to_bytes().to_vec())
    }
}

impl Signer for KeyPair {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, scheme: Scheme, message: Message<'_>) -> Result<Vec<u8>, SignError> {
        let kind = self.public.kind();
        let unsupported = SignError::UnsupportedScheme { kind, scheme };
        if !scheme.fits(kind) {
            return Err(unsupported);
        }
        if let Message::Hashed(hash) = message
            && scheme.hash() != Some(hash.algorithm())
        {
            return Err(unsupported);
        }
        match &self.private {
            Private::Ecdsa(key) => sign_ecdsa(key, scheme, message).ok_or(unsupported)?,
            Private::Rsa(key) => sign_rsa(key, scheme, message).ok_or(unsupported)?,
            Private::Ed25519(key) => match (scheme, message) {
                (Scheme::Ed25519, Message::Bytes(bytes)) => Ok(key.sign(bytes).as_ref().to_vec()),
                (Scheme::Ed25519ph, message) => {
                    Self::sign_ed25519ph(key, message).ok_or(SignError::Backend)
                }
                _ => Err(unsupported),
            },
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?}, private key withheld)", self.public)
    }
}

/// `None` when the key pair's one scheme is not the one asked for.
fn sign_ecdsa(
    key: &EcdsaKeyPair,
    scheme: Scheme,
    message: Message<'_>,
) -> Option<Result<Vec<u8>, SignError>> {
    let random = SystemRandom::new();
    let fixed = matches!(scheme, Scheme::EcdsaP256Sha256Fixed | Scheme::EcdsaP384Sha384Fixed);
    let rekeyed;
    let key = if fixed {
        let algorithm = if scheme == Scheme::EcdsaP256Sha256Fixed {
            &backend::ECDSA_P256_SHA256_FIXED_SIGNING
        } else {
            &backend::ECDSA_P384_SHA384_FIXED_SIGNING
        };
        let pkcs8 = key.to_pkcs8v1().ok()?;
        rekeyed = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).ok()?;
        &rekeyed
    } else {
        let usual = matches!(
            scheme,
            Scheme::EcdsaP256Sha256 | Scheme::EcdsaP384Sha384 | Scheme::EcdsaP521Sha512
        );
        usual.then_some(key)?
    };
    let signature = match message {
        Message::Bytes(bytes) => key.sign(&random, bytes),
        Message::Hashed(hash) => {
            let digest = aws_lc_rs::digest::Digest::import_less_safe(
                hash.as_bytes(),
                hash.algorithm().backend(),
            )
            .ok()?;
            key.sign_digest(&digest)
        }
    };
    Some(signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| SignError::Backend))
}

/// `None` when the scheme is no RSA scheme.
fn sign_rsa(
    key: &RsaKeyPair,
    scheme: Scheme,
    message: Message<'_>,
) -> Option<Result<Vec<u8>, SignError>> {
    let padding: &'static dyn backend::RsaEncoding = match scheme {
        Scheme::RsaPkcs1Sha256 => &backend::RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1Sha384 => &backend::RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1Sha512 => &backend::RSA_PKCS1_SHA512,
        Scheme::RsaPssSha256 => &backend::RSA_PSS_SHA256,
        Scheme::RsaPssSha384 => &backend::RSA_PSS_SHA384,
        Scheme::RsaPssSha512 => &backend::RSA_PSS_SHA512,
        _ => return None,
    };
    let mut signature = vec![0; key.public_modulus_len()];
    let outcome = match message {
        Message::Bytes(bytes) => key.sign(padding, &SystemRandom::new(), bytes, &mut signature),
        Message::Hashed(hash) => {
            let digest = aws_lc_rs::digest::Digest::import_less_safe(
                hash.as_bytes(),
                hash.algorithm().backend(),
            )
            .ok()?;
            key.sign_digest(padding, &digest, &mut signature)
        }
    };
    Some(outcome.map(|()| signature).map_err(|_| SignError::Backend))
}

/// How each curve signs by default.
const ECDSA: [&backend::EcdsaSigningAlgorithm; 3] = [
    &backend::ECDSA_P256_SHA256_ASN1_SIGNING,
    &backend::ECDSA_P384_SHA384_ASN1_SIGNING,
    &backend::ECDSA_P521_SHA512_ASN1_SIGNING,
];

fn ecdsa_algorithm(kind: KeyKind) -> &'static backend::EcdsaSigningAlgorithm {
    match kind {
        KeyKind::EcdsaP384 => &backend::ECDSA_P384_SHA384_ASN1_SIGNING,
        KeyKind::EcdsaP521 => &backend::ECDSA_P521_SHA512_ASN1_SIGNING,
        KeyKind::EcdsaP256 | KeyKind::Rsa { .. } | KeyKind::Ed25519 => {
            &backend::ECDSA_P256_SHA256_ASN1_SIGNING
        }
    }
}

fn backend_failed(_: aws_lc_rs::error::Unspecified) -> KeyFileError {
    KeyFileError::Backend
}
