//! Checkpoints: the text of a signed note that states a log's origin, size and root hash.
//!
//! C2SP tlog-checkpoint. Rekor v1 adds extension lines such as `Timestamp: …`, which are kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::merkle::NodeHash;

use crate::number::TreeSize;

/// A log's claim about itself at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name for itself.
    pub origin: String,
    /// Number of leaves.
    pub size: TreeSize,
    /// Root hash of the tree of that size (RFC 6962 §2.1).
    pub root: NodeHash,
    /// Further lines, without their line feeds; they are signed but mean nothing here.
    pub extensions: Vec<String>,
}

/// Why a note's text is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCheckpointError {
    /// Fewer than three lines, or an unterminated last line.
    #[error("wanted the lines origin, size and root hash")]
    MissingLines,
    /// An empty origin line.
    #[error("the origin line is empty")]
    EmptyOrigin,
    /// The size is not a decimal number without leading zeros.
    #[error("the size line is not a decimal number")]
    BadSize,
    /// The root hash is not 32 bytes in base64.
    #[error("the root hash line is not 32 bytes in base64")]
    BadRoot,
    /// An empty extension line.
    #[error("an extension line is empty")]
    EmptyExtension,
}

impl Checkpoint {
    /// Parses the text of a note ([`crate::SignedNote::text`]).
    ///
    /// # Errors
    /// When a line is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, ParseCheckpointError> {
        let body = text.strip_suffix('\n').ok_or(ParseCheckpointError::MissingLines)?;
        let mut lines = body.split('\n');
        let mut line = || lines.next().ok_or(ParseCheckpointError::MissingLines);
        let (origin, size, root) = (line()?, line()?, line()?);
        if origin.is_empty() {
            return Err(ParseCheckpointError::EmptyOrigin);
        }
        let canonical = size == "0" || !size.starts_with('0');
        let digits = size.bytes().all(|byte| byte.is_ascii_digit());
        let size = size.parse().ok().filter(|_| canonical && digits);
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(ParseCheckpointError::EmptyExtension);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: TreeSize(size.ok_or(ParseCheckpointError::BadSize)?),
            root: root.ok_or(ParseCheckpointError::BadRoot)?,
            extensions,
        })
    }

    /// The text to sign, last line feed included.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root));
        for extension in &self.extensions {
            text.push_str(extension);
            text.push('\n');
        }
        text
    }
}
