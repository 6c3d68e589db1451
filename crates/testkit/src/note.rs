//! Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{KeyKind, sha256};

use crate::key::Key;
use crate::merkle::NodeHash;

/// A checkpoint before it is signed.
#[derive(Clone, Debug)]
pub struct CheckpointDraft {
    /// First line.
    pub origin: String,
    /// Second line.
    pub size: u64,
    /// Third line.
    pub root: NodeHash,
    /// Further lines.
    pub extensions: Vec<String>,
    /// The text itself, where it is not to follow from the fields above.
    pub text: Option<String>,
    /// Who signs, under which name.
    pub name: String,
    /// The log's key.
    pub key: Key,
    /// Witnesses that cosign, by name.
    pub witnesses: Vec<(String, Key)>,
}

/// A note with its signature lines, before it is put together.
#[derive(Clone, Debug)]
pub struct NoteDraft {
    /// The text, its last line feed included.
    pub text: String,
    /// The signature lines.
    pub lines: Vec<NoteLine>,
}

/// One signature line.
#[derive(Clone, Debug)]
pub struct NoteLine {
    /// Name of the key.
    pub name: String,
    /// First four bytes of its identifier.
    pub hint: [u8; 4],
    /// What follows them.
    pub signature: Vec<u8>,
}

impl CheckpointDraft {
    /// Signs it: the log first, then the witnesses.
    #[must_use]
    pub fn sign(&self, cosigned_at: i64) -> NoteDraft {
        let text = self.text.clone().unwrap_or_else(|| {
            let root = STANDARD.encode(self.root);
            let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
            self.extensions.iter().for_each(|line| {
                text.push_str(line);
                text.push('\n');
            });
            text
        });
        let own = NoteLine {
            name: self.name.clone(),
            hint: hint(&key_id(&self.name, &self.key)),
            signature: self.key.sign(text.as_bytes()),
        };
        let witnesses = self.witnesses.iter().map(|(name, key)| {
            // A timestamped cosignature, type 0x04.
            let message = format!("cosignature/v1\ntime {cosigned_at}\n{text}");
            let signature = key.sign(message.as_bytes());
            let id = sha256(&[name.as_bytes(), b"\n\x04", &key.public().raw_bytes()].concat());
            NoteLine {
                name: name.clone(),
                hint: hint(&id),
                signature: [&cosigned_at.to_be_bytes()[..], &signature].concat(),
            }
        });
        let lines = std::iter::once(own).chain(witnesses).collect();
        NoteDraft { text, lines }
    }
}

impl NoteDraft {
    /// The note as it goes on the wire.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for NoteLine { name, hint, signature } in &self.lines {
            let value = STANDARD.encode([&hint[..], signature].concat());
            note.push_str(&format!("\u{2014} {name} {value}\n"));
        }
        note
    }
}

/// The identifier of a log's key: for Ed25519 over name and key, else over the key alone.
#[must_use]
pub fn key_id(name: &str, key: &Key) -> [u8; 32] {
    match key.kind() {
        KeyKind::Ed25519 => {
            sha256(&[name.as_bytes(), b"\n\x01", &key.public().raw_bytes()].concat())
        }
        _ => sha256(&key.spki()),
    }
}

fn hint(id: &[u8; 32]) -> [u8; 4] {
    [id[0], id[1], id[2], id[3]]
}
