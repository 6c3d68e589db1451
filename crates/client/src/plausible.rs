//! Whether evidence can be about an image at all: what could never be verified is told before it is
//! attached, where it would only be found by whoever has to rely on it.
//!
//! Proves nothing: no trust root is asked, and whose certificate this is does not matter. Whether it
//! *holds* is the question of `verify`.

use crypto::{Hash, HashAlgorithm, Message, PublicKey, Scheme};
use evidence::bundle::{Content, SignerMaterial};
use evidence::cosign::{ParsePayloadError, SimpleSigning};
use evidence::entry::Body;
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;
use evidence::statement::ParseStatementError;
use evidence::timestamp::ParseTimestampError;
use evidence::{Digest, Evidence, LogEntry, Statement, Timestamp};

/// Digests told of a statement that is about something else.
const FOUND_MAX: usize = 4;

/// Why evidence cannot be about an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Implausible {
    /// A signature over a file, which names no image.
    #[error("it is a signature over a file, and says nothing about an image")]
    NotAboutImages,
    /// An envelope of something else.
    #[error("wanted an envelope of {IN_TOTO_PAYLOAD_TYPE}, found one of `{found}`")]
    PayloadType {
        /// The payload type found, cut to 128 characters.
        found: String,
    },
    /// An envelope without a statement.
    #[error("what the envelope holds")]
    Statement(#[from] ParseStatementError),
    /// A payload that names no image.
    #[error("the payload")]
    Payload(#[from] ParsePayloadError),
    /// About another image.
    #[error("it is about {}, and not about {wanted}", found.join(" and "))]
    OtherImage {
        /// The image's digest.
        wanted: Digest,
        /// The digests it is about, at most a few.
        found: Vec<String>,
    },
    /// A certificate beside a signature that is not of its key.
    #[error("the signature was not made with the key in the certificate, or not over this payload")]
    OtherSigner,
    /// An entry of another signature.
    #[error("the log entry {index} records another signature")]
    OtherEntry {
        /// The entry's number in its log.
        index: u64,
    },
    /// No timestamp.
    #[error("the timestamp")]
    Timestamp(#[from] ParseTimestampError),
    /// A timestamp of another signature.
    #[error("the timestamp is of another signature")]
    OtherTimestamp,
}

/// Checks that evidence is about an image, and that signature, certificate, log entries and
/// timestamps are of one another.
///
/// # Errors
/// At the first of these that is about something else.
pub fn check(evidence: &Evidence, image: &Digest) -> Result<(), Implausible> {
    check_subject(evidence, image)?;
    if let SignerMaterial::Certificate(certificate) = &evidence.signer
        && !is_signed_by(certificate.public_key(), &evidence.content)
    {
        return Err(Implausible::OtherSigner);
    }
    if let Some(entry) = evidence.entries.iter().find(|entry| !records(entry, evidence)) {
        return Err(Implausible::OtherEntry { index: entry.log_index });
    }
    for timestamp in &evidence.timestamps {
        let imprint = *Timestamp::parse(timestamp)?.imprint();
        let stamps = |bytes| Hash::of(imprint.algorithm(), bytes) == imprint;
        if !evidence.stamped().any(stamps) {
            return Err(Implausible::OtherTimestamp);
        }
    }
    Ok(())
}

fn check_subject(evidence: &Evidence, image: &Digest) -> Result<(), Implausible> {
    let found = match &evidence.content {
        Content::Message { .. } => return Err(Implausible::NotAboutImages),
        Content::SimpleSigning { payload, .. } => {
            let named = SimpleSigning::parse(payload)?.image;
            if named == *image {
                return Ok(());
            }
            vec![named.to_string()]
        }
        Content::Envelope(envelope) => {
            if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE {
                let found = envelope.payload_type.chars().take(128).collect();
                return Err(Implausible::PayloadType { found });
            }
            let statement = Statement::parse(&envelope.payload)?;
            if statement.subjects.iter().any(|subject| subject.digest.holds(image)) {
                return Ok(());
            }
            let digests = statement.subjects.iter().flat_map(|subject| subject.digest.iter());
            let digests = digests.take(FOUND_MAX);
            digests.map(|(name, value)| format!("{name:.32}:{value:.128}")).collect()
        }
    };
    Err(Implausible::OtherImage { wanted: *image, found })
}

/// Whether what is signed is signed by that key.
fn is_signed_by(key: &PublicKey, content: &Content) -> bool {
    match content {
        Content::SimpleSigning { payload, signature } => signs(key, payload, signature),
        Content::Envelope(envelope) => signs(key, &envelope.pae(), &envelope.signature),
        Content::Message { .. } => false,
    }
}

/// Whether a key made a signature, in any of the ways in which one of its kind signs.
fn signs(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    scheme_of(key, message, signature).is_some()
}

/// In which way a key signed a message; `None` if it did not.
#[must_use]
pub fn scheme_of(key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<Scheme> {
    let signed = |scheme: &Scheme| key.verify(*scheme, Message::Bytes(message), signature).is_ok();
    schemes(key).find(signed)
}

/// In which way a key signed an artifact of which these are digests; `None` if it did not, or if it
/// signed the artifact itself, of which no digest tells.
#[must_use]
pub fn scheme_over(key: &PublicKey, digests: &[Digest], signature: &[u8]) -> Option<Scheme> {
    schemes(key).find(|scheme| {
        let digest = digests.iter().find(|digest| scheme.hash() == Some(digest.algorithm()));
        digest.is_some_and(|digest| {
            key.verify(*scheme, Message::Hashed(digest.hash()), signature).is_ok()
        })
    })
}

/// All ways in which a key may have signed.
fn schemes(key: &PublicKey) -> impl Iterator<Item = Scheme> + use<> {
    let kind = key.kind();
    let of_hash = HashAlgorithm::ALL.map(|hash| Scheme::for_key_and_hash(kind, hash));
    let pss = [Scheme::RsaPssSha256, Scheme::RsaPssSha384, Scheme::RsaPssSha512];
    let schemes = of_hash.into_iter().chain(pss).chain([Scheme::Ed25519ph]);
    schemes.filter(move |scheme| scheme.fits(kind))
}

/// Whether an entry is of this signature. The oldest ones of envelopes have none, but the digest of
/// the stored envelope that holds it.
pub(crate) fn records(entry: &LogEntry, evidence: &Evidence) -> bool {
    let own = evidence.signature();
    match &entry.body {
        Body::HashedRekordV1(record) => record.signature == own,
        Body::RekordV1(record) => record.signature == own,
        Body::HashedRekordV2(record) => record.signature.content == own,
        Body::DsseV1(record) => record.signatures.iter().any(|(recorded, _)| recorded == own),
        Body::IntotoV2(record) => record.signatures.iter().any(|(recorded, _)| recorded == own),
        Body::DsseV2(record) => record.signatures.iter().any(|recorded| recorded.content == own),
        Body::IntotoV1(record) => {
            let algorithm = record.envelope_digest.algorithm();
            let is_stored =
                |bytes| Digest::from(Hash::of(algorithm, bytes)) == record.envelope_digest;
            evidence.stamped().any(is_stored)
        }
    }
}
