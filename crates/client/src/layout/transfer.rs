//! What saving and loading share: how far they are, and why they fail.

use evidence::Digest;

use super::LayoutError;
use crate::error::FetchError;
use crate::registry::Descriptor;

/// How long blobs are together, as far as their manifests tell the truth.
pub(super) fn total<'d>(blobs: impl Iterator<Item = &'d Descriptor>) -> u64 {
    blobs.fold(0, |sum, blob| sum.saturating_add(blob.size))
}

/// Is told how far a transfer is.
pub trait Progress: Sync {
    /// That many bytes are to be moved.
    fn expect(&self, bytes: u64);

    /// That many more were moved, or need not be.
    fn moved(&self, bytes: u64);
}

/// Why an image was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] FetchError),
    /// The folder.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Another image than that of the name it is to have.
    #[error("wanted the image {wanted}, found {found}")]
    OtherImage {
        /// The digest in the name.
        wanted: Digest,
        /// The digest of the image.
        found: Digest,
    },
}

impl TransferError {
    /// What somebody can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Layout(_) => None,
            Self::OtherImage { .. } => Some("name a tag, or this digest".to_owned()),
        }
    }
}
