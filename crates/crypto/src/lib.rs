//! The one door to the cryptographic backend: hashes, keys, signatures, signers and Merkle proofs.
//!
//! Nothing here is cryptography of our own: every operation calls `aws-lc-rs`, and Ed25519ph, which
//! that library does not offer, calls `ed25519-dalek`. Nothing here decides whether a key is
//! *trusted*; that is the `verify` crate's question.

pub mod encrypted;
pub mod hash;
pub mod key;
pub mod key_file;
mod kind;
pub mod mac;
pub mod merkle;
pub mod pem;
pub mod random;
pub mod signature;
pub mod signer;

pub use encrypted::Password;
pub use hash::{Hash, HashAlgorithm, Hasher, sha256};
pub use key::{ParseKeyError, PublicKey};
pub use key_file::{OpenKeyError, PrivateKeyPem};
pub use kind::KeyKind;
pub use signature::{BadSignature, CHAIN_ALGORITHMS, Message, Scheme};
pub use signer::{AbortOnPanic, KeyFileError, KeyPair, SignError, Signer};
