//! What is known of signatures and does not stand in the evidence itself.

use crypto::HashAlgorithm;
use evidence::bundle::SignerMaterial;
use evidence::certificate::SignedCertificateTimestamp;
use evidence::{Certificate, Evidence};
use verify::Piece;

/// What is known; nothing by default.
#[derive(Debug, Default)]
pub(crate) struct Supplement {
    /// The signer's certificate.
    pub(crate) certificate: Option<Box<Certificate>>,
    /// Promises of CT logs to publish it.
    pub(crate) promises: Vec<SignedCertificateTimestamp>,
    /// The hash that signatures are over.
    pub(crate) hash: Option<HashAlgorithm>,
}

impl Supplement {
    /// Adds what is known to a piece of evidence that can be read.
    pub(crate) fn complete_piece(&self, piece: &mut Piece) {
        if let Ok(evidence) = &mut piece.evidence {
            self.complete(evidence);
        }
    }

    /// Adds what is known. What evidence says itself of its signer does not count then: whether it
    /// was this one is told by the signature, and by the log.
    fn complete(&self, evidence: &mut Evidence) {
        if let Some(certificate) = &self.certificate {
            evidence.signer = SignerMaterial::Certificate(certificate.clone());
        }
        evidence.certificate_timestamps.clone_from(&self.promises);
        evidence.signature_hash = self.hash;
    }
}
