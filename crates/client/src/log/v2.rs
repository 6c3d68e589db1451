//! Rekor v2: `POST /api/v2/log/entries` with a `hashedrekord`, the only kind that all v2 logs take.
//!
//! An envelope is logged by the digest of its pre-authentication encoding (rekor-tiles' CLIENTS.md).
//! A duplicate is refused without its entry, so a request whose answer was lost is not repeated
//! here: whoever can sign again does, and logs that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, HashAlgorithm};
use evidence::bundle::Content;
use evidence::entry::Verifier;
use evidence::key_details::KeyDetails;
use evidence::{Digest, LogEntry};
use serde_json::json;

use super::{AppendError, Log, SignedBy};
use crate::deadline::Deadline;

impl Log {
    pub(super) async fn append_v2(
        &self,
        content: &Content,
        signed_by: &SignedBy,
        deadline: Deadline,
    ) -> Result<LogEntry, AppendError> {
        let request = self.post("api/v2/log/entries", propose(content, signed_by)?);
        let answer = self.http.send(&request, deadline).await?;
        if answer.status.as_u16() == 409 {
            return Err(AppendError::Duplicate);
        }
        let answer = answer.wanted(&[201])?;
        let entry = LogEntry::from_json(&answer.body)
            .map_err(|error| answer.malformed("a log entry", error.to_string()))?;
        Ok(entry)
    }
}

fn propose(content: &Content, signed_by: &SignedBy) -> Result<Vec<u8>, AppendError> {
    let SignedBy { verifier, key, scheme } = signed_by;
    let unnameable = AppendError::Unnameable { scheme: *scheme };
    let key_details = KeyDetails::of(key, *scheme).ok_or(unnameable)?.name();
    let (digest, signature) = match content {
        Content::Message { digest, signature } => (digest.ok_or(AppendError::NoDigest)?, signature),
        Content::SimpleSigning { payload, signature } => {
            let algorithm = scheme.hash().unwrap_or(HashAlgorithm::Sha512);
            (Digest::from(Hash::of(algorithm, payload)), signature)
        }
        Content::Envelope(envelope) => {
            // The digest is the one that was signed, so the log can check the signature over it.
            let algorithm = scheme.hash().unwrap_or(HashAlgorithm::Sha512);
            (Digest::from(Hash::of(algorithm, &envelope.pae())), &envelope.signature)
        }
    };
    let raw = |der: &Vec<u8>| json!({"rawBytes": STANDARD.encode(der)});
    let verifier = match verifier {
        Verifier::Certificate(der) => {
            json!({"x509Certificate": raw(der), "keyDetails": key_details})
        }
        Verifier::PublicKey(der) => json!({"publicKey": raw(der), "keyDetails": key_details}),
    };
    let request = json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(digest.hash().as_bytes()),
        "signature": {"content": STANDARD.encode(signature), "verifier": verifier},
    }});
    Ok(serde_json::to_vec(&request).expect("a request has only text"))
}
