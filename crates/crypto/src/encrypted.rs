//! Cosign's encrypted private keys: PKCS#8 in NaCl's secretbox, under a key that scrypt makes of a
//! password, described in JSON and wrapped in PEM.
//!
//! RFC 7914 (scrypt), NaCl `crypto_secretbox` (XSalsa20-Poly1305), go-securesystemslib's
//! `encrypted` (the JSON). Never asks for a password: it is handed in.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::{AeadInPlace, KeyInit, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::random;

/// PEM label that is written.
pub const SIGSTORE_LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// PEM label of Cosign's first years, read as well.
pub const COSIGN_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// Costs (scrypt's *N*) that are taken: Cosign's old one, the one it writes, and OWASP's. What a
/// file asks for is what opening it costs, up to 128 MiB here.
pub const COSTS: [u32; 3] = [1 << 15, 1 << 16, 1 << 17];
/// Cost that is written, as Cosign does.
const COST: u32 = 1 << 16;
const BLOCK_SIZE: u32 = 8;
const PARALLELISM: u32 = 1;

const SALT_SIZE: usize = 32;
const NONCE_SIZE: usize = 24;
const KEY_SIZE: usize = 32;
const TAG_SIZE: usize = 16;

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";

/// A password, wiped when dropped and never printed. May be empty, as Cosign allows.
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes a password over; the caller's copy, if there is another, is the caller's to wipe.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(withheld)")
    }
}

/// An encrypted private key whose description was read and found acceptable; not yet opened.
#[derive(Debug)]
pub struct EncryptedKey {
    cost: u32,
    salt: [u8; SALT_SIZE],
    nonce: [u8; NONCE_SIZE],
    /// Tag and ciphertext.
    sealed: Vec<u8>,
}

/// Why an encrypted private key is broken, whatever the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEncryptedKey {
    /// The description is not the JSON that Cosign writes.
    #[error("the encrypted key's description does not read: {0}")]
    Json(String),
    /// Another way to make a key of a password.
    #[error("wanted a key derived with {KDF}, found `{found}`")]
    Kdf {
        /// The name found, cut to 64 characters.
        found: String,
    },
    /// Another cipher.
    #[error("wanted a key encrypted with {CIPHER}, found `{found}`")]
    Cipher {
        /// The name found, cut to 64 characters.
        found: String,
    },
    /// Costs that would be too weak, or would take too long.
    #[error(
        "wanted scrypt with N of {COSTS:?}, r = {BLOCK_SIZE} and p = {PARALLELISM}, \
         found N = {n}, r = {r}, p = {p}"
    )]
    Cost {
        /// Cost.
        n: u32,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// A part that is cut short, or too long.
    #[error("the encrypted key's {part} has {found} bytes, wanted {wanted}")]
    Length {
        /// Which part.
        part: &'static str,
        /// Bytes wanted: exactly so many, or for the ciphertext at least.
        wanted: usize,
        /// Bytes found.
        found: usize,
    },
    /// A part that is not base64.
    #[error("the encrypted key's {part} is not base64")]
    Base64 {
        /// Which part.
        part: &'static str,
    },
}

/// The password is wrong, or the ciphertext was altered: an authenticated cipher cannot tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password does not open the key")]
pub struct WrongPassword;

// In the order in which Go writes them. What is not known is not skipped: it might change how the
// key is to be derived.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

impl EncryptedKey {
    /// Reads the content of the PEM block. The caller bounds its size.
    ///
    /// # Errors
    /// When it is broken, or asks for another derivation or cipher.
    pub fn parse(json: &[u8]) -> Result<Self, BadEncryptedKey> {
        let description: Description = serde_json::from_slice(json).map_err(|error| {
            // The words of serde may quote the text: only the place is told.
            let place = format!("line {}, column {}", error.line(), error.column());
            BadEncryptedKey::Json(place)
        })?;
        let Description { kdf, cipher, ciphertext } = description;
        let cut = |name: &str| name.chars().take(64).flat_map(char::escape_debug).collect();
        if kdf.name != KDF {
            return Err(BadEncryptedKey::Kdf { found: cut(&kdf.name) });
        }
        if cipher.name != CIPHER {
            return Err(BadEncryptedKey::Cipher { found: cut(&cipher.name) });
        }
        let Params { n, r, p } = kdf.params;
        if !COSTS.contains(&n) || r != BLOCK_SIZE || p != PARALLELISM {
            return Err(BadEncryptedKey::Cost { n, r, p });
        }
        let sealed = decode("ciphertext", &ciphertext)?;
        if sealed.len() <= TAG_SIZE {
            let (part, wanted, found) = ("ciphertext", TAG_SIZE + 1, sealed.len());
            return Err(BadEncryptedKey::Length { part, wanted, found });
        }
        let salt = exactly("salt", &kdf.salt)?;
        let nonce = exactly("nonce", &cipher.nonce)?;
        Ok(Self { cost: n, salt, nonce, sealed })
    }

    /// Decrypts the PKCS#8 inside; takes the time and memory that its cost asks for.
    ///
    /// # Errors
    /// When the password is wrong (or the ciphertext was altered).
    pub fn open(&self, password: &Password) -> Result<Zeroizing<Vec<u8>>, WrongPassword> {
        let mut opened = Zeroizing::new(self.sealed.clone());
        let (tag, content) = opened.split_at_mut(TAG_SIZE);
        let tag = *crypto_secretbox::Tag::from_slice(tag);
        cipher(password, &self.salt, self.cost)
            .decrypt_in_place_detached(&self.nonce.into(), &[], content, &tag)
            .map_err(|_| WrongPassword)?;
        Ok(Zeroizing::new(content.to_vec()))
    }
}

/// Encrypts PKCS#8 and describes how: the content of the PEM block. Salt and nonce are new.
#[must_use]
pub fn seal(pkcs8: &[u8], password: &Password) -> Vec<u8> {
    let salt: [u8; SALT_SIZE] = random::bytes();
    let nonce: [u8; NONCE_SIZE] = random::bytes();
    let mut content = Zeroizing::new(pkcs8.to_vec());
    let tag = cipher(password, &salt, COST)
        .encrypt_in_place_detached(&nonce.into(), &[], &mut content)
        .expect("secretbox takes any message of this size without associated data");
    let sealed = [tag.as_slice(), content.as_slice()].concat();
    let params = Params { n: COST, r: BLOCK_SIZE, p: PARALLELISM };
    let description = Description {
        kdf: Kdf { name: KDF.to_owned(), params, salt: STANDARD.encode(salt) },
        cipher: Cipher { name: CIPHER.to_owned(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(sealed),
    };
    serde_json::to_vec(&description).expect("text and numbers are JSON")
}

fn cipher(password: &Password, salt: &[u8], cost: u32) -> XSalsa20Poly1305 {
    // Every cost of `COSTS` is a power of two.
    let log2 = u8::try_from(cost.ilog2()).expect("the logarithm of a u32 is below 32");
    let params = scrypt::Params::new(log2, BLOCK_SIZE, PARALLELISM)
        .expect("the costs that are taken are within scrypt's bounds");
    let mut key = Zeroizing::new([0; KEY_SIZE]);
    scrypt::scrypt(&password.0, salt, &params, key.as_mut_slice())
        .expect("a key of 32 bytes is not too long");
    XSalsa20Poly1305::new(crypto_secretbox::Key::from_slice(key.as_slice()))
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, BadEncryptedKey> {
    STANDARD.decode(text).map_err(|_| BadEncryptedKey::Base64 { part })
}

fn exactly<const N: usize>(part: &'static str, text: &str) -> Result<[u8; N], BadEncryptedKey> {
    let bytes = decode(part, text)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| BadEncryptedKey::Length { part, wanted: N, found })
}
