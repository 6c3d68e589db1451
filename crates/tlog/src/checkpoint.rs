//! Checkpoint signing: how each kind of log puts its signature under its size and root hash.
//!
//! C2SP tlog-checkpoint and signed-note; static-ct-api "Checkpoints" for certificate logs. A log
//! is told its signer's name and key here and believes no checkpoint that they do not verify.

use std::sync::Arc;

use crypto::{KeyKind, Message, Scheme, SignError, Signer};
use evidence::note::{NoteSignature, key_id};
use evidence::{Checkpoint, SignedNote, UnixTime};

/// Signs a log's checkpoints, and recognises its own.
pub trait CheckpointSigner: Send + Sync {
    /// The log's name for itself: the first line of every checkpoint.
    fn origin(&self) -> &str;

    /// Signs a checkpoint of the moment `time`.
    ///
    /// # Errors
    /// When the key cannot sign now.
    fn sign(&self, checkpoint: &Checkpoint, time: UnixTime) -> Result<SignedNote, SignError>;

    /// Verifies that this signer's key signed the note, and returns the moment the signature
    /// states, if it states one.
    ///
    /// # Errors
    /// When no signature by this name and key verifies.
    fn verify(
        &self,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<Option<UnixTime>, ForeignCheckpoint>;
}

/// The checkpoint was not signed by this log's key under this log's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint carries no signature by this log's key")]
pub struct ForeignCheckpoint;

/// No checkpoint was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// The signer refused.
    #[error("the signer failed")]
    Signer(#[from] SignError),
    /// The signer returned a note over something else, or that it does not itself recognise.
    #[error("the signer returned a note that does not verify")]
    Wrong,
}

/// The key cannot sign for a log of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted {wanted} for this kind of log, found {found}")]
pub struct UnsuitableKey {
    /// The kinds that can.
    pub wanted: &'static str,
    /// The key's kind.
    pub found: KeyKind,
}

/// A checkpoint with the note that carries its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it states.
    pub checkpoint: Checkpoint,
    /// The signed note, as published.
    pub note: String,
}

/// Signs plain notes with one signature: Rekor v1 (ECDSA P-256, named by the bare host while the
/// origin is `host - treeID`) and Rekor v2 (Ed25519, both the bare host).
pub struct NoteSigner {
    origin: String,
    name: String,
    signer: Arc<dyn Signer>,
}

impl NoteSigner {
    /// A signer for that origin, whose signature lines carry `name`.
    ///
    /// # Errors
    /// For RSA keys: no client expects them under a checkpoint of ours.
    pub fn new(
        origin: impl Into<String>,
        name: impl Into<String>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, UnsuitableKey> {
        let found = signer.public_key().kind();
        if matches!(found, KeyKind::Rsa { .. }) {
            return Err(UnsuitableKey { wanted: "an ECDSA or Ed25519 key", found });
        }
        Ok(Self { origin: origin.into(), name: name.into(), signer })
    }

    fn key_hint(&self) -> [u8; 4] {
        first_four(key_id(&self.name, self.signer.public_key()))
    }
}

impl CheckpointSigner for NoteSigner {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, checkpoint: &Checkpoint, _time: UnixTime) -> Result<SignedNote, SignError> {
        let text = checkpoint.to_text();
        let signature = self.signer.sign_bytes(text.as_bytes())?;
        let name = self.name.clone();
        let line = NoteSignature { name, key_hint: self.key_hint(), signature };
        Ok(SignedNote::new(text, vec![line]))
    }

    fn verify(
        &self,
        _checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<Option<UnixTime>, ForeignCheckpoint> {
        let line = line_of(note, &self.name, self.key_hint())?;
        let key = self.signer.public_key();
        key.verify(key.default_scheme(), Message::Bytes(note.text().as_bytes()), &line.signature)
            .map_err(|_| ForeignCheckpoint)?;
        Ok(None)
    }
}

/// Signs the checkpoints of a certificate log with RFC 6962 tree head signatures, as notes of type
/// 0x05 (C2SP static-ct-api, "Checkpoints").
pub struct TreeHeadSigner {
    origin: String,
    signer: Arc<dyn Signer>,
}

/// `SignatureAndHashAlgorithm` of RFC 5246 §7.4.1.4.1: sha256(4), ecdsa(3).
const SHA256_ECDSA: [u8; 2] = [4, 3];

impl TreeHeadSigner {
    /// A signer for that origin, which is also its key's name.
    ///
    /// # Errors
    /// Unless the key is of ECDSA P-256 (RFC 6962 §2.1.4; RSA, which it also allows, is not made).
    pub fn new(origin: impl Into<String>, signer: Arc<dyn Signer>) -> Result<Self, UnsuitableKey> {
        let found = signer.public_key().kind();
        if found != KeyKind::EcdsaP256 {
            return Err(UnsuitableKey { wanted: "an ECDSA P-256 key", found });
        }
        Ok(Self { origin: origin.into(), signer })
    }

    /// static-ct-api: SHA-256 of the name, a line feed, the type 0x05, and the RFC 6962 log ID.
    fn key_hint(&self) -> [u8; 4] {
        let log_id = self.signer.public_key().id();
        first_four(crypto::sha256(&[self.origin.as_bytes(), b"\n\x05", &log_id].concat()))
    }
}

impl CheckpointSigner for TreeHeadSigner {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, checkpoint: &Checkpoint, time: UnixTime) -> Result<SignedNote, SignError> {
        let head = tree_head(checkpoint, time);
        let signed = self.signer.sign(Scheme::EcdsaP256Sha256, Message::Bytes(&head))?;
        let size = u16::try_from(signed.len()).map_err(|_| SignError::Backend)?;
        // RFC6962NoteSignature: the timestamp, then `digitally-signed`.
        let mut signature = time.milliseconds().to_be_bytes().to_vec();
        signature.extend(SHA256_ECDSA);
        signature.extend(size.to_be_bytes());
        signature.extend(signed);
        let name = self.origin.clone();
        let line = NoteSignature { name, key_hint: self.key_hint(), signature };
        Ok(SignedNote::new(checkpoint.to_text(), vec![line]))
    }

    fn verify(
        &self,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<Option<UnixTime>, ForeignCheckpoint> {
        let line = line_of(note, &self.origin, self.key_hint())?;
        let (time, rest) = line.signature.split_first_chunk::<8>().ok_or(ForeignCheckpoint)?;
        let time = UnixTime::from_milliseconds(i64::from_be_bytes(*time));
        let (algorithm, rest) = rest.split_first_chunk::<2>().ok_or(ForeignCheckpoint)?;
        let (size, signed) = rest.split_first_chunk::<2>().ok_or(ForeignCheckpoint)?;
        if *algorithm != SHA256_ECDSA || usize::from(u16::from_be_bytes(*size)) != signed.len() {
            return Err(ForeignCheckpoint);
        }
        // A tree head signature does not cover the origin; that it is ours is compared apart.
        let head = tree_head(checkpoint, time);
        self.signer
            .public_key()
            .verify(Scheme::EcdsaP256Sha256, Message::Bytes(&head), signed)
            .map_err(|_| ForeignCheckpoint)?;
        Ok(Some(time))
    }
}

/// RFC 6962 §3.5 `TreeHeadSignature`: version v1(0), signature_type tree_hash(1).
fn tree_head(checkpoint: &Checkpoint, time: UnixTime) -> Vec<u8> {
    let mut head = vec![0, 1];
    head.extend(time.milliseconds().to_be_bytes());
    head.extend(checkpoint.size.0.to_be_bytes());
    head.extend(checkpoint.root);
    head
}

fn line_of<'a>(
    note: &'a SignedNote,
    name: &str,
    key_hint: [u8; 4],
) -> Result<&'a NoteSignature, ForeignCheckpoint> {
    note.signatures()
        .iter()
        .find(|line| line.name == name && line.key_hint == key_hint)
        .ok_or(ForeignCheckpoint)
}

fn first_four(id: [u8; 32]) -> [u8; 4] {
    *id.first_chunk().expect("32 bytes are more than four")
}
