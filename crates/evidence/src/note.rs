//! Signed notes: a text, a blank line, and signature lines `— name base64(keyhash ‖ signature)`.
//!
//! C2SP signed-note. Parsing proves nothing: whoever verifies must check a signature by a key that
//! it already trusts, over [`SignedNote::text`] exactly as it came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::PublicKey;

/// Longest note read, in bytes. A checkpoint with 16 cosignatures takes about 3,000.
pub const NOTE_SIZE_MAX: usize = 64 * 1024;

/// Most signatures read on one note; C2SP signed-note asks for at least 16.
pub const NOTE_SIGNATURES_MAX: usize = 64;

/// Why text is no signed note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNoteError {
    /// Longer than [`NOTE_SIZE_MAX`].
    #[error("a note of {found} bytes is longer than the {NOTE_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// No blank line, or no signature after the last one.
    #[error("wanted a text, a blank line and at least one signature line")]
    NoSignatures,
    /// The text or a signature line does not end with a line feed.
    #[error("the note does not end with a line feed")]
    Unterminated,
    /// More than [`NOTE_SIGNATURES_MAX`] signatures.
    #[error("more than {NOTE_SIGNATURES_MAX} signatures on one note")]
    TooManySignatures,
    /// A control character other than the line feed.
    #[error("the note contains a control character")]
    ControlCharacter,
    /// A signature line of the wrong form.
    #[error("signature line {line} is not `— name base64`")]
    BadSignatureLine {
        /// Number of the signature line, counted from 1.
        line: usize,
    },
}

/// A note as claimed by whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key, as the signer gives it.
    pub name: String,
    /// First four bytes of the key's identifier: a hint which key to try.
    pub key_hint: [u8; 4],
    /// What follows the hint; for an Ed25519 or ECDSA log key, the signature.
    pub signature: Vec<u8>,
}

impl SignedNote {
    /// Parses a note.
    ///
    /// # Errors
    /// When it is too long, has no signature, or a signature line is malformed.
    pub fn parse(note: &str) -> Result<Self, ParseNoteError> {
        if note.len() > NOTE_SIZE_MAX {
            return Err(ParseNoteError::TooLong { found: note.len() });
        }
        if note.chars().any(|character| character.is_control() && character != '\n') {
            return Err(ParseNoteError::ControlCharacter);
        }
        // The *last* blank line splits: a text may contain blank lines of its own.
        let (head, tail) = note.rsplit_once("\n\n").ok_or(ParseNoteError::NoSignatures)?;
        if tail.is_empty() {
            return Err(ParseNoteError::NoSignatures);
        }
        let lines = tail.strip_suffix('\n').ok_or(ParseNoteError::Unterminated)?;
        let signatures: Vec<_> = lines
            .split('\n')
            .take(NOTE_SIGNATURES_MAX + 1)
            .enumerate()
            .map(|(number, line)| {
                NoteSignature::parse(line)
                    .ok_or(ParseNoteError::BadSignatureLine { line: number + 1 })
            })
            .collect::<Result<_, _>>()?;
        if signatures.len() > NOTE_SIGNATURES_MAX {
            return Err(ParseNoteError::TooManySignatures);
        }
        Ok(Self { text: format!("{head}\n"), signatures })
    }

    /// Puts a note together. `text` must end with a line feed.
    #[must_use]
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Self {
        debug_assert!(text.ends_with('\n'), "a note's text ends with a line feed");
        Self { text, signatures }
    }

    /// The signed text, its last line feed included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl std::fmt::Display for SignedNote {
    /// The note as it goes on the wire.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| {
            let value = STANDARD.encode([&signature.key_hint[..], &signature.signature].concat());
            writeln!(f, "— {} {value}", signature.name)
        })
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, value) = line.strip_prefix("— ")?.split_once(' ')?;
        if name.is_empty() || name.contains(['+', ' ']) || name.contains(char::is_whitespace) {
            return None;
        }
        let value = STANDARD.decode(value).ok()?;
        let (key_hint, signature) = value.split_first_chunk::<4>()?;
        let signature = (!signature.is_empty()).then(|| signature.to_vec())?;
        Some(Self { name: name.to_owned(), key_hint: *key_hint, signature })
    }
}

/// The full key identifier of a log's note key, of which a signature line shows four bytes.
///
/// Ed25519: `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)` (C2SP signed-note). ECDSA: SHA-256 of the
/// SubjectPublicKeyInfo, as Rekor and the CT ecosystem do. RSA: `SHA-256(name ‖ 0x0A ‖ 0xFF ‖
/// "PKIX-RSA-PKCS#1v1.5" ‖ SPKI)`. Rekor v2 uses all 32 bytes as its `logId`.
#[must_use]
pub fn key_id(name: &str, key: &PublicKey) -> [u8; 32] {
    match key.kind() {
        crypto::KeyKind::Ed25519 => {
            crypto::sha256(&[name.as_bytes(), b"\n\x01", &key.raw_bytes()].concat())
        }
        crypto::KeyKind::Rsa { .. } => crypto::sha256(
            &[name.as_bytes(), b"\n\xFFPKIX-RSA-PKCS#1v1.5", key.spki_der()].concat(),
        ),
        crypto::KeyKind::EcdsaP256 | crypto::KeyKind::EcdsaP384 | crypto::KeyKind::EcdsaP521 => {
            key.id()
        }
    }
}
