//! Keys that are the same in every run: made from their names, or for RSA from files.

use std::fmt;
use std::sync::Arc;

use crypto::{Hash, HashAlgorithm, KeyKind, KeyPair, Message, PublicKey, Scheme, Signer};

use crate::der;

const RSA_2048: &str = include_str!("../keys/rsa-2048.pem");
const RSA_3072: &str = include_str!("../keys/rsa-3072.pem");
const RSA_4096: &str = include_str!("../keys/rsa-4096.pem");

/// A key pair that everybody may know.
#[derive(Clone)]
pub struct Key(Arc<KeyPair>);

impl Key {
    /// The key of that kind and name; RSA has one for each size, whatever the name.
    ///
    /// # Panics
    /// For an RSA size other than 2048, 3072 and 4096.
    #[must_use]
    pub fn named(name: &str, kind: KeyKind) -> Self {
        let secret = |algorithm| Hash::of(algorithm, name.as_bytes()).as_bytes().to_vec();
        let pair = match kind {
            KeyKind::EcdsaP256 => {
                ecdsa("1.2.840.10045.3.1.7", below_order(secret(HashAlgorithm::Sha256)))
            }
            KeyKind::EcdsaP384 => ecdsa("1.3.132.0.34", below_order(secret(HashAlgorithm::Sha384))),
            KeyKind::EcdsaP521 => {
                let scalar = [vec![0, 0], secret(HashAlgorithm::Sha512)].concat();
                ecdsa("1.3.132.0.35", scalar)
            }
            KeyKind::Ed25519 => pkcs8(
                &der::sequence(&[&der::oid("1.3.101.112")]),
                &der::octets(&secret(HashAlgorithm::Sha256)),
            ),
            KeyKind::Rsa { bits } => {
                let pem = match bits {
                    2048 => RSA_2048,
                    3072 => RSA_3072,
                    4096 => RSA_4096,
                    other => panic!("no RSA key of {other} bits is kept here"),
                };
                KeyPair::from_pem(pem.as_bytes()).expect("the kept keys parse")
            }
        };
        Self(Arc::new(pair))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.public().kind()
    }

    /// DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        self.public().spki_der().to_vec()
    }

    /// Signs bytes with the key's usual scheme.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_with(self.public().default_scheme(), message)
    }

    /// Signs bytes with one scheme.
    ///
    /// # Panics
    /// When the key cannot sign with it.
    #[must_use]
    pub fn sign_with(&self, scheme: Scheme, message: &[u8]) -> Vec<u8> {
        // Signing with another hash than the key's usual goes through the hash itself.
        match scheme.hash() {
            Some(algorithm) if scheme != self.public().default_scheme() => {
                let hash = Hash::of(algorithm, message);
                self.0.sign(scheme, Message::Hashed(&hash))
            }
            _ => self.0.sign(scheme, Message::Bytes(message)),
        }
        .expect("a scheme that fits the key")
    }

    /// The key pair itself.
    #[must_use]
    pub fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public().fmt(f)
    }
}

/// Clears the top bit: the orders of P-256 and P-384 begin with it set.
fn below_order(mut scalar: Vec<u8>) -> Vec<u8> {
    scalar[0] &= 0x7F;
    scalar
}

fn ecdsa(curve: &str, scalar: Vec<u8>) -> KeyPair {
    // RFC 5915, without the optional curve and public key.
    let private = der::sequence(&[&der::small(1), &der::octets(&scalar)]);
    pkcs8(&der::sequence(&[&der::oid("1.2.840.10045.2.1"), &der::oid(curve)]), &private)
}

/// PKCS#8 (RFC 5958).
fn pkcs8(algorithm: &[u8], private: &[u8]) -> KeyPair {
    let document = der::sequence(&[&der::small(0), algorithm, &der::octets(private)]);
    KeyPair::from_pkcs8_der(&document).expect("a key made from a hash is valid")
}
