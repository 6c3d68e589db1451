//! The CT log that the authority in this process submits to: its tree, and the key that promises.
//!
//! RFC 6962 §3.2; C2SP static-ct-api: the promise carries the index that the entry already has,
//! for it is durable and published before the promise is signed.

use std::sync::Arc;

use authority::CtLog;
use authority::ct::{CtError, Precertificate};
use crypto::{HashAlgorithm, PublicKey, Signer, sha256};
use evidence::UnixTime;
use evidence::certificate::SignedCertificateTimestamp;
use evidence::certificate::sct::precertificate_signed_data;
use tlog::{Leaf, Log};

/// The log and its key.
pub(crate) struct CertificateLog {
    log: Arc<Log>,
    signer: Arc<dyn Signer>,
}

impl CertificateLog {
    pub(super) fn new(log: Arc<Log>, signer: Arc<dyn Signer>) -> Self {
        Self { log, signer }
    }
}

impl CtLog for CertificateLog {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    async fn submit(
        &self,
        precertificate: &Precertificate,
        _now: UnixTime,
    ) -> Result<SignedCertificateTimestamp, CtError> {
        let chain: Vec<_> = precertificate.chain.iter().map(|der| sha256(der)).collect();
        let leaf = Leaf::precertificate(
            precertificate.issuer_key_hash,
            &precertificate.tbs,
            &precertificate.der,
            &chain,
        )
        .map_err(|_| CtError::TooLong)?;
        let appending = self.log.append(leaf).map_err(|error| CtError::Append(error.into()))?;
        let appended = appending.await.map_err(|error| CtError::Append(error.into()))?;

        // The list without its own length, which the promise's encoding adds.
        let extensions = tlog::leaf::certificate_extensions(appended.index)[2..].to_vec();
        let signed = precertificate_signed_data(
            appended.time,
            &precertificate.issuer_key_hash,
            &precertificate.tbs,
            &extensions,
        )
        .map_err(|_| CtError::TooLong)?;
        Ok(SignedCertificateTimestamp {
            log_id: self.public_key().id(),
            time: appended.time,
            extensions,
            hash: HashAlgorithm::Sha256,
            signature: self.signer.sign_bytes(&signed)?,
        })
    }
}
