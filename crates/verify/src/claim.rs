//! About what: this signer said this about *this* artifact, and the log entry records just that.
//!
//! Every part may be valid and still be about something else; here all of them are tied together:
//! artifact, content, signature, key, log entry.

use crypto::{Hash, HashAlgorithm, Message, PublicKey, Scheme};
use evidence::bundle::Content;
use evidence::cosign::SimpleSigning;
use evidence::entry::hashedrekord::HashedRekordV1;
use evidence::entry::rekord::RekordV1;
use evidence::entry::{Body, SignatureV2, Verifier};
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;
use evidence::statement::DigestSet;
use evidence::{Digest, Envelope, Evidence, Statement, UnixTime};
use nonempty::NonEmpty;
use serde_json::value::RawValue;

use crate::check::Check;
use crate::explain::Trace;
use crate::logged::{Logged, VerifiedEntry};
use crate::publication::Publication;
use crate::refusal::{EntryPart, Refusal};
use crate::signer::VerifiedSigner;
use crate::time::{Observer, VerifiedTime};

/// What evidence is to be about: an artifact, by as many of its digests as are known.
#[derive(Clone, Debug)]
pub struct Artifact<'a> {
    digests: NonEmpty<Digest>,
    bytes: Option<&'a [u8]>,
}

impl<'a> Artifact<'a> {
    /// An artifact of which only a digest is known.
    #[must_use]
    pub fn from_digest(digest: Digest) -> Self {
        Self { digests: NonEmpty::new(digest), bytes: None }
    }

    /// An artifact of which several digests are known, each computed from the same bytes.
    #[must_use]
    pub fn from_digests(digests: NonEmpty<Digest>) -> Self {
        Self { digests, bytes: None }
    }

    /// An artifact in memory.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        let digest = |algorithm| Digest::from(Hash::of(algorithm, bytes));
        let mut digests = NonEmpty::new(digest(HashAlgorithm::Sha256));
        digests.push(digest(HashAlgorithm::Sha384));
        digests.push(digest(HashAlgorithm::Sha512));
        Self { digests, bytes: Some(bytes) }
    }

    /// The digest it is known by first.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.digests.first()
    }

    /// Whether one of these is a digest of it.
    pub(crate) fn is_one_of(&self, digests: &[Digest]) -> bool {
        self.digests.iter().any(|digest| digests.contains(digest))
    }

    fn in_algorithm(&self, algorithm: HashAlgorithm) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.algorithm() == algorithm)
    }
}

/// This signer said this about **this** artifact: signature, content and every log entry agree on it.
/// What a policy waived on the way is told by [`VerifiedClaim::waived`].
///
/// Says nothing about whether this signer, or what it says, is wanted.
#[derive(Clone, Debug)]
pub struct VerifiedClaim {
    signer: VerifiedSigner,
    times: Vec<VerifiedTime>,
    entries: Vec<VerifiedEntry>,
    digest: Digest,
    said: Said,
    annotations: Option<Box<RawValue>>,
}

/// What was said about the artifact, as it was signed.
#[derive(Clone, Debug)]
pub enum Said {
    /// A signature over the artifact itself says nothing more.
    Signature,
    /// A statement in an envelope.
    Statement(Box<Statement>),
    /// A simple signing payload.
    SimpleSigning(Box<SimpleSigning>),
}

impl VerifiedClaim {
    /// Who said it.
    #[must_use]
    pub fn signer(&self) -> &VerifiedSigner {
        &self.signer
    }

    /// When it was seen; where nobody saw it and the policy waives that, now, at which its
    /// certificate was judged.
    #[must_use]
    pub fn times(&self) -> &[VerifiedTime] {
        &self.times
    }

    /// When it was first seen, which is what its age and its order among others go by: an old
    /// signature can be stamped again at any time, but none was seen before it was made.
    #[must_use]
    pub fn seen(&self) -> Option<UnixTime> {
        self.times.iter().filter_map(VerifiedTime::observed).min()
    }

    /// The checks that the policy waives and that nothing made good for.
    #[must_use]
    pub fn waived(&self) -> Vec<Check> {
        let mut waived = Vec::new();
        if self.entries.is_empty() {
            waived.push(Check::LogInclusion);
        }
        if self.times.iter().any(|time| *time.observer() == Observer::Now) {
            waived.push(Check::Time);
        }
        if self.signer.publication() == Some(Publication::Waived) {
            waived.push(Check::CertificateTransparency);
        }
        waived
    }

    /// Where it is logged; nowhere only where the policy waives that.
    #[must_use]
    pub fn entries(&self) -> &[VerifiedEntry] {
        &self.entries
    }

    /// The artifact it is about.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What was said.
    #[must_use]
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// What was signed along about this artifact: a JSON value, meant to be an object.
    #[must_use]
    pub fn annotations(&self) -> Option<&RawValue> {
        self.annotations.as_deref()
    }

    /// The statement, if one was made: neither a plain signature nor simple signing has one.
    #[must_use]
    pub fn statement(&self) -> Option<&Statement> {
        match &self.said {
            Said::Statement(statement) => Some(statement),
            Said::Signature | Said::SimpleSigning(_) => None,
        }
    }
}

/// Ties everything together.
///
/// # Errors
/// At the first thing that is about something else.
pub fn verify(
    evidence: &Evidence,
    signer: VerifiedSigner,
    logged: Logged,
    times: Vec<VerifiedTime>,
    artifact: &Artifact<'_>,
    trace: &mut Trace,
) -> Result<VerifiedClaim, Refusal> {
    // Whose mistake it is most often, in words that say so: the wrong file.
    if let Content::Message { digest: Some(stated), .. } = &evidence.content {
        check_stated_digest(stated, artifact)?;
    }
    for (index, entry) in logged.entries() {
        bind_entry(index, entry, evidence, &signer, artifact)?;
    }
    let entries = logged.into_entries();
    if !entries.is_empty() {
        trace.passed(Check::LogBinding, || {
            let wanted = "entries about this signature and this signer".to_owned();
            (wanted, format!("{} of {}", entries.len(), evidence.entries.len()))
        });
    }
    let schemes = schemes(signer.key(), evidence, &entries);
    let (said, annotations) = match &evidence.content {
        Content::Message { signature, .. } => {
            verify_over_artifact(signer.key(), &schemes, artifact, signature)?;
            (Said::Signature, None)
        }
        Content::SimpleSigning { payload, signature } => {
            let verifies = |scheme: &Scheme| {
                signer.key().verify(*scheme, Message::Bytes(payload), signature).is_ok()
            };
            if !schemes.iter().any(verifies) {
                return Err(Refusal::BadSignature);
            }
            let claim = payload_about(payload, artifact)?;
            let annotations = claim.annotations.clone();
            (Said::SimpleSigning(Box::new(claim)), annotations)
        }
        Content::Envelope(envelope) => {
            let verifies = |scheme: &Scheme| {
                let signature = &envelope.signature;
                let outcome = match scheme.hash() {
                    Some(algorithm) => {
                        let hash = envelope.pae_hash(algorithm);
                        signer.key().verify(*scheme, Message::Hashed(&hash), signature)
                    }
                    None => {
                        signer.key().verify(*scheme, Message::Bytes(&envelope.pae()), signature)
                    }
                };
                outcome.is_ok()
            };
            if !schemes.iter().any(verifies) {
                return Err(Refusal::BadSignature);
            }
            let (statement, annotations) = statement_about(envelope, artifact)?;
            (Said::Statement(Box::new(statement)), annotations)
        }
    };
    trace.passed(Check::Signature, || {
        (
            "a signature by this signer".to_owned(),
            format!("verifies under its {} key", signer.key().kind()),
        )
    });
    trace.passed(Check::Artifact, || {
        (artifact.digest().to_string(), "what was signed is about it".to_owned())
    });
    let digest = *artifact.digest();
    Ok(VerifiedClaim { signer, times, entries, digest, said, annotations })
}

/// The schemes with which this key may have signed: what a v2 entry states about this signature,
/// else what the key and a v1 entry's digest imply, and what is said beside the evidence.
fn schemes(key: &PublicKey, evidence: &Evidence, entries: &[VerifiedEntry]) -> Vec<Scheme> {
    let kind = key.kind();
    let signature = evidence.signature();
    let stated = entries.iter().find_map(|entry| match entry.body() {
        Body::HashedRekordV2(record) => Some(record.signature.key_details.scheme()),
        Body::DsseV2(record) => {
            let own = record.signatures.iter().find(|recorded| recorded.content == signature);
            own.map(|recorded| recorded.key_details.scheme())
        }
        Body::HashedRekordV1(HashedRekordV1 { digest, .. })
        | Body::RekordV1(RekordV1 { digest, .. }) => {
            Some(Scheme::for_key_and_hash(kind, digest.algorithm()))
        }
        Body::DsseV1(_) | Body::IntotoV1(_) | Body::IntotoV2(_) => None,
    });
    let scheme = stated.unwrap_or_else(|| key.default_scheme());
    // Sigstore's clients disagree on which of the two they use with a bare key; they cannot be
    // mistaken for each other (RFC 8032 §5.1), so that trying both proves no less.
    if matches!(scheme, Scheme::Ed25519 | Scheme::Ed25519ph) {
        return vec![Scheme::Ed25519ph, Scheme::Ed25519];
    }
    let mut schemes = vec![scheme];
    if stated.is_none() {
        // Cosign before bundles signed with SHA-256 whatever the key; entries about envelopes do not
        // tell, and without an entry nothing does. What is said beside the evidence comes on top:
        // nobody can hide a signature by it from a rule that looks at all of them.
        let cosigns = evidence.format.is_cosigns().then_some(HashAlgorithm::Sha256);
        for hash in cosigns.into_iter().chain(evidence.signature_hash) {
            let other = Scheme::for_key_and_hash(kind, hash);
            if !schemes.contains(&other) {
                schemes.push(other);
            }
        }
    }
    schemes
}

fn verify_over_artifact(
    key: &PublicKey,
    schemes: &[Scheme],
    artifact: &Artifact<'_>,
    signature: &[u8],
) -> Result<(), Refusal> {
    let mut refusal = Refusal::BadSignature;
    for scheme in schemes {
        let message = match (scheme.hash(), artifact.bytes) {
            (Some(algorithm), _) => match artifact.in_algorithm(algorithm) {
                Some(digest) => Message::Hashed(digest.hash()),
                None => {
                    refusal = Refusal::DigestNotKnown { wanted: algorithm };
                    continue;
                }
            },
            (None, Some(bytes)) => Message::Bytes(bytes),
            (None, None) => {
                refusal = Refusal::ArtifactNotKnown;
                continue;
            }
        };
        if key.verify(*scheme, message, signature).is_ok() {
            return Ok(());
        }
    }
    Err(refusal)
}

/// The digest beside a message signature is unsigned and proves nothing, but one that contradicts
/// the artifact says that this is another artifact's bundle.
fn check_stated_digest(stated: &Digest, artifact: &Artifact<'_>) -> Result<(), Refusal> {
    match artifact.in_algorithm(stated.algorithm()) {
        Some(digest) if digest != stated => Err(Refusal::WrongArtifact {
            wanted: *artifact.digest(),
            found: vec![stated.to_string()],
        }),
        _ => Ok(()),
    }
}

/// The statement, and the annotations of the first of its subjects that is the artifact.
fn statement_about(
    envelope: &Envelope,
    artifact: &Artifact<'_>,
) -> Result<(Statement, Option<Box<RawValue>>), Refusal> {
    if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE {
        let payload_type = envelope.payload_type.chars().take(128).collect();
        return Err(Refusal::NotAStatement { payload_type });
    }
    let statement = Statement::parse(&envelope.payload)?;
    let mut subjects = statement.subjects.iter();
    if let Some(own) = subjects.find(|subject| is_about(&subject.digest, artifact)) {
        let annotations = own.annotations.clone();
        return Ok((statement, annotations));
    }
    const FOUND_MAX: usize = 4;
    let digests = statement.subjects.iter().flat_map(|subject| subject.digest.iter());
    let found = digests.take(FOUND_MAX).map(|(name, value)| format!("{name:.32}:{value:.128}"));
    Err(Refusal::WrongArtifact { wanted: *artifact.digest(), found: found.collect() })
}

fn payload_about(payload: &[u8], artifact: &Artifact<'_>) -> Result<SimpleSigning, Refusal> {
    let claim = SimpleSigning::parse(payload)?;
    match artifact.in_algorithm(claim.image.algorithm()) {
        None => Err(Refusal::DigestNotKnown { wanted: claim.image.algorithm() }),
        Some(digest) if *digest == claim.image => Ok(claim),
        Some(digest) => {
            Err(Refusal::WrongArtifact { wanted: *digest, found: vec![claim.image.to_string()] })
        }
    }
}

/// Whether a subject names the artifact: at least one digest in a known algorithm, and every such
/// digest the artifact's. A subject that agrees in one algorithm and contradicts in another, or
/// holds there what is no digest, is about no artifact at all.
fn is_about(subject: &DigestSet, artifact: &Artifact<'_>) -> bool {
    let mut agreed = 0;
    for digest in &artifact.digests {
        let algorithm = digest.algorithm();
        if subject.get(algorithm) == Some(*digest) {
            agreed += 1;
        } else if subject.names(algorithm) {
            return false;
        }
    }
    agreed > 0
}

fn bind_entry(
    index: usize,
    entry: &VerifiedEntry,
    evidence: &Evidence,
    signer: &VerifiedSigner,
    artifact: &Artifact<'_>,
) -> Result<(), Refusal> {
    let mismatch = |what| Refusal::EntryMismatch { index, what };
    let (kind, _) = entry.body().kind_and_version();
    let signature = evidence.signature();
    match (&evidence.content, entry.body()) {
        (
            Content::Message { .. },
            Body::HashedRekordV1(HashedRekordV1 { digest, signature: recorded, verifier })
            | Body::RekordV1(RekordV1 { digest, signature: recorded, verifier }),
        ) => {
            bind_digest(digest, artifact).ok_or(mismatch(EntryPart::Artifact))??;
            bind_signature(signature, recorded, verifier, signer).map_err(mismatch)
        }
        (Content::Message { .. }, Body::HashedRekordV2(record)) => {
            bind_digest(&record.digest, artifact).ok_or(mismatch(EntryPart::Artifact))??;
            bind_signature_v2(signature, &record.signature, signer).map_err(mismatch)
        }
        (
            Content::SimpleSigning { payload, .. },
            Body::HashedRekordV1(HashedRekordV1 { digest, signature: recorded, verifier })
            | Body::RekordV1(RekordV1 { digest, signature: recorded, verifier }),
        ) => {
            bind_bytes(digest, payload).map_err(|()| mismatch(EntryPart::Payload))?;
            bind_signature(signature, recorded, verifier, signer).map_err(mismatch)
        }
        (Content::Envelope(envelope), Body::HashedRekordV2(record)) => {
            let pae = envelope.pae_hash(record.digest.algorithm());
            if record.digest != Digest::from(pae) {
                return Err(mismatch(EntryPart::Envelope));
            }
            bind_signature_v2(signature, &record.signature, signer).map_err(mismatch)
        }
        (
            Content::Envelope(Envelope { document: Some(document), payload, .. }),
            Body::IntotoV1(record),
        ) => {
            // The entry has no signature; but the document that it hashes holds this one.
            bind_bytes(&record.envelope_digest, document).map_err(|()| mismatch(EntryPart::Envelope))?;
            if let Some(digest) = &record.payload_digest {
                bind_bytes(digest, payload).map_err(|()| mismatch(EntryPart::Payload))?;
            }
            bind_signer(&record.verifier, signer).map_err(mismatch)
        }
        (Content::Envelope(envelope), Body::DsseV1(record)) => {
            bind_payload(&record.payload_digest, envelope).map_err(mismatch)?;
            bind_one_of(signature, &record.signatures, signer).map_err(mismatch)
        }
        (Content::Envelope(envelope), Body::IntotoV2(record)) => {
            bind_payload(&record.payload_digest, envelope).map_err(mismatch)?;
            if record.payload_type != envelope.payload_type {
                return Err(mismatch(EntryPart::PayloadType));
            }
            bind_one_of(signature, &record.signatures, signer).map_err(mismatch)
        }
        (Content::Envelope(envelope), Body::DsseV2(record)) => {
            bind_payload(&record.payload_digest, envelope).map_err(mismatch)?;
            let all = record.signatures.iter();
            let matching = all
                .map(|recorded| bind_signature_v2(signature, recorded, signer))
                .reduce(|first, next| first.or(next));
            matching.unwrap_or(Err(EntryPart::Signature)).map_err(mismatch)
        }
        (
            Content::Message { .. } | Content::SimpleSigning { .. },
            Body::DsseV1(_) | Body::DsseV2(_) | Body::IntotoV1(_) | Body::IntotoV2(_),
        )
        // Layers of Cosign's tags have no room for an entry of a v2 log.
        | (Content::SimpleSigning { .. }, Body::HashedRekordV2(_))
        // Without the document nothing binds an `intoto` 0.0.1 entry to the signature.
        | (
            Content::Envelope(_),
            Body::HashedRekordV1(_) | Body::RekordV1(_) | Body::IntotoV1(_),
        ) => Err(Refusal::WrongEntryKind { index, kind }),
    }
}

/// `None` if the entry's digest is another artifact's; an inner error if it cannot be told.
fn bind_digest(recorded: &Digest, artifact: &Artifact<'_>) -> Option<Result<(), Refusal>> {
    match artifact.in_algorithm(recorded.algorithm()) {
        None => Some(Err(Refusal::DigestNotKnown { wanted: recorded.algorithm() })),
        Some(digest) => (digest == recorded).then_some(Ok(())),
    }
}

fn bind_payload(recorded: &Digest, envelope: &Envelope) -> Result<(), EntryPart> {
    bind_bytes(recorded, &envelope.payload).map_err(|()| EntryPart::Payload)
}

fn bind_bytes(recorded: &Digest, bytes: &[u8]) -> Result<(), ()> {
    let found = Hash::of(recorded.algorithm(), bytes);
    if *recorded == Digest::from(found) { Ok(()) } else { Err(()) }
}

fn bind_one_of(
    signature: &[u8],
    recorded: &[(Vec<u8>, Verifier)],
    signer: &VerifiedSigner,
) -> Result<(), EntryPart> {
    recorded
        .iter()
        .map(|(content, verifier)| bind_signature(signature, content, verifier, signer))
        .reduce(|first, next| first.or(next))
        .unwrap_or(Err(EntryPart::Signature))
}

fn bind_signature_v2(
    signature: &[u8],
    recorded: &SignatureV2,
    signer: &VerifiedSigner,
) -> Result<(), EntryPart> {
    bind_signature(signature, &recorded.content, &recorded.verifier, signer)
}

fn bind_signature(
    signature: &[u8],
    recorded: &[u8],
    verifier: &Verifier,
    signer: &VerifiedSigner,
) -> Result<(), EntryPart> {
    if signature != recorded {
        return Err(EntryPart::Signature);
    }
    bind_signer(verifier, signer)
}

fn bind_signer(verifier: &Verifier, signer: &VerifiedSigner) -> Result<(), EntryPart> {
    let same_signer = match (verifier, signer.certificate()) {
        (Verifier::Certificate(der), Some(certificate)) => der == certificate.der(),
        // A pinned key signs under whatever the entry holds it in.
        (Verifier::Certificate(der), None) => evidence::Certificate::parse(der)
            .is_ok_and(|certificate| certificate.public_key() == signer.key()),
        (Verifier::PublicKey(der), None) => der == signer.key().spki_der(),
        // A keyless signer's entry must hold its certificate: the bare key says nothing of who.
        (Verifier::PublicKey(_), Some(_)) => false,
    };
    if same_signer { Ok(()) } else { Err(EntryPart::Signer) }
}
