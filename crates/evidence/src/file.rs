//! Evidence that is a file of its own, in whichever format.

use crate::bundle::{Evidence, ParseBundleError};
use crate::cosign::{ParseCosignError, files};

/// Why bytes are no evidence, whatever their format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEvidenceError {
    /// They should have been a Sigstore bundle.
    #[error(transparent)]
    Bundle(#[from] ParseBundleError),
    /// They should have been what Cosign wrote before bundles.
    #[error(transparent)]
    Cosign(#[from] ParseCosignError),
}

impl Evidence {
    /// Reads evidence that is a file of its own: a Sigstore bundle, or Cosign's older bundle for
    /// blobs, which has a `base64Signature`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_file(json: &[u8]) -> Result<Self, ParseEvidenceError> {
        if files::is_blob_bundle(json) {
            Ok(Self::from_blob_bundle(json)?)
        } else {
            Ok(Self::from_bundle(json)?)
        }
    }
}
